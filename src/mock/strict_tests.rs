//! What the services refuse, or do in a way of their own, and what a mock could take for something else
//! without anybody's noticing.

use md5::{Digest, Md5};

use super::family_tests::{ALL, get, own, put, speaking};
use super::raw_client::{Raw, Reply};
use super::tests::{send, start};
use super::*;

const NOT_HERE: (u16, &str) = (501, "NotImplemented");

async fn told(server: &MockServer, raw: Raw) -> (u16, String) {
    let reply = send(server, raw).await;
    (reply.status, reply.code())
}

fn refusal((status, code): (u16, &str)) -> (u16, String) {
    (status, code.to_owned())
}

async fn delete_many(server: &MockServer, objects: &str) -> Reply {
    let document = format!("<Delete>{objects}</Delete>");
    let md5 = base64::encode(&Md5::digest(&document));
    send(server, Raw::new("POST", "/?delete").header("Content-MD5", &md5).body(document)).await
}

#[tokio::test]
async fn no_version_is_taken_for_the_current_object() {
    for dialect in ALL {
        let server = speaking(dialect).await;
        put(&server, "/k", "current").await;
        for method in ["GET", "PUT", "DELETE"] {
            let versioned = Raw::new(method, "/k?versionId=v1");
            assert_eq!(told(&server, versioned).await, refusal(NOT_HERE), "{dialect:?} {method}");
        }
        let reply = delete_many(
            &server,
            "<Object><Key>k</Key><VersionId>v1</VersionId></Object><Object><Key>j</Key></Object>",
        );
        let reply = reply.await;
        assert_eq!((reply.status, reply.code()), refusal(NOT_HERE), "{dialect:?}");
        let source = own(dialect, "copy-source");
        let source = |raw: Raw| raw.header(&source, "/mock-1250000000/k?versionId=v1");
        let copy = source(Raw::new("PUT", "/copy"));
        assert_eq!(told(&server, copy).await, refusal(NOT_HERE), "{dialect:?}");
        let upload = send(&server, Raw::new("POST", "/up?uploads")).await;
        let target = format!("/up?partNumber=1&uploadId={}", upload.element("UploadId").unwrap());
        let part = source(Raw::new("PUT", &target));
        assert_eq!(told(&server, part).await, refusal(NOT_HERE), "{dialect:?}");
        assert_eq!(get(&server, "/k").await.text(), "current");
        assert_eq!(get(&server, "/copy").await.status, 404);
    }
}

#[tokio::test]
async fn of_many_keys_only_what_matches_is_deleted() {
    let objects = |etag: &str| {
        format!(
            "<Object><Key>a</Key><ETag>{etag}</ETag></Object>\
             <Object><Key>b</Key><ETag>&quot;0123&quot;</ETag></Object>\
             <Object><Key>none</Key><ETag>*</ETag></Object><Object><Key>c</Key></Object>"
        )
    };
    for dialect in ALL {
        let server = speaking(dialect).await;
        let etag = put(&server, "/a", "a").await.header("etag").unwrap().replace('"', "&quot;");
        put(&server, "/b", "b").await;
        put(&server, "/c", "c").await;
        let reply = delete_many(&server, &objects(&etag)).await;
        let left = get(&server, "/").await.elements("Key");
        if dialect == MockDialect::S3 {
            assert_eq!((reply.status, left), (200, vec!["b".to_owned()]));
            assert_eq!(reply.elements("Key"), ["a", "b", "none", "c"]);
            assert_eq!(reply.elements("Code"), ["PreconditionFailed", "NoSuchKey"]);
        } else {
            assert_eq!((reply.status, reply.code()), refusal(NOT_HERE), "{dialect:?}");
            assert_eq!(left, ["a", "b", "c"]);
        }
    }
    let (dialect, s3_conditional_writes) = (MockDialect::S3, false);
    let older = start(MockConfig { dialect, s3_conditional_writes, ..MockConfig::default() }).await;
    put(&older, "/b", "b").await;
    assert_eq!(delete_many(&older, &objects("x")).await.elements("Code"), Vec::<String>::new());
    assert_eq!(get(&older, "/b").await.status, 404);
}

#[tokio::test]
async fn if_match_of_anything_deletes_what_is_there() {
    let server = speaking(MockDialect::S3).await;
    let delete = || Raw::new("DELETE", "/k").header("If-Match", "*");
    assert_eq!(told(&server, delete()).await, refusal((404, "NoSuchKey")));
    put(&server, "/k", "x").await;
    assert_eq!(send(&server, delete()).await.status, 204);
    assert_eq!(get(&server, "/k").await.status, 404);
}

/// A part of `/up` that copies a range of `/k`.
async fn part_of(server: &MockServer, dialect: MockDialect, range: &str) -> Reply {
    let upload = send(server, Raw::new("POST", "/up?uploads")).await;
    let target = format!("/up?partNumber=1&uploadId={}", upload.element("UploadId").unwrap());
    let raw = Raw::new("PUT", &target);
    let raw = raw.header(&own(dialect, "copy-source"), "/mock-1250000000/k");
    send(server, raw.header(&own(dialect, "copy-source-range"), range)).await
}

#[tokio::test]
async fn s3_copies_no_range_of_what_is_no_larger_than_a_part() {
    for dialect in ALL {
        let server = speaking(dialect).await;
        for (content, range) in
            [("four", "bytes=0-3"), ("four", "bytes=1-2"), ("fives", "bytes=0-0")]
        {
            put(&server, "/k", content).await;
            let reply = part_of(&server, dialect, range).await;
            let refused = dialect == MockDialect::S3 && content == "four";
            let expected = if refused { (400, "InvalidRequest") } else { (200, "") };
            let code = if reply.status == 200 { String::new() } else { reply.code() };
            assert_eq!((reply.status, code), refusal(expected), "{dialect:?} {content} {range}");
        }
    }
    // That of the service.
    let config = MockConfig { dialect: MockDialect::S3, ..MockConfig::default() };
    let server = start(config).await;
    for (size, status) in [(5 << 20, 400), ((5 << 20) + 1, 200)] {
        put(&server, "/k", &"k".repeat(size)).await;
        assert_eq!(part_of(&server, MockDialect::S3, "bytes=0-9").await.status, status, "{size}");
    }
}

#[tokio::test]
async fn oss_copies_all_where_the_range_is_bad() {
    let server = speaking(MockDialect::Oss).await;
    put(&server, "/k", "hello world").await;
    let whole = part_of(&server, MockDialect::Oss, "bytes=0-10").await;
    let crc = |reply: &Reply| reply.header("x-oss-hash-crc64ecma").unwrap().to_owned();
    assert_eq!(whole.header("content-range"), Some("bytes 0-10/11"));
    for bad in ["bytes=6-11", "bytes=11-12", "bytes=6-", "bytes=-5", "bytes=7-6", "6-10"] {
        let reply = part_of(&server, MockDialect::Oss, bad).await;
        assert_eq!((reply.status, crc(&reply)), (200, crc(&whole)), "{bad}");
        assert_eq!(reply.header("content-range"), None, "{bad}");
    }
    let good = part_of(&server, MockDialect::Oss, "bytes=6-10").await;
    assert_eq!(good.header("content-range"), Some("bytes 6-10/11"));
    assert_ne!(crc(&good), crc(&whole));
}

#[tokio::test]
async fn what_was_appended_is_not_copied() {
    for (dialect, appended_not_copied) in [
        (MockDialect::Cos, true),
        (MockDialect::Cos, false),
        (MockDialect::Oss, true),
        (MockDialect::Oss, false),
    ] {
        let config = MockConfig { dialect, appended_not_copied, ..MockConfig::default() };
        let server = start(config).await;
        let append = Raw::new("POST", "/k?append&position=0").body("hello world");
        assert_eq!(send(&server, append).await.status, 200);
        let copy = || {
            let source = "/mock-1250000000/k";
            send(&server, Raw::new("PUT", "/copy").header(&own(dialect, "copy-source"), source))
        };
        for reply in [copy().await, part_of(&server, dialect, "bytes=0-4").await] {
            let code = if reply.status == 200 { String::new() } else { reply.code() };
            let expected =
                if appended_not_copied { (400, "OperationNotSupported") } else { (200, "") };
            assert_eq!((reply.status, code), refusal(expected), "{dialect:?}");
        }
        assert_eq!(get(&server, "/copy").await.status == 404, appended_not_copied);
        // What replaces it is an object like any other.
        put(&server, "/k", "plain").await;
        assert_eq!(copy().await.status, 200, "{dialect:?}");
    }
}
