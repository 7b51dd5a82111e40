//! Content that is being written in order: parts that were handed to the upload, some of them kept,
//! then the part that is being filled. Nothing here waits.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::crash;
use crate::store::{ByteRange, Payload};
use crate::write::WriteError;
use crate::write::compose;
use crate::write::content::{Inner, RemoteObject};
use crate::write::driver::Driver;
use crate::write::edit::Edit;
use crate::write::keep::{KeptParts, Overwritten};
use crate::write::part::{Block, PartBuffer};

/// Zeros for gaps.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Bytes `0..sent` are parts of the upload, `sent..` are held. Of the parts some are held, too.
#[derive(Debug)]
pub(super) struct Live {
    /// The object that is being appended to: its bytes are the first of `sent`, and the first parts
    /// of the upload are copies of it.
    pub(super) base: Option<RemoteObject>,
    /// The upload, opened with the first full part.
    pub(super) driver: Option<Arc<Driver>>,
    pub(super) sent: u64,
    kept: KeptParts,
    /// Number of the part that is being filled, from 1.
    number: u32,
    pub(super) filling: PartBuffer,
}

/// What became of bytes offered in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// So many from the front, at least one.
    Bytes(usize),
    /// None before a block of this capacity is added.
    NeedsBlock(usize),
    /// None; the part that is being filled must go on in a file.
    NeedsSpill,
    /// None; the content must leave memory first.
    NeedsEdit,
    /// None before what is held was added to the object.
    NeedsPublish,
}

impl Live {
    /// No bytes.
    pub(super) fn new(inner: &Inner) -> Self {
        let kind = inner.shared.checksum_kind();
        Self {
            base: None,
            driver: None,
            sent: 0,
            kept: inner.shared.keep.file(),
            number: 1,
            filling: PartBuffer::new(&inner.shared.pool, kind),
        }
    }

    /// The bytes of an object, to append to. It has at least a smallest part.
    pub(super) fn over(inner: &Inner, object: RemoteObject) -> Self {
        let mut live = Self::new(inner);
        live.sent = object.version.size;
        live.number += copies(inner, &object).count() as u32;
        live.base = Some(object);
        live
    }

    /// The same content, with what is held in a temporary file. Blocks.
    pub(super) fn to_edit(&self, dir: &Path) -> Result<Edit, WriteError> {
        crash::point("stage.switch");
        let mut edit = self.base.clone().map(Edit::of_object).unwrap_or_default().without_memory();
        for piece in self.filling.pieces().filter(|piece| !piece.is_empty()) {
            edit.write(dir, edit.size(), piece)?;
        }
        Ok(edit)
    }

    /// Whether there is nothing in it.
    pub(super) fn is_untouched(&self) -> bool {
        self.driver.is_none() && self.base.is_none() && self.size() == 0
    }

    /// Makes held bytes zeros. `false` when not all of them are held and free to be changed.
    pub(super) fn zero(&mut self, range: Range<u64>) -> bool {
        let Some(mut at) = range.start.checked_sub(self.sent) else { return false };
        let end = range.end - self.sent;
        while at < end {
            let now = (end - at).min(ZEROS.len() as u64);
            if !self.filling.overwrite(at, &ZEROS[..now as usize]) {
                return false;
            }
            at += now;
        }
        true
    }

    /// The upload; opened now if it is not.
    pub(super) fn upload(&mut self, inner: &Inner) -> &Arc<Driver> {
        self.driver.get_or_insert_with(|| {
            let driver = inner.open_upload();
            if let Some(base) = &self.base {
                copies(inner, base).for_each(|range| driver.copy(base.clone(), range));
            }
            driver
        })
    }

    /// Size of the content.
    pub(super) fn size(&self) -> u64 {
        self.sent + self.filling.len()
    }

    /// Why the upload failed, if it did.
    pub(super) fn failure(&self) -> Option<WriteError> {
        self.driver.as_ref().and_then(|driver| driver.failure())
    }

    /// The largest size this content can grow to.
    pub(super) fn reach_bytes(&self, inner: &Inner) -> u64 {
        inner.shared.plan.reach_bytes(self.number, self.sent)
    }

    /// Size of the part that is being filled.
    pub(super) fn part_bytes(&self, inner: &Inner) -> u64 {
        inner.shared.plan.part_bytes(self.number).unwrap_or(0)
    }

    /// How much of a part of `part_bytes` is held in memory: all of it or, where that is too much,
    /// nothing. A file that may end soon stays in memory as long as it can.
    fn memory_bytes(&self, inner: &Inner, part_bytes: u64) -> u64 {
        let most = inner.shared.memory_part_bytes;
        match &self.driver {
            Some(_) if part_bytes > most => 0,
            _ => part_bytes.min(most),
        }
    }

    /// Takes bytes that belong at the end, as many as there is memory for. Full parts go out.
    pub(super) fn append(&mut self, inner: &Inner, data: &[u8]) -> Taken {
        let mut taken = 0;
        let mut short = Taken::NeedsEdit;
        while taken < data.len() {
            let part_bytes = self.part_bytes(inner);
            if self.filling.len() >= part_bytes {
                // An orphan must not send anything.
                if part_bytes == 0 || inner.is_orphan() {
                    break;
                }
                // What is the object already would be published for ever, and be here again each time.
                let is_changed = taken > 0 || inner.is_dirty();
                if inner.appends() && is_changed && self.driver.is_none() {
                    short = Taken::NeedsPublish;
                    break;
                }
                self.seal(inner);
                continue;
            }
            let memory_bytes = self.memory_bytes(inner, part_bytes);
            if self.filling.len() >= memory_bytes {
                short = Taken::NeedsSpill;
                break;
            }
            let now = self.filling.append(&data[taken..], memory_bytes);
            taken += now;
            if now > 0 {
                continue;
            }
            if self.filling.is_shared() {
                break;
            }
            let left = usize::try_from(memory_bytes - self.filling.len()).unwrap_or(usize::MAX);
            let wanted = self.filling.wanted_capacity(left.min(data.len() - taken));
            match inner.shared.try_block(wanted) {
                Some(block) => self.filling.add(block),
                None => {
                    short = Taken::NeedsBlock(wanted);
                    break;
                }
            }
        }
        // Once an upload is open a full part goes at once; the first part waits for one byte more,
        // because without it the file is a single PUT.
        if self.driver.is_some() && self.filling.len() >= self.part_bytes(inner).max(1) {
            self.seal(inner);
        }
        if taken > 0 { Taken::Bytes(taken) } else { short }
    }

    /// Takes all of `chunks`, or stops where memory is short and says `false`.
    pub(super) fn append_all(&mut self, inner: &Inner, chunks: &[bytes::Bytes]) -> bool {
        chunks.iter().all(|chunk| {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                match self.append(inner, rest) {
                    Taken::Bytes(taken) => rest = &rest[taken..],
                    Taken::NeedsBlock(_)
                    | Taken::NeedsSpill
                    | Taken::NeedsEdit
                    | Taken::NeedsPublish => return false,
                }
            }
            true
        })
    }

    /// As [`append`](Self::append), zeros; at most so many as there are between here and `offset`.
    pub(super) fn append_zeros(&mut self, inner: &Inner, offset: u64) -> Taken {
        let gap = offset.saturating_sub(self.size()).min(ZEROS.len() as u64);
        self.append(inner, &ZEROS[..gap as usize])
    }

    /// Takes a block for the next bytes.
    pub(super) fn add(&mut self, block: Block) {
        self.filling.add(block);
    }

    /// Whether the part may go before it is full, to free its memory.
    pub(super) fn may_seal_early(&self, inner: &Inner) -> bool {
        // An early part uses up a number. Only the first tenth, where parts are smallest, may go so:
        // that costs at most a hundredth of the reach. Later ones go through the file.
        self.filling.len() >= inner.shared.plan.part_min_bytes()
            && self.number <= inner.store().limits().parts_max / 10
            && !inner.is_orphan()
            && !inner.appends()
    }

    /// Hands the held bytes to the upload as the next part, and opens the upload if it is the first.
    pub(super) fn seal(&mut self, inner: &Inner) {
        let (number, start, part) = (self.number, self.sent, self.seal_filling(inner));
        if let Some(driver) = &self.driver {
            self.kept.add(number, start, part, driver);
        }
    }

    /// Hands over what is left to hand over: parts that have changed, and the held bytes.
    pub(super) fn seal_last(&mut self, inner: &Inner) {
        self.kept.settle();
        if self.filling.len() > 0 {
            self.seal_filling(inner);
        }
    }

    fn seal_filling(&mut self, inner: &Inner) -> PartBuffer {
        let empty = PartBuffer::new(&inner.shared.pool, inner.shared.checksum_kind());
        let mut part = std::mem::replace(&mut self.filling, empty);
        self.seal_payload(inner, part.payload(&inner.shared.flight));
        part
    }

    /// Hands `payload` to the upload as the next part. The held bytes must be none.
    pub(super) fn seal_payload(&mut self, inner: &Inner, payload: Payload) {
        crash::point("part.buffered");
        self.sent += payload.len();
        self.number += 1;
        self.upload(inner).seal(payload);
    }

    /// Changes bytes below `sent`, from the front of `data`, where their part is kept.
    pub(super) fn overwrite_sent(&mut self, offset: u64, data: &[u8]) -> Overwritten {
        self.kept.overwrite(offset, data)
    }

    /// Whether bytes below `sent` are kept but cannot be changed yet.
    pub(super) fn is_flying(&self, offset: u64) -> bool {
        self.kept.is_flying(offset)
    }

    /// A copy of `len` bytes from `offset`, all below `sent`, if they are kept.
    pub(super) fn read_sent(&self, offset: u64, len: u64) -> Option<Vec<Bytes>> {
        self.kept.read(offset, len)
    }
}

/// The ranges by which an object becomes the first parts of an upload.
fn copies(inner: &Inner, object: &RemoteObject) -> impl Iterator<Item = ByteRange> + use<> {
    let limits = inner.store().limits();
    let ranges = compose::copies(object.version.size, &inner.shared.plan, limits);
    ranges.into_iter().filter_map(|range| ByteRange::new(range.start, range.end))
}
