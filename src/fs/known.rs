//! Objects whose metadata was read once, remembered beyond the life of their inodes. A listing that
//! shows the same ETag, size and time proves that the metadata still holds.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use crate::fs::inode::Object;
use crate::fs::ordered::{LEAF, Ordered};

/// So many objects; at roughly 300 bytes each, 30 MB at most.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");

/// The remembered objects, by key.
pub(super) struct Known(Ordered<LruCache<String, Object>, LEAF>);

impl Known {
    pub(super) fn new() -> Self {
        Self(Ordered::new(LruCache::new(REMEMBERED)))
    }

    /// Remembers an object whose metadata is known.
    pub(super) fn put(&self, key: &str, object: &Object) {
        if object.metadata.is_some() {
            self.0.lock().put(key.to_owned(), object.clone());
        }
    }

    /// What we know of an object that a listing shows, when it is still the same; see
    /// [`Object::still_holds`].
    pub(super) fn recall(&self, key: &str, listed: &Object, ttl: Duration) -> Option<Object> {
        self.0.lock().get(key)?.still_holds(listed, ttl)
    }

    /// Drops what was known of a key.
    pub(super) fn forget(&self, key: &str) {
        self.0.lock().pop(key);
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({})", self.0.lock().len())
    }
}
