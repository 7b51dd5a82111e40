//! The memory that all readers of a mount hold together: at most half of the mount's budget, so that
//! writers are never starved by data that was read ahead. Knows bytes only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::budget::{Budget, Permit};

/// The readers' part of the budget.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Budget,
    limit_bytes: u64,
    held_bytes: AtomicU64,
}

/// The right to hold some bytes; returned to account and budget on drop.
#[derive(Debug)]
pub(crate) struct Lease {
    permit: Permit,
    account: Arc<Account>,
}

impl Account {
    pub(crate) fn new(budget: Budget) -> Arc<Self> {
        let limit_bytes = budget.limit_bytes() / 2;
        Arc::new(Self { budget, limit_bytes, held_bytes: AtomicU64::new(0) })
    }

    /// Most bytes that readers may hold together.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Bytes that readers hold now.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that a lease could get now, both limits considered.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.held_bytes()).min(self.budget.free_bytes())
    }

    /// Takes bytes if they are free now. Never waits.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: u64) -> Option<Lease> {
        // Above the limit the budget would cut it, and give up for it what it could keep.
        if bytes > self.limit_bytes.saturating_sub(self.held_bytes()) {
            return None;
        }
        let permit = self.budget.try_take(bytes)?;
        let more =
            |held: u64| held.checked_add(permit.bytes()).filter(|&after| after <= self.limit_bytes);
        self.held_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Lease { permit, account: Arc::clone(self) })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.account.held_bytes.fetch_sub(self.permit.bytes(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_get_at_most_half_and_give_it_back() {
        let budget = Budget::new(64 * 1024);
        let account = Account::new(budget.clone());
        let half = account.try_take(32 * 1024).unwrap();
        assert!(account.try_take(1).is_none());
        assert_eq!(budget.free_bytes(), 32 * 1024, "a refused lease keeps nothing");
        drop(half);
        assert_eq!((account.held_bytes(), budget.free_bytes()), (0, 64 * 1024));
        assert!(account.try_take(u64::MAX).is_none());
    }

    #[test]
    fn nothing_is_taken_while_writers_hold_all() {
        let budget = Budget::new(64 * 1024);
        let account = Account::new(budget.clone());
        let _writers = budget.try_take(64 * 1024).unwrap();
        assert_eq!(account.free_bytes(), 0);
        assert!(account.try_take(1).is_none());
        assert_eq!(account.held_bytes(), 0);
    }
}
