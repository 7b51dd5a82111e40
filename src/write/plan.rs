//! How large each part of an upload is, before anybody knows how large the file will be. Pure.
//!
//! Parts start at `part_bytes` and stay so for the first tenth of all part numbers (8 GiB at 8 MiB
//! and 10,000 parts), so that ordinary files have many small parts that go out in parallel. Then
//! the size doubles with every hundredth of the part numbers, stays for another tenth at the largest
//! that memory carries (to some 80 GiB with 64 MiB), and goes on to the service's largest part.
//!
//! How long a file can be does not depend on memory: a part that is too large for it goes through a
//! file on disk, at the speed of that disk. The first tenth is bent to what memory takes, because those
//! are the parts of ordinary files. Together this costs a sixth of what 10,000 of the largest parts
//! would hold: 36 of 48 TiB are reached by a stream whose size nobody knew. A write beyond the reach is refused before
//! its first byte is taken.

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
    /// Parts from `part_bytes` on, bent to what the service takes; the first ones to `memory_bytes`
    /// too.
    pub(super) fn new(part_bytes: u64, memory_bytes: u64, limits: &Limits) -> Self {
        let largest = limits.part_max_bytes.max(1);
        let part_min_bytes = limits.part_min_bytes.clamp(1, largest);
        // A file of one part is sent by one PUT, so the first part may not pass its limit either.
        let base = part_bytes.min(limits.put_bytes).clamp(part_min_bytes, largest);
        let first = base.min(memory_bytes).max(part_min_bytes);
        let parts = limits.parts_max.clamp(1, u32::from(PartNumber::LAST.get()));
        let (constant, step) = ((parts / 10).max(1), (parts / 100).max(1));

        let mut ends = Vec::with_capacity(parts as usize + 1);
        ends.push(0);
        let (mut end, mut size) = (0u64, base);
        let mut grows_at = constant;
        let mut kept = false;
        for index in 0..parts {
            if index == grows_at {
                let next = size.saturating_mul(2).min(largest);
                // The last size that memory carries is kept once, for as long as the first.
                if !kept && size <= memory_bytes && next > memory_bytes {
                    (kept, grows_at) = (true, index + constant);
                } else {
                    (size, grows_at) = (next, index + step);
                }
            }
            end = end.saturating_add(if index < constant { first } else { size });
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

    /// Most parts of an upload.
    pub(super) fn parts_max(&self) -> u64 {
        self.ends.len() as u64 - 1
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
        let parts = self.parts_max();
        self.largest_part_bytes.saturating_mul(parts).min(self.object_bytes)
    }

    /// Part size for a file of known size: equal parts, the last one shorter. `None` when it is
    /// larger than [`known_reach_bytes`](Self::known_reach_bytes).
    pub(super) fn part_bytes_for(&self, size: u64) -> Option<u64> {
        let parts = self.parts_max();
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
            range_copy_min_source_bytes: 1,
            key_bytes: 1024,
            metadata_bytes: 2048,
            delete_batch: 1000,
            list_page: 1000,
            checksum: None,
            create_only: true,
            compare_and_swap: true,
            mixed_part_conditions: true,
            archive_classes: &[],
            rename: false,
            append: None,
        }
    }

    #[test]
    fn a_stream_reaches_thirty_five_tebibytes_whatever_the_memory() {
        let limits = limits(MIB, 5 * GIB, 10_000, 50_000 * GIB);
        for memory in [0, MIB, 4 * MIB, 64 * MIB, u64::MAX] {
            let plan = Plan::new(8 * MIB, memory, &limits);
            assert_eq!(plan.part_bytes(1000), Some(memory.clamp(MIB, 8 * MIB)));
            assert_eq!(plan.part_bytes(1001), Some(16 * MIB));
            assert_eq!(plan.part_bytes(10_000), Some(5 * GIB));
            assert_eq!(plan.part_bytes(10_001), None);
            assert!(plan.reach_bytes(1, 0) > 35 << 40);
            assert_eq!(plan.known_reach_bytes(), 50_000 * GIB);
        }
    }

    #[test]
    fn all_of_an_object_limit_of_five_tebibytes_is_reached() {
        let limits = limits(5 * MIB, 5 * GIB, 10_000, 5 << 40);
        assert_eq!(Plan::new(8 * MIB, MIB, &limits).reach_bytes(1, 0), 5 << 40);
    }

    proptest! {
        #[test]
        fn every_size_within_reach_has_legal_parts(
            part_min in 1u64..10_000,
            span in 0u64..100_000,
            parts_max in 1u32..300,
            part in 0u64..50_000,
            memory in 0u64..200_000,
            object in 1u64..1_000_000_000,
            share in 0.0f64..=1.0,
        ) {
            let limits = limits(part_min, part_min + span, parts_max, object);
            let plan = Plan::new(part, memory, &limits);
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

        /// With the limits as the services state them: COS, OSS, QingStor, S3.
        #[test]
        fn every_size_up_to_the_largest_object_can_be_stored(
            service in 0usize..4,
            memory in 0u64..1 << 40,
            part in 0u64..6 << 30,
            share in 0.0f64..=1.0,
        ) {
            let limits = [
                limits(MIB, 5 * GIB, 10_000, 50_000 * GIB),
                limits(100 << 10, 5 * GIB, 10_000, 50_000 * GIB),
                limits(4 * MIB, 5 * GIB, 10_000, 50 << 40),
                limits(5 * MIB, 5 * GIB, 10_000, 5 << 40),
            ][service].clone();
            let plan = Plan::new(part, memory, &limits);
            let size = (limits.object_bytes.min(50_000 * GIB) as f64 * share) as u64;
            let even = plan.part_bytes_for(size).unwrap();
            prop_assert!(even >= limits.part_min_bytes && even <= limits.part_max_bytes);
            prop_assert!(size.div_ceil(even) <= 10_000);
            let schedule: u64 = (1..=10_000).map(|number| plan.part_bytes(number).unwrap()).sum();
            prop_assert_eq!(plan.reach_bytes(1, 0), schedule.min(limits.object_bytes));
            if part >= 8 * MIB {
                prop_assert!(plan.reach_bytes(1, 0) >= limits.object_bytes.min(35 << 40));
            }
        }
    }
}
