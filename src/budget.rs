//! The bytes one mount may hold in memory. Whoever holds a buffer holds its [`Permit`]; when the
//! permit is dropped the bytes are free again. Knows nothing of files, parts or blocks.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Granularity in bytes: the semaphore counts in these, because its permits are 32-bit numbers.
const UNIT_BYTES: u64 = 4096;

/// A shared account of bytes. Clones are the same account.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    limit_bytes: u64,
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
        Self { free: Arc::new(Semaphore::new(units as usize)), limit_bytes: units * UNIT_BYTES }
    }

    /// The limit, in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Bytes that nobody holds now.
    pub fn free_bytes(&self) -> u64 {
        self.free.available_permits() as u64 * UNIT_BYTES
    }

    /// Takes bytes if they are free now and nobody waits for them.
    pub fn try_take(&self, bytes: u64) -> Option<Permit> {
        let units = self.units(bytes);
        let held = Arc::clone(&self.free).try_acquire_many_owned(units).ok()?;
        Some(Permit { _held: held, bytes: u64::from(units) * UNIT_BYTES })
    }

    /// Waits until the bytes are free, in order of asking. More than the limit is cut to the limit,
    /// so that a wait always can end.
    pub async fn take(&self, bytes: u64) -> Permit {
        let units = self.units(bytes);
        let held = Arc::clone(&self.free).acquire_many_owned(units).await;
        let held = held.expect("the semaphore is never closed");
        Permit { _held: held, bytes: u64::from(units) * UNIT_BYTES }
    }

    fn units(&self, bytes: u64) -> u32 {
        let units = bytes.div_ceil(UNIT_BYTES).clamp(1, self.limit_bytes / UNIT_BYTES);
        u32::try_from(units).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
