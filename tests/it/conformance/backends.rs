//! The stores that the suite runs on.

use std::sync::Arc;

use partfs::clock::SystemClock;
use partfs::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore, SMALL_LIMITS};

use partfs::store::prefix::Prefixed;

use super::run_all;

fn options(etags: EtagMode) -> BucketOptions {
    BucketOptions { etags, clock: Arc::new(SystemClock) }
}

#[tokio::test]
async fn memory() {
    let bucket = MemoryBucket::new(options(EtagMode::Md5));
    run_all(&MemoryStore::new(bucket, SMALL_LIMITS)).await;
}

#[tokio::test]
async fn memory_with_opaque_etags() {
    let bucket = MemoryBucket::new(options(EtagMode::Opaque));
    run_all(&MemoryStore::new(bucket, SMALL_LIMITS)).await;
}

#[tokio::test]
async fn folder() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = MemoryBucket::open(dir.path(), options(EtagMode::Md5)).unwrap();
    run_all(&MemoryStore::new(bucket, SMALL_LIMITS)).await;
}

#[tokio::test]
async fn memory_below_a_prefix() {
    let bucket = MemoryBucket::new(options(EtagMode::Md5));
    let whole = MemoryStore::new(bucket, SMALL_LIMITS);
    run_all(&Prefixed::new(Arc::new(whole), "some where/deep").unwrap()).await;
}
