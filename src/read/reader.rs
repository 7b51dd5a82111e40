//! One open file: keeps the state of its reads and puts answers together from pieces. Which pieces to
//! fetch is `pattern`'s decision, fetching them `prefetch`'s work.
//!
//! Lock order: a reader's state before the cache, the list of open readers and the account. The
//! state is never locked across an await, and another reader's state only by `try_lock`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::read::chunk::{Chunk, ReadData};
use crate::read::pattern::{Pattern, Plan};
use crate::read::pieces::{Awaited, Keep, Outcome, Pieces};
use crate::read::stats::count;
use crate::read::verify::WholeCheck;
use crate::read::{EMERGENCY_BYTES, EMERGENCY_REQUESTS, ReadError, Readers};
use crate::store::{ByteRange, ErrorKind, Key, ObjectVersion, Operation, StoreError};

/// How often a read begins anew because the file moved to another key or a task died.
const ROUNDS: u32 = 4;

/// Reads one version of one object. Shareable; reads may overlap and come in any order. Dropping it
/// ends its requests.
#[derive(Debug)]
pub struct FileReader {
    shared: Arc<Shared>,
}

/// What a reader shares with its tasks.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) readers: Arc<Readers>,
    id: u64,
    pub(crate) size: u64,
    state: Mutex<State>,
}

/// Where the bytes are. Compared by pointer: each [`FileReader::retarget`] makes a new one.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) key: Key,
    pub(crate) version: ObjectVersion,
}

/// What changes while a file is read.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) target: Arc<Target>,
    pub(crate) pattern: Pattern,
    pub(crate) pieces: Pieces,
    pub(crate) check: WholeCheck,
    /// The object is no longer there: nothing can be fetched any more.
    pub(crate) stale: bool,
    /// The whole was read and is not what the service says it is.
    pub(crate) corrupt: Option<StoreError>,
    used: Instant,
}

/// One step of putting a read together.
pub(crate) enum Segment {
    /// Wait for a piece.
    Piece(Awaited),
    /// Take what is in memory.
    Ready(Arc<Chunk>),
    /// There is no memory for a piece: fetch just this, for this read alone.
    Emergency(Arc<Target>, ByteRange),
}

/// Everything a read has to wait for.
struct Work {
    segments: Vec<Segment>,
    /// Pieces before the end of the file whose checksums belong to the verdict on the whole.
    unchecked: Vec<Awaited>,
}

impl FileReader {
    pub(crate) fn new(readers: Arc<Readers>, id: u64, key: Key, version: ObjectVersion) -> Self {
        let size = version.size;
        let state = State {
            pattern: Pattern::new(readers.sizes),
            target: Arc::new(Target { key, version }),
            pieces: Pieces::default(),
            check: WholeCheck::new(size),
            stale: false,
            corrupt: None,
            used: Instant::now(),
        };
        Self { shared: Arc::new(Shared { readers, id, size, state: Mutex::new(state) }) }
    }

    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    /// The bytes from `offset`, at most `len`, cut at the end of the file, if all of them are in
    /// memory; also reads further ahead. Never waits for the store or for memory, so a kernel
    /// dispatch thread may call it. `None` means nothing but "use [`read`](Self::read)".
    pub fn try_read(&self, offset: u64, len: u32) -> Option<ReadData> {
        let Some(need) = self.shared.inside(offset, len) else {
            return Some(ReadData::default());
        };
        let mut state = self.shared.lock();
        if state.corrupt.is_some() {
            return None;
        }
        let mut data = ReadData::default();
        let mut at = need.start();
        while at < need.end() {
            let chunk = match state.pieces.at(at) {
                Some(piece) => piece.ready()?,
                None => self.shared.cached(&mut state, at)?,
            };
            at = chunk.slice_into(at, need.end(), &mut data)?;
        }
        if need.end() == self.shared.size && !state.unchecked(need.end()).is_empty() {
            return None;
        }
        let plan = self.shared.plan(&mut state, need);
        self.shared.read_ahead(&mut state, plan);
        drop(state);
        let counters = &self.shared.readers.counters;
        count(&counters.reads_from_memory, 1);
        count(&counters.served_bytes, data.len() as u64);
        Some(data)
    }

    /// The bytes from `offset`, at most `len`, cut at the end of the file (empty from there on).
    /// Waits for the store. Safe to cancel and to repeat.
    ///
    /// # Errors
    /// [`ReadError::Stale`] when the object was replaced or deleted and these bytes are not in
    /// memory; final until [`retarget`](Self::retarget). [`ReadError::Store`] when the store failed;
    /// the next read asks again. [`ErrorKind::Corrupt`] when the file was fetched whole and its
    /// checksum is wrong, at the latest by the read that ends the file; final, because it is not
    /// known which bytes are wrong.
    pub async fn read(&self, offset: u64, len: u32) -> Result<ReadData, ReadError> {
        let Some(need) = self.shared.inside(offset, len) else {
            return Ok(ReadData::default());
        };
        let counters = &self.shared.readers.counters;
        count(&counters.reads_waited, 1);
        for round in 0..ROUNDS {
            let work = self.shared.begin(need, round == 0)?;
            if let Some(data) = self.shared.finish(need, work).await? {
                count(&counters.served_bytes, data.len() as u64);
                return Ok(data);
            }
        }
        let message = "the read was interrupted again and again";
        Err(ReadError::Store(StoreError::new(ErrorKind::Unavailable, Operation::Get, message)))
    }

    /// The open file was renamed: the same bytes are now at another key, perhaps under another ETag.
    /// What is in memory stays; later requests go there, and requests to the old place that find
    /// nothing are repeated. Call it when the copy exists and before the old object is deleted.
    ///
    /// # Contract
    /// The content is the same. Another size cannot be, and makes the reader stale.
    pub fn retarget(&self, key: Key, version: ObjectVersion) {
        let mut state = self.shared.lock();
        state.stale = version.size != self.shared.size;
        state.target = Arc::new(Target { key, version });
    }

    /// The version that is read.
    pub fn version(&self) -> ObjectVersion {
        self.shared.lock().target.version.clone()
    }
}

impl Drop for FileReader {
    fn drop(&mut self) {
        self.shared.readers.closed(self.shared.id);
        self.shared.lock().pieces.clear();
    }
}

impl State {
    /// The pieces on their way whose checksums are needed for the verdict at the end of the file.
    fn unchecked(&self, size: u64) -> Vec<Awaited> {
        let end_of = |start| self.pieces.in_flight(start).map(|piece| piece.range().end());
        let starts = self.check.missing_before(size, end_of);
        let piece = |start| Some(self.pieces.in_flight(start)?.awaited());
        starts.into_iter().filter_map(piece).collect()
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up all memory that nobody waits for, if nothing was read for `idle`. Does not wait for
    /// the lock.
    pub(crate) fn give_up_if_idle(&self, now: Instant, idle: Duration) {
        if let Ok(mut state) = self.state.try_lock()
            && now.saturating_duration_since(state.used) >= idle
        {
            state.pieces.give_up_all_but(None);
        }
    }

    /// The part of a read that lies inside the file.
    fn inside(&self, offset: u64, len: u32) -> Option<ByteRange> {
        ByteRange::new(offset, offset.saturating_add(u64::from(len)).min(self.size))
    }

    /// Takes note of a read and gives up what lies behind it.
    fn plan(&self, state: &mut State, need: ByteRange) -> Plan {
        let sizes = self.readers.sizes;
        state.used = Instant::now();
        // Half of what is free: the reader that comes next finds room as well.
        let most_ahead = state.pieces.bytes() + self.readers.account.free_bytes() / 2;
        let plan = state.pattern.observe(need.start(), need.end(), self.size, most_ahead);
        let (near, others_bytes) = match plan {
            Plan::Random { .. } => ((0, 0), sizes.reorder()),
            Plan::Sequential { keep_from, high, .. } => {
                let to = high.saturating_add(sizes.window).saturating_add(sizes.request);
                ((keep_from, to), 0)
            }
        };
        state.pieces.trim(Keep { need, near, others_bytes });
        plan
    }

    /// Finds or starts everything a read needs, and reads ahead.
    fn begin(self: &Arc<Self>, need: ByteRange, first_round: bool) -> Result<Work, ReadError> {
        let mut state = self.lock();
        if let Some(error) = &state.corrupt {
            return Err(ReadError::Store(error.clone()));
        }
        let plan = if first_round {
            self.plan(&mut state, need)
        } else {
            Plan::Random { from: need.start(), to: need.end() }
        };
        let segments = self.cover(&mut state, need, plan)?;
        self.read_ahead(&mut state, plan);
        let unchecked =
            if need.end() == self.size { state.unchecked(self.size) } else { Vec::new() };
        Ok(Work { segments, unchecked })
    }

    /// Waits for the work and slices it together; `None` when it must begin anew.
    async fn finish(&self, need: ByteRange, work: Work) -> Result<Option<ReadData>, ReadError> {
        // One permit for all of the read: a second would be waited for while the first is held.
        let missing: u64 = work.segments.iter().map(Segment::emergency_bytes).sum();
        let _allowance = if missing > 0 {
            let units = missing.div_ceil(EMERGENCY_BYTES).min(u64::from(EMERGENCY_REQUESTS));
            self.readers.emergency.acquire_many(units as u32).await.ok()
        } else {
            None
        };
        let mut data = ReadData::default();
        let mut at = need.start();
        for segment in work.segments {
            let outcome = match segment {
                Segment::Ready(chunk) => Outcome::Ready(chunk),
                Segment::Piece(awaited) => outcome_of(&awaited).await,
                Segment::Emergency(target, range) => {
                    count(&self.readers.counters.emergency_requests, 1);
                    self.fetch(&target, range, None, false).await
                }
            };
            match outcome {
                Outcome::Ready(chunk) => {
                    at = chunk.slice_into(at, need.end(), &mut data).ok_or_else(misplaced)?;
                }
                Outcome::Failed(error) => return Err(error),
                Outcome::Pending | Outcome::Moved => return Ok(None),
            }
        }
        for awaited in &work.unchecked {
            outcome_of(awaited).await; // a failure only means that nothing can be verified
        }
        if need.end() == self.size
            && let Some(error) = &self.lock().corrupt
        {
            return Err(ReadError::Store(error.clone()));
        }
        if at == need.end() { Ok(Some(data)) } else { Err(misplaced()) }
    }
}

impl Segment {
    fn emergency_bytes(&self) -> u64 {
        match self {
            Self::Emergency(_, range) => range.len(),
            Self::Piece(_) | Self::Ready(_) => 0,
        }
    }
}

/// Waits for a piece. [`Outcome::Pending`] when its task died.
async fn outcome_of(awaited: &Awaited) -> Outcome {
    let mut receiver = (**awaited).clone();
    match receiver.wait_for(|outcome| !matches!(outcome, Outcome::Pending)).await {
        Ok(outcome) => outcome.clone(),
        Err(_) => Outcome::Pending,
    }
}

/// Pieces that do not fit together: a defect of ours, told as an error instead of as wrong bytes.
pub(crate) fn misplaced() -> ReadError {
    let message = "pieces of the file do not fit together";
    ReadError::Store(StoreError::new(ErrorKind::InvalidAnswer, Operation::Get, message))
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
