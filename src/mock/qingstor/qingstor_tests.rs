//! QingStor's particulars, as a client sees them request by request; uploads in parts have a file of their
//! own.

use serde_json::{Value, json};

use super::super::raw_client::{Raw, Reply};
use super::super::tests::start;
use super::super::{MockConfig, MockDialect, MockServer};
use super::*;
use crate::store::Key;
use crate::store::memory::EtagMode;

pub(super) const MD5_OF_HELLO_WORLD: &str = "5eb63bbbe01eeed093cb22bb8f5acdc3";

pub(super) async fn server() -> MockServer {
    start(MockConfig {
        dialect: MockDialect::Qingstor,
        bucket: "mybucket".to_owned(),
        part_min_bytes: Some(4),
        ..MockConfig::default()
    })
    .await
}

/// Addressed as `<zone>.qingstor.com/<bucket><target>`.
pub(super) fn raw(method: &'static str, target: &str) -> Raw {
    Raw::new(method, &format!("/mybucket{target}")).host("pek3a.qingstor.com")
}

pub(super) async fn send(server: &MockServer, raw: Raw) -> Reply {
    let reply = raw.send(server).await.unwrap();
    assert_eq!(reply.header("server"), Some("QingStor"));
    assert!(reply.header("x-qs-request-id").is_some());
    reply
}

pub(super) async fn put(server: &MockServer, target: &str, body: &str) -> Reply {
    send(server, raw("PUT", target).body(body)).await
}

pub(super) async fn get(server: &MockServer, target: &str) -> Reply {
    send(server, raw("GET", target)).await
}

pub(super) fn document(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/json"));
    serde_json::from_slice(&reply.body).unwrap()
}

pub(super) fn outcome(reply: &Reply) -> (u16, String) {
    let document = document(reply);
    assert_eq!(document["request_id"], reply.header("x-qs-request-id").unwrap());
    assert!(document["message"].is_string() && document["url"].is_string());
    (reply.status, document["code"].as_str().unwrap().to_owned())
}

pub(super) fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn what_is_put_is_got_however_the_bucket_is_named() {
    let server = server().await;
    let request = raw("PUT", "/dir%20a/x+y%2B=")
        .header("Content-Type", "text/plain")
        .header("Cache-Control", "max-age=60")
        .header("x-qs-meta-Some_name.x", "v 1")
        .header("x-qs-storage-class", "STANDARD_IA")
        .header("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww==")
        .body("hello world");
    let reply = send(&server, request).await;
    assert_eq!((reply.status, reply.text()), (201, String::new()));
    let etag = format!("\"{MD5_OF_HELLO_WORLD}\"");
    assert_eq!(reply.header("etag"), Some(etag.as_str()));
    for (host, bucket) in [
        ("pek3a.qingstor.com", "/mybucket"),
        ("127.0.0.1:80", "/mybucket"),
        ("mybucket.pek3a.x", ""),
    ] {
        for method in ["GET", "HEAD"] {
            let target = format!("{bucket}/dir%20a/x%2By+=");
            let reply = send(&server, Raw::new(method, &target).host(host)).await;
            assert_eq!(reply.status, 200, "{host}");
            for (name, value) in [
                ("content-length", "11"),
                ("content-type", "text/plain"),
                ("cache-control", "max-age=60"),
                ("x-qs-meta-some_name.x", "v 1"),
                ("x-qs-storage-class", "STANDARD_IA"),
                ("etag", &etag),
                ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ] {
                assert_eq!(reply.header(name), Some(value), "{method} {name}");
            }
            assert_eq!(reply.text(), if method == "GET" { "hello world" } else { "" });
        }
    }
    let elsewhere = Raw::new("GET", "/other/k").host("pek3a.qingstor.com");
    assert_eq!(outcome(&send(&server, elsewhere).await), error(404, "bucket_not_exists"));
    for _ in 0..2 {
        assert_eq!(send(&server, raw("DELETE", "/dir%20a/x+y+%3D")).await.status, 204);
    }
    assert_eq!(outcome(&get(&server, "/dir%20a/x+y+%3D").await), error(404, "object_not_exists"));
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_said_has_a_default() {
    let server = server().await;
    put(&server, "/k", "x").await;
    let reply = get(&server, "/k").await;
    assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    assert_eq!(reply.header("x-qs-storage-class"), Some("STANDARD"));
    for target in ["", "/"] {
        assert_eq!(send(&server, raw("HEAD", target)).await.status, 200);
    }
    let reply = send(&server, raw("HEAD", "/missing")).await;
    assert_eq!((reply.status, reply.text()), (404, String::new()));
    server.stop().await;
}

#[tokio::test]
async fn ranges_and_conditions() {
    let server = server().await;
    let etag = put(&server, "/k", "0123456789").await.header("etag").unwrap().to_owned();
    let with = async |name, value: &str| send(&server, raw("GET", "/k").header(name, value)).await;
    let reply = with("Range", "bytes=-3").await;
    assert_eq!((reply.status, reply.text()), (206, "789".to_owned()));
    assert_eq!(reply.header("content-range"), Some("bytes 7-9/10"));
    let reply = with("Range", "bytes=10-").await;
    assert_eq!(outcome(&reply), error(416, "invalid_range"));
    assert_eq!(reply.header("content-range"), Some("bytes */10"));
    assert_eq!(outcome(&with("If-Match", "\"x\"").await), error(412, "precondition_failed"));
    let reply = with("If-None-Match", &etag).await;
    assert_eq!((reply.status, reply.text()), (304, String::new()));
    let target = "/k?response-content-type=text%2Fx&response-content-language=de";
    let reply = get(&server, target).await;
    assert_eq!(reply.header("content-type"), Some("text/x"));
    assert_eq!(reply.header("content-language"), Some("de"));
    server.stop().await;
}

#[tokio::test]
async fn writes_have_no_conditions() {
    let server = server().await;
    for body in ["a", "b"] {
        let request = raw("PUT", "/k").header("If-None-Match", "*").header("If-Match", "\"x\"");
        assert_eq!(send(&server, request.body(body)).await.status, 201);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_objects_are_given_is_checked() {
    let server = server().await;
    let with = async |name: &str, value: &str| {
        outcome(&send(&server, raw("PUT", "/k").header(name, value).body("hello")).await)
    };
    let long = "x".repeat(2048);
    assert_eq!(with("x-qs-meta-a", &long).await, error(400, "metadata_too_large"));
    assert_eq!(with("x-qs-meta-a", "ä").await, error(400, "invalid_argument"));
    assert_eq!(with("x-qs-meta-a!", "b").await, error(400, "invalid_argument"));
    let name = format!("x-qs-meta-{}", "n".repeat(513));
    assert_eq!(with(&name, "b").await, error(400, "invalid_argument"));
    assert_eq!(with("Content-Type", &long[..256]).await, error(400, "invalid_argument"));
    assert_eq!(with("x-qs-storage-class", "ARCHIVE").await, error(400, "invalid_argument"));
    assert_eq!(with("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww==").await, error(400, "bad_digest"));
    assert_eq!(with("Content-MD5", "x").await, error(400, "invalid_argument"));
    assert_eq!(with("x-qs-fetch-source", "http://x").await, error(501, "not_implemented"));
    assert!(server.bucket().effects().is_empty());
    let fits = raw("PUT", "/k").header("x-qs-meta-a", &long[..2047]).header("x-qs-meta-b", "");
    assert_eq!(outcome(&send(&server, fits.clone()).await), error(400, "metadata_too_large"));
    let fits = raw("PUT", "/k").header("x-qs-meta-a", &long[..2047]);
    assert_eq!(send(&server, fits).await.status, 201);
    server.stop().await;
}

#[tokio::test]
async fn keys_have_rules() {
    let server = server().await;
    let key = |len| format!("/{}", "k".repeat(len));
    assert_eq!(put(&server, &key(1023), "x").await.status, 201);
    for target in [&key(1024), "//k"] {
        assert_eq!(outcome(&put(&server, target, "x").await), error(400, "invalid_object_name"));
    }
    assert_eq!(put(&server, "/a//b/./c", "x").await.status, 201);
    assert!(server.bucket().head(&Key::new("a//b/./c").unwrap()).is_ok());
    server.stop().await;
}

#[tokio::test]
async fn listings_are_json_with_quotes_in_quotes() {
    let server = server().await;
    let typed = raw("PUT", "/dir/a").header("Content-Type", "application/x-directory");
    send(&server, typed.body("hello world")).await;
    put(&server, "/dir/sub/b", "x").await;
    put(&server, "/other%01%22", "x").await;
    let reply = document(&get(&server, "?prefix=dir/&delimiter=/").await);
    assert_eq!(
        reply,
        json!({
            "name": "mybucket", "prefix": "dir/", "delimiter": "/", "limit": 100, "marker": "",
            "next_marker": "", "has_more": false, "owner": {"id": "usr-mock", "name": "mock"},
            "common_prefixes": ["dir/sub/"],
            "keys": [{
                "key": "dir/a", "size": 11, "etag": format!("\"{MD5_OF_HELLO_WORLD}\""),
                "mime_type": "application/x-directory", "created": "2023-11-14T22:13:20.000Z",
                "modified": 1_700_000_000, "encrypted": false, "storage_class": "STANDARD",
            }],
        })
    );
    let reply = document(&get(&server, "?prefix=o").await);
    assert_eq!(reply["keys"][0]["key"], "other\u{1}\"");
    assert_eq!(outcome(&get(&server, "?delimiter=ab").await), error(400, "invalid_argument"));
    assert_eq!(outcome(&get(&server, "?limit=x").await), error(400, "invalid_argument"));
    server.stop().await;
}

#[tokio::test]
async fn pages_are_of_a_hundred_and_markers_are_opaque() {
    let server = server().await;
    for number in 0..101 {
        put(&server, &format!("/k{number:03}"), "").await;
    }
    let first = document(&get(&server, "").await);
    assert_eq!(first["keys"].as_array().unwrap().len(), 100);
    assert_eq!(first["has_more"], true);
    let marker = first["next_marker"].as_str().unwrap();
    assert!(!marker.contains("k099"), "{marker}");
    let second = document(&get(&server, &format!("/?marker={marker}&limit=5000")).await);
    assert_eq!((&second["limit"], &second["marker"]), (&json!(1000), &json!(marker)));
    assert_eq!(second["keys"][0]["key"], "k100");
    assert_eq!((&second["has_more"], &second["next_marker"]), (&json!(false), &json!("")));
    server.stop().await;
}

#[tokio::test]
async fn copies_keep_or_replace() {
    let server = server().await;
    let source = raw("PUT", "/src/%E4%B8%AD%2B%201").header("x-qs-meta-a", "1");
    send(&server, source.header("Content-Type", "text/plain").body("hello world")).await;
    let copy =
        |to: &str| raw("PUT", to).header("x-qs-copy-source", "/mybucket/src/%E4%B8%AD%2B%201");
    let reply = send(&server, copy("/kept").header("x-qs-metadata-directive", "COPY")).await;
    assert_eq!((reply.status, reply.text()), (201, String::new()));
    let kept = get(&server, "/kept").await;
    assert_eq!((kept.text(), kept.header("x-qs-meta-a")), ("hello world".to_owned(), Some("1")));
    for directive in ["replace", "REPLACE"] {
        let request = copy("/replaced").header("x-qs-metadata-directive", directive);
        assert_eq!(send(&server, request.header("x-qs-meta-b", "2")).await.status, 201);
        let replaced = send(&server, raw("HEAD", "/replaced")).await;
        assert_eq!(replaced.header("x-qs-meta-a"), None);
        assert_eq!(replaced.header("x-qs-meta-b"), Some("2"));
    }
    let refused = async |raw| outcome(&send(&server, raw).await);
    let unless = copy("/x").header("x-qs-copy-source-if-none-match", "*");
    assert_eq!(refused(unless).await, error(412, "precondition_failed"));
    let wrong = copy("/x").header("x-qs-metadata-directive", "keep");
    assert_eq!(refused(wrong).await, error(400, "invalid_argument"));
    let itself = copy("/src/%E4%B8%AD%2B%201");
    assert_eq!(refused(itself).await, error(400, "invalid_argument"));
    let from = |source| raw("PUT", "/x").header("x-qs-copy-source", source);
    assert_eq!(refused(from("/mybucket/none")).await, error(404, "object_not_exists"));
    assert_eq!(refused(from("/other/k")).await, error(404, "bucket_not_exists"));
    assert_eq!(refused(from("mybucket")).await, error(400, "invalid_argument"));
    server.stop().await;
}

#[tokio::test]
async fn objects_move() {
    let server = server().await;
    let typed = || raw("PUT", "/a%20b").header("x-qs-meta-a", "1");
    let etag = send(&server, with_key(typed(), "").body("hello world")).await;
    let etag = etag.header("etag").unwrap().to_owned();
    let to = |to: &str| raw("PUT", to).header("x-qs-move-source", "/mybucket/a%20b");
    let refused = async |raw| outcome(&send(&server, raw).await);
    let unless = to("/c").header("x-qs-move-source-if-match", "\"other\"");
    assert_eq!(refused(unless).await, error(412, "precondition_failed"));
    let both = to("/c").header("x-qs-copy-source", "/mybucket/a%20b");
    assert_eq!(refused(both).await, error(400, "invalid_argument"));
    let reply = send(&server, to("/c").header("x-qs-move-source-if-match", &etag)).await;
    assert_eq!((reply.status, reply.text()), (201, String::new()));
    assert_eq!(refused(to("/d")).await, error(404, "object_not_exists"));
    let moved = send(&server, with_key(raw("GET", "/c"), "")).await;
    assert_eq!((moved.text(), moved.header("x-qs-meta-a")), ("hello world".to_owned(), Some("1")));
    assert_eq!(moved.header("etag"), Some(etag.as_str()));
    server.stop().await;
}

#[tokio::test]
async fn bytes_are_appended_at_the_end_only() {
    let server = server().await;
    let append = async |position: &str, body: &str| {
        let request = raw("POST", &format!("/log?append&position={position}"));
        send(&server, request.header("x-qs-meta-a", position).body(body)).await
    };
    let argument = error(400, "invalid_argument");
    assert_eq!(outcome(&append("1", "x").await), argument);
    for (position, body, next) in [("0", "hello ", "6"), ("6", "world", "11")] {
        let reply = append(position, body).await;
        assert_eq!((reply.status, reply.text()), (200, String::new()));
        assert_eq!(reply.header("x-qs-next-append-position"), Some(next));
    }
    assert_eq!(outcome(&append("6", "world").await), argument);
    assert_eq!(outcome(&append("", "world").await), argument);
    let reply = get(&server, "/log").await;
    assert_eq!(reply.text(), "hello world");
    assert_eq!(reply.header("x-qs-object-type"), Some("appendable"));
    assert_eq!(reply.header("x-qs-next-append-position"), Some("11"));
    assert_eq!(reply.header("x-qs-meta-a"), Some("0"));
    put(&server, "/k", "x").await;
    let reply = send(&server, raw("POST", "/k?append&position=1").body("y")).await;
    assert_eq!(outcome(&reply), argument);
    let encrypted = with_key(raw("POST", "/new?append&position=0").body("y"), "");
    assert_eq!(outcome(&send(&server, encrypted).await), argument);
    server.stop().await;
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let server = server().await;
    put(&server, "/a", "x").await;
    let body = r#"{"objects": [{"key": "a"}, {"key": "none"}]}"#;
    let md5 = |body: &str| {
        use md5::{Digest, Md5};
        crate::mock::base64::encode(&Md5::digest(body))
    };
    let reply = send(&server, raw("POST", "?delete").body(body)).await;
    assert_eq!(outcome(&reply), error(400, "invalid_argument"));
    let request = raw("POST", "?delete").header("Content-MD5", &md5("")).body(body);
    assert_eq!(outcome(&send(&server, request).await), error(400, "bad_digest"));
    let request = raw("POST", "?delete").header("Content-MD5", &md5(body)).body(body);
    let reply = send(&server, request).await;
    assert_eq!(reply.status, 200);
    let deleted = json!({"deleted": [{"key": "a"}, {"key": "none"}], "errors": []});
    assert_eq!(document(&reply), deleted);
    let body = r#"{"quiet": true, "objects": [{"key": "a"}]}"#;
    let request = raw("POST", "?delete").header("Content-MD5", &md5(body)).body(body);
    assert_eq!(document(&send(&server, request).await), json!({"errors": []}));
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_here_is_refused() {
    let server = server().await;
    for target in ["?acl", "?cors", "?policy", "/k?image=x", "?versions"] {
        assert_eq!(outcome(&get(&server, target).await), error(501, "not_implemented"), "{target}");
    }
    for (method, target) in [("DELETE", ""), ("PUT", ""), ("PATCH", "/k"), ("POST", "/k")] {
        let reply = send(&server, raw(method, target)).await;
        assert_eq!(outcome(&reply), error(405, "method_not_allowed"), "{method} {target}");
    }
    let reply = send(&server, raw("GET", "/k").unsigned()).await;
    assert_eq!(outcome(&reply), error(401, "signature_not_matched"));
    server.stop().await;
}

/// Every refusal has a status and a code; those of the documentation are as there.
#[test]
fn refusals_have_the_codes_of_the_documentation() {
    let text = || "text".to_owned();
    for (refusal, status, code) in [
        (Refusal::AccessDenied("x"), 403, "permission_denied"),
        (Refusal::SignatureDoesNotMatch(text()), 401, "signature_not_matched"),
        (Refusal::MalformedAuthorization("x"), 401, "signature_not_matched"),
        (Refusal::UnknownAccessKey, 401, "invalid_access_key_id"),
        (Refusal::ClockSkew, 403, "request_expired"),
        (Refusal::NoSuchBucket, 404, "bucket_not_exists"),
        (Refusal::NoSuchKey, 404, "object_not_exists"),
        (Refusal::NoSuchCopySource, 404, "object_not_exists"),
        (Refusal::NoSuchUpload, 404, "upload_not_exists"),
        (Refusal::PreconditionFailed, 412, "precondition_failed"),
        (Refusal::NotModified, 304, "not_modified"),
        (Refusal::InvalidRange(1), 416, "invalid_range"),
        (Refusal::WrongPosition(1), 400, "invalid_argument"),
        (Refusal::NotAppendable, 400, "invalid_argument"),
        (Refusal::InvalidPart, 400, "invalid_argument"),
        (Refusal::InvalidPartOrder, 400, "invalid_argument"),
        (Refusal::PartTooSmall, 400, "entity_too_small"),
        (Refusal::TooManyParts, 400, "max_parts_exceeded"),
        (Refusal::TooManyKeys, 400, "too_many_objects"),
        (Refusal::TooLarge, 400, "entity_too_large"),
        (Refusal::MalformedDigest, 400, "invalid_argument"),
        (Refusal::WrongDigest, 400, "bad_digest"),
        (Refusal::IncompleteBody, 400, "incomplete_body"),
        (Refusal::NoLength, 411, "missing_content_length"),
        (Refusal::MalformedDocument, 400, "invalid_json"),
        (Refusal::DocumentTooLong, 400, "invalid_request"),
        (Refusal::InvalidKey, 400, "invalid_object_name"),
        (Refusal::KeyTooLong, 400, "invalid_object_name"),
        (Refusal::InvalidPath, 400, "invalid_object_name"),
        (Refusal::MetadataTooLarge, 400, "metadata_too_large"),
        (Refusal::InvalidStorageClass, 400, "invalid_argument"),
        (Refusal::Frozen(text()), 400, "invalid_object_state"),
        (Refusal::InvalidEncryption, 400, "invalid_argument"),
        (Refusal::EncryptionNotAllowed, 400, "invalid_argument"),
        (Refusal::BadCustomerKey("x"), 400, "invalid_argument"),
        (Refusal::WrongCustomerKey, 400, "invalid_argument"),
        (Refusal::InvalidArgument("x"), 400, "invalid_argument"),
        (Refusal::InvalidDelimiter, 400, "invalid_argument"),
        (Refusal::MethodNotAllowed, 405, "method_not_allowed"),
        (Refusal::NotImplemented, 501, "not_implemented"),
        (Refusal::Internal(text()), 500, "internal_error"),
        (Refusal::Injected { status: 503, code: text() }, 503, "text"),
    ] {
        let (found_status, found_code, _) = answers::words(&refusal);
        assert_eq!((found_status.as_u16(), found_code), (status, code), "{refusal:?}");
    }
}

const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const KEY_MD5: &str = "KYvwGXoFFJ42a2u2GDWhwQ==";

/// With the headers of a key, for the object itself or (`which`) the source of a copy.
fn with_key(raw: Raw, which: &str) -> Raw {
    let name = |name: &str| format!("x-qs-{which}encryption-customer-{name}");
    raw.header(&name("algorithm"), "AES256")
        .header(&name("key"), KEY)
        .header(&name("key-MD5"), KEY_MD5)
}

#[tokio::test]
async fn a_client_can_keep_the_key() {
    let server = server().await;
    let told = |reply: &Reply| {
        assert_eq!(reply.header("x-qs-encryption-customer-algorithm"), Some("AES256"));
        assert_eq!(reply.header("x-qs-encryption-customer-key-md5"), Some(KEY_MD5));
        assert_eq!(reply.header("x-qs-encryption-customer-key"), None);
    };
    let argument = error(400, "invalid_argument");
    let reply = send(&server, with_key(raw("PUT", "/k").body("hello world"), "")).await;
    assert_eq!(reply.status, 201);
    told(&reply);
    assert_ne!(reply.header("etag").unwrap().trim_matches('"'), MD5_OF_HELLO_WORLD);
    assert_eq!(document(&get(&server, "").await)["keys"][0]["encrypted"], true);
    assert_eq!(outcome(&get(&server, "/k").await), argument);
    let reply = send(&server, with_key(raw("GET", "/k"), "")).await;
    assert_eq!(reply.text(), "hello world");
    told(&reply);
    // HEAD does without.
    for head in [raw("HEAD", "/k"), with_key(raw("HEAD", "/k"), "")] {
        let reply = send(&server, head).await;
        assert_eq!(reply.status, 200);
        told(&reply);
    }
    // A copy needs the key of its source, and has no key unless it is given one.
    let copy = || raw("PUT", "/copy").header("x-qs-copy-source", "/mybucket/k");
    assert_eq!(outcome(&send(&server, copy()).await), argument);
    assert_eq!(send(&server, with_key(copy(), "copy-source-")).await.status, 201);
    assert_eq!(get(&server, "/copy").await.text(), "hello world");

    // An upload and its parts have one key; Complete takes it and does without.
    for complete_with_key in [false, true] {
        let reply = send(&server, with_key(raw("POST", "/u?uploads"), "")).await;
        told(&reply);
        let id = document(&reply)["upload_id"].as_str().unwrap().to_owned();
        let part = || raw("PUT", &format!("/u?part_number=0&upload_id={id}")).body("hello world");
        assert_eq!(outcome(&send(&server, part()).await), argument);
        assert_eq!(send(&server, with_key(part(), "")).await.status, 201);
        let complete = raw("POST", &format!("/u?upload_id={id}"));
        let complete = complete.body(r#"{"object_parts": [{"part_number": 0}]}"#);
        let complete = if complete_with_key { with_key(complete, "") } else { complete };
        assert_eq!(send(&server, complete).await.status, 201);
        assert_eq!(outcome(&get(&server, "/u").await), argument);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_key_must_be_the_one_of_its_md5() {
    let server = server().await;
    let header = |name: &str| format!("x-qs-encryption-customer-{name}");
    for (algorithm, key, md5) in [
        ("AES256", KEY, "XrY7u+Ae7tCTyyK7j1rNww=="),
        ("AES256", "MDEy", KEY_MD5),
        ("DES", KEY, KEY_MD5),
    ] {
        let request = raw("PUT", "/k").header(&header("algorithm"), algorithm);
        let request = request.header(&header("key"), key).header(&header("key-md5"), md5);
        let reply = send(&server, request.body("x")).await;
        assert_eq!(outcome(&reply), error(400, "invalid_argument"));
    }
    let incomplete = raw("PUT", "/k").header(&header("key"), KEY).body("x");
    assert_eq!(outcome(&send(&server, incomplete).await), error(400, "invalid_argument"));
    server.stop().await;
}

#[tokio::test]
async fn etags_may_be_no_digests() {
    let config = MockConfig {
        dialect: MockDialect::Qingstor,
        bucket: "mybucket".to_owned(),
        etags: EtagMode::Opaque,
        ..MockConfig::default()
    };
    let server = start(config).await;
    let reply = put(&server, "/k", "hello world").await;
    assert_ne!(reply.header("etag").unwrap().trim_matches('"'), MD5_OF_HELLO_WORLD);
    server.stop().await;
}
