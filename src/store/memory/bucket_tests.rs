//! The bucket model: conditions, order of parts, the log of effects, and folders that are opened again.

use bytes::Bytes;

use super::*;
use crate::clock::ManualClock;
use crate::store::{ChecksumKind, ETag, Replaces, Upload};

fn options() -> BucketOptions {
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_millis(1_700_000_000_700)));
    BucketOptions::new(EtagMode::Md5, clock)
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn body(bucket: &Arc<MemoryBucket>, text: &str) -> Body {
    let mut incoming = bucket.incoming(false).await.unwrap();
    for chunk in text.as_bytes().chunks(3) {
        incoming.push(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    incoming.finish().await.unwrap()
}

async fn put(bucket: &Arc<MemoryBucket>, name: &str, text: &str) -> Arc<Object> {
    let body = body(bucket, text).await;
    bucket.put(&key(name), body, Properties::default(), false).await.unwrap()
}

async fn text_of(bucket: &Arc<MemoryBucket>, name: &str) -> String {
    let object = bucket.head(&key(name)).unwrap();
    let chunks = read_all(object.blob.slice(0, u64::MAX)).await.unwrap();
    let all = String::from_utf8(chunks.concat()).unwrap();
    assert_eq!(object.checksum, ChecksumKind::Crc64Xz.of(all.as_bytes()));
    all
}

async fn upload_two_parts(bucket: &Arc<MemoryBucket>, name: &str) -> (Upload, Vec<Part>) {
    let upload = bucket.start_upload(&key(name), Properties::default(), false).unwrap();
    let mut parts = Vec::new();
    for (number, text) in [(1, "hello "), (2, "world")] {
        let number = PartNumber::new(number).unwrap();
        parts.push(bucket.put_part(&upload, number, body(bucket, text).await).unwrap());
    }
    (upload, parts)
}

fn listed(parts: &[Part]) -> Vec<(PartNumber, Option<crate::store::ETag>)> {
    parts.iter().map(|part| (part.number, Some(part.etag.clone()))).collect()
}

const ANY_SIZE: CompleteRules = CompleteRules {
    part_min_bytes: 0,
    gaps_allowed: false,
    replaces: Replaces::Anything,
    headers: BTreeMap::new(),
    etag: None,
    misassembly: None,
};

#[tokio::test]
async fn etags_are_those_of_the_services() {
    let bucket = MemoryBucket::new(options());
    let object = put(&bucket, "a", "hello world").await;
    assert_eq!(object.etag.as_str(), "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert_eq!(object.checksum.value, 5981764153023615706);

    let (first, parts) = upload_two_parts(&bucket, "b").await;
    assert_eq!(parts[0].etag.as_str(), "f814893777bcc2295fff05f00e508da6");
    let first = bucket.complete_upload(&first, listed(&parts), ANY_SIZE).await.unwrap();
    assert_eq!(first.checksum, object.checksum);
    let (second, parts) = upload_two_parts(&bucket, "b").await;
    let second = bucket.complete_upload(&second, listed(&parts), ANY_SIZE).await.unwrap();
    assert!(first.etag.as_str().ends_with("-2"));
    assert_ne!(first.etag, second.etag, "the ETag of an upload must not be predictable");
}

#[tokio::test]
async fn opaque_etags_change_with_the_bytes() {
    let bucket = MemoryBucket::new(BucketOptions { etags: EtagMode::Opaque, ..options() });
    let one = put(&bucket, "a", "one").await;
    let two = put(&bucket, "a", "two").await;
    assert_eq!(one.etag.as_str().len(), 32);
    assert_ne!(one.etag, two.etag);
}

#[tokio::test]
async fn times_are_whole_seconds() {
    let bucket = MemoryBucket::new(options());
    let object = put(&bucket, "a", "").await;
    assert_eq!(object.last_modified, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
}

#[tokio::test]
async fn complete_refuses_lists_that_break_the_rules() {
    let bucket = MemoryBucket::new(options());
    let (upload, parts) = upload_two_parts(&bucket, "a").await;
    let refuse =
        async |list: Vec<_>, rules| bucket.complete_upload(&upload, list, rules).await.unwrap_err();
    let both = listed(&parts);
    let reversed = both.iter().rev().cloned().collect();
    assert!(matches!(refuse(reversed, ANY_SIZE).await, BucketError::InvalidPartOrder));
    assert!(matches!(refuse(vec![], ANY_SIZE).await, BucketError::InvalidPart));
    assert!(matches!(refuse(both[1..].to_vec(), ANY_SIZE).await, BucketError::InvalidPart));
    let wrong = vec![(both[0].0, both[1].1.clone())];
    assert!(matches!(refuse(wrong, ANY_SIZE).await, BucketError::InvalidPart));
    let rules = CompleteRules { part_min_bytes: 7, ..ANY_SIZE };
    let error = refuse(both.clone(), rules).await;
    assert!(matches!(error, BucketError::PartTooSmall { size: 6, .. }));
    assert!(bucket.head(&key("a")).is_err(), "a refusal must change nothing");
    bucket.complete_upload(&upload, both, ANY_SIZE).await.unwrap();
    let again = bucket.complete_upload(&upload, listed(&parts), ANY_SIZE).await;
    assert!(matches!(again, Err(BucketError::NoSuchUpload)));
}

#[tokio::test]
async fn the_log_tells_what_was_applied_and_wakes_who_waits() {
    let bucket = MemoryBucket::new(options());
    put(&bucket, "a", "x").await;
    let waiting = {
        let bucket = Arc::clone(&bucket);
        tokio::spawn(async move {
            bucket.wait_for(|effect| effect.operation == Operation::Delete).await
        })
    };
    tokio::task::yield_now().await;
    assert!(!bucket.delete(&key("absent")).await.unwrap());
    bucket.delete(&key("a")).await.unwrap();
    let effect = waiting.await.unwrap();
    assert_eq!((effect.sequence, effect.key.as_str()), (1, "a"));
    let operations: Vec<_> = bucket.effects().iter().map(|effect| effect.operation).collect();
    assert_eq!(operations, [Operation::Put, Operation::Delete]);
    assert_eq!(bucket.wait_for(|effect| effect.sequence == 0).await.size, 1);
}

#[tokio::test]
async fn a_folder_gives_back_what_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    {
        let bucket = MemoryBucket::open(dir.path(), options()).unwrap();
        let properties = Properties {
            content_type: Some("text/plain".into()),
            metadata: [("mode", "644")].into_iter().collect(),
            ..Properties::default()
        };
        let taken = body(&bucket, "hello").await;
        bucket.put(&key("odd/\u{1}+ key"), taken, properties, false).await.unwrap();
        put(&bucket, "empty", "").await;
        put(&bucket, "replaced", "old").await;
        put(&bucket, "replaced", "new").await;
        put(&bucket, "deleted", "x").await;
        bucket.delete(&key("deleted")).await.unwrap();
        let (upload, parts) = upload_two_parts(&bucket, "whole").await;
        let whole = bucket.complete_upload(&upload, listed(&parts), ANY_SIZE).await.unwrap();
        bucket.copy(&whole, &key("copy"), None, false).await.unwrap();
        bucket.delete(&key("whole")).await.unwrap();
        upload_two_parts(&bucket, "unfinished").await;
        let second = MemoryBucket::open(dir.path(), options()).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
    }
    // What a killed process would leave.
    std::fs::write(dir.path().join("data/leftover"), "x").unwrap();
    std::fs::write(dir.path().join("objects/leftover.json.new"), "x").unwrap();

    let bucket = MemoryBucket::open(dir.path(), options()).unwrap();
    let page = bucket.list(ListQuery { max: 100, ..ListQuery::default() });
    assert_eq!(page.entries.len(), 4);
    assert_eq!(text_of(&bucket, "odd/\u{1}+ key").await, "hello");
    assert_eq!(text_of(&bucket, "empty").await, "");
    assert_eq!(text_of(&bucket, "replaced").await, "new");
    assert_eq!(text_of(&bucket, "copy").await, "hello world");
    let object = bucket.head(&key("odd/\u{1}+ key")).unwrap();
    assert_eq!(object.properties.metadata.get("mode"), Some("644"));
    assert_eq!(object.properties.content_type.as_deref(), Some("text/plain"));
    let files = std::fs::read_dir(dir.path().join("data")).unwrap().count();
    assert_eq!(files, 4, "hello, new, and the two parts of the copy");
}

#[tokio::test]
async fn a_reader_keeps_the_file_of_a_replaced_object() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = MemoryBucket::open(dir.path(), options()).unwrap();
    let old = put(&bucket, "a", "old").await;
    put(&bucket, "a", "new").await;
    let chunks = read_all(old.blob.slice(0, 3)).await.unwrap();
    assert_eq!(chunks.concat(), b"old");
    drop(old);
    assert_eq!(std::fs::read_dir(dir.path().join("data")).unwrap().count(), 1);
}

#[tokio::test]
async fn an_unreadable_description_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(MemoryBucket::open(dir.path(), options()).unwrap());
    std::fs::write(dir.path().join("objects/abc.json"), "{").unwrap();
    let error = MemoryBucket::open(dir.path(), options()).unwrap_err();
    assert!(error.to_string().contains("objects/abc.json"), "{error}");
}

#[tokio::test]
async fn etags_of_uploads_follow_the_style_of_the_service() {
    for (etag_style, part, whole) in [
        (
            EtagStyle::UpperCase,
            "F814893777BCC2295FFF05F00E508DA6",
            "7C57EA06D59F07CB942E39D26B13DD9A-2",
        ),
        (
            EtagStyle::OfBytes,
            "f814893777bcc2295fff05f00e508da6",
            "e09e4fd6265b36115fe3db32df945d84-2",
        ),
    ] {
        let bucket = MemoryBucket::new(BucketOptions { etag_style, crc64nvme: true, ..options() });
        let (upload, parts) = upload_two_parts(&bucket, "k").await;
        assert_eq!(parts[0].etag.as_str(), part);
        let object = bucket.complete_upload(&upload, listed(&parts), ANY_SIZE).await.unwrap();
        assert_eq!(object.etag.as_str(), whole);
        assert_eq!(object.crc64nvme, Some(ChecksumKind::Crc64Nvme.of(b"hello world")));
    }
}

#[tokio::test]
async fn a_guard_lets_only_its_version_be_replaced() {
    let bucket = MemoryBucket::new(options());
    let body = async || bucket.incoming(true).await.unwrap().finish().await.unwrap();
    let put = async |guard| {
        let put = bucket.put(&key("k"), body().await, Properties::default(), guard).await;
        put.map(|object| object.etag.clone())
    };
    let other = Replaces::Version(ETag::new("x"));
    assert!(matches!(put(other.clone()).await, Err(BucketError::NoSuchKey)));
    let etag = put(Replaces::Nothing).await.unwrap();
    assert!(matches!(put(Replaces::Nothing).await, Err(BucketError::AlreadyExists)));
    assert!(matches!(put(other).await, Err(BucketError::Changed)));
    assert!(put(Replaces::Version(etag)).await.is_ok());
}

#[tokio::test]
async fn an_amended_object_is_the_same_object_with_other_properties() {
    let dir = tempfile::tempdir().unwrap();
    let bucket = MemoryBucket::open(dir.path(), options()).unwrap();
    let before = put(&bucket, "k", "x").await;
    let change = |properties: &mut Properties| properties.storage_class = Some("cold".to_owned());
    bucket.amend(&key("k"), change).await.unwrap();
    drop(bucket);
    let after = MemoryBucket::open(dir.path(), options()).unwrap().head(&key("k")).unwrap();
    assert_eq!(after.properties.storage_class.as_deref(), Some("cold"));
    assert_eq!((&after.etag, after.last_modified), (&before.etag, before.last_modified));
}
