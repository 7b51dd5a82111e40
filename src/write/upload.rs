//! One multipart upload as a state machine. Pure: no await, no clock, no store; [`driver`](super::driver)
//! runs the commands and feeds the answers back.
//!
//! ```text
//!            Seal             Started(ok)          Finish, all confirmed        Completed(ok)
//!   Empty ──────────▶ Starting ──────────▶ Sending ─────────────────▶ Completing ──────────▶ Done
//!     └───────GiveUp──────┴─── any failure ───┴──────── GiveUp ───────────┴──▶ Failed(first cause)
//! ```
//!
//! A part that has changed is sent again under its number, but only when its earlier request has been
//! answered: what the service gets last is what it keeps.
//!
//! Failed is not the end of the work: requests still out there are awaited, and only then the upload
//! is aborted once, because a part that arrives after the abort may stay in the bucket for ever (OSS
//! says so). An id that arrives after we gave up is aborted too. A Complete that failed may still be carried out
//! until the abort is over, and so long the key is not free for others.

use std::collections::BTreeMap;

use crate::store::{
    Expected, ObjectVersion, PartNumber, PartReceipt, StoreResult, Upload as OpenUpload,
};
use crate::write::WriteError;

/// What happened. `P` is the body of a part.
#[derive(Debug)]
pub(super) enum Event<P> {
    /// The next part is complete; parts are numbered in the order of these.
    Seal(P),
    /// The part of this number, which was sealed, has other bytes now. The last ones win.
    Change(PartNumber, P),
    /// No further part comes; the object must be this.
    Finish(Expected),
    /// The answer to `Start`.
    Started(StoreResult<OpenUpload>),
    /// The answer to `Send`.
    Sent(PartNumber, Result<PartReceipt, WriteError>),
    /// The answer to `Complete`.
    Completed(Result<ObjectVersion, WriteError>),
    /// `Abort` is over: the upload is gone, or nothing more can be done about it.
    Aborted,
    /// Nobody wants the object any more.
    GiveUp(WriteError),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<P> {
    Start,
    Send {
        upload: OpenUpload,
        number: PartNumber,
        part: P,
    },
    Complete {
        upload: OpenUpload,
        parts: Vec<PartReceipt>,
        expected: Expected,
        /// A number was sent more than once: look first which bytes the service has for it.
        sent_again: bool,
    },
    Abort {
        upload: OpenUpload,
    },
}

/// The states; data inside the state where it exists.
#[derive(Debug)]
pub(super) enum Upload<P> {
    Empty,
    Starting { queued: Vec<P>, finish: Option<Expected> },
    Sending(Sending<P>),
    Completing { upload: OpenUpload },
    Done { version: ObjectVersion },
    Failed { cause: WriteError, out: Outstanding },
}

/// Parts are on their way.
#[derive(Debug)]
pub(super) struct Sending<P> {
    upload: OpenUpload,
    /// How many parts were handed out; they are numbered 1 to this.
    sealed: u64,
    /// Of parts that are confirmed as they are. For any other a request is out, exactly one.
    receipts: BTreeMap<PartNumber, PartReceipt>,
    /// New bytes of parts whose request is still out. They wait for its answer: of two requests for one
    /// number nobody knows which comes last.
    changed: BTreeMap<PartNumber, P>,
    sent_again: bool,
    finish: Option<Expected>,
}

/// What a failed upload still waits for.
#[derive(Debug)]
pub(super) enum Outstanding {
    Nothing,
    Start,
    Parts {
        upload: OpenUpload,
        count: u64,
    },
    Complete {
        upload: OpenUpload,
    },
    /// The abort after a Complete that failed: until then the service may still be at it.
    Abort,
}

const NEVER_SEALED: WriteError = WriteError::Internal("a part was changed before it was sent");

type Step<P> = (Upload<P>, Vec<Command<P>>);

impl<P> Upload<P> {
    /// The next state and what to do. Events that have no meaning in a state change nothing; a part
    /// sealed or changed after the end is dropped.
    pub(super) fn apply(self, event: Event<P>) -> Step<P> {
        match (self, event) {
            (Self::Empty, Event::Seal(part)) => {
                (Self::Starting { queued: vec![part], finish: None }, vec![Command::Start])
            }
            (Self::Empty, Event::Finish(_)) => {
                Self::failed(WriteError::Internal("an upload without parts"), Outstanding::Nothing)
            }
            (Self::Empty, Event::Change(..)) => Self::failed(NEVER_SEALED, Outstanding::Nothing),
            (Self::Empty, Event::GiveUp(cause)) => Self::failed(cause, Outstanding::Nothing),

            (Self::Starting { mut queued, finish: None }, Event::Seal(part)) => {
                queued.push(part);
                (Self::Starting { queued, finish: None }, vec![])
            }
            (Self::Starting { mut queued, finish: None }, Event::Change(number, part)) => {
                let Some(old) = queued.get_mut(usize::from(number.get()) - 1) else {
                    return Self::failed(NEVER_SEALED, Outstanding::Start);
                };
                *old = part;
                (Self::Starting { queued, finish: None }, vec![])
            }
            (Self::Starting { queued, .. }, Event::Finish(expected)) => {
                (Self::Starting { queued, finish: Some(expected) }, vec![])
            }
            (Self::Starting { queued, finish }, Event::Started(Ok(upload))) => {
                Sending::new(upload, finish).send(queued)
            }
            (Self::Starting { .. }, Event::Started(Err(error))) => {
                Self::failed(error.into(), Outstanding::Nothing)
            }
            (Self::Starting { .. }, Event::GiveUp(cause)) => {
                Self::failed(cause, Outstanding::Start)
            }

            (Self::Sending(sending), Event::Seal(part)) if sending.finish.is_none() => {
                sending.send(vec![part])
            }
            (Self::Sending(sending), Event::Change(number, part)) if sending.finish.is_none() => {
                sending.change(number, part)
            }
            (Self::Sending(mut sending), Event::Finish(expected)) => {
                sending.finish = Some(expected);
                sending.complete_if_ready()
            }
            (Self::Sending(sending), Event::Sent(number, Ok(receipt))) => {
                sending.sent(number, receipt)
            }
            (Self::Sending(sending), Event::Sent(_, Err(cause))) => sending.fail(cause, 1),
            (Self::Sending(sending), Event::GiveUp(cause)) => sending.fail(cause, 0),

            (Self::Completing { .. }, Event::Completed(Ok(version))) => {
                (Self::Done { version }, vec![])
            }
            (Self::Completing { upload }, Event::Completed(Err(cause))) => {
                Outstanding::complete_failed(upload, cause)
            }
            (Self::Completing { upload }, Event::GiveUp(cause)) => {
                Self::failed(cause, Outstanding::Complete { upload })
            }

            (Self::Failed { cause, out }, event) => out.after_failure(cause, event),
            (state, _) => (state, vec![]),
        }
    }

    /// The result, once there is one.
    pub(super) fn end(&self) -> Option<Result<ObjectVersion, WriteError>> {
        match self {
            Self::Done { version } => Some(Ok(version.clone())),
            Self::Failed { cause, .. } => Some(Err(cause.clone())),
            _ => None,
        }
    }

    /// Parts handed in and not yet confirmed.
    pub(super) fn unconfirmed(&self) -> usize {
        match self {
            Self::Starting { queued, .. } => queued.len(),
            Self::Sending(sending) => sending.unconfirmed() as usize,
            _ => 0,
        }
    }

    /// Parts that the service has, and their bytes; `None`: all that were handed in.
    pub(super) fn confirmed(&self) -> Option<(usize, u64)> {
        match self {
            Self::Sending(Sending { receipts, .. }) => {
                Some((receipts.len(), receipts.values().map(|receipt| receipt.size).sum()))
            }
            Self::Completing { .. } | Self::Done { .. } => None,
            Self::Empty | Self::Starting { .. } | Self::Failed { .. } => Some((0, 0)),
        }
    }

    /// Whether a Complete is on its way, or may be: no error tells that it was not carried out, and only the
    /// abort keeps it from being so later.
    pub(super) fn is_completing(&self) -> bool {
        let out = match self {
            Self::Completing { .. } => return true,
            Self::Failed { out, .. } => out,
            _ => return false,
        };
        matches!(out, Outstanding::Complete { .. } | Outstanding::Abort)
    }

    /// Whether it has failed and answers about its parts are still to come.
    pub(super) fn is_out(&self) -> bool {
        match self {
            // An Initiate that is not answered has no parts to go on with.
            Self::Failed { out, .. } => !matches!(out, Outstanding::Nothing | Outstanding::Start),
            _ => false,
        }
    }

    /// Whether no answer can come any more.
    #[cfg(test)]
    fn is_settled(&self) -> bool {
        matches!(
            self,
            Self::Empty | Self::Done { .. } | Self::Failed { out: Outstanding::Nothing, .. }
        )
    }

    fn failed(cause: WriteError, out: Outstanding) -> Step<P> {
        (Self::Failed { cause, out }, vec![])
    }
}

impl<P> Sending<P> {
    fn new(upload: OpenUpload, finish: Option<Expected>) -> Self {
        Self {
            upload,
            sealed: 0,
            receipts: BTreeMap::new(),
            changed: BTreeMap::new(),
            sent_again: false,
            finish,
        }
    }

    fn unconfirmed(&self) -> u64 {
        self.sealed - self.receipts.len() as u64
    }

    fn send(mut self, parts: Vec<P>) -> Step<P> {
        let mut commands = Vec::with_capacity(parts.len());
        let before = self.unconfirmed();
        for part in parts {
            let Ok(number) = PartNumber::new(self.sealed + 1) else {
                // None of `commands` will run, so only the parts from before are out.
                let cause = WriteError::Internal("more parts than part numbers");
                return self.fail_with_out(cause, before);
            };
            self.sealed += 1;
            commands.push(Command::Send { upload: self.upload.clone(), number, part });
        }
        let (state, complete) = self.complete_if_ready();
        commands.extend(complete);
        (state, commands)
    }

    fn change(mut self, number: PartNumber, part: P) -> Step<P> {
        if u64::from(number.get()) > self.sealed {
            return self.fail(NEVER_SEALED, 0);
        }
        self.sent_again = true;
        if self.receipts.remove(&number).is_none() {
            self.changed.insert(number, part);
            return (Upload::Sending(self), vec![]);
        }
        let send = Command::Send { upload: self.upload.clone(), number, part };
        (Upload::Sending(self), vec![send])
    }

    fn sent(mut self, number: PartNumber, receipt: PartReceipt) -> Step<P> {
        if let Some(part) = self.changed.remove(&number) {
            let send = Command::Send { upload: self.upload.clone(), number, part };
            return (Upload::Sending(self), vec![send]);
        }
        self.receipts.insert(number, receipt);
        self.complete_if_ready()
    }

    fn complete_if_ready(self) -> Step<P> {
        match self.finish {
            Some(expected) if self.unconfirmed() == 0 => {
                let parts = self.receipts.into_values().collect();
                let (upload, sent_again) = (self.upload.clone(), self.sent_again);
                (
                    Upload::Completing { upload: self.upload },
                    vec![Command::Complete { upload, parts, expected, sent_again }],
                )
            }
            _ => (Upload::Sending(self), vec![]),
        }
    }

    fn fail(self, cause: WriteError, answered: u64) -> Step<P> {
        let out = self.unconfirmed().saturating_sub(answered);
        self.fail_with_out(cause, out)
    }

    fn fail_with_out(self, cause: WriteError, out: u64) -> Step<P> {
        Outstanding::parts(self.upload, out).into_step(cause)
    }
}

impl Outstanding {
    fn parts(upload: OpenUpload, count: u64) -> Self {
        Self::Parts { upload, count }
    }

    /// Failed; aborts as soon as nothing is out there.
    fn into_step<P>(self, cause: WriteError) -> Step<P> {
        match self {
            Self::Parts { upload, count: 0 } => {
                (Upload::failed(cause, Self::Nothing).0, vec![Command::Abort { upload }])
            }
            out => Upload::failed(cause, out),
        }
    }

    fn complete_failed<P>(upload: OpenUpload, cause: WriteError) -> Step<P> {
        (Upload::failed(cause, Self::Abort).0, vec![Command::Abort { upload }])
    }

    fn after_failure<P>(self, cause: WriteError, event: Event<P>) -> Step<P> {
        match (self, event) {
            (Self::Start, Event::Started(Ok(upload))) => Self::parts(upload, 0).into_step(cause),
            (Self::Start, Event::Started(Err(_))) => Upload::failed(cause, Self::Nothing),
            (Self::Parts { upload, count }, Event::Sent(..)) => {
                Self::parts(upload, count.saturating_sub(1)).into_step(cause)
            }
            (Self::Complete { .. }, Event::Completed(Ok(_))) => {
                Upload::failed(cause, Self::Nothing)
            }
            (Self::Complete { upload }, Event::Completed(Err(_))) => {
                Self::complete_failed(upload, cause)
            }
            (Self::Abort, Event::Aborted) => Upload::failed(cause, Self::Nothing),
            (out, _) => Upload::failed(cause, out),
        }
    }
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
