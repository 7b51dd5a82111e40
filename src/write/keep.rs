//! Parts that were handed to the upload and stay in memory while nobody needs the room, so that a file
//! can be read back or changed where it was sent already. A changed part is sent again under its
//! number. Pure bookkeeping under one short lock; nothing here waits.
//!
//! # What goes first
//! Kept parts hold at most half of the budget. Where room is missing the oldest part goes first, but the
//! first part of each file stays longest: headers are what programs rewrite. How far this goes depends
//! on who asks ([`Need`]). A changed part is not dropped but sent; its memory comes back when it landed.
//!
//! # Locks
//! The lock is taken with the content of a file locked, or from inside [`Budget`](crate::budget::Budget)
//! with whatever its caller holds. Under it the lock of an upload is taken, because between "no longer
//! kept" and "sent again" nobody may complete that upload. Nothing that is kept is dropped under it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::budget::Spare;
use crate::write::driver::Driver;
use crate::write::flight::Flight;
use crate::write::part::PartBuffer;
use crate::write::room::{LetsGo, Need};

/// The number of the part that stays longest.
const FIRST: u32 = 1;

/// What became of bytes that belong to parts that were sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overwritten {
    /// So many from the front are in a kept part, at least one.
    Bytes(usize),
    /// None: a request reads the bytes that are there. Try again when something has landed.
    Flying,
    /// None: the part is not kept.
    Gone,
}

/// The kept parts of a mount.
#[derive(Debug)]
pub(super) struct Keep {
    limit_bytes: u64,
    flight: Arc<Flight>,
    files: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By file and number.
    parts: BTreeMap<(u64, u32), Kept>,
    bytes: u64,
    age: u64,
}

/// One part.
#[derive(Debug)]
struct Kept {
    /// Offset in the file.
    start: u64,
    buffer: PartBuffer,
    /// It differs from what was handed to the upload.
    changed: bool,
    age: u64,
    driver: Arc<Driver>,
}

/// The kept parts of one file; they go when it is dropped.
#[derive(Debug)]
pub(super) struct KeptParts {
    keep: Arc<Keep>,
    file: u64,
}

impl Keep {
    /// Keeps at most `limit_bytes`. What is sent again is counted in `flight`.
    pub(super) fn new(limit_bytes: u64, flight: Arc<Flight>) -> Arc<Self> {
        Arc::new(Self { limit_bytes, flight, files: AtomicU64::new(0), state: Mutex::default() })
    }

    /// The parts of a new file: none.
    pub(super) fn file(self: &Arc<Self>) -> KeptParts {
        let file = self.files.fetch_add(1, Ordering::Relaxed);
        KeptParts { keep: Arc::clone(self), file }
    }

    fn send_changed(&self, bytes: u64) {
        let mut gone = Vec::new();
        let mut state = self.lock();
        state.send_changed(bytes, |_| true, &self.flight, &mut gone);
        drop(state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LetsGo for Keep {
    fn let_go(&self, bytes: u64, need: Need) -> u64 {
        let mut state = self.lock();
        let mut gone = Vec::new();
        let mut freed = state.drop_clean(bytes, |(_, number)| number != FIRST, &mut gone);
        if need == Need::Urgent && freed < bytes {
            freed += state.drop_clean(bytes - freed, |_| true, &mut gone);
        }
        let which = |(_, number)| need == Need::Urgent || number != FIRST;
        freed += state.send_changed(bytes.saturating_sub(freed), which, &self.flight, &mut gone);
        drop(state);
        freed
    }
}

/// What readers need goes at once, the first parts last.
impl Spare for Keep {
    fn bytes(&self) -> u64 {
        let state = self.lock();
        let spare = state.parts.values().filter(|part| part.is_spare());
        spare.map(|part| part.buffer.held_bytes()).sum()
    }

    fn give_up(&self, bytes: u64) {
        // A part given up for a reader who needs more than that would be gone for nothing.
        let clean = self.bytes();
        if clean >= bytes {
            self.let_go(bytes, Need::Urgent);
        } else {
            self.send_changed(bytes - clean);
        }
    }
}

impl State {
    /// Takes clean parts out that no request reads, the oldest first, until they hold `bytes`.
    fn drop_clean(
        &mut self,
        bytes: u64,
        which: impl Fn((u64, u32)) -> bool,
        gone: &mut Vec<Kept>,
    ) -> u64 {
        let mut freed = 0;
        while freed < bytes {
            let Some(id) = self.oldest(|id, part| which(id) && part.is_spare()) else { break };
            let Some(part) = self.remove(id) else { break };
            freed += part.buffer.held_bytes();
            gone.push(part);
        }
        freed
    }

    /// Takes changed parts out and sends them again, the oldest first, until they hold `bytes`.
    fn send_changed(
        &mut self,
        bytes: u64,
        which: impl Fn((u64, u32)) -> bool,
        flight: &Arc<Flight>,
        gone: &mut Vec<Kept>,
    ) -> u64 {
        let mut sent = 0;
        while sent < bytes {
            let Some(id) = self.oldest(|id, part| which(id) && part.changed) else { break };
            let Some(mut part) = self.remove(id) else { break };
            sent += part.buffer.held_bytes();
            part.send_again(id.1, flight);
            gone.push(part);
        }
        sent
    }

    fn oldest(&self, which: impl Fn((u64, u32), &Kept) -> bool) -> Option<(u64, u32)> {
        let candidates = self.parts.iter().filter(|(id, part)| which(**id, part));
        candidates.min_by_key(|(_, part)| part.age).map(|(id, _)| *id)
    }

    fn remove(&mut self, id: (u64, u32)) -> Option<Kept> {
        let part = self.parts.remove(&id)?;
        self.bytes -= part.buffer.held_bytes();
        Some(part)
    }

    /// The part of `file` that holds `offset`.
    fn at(&mut self, file: u64, offset: u64) -> Option<&mut Kept> {
        let mut parts = self.parts.range_mut((file, 0)..=(file, u32::MAX)).map(|(_, part)| part);
        parts.find(|part| (part.start..part.end()).contains(&offset))
    }

    fn of_file(&self, file: u64) -> Vec<(u64, u32)> {
        self.parts.range((file, 0)..=(file, u32::MAX)).map(|(id, _)| *id).collect()
    }
}

impl Kept {
    fn end(&self) -> u64 {
        self.start + self.buffer.len()
    }

    /// Whether its memory would be free at once.
    fn is_spare(&self) -> bool {
        !self.changed && !self.buffer.is_flying()
    }

    fn send_again(&mut self, number: u32, flight: &Arc<Flight>) {
        self.driver.send_again(number, self.buffer.payload(flight));
    }
}

impl KeptParts {
    /// Keeps a part that was handed to `driver`, unless there is no room for it. It begins at `start` in
    /// the file.
    pub(super) fn add(&self, number: u32, start: u64, buffer: PartBuffer, driver: &Arc<Driver>) {
        let bytes = buffer.held_bytes();
        let mut gone = Vec::new();
        let mut state = self.keep.lock();
        while state.bytes + bytes > self.keep.limit_bytes {
            // What is in flight goes too: it is no longer kept when it has landed.
            let oldest = state.oldest(|(_, number), part| number != FIRST && !part.changed);
            let Some(part) = oldest.and_then(|id| state.remove(id)) else { return };
            gone.push(part);
        }
        state.bytes += bytes;
        state.age += 1;
        let age = state.age;
        let part = Kept { start, buffer, changed: false, age, driver: Arc::clone(driver) };
        gone.extend(state.parts.insert((self.file, number), part));
        drop(state);
    }

    /// Changes bytes from `offset` on, which lies in a part that was sent: those of one part.
    pub(super) fn overwrite(&self, offset: u64, data: &[u8]) -> Overwritten {
        let mut state = self.keep.lock();
        let Some(part) = state.at(self.file, offset) else { return Overwritten::Gone };
        let room = usize::try_from(part.end() - offset).unwrap_or(usize::MAX);
        let data = &data[..data.len().min(room)];
        if !part.buffer.overwrite(offset - part.start, data) {
            return Overwritten::Flying;
        }
        part.changed = true;
        Overwritten::Bytes(data.len())
    }

    /// Whether a request may read the part at `offset`.
    pub(super) fn is_flying(&self, offset: u64) -> bool {
        self.keep.lock().at(self.file, offset).is_some_and(|part| part.buffer.is_flying())
    }

    /// A copy of `len` bytes from `offset`, if all parts they lie in are kept.
    pub(super) fn read(&self, offset: u64, len: u64) -> Option<Vec<Bytes>> {
        let (mut at, end) = (offset, offset.saturating_add(len));
        let mut pieces = Vec::new();
        let mut state = self.keep.lock();
        while at < end {
            let part = state.at(self.file, at)?;
            let until = end.min(part.end());
            pieces.extend(part.buffer.read(at - part.start, until - at));
            at = until;
        }
        Some(pieces)
    }

    /// Hands what was changed to the upload again, and keeps nothing any more. After this the upload
    /// may be finished.
    pub(super) fn settle(&self) {
        let mut state = self.keep.lock();
        let mut gone = Vec::new();
        for id in state.of_file(self.file) {
            let Some(mut part) = state.remove(id) else { continue };
            if part.changed {
                part.send_again(id.1, &self.keep.flight);
            }
            gone.push(part);
        }
        drop(state);
    }
}

impl Drop for KeptParts {
    fn drop(&mut self) {
        let mut state = self.keep.lock();
        let ids = state.of_file(self.file);
        let gone: Vec<_> = ids.into_iter().map(|id| state.remove(id)).collect();
        drop(state);
        drop(gone);
    }
}
