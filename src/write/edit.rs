//! Content of which any byte can be changed: objects, and a temporary file with what differs from them.
//! Functions that touch the file block; they run where that is allowed.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::store::{Checksum, ChecksumKind, Payload, PayloadSource, RunningChecksum};
use crate::write::WriteError;
use crate::write::content::RemoteObject;
use crate::write::extents::{Extent, Extents, Place};
use crate::write::flight::FlightGuard;
use crate::write::staging::StagedFile;

/// Bytes that are read at a time when a checksum is computed.
const SUM_BYTES: u64 = 256 << 10;

/// What is fetched at least when a byte of an object is read, in bytes: programs that read and change
/// a file in place (databases) read pages of 4 KiB.
const AHEAD_FIRST_BYTES: u64 = 256 << 10;

/// Most bytes of objects that reads leave in the temporary file of one file.
const AHEAD_KEPT_BYTES: u64 = 256 << 20;

/// Extents, the objects they speak of, and the temporary file.
#[derive(Debug, Default)]
pub(super) struct Edit {
    extents: Extents,
    sources: Vec<RemoteObject>,
    /// Whether the first source is the file's own object.
    has_own: bool,
    /// Whether appended bytes may go into an upload of their own, not through the file.
    may_stream: bool,
    /// Made when the first byte goes into it; then as long as the content, with holes.
    file: Option<StagedFile>,
    ahead: Ahead,
}

/// How far beyond a read is fetched.
#[derive(Debug, Default, Clone, Copy)]
struct Ahead {
    /// Where the next read begins when they come in order.
    next: u64,
    window_bytes: u64,
    kept_bytes: u64,
}

impl Edit {
    /// Exactly an object.
    pub(super) fn of_object(object: RemoteObject) -> Self {
        let extents = Extents::whole(remote(0, 0), object.version.size);
        Self { extents, sources: vec![object], has_own: true, may_stream: true, ..Self::default() }
    }

    /// An object to which nothing could be appended in memory: everything goes through the file.
    pub(super) fn without_memory(self) -> Self {
        Self { may_stream: false, ..self }
    }

    /// The object that this is, when bytes may be appended to it in memory.
    pub(super) fn to_append_to(&self) -> Option<&RemoteObject> {
        self.may_stream.then(|| self.object()).flatten()
    }

    pub(super) fn size(&self) -> u64 {
        self.extents.size()
    }

    pub(super) fn extents(&self) -> &Extents {
        &self.extents
    }

    pub(super) fn source(&self, index: usize) -> Option<&RemoteObject> {
        self.sources.get(index)
    }

    /// Whether there is a temporary file.
    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// The object that this is, byte by byte, if it is one.
    pub(super) fn object(&self) -> Option<&RemoteObject> {
        let mut found = None;
        for Extent { range, place } in self.extents.iter() {
            match place {
                Place::Remote { source, at, .. } if at == range.start => {
                    if found.is_some_and(|found| found != source) {
                        return None;
                    }
                    found = Some(source);
                }
                _ => return None,
            }
        }
        // No bytes at all are what an empty object has.
        let object = self.sources.get(found.unwrap_or(0))?;
        (object.version.size == self.size()).then_some(object)
    }

    /// The content was published: it is all in this object now, and what the file has of it stays.
    pub(super) fn published(&mut self, object: RemoteObject) {
        let mut extents = Extents::whole(remote(0, 0), self.size());
        for Extent { range, place } in self.extents.iter().filter(|extent| extent.place.is_local())
        {
            debug_assert!(place.is_local());
            extents.set_local(range, true);
        }
        (self.extents, self.sources) = (extents, vec![object]);
        (self.has_own, self.may_stream) = (true, true);
    }

    /// The file's own object is this one now, with the same bytes.
    pub(super) fn moved(&mut self, object: RemoteObject) {
        if let Some(own) = self.sources.first_mut().filter(|_| self.has_own) {
            *own = object;
        }
    }

    /// Replaces bytes, or adds them; what lies between the end and `offset` becomes a hole.
    pub(super) fn write(&mut self, dir: &Path, offset: u64, data: &[u8]) -> Result<(), WriteError> {
        let end = offset.saturating_add(data.len() as u64);
        let file = self.file(dir, end)?;
        let written = file.write(offset, data);
        if written.is_err() {
            // Some of them may be there: what was fetched to that place does not count any more.
            self.extents.set_local(offset..end, false);
        }
        written?;
        self.extents.set(offset..end, Place::Staged);
        Ok(())
    }

    /// Cuts the content, or grows it by a hole.
    pub(super) fn resize(&mut self, size: u64) -> Result<(), WriteError> {
        if let Some(file) = self.file.as_mut().filter(|file| size < file.size()) {
            file.resize(size)?;
        }
        self.extents.resize(size);
        Ok(())
    }

    /// Makes a range, cut at the end of the content, a hole.
    pub(super) fn punch(&mut self, range: Range<u64>) {
        self.extents.set(range.start..range.end.min(self.size()), Place::Hole);
    }

    /// Makes `len` bytes from `offset` those of an object from `at` on.
    pub(super) fn rest_on(&mut self, object: RemoteObject, at: u64, len: u64, offset: u64) {
        let same = |known: &RemoteObject| {
            known.key == object.key && known.version.etag == object.version.etag
        };
        let source = self.sources.iter().position(same).unwrap_or_else(|| {
            self.sources.push(object.clone());
            self.sources.len() - 1
        });
        self.extents.set(offset..offset.saturating_add(len), remote(source, at));
    }

    /// The first stretch of a range that is in an object alone, with the index of the object and the
    /// offset there.
    pub(super) fn missing(&self, range: Range<u64>) -> Option<(Range<u64>, usize, u64)> {
        self.extents.within(range).find_map(|Extent { range, place }| match place {
            Place::Remote { source, at, local: false } => Some((range, source, at)),
            _ => None,
        })
    }

    /// How far to fetch from `offset` on, which is missing, for a read that ends at `end`: further
    /// where reads come in order. `None`: reads have left enough in the file.
    pub(super) fn read_ahead(&mut self, offset: u64, end: u64, most_bytes: u64) -> Option<u64> {
        if self.ahead.kept_bytes > AHEAD_KEPT_BYTES {
            return None;
        }
        let in_order = offset == self.ahead.next && offset > 0;
        let window = if in_order { self.ahead.window_bytes * 2 } else { AHEAD_FIRST_BYTES };
        self.ahead.window_bytes = window.clamp(1, most_bytes.max(1));
        let end = end.max(offset.saturating_add(self.ahead.window_bytes));
        let (missing, ..) = self.missing(offset..end)?;
        self.ahead.next = missing.end;
        self.ahead.kept_bytes += missing.end - offset;
        Some(missing.end)
    }

    /// The file, as long as the content, for bytes that are fetched: the caller writes them and says so
    /// by [`brought`](Self::brought).
    pub(super) fn file_for(&mut self, dir: &Path) -> Result<StagedFile, WriteError> {
        let size = self.size();
        self.file(dir, size).cloned()
    }

    /// Bytes of objects in this range are in the file, too.
    pub(super) fn brought(&mut self, range: Range<u64>) {
        self.extents.set_local(range, true);
    }

    /// What the file has of objects is content of its own from now on.
    pub(super) fn take_over(&mut self) {
        let taken: Vec<Range<u64>> = self
            .extents
            .iter()
            .filter(|extent| matches!(extent.place, Place::Remote { local: true, .. }))
            .map(|extent| extent.range)
            .collect();
        for range in taken {
            self.extents.set(range, Place::Staged);
        }
    }

    /// A range to be read, none of which is missing.
    pub(super) fn slice(&self, range: Range<u64>, guard: Option<FlightGuard>) -> Slice {
        Slice {
            extents: self.extents.within(range.clone()).collect(),
            file: self.file.clone(),
            range,
            _guard: guard,
        }
    }

    fn file(&mut self, dir: &Path, size: u64) -> Result<&mut StagedFile, WriteError> {
        let size = size.max(self.size());
        let file = match self.file.take() {
            Some(file) => file,
            None => StagedFile::create(dir, None)?,
        };
        let file = self.file.insert(file);
        if file.size() < size {
            file.resize(size)?;
        }
        Ok(file)
    }
}

fn remote(source: usize, at: u64) -> Place {
    Place::Remote { source, at, local: false }
}

/// A stretch of content that is in the file or a hole. Its bytes must not be changed while it exists.
#[derive(Debug)]
pub(super) struct Slice {
    range: Range<u64>,
    extents: Vec<Extent>,
    file: Option<StagedFile>,
    _guard: Option<FlightGuard>,
}

impl Slice {
    /// `len` bytes from `offset` in the slice; both lie inside.
    pub(super) fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut data = vec![0; len];
        let wanted = self.range.start + offset..self.range.start + offset + len as u64;
        let first = self.extents.partition_point(|extent| extent.range.end <= wanted.start);
        for Extent { range, place } in self.extents.iter().skip(first) {
            let (start, end) = (range.start.max(wanted.start), range.end.min(wanted.end));
            if start >= end {
                break;
            }
            let into = &mut data[(start - wanted.start) as usize..(end - wanted.start) as usize];
            match (place, &self.file) {
                (Place::Hole, _) => {}
                (place, Some(file)) if place.is_local() => file.read_exact(start, into)?,
                _ => return Err(io::Error::other("bytes that are not here")),
            }
        }
        Ok(data.into())
    }

    /// The bytes as the body of a request, with their checksum.
    pub(super) fn into_payload(self, kind: Option<ChecksumKind>) -> Result<Payload, WriteError> {
        let checksum = kind.map(|kind| self.sum(kind)).transpose()?;
        Ok(Payload::from_source(Arc::new(self)).with_checksum(checksum))
    }

    fn sum(&self, kind: ChecksumKind) -> Result<Checksum, WriteError> {
        let mut running = RunningChecksum::new(kind);
        let (mut at, len) = (0, self.len());
        while at < len {
            let now = SUM_BYTES.min(len - at);
            let data =
                self.read(at, now as usize).map_err(|error| WriteError::staging("read", &error))?;
            running.update(&data);
            at += now;
        }
        Ok(running.value())
    }
}

impl PayloadSource for Slice {
    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.read(offset, len)
    }
}
