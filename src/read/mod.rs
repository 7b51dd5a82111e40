//! Object → bytes, ahead of the reader: ranged GETs in flight while a file is read in order, exactly
//! what is asked for when it is not, always from one version of the object. Knows the store and the
//! budget; must not know inodes, handles, FUSE, HTTP or providers.
//!
//! The way of one read: [`FileReader::try_read`] answers from memory or not at all;
//! [`FileReader::read`] asks `pattern` what the reader is up to, gives up `pieces` that are behind
//! it, starts the requests (`prefetch`) it needs and those it will need, waits, and slices what
//! arrived. No byte is copied between the store's buffers and [`ReadData`].
//!
//! Memory: every piece takes its lease before the request is sent and keeps it until it is dropped.
//! Readers and their cache together hold at most half of the mount's budget and never wait for it.
//! A read that gets no lease gives up what its reader does not need at the moment, then fetches only
//! what it must return, under a mount-wide allowance of 8 MiB that is **outside the budget**; so
//! a read always proceeds. Bytes already handed out as [`ReadData`] are outside it too: one reply.

mod account;
mod cache;
mod chunk;
mod error;
mod pattern;
mod pieces;
mod prefetch;
mod reader;
mod stats;
mod verify;

#[cfg(test)]
mod fake_store;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::store::{Key, ObjectStore, ObjectVersion};

use account::{Account, Lease};
use cache::memory::MemoryCache;
use pattern::Sizes;
use reader::Shared;
use stats::Counters;

pub use chunk::ReadData;
pub use error::ReadError;
pub use reader::FileReader;
pub use stats::ReadStats;

/// Size of one emergency request at most, and the unit of the allowance.
pub(crate) const EMERGENCY_BYTES: u64 = 1 << 20;
/// Emergency requests of the whole mount at a time.
pub(crate) const EMERGENCY_REQUESTS: u32 = 8;
/// A reader that did nothing for so long gives its memory up when others need it.
const IDLE: Duration = Duration::from_secs(2);
/// Looking for idle readers visits all of them: not more often than this.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// How far and in which steps to read ahead. Values that contradict each other are cut to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadConfig {
    /// What the first read of a file fetches, and the smallest request of a sequential reader, in
    /// bytes.
    pub first_request_bytes: u64,
    /// Largest single request, in bytes.
    pub request_bytes: u64,
    /// Furthest that one reader reads ahead, in bytes; at most half the budget counts.
    pub window_bytes: u64,
    /// Small objects and randomly read blocks kept in memory, in bytes, inside the readers' half of
    /// the budget. 0: none.
    pub cache_bytes: u64,
}

impl Default for ReadConfig {
    fn default() -> Self {
        Self {
            first_request_bytes: 256 << 10,
            request_bytes: 8 << 20,
            window_bytes: 64 << 20,
            cache_bytes: 32 << 20,
        }
    }
}

impl ReadConfig {
    fn sizes(&self, most_bytes: u64) -> Sizes {
        let window = self.window_bytes.min(most_bytes).max(1);
        let request = self.request_bytes.clamp(1, window);
        Sizes { first: self.first_request_bytes.clamp(1, request), request, window }
    }
}

/// All readers of a mount: what they share.
#[derive(Debug)]
pub struct Readers {
    store: Arc<dyn ObjectStore>,
    runtime: tokio::runtime::Handle,
    sizes: Sizes,
    account: Arc<Account>,
    cache: MemoryCache,
    emergency: Semaphore,
    counters: Counters,
    open: Mutex<HashMap<u64, Weak<Shared>>>,
    last_id: AtomicU64,
    swept: Mutex<Instant>,
}

impl Readers {
    /// Requests go to `store` as tasks on `runtime`.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        budget: Budget,
        config: ReadConfig,
        runtime: tokio::runtime::Handle,
    ) -> Arc<Self> {
        let account = Account::new(budget);
        Arc::new(Self {
            store,
            runtime,
            sizes: config.sizes(account.limit_bytes()),
            cache: MemoryCache::new(config.cache_bytes.min(account.limit_bytes())),
            account,
            emergency: Semaphore::new(EMERGENCY_REQUESTS as usize),
            counters: Counters::default(),
            open: Mutex::default(),
            last_id: AtomicU64::new(0),
            swept: Mutex::new(Instant::now()),
        })
    }

    /// A reader of one version of an object. Sends nothing yet and cannot fail: that the object
    /// changed is told by the first read that needs the store.
    pub fn open(self: &Arc<Self>, key: Key, version: ObjectVersion) -> FileReader {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let reader = FileReader::new(Arc::clone(self), id, key, version);
        self.open_readers().insert(id, reader.downgrade());
        reader
    }

    /// What happened so far and what is held now.
    pub fn stats(&self) -> ReadStats {
        let open_readers = self.open_readers().len() as u64;
        self.counters.snapshot(open_readers, self.account.held_bytes())
    }

    /// Memory for a piece, if there is any to be had without waiting: free, else from the cache,
    /// else from readers that do nothing.
    fn lease(&self, bytes: u64) -> Option<Lease> {
        if bytes > self.account.limit_bytes() {
            return None;
        }
        self.account
            .try_take(bytes)
            .or_else(|| {
                self.cache.shrink(bytes);
                self.account.try_take(bytes)
            })
            .or_else(|| {
                let now = Instant::now();
                if !self.may_sweep(now) {
                    return None;
                }
                self.sweep_idle(now);
                self.account.try_take(bytes)
            })
    }

    fn may_sweep(&self, now: Instant) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.saturating_duration_since(*swept) >= SWEEP_EVERY;
        if due {
            *swept = now;
        }
        due
    }

    /// Takes from readers that did nothing lately what nobody waits for. Never waits for a reader's
    /// lock: the caller holds one, and a reader whose lock is taken is not idle.
    fn sweep_idle(&self, now: Instant) {
        for reader in self.open_readers().values().filter_map(Weak::upgrade) {
            reader.give_up_if_idle(now, IDLE);
        }
    }

    fn closed(&self, id: u64) {
        self.open_readers().remove(&id);
    }

    fn open_readers(&self) -> MutexGuard<'_, HashMap<u64, Weak<Shared>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
