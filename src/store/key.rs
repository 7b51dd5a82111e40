//! Object keys: checked once, then trusted. The mapping between keys and file names is not here but
//! in `fs/name.rs`.

use std::fmt;

use thiserror::Error;

/// The longest key any of the services takes, in bytes of UTF-8 (S3: 1024). A service's own, smaller
/// limit is [`Limits::key_bytes`](crate::store::Limits::key_bytes).
pub(crate) const MAX_KEY_BYTES: usize = 1024;

/// A key: 1 to 1024 bytes of UTF-8, any characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

/// Why a text cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// No characters.
    #[error("an object key cannot be empty")]
    Empty,
    /// More bytes than any service takes.
    #[error("an object key of {0} bytes is longer than {MAX_KEY_BYTES}")]
    TooLong(usize),
}

impl Key {
    /// Checks a text as a key.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, InvalidKey> {
        let text = text.into();
        match text.len() {
            0 => Err(InvalidKey::Empty),
            len if len > MAX_KEY_BYTES => Err(InvalidKey::TooLong(len)),
            _ => Ok(Self(text)),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it ends in `/`, the customary form of a directory marker.
    pub fn is_marker(&self) -> bool {
        self.0.ends_with('/')
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_checked_in_bytes() {
        assert_eq!(Key::new(""), Err(InvalidKey::Empty));
        assert!(Key::new("a".repeat(1024)).is_ok());
        assert_eq!(Key::new("a".repeat(1025)), Err(InvalidKey::TooLong(1025)));
        assert_eq!(Key::new("é".repeat(513)), Err(InvalidKey::TooLong(1026)));
    }
}
