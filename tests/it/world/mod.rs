//! Builders of test worlds, and nothing else: a bucket in memory with a file system over it, the same
//! with faults, a real mount over the mock server, and a relay that sees what clients send.

pub mod canary;
pub mod fs;
pub mod mount;
pub mod programs;
pub mod served;
pub mod wire;

use std::path::Path;
use std::sync::Arc;

use partfs::store::Key;
use partfs::store::memory::{MemoryBucket, read_all};
use tempfile::TempDir;

/// A folder for the records of uploads, which are forced to disk: in memory, where there is such a place.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let in_memory = memory.is_dir().then(|| TempDir::new_in(memory).ok()).flatten();
    in_memory.unwrap_or_else(|| TempDir::new().expect("a temporary folder"))
}

/// A key that is known to be valid.
pub fn key(text: &str) -> Key {
    Key::new(text).expect("a valid key")
}

/// The bytes of an object, read from the bucket itself.
pub async fn object(bucket: &Arc<MemoryBucket>, text: &str) -> Option<Vec<u8>> {
    let object = bucket.head(&key(text)).ok()?;
    let chunks = read_all(object.blob.slice(0, object.blob.len())).await.expect("readable");
    Some(chunks.concat())
}

/// All keys of a bucket.
pub fn keys(bucket: &Arc<MemoryBucket>) -> Vec<String> {
    let query = partfs::store::memory::ListQuery {
        prefix: "",
        delimiter: None,
        marker: "",
        max: usize::MAX,
    };
    let page = bucket.list(query);
    let keys = page.entries.into_iter().filter_map(|entry| match entry {
        partfs::store::memory::Entry::Item(object) => Some(object.key.as_str().to_owned()),
        partfs::store::memory::Entry::Prefix(_) => None,
    });
    keys.collect()
}

/// `len` bytes that differ at every position and for every seed.
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = move || {
        // xorshift64*: fast, and no two neighbouring blocks are alike.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(len).collect()
}
