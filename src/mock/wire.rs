//! The body of a request as it comes from the wire, with what fault rules do to it on the way. Knows
//! neither framing nor operations.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::faults::{Action, Place, Stroke};
use super::refusal::Refusal;

/// Where the bytes come from.
#[derive(Debug)]
enum Source {
    Connection(Incoming),
    /// They have come already.
    Kept(VecDeque<Bytes>),
}

/// A body on its way.
#[derive(Debug)]
pub(super) struct Wire {
    source: Source,
    /// Bytes that have come.
    position: u64,
    /// What happens at which byte.
    strokes: Vec<(u64, Stroke)>,
    /// Bytes a second.
    rate: Option<u64>,
    /// The rest is lost.
    ended: bool,
    broken: bool,
}

impl Wire {
    pub(super) fn new(body: Incoming, struck: &[Stroke]) -> Self {
        let at_byte = |stroke: &Stroke| match stroke.at {
            Some(Place::Request(byte)) => Some((byte, stroke.clone())),
            _ => None,
        };
        let rate = struck.iter().find_map(|stroke| match stroke.action {
            Action::Rate(rate) => Some(rate.max(1)),
            _ => None,
        });
        Self {
            source: Source::Connection(body),
            position: 0,
            strokes: struck.iter().filter_map(at_byte).collect(),
            rate,
            ended: false,
            broken: false,
        }
    }

    /// Whether the connection is to be closed without an answer.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether nothing is to come.
    pub(super) fn is_at_end(&self) -> bool {
        match &self.source {
            Source::Connection(body) => body.is_end_stream(),
            Source::Kept(chunks) => chunks.is_empty(),
        }
    }

    /// Waits for all of it. What strikes it strikes now.
    pub(super) async fn keep(mut self) -> Result<Self, Refusal> {
        let mut chunks = VecDeque::new();
        while let Some(chunk) = self.next().await? {
            chunks.push_back(chunk);
        }
        let (source, strokes) = (Source::Kept(chunks), Vec::new());
        Ok(Self { source, strokes, position: 0, rate: None, ended: false, broken: false })
    }

    /// The next bytes, `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Some(chunk) = self.arrive().await? else { return Ok(None) };
            if let Some(rate) = self.rate {
                tokio::time::sleep(Duration::from_secs_f64(chunk.len() as f64 / rate as f64)).await;
            }
            let passed = self.pass(chunk).await?;
            // After a truncation the rest is read all the same, so that the client gets its answer.
            if let Some(bytes) = passed.filter(|bytes| !bytes.is_empty()) {
                return Ok(Some(bytes));
            }
        }
    }

    async fn arrive(&mut self) -> Result<Option<Bytes>, Refusal> {
        let body = match &mut self.source {
            Source::Connection(body) => body,
            Source::Kept(chunks) => return Ok(chunks.pop_front()),
        };
        loop {
            let Some(frame) = body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|_| Refusal::IncompleteBody)?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }

    /// What the strokes leave of these bytes.
    async fn pass(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>, Refusal> {
        let start = self.position;
        self.position += chunk.len() as u64;
        if self.ended {
            return Ok(None);
        }
        for (byte, stroke) in &self.strokes {
            let inside = byte.checked_sub(start).and_then(|at| usize::try_from(at).ok());
            let Some(at) = inside.filter(|at| *at < chunk.len()) else { continue };
            stroke.hit();
            match stroke.action {
                Action::Corrupt => {
                    let mut spoiled = BytesMut::from(chunk.as_ref());
                    spoiled[at] ^= 1;
                    chunk = spoiled.freeze();
                }
                Action::Truncate => {
                    chunk.truncate(at);
                    self.ended = true;
                }
                Action::Stall => pending::<()>().await,
                _ => {
                    self.broken = true;
                    return Err(Refusal::IncompleteBody);
                }
            }
        }
        Ok(Some(chunk))
    }
}
