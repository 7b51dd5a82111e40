//! Ranged GETs: which ones a plan needs, their tasks, and what their ends mean for the reader.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::read::account::Lease;
use crate::read::cache::BlockId;
use crate::read::chunk::Chunk;
use crate::read::pattern::{Plan, Sizes};
use crate::read::pieces::{Awaited, Outcome};
use crate::read::reader::{Segment, Shared, State, Target, misplaced};
use crate::read::stats::count;
use crate::read::verify::Verdict;
use crate::read::{EMERGENCY_BYTES, ReadError};
use crate::store::{ByteRange, Conditions, ErrorKind, Operation, StoreError};

impl Shared {
    /// Everything between the ends of `need`, in order: found, or on its way from now on.
    pub(crate) fn cover(
        self: &Arc<Self>,
        state: &mut State,
        need: ByteRange,
        plan: Plan,
    ) -> Result<Vec<Segment>, ReadError> {
        let mut segments = Vec::new();
        let mut at = need.start();
        while at < need.end() {
            if let Some(piece) = state.pieces.at(at) {
                segments.push(Segment::Piece(piece.awaited()));
                at = piece.range().end();
            } else if let Some(chunk) = self.cached(state, at) {
                at = chunk.range().end();
                segments.push(Segment::Ready(chunk));
            } else if state.stale {
                return Err(ReadError::Stale);
            } else {
                let (segment, end) = self.obtain(state, at, need, plan)?;
                segments.push(segment);
                at = end;
            }
        }
        Ok(segments)
    }

    /// Starts a request that covers `at`, and says up to where it reaches.
    fn obtain(
        self: &Arc<Self>,
        state: &mut State,
        at: u64,
        need: ByteRange,
        plan: Plan,
    ) -> Result<(Segment, u64), ReadError> {
        let gap = state.pieces.gap(at, self.size);
        let sizes = self.readers.sizes;
        let exactly = |most: u64| (at, need.end().min(gap.1).min(at.saturating_add(most)));
        let cacheable = matches!(plan, Plan::Random { .. }) || self.size <= sizes.first;
        let planned = plan.request_at(at, need.end(), gap, sizes);
        let mut leased = self.lease_for(planned);
        if leased.is_none() {
            state.pieces.give_up_all_but(Some(need));
            leased = self.lease_for(exactly(sizes.request));
        }
        if let Some((range, lease)) = leased {
            let awaited = self.start(state, range, lease, cacheable);
            return Ok((Segment::Piece(awaited), range.end()));
        }
        let (from, to) = exactly(EMERGENCY_BYTES);
        let range = ByteRange::new(from, to).ok_or_else(misplaced)?;
        Ok((Segment::Emergency(Arc::clone(&state.target), range), to))
    }

    /// Starts the requests that a sequential reader will need, as far as memory allows.
    pub(crate) fn read_ahead(self: &Arc<Self>, state: &mut State, plan: Plan) {
        let Plan::Sequential { high, ahead_to, request, .. } = plan else { return };
        if state.stale || state.corrupt.is_some() {
            return;
        }
        let cacheable = self.size <= self.readers.sizes.first;
        let mut at = high;
        while at < ahead_to {
            if let Some(piece) = state.pieces.at(at) {
                at = piece.range().end();
                continue;
            }
            let (_, gap_end) = state.pieces.gap(at, self.size);
            let to = at.saturating_add(request).min(gap_end).min(ahead_to);
            if to - at < request && to != gap_end {
                break; // a whole request fits when the reader is a little further
            }
            let Some((range, lease)) = self.lease_for((at, to)) else { break };
            self.start(state, range, lease, cacheable);
            at = to;
        }
    }

    fn lease_for(&self, (from, to): (u64, u64)) -> Option<(ByteRange, Lease)> {
        let range = ByteRange::new(from, to)?;
        Some((range, self.readers.lease(range.len())?))
    }

    /// Adds a piece and the task that fetches it.
    fn start(
        self: &Arc<Self>,
        state: &mut State,
        range: ByteRange,
        lease: Lease,
        cacheable: bool,
    ) -> Awaited {
        let (sender, receiver) = watch::channel(Outcome::Pending);
        let (shared, target) = (Arc::clone(self), Arc::clone(&state.target));
        let task = self.readers.runtime.spawn(async move {
            let outcome = shared.fetch(&target, range, Some(lease), cacheable).await;
            // Nobody listens any more when the piece was given up meanwhile.
            let _ = sender.send(outcome);
        });
        state.pieces.insert(range, receiver, Some(task.abort_handle()))
    }

    /// One GET to its end, and what the end means for this reader. With no lease, the caller holds
    /// part of the emergency allowance.
    pub(crate) async fn fetch(
        &self,
        target: &Arc<Target>,
        range: ByteRange,
        lease: Option<Lease>,
        cacheable: bool,
    ) -> Outcome {
        count(&self.readers.counters.requests, 1);
        let (lowered, started) = (self.lock().pattern.lowered(), Instant::now());
        let version = Conditions::matching(&target.version.etag);
        let chunk = match self.readers.store.get(&target.key, Some(range), &version).await {
            Ok(content) => Chunk::accept(content, range, &target.version, lease),
            Err(error) => Err(ReadError::of_get(error)),
        };
        self.lock().pattern.took(started.elapsed(), range.len(), lowered);
        match chunk {
            Ok(chunk) => Outcome::Ready(self.arrived(target, chunk, cacheable)),
            Err(error) => self.failed(target, range, error),
        }
    }

    fn arrived(&self, target: &Target, chunk: Chunk, cacheable: bool) -> Arc<Chunk> {
        count(&self.readers.counters.fetched_bytes, chunk.range().len());
        let chunk = Arc::new(chunk);
        let good = {
            let mut state = self.lock();
            self.check_in(&mut state, &chunk);
            state.corrupt.is_none()
        };
        let account = &self.readers.account;
        let roomy = account.free_bytes() >= account.limit_bytes() / 4;
        if cacheable && good && roomy && self.readers.cache.is_on() {
            self.readers.cache.put(target.block(chunk.range().start()), Arc::clone(&chunk));
        }
        chunk
    }

    fn failed(&self, target: &Arc<Target>, range: ByteRange, error: ReadError) -> Outcome {
        count(&self.readers.counters.failures, 1);
        let mut state = self.lock();
        if matches!(error, ReadError::Stale) {
            if !Arc::ptr_eq(&state.target, target) {
                return Outcome::Moved;
            }
            state.stale = true;
        }
        state.pattern.slow_down();
        tracing::debug!(key = %target.key, %range, %error, "a read request failed");
        Outcome::Failed(error)
    }

    /// A chunk from the shared cache that covers `at`; becomes a piece of this reader.
    pub(crate) fn cached(&self, state: &mut State, at: u64) -> Option<Arc<Chunk>> {
        let cache = &self.readers.cache;
        if !cache.is_on() {
            return None;
        }
        let sizes = self.readers.sizes;
        let block = at - at % sizes.block();
        let starts = [block, at, 0];
        let small = self.size <= sizes.first;
        let (from, to) = state.pieces.gap(at, self.size);
        let chunk = starts[..if small { 3 } else { 2 }].iter().find_map(|&start| {
            let chunk = cache.get(&state.target.block(start))?;
            let range = chunk.range();
            let fits = range.start() >= from && range.end() <= to;
            (fits && (range.start()..range.end()).contains(&at)).then_some(chunk)
        })?;
        count(&self.readers.counters.cache_hits, 1);
        self.check_in(state, &chunk);
        let (_, receiver) = watch::channel(Outcome::Ready(Arc::clone(&chunk)));
        state.pieces.insert(chunk.range(), receiver, None);
        Some(chunk)
    }

    /// Folds a chunk into the check of the whole object.
    fn check_in(&self, state: &mut State, chunk: &Chunk) {
        let Some((piece, whole)) = chunk.checks() else { return };
        match state.check.add(chunk.range(), piece, whole) {
            Verdict::Open => {}
            Verdict::Good => count(&self.readers.counters.files_verified, 1),
            Verdict::Bad => {
                count(&self.readers.counters.files_corrupt, 1);
                let key = &state.target.key;
                // Whoever reads the end is told, and the log with it.
                tracing::debug!(%key, stated = ?whole, "the bytes read are not the object's");
                let message = format!("the bytes read do not have the stated checksum {whole:?}");
                let error = StoreError::new(ErrorKind::Corrupt, Operation::Get, message);
                state.corrupt = Some(error.with_key(key.as_str()));
                // Which block is bad is not known: whoever opens the file anew gets none of them.
                self.readers.cache.shrink(u64::MAX);
            }
        }
    }
}

impl Target {
    fn block(&self, start: u64) -> BlockId {
        BlockId { key: self.key.clone(), etag: self.version.etag.clone(), start }
    }
}

impl Plan {
    /// The request that covers `at`, which lies inside the empty `gap`: from and to.
    fn request_at(self, at: u64, need_end: u64, gap: (u64, u64), sizes: Sizes) -> (u64, u64) {
        match self {
            Self::Random { from, to } => {
                let from = from.max(gap.0).max(at.saturating_sub(sizes.block()));
                (from, to.min(gap.1).min(from.saturating_add(sizes.request)).max(at + 1))
            }
            Self::Sequential { ahead_to, request, .. } => {
                // A read larger than the request of the moment is not cut up for it.
                let most = request.max(need_end - at).min(sizes.request);
                (at, at.saturating_add(most).min(gap.1).min(ahead_to.max(need_end)))
            }
        }
    }
}

#[cfg(test)]
#[path = "prefetch_tests.rs"]
mod tests;
