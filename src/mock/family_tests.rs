//! What COS, OSS and S3 do differently, request by request.

use md5::{Digest, Md5};

use super::digests::DigestKind;
use super::raw_client::{Raw, Reply};
use super::tests::{send, start};
use super::*;
use crate::store::Operation;

pub(super) const ALL: [MockDialect; 3] = [MockDialect::Cos, MockDialect::Oss, MockDialect::S3];

pub(super) async fn speaking(dialect: MockDialect) -> MockServer {
    start(MockConfig { dialect, part_min_bytes: Some(4), ..MockConfig::default() }).await
}

/// The name of one of a service's own headers.
pub(super) fn own(dialect: MockDialect, name: &str) -> String {
    let prefix = match dialect {
        MockDialect::Oss => "x-oss-",
        MockDialect::S3 => "x-amz-",
        _ => "x-cos-",
    };
    format!("{prefix}{name}")
}

pub(super) async fn put(server: &MockServer, path: &str, body: &str) -> Reply {
    let reply = send(server, Raw::new("PUT", path).body(body)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

pub(super) async fn get(server: &MockServer, path: &str) -> Reply {
    send(server, Raw::new("GET", path)).await
}

/// Uploads `hello ` and `world`; gives id and part list.
async fn two_parts(server: &MockServer, headers: &[(&str, &str)]) -> (String, String) {
    let start = headers.iter().fold(Raw::new("POST", "/k?uploads"), |raw, (n, v)| raw.header(n, v));
    let id = send(server, start).await.element("UploadId").unwrap();
    let mut list = String::new();
    for (number, body) in [(1, "hello "), (2, "world")] {
        let reply = put(server, &format!("/k?partNumber={number}&uploadId={id}"), body).await;
        let etag = reply.header("etag").unwrap();
        list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    (id, format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>"))
}

fn complete(id: &str, list: &str) -> Raw {
    Raw::new("POST", &format!("/k?uploadId={id}")).body(list)
}

#[tokio::test]
async fn every_service_has_its_codes() {
    let long = format!("/{}", "k".repeat(1025));
    type Expected = [(u16, &'static str); 3];
    let table: Vec<(Raw, Expected)> = vec![
        (Raw::new("GET", "/none"), [(404, "NoSuchKey"); 3]),
        (Raw::new("GET", "/k?uploadId=none"), [(404, "NoSuchUpload"); 3]),
        (Raw::new("GET", "/k").unsigned(), [(403, "AccessDenied"); 3]),
        (Raw::new("PATCH", "/k"), [(405, "MethodNotAllowed"); 3]),
        (
            Raw::new("PUT", "/k").header("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww==").body("x"),
            [(400, "BadDigest"), (400, "InvalidDigest"), (400, "BadDigest")],
        ),
        (
            Raw::new("PUT", &long),
            [(400, "KeyTooLong"), (400, "InvalidObjectName"), (400, "KeyTooLongError")],
        ),
        (Raw::new("GET", "/k").header("If-Match", "\"x\""), [(412, "PreconditionFailed"); 3]),
        (
            Raw::new("GET", "/k").header("Range", "bytes=9-"),
            [(416, "InvalidRange"), (200, ""), (416, "InvalidRange")],
        ),
        (
            Raw::new("POST", "/k?restore"),
            [
                (405, "RestoreNonArchiveObject"),
                (400, "OperationNotSupported"),
                (403, "InvalidObjectState"),
            ],
        ),
        (Raw::new("GET", "/?website"), [(501, "NotImplemented"); 3]),
    ];
    for (at, dialect) in ALL.into_iter().enumerate() {
        let server = speaking(dialect).await;
        put(&server, "/k", "x").await;
        for (raw, expected) in &table {
            let reply = send(&server, raw.clone()).await;
            let (status, code) = expected[at];
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (status, code),
                "{dialect:?} {raw:?}"
            );
            assert!(reply.header(&own(dialect, "request-id")).is_some());
        }
        let bad = Raw::new("PUT", "/k").header(&own(dialect, "storage-class"), "NONE");
        let code = ["NotSupportedStorageClass", "InvalidArgument", "InvalidStorageClass"][at];
        assert_eq!(send(&server, bad).await.code(), code);
        let head = send(&server, Raw::new("HEAD", "/none")).await;
        assert_eq!((head.status, head.body.len()), (404, 0));
        assert_eq!(head.header("x-oss-err").is_some(), dialect == MockDialect::Oss);
    }
}

#[tokio::test]
async fn etags_and_checksums_are_those_of_the_service() {
    for (dialect, single, whole) in [
        (MockDialect::Cos, "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"", None),
        (
            MockDialect::Oss,
            "\"5EB63BBBE01EEED093CB22BB8F5ACDC3\"",
            Some("\"7C57EA06D59F07CB942E39D26B13DD9A-2\""),
        ),
        (
            MockDialect::S3,
            "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"",
            Some("\"e09e4fd6265b36115fe3db32df945d84-2\""),
        ),
    ] {
        let server = speaking(dialect).await;
        let reply = put(&server, "/a", "hello world").await;
        assert_eq!(reply.header("etag"), Some(single));
        let crc = match dialect {
            MockDialect::S3 => ("x-amz-checksum-crc64nvme".to_owned(), "jSnVw/bqjr4="),
            _ => (own(dialect, "hash-crc64ecma"), "5981764153023615706"),
        };
        assert_eq!(reply.header(&crc.0), Some(crc.1));
        let (id, list) = two_parts(&server, &[]).await;
        let reply = send(&server, complete(&id, &list)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let head = Raw::new("HEAD", "/k").header("x-amz-checksum-mode", "ENABLED");
        let head = send(&server, head).await;
        assert_eq!(head.header(&crc.0), Some(crc.1));
        if let Some(whole) = whole {
            assert_eq!(head.header("etag"), Some(whole));
        }
        let again = send(&server, complete(&id, &list)).await;
        assert_eq!((again.status, again.code().as_str()), (404, "NoSuchUpload"));
    }
}

#[tokio::test]
async fn listings_of_the_second_version_page_by_token() {
    for dialect in [MockDialect::Oss, MockDialect::S3] {
        let server = speaking(dialect).await;
        for path in ["/a%20+", "/b/1", "/b/2", "/c"] {
            put(&server, path, "x").await;
        }
        let query = "/?list-type=2&delimiter=/&encoding-type=url&max-keys=2";
        let page = get(&server, query).await;
        let key = if dialect == MockDialect::S3 { "a+%2B" } else { "a%20%2B" };
        assert_eq!(page.elements("Key"), [key]);
        assert_eq!(page.element("KeyCount").as_deref(), Some("2"));
        assert!(page.element("Owner").is_none());
        let token = page.element("NextContinuationToken").unwrap().replace('=', "%3D");
        let page =
            get(&server, &format!("{query}&continuation-token={token}&fetch-owner=true")).await;
        assert_eq!(page.elements("Key"), ["c"]);
        assert!(page.element("Owner").is_some());
        assert_eq!(get(&server, "/?list-type=2&start-after=b/2").await.elements("Key"), ["c"]);
        let first = get(&server, "/?max-keys=1").await;
        assert_eq!(first.element("NextMarker").is_some(), dialect == MockDialect::Oss);
    }
}

#[tokio::test]
async fn writes_of_s3_keep_conditions() {
    let server = speaking(MockDialect::S3).await;
    let put = async |name: &str, value: &str| {
        send(&server, Raw::new("PUT", "/k").header(name, value).body("x")).await
    };
    assert_eq!(put("If-Match", "\"x\"").await.code(), "NoSuchKey");
    let etag = put("If-None-Match", "*").await.header("etag").unwrap().to_owned();
    assert_eq!(put("If-None-Match", "*").await.code(), "PreconditionFailed");
    assert_eq!(put("If-Match", "\"x\"").await.status, 412);
    assert_eq!(put("If-Match", &etag).await.status, 200);
    let (id, list) = two_parts(&server, &[]).await;
    let refused = send(&server, complete(&id, &list).header("If-None-Match", "*")).await;
    assert_eq!((refused.status, refused.code().as_str()), (412, "PreconditionFailed"));
    let size = send(&server, complete(&id, &list).header("x-amz-mp-object-size", "12")).await;
    assert_eq!((size.status, size.code().as_str()), (400, "InvalidRequest"));
    assert_eq!(send(&server, complete(&id, &list).header("If-Match", &etag)).await.status, 200);
    let delete =
        async |etag: &str| send(&server, Raw::new("DELETE", "/k").header("If-Match", etag)).await;
    assert_eq!(delete(&etag).await.code(), "PreconditionFailed");
    let etag = get(&server, "/k").await.header("etag").unwrap().to_owned();
    assert_eq!(delete(&etag).await.status, 204);
    assert_eq!(delete(&etag).await.code(), "NoSuchKey");

    let config = MockConfig {
        dialect: MockDialect::S3,
        s3_conditional_writes: false,
        ..MockConfig::default()
    };
    let older = start(config).await;
    for _ in 0..2 {
        let raw = Raw::new("PUT", "/k").header("If-None-Match", "*");
        assert_eq!(send(&older, raw).await.status, 200);
    }
}

#[tokio::test]
async fn bodies_of_s3_are_what_was_signed_and_stated() {
    let server = speaking(MockDialect::S3).await;
    let raw = || Raw::new("PUT", "/k").body("hello world");
    let hash = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    assert_eq!(send(&server, raw().header("x-amz-content-sha256", hash)).await.status, 200);
    let other = raw().header("x-amz-content-sha256", &hash.replace('b', "c"));
    assert_eq!(send(&server, other).await.code(), "XAmzContentSHA256Mismatch");
    for kind in DigestKind::ALL {
        let right = kind.of(b"hello world");
        let reply = send(&server, raw().header(kind.header(), &right)).await;
        assert_eq!(reply.header(kind.header()), Some(right.as_str()));
        let wrong = raw().header(kind.header(), &kind.of(b"x"));
        assert_eq!(send(&server, wrong).await.code(), "BadDigest");
    }
    let framed = |crc: &str| {
        let body = format!("6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n");
        Raw::new("PUT", "/k")
            .header("Content-Encoding", "aws-chunked")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("x-amz-decoded-content-length", "11")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .body(body)
    };
    assert_eq!(send(&server, framed("AAAAAA==")).await.code(), "BadDigest");
    let reply = send(&server, framed("DUoRhQ==")).await;
    assert_eq!(reply.header("x-amz-checksum-crc32"), Some("DUoRhQ=="), "{}", reply.text());
    let found = get(&server, "/k").await;
    assert_eq!((found.text(), found.header("content-encoding")), ("hello world".to_owned(), None));
}

#[tokio::test]
async fn parts_of_s3_with_checksums_are_compared_at_complete() {
    let server = speaking(MockDialect::S3).await;
    let start = [("x-amz-checksum-algorithm", "CRC32C")];
    let start = start.iter().fold(Raw::new("POST", "/k?uploads"), |raw, (n, v)| raw.header(n, v));
    let id = send(&server, start).await.element("UploadId").unwrap();
    let mut list = String::new();
    for (number, body, crc) in [(1, "hello ", "fmJ+WA=="), (2, "world", "MaqBTg==")] {
        let raw = Raw::new("PUT", &format!("/k?partNumber={number}&uploadId={id}"));
        let reply = send(&server, raw.header("x-amz-checksum-crc32c", crc).body(body)).await;
        let etag = reply.header("etag").unwrap();
        list += &format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>\
             <ChecksumCRC32C>{crc}</ChecksumCRC32C></Part>"
        );
    }
    let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let wrong = list.replace("MaqBTg==", "fmJ+WA==");
    assert_eq!(send(&server, complete(&id, &wrong)).await.code(), "BadDigest");
    let reply = send(&server, complete(&id, &list)).await;
    assert_eq!(reply.element("ChecksumCRC32C").as_deref(), Some("vUZpoA==-2"));
    assert_eq!(reply.element("ChecksumType").as_deref(), Some("COMPOSITE"));
}

#[tokio::test]
async fn oss_in_its_own_way() {
    let server = speaking(MockDialect::Oss).await;
    let reply = put(&server, "/k", "hello world").await;
    assert_eq!(reply.header("content-md5"), Some("XrY7u+Ae7tCTyyK7j1rNww=="));
    let whole = send(&server, Raw::new("GET", "/k").header("Range", "bytes=20-")).await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "hello world"));
    let strict = Raw::new("GET", "/k").header("Range", "bytes=20-");
    let strict = send(&server, strict.header("x-oss-range-behavior", "standard")).await;
    assert_eq!(strict.code(), "InvalidRange");
    let meta = send(&server, Raw::new("HEAD", "/k?objectMeta")).await;
    assert_eq!((meta.header("content-length"), meta.header("content-type")), (Some("11"), None));
    let once = Raw::new("PUT", "/k").header("x-oss-forbid-overwrite", "true");
    assert_eq!(send(&server, once).await.code(), "FileAlreadyExists");
    let condition = Raw::new("PUT", "/k").header("If-None-Match", "*");
    let condition = send(&server, condition).await;
    assert_eq!((condition.status, condition.code().as_str()), (400, "NotImplemented"));
    let (id, _) = two_parts(&server, &[]).await;
    let part = Raw::new("PUT", &format!("/k?partNumber=1&uploadId={id}"));
    let part = send(&server, part.header("x-oss-server-side-encryption", "AES256")).await;
    assert_eq!(part.code(), "InvalidArgument");
    assert_eq!(get(&server, &format!("/k?uploadId={id}")).await.elements("HashCrc64ecma").len(), 2);
    let all = complete(&id, "").header("x-oss-complete-all", "yes");
    assert_eq!(send(&server, all).await.status, 200);
    assert_eq!(get(&server, "/k").await.header("x-oss-object-type"), Some("Multipart"));
    let document = "<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>";
    let delete = Raw::new("POST", "/?delete").body(document);
    let md5 = base64::encode(&Md5::digest(document));
    let reply = send(&server, delete.header("Content-MD5", &md5)).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    let forged = Raw::new("GET", "/k").unsigned();
    let forged = forged.header("Date", "Tue, 14 Nov 2023 22:13:20 GMT");
    let reply = send(&server, forged.header("Authorization", "OSS AKIDEXAMPLE:AAAA")).await;
    assert_eq!(reply.code(), "SignatureDoesNotMatch");
    assert!(reply.element("StringToSign").unwrap().contains("/mock-1250000000/k"));
}

#[tokio::test]
async fn appending_needs_the_exact_position() {
    for (dialect, code) in
        [(MockDialect::Cos, "AppendPositionErr"), (MockDialect::Oss, "PositionNotEqualToLength")]
    {
        let server = speaking(dialect).await;
        let append = async |path: &str, at: u32| {
            send(&server, Raw::new("POST", &format!("{path}?append&position={at}")).body("abc"))
                .await
        };
        let next = own(dialect, "next-append-position");
        assert_eq!(append("/log", 0).await.header(&next), Some("3"));
        let refused = append("/log", 0).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, code));
        let told = (dialect == MockDialect::Oss).then_some("3");
        assert_eq!(refused.header(&next), told);
        assert_eq!(append("/log", 3).await.header(&next), Some("6"));
        assert_eq!(get(&server, "/log").await.text(), "abcabc");
        put(&server, "/k", "abc").await;
        assert_eq!(append("/k", 3).await.code(), "ObjectNotAppendable");
    }
}

#[tokio::test]
async fn who_keeps_the_key_must_bring_it() {
    for (dialect, missing, wrong) in [
        (MockDialect::Cos, (400, "SsecDecryptHeaderInvalid"), (400, "SsecDecryptHeaderInvalid")),
        (MockDialect::S3, (400, "InvalidRequest"), (403, "AccessDenied")),
    ] {
        let server = speaking(dialect).await;
        let keyed = |raw: Raw, which: &str, key: &str, md5: &str| {
            let name = |last: &str| {
                own(dialect, &format!("{which}server-side-encryption-customer-{last}"))
            };
            raw.header(&name("algorithm"), "AES256")
                .header(&name("key"), key)
                .header(&name("key-MD5"), md5)
        };
        let good = ("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "KYvwGXoFFJ42a2u2GDWhwQ==");
        let raw = Raw::new("PUT", "/k").body("hello world");
        let reply = send(&server, keyed(raw, "", good.0, good.1)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_ne!(reply.header("etag"), Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));
        let echo = own(dialect, "server-side-encryption-customer-key-md5");
        assert_eq!(reply.header(&echo), Some(good.1));
        let get = || Raw::new("GET", "/k");
        let bare = send(&server, get()).await;
        assert_eq!((bare.status, bare.code().as_str()), missing);
        assert_eq!(send(&server, keyed(get(), "", good.0, good.1)).await.text(), "hello world");
        let other = [7_u8; 32];
        let other = (base64::encode(&other), base64::encode(&Md5::digest(other)));
        let reply = send(&server, keyed(get(), "", &other.0, &other.1)).await;
        assert_eq!((reply.status, reply.code().as_str()), wrong);
        let source = format!("/{}/k", server.service.config().bucket);
        let copy = || Raw::new("PUT", "/copy").header(&own(dialect, "copy-source"), &source);
        assert_eq!(send(&server, copy()).await.status, missing.0);
        let copied = send(&server, keyed(copy(), "copy-source-", good.0, good.1)).await;
        assert_eq!(copied.status, 200, "{}", copied.text());
        assert_eq!(get_text(&server, "/copy").await, "hello world");
    }
}

async fn get_text(server: &MockServer, path: &str) -> String {
    get(server, path).await.text()
}

#[tokio::test]
async fn archived_objects_are_read_after_restoring() {
    for (dialect, class) in [
        (MockDialect::Cos, "ARCHIVE"),
        (MockDialect::Oss, "ColdArchive"),
        (MockDialect::S3, "GLACIER"),
    ] {
        let server = speaking(dialect).await;
        let raw = Raw::new("PUT", "/k").header(&own(dialect, "storage-class"), class).body("x");
        assert_eq!(send(&server, raw).await.status, 200);
        let frozen = get(&server, "/k").await;
        assert_eq!((frozen.status, frozen.code().as_str()), (403, "InvalidObjectState"));
        let restore = || Raw::new("POST", "/k?restore").body("<RestoreRequest/>");
        assert_eq!(send(&server, restore()).await.status, 202);
        assert_eq!(send(&server, restore()).await.status, 200);
        let restored = get(&server, "/k").await;
        assert!(
            restored
                .header(&own(dialect, "restore"))
                .unwrap()
                .contains("ongoing-request=\"false\"")
        );
        assert_eq!(restored.header(&own(dialect, "storage-class")), Some(class));
    }
}

#[tokio::test]
async fn permissions_and_limits_are_checked_and_kept() {
    for (dialect, header) in
        [(MockDialect::Cos, "acl"), (MockDialect::Oss, "object-acl"), (MockDialect::S3, "acl")]
    {
        let server = speaking(dialect).await;
        let with =
            |name: &str, value: &str| Raw::new("PUT", "/k").header(&own(dialect, name), value);
        assert_eq!(send(&server, with(header, "everything")).await.code(), "InvalidArgument");
        assert_eq!(send(&server, with(header, "public-read")).await.status, 200);
        assert!(get(&server, "/k").await.header(&own(dialect, header)).is_none());
        let acl = get(&server, "/k?acl").await.text();
        assert!(acl.contains("public-read") || acl.contains("READ</Permission>"), "{acl}");
        let limits = if dialect == MockDialect::S3 { 200 } else { 400 };
        for (limit, status) in [("819199", limits), ("819200", 200), ("838860801", limits)] {
            assert_eq!(send(&server, with("traffic-limit", limit)).await.status, status);
        }
    }
}

#[tokio::test]
async fn credentials_expire_and_are_replaced() {
    for (dialect, status, code) in [
        (MockDialect::Cos, 400, "ExpiredToken"),
        (MockDialect::Oss, 403, "SecurityTokenExpired"),
        (MockDialect::S3, 400, "ExpiredToken"),
    ] {
        let server = speaking(dialect).await;
        put(&server, "/k", "x").await;
        server.faults().add(FaultRule::new(Action::ExpireCredentials).on(Operation::Get));
        for _ in 0..2 {
            let reply = get(&server, "/k").await;
            assert_eq!((reply.status, reply.code().as_str()), (status, code));
        }
        server.set_credentials("OTHER", "OTHERSECRET", None);
        assert_eq!(get(&server, "/k").await.text(), "x");
    }
}

#[tokio::test]
async fn proxies_redirects_and_wrong_etags() {
    let server = speaking(MockDialect::S3).await;
    put(&server, "/k", "x").await;
    server.faults().add(FaultRule::new(Action::ProxyPage(200)));
    let page = get(&server, "/k").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html")));
    assert!(page.header("x-amz-request-id").is_none());
    server.faults().add(FaultRule::new(Action::RedirectTo("http://127.0.0.1:1/k".to_owned())));
    let redirect = get(&server, "/k").await;
    assert_eq!((redirect.status, redirect.header("location")), (307, Some("http://127.0.0.1:1/k")));
    server.faults().add(FaultRule::new(Action::WrongEtag));
    let lie = get(&server, "/k").await.header("etag").unwrap().to_owned();
    assert_ne!(Some(lie.as_str()), get(&server, "/k").await.header("etag"));
    let head = send(&server, Raw::new("HEAD", "/")).await;
    assert_eq!(head.header("x-amz-bucket-region"), Some("us-east-1"));
}
