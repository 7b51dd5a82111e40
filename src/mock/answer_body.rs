//! The body of an answer: streamed from the bucket's segments without copying, and spoiled on demand.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};

use super::faults::{Action, Stroke};
use crate::store::memory::Segment;

/// What hyper sends.
pub(super) type AnswerBody = UnsyncBoxBody<Bytes, io::Error>;

/// How a body is spoiled.
#[derive(Debug, Clone, Default)]
pub(super) struct Spoil {
    /// Blanks before the first byte, and the time before each.
    pub(super) blanks: Option<(u32, Duration)>,
    /// Bytes a second.
    pub(super) rate: Option<u64>,
    /// What happens at which byte.
    pub(super) strokes: Vec<(Byte, Stroke)>,
}

/// A byte of a body, counted from 0.
#[derive(Debug, Clone, Copy)]
pub(super) enum Byte {
    Number(u64),
    /// The first of its second half.
    Middle,
}

struct Sending {
    blanks: u32,
    interval: Duration,
    rate: Option<u64>,
    segments: VecDeque<Segment>,
    /// Bytes that were given.
    position: u64,
    strokes: Vec<(u64, Stroke)>,
    /// The connection is to be broken.
    broken: bool,
}

/// A body of these segments.
pub(super) fn body(segments: Vec<Segment>, spoil: &Spoil) -> AnswerBody {
    let len: u64 = segments.iter().map(Segment::len).sum();
    let (blanks, interval) = spoil.blanks.unwrap_or_default();
    let number = |byte: Byte| match byte {
        Byte::Number(number) => number,
        Byte::Middle => len / 2,
    };
    let strokes = spoil.strokes.iter().map(|(byte, stroke)| (number(*byte), stroke.clone()));
    let sending = Sending {
        blanks,
        interval,
        rate: spoil.rate,
        segments: segments.into(),
        position: 0,
        strokes: strokes.collect(),
        broken: false,
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
        if self.broken {
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
        if let Some(rate) = self.rate {
            let pause = Duration::from_secs_f64(bytes.len() as f64 / rate.max(1) as f64);
            tokio::time::sleep(pause).await;
        }
        bytes = self.strike(bytes).await;
        self.position += bytes.len() as u64;
        Some(Ok(bytes))
    }

    async fn strike(&mut self, mut bytes: Bytes) -> Bytes {
        // In the order of their bytes, so that nothing stalls before what it is behind was sent.
        let mut index = 0;
        while let Some((byte, stroke)) = self.strokes.get(index) {
            let inside = byte.checked_sub(self.position).and_then(|at| usize::try_from(at).ok());
            let Some(at) = inside.filter(|at| *at < bytes.len()) else {
                index += 1;
                continue;
            };
            match stroke.action {
                Action::Corrupt => {
                    let mut spoiled = bytes.to_vec();
                    spoiled[at] ^= 1;
                    bytes = spoiled.into();
                }
                Action::Stall if at == 0 => {
                    stroke.hit();
                    pending::<()>().await;
                }
                Action::Stall => {
                    // What is before it goes out first; the rest comes here again.
                    let rest = bytes.split_off(at);
                    self.segments.push_front(Segment::Memory(rest));
                    return bytes;
                }
                _ => {
                    bytes.truncate(at);
                    self.broken = true;
                }
            }
            stroke.hit();
            self.strokes.remove(index);
        }
        bytes
    }
}
