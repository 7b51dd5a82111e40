//! Which way of reading is seen in a sequence of offsets, and how far ahead it lets readers look.

use super::*;
use proptest::prelude::*;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const SIZES: Sizes = Sizes { first: 256 * KIB, request: 8 * MIB, window: 64 * MIB };
const SIZE: u64 = 1 << 40;

fn read(pattern: &mut Pattern, from: u64, len: u64) -> Plan {
    pattern.observe(from, from + len, SIZE, u64::MAX)
}

fn ahead(plan: Plan) -> (u64, u64) {
    match plan {
        Plan::Sequential { high, ahead_to, request, .. } => (ahead_to - high, request),
        Plan::Random { .. } => panic!("{plan:?}"),
    }
}

#[test]
fn the_first_read_of_a_file_fetches_one_small_request() {
    let plan = read(&mut Pattern::new(SIZES), 0, 128 * KIB);
    assert_eq!(
        plan,
        Plan::Sequential { keep_from: 0, high: 128 * KIB, ahead_to: 256 * KIB, request: 256 * KIB }
    );
}

#[test]
fn the_window_doubles_until_it_is_full() {
    let mut pattern = Pattern::new(SIZES);
    let mut windows = Vec::new();
    for i in 0..1024 {
        windows.push(ahead(read(&mut pattern, i * 128 * KIB, 128 * KIB)).0);
    }
    assert_eq!(windows[1], 512 * KIB);
    assert_eq!(windows[7], 2 * MIB);
    assert_eq!(windows[15], 4 * MIB);
    assert!(windows.is_sorted());
    assert_eq!(ahead(read(&mut pattern, 128 * MIB, 128 * KIB)), (64 * MIB, 8 * MIB));
}

#[test]
fn a_far_seek_begins_small_again() {
    let mut pattern = Pattern::new(SIZES);
    for i in 0..64 {
        read(&mut pattern, i * MIB, MIB);
    }
    let far = 1 << 35;
    let plan = read(&mut pattern, far, 128 * KIB);
    assert_eq!(plan, Plan::Random { from: far, to: far + 128 * KIB });
    let (window, request) = ahead(read(&mut pattern, far + 128 * KIB, 128 * KIB));
    assert_eq!((window, request), (512 * KIB, 256 * KIB), "the second read makes a direction");
}

#[test]
fn reading_backwards_stays_exact() {
    let mut pattern = Pattern::new(SIZES);
    for i in (1..200).rev() {
        let from = i * 128 * KIB;
        let plan = read(&mut pattern, from, 128 * KIB);
        assert_eq!(plan, Plan::Random { from, to: from + 128 * KIB });
    }
}

#[test]
fn leaps_that_leave_most_out_end_the_run() {
    let mut pattern = Pattern::new(SIZES);
    let mut random = 0;
    for i in 0..200 {
        if matches!(read(&mut pattern, i * 200 * KIB, 4 * KIB), Plan::Random { .. }) {
            random += 1;
        }
    }
    assert!(random > 180, "{random}");
}

#[test]
fn small_random_reads_are_rounded_to_blocks_inside_the_file() {
    let mut pattern = Pattern::new(SIZES);
    let plan = pattern.observe(100 * KIB, 101 * KIB, 110 * KIB, u64::MAX);
    assert_eq!(plan, Plan::Random { from: 64 * KIB, to: 110 * KIB });
}

#[test]
fn a_failure_makes_the_window_small() {
    let mut pattern = Pattern::new(SIZES);
    for i in 0..64 {
        read(&mut pattern, i * MIB, MIB);
    }
    pattern.slow_down();
    assert_eq!(ahead(read(&mut pattern, 64 * MIB, 64 * KIB)).0, 256 * KIB);
}

#[test]
fn a_slow_link_makes_the_window_small_and_a_quick_one_large_again() {
    let mut pattern = Pattern::new(SIZES);
    for i in 0..256 {
        read(&mut pattern, i * MIB, MIB);
    }
    let slow = Duration::from_secs(5);
    let started = pattern.lowered();
    for _ in 0..8 {
        pattern.took(slow, 8 * MIB, started);
    }
    assert_eq!(ahead(read(&mut pattern, 256 * MIB, MIB)).0, 32 * MIB, "once for all in flight");
    for _ in 0..20 {
        pattern.took(slow, MIB, pattern.lowered());
    }
    assert_eq!(ahead(read(&mut pattern, 257 * MIB, MIB)), (256 * KIB, 256 * KIB));
    for _ in 0..3 {
        pattern.took(Duration::from_millis(1500), MIB, pattern.lowered());
    }
    assert_eq!(ahead(read(&mut pattern, 258 * MIB, MIB)).0, 256 * KIB);
    for _ in 0..100 {
        pattern.took(Duration::from_millis(20), MIB, pattern.lowered());
    }
    assert_eq!(ahead(read(&mut pattern, 259 * MIB, MIB)).0, 64 * MIB);
}

proptest! {
    /// The kernel's read-ahead mixes up the order within a few requests: the window grows all the
    /// same, and is the same as if they had come in order.
    #[test]
    fn order_within_the_read_ahead_does_not_matter(
        seeds in prop::collection::vec(any::<u64>(), 400),
        group in 1_usize..8,
    ) {
        let mut offsets: Vec<u64> = (0..400).map(|i| i * 128 * KIB).collect();
        for (chunk, keys) in offsets.chunks_mut(group).zip(seeds.chunks(group)) {
            let mut order: Vec<_> = keys.iter().zip(chunk.to_vec()).collect();
            order.sort();
            for (slot, (_, offset)) in chunk.iter_mut().zip(order) {
                *slot = offset;
            }
        }
        let mut pattern = Pattern::new(SIZES);
        let mut last = read(&mut pattern, offsets[0], 128 * KIB);
        for &offset in &offsets[1..] {
            last = read(&mut pattern, offset, 128 * KIB);
        }
        let window = ahead(last).0;
        prop_assert!(window == 64 * MIB, "{}", window);
    }

    /// Whatever is read: the plan covers the read, stays in the file and in the limits.
    #[test]
    fn every_plan_keeps_its_limits(
        size in 1_u64..(1 << 32),
        reads in prop::collection::vec((any::<u64>(), 1_u64..(2 * MIB)), 1..60),
        most in 0_u64..(128 * MIB),
    ) {
        let mut pattern = Pattern::new(SIZES);
        for (from, len) in reads {
            let from = from % size;
            let to = (from + len).min(size);
            match pattern.observe(from, to, size, most) {
                Plan::Random { from: begin, to: end } => {
                    prop_assert!(begin <= from && to <= end && end <= size);
                    prop_assert!(end - begin <= (2 * (to - from)).max(128 * KIB));
                }
                Plan::Sequential { high, ahead_to, request, keep_from } => {
                    prop_assert!(to <= high && high <= ahead_to && ahead_to <= size);
                    prop_assert!(ahead_to - high <= most.clamp(SIZES.first, SIZES.window));
                    prop_assert!((SIZES.first..=SIZES.request).contains(&request));
                    prop_assert!(keep_from <= high);
                }
            }
        }
    }

    /// Reads far from one another never make the window grow.
    #[test]
    fn far_reads_are_random(offsets in prop::collection::vec(1_u64..1000, 2..100)) {
        let mut pattern = Pattern::new(SIZES);
        let mut before = 0;
        for offset in offsets {
            let from = offset * 100 * MIB;
            if from == before {
                continue;
            }
            before = from;
            let plan = read(&mut pattern, from, MIB);
            prop_assert_eq!(plan, Plan::Random { from, to: from + MIB });
        }
    }
}
