//! A request body whose length is known before it is sent: shared chunks, never copied, sent again
//! for every attempt. Must not know where the bytes come from.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Largest piece handed to the connection at once. Small enough that progress on a slow link shows
/// within the idle time (128 KiB in 60 s is 2 KiB/s), large enough for full-size writes.
const FRAME_BYTES: usize = 128 * 1024;

/// A body of exactly the bytes of `chunks`.
#[derive(Debug)]
pub(super) struct KnownLength {
    chunks: Arc<[Bytes]>,
    next_chunk: usize,
    offset: usize,
    left: u64,
    taken: Arc<AtomicU64>,
}

impl KnownLength {
    /// `taken` counts the bytes that the connection has asked for, for whoever watches progress.
    pub(super) fn new(chunks: Arc<[Bytes]>, taken: Arc<AtomicU64>) -> Self {
        let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { chunks, next_chunk: 0, offset: 0, left, taken }
    }
}

impl Body for KnownLength {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        while let Some(chunk) = this.chunks.get(this.next_chunk) {
            let end = chunk.len().min(this.offset + FRAME_BYTES);
            let frame = chunk.slice(this.offset..end);
            if end == chunk.len() {
                this.next_chunk += 1;
                this.offset = 0;
            } else {
                this.offset = end;
            }
            if frame.is_empty() {
                continue;
            }
            this.left -= frame.len() as u64;
            this.taken.fetch_add(frame.len() as u64, Ordering::Relaxed);
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn frames_are_slices_of_the_chunks_in_order() {
        let big = Bytes::from(vec![7u8; 3 * FRAME_BYTES + 1]);
        let chunks: Arc<[Bytes]> = [Bytes::from_static(b"ab"), Bytes::new(), big.clone()].into();
        let taken = Arc::new(AtomicU64::new(0));
        let mut body = KnownLength::new(chunks, taken.clone());
        let whole = 2 + big.len() as u64;
        assert_eq!(body.size_hint().exact(), Some(whole));
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
        assert_eq!(taken.load(Ordering::Relaxed), whole);
        assert_eq!(frames.concat(), [&b"ab"[..], &big].concat());
        // No copy: the first slice of the big chunk is the chunk's own memory.
        assert_eq!(frames[1].as_ptr(), big.as_ptr());
        assert!(frames.iter().all(|frame| frame.len() <= FRAME_BYTES));
    }
}
