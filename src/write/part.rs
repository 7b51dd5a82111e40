//! The bytes of the part that is being filled: blocks of memory, their pool, and the CRC on the way
//! in. Whoever holds a block holds its permit of the budget. Knows no upload and no store.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::budget::{Budget, Permit};
use crate::store::{Checksum, ChecksumKind, Payload, RunningChecksum};
use crate::write::flight::{Flight, FlightGuard};

/// Capacities below the full block, in bytes, so that many small files fit into the budget.
const SMALL_BLOCKS: [usize; 2] = [4 << 10, 64 << 10];

/// Bytes that are copied and summed at a time: small enough to be in the first-level caches when the
/// checksum reads them again.
const COPY_BYTES: usize = 32 << 10;

/// Most idle bytes that the pool keeps for the next part.
const IDLE_BYTES: u64 = 64 << 20;

/// Full-size buffers between two uses. Fresh memory for every part would cost a page fault for each
/// 4 KiB, which is more than the copy itself.
pub(super) struct BlockPool {
    block_bytes: usize,
    idle_max: usize,
    idle: Mutex<Vec<Vec<u8>>>,
}

impl BlockPool {
    /// A pool of blocks of `block_bytes`. Keeps at most 64 MiB idle, and at most a quarter of the
    /// budget, because idle buffers hold no permit.
    pub(super) fn new(budget: &Budget, block_bytes: usize) -> Arc<Self> {
        let idle_bytes = IDLE_BYTES.min(budget.limit_bytes() / 4);
        let idle_max = (idle_bytes / block_bytes as u64) as usize;
        Arc::new(Self { block_bytes, idle_max, idle: Mutex::default() })
    }

    /// A block paid for by `permit`.
    pub(super) fn block(self: &Arc<Self>, capacity: usize, permit: Permit) -> Block {
        let reused = (capacity == self.block_bytes).then(|| self.lock().pop()).flatten();
        let data = reused.unwrap_or_else(|| Vec::with_capacity(capacity));
        Block { data, capacity, pool: Arc::clone(self), permit }
    }

    fn give_back(&self, mut data: Vec<u8>) {
        data.clear();
        let mut idle = self.lock();
        if idle.len() < self.idle_max {
            idle.push(data);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BlockPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockPool({} idle blocks of {} bytes)", self.lock().len(), self.block_bytes)
    }
}

/// One buffer, its permit, and the way back to the pool.
pub(super) struct Block {
    data: Vec<u8>,
    capacity: usize,
    pool: Arc<BlockPool>,
    permit: Permit,
}

impl Block {
    fn room(&self) -> usize {
        self.capacity - self.data.len()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.capacity == self.pool.block_bytes {
            self.pool.give_back(std::mem::take(&mut self.data));
        }
    }
}

/// A block inside a request body. The block goes before the guard, so that who waits for the end of
/// the flight finds the memory free.
struct FlyingBlock {
    block: Arc<Block>,
    _guard: FlightGuard,
}

impl AsRef<[u8]> for FlyingBlock {
    fn as_ref(&self) -> &[u8] {
        &self.block.data
    }
}

/// The bytes of one part in order. All blocks but the last are full-size and full.
pub(super) struct PartBuffer {
    pool: Arc<BlockPool>,
    blocks: Vec<Arc<Block>>,
    len: u64,
    running: Option<RunningChecksum>,
    /// Bytes below the end were changed: the running checksum is of other bytes.
    stale: bool,
}

impl PartBuffer {
    /// No bytes yet.
    pub(super) fn new(pool: &Arc<BlockPool>, kind: Option<ChecksumKind>) -> Self {
        Self {
            pool: Arc::clone(pool),
            blocks: Vec::new(),
            len: 0,
            running: kind.map(RunningChecksum::new),
            stale: false,
        }
    }

    /// Bytes held.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What it takes of the budget, in bytes.
    pub(super) fn held_bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.permit.bytes()).sum()
    }

    /// Whether a request body that was made of it still exists.
    pub(super) fn is_flying(&self) -> bool {
        self.blocks.iter().any(|block| Arc::strong_count(block) > 1)
    }

    /// Copies in what the last block has room for, up to `limit` bytes in all, and says how much.
    /// Zero means that a block must be [added](Self::add), or that the limit is reached.
    pub(super) fn append(&mut self, data: &[u8], limit: u64) -> usize {
        let left = usize::try_from(limit.saturating_sub(self.len)).unwrap_or(usize::MAX);
        let Some(block) = self.blocks.last_mut().and_then(Arc::get_mut) else { return 0 };
        let data = &data[..data.len().min(block.room()).min(left)];
        for piece in data.chunks(COPY_BYTES) {
            block.data.extend_from_slice(piece);
            if let Some(running) = self.running.as_mut().filter(|_| !self.stale) {
                running.update(piece);
            }
        }
        self.len += data.len() as u64;
        data.len()
    }

    /// Whether the last block has room but somebody still reads it (a request body that was sent
    /// and not dropped yet), so that nothing can be appended.
    pub(super) fn is_shared(&self) -> bool {
        self.blocks.last().is_some_and(|last| last.room() > 0 && Arc::strong_count(last) > 1)
    }

    /// Capacity of the block to add when `more` bytes are to come.
    pub(super) fn wanted_capacity(&self, more: usize) -> usize {
        if self.blocks.len() > 1 {
            return self.pool.block_bytes;
        }
        let need = (self.len as usize).saturating_add(more);
        let small = SMALL_BLOCKS.into_iter().filter(|small| *small < self.pool.block_bytes);
        small.into_iter().find(|small| need <= *small).unwrap_or(self.pool.block_bytes)
    }

    /// Takes a new block at the end; a small one that it replaces is copied over and freed.
    pub(super) fn add(&mut self, mut block: Block) {
        if self.blocks.last().is_some_and(|last| last.capacity < self.pool.block_bytes)
            && let Some(small) = self.blocks.pop()
        {
            let fits = small.data.len().min(block.capacity);
            block.data.extend_from_slice(&small.data[..fits]);
        }
        self.blocks.push(Arc::new(block));
    }

    /// Replaces bytes that are held: as many of `data` as lie inside. `false` when a block is being
    /// read by somebody; then nothing was changed.
    pub(super) fn overwrite(&mut self, offset: u64, data: &[u8]) -> bool {
        let block_bytes = self.pool.block_bytes;
        let end = offset.saturating_add(data.len() as u64).min(self.len);
        let Some(len) = end.checked_sub(offset).filter(|len| *len > 0) else { return true };
        let first = offset as usize / block_bytes;
        let last = (end as usize - 1) / block_bytes;
        let touched = self.blocks.get_mut(first..=last).unwrap_or_default();
        if touched.iter().any(|block| Arc::strong_count(block) > 1) {
            return false;
        }
        let (mut data, mut at) = (&data[..len as usize], offset as usize % block_bytes);
        for block in touched.iter_mut().filter_map(Arc::get_mut) {
            let (now, rest) = data.split_at(data.len().min(block.data.len() - at));
            block.data[at..at + now.len()].copy_from_slice(now);
            (data, at) = (rest, 0);
        }
        self.stale = true;
        true
    }

    /// Cuts the bytes to `len`. `false`, and nothing done, when the block at the cut is being read.
    pub(super) fn truncate(&mut self, len: u64) -> bool {
        if len >= self.len {
            return true;
        }
        let block_bytes = self.pool.block_bytes;
        let keep = (len as usize).div_ceil(block_bytes);
        if let Some(last) = keep.checked_sub(1) {
            let Some(block) = self.blocks.get_mut(last).and_then(Arc::get_mut) else {
                return false;
            };
            block.data.truncate(len as usize - last * block_bytes);
        }
        self.blocks.truncate(keep);
        self.len = len;
        self.stale = true;
        true
    }

    /// A copy of `len` bytes from `offset`; the caller stays inside.
    pub(super) fn read(&self, offset: u64, len: u64) -> Vec<Bytes> {
        let mut wanted = offset..offset.saturating_add(len).min(self.len);
        let mut out = Vec::new();
        while wanted.start < wanted.end {
            let index = wanted.start as usize / self.pool.block_bytes;
            let at = wanted.start as usize % self.pool.block_bytes;
            let Some(rest) = self.blocks.get(index).and_then(|block| block.data.get(at..)) else {
                break;
            };
            let now = rest.len().min((wanted.end - wanted.start) as usize);
            if now == 0 {
                break;
            }
            out.push(Bytes::copy_from_slice(&rest[..now]));
            wanted.start += now as u64;
        }
        out
    }

    /// The bytes, in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.blocks.iter().map(|block| block.data.as_slice())
    }

    /// The bytes as a request body that shares the blocks. The checksum is the one from the way in,
    /// or a new one when bytes were changed in place.
    pub(super) fn payload(&mut self, flight: &Arc<Flight>) -> Payload {
        if self.stale
            && let Some(kind) = self.running.as_ref().map(|running| running.value().kind)
        {
            let mut running = RunningChecksum::new(kind);
            self.blocks.iter().for_each(|block| running.update(&block.data));
            self.running = Some(running);
            self.stale = false;
        }
        let chunk = |block: &Arc<Block>| {
            let guard = flight.enter(block.data.len() as u64);
            Bytes::from_owner(FlyingBlock { block: Arc::clone(block), _guard: guard })
        };
        let chunks = self.blocks.iter().filter(|block| !block.data.is_empty()).map(chunk).collect();
        Payload::new(chunks).with_checksum(self.checksum())
    }

    fn checksum(&self) -> Option<Checksum> {
        self.running.as_ref().map(RunningChecksum::value)
    }
}

impl fmt::Debug for PartBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartBuffer({} bytes in {} blocks)", self.len, self.blocks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PayloadData;

    fn pool(budget: &Budget) -> Arc<BlockPool> {
        BlockPool::new(budget, 1 << 20)
    }

    fn fill(budget: &Budget, part: &mut PartBuffer, mut data: &[u8]) {
        while !data.is_empty() {
            let taken = part.append(data, u64::MAX);
            data = &data[taken..];
            if taken == 0 {
                let capacity = part.wanted_capacity(data.len());
                let permit = budget.try_take_unheld(capacity as u64).unwrap();
                let block = part.pool.block(capacity, permit);
                part.add(block);
            }
        }
    }

    #[test]
    fn a_small_file_costs_a_small_permit_and_grows() {
        let budget = Budget::new(8 << 20);
        let pool = pool(&budget);
        let mut part = PartBuffer::new(&pool, Some(ChecksumKind::Crc64Xz));
        let data: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
        fill(&budget, &mut part, &data[..100]);
        assert_eq!(budget.limit_bytes() - budget.free_bytes(), 4 << 10);
        fill(&budget, &mut part, &data[100..5000]);
        assert_eq!(budget.limit_bytes() - budget.free_bytes(), 64 << 10);
        fill(&budget, &mut part, &data[5000..]);
        assert_eq!(budget.limit_bytes() - budget.free_bytes(), 3 << 20);

        let flight = Arc::new(Flight::default());
        let payload = part.payload(&flight);
        let PayloadData::Chunks(chunks) = payload.data() else { panic!("not in memory") };
        assert_eq!(chunks.concat(), data);
        assert_eq!(payload.checksum(), Some(ChecksumKind::Crc64Xz.of(&data)));
        assert_eq!(flight.bytes(), 3_000_000);
        drop(part);
        assert_eq!(budget.limit_bytes() - budget.free_bytes(), 3 << 20, "the body holds it");
        drop(payload);
        assert_eq!((budget.free_bytes(), flight.bytes()), (8 << 20, 0));
        assert_eq!(pool.lock().len(), 2, "a quarter of the budget stays for the next part");
    }

    #[test]
    fn a_block_that_is_being_sent_is_not_changed() {
        let budget = Budget::new(8 << 20);
        let pool = pool(&budget);
        let mut part = PartBuffer::new(&pool, Some(ChecksumKind::Crc64Nvme));
        fill(&budget, &mut part, b"hello world");
        let body = part.payload(&Arc::new(Flight::default()));
        assert!(!part.overwrite(0, b"J") && !part.truncate(3) && part.is_shared());
        assert_eq!(part.append(b"!", u64::MAX), 0);
        drop(body);
        assert!(part.overwrite(0, b"J"));
        let body = part.payload(&Arc::new(Flight::default()));
        assert_eq!(body.checksum(), Some(ChecksumKind::Crc64Nvme.of(b"Jello world")));
    }
}
