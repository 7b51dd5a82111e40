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

impl Meaning {
    /// The name of the number that stands for it, for people: what `fuse/errno.rs` answers has this name.
    pub fn errno(self) -> &'static str {
        match self {
            Self::NotFound => "ENOENT",
            Self::Exists => "EEXIST",
            Self::NotDirectory => "ENOTDIR",
            Self::IsDirectory => "EISDIR",
            Self::NotEmpty => "ENOTEMPTY",
            Self::NameTooLong => "ENAMETOOLONG",
            Self::NotUtf8 => "EILSEQ",
            Self::Invalid => "EINVAL",
            Self::ReadOnly => "EROFS",
            Self::TooLarge => "EFBIG",
            Self::Stale => "ESTALE",
            Self::BadHandle => "EBADF",
            Self::NotSupported => "EOPNOTSUPP",
            Self::NotPermitted => "EPERM",
            Self::AccessDenied => "EACCES",
            Self::Busy => "EBUSY",
            Self::QuotaExceeded => "EDQUOT",
            Self::NoSpace => "ENOSPC",
            Self::NoAttribute => "ENODATA",
            Self::BeyondEnd => "ENXIO",
            Self::TooManyOpenFiles => "ENFILE",
            Self::TimedOut => "ETIMEDOUT",
            Self::Io => "EIO",
        }
    }
}

/// A failure: what it means, and for the log what lay below it. Cheap to clone, because a failed
/// writer repeats its failure to every later caller.
#[derive(Debug, Clone)]
pub struct FsError {
    meaning: Meaning,
    detail: Option<Detail>,
}

/// What lay below a failure.
#[derive(Debug, Clone)]
enum Detail {
    /// In words.
    Words(Arc<str>),
    /// The store's own failure.
    Store(Arc<StoreError>),
}

impl FsError {
    /// The meaning.
    pub fn meaning(&self) -> Meaning {
        self.meaning
    }

    /// A failure with an explanation for the log.
    pub fn with_detail(meaning: Meaning, detail: impl Into<Arc<str>>) -> Self {
        Self { meaning, detail: Some(Detail::Words(detail.into())) }
    }

    /// The failure of the store that lay below it, if one did.
    pub fn store(&self) -> Option<&StoreError> {
        match &self.detail {
            Some(Detail::Store(error)) => Some(error),
            Some(Detail::Words(_)) | None => None,
        }
    }

    /// The service's own code, if it gave one: `AccessDenied`.
    pub fn code(&self) -> Option<&str> {
        self.store()?.code.as_deref()
    }

    /// HTTP status of the service's answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.store()?.status
    }

    /// The service's id of the request, for its support desk.
    pub fn request_id(&self) -> Option<&str> {
        self.store()?.request_id.as_deref()
    }

    /// What happened, for a line that has the meaning, the code, the status and the request's id beside it.
    pub fn words(&self) -> String {
        match &self.detail {
            Some(Detail::Store(error)) => error.words(),
            Some(Detail::Words(words)) => words.to_string(),
            None => format!("{:?}", self.meaning),
        }
    }

    /// Whether bytes are not what they should be: the one failure that nobody may overlook.
    pub fn is_alarming(&self) -> bool {
        self.store().is_some_and(|error| error.kind == ErrorKind::Corrupt)
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
            Some(Detail::Words(words)) => write!(f, "{:?}: {words}", self.meaning),
            Some(Detail::Store(error)) => write!(f, "{:?}: {error}", self.meaning),
            None => write!(f, "{:?}", self.meaning),
        }
    }
}

impl std::error::Error for FsError {}

impl From<StoreError> for FsError {
    fn from(error: StoreError) -> Self {
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
        Self { meaning, detail: Some(Detail::Store(Arc::new(error))) }
    }
}

impl From<&StoreError> for FsError {
    fn from(error: &StoreError) -> Self {
        Self::from(error.clone())
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
            WriteError::Store(error) => {
                let error = Self::from(error);
                return match error.meaning {
                    Meaning::NotFound => Self { meaning: Meaning::Io, ..error },
                    _ => error,
                };
            }
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
