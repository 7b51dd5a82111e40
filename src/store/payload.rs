//! The bytes of a request body: an exact length, cheap to clone, the same at every attempt. Either
//! shared chunks in memory, or a source that is read while it is sent. Must not know who sends it.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};

use crate::blocking;
use crate::store::{Checksum, RunningChecksum};

/// Bytes that are not in memory. They must not change while a payload of them exists.
pub trait PayloadSource: Send + Sync + fmt::Debug {
    /// How many there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `len` bytes from `offset`; both lie inside. May block. Fewer or more bytes than were asked
    /// for are an error of the reader, as any other is: never tried again as if the service had
    /// failed.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;
}

/// A body that can be sent any number of times. Cloning shares the bytes.
#[derive(Clone)]
pub struct Payload {
    data: PayloadData,
    len: u64,
    checksum: Option<Checksum>,
}

/// Where the bytes are.
#[derive(Clone, Debug)]
pub enum PayloadData {
    /// In memory, in order; no chunk is empty.
    Chunks(Arc<[Bytes]>),
    /// Elsewhere.
    Source(Arc<dyn PayloadSource>),
}

impl Payload {
    /// How many bytes of a source whoever sends it reads at a time. Of these pieces a connection
    /// holds up to three at once.
    pub const PIECE_BYTES: usize = 256 << 10;

    /// A body of these chunks in order; empty chunks are dropped.
    pub fn new(chunks: Vec<Bytes>) -> Self {
        let chunks: Arc<[Bytes]> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
        let len = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { data: PayloadData::Chunks(chunks), len, checksum: None }
    }

    /// A body that is read while it is sent, a piece at a time.
    pub fn from_source(source: Arc<dyn PayloadSource>) -> Self {
        let len = source.len();
        Self { data: PayloadData::Source(source), len, checksum: None }
    }

    /// States the CRC-64 of the bytes, which the store compares with what the service computed.
    pub fn with_checksum(mut self, checksum: Option<Checksum>) -> Self {
        self.checksum = checksum;
        self
    }

    /// Where the bytes are.
    pub fn data(&self) -> &PayloadData {
        &self.data
    }

    /// The bytes from the first to the last, for whoever takes them in.
    pub fn pieces(&self) -> Pieces {
        Pieces { data: self.data.clone(), len: self.len, next_chunk: 0, offset: 0 }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The CRC-64 its maker computed while the bytes arrived.
    pub fn checksum(&self) -> Option<Checksum> {
        self.checksum
    }

    /// The MD5 of the bytes. Reads them all and takes a core meanwhile, outside the async threads.
    ///
    /// # Errors
    /// Those of [`Pieces::next`]; [`io::ErrorKind::InvalidData`] when a checksum was stated and is that of
    /// other bytes: then memory or disk has changed them since they arrived.
    pub async fn md5(&self) -> io::Result<[u8; 16]> {
        let mut md5 = Md5::new();
        let mut sum = self.checksum.map(|checksum| RunningChecksum::new(checksum.kind));
        let mut pieces = self.pieces();
        while let Some(piece) = pieces.next().await? {
            let hashed = blocking::spawn(move || {
                md5.update(&piece);
                if let Some(sum) = &mut sum {
                    sum.update(&piece);
                }
                (md5, sum)
            });
            (md5, sum) = hashed.await.map_err(io::Error::other)?;
        }
        let found = sum.map(|sum| sum.value());
        if found != self.checksum {
            let message =
                format!("the bytes have changed: {:?} arrived, {found:?} is left", self.checksum);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(md5.finalize().into())
    }
}

/// Goes through the bytes of a [`Payload`].
#[derive(Debug)]
pub struct Pieces {
    data: PayloadData,
    len: u64,
    next_chunk: usize,
    offset: u64,
}

impl Pieces {
    /// The next piece, never empty: a chunk, or at most [`Payload::PIECE_BYTES`] of a source, which
    /// are read outside the async threads. `None` at the end.
    ///
    /// # Errors
    /// The source's own, and a source that gave another number of bytes than was asked for.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let source = match &self.data {
            PayloadData::Chunks(chunks) => {
                self.next_chunk += 1;
                return Ok(chunks.get(self.next_chunk - 1).cloned());
            }
            PayloadData::Source(source) => Arc::clone(source),
        };
        let (offset, len) = (self.offset, piece_bytes(self.len - self.offset));
        if len == 0 {
            return Ok(None);
        }
        let read = blocking::spawn(move || source.read_at(offset, len)).await;
        let piece = read.map_err(io::Error::other)??;
        if piece.len() != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += len as u64;
        Ok(Some(piece))
    }
}

fn piece_bytes(left: u64) -> usize {
    usize::try_from(left).map_or(Payload::PIECE_BYTES, |left| left.min(Payload::PIECE_BYTES))
}

impl Default for Payload {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::new(vec![bytes])
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes, {:?})", self.len, self.checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ChecksumKind;

    #[derive(Debug)]
    struct Source {
        bytes: Bytes,
        claims: u64,
    }

    impl PayloadSource for Source {
        fn len(&self) -> u64 {
            self.claims
        }

        fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
            let start = self.bytes.len().min(offset as usize);
            Ok(self.bytes.slice(start..self.bytes.len().min(start + len)))
        }
    }

    async fn whole(payload: &Payload) -> io::Result<Vec<u8>> {
        let (mut pieces, mut whole) = (payload.pieces(), Vec::new());
        while let Some(piece) = pieces.next().await? {
            assert!(!piece.is_empty());
            whole.extend_from_slice(&piece);
        }
        assert_eq!(pieces.next().await?, None);
        Ok(whole)
    }

    #[tokio::test]
    async fn both_kinds_give_all_their_bytes_again_and_again() {
        let bytes: Bytes = (0..600_000u32).map(|i| (i % 251) as u8).collect();
        let source = Source { bytes: bytes.clone(), claims: bytes.len() as u64 };
        let chunks = vec![bytes.slice(..1), Bytes::new(), bytes.slice(1..)];
        for payload in [Payload::new(chunks), Payload::from_source(Arc::new(source))] {
            assert_eq!(payload.len(), bytes.len() as u64);
            assert_eq!(whole(&payload).await.unwrap(), bytes);
            assert_eq!(whole(&payload.clone()).await.unwrap(), bytes);
        }
        assert!(whole(&Payload::default()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn bytes_that_are_not_what_arrived_have_no_md5() {
        let kind = ChecksumKind::Crc64Xz;
        let payload = |bytes: &[u8], sum: &[u8]| {
            Payload::from(bytes.to_vec()).with_checksum(Some(kind.of(sum)))
        };
        assert!(payload(b"arrived", b"arrived").md5().await.is_ok());
        let error = payload(b"arrivee", b"arrived").md5().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        assert!(payload(b"", b"arrived").md5().await.is_err());
    }

    #[tokio::test]
    async fn a_source_that_ends_early_is_an_error() {
        let source = Source { bytes: Bytes::from_static(b"short"), claims: 6 };
        let error = whole(&Payload::from_source(Arc::new(source))).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
