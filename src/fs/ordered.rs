//! Locks that know their place in the order of `fs/mod.rs`. A debug build panics where one is taken out of it,
//! on the first run and not on the day when two threads meet; a release build does not look.

use std::fmt;
use std::ops::{Deref, DerefMut};

use parking_lot::{Mutex, MutexGuard};

/// The reader of a handle.
pub const READER: u8 = 3;
/// The state of one inode.
pub const STATE: u8 = 4;
/// The gate.
pub const GATE: u8 = 5;
/// Tables, under which no other lock is taken.
pub const LEAF: u8 = 6;

/// A lock of a rank: taken only while this thread holds none of the same rank or a higher one.
pub struct Ordered<T, const RANK: u8>(Mutex<T>);

impl<T, const RANK: u8> Ordered<T, RANK> {
    /// Around a value.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits for the lock, never across a wait of a task: the guard cannot leave its thread.
    ///
    /// # Panics
    /// In debug builds, when it is taken out of order.
    #[track_caller]
    pub fn lock(&self) -> OrderedGuard<'_, T> {
        #[cfg(debug_assertions)]
        let place = held::Place::enter(RANK);
        OrderedGuard {
            guard: self.0.lock(),
            #[cfg(debug_assertions)]
            _place: place,
        }
    }
}

impl<T: Default, const RANK: u8> Default for Ordered<T, RANK> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug, const RANK: u8> fmt::Debug for Ordered<T, RANK> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The right to what is behind an [`Ordered`] lock.
#[derive(Debug)]
pub struct OrderedGuard<'a, T> {
    guard: MutexGuard<'a, T>,
    #[cfg(debug_assertions)]
    _place: held::Place,
}

impl<T> Deref for OrderedGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for OrderedGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(debug_assertions)]
mod held {
    use std::cell::RefCell;

    thread_local! {
        /// Ranks of the locks that this thread holds.
        static HELD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    /// A lock that this thread holds, or waits for.
    #[derive(Debug)]
    pub(super) struct Place(u8);

    impl Place {
        #[track_caller]
        pub(super) fn enter(rank: u8) -> Self {
            let above = HELD.with_borrow(|held| held.iter().copied().find(|other| *other >= rank));
            if let Some(other) = above {
                panic!("a lock of rank {rank} is taken under one of rank {other}");
            }
            HELD.with_borrow_mut(|held| held.push(rank));
            Self(rank)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            // Ranks ascend, so the last one that is equal is this.
            let _ = HELD.try_with(|held| {
                let mut held = held.borrow_mut();
                if let Some(at) = held.iter().rposition(|rank| *rank == self.0) {
                    held.remove(at);
                }
            });
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn the_order_may_be_followed_again_and_again() {
        let (state, leaf) = (Ordered::<_, STATE>::new(1), Ordered::<_, LEAF>::new(2));
        for _ in 0..2 {
            let mut first = state.lock();
            *first += *leaf.lock();
            let second = leaf.lock();
            drop(first);
            drop(second);
        }
        assert_eq!(*state.lock(), 5);
    }

    #[test]
    #[should_panic(expected = "a lock of rank 4 is taken under one of rank 6")]
    fn a_lock_out_of_order_panics() {
        let (state, leaf) = (Ordered::<_, STATE>::new(()), Ordered::<_, LEAF>::new(()));
        let _leaf = leaf.lock();
        let _state = state.lock();
    }

    #[test]
    #[should_panic(expected = "a lock of rank 4 is taken under one of rank 4")]
    fn two_of_a_rank_panic() {
        let (one, other) = (Ordered::<_, STATE>::new(()), Ordered::<_, STATE>::new(()));
        let _one = one.lock();
        let _other = other.lock();
    }
}
