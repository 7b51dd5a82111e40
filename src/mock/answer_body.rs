//! The body of an answer: streamed from the bucket's segments without copying, and spoiled on demand.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};

use crate::store::memory::Segment;

/// What hyper sends.
pub(super) type AnswerBody = UnsyncBoxBody<Bytes, io::Error>;

/// How a body is spoiled.
#[derive(Debug, Clone, Default)]
pub(super) struct Spoil {
    /// Blanks before the first byte, and the time before each.
    pub(super) blanks: Option<(u32, Duration)>,
    /// Break off half-way.
    pub(super) truncate: bool,
    /// Flip a bit in the first byte.
    pub(super) corrupt: bool,
}

struct Sending {
    blanks: u32,
    interval: Duration,
    segments: VecDeque<Segment>,
    corrupt: bool,
    /// Bytes left until the connection breaks.
    break_after: Option<u64>,
}

/// A body of these segments.
pub(super) fn body(segments: Vec<Segment>, spoil: &Spoil) -> AnswerBody {
    let len: u64 = segments.iter().map(Segment::len).sum();
    let (blanks, interval) = spoil.blanks.unwrap_or_default();
    let sending = Sending {
        blanks,
        interval,
        segments: segments.into(),
        corrupt: spoil.corrupt,
        break_after: spoil.truncate.then_some(len / 2),
    };
    let frames = stream::unfold(sending, async |mut sending| {
        let frame = sending.next().await?;
        Some((frame.map(Frame::data), sending))
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

impl Sending {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.blanks > 0 {
            self.blanks -= 1;
            tokio::time::sleep(self.interval).await;
            return Some(Ok(Bytes::from_static(b" ")));
        }
        if self.break_after == Some(0) {
            return Some(Err(io::Error::other("broken off on purpose")));
        }
        let segment = self.segments.pop_front()?;
        let (mut bytes, rest) = match segment.take_front().await {
            Ok(taken) => taken,
            Err(error) => return Some(Err(error)),
        };
        if let Some(rest) = rest {
            self.segments.push_front(rest);
        }
        if std::mem::take(&mut self.corrupt) {
            let mut spoiled = bytes.to_vec();
            spoiled[0] ^= 1;
            bytes = spoiled.into();
        }
        if let Some(left) = &mut self.break_after {
            bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= bytes.len() as u64;
        }
        Some(Ok(bytes))
    }
}
