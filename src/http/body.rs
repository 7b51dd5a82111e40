//! A request body whose length is known before it is sent: shared chunks, never copied, or bytes that
//! are read while they are sent. Sent again for every attempt. Must not know where the bytes come
//! from.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

/// Largest piece handed to the connection at once. Small enough that progress on a slow link shows
/// within the idle time (128 KiB in 60 s is 2 KiB/s), large enough for full-size writes.
const FRAME_BYTES: usize = 128 * 1024;

/// Gives the bytes at an offset, exactly as many as it is asked for. May block.
pub type ReadAt = dyn Fn(u64, usize) -> io::Result<Bytes> + Send + Sync;

/// What a request sends. Cheap to clone.
#[derive(Clone)]
pub enum RequestBody {
    /// Shared chunks, in order.
    Chunks(Arc<[Bytes]>),
    /// Bytes that are read outside the async threads while they are sent.
    Read {
        /// How many bytes.
        len: u64,
        /// How many are read at a time; at least 1.
        piece_bytes: usize,
        /// Reads them. An error ends the request with
        /// [`Unreadable`](super::TransportErrorKind::Unreadable).
        read: Arc<ReadAt>,
    },
}

impl RequestBody {
    /// Length in bytes.
    fn len(&self) -> u64 {
        match self {
            Self::Chunks(chunks) => chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            Self::Read { len, .. } => *len,
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestBody({} bytes)", self.len())
    }
}

/// Why a body broke off.
#[derive(Debug)]
pub(super) struct Unreadable(io::Error);

impl Unreadable {
    /// Whether this is at the bottom of `error`.
    pub(super) fn caused(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the bytes to be sent cannot be read: {}", self.0)
    }
}

impl Error for Unreadable {}

/// One sending of a body.
#[derive(Debug)]
pub(super) struct KnownLength {
    body: RequestBody,
    next_chunk: usize,
    /// Bytes that were asked of the body: chunks begun, or pieces read.
    asked: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// What is being handed over.
    current: Bytes,
    left: u64,
    taken: Arc<AtomicU64>,
}

impl KnownLength {
    /// `taken` counts the bytes that the connection has asked for, for whoever watches progress.
    pub(super) fn new(body: RequestBody, taken: Arc<AtomicU64>) -> Self {
        let left = body.len();
        let current = Bytes::new();
        Self { body, next_chunk: 0, asked: 0, reading: None, current, left, taken }
    }

    /// The next chunk or piece, not empty; `None` at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let (len, piece_bytes, read) = match &self.body {
            RequestBody::Chunks(chunks) => {
                let rest = chunks.get(self.next_chunk..).unwrap_or_default();
                let empty = rest.iter().take_while(|chunk| chunk.is_empty()).count();
                self.next_chunk += empty + 1;
                return Poll::Ready(Ok(rest.get(empty).cloned()));
            }
            RequestBody::Read { len, piece_bytes, read } => (*len, *piece_bytes, read),
        };
        let now = usize::try_from(len - self.asked).unwrap_or(usize::MAX).min(piece_bytes.max(1));
        if now == 0 {
            return Poll::Ready(Ok(None));
        }
        let offset = self.asked;
        let reading = self.reading.get_or_insert_with(|| {
            let read = Arc::clone(read);
            tokio::task::spawn_blocking(move || read(offset, now))
        });
        let piece = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let piece = piece.map_err(io::Error::other)??;
        if piece.len() != now {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.asked += now as u64;
        Poll::Ready(Ok(Some(piece)))
    }
}

impl Body for KnownLength {
    type Data = Bytes;
    type Error = Unreadable;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        let this = &mut *self;
        if this.current.is_empty() {
            match ready!(this.poll_next(cx)) {
                Ok(Some(next)) => this.current = next,
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(Unreadable(error)))),
            }
        }
        let frame = this.current.split_to(this.current.len().min(FRAME_BYTES));
        this.left -= frame.len() as u64;
        this.taken.fetch_add(frame.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(frame))))
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
        let mut body = KnownLength::new(RequestBody::Chunks(chunks), taken.clone());
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

    fn read_body(
        len: u64,
        read: impl Fn(u64, usize) -> io::Result<Bytes> + Send + Sync + 'static,
    ) -> KnownLength {
        let body = RequestBody::Read { len, piece_bytes: 200_000, read: Arc::new(read) };
        KnownLength::new(body, Arc::default())
    }

    #[tokio::test]
    async fn pieces_are_read_in_order_and_handed_over_as_frames() {
        let bytes: Bytes = (0..1_000_001u32).map(|i| (i % 251) as u8).collect();
        let source = bytes.clone();
        let mut body = read_body(bytes.len() as u64, move |offset, len| {
            Ok(source.slice(offset as usize..offset as usize + len))
        });
        assert_eq!(body.size_hint().exact(), Some(bytes.len() as u64));
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.unwrap().into_data().unwrap();
            assert!((1..=FRAME_BYTES).contains(&frame.len()));
            whole.extend_from_slice(&frame);
        }
        assert!(body.is_end_stream() && whole == bytes);
    }

    #[tokio::test]
    async fn what_cannot_be_read_whole_is_an_error() {
        let mut failing = read_body(10, |_, _| Err(io::Error::other("broken disk")));
        let error = failing.frame().await.unwrap().unwrap_err();
        assert!(Unreadable::caused(&error) && error.to_string().contains("broken disk"));
        let mut short = read_body(10, |_, len| Ok(Bytes::from(vec![0; len - 1])));
        assert!(short.frame().await.unwrap().is_err());
    }
}
