//! The stores that the suite runs on.

use std::sync::Arc;

use partfs::clock::SystemClock;
use partfs::dialect::{
    Connection, CustomerKey, Encryption, ObjectProperties, SignatureVersion, connect,
};
use partfs::mock::{Addressing, MockConfig, MockDialect};
use partfs::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore, SMALL_LIMITS};
use partfs::store::prefix::Prefixed;
use partfs::store::{Conditions, Key, Limits, ObjectStore, Payload, PutOptions, StandardHeaders};

use super::{run_all, run_all_without_checksums};
use crate::world::served::{TIMING, client, connection, serve};

fn options(etags: EtagMode) -> BucketOptions {
    BucketOptions::new(etags, Arc::new(SystemClock))
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

#[tokio::test]
async fn cos_over_http() {
    let config = MockConfig::default();
    let server = serve(config.clone()).await;
    run_all(&*client(&server, &config, None, TIMING)).await;
}

/// With a region, which makes the client name the sources of copies otherwise, and below a folder
/// named like the bucket.
#[tokio::test]
async fn cos_over_http_below_a_prefix() {
    let config = MockConfig {
        addressing: Addressing::Root,
        etags: EtagMode::Opaque,
        ..MockConfig::default()
    };
    let server = serve(config.clone()).await;
    let whole = client(&server, &config, Some("ap-guangzhou"), TIMING);
    let prefix = format!("{}/a b+/中%41", config.bucket);
    run_all(&Prefixed::new(whole, &prefix).unwrap()).await;
    let keys = crate::world::keys(&server.bucket());
    assert!(keys.iter().all(|key| key.starts_with(&prefix)));
}

/// Objects in a folder, temporary credentials, and a server that is stopped and started again.
#[tokio::test]
async fn cos_over_http_with_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let config = MockConfig {
        dir: Some(dir.path().to_owned()),
        session_token: Some("a-token".to_owned()),
        ..MockConfig::default()
    };
    let server = serve(config.clone()).await;
    let store = client(&server, &config, None, TIMING);
    run_all(&*store).await;
    let key = Key::new("kept/\u{1} +%41").unwrap();
    let options = PutOptions {
        headers: StandardHeaders::of_type("text/plain"),
        metadata: [("mode", "33188")].into_iter().collect(),
        ..PutOptions::default()
    };
    store.put(&key, Payload::from(b"hello".to_vec()), &options).await.unwrap();
    let before = store.head(&key).await.unwrap();
    let keys = crate::world::keys(&server.bucket());
    server.stop().await;

    let server = serve(config.clone()).await;
    assert_eq!(crate::world::keys(&server.bucket()), keys);
    let store = client(&server, &config, None, TIMING);
    assert_eq!(store.head(&key).await.unwrap(), before);
    assert_eq!(store.get(&key, None, &Conditions::NONE).await.unwrap().chunks.concat(), b"hello");
    run_all(&*store).await;
}

/// At an address the bucket is in the path, and the mock takes nothing else.
fn mock_of(dialect: MockDialect) -> MockConfig {
    MockConfig { dialect, addressing: Addressing::Path, ..MockConfig::default() }
}

#[tokio::test]
async fn oss_over_http() {
    let config = MockConfig {
        region: Some("cn-hangzhou".to_owned()),
        session_token: Some("a-token+/=".to_owned()),
        ..mock_of(MockDialect::Oss)
    };
    let server = serve(config.clone()).await;
    run_all(&*client(&server, &config, None, TIMING)).await;
}

/// As behind a domain of one's own, which is not in what is signed.
#[tokio::test]
async fn oss_over_http_with_signatures_v1() {
    for (path_style, addressing) in [(false, Addressing::Root), (true, Addressing::Path)] {
        let config = MockConfig { addressing, ..mock_of(MockDialect::Oss) };
        let server = serve(config.clone()).await;
        let store = connect(Connection {
            region: None,
            path_style: Some(path_style),
            signature_version: Some(SignatureVersion::V1),
            ..connection(&server, &config, None, TIMING)
        });
        run_all(&*store.unwrap()).await;
    }
}

#[tokio::test]
async fn s3_over_http() {
    let config = MockConfig {
        region: Some("garage".to_owned()),
        session_token: Some("a-token+/=".to_owned()),
        ..mock_of(MockDialect::S3)
    };
    let server = serve(config.clone()).await;
    run_all(&*client(&server, &config, Some("garage"), TIMING)).await;
}

/// As an old server that ignores checksums; and opaque ETags, as of encrypted objects.
#[tokio::test]
async fn s3_over_http_without_checksums() {
    for etags in [EtagMode::Md5, EtagMode::Opaque] {
        let config = MockConfig { s3_checksums: false, etags, ..mock_of(MockDialect::S3) };
        let server = serve(config.clone()).await;
        run_all_without_checksums(&*client(&server, &config, None, TIMING)).await;
    }
}

/// What QingStor lacks and has, on a bucket in memory.
#[tokio::test]
async fn memory_without_checksums() {
    let bucket = MemoryBucket::new(options(EtagMode::Opaque));
    let limits = Limits { checksum: None, create_only: false, rename: true, ..SMALL_LIMITS };
    run_all(&MemoryStore::new(bucket, limits)).await;
}

/// Also below a folder named like the bucket.
#[tokio::test]
async fn qingstor_over_http() {
    let config = mock_of(MockDialect::Qingstor);
    let server = serve(config.clone()).await;
    let whole = client(&server, &config, None, TIMING);
    run_all(&*whole).await;
    run_all(&Prefixed::new(whole, &format!("{}/a b+/中%41", config.bucket)).unwrap()).await;
}

#[tokio::test]
async fn qingstor_over_http_with_a_virtual_host() {
    let config = mock_of(MockDialect::Qingstor);
    let server = serve(config.clone()).await;
    let store = connect(Connection {
        endpoint: Some(format!("http://localhost:{}", server.address().port())),
        path_style: Some(false),
        ..connection(&server, &config, None, TIMING)
    });
    run_all(&*store.unwrap()).await;
}

/// Objects encrypted with the customer's key, whose ETags prove nothing.
async fn with_a_customer_key(dialect: MockConfig, suite: impl AsyncFnOnce(&dyn ObjectStore)) {
    let config = MockConfig { etags: EtagMode::Opaque, ..dialect };
    let server = serve(config.clone()).await;
    let encryption = Encryption::CustomerKey(CustomerKey::new(&[7; 32]).unwrap());
    let store = connect(Connection {
        properties: ObjectProperties { encryption, ..ObjectProperties::default() },
        ..connection(&server, &config, None, TIMING)
    });
    suite(&*store.unwrap()).await;
}

#[tokio::test]
async fn qingstor_over_http_with_a_customer_key() {
    with_a_customer_key(mock_of(MockDialect::Qingstor), run_all).await;
}

#[tokio::test]
async fn cos_over_http_with_a_customer_key() {
    with_a_customer_key(MockConfig::default(), run_all).await;
}

#[tokio::test]
async fn s3_over_http_with_a_customer_key() {
    with_a_customer_key(mock_of(MockDialect::S3), run_all).await;
    let old = MockConfig { s3_checksums: false, ..mock_of(MockDialect::S3) };
    with_a_customer_key(old, run_all_without_checksums).await;
}
