//! The pieces of one file that are in memory or on their way, ordered and never overlapping. Decides
//! which to give up; starts no requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::read::ReadError;
use crate::read::chunk::Chunk;
use crate::store::ByteRange;

/// The budget's granularity: a piece costs whole units.
const UNIT_BYTES: u64 = 4096;

/// How a request ended.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// Not yet.
    Pending,
    /// The bytes.
    Ready(Arc<Chunk>),
    /// No bytes.
    Failed(ReadError),
    /// The file moved to another key meanwhile: ask again there.
    Moved,
}

/// Where the outcome of a piece appears. Whoever waits holds a clone of the `Arc`, which is how a
/// piece knows that it is awaited. When the sender is gone without an outcome, the task died.
pub(crate) type Awaited = Arc<watch::Receiver<Outcome>>;

/// One range in memory or on its way. Dropping it ends the request.
#[derive(Debug)]
pub(crate) struct Piece {
    range: ByteRange,
    outcome: Awaited,
    task: Option<AbortHandle>,
    used: u64,
}

impl Piece {
    /// The end of the outcome that a waiting read holds.
    pub(crate) fn awaited(&self) -> Awaited {
        Arc::clone(&self.outcome)
    }

    /// Where it is in the file.
    pub(crate) fn range(&self) -> ByteRange {
        self.range
    }

    /// The bytes, if they arrived.
    pub(crate) fn ready(&self) -> Option<Arc<Chunk>> {
        match &*self.outcome.borrow() {
            Outcome::Ready(chunk) => Some(Arc::clone(chunk)),
            _ => None,
        }
    }

    fn is_ready(&self) -> bool {
        matches!(&*self.outcome.borrow(), Outcome::Ready(_))
    }

    fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.outcome) > 1
    }

    /// Ended without bytes: failed, or its task died with no outcome.
    fn is_dead(&self) -> bool {
        // The order matters: an outcome is sent before the sender goes away.
        let closed = self.outcome.has_changed().is_err();
        match &*self.outcome.borrow() {
            Outcome::Ready(_) => false,
            Outcome::Pending => closed,
            Outcome::Failed(_) | Outcome::Moved => true,
        }
    }

    fn bytes(&self) -> u64 {
        self.range.len().div_ceil(UNIT_BYTES) * UNIT_BYTES
    }

    fn overlaps(&self, range: ByteRange) -> bool {
        self.range.start() < range.end() && range.start() < self.range.end()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort(); // nothing happens when it has ended
        }
    }
}

/// What [`Pieces::trim`] leaves alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// Pieces of the read that is being served.
    pub(crate) need: ByteRange,
    /// Pieces that lie here at least in part, from and to.
    pub(crate) near: (u64, u64),
    /// Of the others, those used last, up to so many bytes.
    pub(crate) others_bytes: u64,
}

/// All pieces of one file.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    by_start: BTreeMap<u64, Piece>,
    tick: u64,
}

impl Pieces {
    /// Adds a piece inside a gap, and returns where its outcome appears.
    ///
    /// # Contract
    /// `range` overlaps no piece ([`gap`](Self::gap) tells).
    pub(crate) fn insert(
        &mut self,
        range: ByteRange,
        outcome: watch::Receiver<Outcome>,
        task: Option<AbortHandle>,
    ) -> Awaited {
        debug_assert!(self.by_start.values().all(|piece| !piece.overlaps(range)));
        let outcome = Arc::new(outcome);
        let awaited = Arc::clone(&outcome);
        self.by_start.insert(range.start(), Piece { range, outcome, task, used: self.tick });
        awaited
    }

    /// The piece at an offset, marked as used. One whose request ended without bytes is removed, so
    /// that a failure is told to those who waited for it and the next read asks anew.
    pub(crate) fn at(&mut self, offset: u64) -> Option<&Piece> {
        let (&start, piece) = self.by_start.range(..=offset).next_back()?;
        if piece.range.end() <= offset {
            return None;
        }
        if piece.is_dead() {
            self.by_start.remove(&start);
            return None;
        }
        self.tick += 1;
        let piece = self.by_start.get_mut(&start)?;
        piece.used = self.tick;
        Some(piece)
    }

    /// The widest empty range around an offset that no piece covers, up to `size`.
    pub(crate) fn gap(&self, offset: u64, size: u64) -> (u64, u64) {
        let before = self.by_start.range(..=offset).next_back();
        let after = self.by_start.range(offset..).next();
        (before.map_or(0, |(_, piece)| piece.range.end()), after.map_or(size, |(&start, _)| start))
    }

    /// The piece that begins exactly here and is still on its way.
    pub(crate) fn in_flight(&self, start: u64) -> Option<&Piece> {
        self.by_start.get(&start).filter(|piece| !piece.is_ready() && !piece.is_dead())
    }

    /// Gives up what is not worth keeping. Requests that somebody waits for go on.
    pub(crate) fn trim(&mut self, keep: Keep) {
        let mut others: Vec<(u64, u64, u64)> = Vec::new();
        self.by_start.retain(|&start, piece| {
            let near = start < keep.near.1 && piece.range.end() > keep.near.0;
            if near || piece.is_awaited() || piece.overlaps(keep.need) {
                return true;
            }
            if piece.is_ready() {
                others.push((piece.used, start, piece.bytes()));
            }
            piece.is_ready()
        });
        let mut left: u64 = others.iter().map(|other| other.2).sum();
        if left <= keep.others_bytes {
            return;
        }
        others.sort_unstable();
        for (_, start, bytes) in others {
            if left <= keep.others_bytes {
                break;
            }
            self.by_start.remove(&start);
            left -= bytes;
        }
    }

    /// Gives up everything that nobody waits for and that is not in `need`.
    pub(crate) fn give_up_all_but(&mut self, need: Option<ByteRange>) {
        self.by_start
            .retain(|_, piece| piece.is_awaited() || need.is_some_and(|need| piece.overlaps(need)));
    }

    /// Gives up everything; requests end.
    pub(crate) fn clear(&mut self) {
        self.by_start.clear();
    }

    /// Bytes in memory or on their way.
    pub(crate) fn bytes(&self) -> u64 {
        self.by_start.values().map(Piece::bytes).sum()
    }
}
