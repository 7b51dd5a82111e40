//! The rules of the services hold for whatever content is made of, up to the largest objects; and a
//! small change stays small.

use proptest::prelude::*;

use super::*;
use crate::write::extents::Extent;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

fn limits(part_min: u64, part_max: u64, parts_max: u32, object_bytes: u64) -> Limits {
    let limits = crate::write::fake_tests::limits(part_min, parts_max);
    Limits {
        part_max_bytes: part_max,
        put_bytes: part_max,
        copy_bytes: part_max,
        range_copy_min_source_bytes: part_min + 1,
        object_bytes,
        ..limits
    }
}

fn object(size: u64) -> Extents {
    Extents::whole(Place::Remote { source: 0, at: 0, local: false }, size)
}

/// Sizes of the sources: what the content has of them, and more bytes behind that.
fn sizes(extents: &Extents, more: [u64; 3]) -> [u64; 3] {
    let mut sizes = [0; 3];
    for Extent { range, place } in extents.iter() {
        if let Place::Remote { source, at, .. } = place {
            sizes[source] = sizes[source].max(at + range.end - range.start);
        }
    }
    std::array::from_fn(|source| sizes[source] + more[source])
}

fn pieces(extents: &Extents, plan: &Plan, limits: &Limits) -> Option<Vec<Piece>> {
    pieces_of(extents, sizes(extents, [0; 3]), plan, limits)
}

fn pieces_of(
    extents: &Extents,
    sizes: [u64; 3],
    plan: &Plan,
    limits: &Limits,
) -> Option<Vec<Piece>> {
    let pieces = super::pieces(extents, |source| sizes[source], plan, limits)?;
    for piece in &pieces {
        if let Piece::Copy { source, .. } = piece {
            assert!(sizes[*source] >= limits.range_copy_min_source_bytes, "{piece:?} of {sizes:?}");
        }
    }
    Some(pieces)
}

/// The rules of the services, and that every copied byte is the byte of the content at its offset.
fn check(extents: &Extents, pieces: &[Piece], limits: &Limits) -> Result<(), TestCaseError> {
    prop_assert!(pieces.len() as u64 <= u64::from(limits.parts_max), "{} parts", pieces.len());
    let mut offset = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len();
        prop_assert!(piece.len() > 0);
        prop_assert!(last || piece.len() >= limits.part_min_bytes, "{piece:?} is too short");
        prop_assert!(piece.len() <= limits.part_max_bytes, "{piece:?} is too long");
        let end = offset + piece.len();
        match piece {
            Piece::Data(range) => prop_assert_eq!(range, &(offset..end)),
            Piece::Copy { source, range } => {
                prop_assert!(piece.len() <= limits.copy_bytes, "{piece:?} is too long a copy");
                for Extent { range: here, place } in extents.within(offset..end) {
                    let Place::Remote { source: from, at, .. } = place else {
                        return Err(TestCaseError::fail(format!("{place:?} was copied")));
                    };
                    prop_assert_eq!((from, at), (*source, range.start + here.start - offset));
                }
            }
        }
        offset = end;
    }
    prop_assert_eq!(offset, extents.size());
    Ok(())
}

fn sent(pieces: &[Piece]) -> u64 {
    pieces.iter().filter(|piece| matches!(piece, Piece::Data(_))).map(Piece::len).sum()
}

#[test]
fn a_small_change_of_a_large_object_sends_one_smallest_part() {
    for (part_min, part) in
        [(MIB, 8 * MIB), (100 << 10, 8 * MIB), (4 * MIB, 8 * MIB), (5 * MIB, 8 * MIB)]
    {
        let limits = limits(part_min, 5 * GIB, 10_000, 5 * TIB);
        let plan = Plan::new(part, 64 * MIB, &limits);
        for at in [0, 1, 4096, part_min, 500 * MIB + 3, GIB - part_min, GIB - 4097, GIB - 4096, GIB]
        {
            let mut extents = object(GIB);
            extents.set(at..at + 4096, Place::Staged);
            let pieces = pieces(&extents, &plan, &limits).unwrap();
            check(&extents, &pieces, &limits).unwrap();
            assert!(sent(&pieces) < 2 * part_min, "at {at}: {pieces:?}");
        }
    }
}

#[test]
fn an_object_of_the_largest_size_can_be_changed() {
    let limits = limits(MIB, 5 * GIB, 10_000, 50_000 * GIB);
    let plan = Plan::new(8 * MIB, 64 * MIB, &limits);
    let mut extents = object(50_000 * GIB);
    extents.set(7 * TIB + 5..7 * TIB + 6, Place::Staged);
    let pieces = pieces(&extents, &plan, &limits).unwrap();
    check(&extents, &pieces, &limits).unwrap();
    assert_eq!((pieces.len(), sent(&pieces)), (10_000, 5 * GIB));
    extents.resize(50_000 * GIB + 1);
    assert_eq!(pieces_of(&extents, [u64::MAX; 3], &plan, &limits), None);
}

#[test]
fn a_whole_object_is_copied_in_large_parts_and_no_content_has_none() {
    let limits = limits(MIB, 5 * GIB, 10_000, 50_000 * GIB);
    let plan = Plan::new(8 * MIB, 64 * MIB, &limits);
    let pieces = |extents: &Extents| pieces(extents, &plan, &limits).unwrap();
    assert_eq!(pieces(&object(3 * GIB + 1)).len(), 4);
    assert_eq!(pieces(&object(5)), [Piece::Data(0..5)]);
    assert_eq!(pieces(&Extents::default()), []);
}

#[test]
fn of_a_source_that_is_too_small_nothing_is_copied() {
    let limits = limits(5 * MIB, 5 * GIB, 10_000, 5 * TIB);
    let plan = Plan::new(8 * MIB, 64 * MIB, &limits);
    // 8 MiB, and behind them all of another object.
    for (size, sent) in [(5 * MIB, 5 * MIB), (5 * MIB + 1, 0), (3, 3)] {
        let mut extents = object(8 * MIB);
        extents.set(8 * MIB..8 * MIB + size, Place::Remote { source: 1, at: 0, local: false });
        let pieces = pieces(&extents, &plan, &limits).unwrap();
        check(&extents, &pieces, &limits).unwrap();
        assert_eq!(self::sent(&pieces), sent, "{size}: {pieces:?}");
    }
    // Of a large one a small range can be copied, if it is large enough for a part.
    let mut extents = object(8 * MIB);
    extents.set(8 * MIB..13 * MIB, Place::Remote { source: 1, at: 0, local: false });
    let pieces = pieces_of(&extents, [8 * MIB, GIB, 0], &plan, &limits).unwrap();
    assert_eq!(sent(&pieces), 0, "{pieces:?}");
}

/// A grid is cut where the parts would be too many, and its last cell is of any size.
#[test]
fn the_last_cell_of_a_grid_copies_nothing_of_a_small_source() {
    let limits = limits(10, 20, 4, u64::MAX);
    let plan = Plan::new(10, 1 << 20, &limits);
    let mut extents = object(60);
    for at in [15, 35] {
        extents.set(at..at + 10, Place::Staged);
    }
    extents.set(60..64, Place::Remote { source: 1, at: 0, local: false });
    let ends = |source_bytes| {
        let sizes = [60, source_bytes, 0];
        let pieces = pieces_of(&extents, sizes, &plan, &limits).unwrap();
        check(&extents, &pieces, &limits).unwrap();
        pieces.last().cloned().unwrap()
    };
    assert_eq!(ends(11), Piece::Copy { source: 1, range: 0..4 });
    assert_eq!(ends(10), Piece::Data(60..64));
}

#[test]
fn an_object_of_which_no_ranges_are_copied_is_copied_whole() {
    let limits = limits(5 * MIB, 5 * GIB, 10_000, 5 * TIB);
    let plan = Plan::new(8 * MIB, 64 * MIB, &limits);
    assert_eq!(copies(5 * MIB, &plan, &limits), vec![Range { start: 0, end: 5 * MIB }]);
    assert_eq!(copies(2 * GIB, &plan, &limits), [0..GIB, GIB..2 * GIB]);
    let named = |start, end, size| super::named(ByteRange::new(start, end).unwrap(), size, &limits);
    assert_eq!(named(0, 5 * MIB, 5 * MIB), None);
    assert_eq!(named(1, 5 * MIB, 5 * MIB), ByteRange::new(1, 5 * MIB));
    assert_eq!(named(0, 5 * MIB + 1, 5 * MIB + 1), ByteRange::new(0, 5 * MIB + 1));
    let smaller = Limits { range_copy_min_source_bytes: 3 * GIB, ..limits.clone() };
    assert_eq!(copies(2 * GIB, &plan, &smaller), vec![Range { start: 0, end: 2 * GIB }]);
}

#[derive(Debug, Clone)]
struct Change {
    at: f64,
    len: u64,
    place: Place,
}

fn change(most: u64) -> impl Strategy<Value = Change> {
    let place = prop_oneof![
        3 => Just(Place::Staged),
        1 => Just(Place::Hole),
        2 => (0usize..3, 0u64..most, any::<bool>())
            .prop_map(|(source, at, local)| Place::Remote { source, at, local }),
    ];
    (0.0f64..=1.0, 0..=most, place).prop_map(|(at, len, place)| Change { at, len, place })
}

fn changed(size: u64, most: u64, changes: &[Change]) -> Extents {
    let mut extents = object(size);
    for Change { at, len, place } in changes {
        let start = ((size as f64 * at) as u64).min(size);
        extents.set(start..(start + len).min(most), *place);
    }
    extents
}

proptest! {
    #[test]
    fn small_numbers_of_everything_obey_the_rules(
        part_min in 1u64..40,
        span in 0u64..200,
        parts_max in 1u32..30,
        part in 1u64..100,
        share in 0.0f64..=1.0,
        changes in prop::collection::vec(change(100), 0..20),
        copied in 0u64..80,
        more in prop::array::uniform3(0u64..40),
    ) {
        let limits = Limits {
            range_copy_min_source_bytes: copied,
            ..limits(part_min, part_min + span, parts_max, u64::MAX)
        };
        let plan = Plan::new(part, 1 << 20, &limits);
        let most = plan.known_reach_bytes();
        let extents = changed((most as f64 * share) as u64, most, &changes);
        let sizes = sizes(&extents, more);
        let pieces = pieces_of(&extents, sizes, &plan, &limits).unwrap();
        check(&extents, &pieces, &limits)?;
    }

    /// With the limits of the services, up to 48.8 TiB.
    #[test]
    fn sparse_content_of_any_size_obeys_the_rules(
        service in 0usize..4,
        exponent in 0u32..46,
        mantissa in 1.0f64..2.0,
        changes in prop::collection::vec(change(40 * GIB), 0..60),
        scale in 0u32..40,
    ) {
        let limits = [
            limits(MIB, 5 * GIB, 10_000, 50_000 * GIB),
            limits(100 << 10, 5 * GIB, 10_000, 50_000 * GIB),
            limits(4 * MIB, 5 * GIB, 10_000, 50 * TIB),
            limits(5 * MIB, 5 * GIB, 10_000, 5 * TIB),
        ][service].clone();
        let plan = Plan::new(8 * MIB, 64 * MIB, &limits);
        let most = plan.known_reach_bytes();
        let size = (((1u64 << exponent) as f64 * mantissa) as u64).min(most);
        let small: Vec<Change> =
            changes.iter().map(|change| Change { len: change.len >> scale, ..change.clone() }).collect();
        let extents = changed(size, most, &small);
        let pieces = pieces(&extents, &plan, &limits).unwrap();
        check(&extents, &pieces, &limits)?;
        // What is sent beside the changes is at most two smallest parts for each of them, and what
        // lies between, unless the numbers of the parts are short.
        if pieces.len() < 5_000 && size < TIB {
            let changed: u64 = extents.iter()
                .filter(|extent| !matches!(extent.place, Place::Remote { .. }))
                .map(|extent| extent.range.end - extent.range.start)
                .sum();
            let around = extents.iter().count() as u64 * 2 * limits.part_min_bytes;
            prop_assert!(sent(&pieces) <= changed + around);
        }
    }
}
