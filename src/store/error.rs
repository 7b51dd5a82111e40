//! What can go wrong with a store, by meaning. Provider codes are translated by the dialects;
//! everything above decides on [`ErrorKind`], never on text.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The meaning of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The object does not exist.
    NotFound,
    /// The bucket does not exist.
    BucketMissing,
    /// The multipart upload does not exist: completed, aborted, or never there.
    NoSuchUpload,
    /// The object changed: If-Match or If-Unmodified-Since did not hold; of the source of a copy any condition.
    PreconditionFailed,
    /// A GET or HEAD asked for news and there are none: If-None-Match or If-Modified-Since did not hold.
    NotModified,
    /// Create-only met an existing object.
    AlreadyExists,
    /// The credentials are good but may not do this.
    AccessDenied,
    /// The service does not know the access key.
    UnknownAccessKey,
    /// The service computes another signature: the secret is wrong, or the region it covers.
    WrongSignature,
    /// Expired credentials, a token that is expired or malformed; or none that can be used.
    BadCredentials,
    /// Our clock and the service's differ by more than it allows.
    ClockSkew,
    /// The request is for another endpoint or region.
    WrongEndpoint,
    /// Quota or arrears.
    QuotaExceeded,
    /// Larger than the service allows.
    TooLarge,
    /// Complete met a part that is missing, too small or out of order: a defect of ours.
    InvalidPart,
    /// The object was not made by append, so nothing can be appended to it.
    NotAppendable,
    /// The range starts past the end.
    InvalidRange,
    /// The object is archived and not readable now.
    Archived,
    /// The service refused the request as malformed, or does not know the operation.
    InvalidRequest,
    /// The service asked for fewer requests, to the end of our patience.
    Throttled,
    /// 5xx to the end of our patience.
    Unavailable,
    /// No connection, or it broke, to the end of our patience.
    Network,
    /// The server did not prove who it is, or does not speak TLS. Not tried again.
    Untrusted,
    /// No answer within the time allowed.
    Timeout,
    /// An answer that is not what the protocol says: wrong root element, truncated, HTML …
    InvalidAnswer,
    /// Bytes arrived that are not the bytes sent: a checksum differs.
    Corrupt,
    /// The key cannot be stored by this service (too long, forbidden characters).
    InvalidKey,
    /// Bytes that were to be sent could not be read on this machine. Nothing was stored.
    Unreadable,
}

/// Which operation failed, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the operations of the store")]
pub enum Operation {
    Head,
    Get,
    List,
    Put,
    Delete,
    DeleteMany,
    Copy,
    Rename,
    Append,
    StartUpload,
    PutPart,
    CopyPart,
    CompleteUpload,
    AbortUpload,
    ListParts,
    ListUploads,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "HEAD object",
            Self::Get => "GET object",
            Self::List => "list objects",
            Self::Put => "PUT object",
            Self::Delete => "DELETE object",
            Self::DeleteMany => "delete multiple objects",
            Self::Copy => "copy object",
            Self::Rename => "rename object",
            Self::Append => "append to object",
            Self::StartUpload => "initiate multipart upload",
            Self::PutPart => "upload part",
            Self::CopyPart => "upload part copy",
            Self::CompleteUpload => "complete multipart upload",
            Self::AbortUpload => "abort multipart upload",
            Self::ListParts => "list parts",
            Self::ListUploads => "list multipart uploads",
        })
    }
}

/// A failed store operation. Cheap to clone: a failure is told to every later caller.
#[derive(Debug, Clone)]
pub struct StoreError {
    /// What it means.
    pub kind: ErrorKind,
    /// What was tried.
    pub operation: Operation,
    /// The key, if one was named.
    pub key: Option<Box<str>>,
    /// The service's own code (`NoSuchKey`), if it gave one.
    pub code: Option<Box<str>>,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The service's id of the request, for its support desk.
    pub request_id: Option<Box<str>>,
    /// How often it was tried; at least 1.
    pub attempts: u32,
    /// What happened, in words: the service's message or our own.
    pub message: Box<str>,
    /// The error below, if there is one.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error with the least: what it means, what was tried, what happened.
    pub fn new(kind: ErrorKind, operation: Operation, message: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            operation,
            key: None,
            code: None,
            status: None,
            request_id: None,
            attempts: 1,
            message: message.into(),
            cause: None,
        }
    }

    /// Whether the service does not do it, as opposed to: cannot now, or not with what there is.
    pub fn is_refusal(&self) -> bool {
        use ErrorKind::{AccessDenied, InvalidRequest, NotAppendable};
        matches!(self.kind, AccessDenied | InvalidRequest | NotAppendable)
    }

    /// What happened, for a line that has status, code and the request's id beside it. The message of a
    /// service is data: who writes this down escapes it.
    pub fn words(&self) -> String {
        let mut text = self.operation.to_string();
        if let Some(key) = &self.key {
            text += &format!(" {key:?}");
        }
        text += &format!(": {}", self.message);
        if self.attempts > 1 {
            text += &format!(", after {} attempts", self.attempts);
        }
        text
    }

    /// Names the key.
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(key) = &self.key {
            write!(f, " {key:?}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(status) = self.status {
            write!(f, " (status {status}")?;
            if let Some(code) = &self.code {
                write!(f, ", {code}")?;
            }
            write!(f, ")")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, ", request id {id}")?;
        }
        if self.attempts > 1 {
            write!(f, ", after {} attempts", self.attempts)?;
        }
        Ok(())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
