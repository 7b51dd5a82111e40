//! Requests and answers of QingStor, one by one, against the pages of the service.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;

use super::*;
use crate::dialect::properties::CustomerKey;
use crate::dialect::scripted::connection;
use crate::dialect::{DialectName, ObjectProperties};
use crate::store::{ETag, ErrorKind, ObjectVersion, PayloadData, Replaces, StandardHeaders};

fn with(path_style: bool, properties: ObjectProperties) -> Connection {
    Connection {
        region: Some("pek3a".into()),
        path_style: Some(path_style),
        properties,
        ..connection(DialectName::Qingstor, "mybucket")
    }
}

fn service_of(path_style: bool, properties: ObjectProperties) -> QingStor {
    QingStor::new(&with(path_style, properties)).unwrap()
}

fn service() -> QingStor {
    service_of(false, ObjectProperties::default())
}

fn encrypting() -> QingStor {
    let key = CustomerKey::new(b"01234567890123456789012345678901").unwrap();
    let encryption = Encryption::CustomerKey(key);
    service_of(false, ObjectProperties { encryption, ..ObjectProperties::default() })
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn upload() -> Upload {
    Upload { key: key("large object"), id: UploadId::new("4d26") }
}

fn part(number: u64, etag: &str) -> PartReceipt {
    let number = PartNumber::new(number).unwrap();
    PartReceipt { number, etag: ETag::new(etag), size: 5, checksum: None }
}

/// Method, path, query and named headers of a request.
fn told(draft: Draft) -> (String, Vec<(String, String)>) {
    let query = encode::query(&draft.query);
    let mark = if query.is_empty() { "" } else { "?" };
    let line = format!("{} {}{mark}{query}", draft.method, draft.path);
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let headers = draft.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    (line, headers.collect())
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    });
    let body = Some(Bytes::copy_from_slice(body.as_bytes())).filter(|body| !body.is_empty());
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers.collect(),
        body: body.into_iter().collect(),
    }
}

#[test]
fn the_bucket_is_in_the_host_or_in_the_path() {
    let lines = |service: &QingStor| {
        let drafts = [service.list(&ListRequest::default()), service.delete(&key("a b"), None)];
        drafts.map(|draft| draft.unwrap().head(service.site()).unwrap().uri.to_string())
    };
    assert_eq!(
        lines(&service()),
        [
            "https://mybucket.pek3a.qingstor.com/?limit=1000",
            "https://mybucket.pek3a.qingstor.com/a%20b"
        ]
    );
    assert_eq!(
        lines(&service_of(true, ObjectProperties::default())),
        [
            "https://pek3a.qingstor.com/mybucket?limit=1000",
            "https://pek3a.qingstor.com/mybucket/a%20b"
        ]
    );
}

#[test]
fn a_listing_goes_on_at_its_marker() {
    let request = ListRequest {
        prefix: "a b/".into(),
        by_directory: true,
        after: Some("opaque=".into()),
        max_entries: 7,
    };
    let (line, _) = told(service().list(&request).unwrap());
    assert_eq!(line, "GET /?limit=7&prefix=a%20b%2F&delimiter=%2F&marker=opaque%3D");
}

#[test]
fn parts_count_from_zero_on_the_wire() {
    let service = service();
    let first = PartNumber::FIRST;
    let (line, _) = told(service.put_part(&upload(), first, Payload::default()).unwrap());
    assert_eq!(line, "PUT /large%20object?part_number=0&upload_id=4d26");
    let (line, _) = told(service.list_parts(&upload(), None).unwrap());
    assert_eq!(line, "GET /large%20object?upload_id=4d26&limit=1000");
    let (line, _) = told(service.list_parts(&upload(), Some(first)).unwrap());
    assert_eq!(line, "GET /large%20object?upload_id=4d26&limit=1000&part_number_marker=0");

    let range = ByteRange::new(6, 11);
    let from = key("src/中+ 1");
    let last = PartNumber::LAST;
    let draft = service
        .copy_part(&upload(), last, &from, range, &Conditions::matching(&ETag::new("e")))
        .unwrap();
    let (line, headers) = told(draft);
    assert_eq!(line, "PUT /large%20object?part_number=9999&upload_id=4d26");
    let expected = pairs(&[
        ("x-qs-copy-source", "/mybucket/src/%E4%B8%AD%2B%201"),
        ("x-qs-copy-source-if-match", "\"e\""),
        ("x-qs-copy-range", "bytes=6-10"),
    ]);
    assert_eq!(headers, expected);
}

#[test]
fn complete_gives_the_object_its_etag() {
    let service = service();
    let parts = [part(1, "AA"), part(3, "\"bb\"")];
    let expected = Expected { size: 10, checksum: None, replaces: Replaces::Nothing };
    let draft = service.complete_upload(&upload(), &parts, &expected).unwrap();
    let etag = service.predicted_etag(&upload(), &parts).unwrap();
    // MD5 of "aabb4d26".
    assert_eq!(etag, ETag::new("86b74110669230592320be4cc4e6c3ff"));
    let PayloadData::Chunks(body) = draft.body.data().clone() else { panic!("not in memory") };
    let (line, headers) = told(draft);
    assert_eq!(line, "POST /large%20object?upload_id=4d26");
    assert_eq!(headers, pairs(&[("etag", &etag.quoted()), ("content-type", "application/json")]));
    assert_eq!(
        String::from_utf8(body.concat()).unwrap(),
        r#"{"object_parts":[{"part_number":0,"etag":"AA"},{"part_number":2,"etag":"bb"}]}"#
    );
    let other = Upload { id: UploadId::new("4d27"), ..upload() };
    assert_ne!(service.predicted_etag(&other, &parts), Some(etag));
}

#[test]
fn copies_and_moves_name_their_source() {
    let service = service();
    let (from, to) = (key("a b"), key("c"));
    let version = ObjectVersion { etag: ETag::new("e"), size: 5 };
    let keep = CopyOptions { if_match: Some(version), replace: None, ..CopyOptions::default() };
    let (line, headers) = told(service.copy(&from, &to, &keep).unwrap());
    assert_eq!(line, "PUT /c");
    let expected = pairs(&[
        ("x-qs-metadata-directive", "copy"),
        ("x-qs-copy-source", "/mybucket/a%20b"),
        ("x-qs-copy-source-if-match", "\"e\""),
    ]);
    assert_eq!(headers, expected);

    let properties = PutOptions {
        headers: StandardHeaders::of_type("text/plain"),
        metadata: [("mode", "33188")].into_iter().collect(),
        storage_class: Some("STANDARD_IA".into()),
        replaces: Replaces::Nothing,
    };
    let replace =
        CopyOptions { if_match: None, replace: Some(properties), ..CopyOptions::default() };
    let (_, headers) = told(service.copy(&from, &to, &replace).unwrap());
    let expected = pairs(&[
        ("x-qs-storage-class", "STANDARD_IA"),
        ("content-type", "text/plain"),
        ("x-qs-meta-mode", "33188"),
        ("x-qs-metadata-directive", "replace"),
        ("x-qs-copy-source", "/mybucket/a%20b"),
    ]);
    assert_eq!(headers, expected);

    let conditions = Conditions {
        if_none_match: Some(ETag::new("f")),
        if_modified_since: Some(UNIX_EPOCH),
        if_unmodified_since: Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
        ..Conditions::matching(&ETag::new("e"))
    };
    let (line, headers) = told(service.rename(&from, &to, &conditions).unwrap());
    assert_eq!(line, "PUT /c");
    let expected = pairs(&[
        ("x-qs-move-source", "/mybucket/a%20b"),
        ("x-qs-move-source-if-match", "\"e\""),
        ("x-qs-move-source-if-none-match", "\"f\""),
        ("x-qs-move-source-if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("x-qs-move-source-if-unmodified-since", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ]);
    assert_eq!(headers, expected);
    assert!(!service.copies_onto_itself());
}

#[test]
fn a_customer_key_goes_where_it_is_taken() {
    let service = encrypting();
    let names = |draft: Result<Draft, Failure>| {
        let (_, headers) = told(draft.unwrap());
        let mut names: Vec<_> = headers.into_iter().map(|(name, _)| name).collect();
        names.retain(|name| name.contains("encryption"));
        names
    };
    let own = [
        "x-qs-encryption-customer-algorithm",
        "x-qs-encryption-customer-key",
        "x-qs-encryption-customer-key-md5",
    ];
    let (k, options) = (key("k"), PutOptions::default());
    let expected = Expected { size: 1, checksum: None, replaces: Replaces::Anything };
    assert_eq!(names(service.put(&k, Payload::default(), &options)), own);
    assert_eq!(names(service.get(&k, None, &Conditions::NONE)), own);
    assert_eq!(names(service.head(&k, &Conditions::NONE)), own);
    assert_eq!(names(service.start_upload(&k, &options)), own);
    assert_eq!(names(service.put_part(&upload(), PartNumber::FIRST, Payload::default())), own);
    assert_eq!(names(service.complete_upload(&upload(), &[part(1, "a")], &expected)), own);
    let both = names(service.copy(&k, &key("c"), &CopyOptions::default()));
    assert_eq!(both.len(), 6);
    assert_eq!(both.iter().filter(|name| name.starts_with("x-qs-copy-source-")).count(), 3);
    for without in [
        service.delete(&k, None),
        service.rename(&k, &key("c"), &Conditions::matching(&ETag::new("e"))),
        service.abort_upload(&upload()),
        service.list_parts(&upload(), None),
    ] {
        assert_eq!(names(without), [""; 0]);
    }
    assert!(!service.etags_are_md5() && service.limits().append.is_none());
    assert!(self::service().etags_are_md5() && self::service().limits().append.is_some());
}

#[test]
fn what_it_does_not_have_is_refused_by_name() {
    let refused = |properties| QingStor::new(&with(false, properties)).unwrap_err().to_string();
    let plain = ObjectProperties::default;
    for (properties, name) in [
        (ObjectProperties { acl: Some("private".into()), ..plain() }, "acl"),
        (ObjectProperties { traffic_limit_bits: Some(1 << 20), ..plain() }, "traffic_limit"),
        (ObjectProperties { storage_class: Some("GLACIER".into()), ..plain() }, "storage_class"),
        (ObjectProperties { requester_pays: true, ..plain() }, "requester_pays"),
        (
            ObjectProperties {
                headers: StandardHeaders {
                    content_language: Some("de".into()),
                    ..Default::default()
                },
                ..plain()
            },
            "content_language",
        ),
        (
            ObjectProperties {
                encryption: Encryption::ServiceKey { algorithm: "AES256".into() },
                ..plain()
            },
            "sse",
        ),
        (
            ObjectProperties {
                encryption: Encryption::Kms { key_id: Some("K".into()), context: None },
                ..plain()
            },
            "sse_kms_key_id",
        ),
    ] {
        let message = refused(properties);
        assert!(message.contains(name) && message.contains("QingStor"), "{message}");
    }
}

#[test]
fn keys_are_checked() {
    let service = service();
    for bad in ["/a", ".", "..", &"k".repeat(1024)] {
        assert!(service.check_key(&key(bad)).is_err(), "{bad}");
    }
    for good in ["a//b", "a/../b", "\u{1}", &"k".repeat(1023), "dir/"] {
        assert_eq!(service.check_key(&key(good)), Ok(()));
        assert!(service.deletes_in_batch(&key(good)));
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let service = service();
    let stored = service.read_stored(&answer(201, &[("etag", "\"e\"")], "")).unwrap();
    assert_eq!(stored, Stored { etag: ETag::new("e"), checksum: None });
    assert!(service.read_stored(&answer(201, &[], "")).is_err());
    let nothing = Completed { etag: None, checksum: None };
    assert_eq!(service.read_complete(&answer(201, &[], " \n")).unwrap(), nothing);
    assert_eq!(service.read_copy(&answer(201, &[], "")).unwrap(), nothing);
    assert!(service.read_copy(&answer(201, &[("etag", "\"\"")], "")).is_err());
    let position = ("x-qs-next-append-position", "5");
    assert_eq!(service.read_append(&answer(200, &[position], "")).unwrap().size, 5);
    assert!(service.read_append(&answer(200, &[], "")).is_err());
    assert!(service.read_append(&answer(200, &[(position.0, "x")], "")).is_err());
    for body in ["<html>log in</html>", "{}", r#"{"code": "internal_error"}"#, "null"] {
        let headers = [("etag", "\"e\""), position];
        let lie = answer(200, &headers, body);
        let kinds = [
            service.read_stored(&lie).map(drop),
            service.read_copy(&lie).map(drop),
            service.read_copy_part(&lie).map(drop),
            service.read_complete(&lie).map(drop),
            service.read_append(&lie).map(drop),
        ];
        for result in kinds {
            assert_eq!(result.unwrap_err().kind, ErrorKind::InvalidAnswer, "{body}");
        }
    }
}

#[test]
fn an_object_is_described_by_its_headers() {
    let headers = [
        ("content-length", "5"),
        ("etag", "\"e\""),
        ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("content-type", "text/plain"),
        ("x-qs-storage-class", "STANDARD_IA"),
        ("x-qs-meta-mode", "33188"),
        ("x-qs-request-id", "id"),
    ];
    let answer = answer(200, &headers, "");
    let info = service().read_head(&answer).unwrap();
    assert_eq!(info.version, ObjectVersion { etag: ETag::new("e"), size: 5 });
    assert_eq!(info.metadata.get("mode"), Some("33188"));
    assert_eq!(info.storage_class.as_deref(), Some("STANDARD_IA"));
    assert_eq!(service().request_id(&answer.headers), Some("id"));
}
