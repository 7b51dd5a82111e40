//! Parts of a multipart upload: numbers, ids, and what the service said about each part.

use std::fmt;

use thiserror::Error;

use crate::store::{Checksum, ETag, Key};

/// Number of a part, 1 to 10,000, counted from 1 on every service (a dialect that counts from 0
/// subtracts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartNumber(u16);

/// A number outside 1..=10000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("part number {0} is not in 1 to 10000")]
pub struct InvalidPartNumber(pub u64);

impl PartNumber {
    /// The first part.
    pub const FIRST: Self = Self(1);
    /// The last possible part.
    pub const LAST: Self = Self(10_000);

    /// Checks a number.
    pub fn new(number: u64) -> Result<Self, InvalidPartNumber> {
        u16::try_from(number)
            .ok()
            .filter(|number| (1..=10_000).contains(number))
            .map(Self)
            .ok_or(InvalidPartNumber(number))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The number after this one, unless this is the last possible.
    pub fn next(self) -> Option<Self> {
        (self.0 < Self::LAST.0).then(|| Self(self.0 + 1))
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The service's name for a multipart upload. Opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(Box<str>);

impl UploadId {
    /// Takes the service's text; it is never interpreted.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A multipart upload: the key it will appear at and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Upload {
    /// Where the object will appear.
    pub key: Key,
    /// The service's id.
    pub id: UploadId,
}

/// An upload that was opened just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The upload.
    pub upload: Upload,
    /// Whether an attempt before it may have opened another one, whose id nobody was told: it holds no
    /// part, and only [`list_uploads`](crate::store::ObjectStore::list_uploads) shows it.
    pub strays: bool,
}

impl Started {
    /// By the only attempt there was.
    pub fn at_once(upload: Upload) -> Self {
        Self { upload, strays: false }
    }
}

/// What the service confirmed about one part; Complete is made of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReceipt {
    /// Its number.
    pub number: PartNumber,
    /// The ETag the service gave it.
    pub etag: ETag,
    /// Size in bytes. For a copied part: the length of the copied range.
    pub size: u64,
    /// CRC-64 as the service computed it, where it does.
    pub checksum: Option<Checksum>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_1_to_10000() {
        assert_eq!(PartNumber::new(0), Err(InvalidPartNumber(0)));
        assert_eq!(PartNumber::new(10_001), Err(InvalidPartNumber(10_001)));
        assert_eq!(PartNumber::new(65_537), Err(InvalidPartNumber(65_537)));
        assert_eq!(PartNumber::new(10_000), Ok(PartNumber::LAST));
        assert_eq!(PartNumber::LAST.next(), None);
        assert_eq!(PartNumber::FIRST.next().map(PartNumber::get), Some(2));
    }
}
