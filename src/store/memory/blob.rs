//! The bytes of an object or part as a list of pieces that are shared, never copied: slices of the
//! buffers in which they arrived, or stretches of files. Knows nothing of keys or objects.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// How many bytes of a file are read at once.
const FILE_READ_BYTES: u64 = 1024 * 1024;

/// One stretch of bytes.
#[derive(Debug, Clone)]
pub enum Segment {
    /// Held in memory; never empty.
    Memory(Bytes),
    /// Held in a file; never empty.
    File {
        /// The file.
        file: Arc<DataFile>,
        /// Offset of the first byte in the file.
        start: u64,
        /// Length in bytes.
        len: u64,
    },
}

impl Segment {
    /// Length in bytes, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a segment is never empty")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// The bytes `from..to` of it; both must lie inside.
    fn cut(&self, from: u64, to: u64) -> Self {
        match self {
            Self::Memory(bytes) => Self::Memory(bytes.slice(from as usize..to as usize)),
            Self::File { file, start, .. } => {
                Self::File { file: Arc::clone(file), start: start + from, len: to - from }
            }
        }
    }

    /// Takes up to 1 MiB (all of it when in memory) off its front: those bytes, and what is left.
    /// Files are read outside the async threads.
    pub async fn take_front(self) -> io::Result<(Bytes, Option<Self>)> {
        match self {
            Self::Memory(bytes) => Ok((bytes, None)),
            Self::File { file, start, len } => {
                let now = len.min(FILE_READ_BYTES);
                let source = Arc::clone(&file);
                let bytes = tokio::task::spawn_blocking(move || source.read(start, now))
                    .await
                    .map_err(io::Error::other)??;
                let rest =
                    (now < len).then(|| Self::File { file, start: start + now, len: len - now });
                Ok((bytes, rest))
            }
        }
    }
}

/// A file of bytes that never changes once written. It is removed when nobody holds it any more,
/// unless a stored object refers to it.
#[derive(Debug)]
pub struct DataFile {
    path: PathBuf,
    references: AtomicUsize,
}

impl DataFile {
    /// Takes charge of a file to which no stored object refers yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, references: AtomicUsize::new(0) }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Counts one stored object that needs the file after a restart.
    pub(super) fn refer(&self) {
        self.references.fetch_add(1, Ordering::Relaxed);
    }

    /// One stored object fewer.
    pub(super) fn release(&self) {
        self.references.fetch_sub(1, Ordering::Relaxed);
    }

    fn read(&self, start: u64, len: u64) -> io::Result<Bytes> {
        let mut bytes = vec![0; len as usize];
        File::open(&self.path)?.read_exact_at(&mut bytes, start)?;
        Ok(Bytes::from(bytes))
    }
}

impl Drop for DataFile {
    fn drop(&mut self) {
        if *self.references.get_mut() == 0 {
            // What cannot be removed now is removed as a leftover when the folder is opened again.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Bytes of any length. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Blob {
    /// Each segment with the offset at which it ends, so that a range is found by bisection.
    pieces: Arc<[(u64, Segment)]>,
}

impl Blob {
    /// The segments in order.
    pub fn new(segments: impl IntoIterator<Item = Segment>) -> Self {
        let mut end = 0;
        let pieces = segments.into_iter().map(|segment| {
            end += segment.len();
            (end, segment)
        });
        Self { pieces: pieces.collect() }
    }

    /// These chunks in memory, in order; empty ones are dropped.
    pub fn from_chunks(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
        Self::new(chunks.map(Segment::Memory))
    }

    /// All blobs one after the other.
    pub fn concatenation<'a>(blobs: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::new(blobs.into_iter().flat_map(|blob| blob.segments().cloned()))
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.pieces.last().map_or(0, |(end, _)| *end)
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The segments in order.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.pieces.iter().map(|(_, segment)| segment)
    }

    /// The bytes `start..end`, cut at the end of the blob; shares the segments.
    pub fn slice(&self, start: u64, end: u64) -> Vec<Segment> {
        let end = end.min(self.len());
        if start >= end {
            return Vec::new();
        }
        let first = self.pieces.partition_point(|(piece_end, _)| *piece_end <= start);
        self.pieces[first..]
            .iter()
            .map(|(piece_end, segment)| (piece_end - segment.len(), segment))
            .take_while(|(piece_start, _)| *piece_start < end)
            .map(|(piece_start, segment)| {
                let from = start.saturating_sub(piece_start);
                let to = segment.len().min(end - piece_start);
                if from == 0 && to == segment.len() {
                    segment.clone()
                } else {
                    segment.cut(from, to)
                }
            })
            .collect()
    }
}

/// All bytes of some segments, as chunks. For callers that know the sum to be small enough to hold.
pub async fn read_all(segments: Vec<Segment>) -> io::Result<Vec<Bytes>> {
    let mut chunks = Vec::with_capacity(segments.len());
    for segment in segments {
        let mut next = Some(segment);
        while let Some(segment) = next {
            let (bytes, rest) = segment.take_front().await?;
            chunks.push(bytes);
            next = rest;
        }
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(segments: Vec<Segment>) -> Vec<u8> {
        let mut all = Vec::new();
        for segment in segments {
            let Segment::Memory(bytes) = segment else { panic!("not in memory") };
            all.extend_from_slice(&bytes);
        }
        all
    }

    #[test]
    fn every_slice_of_a_chunked_blob_is_the_slice_of_its_bytes() {
        let chunks =
            ["ab", "", "cdefg", "h", "ijk"].map(|text| Bytes::from_static(text.as_bytes()));
        let blob = Blob::from_chunks(chunks);
        let whole = b"abcdefghijk";
        for start in 0..14 {
            for end in start..14 {
                let expected = whole.get(start.min(11)..end.min(11)).unwrap();
                assert_eq!(bytes_of(blob.slice(start as u64, end as u64)), expected);
            }
        }
    }

    #[test]
    fn slices_share_the_buffer() {
        let chunk = Bytes::from(vec![1; 100]);
        let blob = Blob::from_chunks([chunk.clone()]);
        let Segment::Memory(part) = &blob.slice(10, 20)[0] else { panic!("not in memory") };
        assert_eq!(part.as_ptr(), chunk.slice(10..).as_ptr());
    }

    #[tokio::test]
    async fn a_file_that_nothing_refers_to_disappears_with_its_last_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, b"hello").unwrap();
        let file = Arc::new(DataFile::new(path.clone()));
        let blob = Blob::new([Segment::File { file, start: 0, len: 5 }]);
        let slice = blob.slice(1, 4);
        drop(blob);
        assert_eq!(read_all(slice).await.unwrap(), [Bytes::from_static(b"ell")]);
        assert!(!path.exists());
    }
}
