//! What a read can end with. Errno is decided further up; this knows only meanings.

use std::error::Error;
use std::fmt;

use crate::store::{ErrorKind, StoreError};

/// A read that brought no bytes. Cheap to clone: one failed request may be awaited by many reads.
#[derive(Debug, Clone)]
pub enum ReadError {
    /// The object was replaced or deleted while it was open. Final for its reader: every later read
    /// that needs the store says the same.
    Stale,
    /// The store failed. Not final (the next read asks again), except for [`ErrorKind::Corrupt`].
    Store(StoreError),
}

impl ReadError {
    /// What a failed GET means to a reader. The range asked for always lies inside the version that
    /// was opened, so a service that finds it past the end holds another object.
    pub(crate) fn of_get(error: StoreError) -> Self {
        match error.kind {
            ErrorKind::NotFound | ErrorKind::PreconditionFailed | ErrorKind::InvalidRange => {
                Self::Stale
            }
            _ => Self::Store(error),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the object was replaced or deleted while it was open"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Stale => None,
            Self::Store(error) => Some(error),
        }
    }
}
