//! What the readers of a mount did: numbers for status and metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start of the mount, and what is held now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Files open for reading now.
    pub open_readers: u64,
    /// Bytes in memory or in flight now, the cache included.
    pub held_bytes: u64,
    /// GET requests sent (a store's own retries not counted).
    pub requests: u64,
    /// GET requests that failed.
    pub failures: u64,
    /// Bytes that arrived.
    pub fetched_bytes: u64,
    /// Bytes given to callers.
    pub served_bytes: u64,
    /// Reads answered without waiting.
    pub reads_from_memory: u64,
    /// Reads that waited for the store.
    pub reads_waited: u64,
    /// Pieces taken from the memory cache.
    pub cache_hits: u64,
    /// Requests sent without memory of the budget.
    pub emergency_requests: u64,
    /// Files read whole whose checksum was right.
    pub files_verified: u64,
    /// Files read whole whose checksum was wrong.
    pub files_corrupt: u64,
}

/// The counters behind [`ReadStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) fetched_bytes: AtomicU64,
    pub(crate) served_bytes: AtomicU64,
    pub(crate) reads_from_memory: AtomicU64,
    pub(crate) reads_waited: AtomicU64,
    pub(crate) cache_hits: AtomicU64,
    pub(crate) emergency_requests: AtomicU64,
    pub(crate) files_verified: AtomicU64,
    pub(crate) files_corrupt: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn snapshot(&self, open_readers: u64, held_bytes: u64) -> ReadStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReadStats {
            open_readers,
            held_bytes,
            requests: get(&self.requests),
            failures: get(&self.failures),
            fetched_bytes: get(&self.fetched_bytes),
            served_bytes: get(&self.served_bytes),
            reads_from_memory: get(&self.reads_from_memory),
            reads_waited: get(&self.reads_waited),
            cache_hits: get(&self.cache_hits),
            emergency_requests: get(&self.emergency_requests),
            files_verified: get(&self.files_verified),
            files_corrupt: get(&self.files_corrupt),
        }
    }
}
