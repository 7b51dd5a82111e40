//! Bytes on their way into a bucket: stored and hashed chunk by chunk, as they arrive, so that a
//! body of any size costs one pass. Knows nothing of keys.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};

use super::blob::{Blob, DataFile, Segment};
use crate::blocking;
use crate::store::{Checksum, ChecksumKind, RunningChecksum};

/// MD5 takes 2 ms per MiB: that much is collected before a blocking thread is asked to do it.
const BATCH_BYTES: usize = 1024 * 1024;

/// A body that has arrived whole.
#[derive(Debug, Clone)]
pub struct Body {
    /// The bytes.
    pub blob: Blob,
    /// CRC-64/XZ of the bytes.
    pub checksum: Checksum,
    /// CRC-64/NVME of the bytes, where the bucket computes it.
    pub crc64nvme: Option<Checksum>,
    /// MD5 of the bytes, where it was asked for.
    pub md5: Option<[u8; 16]>,
    /// Other digests that the client gave, by the name of the header: kept with a part.
    pub stated: BTreeMap<String, String>,
}

/// A body that is arriving. Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    work: Option<Box<Work>>,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    len: u64,
}

/// What is done with every byte. Moves to a blocking thread and back when it is slow.
#[derive(Debug)]
struct Work {
    checksum: RunningChecksum,
    crc64nvme: Option<RunningChecksum>,
    md5: Option<Md5>,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    /// Only the hashes are wanted.
    Nowhere,
    Memory(Vec<Bytes>),
    File {
        writer: File,
        file: Arc<DataFile>,
    },
}

impl Incoming {
    /// A body to be kept in memory, or in `file` (opened for writing at its start).
    pub(super) fn new(
        file: Option<(File, DataFile)>,
        with_md5: bool,
        with_crc64nvme: bool,
    ) -> Self {
        let sink = match file {
            None => Sink::Memory(Vec::new()),
            Some((writer, file)) => Sink::File { writer, file: Arc::new(file) },
        };
        let work = Work {
            checksum: RunningChecksum::new(ChecksumKind::Crc64Xz),
            crc64nvme: with_crc64nvme.then(|| RunningChecksum::new(ChecksumKind::Crc64Nvme)),
            md5: with_md5.then(Md5::new),
            sink,
        };
        Self { work: Some(Box::new(work)), batch: Vec::new(), batch_bytes: 0, len: 0 }
    }

    /// A body that is stored elsewhere: only its hashes are computed.
    pub(super) fn hashes_only(with_md5: bool, with_crc64nvme: bool) -> Self {
        let mut hashing = Self::new(None, with_md5, with_crc64nvme);
        if let Some(work) = &mut hashing.work {
            work.sink = Sink::Nowhere;
        }
        hashing
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing came yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the next bytes in. After an error the body is lost.
    pub async fn push(&mut self, chunk: Bytes) -> io::Result<()> {
        self.len += chunk.len() as u64;
        self.batch_bytes += chunk.len();
        self.batch.push(chunk);
        match &mut self.work {
            // A CRC alone runs at the speed of memory: no use in changing the thread.
            Some(work) if work.is_cheap() => {
                self.batch_bytes = 0;
                work.take_in(std::mem::take(&mut self.batch))
            }
            _ if self.batch_bytes >= BATCH_BYTES => self.flush().await,
            _ => Ok(()),
        }
    }

    /// The whole body.
    pub async fn finish(mut self) -> io::Result<Body> {
        self.flush().await?;
        let Some(work) = self.work.take() else { return Err(lost()) };
        let blob = match work.sink {
            Sink::Memory(chunks) => Blob::from_chunks(chunks),
            Sink::Nowhere => Blob::default(),
            Sink::File { .. } if self.len == 0 => Blob::default(),
            Sink::File { file, .. } => Blob::new([Segment::File { file, start: 0, len: self.len }]),
        };
        let md5 = work.md5.map(|md5| md5.finalize().into());
        Ok(Body {
            blob,
            checksum: work.checksum.value(),
            crc64nvme: work.crc64nvme.map(|crc| crc.value()),
            md5,
            stated: BTreeMap::new(),
        })
    }

    async fn flush(&mut self) -> io::Result<()> {
        let chunks = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if chunks.is_empty() {
            return Ok(());
        }
        let mut work = self.work.take().ok_or_else(lost)?;
        let done = blocking::spawn(move || {
            work.take_in(chunks)?;
            Ok::<_, io::Error>(work)
        });
        self.work = Some(done.await.map_err(io::Error::other)??);
        Ok(())
    }
}

impl Work {
    fn is_cheap(&self) -> bool {
        self.md5.is_none() && !matches!(self.sink, Sink::File { .. })
    }

    fn take_in(&mut self, mut chunks: Vec<Bytes>) -> io::Result<()> {
        for chunk in &chunks {
            self.checksum.update(chunk);
            if let Some(crc64nvme) = &mut self.crc64nvme {
                crc64nvme.update(chunk);
            }
            if let Some(md5) = &mut self.md5 {
                md5.update(chunk);
            }
            if let Sink::File { writer, .. } = &mut self.sink {
                writer.write_all(chunk)?;
            }
        }
        if let Sink::Memory(kept) = &mut self.sink {
            kept.append(&mut chunks);
        }
        Ok(())
    }
}

fn lost() -> io::Error {
    io::Error::other("the body was lost by an earlier error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_do_not_depend_on_the_chunks() {
        for with_md5 in [false, true] {
            for size in [1, 700_000] {
                let mut incoming = Incoming::new(None, with_md5, with_md5);
                let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
                for chunk in bytes.chunks(size * 5) {
                    incoming.push(Bytes::copy_from_slice(chunk)).await.unwrap();
                }
                let body = incoming.finish().await.unwrap();
                assert_eq!(body.blob.len(), 3_000_000);
                assert_eq!(body.checksum, ChecksumKind::Crc64Xz.of(&bytes));
                let crc64nvme = with_md5.then(|| ChecksumKind::Crc64Nvme.of(&bytes));
                assert_eq!(body.crc64nvme, crc64nvme);
                assert_eq!(body.md5, with_md5.then(|| Md5::digest(&bytes).into()));
            }
        }
    }
}
