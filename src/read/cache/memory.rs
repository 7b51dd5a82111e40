//! Small objects and randomly read blocks in memory, the least recently used given up first. The
//! entries keep the leases they were fetched with, so they count in the readers' part of the budget,
//! and they are the first to go when that is short. Long sequential data is not kept here: the
//! kernel's page cache does that better.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::read::cache::BlockId;
use crate::read::chunk::Chunk;

/// The budget's granularity: an entry costs whole units, as its lease does.
const UNIT_BYTES: u64 = 4096;

/// Chunks by version and start.
#[derive(Debug)]
pub(crate) struct MemoryCache {
    limit_bytes: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    chunks: LruCache<BlockId, Arc<Chunk>>,
    bytes: u64,
}

fn cost(chunk: &Chunk) -> u64 {
    chunk.range().len().div_ceil(UNIT_BYTES) * UNIT_BYTES
}

impl MemoryCache {
    /// A cache of at most `limit_bytes`; 0 switches it off.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        let inner = Inner { chunks: LruCache::unbounded(), bytes: 0 };
        Self { limit_bytes, inner: Mutex::new(inner) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.limit_bytes > 0
    }

    /// The chunk of this version that begins here.
    pub(crate) fn get(&self, id: &BlockId) -> Option<Arc<Chunk>> {
        self.lock().chunks.get(id).cloned()
    }

    /// Remembers a chunk; it replaces one that begins at the same place.
    pub(crate) fn put(&self, id: BlockId, chunk: Arc<Chunk>) {
        if cost(&chunk) > self.limit_bytes {
            return;
        }
        let mut inner = self.lock();
        inner.bytes += cost(&chunk);
        if let Some((_, replaced)) = inner.chunks.push(id, chunk) {
            inner.bytes -= cost(&replaced);
        }
        let limit = self.limit_bytes;
        inner.shrink_to(limit);
    }

    /// Gives up at least `bytes`, or everything.
    pub(crate) fn shrink(&self, bytes: u64) {
        let mut inner = self.lock();
        let rest = inner.bytes.saturating_sub(bytes);
        inner.shrink_to(rest);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn shrink_to(&mut self, bytes: u64) {
        while self.bytes > bytes {
            let Some((_, chunk)) = self.chunks.pop_lru() else { return };
            self.bytes -= cost(&chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ByteRange, Content, ETag, Key, ObjectVersion};

    fn id(start: u64, etag: &str) -> BlockId {
        BlockId { key: Key::new("k").unwrap(), etag: ETag::new(etag), start }
    }

    fn chunk(start: u64, len: u64) -> Arc<Chunk> {
        let version = ObjectVersion { etag: ETag::new("a"), size: 1 << 20 };
        let chunks = vec![vec![0; len as usize].into()];
        let content = Content { version: version.clone(), start, chunks, checksum: None };
        let range = ByteRange::at(start, len).unwrap();
        Arc::new(Chunk::accept(content, range, &version, None).unwrap())
    }

    #[test]
    fn forgets_the_least_recently_used() {
        let cache = MemoryCache::new(16 << 10);
        cache.put(id(0, "a"), chunk(0, 5000));
        cache.put(id(5000, "a"), chunk(5000, 5000));
        assert!(cache.get(&id(0, "a")).is_some());
        cache.put(id(10_000, "a"), chunk(10_000, 10));
        assert!(cache.get(&id(5000, "a")).is_none());
        assert!(cache.get(&id(0, "a")).is_some());
        assert!(cache.get(&id(0, "b")).is_none(), "another version");
        cache.shrink(1);
        assert!(cache.get(&id(10_000, "a")).is_none());
        cache.shrink(u64::MAX);
        assert_eq!(cache.lock().bytes, 0);
    }

    #[test]
    fn replacing_and_oversized_entries_are_counted_right() {
        let cache = MemoryCache::new(16 << 10);
        cache.put(id(0, "a"), chunk(0, 5000));
        cache.put(id(0, "a"), chunk(0, 6000));
        assert_eq!(cache.lock().bytes, 8 << 10);
        cache.put(id(0, "b"), chunk(0, 17 << 10));
        assert_eq!(cache.lock().chunks.len(), 1);
    }
}
