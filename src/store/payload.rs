//! The bytes of a request body: shared chunks with an exact length, cheap to clone for a retry.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::store::Checksum;

/// A body that can be sent any number of times. Cloning shares the bytes.
#[derive(Clone, Default)]
pub struct Payload {
    chunks: Arc<[Bytes]>,
    len: u64,
    checksum: Option<Checksum>,
}

impl Payload {
    /// A body of these chunks in order; empty chunks are dropped.
    pub fn new(chunks: Vec<Bytes>) -> Self {
        let chunks: Arc<[Bytes]> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
        let len = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { chunks, len, checksum: None }
    }

    /// States the CRC-64 of the bytes, which the store compares with what the service computed.
    pub fn with_checksum(mut self, checksum: Option<Checksum>) -> Self {
        self.checksum = checksum;
        self
    }

    /// The chunks, none empty.
    pub fn chunks(&self) -> &Arc<[Bytes]> {
        &self.chunks
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
