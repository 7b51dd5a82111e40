//! What a write may replace.

use crate::store::ETag;

/// What must be at a key for a new object to be put there. Checked by the service in the same step that
/// puts it there, so that nobody comes between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Replaces {
    /// Anything or nothing.
    #[default]
    Anything,
    /// Nothing: an object at the key is [`ErrorKind::AlreadyExists`](crate::store::ErrorKind::AlreadyExists).
    /// Not sent where [`Limits::create_only`](crate::store::Limits::create_only) is false: then it is as
    /// [`Anything`](Self::Anything).
    Nothing,
    /// The object with this ETag (compare and swap). Another one is
    /// [`ErrorKind::PreconditionFailed`](crate::store::ErrorKind::PreconditionFailed), none is
    /// [`ErrorKind::NotFound`](crate::store::ErrorKind::NotFound). Not sent where
    /// [`Limits::compare_and_swap`](crate::store::Limits::compare_and_swap) is false: then it is as
    /// [`Anything`](Self::Anything).
    Version(ETag),
}

impl From<bool> for Replaces {
    /// Whether it is create-only.
    fn from(create_only: bool) -> Self {
        if create_only { Self::Nothing } else { Self::Anything }
    }
}

impl Replaces {
    /// [`Nothing`](Self::Nothing) if `create_only`, else [`Anything`](Self::Anything).
    pub fn nothing_if(create_only: bool) -> Self {
        create_only.into()
    }

    /// Whether it is [`Nothing`](Self::Nothing).
    pub fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}
