//! A failed attempt, before it is decided whether there is another: what it means, whether
//! repeating can help, and whether the service may have carried the request out all the same.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::credentials::CredentialError;
use crate::http::{Exhausted, TransportError, TransportErrorKind, Verdict};
use crate::store::{ErrorKind, Key, Operation, StoreError};

/// Answers that are no answers come from a proxy's login page or a defect rather than from a
/// passing trouble: they are tried again only so often.
const MAX_GARBLED_ATTEMPTS: u32 = 4;

/// Bytes that arrive as others are damaged on the way, which passes, or were here before, which does not.
const MAX_DAMAGED_ATTEMPTS: u32 = 8;

/// As much of a service's words as is shown, in characters. Some repeat what was signed.
const WORDS_SHOWN: usize = 500;

/// The beginning of what a service says.
pub(crate) fn in_few_words(message: &str) -> Box<str> {
    match message.char_indices().nth(WORDS_SHOWN) {
        Some((end, _)) => format!("{} …", &message[..end]).into(),
        None => message.into(),
    }
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Another attempt would fail the same way.
    Never,
    /// The service refused and did nothing; later it may not.
    Refused,
    /// There is no telling whether the request was carried out.
    FateUnknown,
}

/// Why one attempt failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) repeat: Repeat,
    pub(crate) code: Option<Box<str>>,
    pub(crate) message: Box<str>,
    pub(crate) status: Option<u16>,
    pub(crate) request_id: Option<Box<str>>,
    pub(crate) after: Option<Duration>,
    pub(crate) cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, repeat: Repeat, message: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            repeat,
            code: None,
            message: message.into(),
            status: None,
            request_id: None,
            after: None,
            cause: None,
        }
    }

    /// An answer that is not what the protocol says. What the request did is unknown.
    pub(crate) fn garbled(message: impl Into<Box<str>>) -> Self {
        Self::new(ErrorKind::InvalidAnswer, Repeat::FateUnknown, message)
    }

    /// The service has done its work, as it says, and the question whether that is so has failed.
    pub(crate) fn unconfirmed(what: &str, question: StoreError) -> Self {
        let message = format!("{what}: {}", question.message);
        Self {
            code: question.code,
            status: question.status,
            request_id: question.request_id,
            ..Self::new(question.kind, Repeat::Never, message)
        }
    }

    /// A request that cannot be made.
    pub(crate) fn unsayable(message: impl Into<Box<str>>) -> Self {
        Self::new(ErrorKind::InvalidRequest, Repeat::Never, message)
    }

    /// Whether the request may have been carried out.
    pub(crate) fn fate_unknown(&self) -> bool {
        self.repeat == Repeat::FateUnknown
    }

    /// The verdict on attempt `number` of a request that is safe to repeat.
    pub(crate) fn verdict<T>(self, number: u32) -> Verdict<T, Self> {
        let futile = match self.kind {
            ErrorKind::InvalidAnswer => number >= MAX_GARBLED_ATTEMPTS,
            ErrorKind::Corrupt => number >= MAX_DAMAGED_ATTEMPTS,
            _ => false,
        };
        if self.repeat == Repeat::Never || futile {
            Verdict::Final(self)
        } else {
            let after = self.after;
            Verdict::Again { error: self, after }
        }
    }

    /// The error that the caller of the store sees.
    pub(crate) fn into_error(
        self,
        operation: Operation,
        key: Option<&Key>,
        attempts: u32,
    ) -> StoreError {
        StoreError {
            kind: self.kind,
            operation,
            key: key.map(|key| key.as_str().into()),
            code: self.code,
            status: self.status,
            request_id: self.request_id,
            attempts,
            message: self.message,
            cause: self.cause,
        }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let (kind, repeat) = match error.kind {
            TransportErrorKind::Untrusted => (ErrorKind::Untrusted, Repeat::Never),
            TransportErrorKind::Connect => (ErrorKind::Network, Repeat::Refused),
            TransportErrorKind::Broken => (ErrorKind::Network, Repeat::FateUnknown),
            TransportErrorKind::Idle => (ErrorKind::Timeout, Repeat::FateUnknown),
            TransportErrorKind::TooLong => (ErrorKind::InvalidAnswer, Repeat::FateUnknown),
            TransportErrorKind::Unsendable => (ErrorKind::InvalidRequest, Repeat::Never),
            TransportErrorKind::Unreadable => (ErrorKind::Unreadable, Repeat::Never),
        };
        Self {
            status: error.status,
            cause: Some(Arc::new(error.clone())),
            ..Self::new(kind, repeat, error.message)
        }
    }
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        let repeat = match &error {
            CredentialError::NotFound(_)
            | CredentialError::HalfPair { .. }
            | CredentialError::Bad { .. } => Repeat::Never,
            // Nothing was sent, and who gives out credentials may answer later.
            CredentialError::Unavailable { .. } => Repeat::Refused,
        };
        Self::new(ErrorKind::BadCredentials, repeat, error.to_string())
    }
}

/// The error of a request whose attempts are over.
pub(crate) fn given_up(
    exhausted: Exhausted<Failure>,
    operation: Operation,
    key: Option<&Key>,
    total: Duration,
) -> StoreError {
    let Exhausted { error, cut_off, attempts } = exhausted;
    let failure = match error {
        Some(failure) if !cut_off => failure,
        last => {
            let mut message = format!("no result within {} s", total.as_secs_f32());
            if let Some(last) = &last {
                message.push_str("; before that: ");
                message.push_str(&last.message);
            }
            // The last answer is what the service's support desk can look up.
            let (code, status, request_id) =
                last.map(|last| (last.code, last.status, last.request_id)).unwrap_or_default();
            let timeout = Failure::new(ErrorKind::Timeout, Repeat::FateUnknown, message);
            Failure { code, status, request_id, ..timeout }
        }
    };
    failure.into_error(operation, key, attempts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_not_quoted_without_end() {
        assert_eq!(&*in_few_words("short"), "short");
        let exact = "é".repeat(WORDS_SHOWN);
        assert_eq!(*in_few_words(&exact), exact);
        assert_eq!(*in_few_words(&format!("{exact}x")), format!("{exact} …"));
    }
}
