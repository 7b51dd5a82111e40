//! Why a write, a read of one's own bytes, or a commit failed. Knows no errno; the file system maps
//! these by meaning.

use std::io;

use thiserror::Error;

use crate::store::{ErrorKind, StoreError};

/// A failure of the write pipeline. Cheap to clone: the first one is told to every later caller.
#[derive(Debug, Clone, Error)]
pub enum WriteError {
    /// The store refused or failed, to the end of its retries.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The temporary file failed. `NotFound`/`PermissionDenied` of the directory arrive here too.
    #[error("cannot {action} the staging file: {kind}")]
    Staging {
        /// What was tried: `create`, `read`, `write` or `resize`.
        action: &'static str,
        /// The kind of the I/O error.
        kind: io::ErrorKind,
        /// The number the operating system gave (ENOSPC, EDQUOT, EIO …).
        os_code: Option<i32>,
    },
    /// The file would pass the largest size that can be stored (EFBIG). Nothing was taken.
    #[error("the file would pass the largest size that can be stored, {limit_bytes} bytes")]
    TooLarge {
        /// The largest size of this file, in bytes.
        limit_bytes: u64,
    },
    /// The commit did not end within `close_timeout`.
    #[error("the upload did not end within the time allowed")]
    Timeout,
    /// The object that the content rests on was replaced or removed by somebody else (ESTALE).
    #[error("the object was replaced or removed in the meantime")]
    Stale,
    /// The content was given up: unlinked, or replaced.
    #[error("the file was discarded")]
    Discarded,
    /// The writer was killed before it had closed the file.
    #[error("the writer was killed")]
    Abandoned,
    /// The operation needs [`commit`](crate::write::FileWriter::commit) first.
    #[error("an upload is open under the old name; commit first")]
    NeedsCommit,
    /// A defect of ours, or the program is ending.
    #[error("internal: {0}")]
    Internal(&'static str),
}

impl WriteError {
    /// Names an I/O error of the temporary file.
    pub(super) fn staging(action: &'static str, error: &io::Error) -> Self {
        Self::Staging { action, kind: error.kind(), os_code: error.raw_os_error() }
    }

    /// Whether the disk of the temporary file is full.
    pub(super) fn is_full(&self) -> bool {
        matches!(
            self,
            Self::Staging { kind: io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, .. }
        )
    }

    /// Whether an error of the temporary file leaves every byte taken so far as it was: there was no
    /// room for new ones. Any other (EIO) may have lost what the kernel had accepted before.
    pub(super) fn lost_nothing(&self) -> bool {
        match self {
            Self::Staging { kind, .. } => matches!(
                kind,
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::FileTooLarge
                    | io::ErrorKind::Interrupted
            ),
            _ => false,
        }
    }

    /// An error of reading the base object: a version that is gone is [`Stale`](Self::Stale).
    pub(super) fn of_base(error: StoreError) -> Self {
        match error.kind {
            ErrorKind::PreconditionFailed | ErrorKind::NotFound | ErrorKind::InvalidRange => {
                Self::Stale
            }
            _ => Self::Store(error),
        }
    }
}
