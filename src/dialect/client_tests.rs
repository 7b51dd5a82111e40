//! The client over scripted answers: what is true of all operations, and what the tests of each share.

#[path = "client_tests/attempts.rs"]
mod attempts;
#[path = "client_tests/copy.rs"]
mod copy;
#[path = "client_tests/delete.rs"]
mod delete;
#[path = "client_tests/get.rs"]
mod get;
#[path = "client_tests/put.rs"]
mod put;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::dialect::scripted::*;
use crate::store::{ChecksumKind, ETag, PayloadSource, StandardHeaders, UploadId, UploadsRequest};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn upload() -> Upload {
    Upload { key: key("k"), id: UploadId::new("U1") }
}

fn crc(bytes: &[u8]) -> String {
    ChecksumKind::Crc64Xz.of(bytes).value.to_string()
}

fn payload(bytes: &'static [u8]) -> Payload {
    let checksum = ChecksumKind::Crc64Xz.of(bytes);
    Payload::from(bytes.to_vec()).with_checksum(Some(checksum))
}

const ETAG: (&str, &str) = ("ETag", "\"abc\"");
const MODIFIED: (&str, &str) = ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT");

#[tokio::test]
async fn keys_that_cannot_be_are_not_sent() {
    let server = Scripted::start(vec![]).await;
    let store = server.store();
    let long = "a".repeat(851);
    for bad in ["/a", "\\a", "a\u{18}", "a\u{1b}b", ".", "..", &long] {
        let key = key(bad);
        let errors = [
            store.head(&key).await.map(drop).unwrap_err(),
            store
                .put(&key, Payload::default(), &PutOptions::default())
                .await
                .map(drop)
                .unwrap_err(),
            store.delete(&key).await.unwrap_err(),
            store.delete_many(std::slice::from_ref(&key)).await.map(drop).unwrap_err(),
            store.start_upload(&key, &PutOptions::default()).await.map(drop).unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.kind == ErrorKind::InvalidKey), "{bad}");
    }
    let mut options = PutOptions::default();
    options.metadata.set("under_score", "x");
    let error = store.put(&key("k"), Payload::default(), &options).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidRequest);
    let mut options = PutOptions::default();
    options.metadata.set("a", "é".repeat(400));
    assert!(store.put(&key("k"), Payload::default(), &options).await.is_err());
    assert!(server.seen().is_empty());
}

/// Whatever stands where an answer should be, every operation says so and invents nothing.
#[tokio::test]
async fn garbage_is_an_error_for_every_operation() {
    let bodies = [
        "",
        " ",
        "\n\n",
        "x",
        "{}",
        "null",
        "<html><body>log in</body></html>",
        "<!DOCTYPE html><html></html>",
        "<?xml version='1.0'?>",
        "<",
        "<a",
        "<a>",
        "</a>",
        "<Other/>",
        "<ListBucketResult>",
        "<ListBucketResult/>",
        "<ListPartsResult/>",
        "<ListMultipartUploadsResult/>",
        "<InitiateMultipartUploadResult/>",
        "<CompleteMultipartUploadResult/>",
        "<CopyObjectResult/>",
        "<CopyPartResult/>",
        "<DeleteResult>",
        "<Error/>",
        "<Error><Code></Code></Error>",
        "<DeleteResult/><DeleteResult/>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><CopyObjectResult><ETag>&b;</ETag></CopyObjectResult>",
        "<CopyObjectResult><ETag></ETag></CopyObjectResult>",
        "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
    ];
    let script: Vec<_> = bodies.iter().flat_map(|body| vec![say(200, &[], body); 6]).collect();
    let server = Scripted::start(script).await;
    let timing = Timing { max_attempts: 1, ..TIMING };
    let store = server.store_with(timing);
    for body in bodies {
        let (k, number) = (key("k"), PartNumber::FIRST);
        let range = ByteRange::new(0, 1);
        let errors = [
            store.list(&ListRequest::default()).await.map(drop),
            store.start_upload(&k, &PutOptions::default()).await.map(drop),
            store.copy(&k, &key("to"), &CopyOptions::default()).await.map(drop),
            store.copy_part(&upload(), number, &k, range, &Conditions::NONE).await.map(drop),
            store.list_parts(&upload(), None).await.map(drop),
            store.list_uploads(&UploadsRequest::default()).await.map(drop),
        ];
        for error in errors {
            assert_eq!(error.unwrap_err().kind, ErrorKind::InvalidAnswer, "{body}");
        }
    }
    for body in bodies {
        let server = Scripted::start(vec![say(200, &[], body); 4]).await;
        let store = server.store_with(timing);
        let k = key("k");
        let errors = [
            store.delete_many(std::slice::from_ref(&k)).await.map(drop),
            store.put(&k, Payload::default(), &PutOptions::default()).await.map(drop),
            store.get(&k, None, &Conditions::NONE).await.map(drop),
            store.delete(&k).await,
        ];
        for error in errors {
            assert_eq!(error.unwrap_err().kind, ErrorKind::InvalidAnswer, "{body}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let endless = "x".repeat(DOCUMENT_BYTES as usize + 1);
    for status in [200, 500] {
        let server = Scripted::start(vec![say(status, &[], &endless); 3]).await;
        let error =
            server.store().start_upload(&key("k"), &PutOptions::default()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidAnswer);
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_seen_anywhere() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let script =
        vec![refuse(500, "InternalError"), vec![Act::Stall], refuse(403, "SignatureDoesNotMatch")];
    let server = Scripted::start(script).await;
    let store = server.store();
    let error = store.head(&key("k")).await.unwrap_err();
    let mut text = format!("{store:?} {store:#?} {error} {error:?} {:?}", error.cause);
    text.push_str(&String::from_utf8(log.0.lock().unwrap().clone()).unwrap());
    assert!(text.contains("id-403") && text.contains("HEAD object"), "{text}");
    for secret in [SECRET, TOKEN, "q-signature"] {
        assert!(!text.contains(secret), "{text}");
    }
}
