//! The temporary file: unlinked from the start, so that nothing is left when the program dies. All
//! functions block; they run where that is allowed. Knows neither parts nor uploads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::crash;
use crate::store::{Checksum, ChecksumKind, Payload, PayloadSource, RunningChecksum};
use crate::write::WriteError;
use crate::write::flight::{Flight, FlightGuard};

/// Bytes that are read at a time when a checksum is computed.
const SUM_BYTES: u64 = 256 << 10;

/// A file and how much of it counts. Clones are the same file.
#[derive(Debug, Clone)]
pub(super) struct StagedFile {
    file: Arc<File>,
    size: u64,
    head: Option<Box<Head>>,
}

/// The checksum of the first bytes of a file, as far as they arrived in order.
#[derive(Debug, Clone)]
struct Head {
    running: RunningChecksum,
    len: u64,
}

/// A stretch of a file as the bytes of a request.
#[derive(Debug)]
struct FileSlice {
    file: Arc<File>,
    start: u64,
    len: u64,
    _guard: FlightGuard,
}

impl PayloadSource for FileSlice {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut data = vec![0; len];
        self.file.read_exact_at(&mut data, self.start + offset)?;
        Ok(data.into())
    }
}

impl Head {
    fn new(kind: ChecksumKind) -> Self {
        Self { running: RunningChecksum::new(kind), len: 0 }
    }

    fn kind(&self) -> ChecksumKind {
        self.running.value().kind
    }
}

impl StagedFile {
    /// An empty file without a name (O_TMPFILE, or unlinked at once), mode 0600. With `kind`, bytes
    /// that arrive in order are summed on their way, so that [`body`](Self::body) need not read them.
    pub(super) fn create(dir: &Path, kind: Option<ChecksumKind>) -> Result<Self, WriteError> {
        let file =
            tempfile::tempfile_in(dir).map_err(|error| WriteError::staging("create", &error))?;
        Ok(Self { file: Arc::new(file), size: 0, head: kind.map(|kind| Box::new(Head::new(kind))) })
    }

    /// Bytes that count.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Writes all of `data`. On failure the size is as before, and so are the bytes below it, except
    /// those that `data` was to replace.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), WriteError> {
        let end = offset.saturating_add(data.len() as u64);
        self.forget_from(offset);
        crash::point("stage.pwrite");
        if let Err(error) = self.file.write_all_at(data, offset) {
            // A half-written tail would show up in a later hole. If even this fails, the tail is
            // beyond what counts, and `resize` cuts before it grows.
            let _ = self.file.set_len(self.size);
            return Err(WriteError::staging("write", &error));
        }
        if let Some(head) = self.head.as_mut().filter(|head| head.len == offset) {
            head.running.update(data);
            head.len = end;
        }
        self.size = self.size.max(end);
        Ok(())
    }

    /// Cuts, or grows by a hole of zeros.
    pub(super) fn resize(&mut self, size: u64) -> Result<(), WriteError> {
        let set =
            |size| self.file.set_len(size).map_err(|error| WriteError::staging("resize", &error));
        if size > self.size {
            set(self.size)?;
        }
        set(size)?;
        self.forget_from(size);
        self.size = size;
        Ok(())
    }

    /// Bytes from `offset` on change: a checksum of any of them is void.
    fn forget_from(&mut self, offset: u64) {
        if let Some(head) = self.head.as_mut().filter(|head| head.len > offset) {
            **head = Head::new(head.kind());
        }
    }

    /// `len` bytes from `offset`, cut at the end.
    pub(super) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, WriteError> {
        let len = len.min(self.size.saturating_sub(offset));
        let mut data = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        self.file
            .read_exact_at(&mut data, offset)
            .map_err(|error| WriteError::staging("read", &error))?;
        Ok(data)
    }

    /// Fills `data` with the bytes from `offset`.
    pub(super) fn read_exact(&self, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(data, offset)
    }

    /// `len` bytes from `offset`, which lie inside, as a body with its checksum. It is read from the
    /// file while it is sent and counts as in `flight` until it is dropped; its bytes must not be
    /// changed before.
    pub(super) fn body(
        &self,
        offset: u64,
        len: u64,
        kind: Option<ChecksumKind>,
        flight: &Arc<Flight>,
    ) -> Result<Payload, WriteError> {
        let checksum = kind.map(|kind| self.sum(offset, len, kind)).transpose()?;
        let slice = FileSlice {
            file: Arc::clone(&self.file),
            start: offset,
            len,
            _guard: flight.enter(len),
        };
        Ok(Payload::from_source(Arc::new(slice)).with_checksum(checksum))
    }

    fn sum(&self, offset: u64, len: u64, kind: ChecksumKind) -> Result<Checksum, WriteError> {
        let end = offset + len;
        let known =
            self.head.as_ref().filter(|head| offset == 0 && head.len <= end && head.kind() == kind);
        let Head { mut running, len: summed } =
            known.map_or_else(|| Head::new(kind), |head| (**head).clone());
        let mut at = offset + summed;
        while at < end {
            let data = self.read(at, SUM_BYTES.min(end - at))?;
            if data.is_empty() {
                return Err(WriteError::Internal("the staging file is shorter than its size"));
            }
            running.update(&data);
            at += data.len() as u64;
        }
        Ok(running.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_zeros_and_growth_after_a_cut_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = StagedFile::create(dir.path(), None).unwrap();
        file.write(5, b"hello").unwrap();
        assert_eq!(file.read(0, 100).unwrap(), b"\0\0\0\0\0hello");
        file.resize(6).unwrap();
        file.resize(8).unwrap();
        assert_eq!(file.read(4, 100).unwrap(), b"\0h\0\0");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it has no name");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = StagedFile::create(Path::new("/nonexistent/partfs"), None).unwrap_err();
        let WriteError::Staging { action: "create", os_code: Some(code), .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(code, libc::ENOENT);
    }

    #[test]
    fn the_checksum_is_right_however_the_bytes_came() {
        let dir = tempfile::tempdir().unwrap();
        let flight = Arc::new(Flight::default());
        let kind = ChecksumKind::Crc64Xz;
        let changes: [fn(&mut StagedFile); 6] = [
            |_| {},
            |file| file.write(3, b"again").unwrap(),
            |file| file.write(11, b"on").unwrap(),
            |file| file.write(1_000_000, b"far").unwrap(),
            |file| file.resize(4).unwrap(),
            |file| {
                file.resize(2).unwrap();
                file.resize(600_000).unwrap();
                file.write(600_000, b"end").unwrap();
            },
        ];
        for change in changes {
            for known in [Some(kind), None, Some(ChecksumKind::Crc64Nvme)] {
                let mut file = StagedFile::create(dir.path(), known).unwrap();
                file.write(0, b"hello ").unwrap();
                file.write(6, b"world").unwrap();
                change(&mut file);
                let (size, bytes) = (file.size(), file.read(0, u64::MAX).unwrap());
                let body = file.body(0, size, Some(kind), &flight).unwrap();
                assert_eq!((body.len(), flight.bytes()), (size, size));
                assert_eq!(body.checksum(), Some(kind.of(&bytes)));
                let part = file.body(1, 3, Some(kind), &flight).unwrap();
                assert_eq!(part.checksum(), Some(kind.of(&bytes[1..4])));
            }
        }
        assert_eq!(flight.bytes(), 0);
    }
}
