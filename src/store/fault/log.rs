//! What came, what was done to it, and what was answered: the proof that a fault has fired, and what two
//! runs of a simulation are compared by.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::store::fault::Fault;
use crate::store::{ErrorKind, Operation};

/// Events that are remembered; older ones are forgotten.
const MOST_EVENTS: usize = 1 << 20;

/// Something that happened to a call.
#[derive(Debug, Clone)]
pub struct Event {
    /// When, counted from when the store was made.
    pub at: Duration,
    /// The how manieth call it is, from 1.
    pub call: u64,
    /// Its operation.
    pub operation: Operation,
    /// The key it is about. Of calls about two keys the one that changes.
    pub key: Option<Box<str>>,
    /// The number of the part it is about.
    pub part: Option<u16>,
    /// What happened.
    pub what: What,
}

/// What happens to a call.
#[derive(Debug, Clone)]
pub enum What {
    /// It came, and this is to be done to it.
    Arrived(Vec<Fault>),
    /// It was answered; with an error, if there is one.
    Answered(Option<ErrorKind>),
    /// The bucket carried it out, or refused, after it had been answered.
    Late(Option<ErrorKind>),
    /// Nobody waits for the answer any more.
    Dropped,
}

/// Which call an event is about.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) operation: Operation,
    pub(super) key: Option<Box<str>>,
    pub(super) part: Option<u16>,
}

#[derive(Debug)]
pub(super) struct Log {
    /// Since when time is counted, and what had passed before.
    start: Mutex<(Instant, Duration)>,
    events: Mutex<VecDeque<Event>>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { start: Mutex::new((Instant::now(), Duration::ZERO)), events: Mutex::default() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        let (start, before) = *self.start.lock();
        before + start.elapsed()
    }

    /// Time is counted on another clock, from `at` on.
    pub(super) fn go_on(&self, at: Duration) {
        *self.start.lock() = (Instant::now(), at);
    }

    pub(super) fn add(&self, call: &Call, what: What) {
        let Call { number, operation, key, part } = call.clone();
        let at = self.elapsed();
        let mut events = self.events.lock();
        if events.len() == MOST_EVENTS {
            events.pop_front();
        }
        events.push_back(Event { at, call: number, operation, key, part, what });
    }

    pub(super) fn snapshot(&self) -> Vec<Event> {
        self.events.lock().iter().cloned().collect()
    }
}
