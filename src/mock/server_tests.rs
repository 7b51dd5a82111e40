//! The server as a client sees it, request by request.

use std::time::{Duration, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::raw_client::{Raw, Reply, connect};
use super::*;
use crate::clock::ManualClock;
use crate::store::memory::Effect;
use crate::store::{Key, Operation};

const BUCKET: &str = "mock-1250000000";

pub(super) async fn start(config: MockConfig) -> MockServer {
    let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    MockServer::start(config, Arc::new(clock)).await.unwrap()
}

pub(super) async fn small_parts() -> MockServer {
    start(MockConfig { part_min_bytes: Some(4), ..MockConfig::default() }).await
}

pub(super) async fn send(server: &MockServer, raw: Raw) -> Reply {
    raw.send(server).await.unwrap()
}

pub(super) async fn put(server: &MockServer, path: &str, body: &str) -> Reply {
    send(server, Raw::new("PUT", path).body(body)).await
}

pub(super) async fn get(server: &MockServer, path: &str) -> Reply {
    send(server, Raw::new("GET", path)).await
}

async fn refused(server: &MockServer, raw: Raw) -> (u16, String) {
    let reply = send(server, raw).await;
    assert!(reply.header("x-cos-request-id").is_some());
    (reply.status, reply.code())
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

pub(super) async fn upload_id(server: &MockServer, path: &str) -> String {
    let reply = send(server, Raw::new("POST", &format!("{path}?uploads"))).await;
    assert_eq!(reply.status, 200);
    reply.element("UploadId").unwrap()
}

/// Uploads parts and gives the document that completes them.
pub(super) async fn upload_parts(
    server: &MockServer,
    path: &str,
    id: &str,
    parts: &[&str],
) -> String {
    let mut list = String::new();
    for (number, part) in (1..).zip(parts) {
        let target = format!("{path}?partNumber={number}&uploadId={id}");
        let reply = put(server, &target, part).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        list += &listed(number, reply.header("etag").unwrap());
    }
    complete_document(&list)
}

fn listed(number: u32, etag: &str) -> String {
    format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
}

fn complete_document(list: &str) -> String {
    format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>")
}

#[tokio::test]
async fn what_is_put_is_got() {
    let server = small_parts().await;
    let request = Raw::new("PUT", "/dir%20a/x+y%2B")
        .header("Content-Type", "text/plain")
        .header("Cache-Control", "max-age=60")
        .header("x-cos-meta-Mode", "644")
        .header("x-cos-storage-class", "STANDARD_IA")
        .header("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww==")
        .body("hello world");
    let reply = send(&server, request).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let etag = "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"";
    assert_eq!(reply.header("etag"), Some(etag));
    assert_eq!(reply.header("x-cos-hash-crc64ecma"), Some("5981764153023615706"));
    assert_eq!(reply.header("server"), Some("tencent-cos"));
    assert_eq!(reply.header("date"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    assert!(server.bucket().head(&Key::new("dir a/x+y+").unwrap()).is_ok());

    for method in ["GET", "HEAD"] {
        let reply = send(&server, Raw::new(method, "/dir%20a/x%2By+")).await;
        assert_eq!(reply.status, 200);
        for (name, value) in [
            ("content-length", "11"),
            ("content-type", "text/plain"),
            ("cache-control", "max-age=60"),
            ("x-cos-meta-mode", "644"),
            ("x-cos-storage-class", "STANDARD_IA"),
            ("etag", etag),
            ("x-cos-hash-crc64ecma", "5981764153023615706"),
            ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{method} {name}");
        }
        let body = if method == "GET" { "hello world" } else { "" };
        assert_eq!(reply.text(), body);
    }
    let target = "/dir%20a/x%2By%2B?response-content-type=text%2Fx";
    assert_eq!(get(&server, target).await.header("content-type"), Some("text/x"));
    assert_eq!(server.bucket().requests_of(Operation::Get), 2);
    assert_eq!(send(&server, Raw::new("DELETE", "/dir%20a/x+y+")).await.status, 204);
    assert_eq!(send(&server, Raw::new("DELETE", "/dir%20a/x+y+")).await.status, 204);
    let reply = get(&server, "/dir%20a/x+y+").await;
    assert_eq!((reply.status, reply.code()), error(404, "NoSuchKey"));
    server.stop().await;
}

#[tokio::test]
async fn ranges_and_conditions() {
    let server = small_parts().await;
    let etag = put(&server, "/k", "0123456789").await.header("etag").unwrap().to_owned();
    let with =
        async |name, value: &str| send(&server, Raw::new("GET", "/k").header(name, value)).await;
    let reply = with("Range", "bytes=2-4").await;
    assert_eq!((reply.status, reply.text()), (206, "234".to_owned()));
    assert_eq!(reply.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(with("Range", "bytes=-3").await.text(), "789");
    assert_eq!(with("Range", "bytes=8-100").await.text(), "89");
    assert_eq!(with("Range", "bytes=4-2").await.status, 200);
    let reply = with("Range", "bytes=10-").await;
    assert_eq!((reply.status, reply.code()), error(416, "InvalidRange"));
    assert_eq!(reply.header("content-range"), Some("bytes */10"));
    assert_eq!(with("If-Match", &etag).await.status, 200);
    assert_eq!(with("If-Match", "\"x\"").await.code(), "PreconditionFailed");
    assert_eq!(with("If-None-Match", &etag).await.status, 304);
    assert_eq!(with("If-Modified-Since", "Tue, 14 Nov 2023 22:13:20 GMT").await.status, 304);
    assert_eq!(with("If-Unmodified-Since", "Tue, 14 Nov 2023 22:13:19 GMT").await.status, 412);
    put(&server, "/empty", "").await;
    let reply = send(&server, Raw::new("GET", "/empty").header("Range", "bytes=0-")).await;
    assert_eq!(reply.status, 416);
}

#[tokio::test]
async fn chunked_bodies_and_bodies_of_unknown_length() {
    let server = small_parts().await;
    let chunked = Raw::new("PUT", "/k")
        .header("Transfer-Encoding", "chunked")
        .body("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    assert_eq!(send(&server, chunked).await.status, 200);
    assert_eq!(get(&server, "/k").await.text(), "hello world");
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let server = small_parts().await;
    let id = upload_id(&server, "/k").await;
    for target in ["/k".to_owned(), format!("/k?partNumber=1&uploadId={id}")] {
        for framing in [("Content-Length", "100"), ("Transfer-Encoding", "chunked")] {
            let raw = Raw::new("PUT", &target).header(framing.0, framing.1);
            let mut stream = connect(server.address()).await.unwrap();
            stream.write_all(raw.head(&server).as_bytes()).await.unwrap();
            stream.write_all(b"5\r\nhello").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer).await);
            assert!(!answer.starts_with(b"HTTP/1.1 200"));
        }
    }
    let operations: Vec<_> = server.bucket().effects().iter().map(|e| e.operation).collect();
    assert_eq!(operations, [Operation::StartUpload]);
}

#[tokio::test]
async fn refusals_of_put() {
    let server = small_parts().await;
    let refuse = async |raw| refused(&server, raw).await;
    let raw = || Raw::new("PUT", "/k").body("hello");
    let wrong = raw().header("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww==");
    assert_eq!(refuse(wrong).await, error(400, "BadDigest"));
    assert_eq!(refuse(raw().header("Content-MD5", "x")).await, error(400, "InvalidDigest"));
    let long = raw().header("x-cos-meta-a", &"v".repeat(2048));
    assert_eq!(refuse(long).await, error(400, "MetadataTooLarge"));
    assert_eq!(refuse(raw().header("x-cos-meta-a_b", "v")).await, error(400, "InvalidArgument"));
    let huge = Raw::new("PUT", "/k")
        .header("Content-Length", "5368709121")
        .header("Expect", "100-continue");
    assert_eq!(refuse(huge).await, error(400, "EntityTooLarge"));
    let long = format!("/{}", "k".repeat(851));
    assert_eq!(refuse(Raw::new("PUT", &long)).await, error(400, "KeyTooLong"));
    for path in ["/a%1Bb", "//a", "/%5Ca"] {
        assert_eq!(refuse(Raw::new("PUT", path)).await, error(400, "InvalidObjectName"));
    }
    assert_eq!(refuse(Raw::new("PUT", "/%FF")).await, error(400, "InvalidURI"));
    assert_eq!(refuse(Raw::new("PATCH", "/k")).await, error(405, "MethodNotAllowed"));
    assert_eq!(refuse(Raw::new("POST", "/k")).await, error(405, "MethodNotAllowed"));
    assert_eq!(refuse(Raw::new("GET", "/k?tagging")).await, error(501, "NotImplemented"));
    assert!(server.bucket().effects().is_empty());

    let once = || raw().header("x-cos-forbid-overwrite", "true");
    assert_eq!(send(&server, once()).await.status, 200);
    assert_eq!(refuse(once()).await, error(409, "FileAlreadyExists"));
}

#[tokio::test]
async fn who_asks_must_be_known() {
    let server = small_parts().await;
    put(&server, "/k", "x").await;
    let refuse = async |raw| refused(&server, raw).await;
    assert_eq!(refuse(Raw::new("GET", "/k").unsigned()).await, error(403, "AccessDenied"));
    // Who is not known does not learn what is there.
    assert_eq!(refuse(Raw::new("GET", "/none").unsigned()).await, error(403, "AccessDenied"));
    let forged = Raw::new("GET", "/k").unsigned().header(
        "Authorization",
        "q-sign-algorithm=sha1&q-ak=AKIDEXAMPLE&q-sign-time=1700000000;1700000001&\
         q-key-time=1700000000;1700000001&q-header-list=&q-url-param-list=&q-signature=00",
    );
    assert_eq!(refuse(forged).await, error(403, "SignatureDoesNotMatch"));
    let late = Raw::new("GET", "/k").header("Date", "Tue, 14 Nov 2023 22:30:20 GMT");
    assert_eq!(refuse(late).await, error(403, "RequestTimeTooSkewed"));
}

#[tokio::test]
async fn the_bucket_is_reached_in_three_ways() {
    let server = small_parts().await;
    let named = format!("{BUCKET}.cos.ap-beijing.myqcloud.com");
    assert_eq!(send(&server, Raw::new("PUT", "/k").host(&named).body("1")).await.status, 200);
    assert_eq!(get(&server, "/k").await.text(), "1");
    assert_eq!(get(&server, &format!("/{BUCKET}/k")).await.text(), "1");
    assert_eq!(send(&server, Raw::new("HEAD", "/")).await.status, 200);
    let other = Raw::new("GET", "/k").host("other-1.cos.ap-beijing.myqcloud.com");
    assert_eq!(refused(&server, other).await, error(404, "NoSuchBucket"));
}

#[tokio::test]
async fn lists_page_roll_up_and_encode() {
    let server = small_parts().await;
    for path in ["/a%20b", "/a+c", "/d/1", "/d/2", "/e%3C", "/f%01"] {
        put(&server, path, "x").await;
    }
    let list = async |query: &str| get(&server, &format!("/?{query}")).await;
    let all = list("encoding-type=url").await;
    assert_eq!(all.elements("Key"), ["a%20b", "a%2Bc", "d/1", "d/2", "e%3C", "f%01"]);
    assert_eq!(all.element("IsTruncated").as_deref(), Some("false"));
    assert_eq!(all.element("LastModified").as_deref(), Some("2023-11-14T22:13:20.000Z"));
    assert!(list("").await.text().contains("<Key>e&lt;</Key>"));

    let page = list("encoding-type=url&delimiter=%2F&max-keys=3").await;
    assert_eq!(page.elements("Key"), ["a%20b", "a%2Bc"]);
    assert_eq!(page.element("CommonPrefixes").as_deref(), Some("<Prefix>d/</Prefix>"));
    assert_eq!(page.element("NextMarker").as_deref(), Some("d/"));
    let rest = list("encoding-type=url&delimiter=%2F&max-keys=3&marker=d/").await;
    assert_eq!(rest.elements("Key"), ["e%3C", "f%01"]);
    let below = list("prefix=d/&delimiter=/").await;
    assert_eq!(below.elements("Key"), ["d/1", "d/2"]);
    assert_eq!(list("delimiter=ab").await.code(), "InvalidDelimiter");
    assert_eq!(list("max-keys=x").await.code(), "InvalidArgument");
}

#[tokio::test]
async fn a_multipart_upload_from_start_to_end() {
    let server = small_parts().await;
    let start = Raw::new("POST", "/dir/k?uploads").header("x-cos-meta-a", "b");
    let id = send(&server, start).await.element("UploadId").unwrap();
    let document = upload_parts(&server, "/dir/k", &id, &["hello ", "world"]).await;

    let parts = get(&server, &format!("/dir/k?uploadId={id}&max-parts=1")).await;
    assert_eq!(parts.elements("Size"), ["6"]);
    assert_eq!(parts.element("NextPartNumberMarker").as_deref(), Some("1"));
    let parts = get(&server, &format!("/dir/k?uploadId={id}&part-number-marker=1")).await;
    assert_eq!(parts.elements("Size"), ["5"]);
    let uploads = get(&server, "/?uploads&prefix=dir&encoding-type=url").await;
    assert_eq!(uploads.elements("UploadId"), [id.as_str()]);
    assert_eq!(uploads.element("Initiated").as_deref(), Some("Tue Nov 14 22:13:20 2023"));
    let rolled = get(&server, "/?uploads&delimiter=/").await;
    assert_eq!(rolled.element("CommonPrefixes").as_deref(), Some("<Prefix>dir/</Prefix>"));

    let complete = Raw::new("POST", &format!("/dir/k?uploadId={id}")).body(document);
    let reply = send(&server, complete.clone()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-cos-hash-crc64ecma"), Some("5981764153023615706"));
    assert!(reply.element("ETag").unwrap().ends_with("-2&quot;"));
    let found = get(&server, "/dir/k").await;
    assert_eq!(found.text(), "hello world");
    assert_eq!(found.header("x-cos-meta-a"), Some("b"));
    assert_eq!(refused(&server, complete).await, error(404, "NoSuchUpload"));
}

#[tokio::test]
async fn refusals_of_complete() {
    let server = small_parts().await;
    let id = upload_id(&server, "/k").await;
    let good = upload_parts(&server, "/k", &id, &["abc", "def"]).await;
    let target = format!("/k?uploadId={id}");
    let complete =
        async |document: &str| refused(&server, Raw::new("POST", &target).body(document)).await;
    assert_eq!(complete(&good).await, error(400, "EntityTooSmall"));
    assert_eq!(complete("<x").await, error(400, "MalformedXML"));
    assert_eq!(complete(&complete_document("")).await, error(400, "MalformedXML"));
    let wrong = complete_document(&listed(1, "x"));
    assert_eq!(complete(&wrong).await, error(400, "InvalidPart"));
    let gap = complete_document(&listed(2, "4ed9407630eb1000c0f6b63842defa7d"));
    assert_eq!(complete(&gap).await, error(400, "InvalidPart"));
    let order = complete_document(&(listed(2, "x") + &listed(1, "x")));
    assert_eq!(complete(&order).await, error(400, "InvalidPartOrder"));
    let number = complete_document(&listed(10_001, "x"));
    assert_eq!(complete(&number).await, error(400, "InvalidArgument"));

    let part = |number| Raw::new("PUT", &format!("/k?partNumber={number}&uploadId={id}"));
    assert_eq!(refused(&server, part("0")).await, error(400, "InvalidArgument"));
    assert_eq!(refused(&server, part("10001")).await, error(400, "InvalidArgument"));
    assert_eq!(send(&server, Raw::new("DELETE", &target)).await.status, 204);
    assert_eq!(refused(&server, Raw::new("DELETE", &target)).await, error(404, "NoSuchUpload"));
    assert_eq!(refused(&server, part("1")).await, error(404, "NoSuchUpload"));
    assert_eq!(get(&server, &target).await.code(), "NoSuchUpload");
}

#[tokio::test]
async fn copies() {
    let server = small_parts().await;
    let raw = Raw::new("PUT", "/src%20+").header("x-cos-meta-a", "b").body("hello world");
    let etag = send(&server, raw).await.header("etag").unwrap().to_owned();
    let host = format!("{BUCKET}.cos.ap-beijing.myqcloud.com/src%20%2B");
    for source in
        [host.as_str(), &format!("/{BUCKET}/src%20+"), &format!("{}/src%20+", server.address())]
    {
        let reply =
            send(&server, Raw::new("PUT", "/dst").header("x-cos-copy-source", source)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.element("CRC64").as_deref(), Some("5981764153023615706"));
    }
    assert_eq!(get(&server, "/dst").await.header("x-cos-meta-a"), Some("b"));

    let copy = |path, source: &str| Raw::new("PUT", path).header("x-cos-copy-source", source);
    let none = copy("/dst", &format!("/{BUCKET}/none"));
    assert_eq!(refused(&server, none).await, error(404, "NoSuchCopySource"));
    let onto_itself = copy("/src%20+", &host);
    assert_eq!(refused(&server, onto_itself.clone()).await, error(400, "InvalidRequest"));
    let replaced =
        onto_itself.header("x-cos-metadata-directive", "Replaced").header("x-cos-meta-c", "d");
    assert_eq!(send(&server, replaced).await.status, 200);
    let found = get(&server, "/src%20+").await;
    assert_eq!((found.header("x-cos-meta-a"), found.header("x-cos-meta-c")), (None, Some("d")));
    let stale = copy("/dst", &host).header("x-cos-copy-source-If-Match", "\"x\"");
    assert_eq!(refused(&server, stale).await, error(412, "PreconditionFailed"));

    let id = upload_id(&server, "/whole").await;
    let part = |range: &str| {
        copy("/x", &host)
            .header("x-cos-copy-source-range", range)
            .header("x-cos-copy-source-If-Match", &etag)
    };
    let target = format!("/whole?partNumber=1&uploadId={id}");
    let part = |range: &str| Raw { target: target.clone(), ..part(range) };
    let reply = send(&server, part("bytes=6-10")).await;
    assert_eq!(reply.header("x-cos-hash-crc64ecma"), Some("4472352582074980600"));
    assert_eq!(reply.element("ETag").unwrap(), "&quot;7d793037a0760186574b0282f2f435e7&quot;");
    assert_eq!(refused(&server, part("bytes=6-11")).await, error(416, "InvalidRange"));
    assert_eq!(refused(&server, part("bytes=6-")).await, error(400, "InvalidArgument"));
    let mixed = part("bytes=6-10").header("x-cos-copy-source-If-None-Match", "\"x\"");
    assert_eq!(refused(&server, mixed).await, error(400, "InvalidArgument"));
    let alike = part("bytes=6-10")
        .header("x-cos-copy-source-If-Unmodified-Since", "Tue, 14 Nov 2023 22:13:20 GMT");
    assert_eq!(send(&server, alike).await.status, 200);
}

#[tokio::test]
async fn many_objects_are_deleted_at_once() {
    let server = small_parts().await;
    put(&server, "/a", "x").await;
    put(&server, "/b", "x").await;
    let delete = |document: &str| {
        use md5::{Digest, Md5};
        let md5: [u8; 16] = Md5::digest(document).into();
        Raw::new("POST", "/?delete").header("Content-MD5", &base64(&md5)).body(document)
    };
    let keys = "<Object><Key>a</Key></Object><Object><Key>absent</Key></Object>";
    let reply = send(&server, delete(&format!("<Delete>{keys}</Delete>"))).await;
    assert_eq!((reply.status, reply.elements("Key")), (200, vec!["a".into(), "absent".into()]));
    let quiet = "<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object></Delete>";
    assert!(send(&server, delete(quiet)).await.elements("Key").is_empty());
    assert_eq!(get(&server, "/?").await.elements("Key"), Vec::<String>::new());
    let without = Raw::new("POST", "/?delete").body(quiet);
    assert_eq!(refused(&server, without).await, error(400, "InvalidArgument"));
}

fn base64(bytes: &[u8; 16]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u128::from_be_bytes(*bytes);
    let mut text: String =
        (0..21).map(|at| digits[(bits >> (122 - 6 * at)) as usize & 63] as char).collect();
    text.push(digits[((bits << 4) & 63) as usize] as char);
    text + "=="
}

#[tokio::test]
async fn a_folder_keeps_the_bucket_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = MockConfig { dir: Some(dir.path().to_owned()), ..MockConfig::default() };
    let server = start(config.clone()).await;
    let big = "0123456789abcdef".repeat(200_000);
    assert_eq!(put(&server, "/big", &big).await.status, 200);
    server.stop().await;
    let server = start(config).await;
    assert_eq!(get(&server, "/big").await.text(), big);
    let range = Raw::new("GET", "/big").header("Range", "bytes=3199998-");
    assert_eq!(send(&server, range).await.text(), "ef");
}

#[tokio::test]
async fn stopping_breaks_requests_off_that_are_still_sending() {
    let server = small_parts().await;
    let bucket = server.bucket();
    let raw = Raw::new("PUT", "/k").header("Content-Length", "100");
    let mut stream = connect(server.address()).await.unwrap();
    stream.write_all(raw.head(&server).as_bytes()).await.unwrap();
    server.stop().await;
    drop(stream.write_all(&[0; 100]).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(answer.is_empty());
    assert_eq!(bucket.effects(), Vec::<Effect>::new());
}
