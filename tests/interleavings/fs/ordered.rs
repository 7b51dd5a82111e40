//! The locks of `src/fs/ordered.rs` without their order, which is one of real threads.

use crate::sync::{Mutex, MutexGuard};

pub const GATE: u8 = 5;

/// A lock.
#[derive(Debug)]
pub struct Ordered<T, const RANK: u8>(Mutex<T>);

impl<T, const RANK: u8> Ordered<T, RANK> {
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock()
    }
}
