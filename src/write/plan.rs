//! How large each part of an upload is, before anybody knows how large the file will be. Pure.
//!
//! Parts start at `part_bytes` and stay so for the first tenth of all part numbers (8 GiB at 8 MiB
//! and 10,000 parts), so that ordinary files have many small parts that go out in parallel. Then
//! the size doubles with every hundredth of the part numbers until it meets the largest part.
//!
//! The largest part is the service's, or what memory allows if that is less: a part is sent from
//! memory, whole, because it may have to be sent again. So memory decides how long a file can be:
//! about `9000 × budget / 4` (512 MiB: 1.1 TiB; 20 GiB: 40 TiB, where the service's 5 GiB parts are
//! the bound). A write beyond is refused before its first byte is taken.

use crate::store::{Limits, PartNumber};

/// The sizes of all parts, computed once for a mount.
#[derive(Debug)]
pub(super) struct Plan {
    /// `ends[n]` is the sum of the first `n` parts. Never empty.
    ends: Vec<u64>,
    part_min_bytes: u64,
    largest_part_bytes: u64,
    object_bytes: u64,
}

impl Plan {
    /// Parts from `part_bytes` up to `largest_bytes`, both bent to what the service takes.
    pub(super) fn new(part_bytes: u64, largest_bytes: u64, limits: &Limits) -> Self {
        let part_max = limits.part_max_bytes.max(1);
        let part_min_bytes = limits.part_min_bytes.clamp(1, part_max);
        let largest = largest_bytes.clamp(part_min_bytes, part_max);
        // A file of one part is sent by one PUT, so the first part may not pass its limit either.
        let first = part_bytes.min(limits.put_bytes).clamp(part_min_bytes, largest);
        let parts = limits.parts_max.clamp(1, u32::from(PartNumber::LAST.get()));
        let (constant, step) = ((parts / 10).max(1), (parts / 100).max(1));

        let mut ends = Vec::with_capacity(parts as usize + 1);
        ends.push(0);
        let (mut end, mut size) = (0u64, first);
        for index in 0..parts {
            if index >= constant && (index - constant) % step == 0 {
                size = size.saturating_mul(2).min(largest);
            }
            end = end.saturating_add(size);
            ends.push(end);
        }
        Self {
            ends,
            part_min_bytes,
            largest_part_bytes: largest,
            object_bytes: limits.object_bytes,
        }
    }

    /// Size of the first part, and of the largest file that is sent by one PUT.
    pub(super) fn first_part_bytes(&self) -> u64 {
        self.part_bytes(1).unwrap_or(self.part_min_bytes)
    }

    /// Smallest part that may be followed by another.
    pub(super) fn part_min_bytes(&self) -> u64 {
        self.part_min_bytes
    }

    /// Size of part `number`, counted from 1; `None` past the last number.
    pub(super) fn part_bytes(&self, number: u32) -> Option<u64> {
        let index = number as usize;
        Some(self.ends.get(index)? - self.ends.get(index.checked_sub(1)?)?)
    }

    /// The largest file when `sent` bytes went into the parts below `number`.
    pub(super) fn reach_bytes(&self, number: u32, sent: u64) -> u64 {
        let last = self.ends.last().copied().unwrap_or(0);
        let gone = self.ends.get(number.saturating_sub(1) as usize).copied().unwrap_or(last);
        sent.saturating_add(last - gone).min(self.object_bytes)
    }

    /// The largest file whose size is known before its first part is cut.
    pub(super) fn known_reach_bytes(&self) -> u64 {
        let parts = self.ends.len() as u64 - 1;
        self.largest_part_bytes.saturating_mul(parts).min(self.object_bytes)
    }

    /// Part size for a file of known size: equal parts, the last one shorter. `None` when it is
    /// larger than [`known_reach_bytes`](Self::known_reach_bytes).
    pub(super) fn part_bytes_for(&self, size: u64) -> Option<u64> {
        let parts = self.ends.len() as u64 - 1;
        let first = self.first_part_bytes();
        (size <= self.known_reach_bytes()).then(|| {
            let even = size.div_ceil(parts).max(1);
            even.next_multiple_of(first).min(self.largest_part_bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn limits(part_min: u64, part_max: u64, parts_max: u32, object_bytes: u64) -> Limits {
        Limits {
            part_min_bytes: part_min,
            part_max_bytes: part_max,
            parts_max,
            first_part_number: 1,
            put_bytes: part_max,
            object_bytes,
            copy_bytes: part_max,
            key_bytes: 1024,
            metadata_bytes: 2048,
            delete_batch: 1000,
            list_page: 1000,
            checksum: None,
            create_only: true,
        }
    }

    #[test]
    fn a_stream_reaches_forty_tebibytes_where_memory_allows() {
        let limits = limits(MIB, 5 * GIB, 10_000, 50_000 * GIB);
        let plan = Plan::new(8 * MIB, u64::MAX, &limits);
        assert_eq!(plan.part_bytes(1000), Some(8 * MIB));
        assert_eq!(plan.part_bytes(1001), Some(16 * MIB));
        assert_eq!(plan.part_bytes(10_000), Some(5 * GIB));
        assert_eq!(plan.part_bytes(10_001), None);
        assert!(plan.reach_bytes(1, 0) > 40_000 * GIB);
        assert_eq!(plan.known_reach_bytes(), 50_000 * GIB);
    }

    #[test]
    fn all_of_an_object_limit_of_five_tebibytes_is_reached() {
        let limits = limits(5 * MIB, 5 * GIB, 10_000, 5 << 40);
        assert_eq!(Plan::new(8 * MIB, 5 * GIB, &limits).reach_bytes(1, 0), 5 << 40);
    }

    #[test]
    fn the_documented_reach_of_half_a_gibibyte_of_memory() {
        let limits = limits(MIB, 5 * GIB, 10_000, 50_000 * GIB);
        let reach = Plan::new(8 * MIB, 128 * MIB, &limits).reach_bytes(1, 0);
        assert!((1090 * GIB..1130 * GIB).contains(&reach), "{} GiB", reach / GIB);
    }

    proptest! {
        #[test]
        fn every_size_within_reach_has_legal_parts(
            part_min in 1u64..10_000,
            span in 0u64..100_000,
            parts_max in 1u32..300,
            part in 0u64..50_000,
            largest in 0u64..200_000,
            object in 1u64..1_000_000_000,
            share in 0.0f64..=1.0,
        ) {
            let limits = limits(part_min, part_min + span, parts_max, object);
            let plan = Plan::new(part, largest, &limits);
            let mut previous = 0;
            for number in 1..=parts_max {
                let bytes = plan.part_bytes(number).unwrap();
                prop_assert!(bytes >= part_min && bytes <= part_min + span);
                prop_assert!(bytes >= previous, "parts never shrink");
                previous = bytes;
            }
            prop_assert_eq!(plan.part_bytes(parts_max + 1), None);
            prop_assert_eq!(plan.reach_bytes(parts_max + 1, 7.min(object)), 7.min(object));

            let reach = plan.reach_bytes(1, 0);
            let size = (reach as f64 * share) as u64;
            let mut left = size;
            for number in 1..=parts_max {
                left = left.saturating_sub(plan.part_bytes(number).unwrap());
            }
            prop_assert_eq!(left, 0);
            prop_assert!(plan.known_reach_bytes() >= reach);
            let even = plan.part_bytes_for(size).unwrap();
            prop_assert!(even >= part_min && even <= part_min + span);
            prop_assert!(size.div_ceil(even) <= u64::from(parts_max));
            prop_assert_eq!(plan.part_bytes_for(plan.known_reach_bytes() + 1), None);
        }
    }
}
