//! The bytes one mount may hold in memory. Whoever holds a buffer holds its [`Permit`]; when the
//! permit is dropped the bytes are free again. Whoever holds bytes that are only good to have can say so
//! ([`Spare`]): they count as free, and are given up when somebody needs them. Knows nothing of files,
//! parts or blocks.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use crate::sync::{OwnedSemaphorePermit, Semaphore};

/// Granularity in bytes: the semaphore counts in these, because its permits are 32-bit numbers.
const UNIT_BYTES: u64 = 4096;

/// Bytes that somebody holds only as long as nobody needs the room.
///
/// # Contract
/// Both are called with whatever locks the caller of the budget holds: they never wait, and take no lock
/// under which the budget is asked for anything. Permits may be dropped.
pub trait Spare: Send + Sync + fmt::Debug {
    /// How many bytes would be free at once if all were given up.
    fn bytes(&self) -> u64;

    /// Gives up as much as `bytes` need, or all there is.
    fn give_up(&self, bytes: u64);
}

/// A shared account of bytes. Clones are the same account.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    limit_bytes: u64,
    spare: Arc<OnceLock<Weak<dyn Spare>>>,
}

/// The right to hold some bytes; returned to the budget on drop.
#[derive(Debug)]
pub struct Permit {
    _held: OwnedSemaphorePermit,
    bytes: u64,
}

impl Permit {
    /// How many bytes it stands for, rounded up to whole units.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Budget {
    /// An account of `limit_bytes`, rounded down to whole units of 4 KiB, at least one.
    pub fn new(limit_bytes: u64) -> Self {
        let units = (limit_bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS as u64);
        Self {
            free: Arc::new(Semaphore::new(units as usize)),
            limit_bytes: units * UNIT_BYTES,
            spare: Arc::default(),
        }
    }

    /// Names the holder of bytes that are to spare. There can be one: `false`, and nothing done, when
    /// another was named before.
    pub fn set_spare(&self, spare: Weak<dyn Spare>) -> bool {
        self.spare.set(spare).is_ok()
    }

    /// The limit, in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Bytes that can be had at once: nobody holds them, or somebody who can spare them.
    pub fn free_bytes(&self) -> u64 {
        self.unheld_bytes() + self.spare().map_or(0, |spare| spare.bytes())
    }

    /// Takes bytes if they can be had at once and nobody waits for them. What is to spare is given up
    /// for it.
    pub fn try_take(&self, bytes: u64) -> Option<Permit> {
        if let Some(permit) = self.try_take_unheld(bytes) {
            return Some(permit);
        }
        let spare = self.spare()?;
        let missing = bytes.min(self.limit_bytes).saturating_sub(self.unheld_bytes());
        // In whole units, which the last byte may begin.
        spare.give_up(missing.next_multiple_of(UNIT_BYTES).max(UNIT_BYTES));
        self.try_take_unheld(bytes)
    }

    /// Takes bytes if nobody holds them now and nobody waits for them. What is to spare stays.
    pub fn try_take_unheld(&self, bytes: u64) -> Option<Permit> {
        let units = self.units(bytes);
        let held = Arc::clone(&self.free).try_acquire_many_owned(units).ok()?;
        Some(Permit { _held: held, bytes: u64::from(units) * UNIT_BYTES })
    }

    /// Waits until nobody holds the bytes, in order of asking. More than the limit is cut to the limit,
    /// so that a wait always can end. What is to spare stays: who waits beside its holder asks that one.
    pub async fn take(&self, bytes: u64) -> Permit {
        let units = self.units(bytes);
        let held = Arc::clone(&self.free).acquire_many_owned(units).await;
        let held = held.expect("the semaphore is never closed");
        Permit { _held: held, bytes: u64::from(units) * UNIT_BYTES }
    }

    fn unheld_bytes(&self) -> u64 {
        self.free.available_permits() as u64 * UNIT_BYTES
    }

    fn spare(&self) -> Option<Arc<dyn Spare>> {
        self.spare.get()?.upgrade()
    }

    fn units(&self, bytes: u64) -> u32 {
        let units = bytes.div_ceil(UNIT_BYTES).clamp(1, self.limit_bytes / UNIT_BYTES);
        u32::try_from(units).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Permits that can be spared, one at a time.
    #[derive(Debug, Default)]
    struct Hoard(Mutex<Vec<Permit>>);

    impl Spare for Hoard {
        fn bytes(&self) -> u64 {
            self.0.lock().unwrap().iter().map(Permit::bytes).sum()
        }

        fn give_up(&self, bytes: u64) {
            let mut left = bytes;
            while left > 0
                && let Some(permit) = self.0.lock().unwrap().pop()
            {
                left = left.saturating_sub(permit.bytes());
            }
        }
    }

    #[test]
    fn what_is_to_spare_counts_as_free_and_goes_when_it_is_needed() {
        let budget = Budget::new(16 * 1024);
        let hoard = Arc::new(Hoard::default());
        let spare: Weak<dyn Spare> = Arc::<Hoard>::downgrade(&hoard);
        assert!(budget.set_spare(spare.clone()));
        assert!(!budget.set_spare(spare), "one only");
        for _ in 0..3 {
            hoard.0.lock().unwrap().push(budget.try_take(1).unwrap());
        }
        assert_eq!(budget.free_bytes(), 16 * 1024);
        assert!(budget.try_take_unheld(5000).is_none());
        assert_eq!(hoard.bytes(), 12 * 1024);
        let two = budget.try_take(5000).unwrap();
        assert_eq!(hoard.bytes(), 8 * 1024, "no more than was missing");
        let rest = budget.try_take(8 * 1024).unwrap();
        assert_eq!((hoard.bytes(), budget.free_bytes()), (0, 0));
        assert!(budget.try_take(1).is_none());
        drop((two, rest, hoard));
        assert_eq!(budget.free_bytes(), 16 * 1024);
    }

    #[tokio::test]
    async fn permits_come_back_on_drop() {
        let budget = Budget::new(16 * 1024);
        let all = budget.try_take(16 * 1024).unwrap();
        assert_eq!(budget.free_bytes(), 0);
        assert!(budget.try_take(1).is_none());
        drop(all);
        assert_eq!(budget.free_bytes(), 16 * 1024);
    }

    #[tokio::test]
    async fn a_demand_above_the_limit_is_cut_to_the_limit() {
        let budget = Budget::new(16 * 1024);
        assert_eq!(budget.take(1 << 40).await.bytes(), 16 * 1024);
    }
}
