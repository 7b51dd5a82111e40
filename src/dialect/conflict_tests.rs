//! What a conflict (409) means, on all four services: that the object exists only to a request that was
//! not to replace one, and to all others what its code says.

use crate::dialect::scripted::*;
use crate::dialect::{Connection, Credentials, DialectName};
use crate::store::{
    CopyOptions, ETag, ErrorKind, Expected, Key, ObjectStore, PartNumber, PartReceipt, Payload,
    PutOptions, Replaces, StoreError, Upload, UploadId,
};

const NAMES: [DialectName; 4] =
    [DialectName::Cos, DialectName::Oss, DialectName::Qingstor, DialectName::S3];

/// A service that answers every request with a conflict of this code, or of none.
async fn conflicting(name: DialectName, code: Option<&str>) -> Scripted {
    let body = match (code, name) {
        (None, _) => String::new(),
        (Some(code), DialectName::Qingstor) => {
            format!(r#"{{"code":"{code}","message":"m","request_id":"r"}}"#)
        }
        (Some(code), _) => format!("<Error><Code>{code}</Code></Error>"),
    };
    Scripted::start(vec![say(409, &[], &body); 4]).await
}

fn store(server: &Scripted, name: DialectName) -> std::sync::Arc<dyn ObjectStore> {
    let bucket = if name == DialectName::Cos { "photos-1250000000" } else { "photos" };
    server.store_as(Connection {
        region: Some("region-1".to_owned()),
        credentials: Credentials::new("AKIDEXAMPLE", SECRET).into(),
        ..connection(name, bucket)
    })
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// Every kind of write that makes an object or begins to, each against a server of its own.
async fn writes(
    name: DialectName,
    code: Option<&str>,
    create_only: bool,
) -> Vec<(&'static str, StoreError)> {
    let options =
        PutOptions { replaces: Replaces::nothing_if(create_only), ..PutOptions::default() };
    let mut errors = Vec::new();
    let server = conflicting(name, code).await;
    let put = store(&server, name).put(&key("k"), Payload::from(b"hello".to_vec()), &options).await;
    errors.push(("put", put.map(drop).unwrap_err()));

    let server = conflicting(name, code).await;
    let copy = CopyOptions { replace: Some(options.clone()), ..CopyOptions::default() };
    let copied = store(&server, name).copy(&key("from"), &key("k"), &copy).await;
    errors.push(("copy", copied.map(drop).unwrap_err()));

    let server = conflicting(name, code).await;
    let (etag, number) = (ETag::new("e"), PartNumber::FIRST);
    let part = PartReceipt { number, etag, size: 5, checksum: None };
    let expected =
        Expected { size: 5, checksum: None, replaces: Replaces::nothing_if(create_only) };
    let upload = Upload { key: key("k"), id: UploadId::new("U1") };
    let completed = store(&server, name).complete_upload(&upload, &[part], &expected).await;
    errors.push(("complete", completed.map(drop).unwrap_err()));

    // S3 decides at Complete alone.
    if name != DialectName::S3 {
        let server = conflicting(name, code).await;
        let started = store(&server, name).start_upload(&key("k"), &options).await;
        errors.push(("initiate", started.map(drop).unwrap_err()));
    }
    errors
}

#[tokio::test]
async fn a_conflict_that_is_not_known_is_no_object_in_the_way_of_a_plain_write() {
    for name in NAMES {
        for code in [Some("SomethingNew"), None] {
            for (write, error) in writes(name, code, false).await {
                let told = (error.kind, error.attempts, error.status);
                assert_eq!(told, (ErrorKind::InvalidRequest, 1, Some(409)), "{name:?} {write}");
                assert_eq!(error.code.as_deref(), code, "{name:?} {write}");
            }
        }
    }
}

/// The code of COS is documented nowhere; QingStor has no such writes, and says so in its limits.
#[tokio::test]
async fn a_conflict_that_is_not_known_is_the_object_that_a_create_only_write_was_to_spare() {
    for name in NAMES.into_iter().filter(|name| *name != DialectName::Qingstor) {
        for (write, error) in writes(name, Some("SomethingNew"), true).await {
            let told = (error.kind, error.attempts);
            assert_eq!(told, (ErrorKind::AlreadyExists, 1), "{name:?} {write}");
        }
    }
    for (write, error) in writes(DialectName::Qingstor, Some("something_new"), true).await {
        assert_eq!(error.kind, ErrorKind::InvalidRequest, "{write}");
    }
}

#[tokio::test]
async fn conflicts_of_writers_are_tried_again_create_only_or_not() {
    for (name, code) in [
        (DialectName::Cos, "PathConflict"),
        (DialectName::Cos, "UploadConflict"),
        (DialectName::S3, "OperationAborted"),
        (DialectName::S3, "ConditionalRequestConflict"),
    ] {
        for create_only in [false, true] {
            let server = conflicting(name, Some(code)).await;
            let options =
                PutOptions { replaces: Replaces::nothing_if(create_only), ..PutOptions::default() };
            let put = store(&server, name).put(&key("k"), Payload::default(), &options).await;
            let error = put.unwrap_err();
            assert_eq!((error.kind, error.attempts), (ErrorKind::Unavailable, 3), "{code}");
            assert_eq!(server.seen().len(), 3, "{code}");
        }
    }
}

/// What a code says it says to every write.
#[tokio::test]
async fn known_conflicts_keep_their_meaning() {
    for (name, code, kind) in [
        (DialectName::Cos, "FileAlreadyExists", ErrorKind::AlreadyExists),
        (DialectName::Oss, "FileAlreadyExists", ErrorKind::AlreadyExists),
        (DialectName::Oss, "FileImmutable", ErrorKind::AccessDenied),
        (DialectName::Cos, "ObjectNotAppendable", ErrorKind::NotAppendable),
    ] {
        for create_only in [false, true] {
            for (write, error) in writes(name, Some(code), create_only).await {
                assert_eq!((error.kind, error.attempts), (kind, 1), "{code} {write}");
            }
        }
    }
}
