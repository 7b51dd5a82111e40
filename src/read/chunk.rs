//! Bytes that know where in which version they belong, and the bytes given to a caller. Nothing is
//! copied here: everything is a slice of the buffers in which the answer arrived.

use bytes::{Bytes, BytesMut};

use crate::read::ReadError;
use crate::read::account::Lease;
use crate::store::{
    ByteRange, Checksum, Content, ErrorKind, ObjectVersion, Operation, RunningChecksum, StoreError,
};

/// One fetched range of one version, with the right to hold it in memory.
#[derive(Debug)]
pub(crate) struct Chunk {
    range: ByteRange,
    /// Offset of the first byte and the bytes; ascending, without gaps.
    parts: Vec<(u64, Bytes)>,
    /// CRC-64 of these bytes, and the one the service states for the whole object.
    checks: Option<(Checksum, Checksum)>,
    /// `None`: covered by the fixed allowance for emergency reads.
    _lease: Option<Lease>,
}

impl Chunk {
    /// Takes an answer in if it is exactly the range of the version that was asked for. The store
    /// promises it; it is checked again because shifted or mixed data is the one thing that must
    /// not happen. Another ETag means that the object was replaced.
    pub(crate) fn accept(
        content: Content,
        range: ByteRange,
        version: &ObjectVersion,
        lease: Option<Lease>,
    ) -> Result<Self, ReadError> {
        if content.version.etag != version.etag {
            return Err(ReadError::Stale);
        }
        let (start, len, size) = (content.start, content.len(), content.version.size);
        if start != range.start() || len != range.len() || size != version.size {
            let message = format!(
                "asked for {} bytes at {} of {}, got {len} at {start} of {size}",
                range.len(),
                range.start(),
                version.size
            );
            let kind = ErrorKind::InvalidAnswer;
            return Err(ReadError::Store(StoreError::new(kind, Operation::Get, message)));
        }
        let checks = content.checksum.map(|whole| {
            // One running sum: combining two sums costs more than summing 64 KiB.
            let mut piece = RunningChecksum::new(whole.kind);
            content.chunks.iter().for_each(|bytes| piece.update(bytes));
            (piece.value(), whole)
        });
        let mut parts = Vec::with_capacity(content.chunks.len());
        let mut at = start;
        for bytes in content.chunks {
            let next = at + bytes.len() as u64;
            parts.push((at, bytes));
            at = next;
        }
        Ok(Self { range, parts, checks, _lease: lease })
    }

    /// Where in the object these bytes are.
    pub(crate) fn range(&self) -> ByteRange {
        self.range
    }

    /// CRC-64 of these bytes and of the whole object, where the service states the latter.
    pub(crate) fn checks(&self) -> Option<(Checksum, Checksum)> {
        self.checks
    }

    /// Appends the bytes from `from` to `to`, or to the end of this chunk, and returns the offset
    /// after the last of them; `None` when `from` is not inside.
    pub(crate) fn slice_into(&self, from: u64, to: u64, data: &mut ReadData) -> Option<u64> {
        if from < self.range.start() || from >= self.range.end() {
            return None;
        }
        let to = to.min(self.range.end());
        let first = self.parts.partition_point(|&(start, _)| start <= from).saturating_sub(1);
        for (start, bytes) in &self.parts[first..] {
            if *start >= to {
                break;
            }
            let begin = from.saturating_sub(*start) as usize;
            let end = (to - start).min(bytes.len() as u64) as usize;
            if begin < end {
                data.push(bytes.slice(begin..end));
            }
        }
        Some(to)
    }
}

/// The bytes of one read: shared slices of what arrived, in order. Fewer than asked for only at the
/// end of the file.
#[derive(Debug, Clone, Default)]
pub struct ReadData {
    chunks: Vec<Bytes>,
    len: usize,
}

impl ReadData {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none: the read began at or past the end.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes in order, no chunk empty; as a vectored write takes them.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The bytes in one piece: no copy when there is one chunk, else one copy.
    pub fn into_contiguous(mut self) -> Bytes {
        if self.chunks.len() <= 1 {
            return self.chunks.pop().unwrap_or_default();
        }
        let mut all = BytesMut::with_capacity(self.len);
        for chunk in &self.chunks {
            all.extend_from_slice(chunk);
        }
        all.freeze()
    }

    fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        self.chunks.push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ChecksumKind, ETag};

    fn version() -> ObjectVersion {
        ObjectVersion { etag: ETag::new("a"), size: 20 }
    }

    fn content() -> Content {
        let chunks = ["45", "678", "9"].map(|text| Bytes::from_static(text.as_bytes())).to_vec();
        Content { version: version(), start: 4, chunks, checksum: None }
    }

    fn range() -> ByteRange {
        ByteRange::new(4, 10).unwrap()
    }

    #[test]
    fn gives_exactly_the_bytes_at_the_offsets() {
        let chunk = Chunk::accept(content(), range(), &version(), None).unwrap();
        for from in 4..10 {
            for to in from + 1..14 {
                let mut data = ReadData::default();
                let end = chunk.slice_into(from, to, &mut data).unwrap();
                assert_eq!(end, to.min(10));
                let expected = &b"0123456789"[from as usize..end as usize];
                assert_eq!(data.len(), expected.len());
                assert!(data.chunks().iter().all(|bytes| !bytes.is_empty()));
                assert_eq!(data.into_contiguous(), expected);
            }
        }
        let mut data = ReadData::default();
        assert_eq!(chunk.slice_into(3, 5, &mut data), None);
        assert_eq!(chunk.slice_into(10, 12, &mut data), None);
    }

    #[test]
    fn shares_the_buffers_that_arrived() {
        let content = content();
        let arrived = content.chunks[1].as_ptr();
        let chunk = Chunk::accept(content, range(), &version(), None).unwrap();
        let mut data = ReadData::default();
        chunk.slice_into(6, 9, &mut data).unwrap();
        assert_eq!(data.into_contiguous().as_ptr(), arrived);
    }

    #[test]
    fn refuses_an_answer_that_was_not_asked_for() {
        let accept = |content| Chunk::accept(content, range(), &version(), None);
        let mut short = content();
        short.chunks.pop();
        let mut shifted = content();
        shifted.start = 5;
        let mut resized = content();
        resized.version.size = 21;
        for wrong in [short, shifted, resized] {
            let Err(ReadError::Store(error)) = accept(wrong) else { panic!("accepted") };
            assert_eq!(error.kind, ErrorKind::InvalidAnswer);
        }
        let mut replaced = content();
        replaced.version.etag = ETag::new("b");
        assert!(matches!(accept(replaced), Err(ReadError::Stale)));
    }

    #[test]
    fn knows_its_checksum_where_the_service_states_one() {
        let mut content = content();
        let whole = ChecksumKind::Crc64Xz.of(b"the whole object");
        content.checksum = Some(whole);
        let chunk = Chunk::accept(content, range(), &version(), None).unwrap();
        assert_eq!(chunk.checks(), Some((ChecksumKind::Crc64Xz.of(b"456789"), whole)));
    }
}
