//! The temporary file: unlinked from the start, so that nothing is left when the program dies. All
//! functions block; they run where that is allowed. Knows neither parts nor uploads.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::store::{ChecksumKind, Payload};
use crate::write::WriteError;
use crate::write::shared::Transit;

/// Size of the chunks of a body that is read from the file, in bytes.
const CHUNK_BYTES: u64 = 1 << 20;

/// A file and how much of it counts. Clones are the same file.
#[derive(Debug, Clone)]
pub(super) struct StagedFile {
    file: Arc<File>,
    size: u64,
}

/// A chunk of a body with the memory it was paid with.
struct TransitChunk {
    data: Vec<u8>,
    _transit: Arc<Transit>,
}

impl AsRef<[u8]> for TransitChunk {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl StagedFile {
    /// An empty file without a name (O_TMPFILE, or unlinked at once), mode 0600.
    pub(super) fn create(dir: &Path) -> Result<Self, WriteError> {
        let file =
            tempfile::tempfile_in(dir).map_err(|error| WriteError::staging("create", &error))?;
        Ok(Self { file: Arc::new(file), size: 0 })
    }

    /// Bytes that count.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Writes all of `data`. On failure the size is as before, and so are the bytes below it, except
    /// those that `data` was to replace.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), WriteError> {
        let end = offset.saturating_add(data.len() as u64);
        if let Err(error) = self.file.write_all_at(data, offset) {
            // A half-written tail would show up in a later hole. If even this fails, the tail is
            // beyond what counts, and `resize` cuts before it grows.
            let _ = self.file.set_len(self.size);
            return Err(WriteError::staging("write", &error));
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
        self.size = size;
        Ok(())
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

    /// `len` bytes from `offset` as a body, with its checksum; `transit` pays for the memory until the
    /// last chunk is dropped.
    pub(super) fn body(
        &self,
        offset: u64,
        len: u64,
        transit: Transit,
        kind: Option<ChecksumKind>,
    ) -> Result<Payload, WriteError> {
        let transit = Arc::new(transit);
        let mut running = kind.map(crate::store::RunningChecksum::new);
        let mut chunks = Vec::new();
        let mut at = offset;
        while at < offset + len {
            let data = self.read(at, CHUNK_BYTES.min(offset + len - at))?;
            if data.is_empty() {
                return Err(WriteError::Internal("the staging file is shorter than its size"));
            }
            at += data.len() as u64;
            if let Some(running) = &mut running {
                running.update(&data);
            }
            chunks.push(Bytes::from_owner(TransitChunk { data, _transit: Arc::clone(&transit) }));
        }
        Ok(Payload::new(chunks).with_checksum(running.map(|running| running.value())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_zeros_and_growth_after_a_cut_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = StagedFile::create(dir.path()).unwrap();
        file.write(5, b"hello").unwrap();
        assert_eq!(file.read(0, 100).unwrap(), b"\0\0\0\0\0hello");
        file.resize(6).unwrap();
        file.resize(8).unwrap();
        assert_eq!(file.read(4, 100).unwrap(), b"\0h\0\0");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it has no name");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = StagedFile::create(Path::new("/nonexistent/partfs")).unwrap_err();
        let WriteError::Staging { action: "create", os_code: Some(code), .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(code, libc::ENOENT);
    }
}
