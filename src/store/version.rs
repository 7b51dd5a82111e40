//! Which content an object holds: ETags and versions.

use std::fmt;
use std::time::SystemTime;

use crate::store::{Checksum, Metadata, StandardHeaders};

/// An ETag without its quotes. Compares without regard to case (OSS prints upper case in places).
#[derive(Clone, Eq)]
pub struct ETag(Box<str>);

impl ETag {
    /// Takes a header or XML value, quoted or bare.
    pub fn new(text: &str) -> Self {
        Self(text.trim().trim_matches('"').into())
    }

    /// Without quotes, as the service spelled it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With quotes, the form of HTTP headers.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl PartialEq for ETag {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl std::hash::Hash for ETag {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ETag({})", self.0)
    }
}

/// One content of an object: what a reader holds on to while it reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectVersion {
    /// Changes with every change of the object.
    pub etag: ETag,
    /// Size in bytes.
    pub size: u64,
}

/// Everything HEAD tells about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// ETag and size.
    pub version: ObjectVersion,
    /// When the service last changed it (seconds resolution).
    pub last_modified: SystemTime,
    /// CRC-64 of the whole object where the service keeps one.
    pub checksum: Option<Checksum>,
    /// User metadata.
    pub metadata: Metadata,
    /// Content-Type, Cache-Control and the like.
    pub headers: StandardHeaders,
    /// Storage class where it is not the standard one.
    pub storage_class: Option<String>,
    /// The service's name for this content, in a bucket that keeps versions.
    pub version_id: Option<String>,
    /// Whether it was made by append, where the service tells.
    pub appendable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_ignore_quotes_and_case() {
        assert_eq!(ETag::new("\"ABC-2\""), ETag::new("abc-2"));
        assert_ne!(ETag::new("abc-2"), ETag::new("abc-3"));
        assert_eq!(ETag::new("abc").quoted(), "\"abc\"");
    }
}
