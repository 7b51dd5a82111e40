//! What can go wrong between us and an answer. Must not know what was asked.

use std::error::Error;
use std::fmt;

use super::body::Unreadable;

/// Where an exchange broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// No connection was made: name, route or refusal. The server has not seen the request.
    Connect,
    /// TLS failed: no certificate that is trusted for this name, or no TLS at all. As `Connect`.
    Untrusted,
    /// The connection broke after it was made. The server may have carried the request out.
    Broken,
    /// Nothing moved for as long as we are willing to wait. The request may have been carried out.
    Idle,
    /// The answer is longer than it may be. The request was carried out or not.
    TooLong,
    /// The request cannot be put on the wire; it was not sent.
    Unsendable,
    /// Its body could not be read on this side; it was not sent whole, so it was not carried out.
    Unreadable,
}

/// An exchange without a complete answer. Carries no URL and no header, hence no secret.
#[derive(Debug, Clone)]
pub struct TransportError {
    /// Where it broke.
    pub kind: TransportErrorKind,
    /// What happened, in words.
    pub message: Box<str>,
    /// Status of the answer, if its head had arrived.
    pub status: Option<u16>,
}

impl TransportError {
    pub(super) fn new(kind: TransportErrorKind, message: impl Into<Box<str>>) -> Self {
        Self { kind, message: message.into(), status: None }
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Whether the server may have carried the request out although we have no answer.
    pub fn fate_unknown(&self) -> bool {
        match self.kind {
            TransportErrorKind::Connect
            | TransportErrorKind::Untrusted
            | TransportErrorKind::Unsendable
            | TransportErrorKind::Unreadable => false,
            TransportErrorKind::Broken | TransportErrorKind::Idle | TransportErrorKind::TooLong => {
                true
            }
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for TransportError {}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        let kind = if Unreadable::caused(&error) {
            TransportErrorKind::Unreadable
        } else if error.is_connect() && is_tls(&error) {
            TransportErrorKind::Untrusted
        } else if error.is_connect() {
            TransportErrorKind::Connect
        } else if error.is_builder() {
            TransportErrorKind::Unsendable
        } else {
            TransportErrorKind::Broken
        };
        // The URL would repeat the key and the upload id in every message.
        Self::new(kind, chain(&error.without_url()))
    }
}

/// Whether it is TLS that failed, and not the connection under it.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut below: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = below {
        if cause.is::<rustls::Error>() {
            return true;
        }
        // An `io::Error` hides what it wraps from `source`.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if wrapped.is_some_and(|wrapped| is_tls(wrapped)) {
            return true;
        }
        below = cause.source();
    }
    false
}

/// The messages of an error and of everything below it; reqwest alone says only "error sending request".
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        below = cause.source();
    }
    text
}
