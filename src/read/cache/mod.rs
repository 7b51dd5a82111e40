//! What was read lately, shared by all readers of the mount and keyed by version, so that a replaced
//! object is simply never found again. One level so far: [`memory`].

pub(crate) mod memory;

use crate::store::{ETag, Key};

/// Name of a cached range: a version of an object and where the range begins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BlockId {
    pub(crate) key: Key,
    pub(crate) etag: ETag,
    pub(crate) start: u64,
}
