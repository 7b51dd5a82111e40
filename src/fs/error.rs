//! What a file-system operation answers when it cannot do its work, by meaning. `fuse/errno.rs` turns
//! each meaning into a number; nothing here knows numbers.

use std::fmt;
use std::sync::Arc;

use crate::read::ReadError;
use crate::store::{ErrorKind, StoreError};
use crate::write::WriteError;

/// Result of a file-system operation.
pub type FsResult<T> = Result<T, FsError>;

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each name says what is wrong; fuse/errno.rs has the remarks")]
pub enum Meaning {
    NotFound,
    Exists,
    NotDirectory,
    IsDirectory,
    NotEmpty,
    NameTooLong,
    NotUtf8,
    Invalid,
    ReadOnly,
    TooLarge,
    Stale,
    BadHandle,
    NotSupported,
    NotPermitted,
    AccessDenied,
    Busy,
    QuotaExceeded,
    NoSpace,
    NoAttribute,
    BeyondEnd,
    TooManyOpenFiles,
    TimedOut,
    Io,
}

/// A failure: what it means, and for the log what lay below it. Cheap to clone, because a failed
/// writer repeats its failure to every later caller.
#[derive(Debug, Clone)]
pub struct FsError {
    meaning: Meaning,
    detail: Option<Arc<str>>,
}

impl FsError {
    /// The meaning.
    pub fn meaning(&self) -> Meaning {
        self.meaning
    }

    /// A failure with an explanation for the log.
    pub fn with_detail(meaning: Meaning, detail: impl Into<Arc<str>>) -> Self {
        Self { meaning, detail: Some(detail.into()) }
    }

    /// Whether the store or the machine let us down, as opposed to the caller asking for something
    /// that cannot be. Only these are worth a line in the log.
    pub fn is_noteworthy(&self) -> bool {
        self.detail.is_some()
            && !matches!(self.meaning, Meaning::NotFound | Meaning::Exists | Meaning::NameTooLong)
    }
}

impl From<Meaning> for FsError {
    fn from(meaning: Meaning) -> Self {
        Self { meaning, detail: None }
    }
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{:?}: {detail}", self.meaning),
            None => write!(f, "{:?}", self.meaning),
        }
    }
}

impl std::error::Error for FsError {}

impl From<&StoreError> for FsError {
    fn from(error: &StoreError) -> Self {
        let meaning = match error.kind {
            ErrorKind::NotFound => Meaning::NotFound,
            ErrorKind::PreconditionFailed => Meaning::Stale,
            ErrorKind::AlreadyExists => Meaning::Exists,
            ErrorKind::AccessDenied
            | ErrorKind::UnknownAccessKey
            | ErrorKind::WrongSignature
            | ErrorKind::BadCredentials => Meaning::AccessDenied,
            ErrorKind::QuotaExceeded => Meaning::QuotaExceeded,
            ErrorKind::TooLarge => Meaning::TooLarge,
            ErrorKind::InvalidKey => Meaning::NameTooLong,
            ErrorKind::Timeout => Meaning::TimedOut,
            ErrorKind::BucketMissing
            | ErrorKind::NoSuchUpload
            // No file operation asks for news only.
            | ErrorKind::NotModified
            | ErrorKind::ClockSkew
            | ErrorKind::WrongEndpoint
            | ErrorKind::InvalidPart
            | ErrorKind::NotAppendable
            | ErrorKind::InvalidRange
            | ErrorKind::Archived
            | ErrorKind::InvalidRequest
            | ErrorKind::Throttled
            | ErrorKind::Unavailable
            | ErrorKind::Network
            | ErrorKind::Untrusted
            | ErrorKind::InvalidAnswer
            | ErrorKind::Corrupt
            | ErrorKind::Unreadable => Meaning::Io,
        };
        Self::with_detail(meaning, error.to_string())
    }
}

impl From<StoreError> for FsError {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<ReadError> for FsError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Stale => Self::with_detail(
                Meaning::Stale,
                "the object was replaced or removed while it was being read",
            ),
            ReadError::Store(error) => Self::from(error),
        }
    }
}

impl From<WriteError> for FsError {
    fn from(error: WriteError) -> Self {
        let detail = error.to_string();
        let meaning = match error {
            // A writer that fails because its key vanished must not say ENOENT to `write(2)`. That it
            // exists is told to who made it with O_EXCL only.
            WriteError::Store(error) => match Self::from(&error).meaning {
                Meaning::NotFound => Meaning::Io,
                meaning => meaning,
            },
            WriteError::Staging { os_code, .. } => match os_code {
                Some(libc::ENOSPC | libc::EDQUOT) => Meaning::NoSpace,
                Some(libc::EMFILE | libc::ENFILE) => Meaning::TooManyOpenFiles,
                _ => Meaning::Io,
            },
            WriteError::TooLarge { .. } => Meaning::TooLarge,
            WriteError::Timeout => Meaning::TimedOut,
            // The file was unlinked and its bytes cannot be kept any more, or it was replaced.
            WriteError::Stale | WriteError::Discarded => Meaning::Stale,
            WriteError::Abandoned | WriteError::NeedsCommit | WriteError::Internal(_) => {
                Meaning::Io
            }
        };
        Self::with_detail(meaning, detail)
    }
}
