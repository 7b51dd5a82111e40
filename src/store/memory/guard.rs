//! On which condition an object may be put where another one is or is not.

use super::object::Object;
use super::{BucketError, BucketResult};
use crate::store::ETag;

/// What must be at a key for a write to it. Checked in the same step that writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Guard {
    /// Anything or nothing.
    #[default]
    Anything,
    /// Nothing: create-only.
    Nothing,
    /// An object with this ETag.
    Version(ETag),
}

impl From<bool> for Guard {
    /// Whether it is create-only.
    fn from(create_only: bool) -> Self {
        if create_only { Self::Nothing } else { Self::Anything }
    }
}

impl Guard {
    /// # Errors
    /// [`BucketError::AlreadyExists`], [`BucketError::NoSuchKey`] or [`BucketError::Changed`].
    pub(super) fn check(&self, old: Option<&Object>) -> BucketResult<()> {
        match (self, old) {
            (Self::Nothing, Some(_)) => Err(BucketError::AlreadyExists),
            (Self::Version(_), None) => Err(BucketError::NoSuchKey),
            (Self::Version(wanted), Some(old)) if old.etag != *wanted => Err(BucketError::Changed),
            _ => Ok(()),
        }
    }
}
