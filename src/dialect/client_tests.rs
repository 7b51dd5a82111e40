//! The client over scripted answers: attempts, checks of what came back, and what callers are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::dialect::scripted::*;
use crate::store::{ChecksumKind, PayloadSource, StandardHeaders, UploadId, UploadsRequest};

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
async fn put_sends_the_bytes_with_their_length() {
    let server = Scripted::start(vec![say(200, &[ETAG], "")]).await;
    let body = Payload::new(vec!["hello ".into(), "world".into()]);
    let mut options =
        PutOptions { headers: StandardHeaders::of_type("text/plain"), ..Default::default() };
    options.metadata.set("Name", "é");
    let version = server.store().put(&key("a/../ü"), body, &options).await.unwrap();
    assert_eq!(version, ObjectVersion { etag: ETag::new("abc"), size: 11 });
    let seen = &server.seen()[0];
    assert_eq!((&*seen.method, &*seen.target), ("PUT", "/a/..%2F%C3%BC"));
    assert_eq!(seen.body, b"hello world");
    assert_eq!(seen.header("content-length"), Some("11"));
    assert_eq!(seen.header("transfer-encoding"), None);
    assert_eq!(seen.header("content-type"), Some("text/plain"));
    assert_eq!(seen.header("x-cos-meta-name"), Some("%C3%A9"));
    assert_eq!(seen.header("host"), Some(&*server.address.to_string()));
    assert_eq!(seen.header("x-cos-security-token"), Some(TOKEN));
    assert!(
        seen.header("authorization")
            .unwrap()
            .starts_with("q-sign-algorithm=sha1&q-ak=AKIDEXAMPLE&")
    );
}

#[tokio::test]
async fn an_empty_body_has_a_length_too() {
    let server = Scripted::start(vec![say(200, &[ETAG], "")]).await;
    server.store().put(&key("k"), Payload::default(), &PutOptions::default()).await.unwrap();
    let lengths: Vec<_> = server.seen()[0]
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.clone())
        .collect();
    assert_eq!(lengths, ["0"]);
}

#[tokio::test]
async fn transient_errors_are_tried_so_often_and_final_ones_once() {
    let cases = [
        (503, "ServiceUnavailable", ErrorKind::Unavailable, 3),
        (503, "SlowDown", ErrorKind::Throttled, 3),
        (520, "", ErrorKind::Unavailable, 3),
        (409, "PathConflict", ErrorKind::Unavailable, 3),
        (403, "AccessDenied", ErrorKind::AccessDenied, 1),
        (404, "NoSuchUpload", ErrorKind::NoSuchUpload, 1),
        (404, "NoSuchBucket", ErrorKind::BucketMissing, 1),
        (400, "EntityTooLarge", ErrorKind::TooLarge, 1),
    ];
    join_all(cases.map(async |(status, code, kind, attempts)| {
        let server = Scripted::start(vec![refuse(status, code); 5]).await;
        let result = server.store().put_part(&upload(), PartNumber::FIRST, payload(b"x")).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.attempts), (kind, attempts), "{status} {code}");
        assert_eq!(server.seen().len(), attempts as usize);
        assert_eq!(error.status, Some(status));
        assert_eq!(error.request_id.as_deref(), Some(&*format!("id-{status}")));
        assert_eq!(error.key.as_deref(), Some("k"));
        assert_eq!(error.operation, Operation::PutPart);
        if !code.is_empty() {
            assert_eq!(error.code.as_deref(), Some(code));
        }
    }))
    .await;
}

#[tokio::test]
async fn each_attempt_is_signed_anew_and_sends_the_same_bytes() {
    let busy = answer(503, &[("Retry-After", "2")], "");
    let server = Scripted::start(vec![vec![Act::Send(busy)], say(200, &[ETAG], "")]).await;
    server.store().put_part(&upload(), PartNumber::FIRST, payload(b"part")).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, seen[1].body);
    let time = |seen: &Seen| {
        let text = seen.header("authorization").unwrap().to_owned();
        let time = text.split("q-sign-time=").nth(1).unwrap().split(';').next().unwrap().to_owned();
        time.parse::<u64>().unwrap()
    };
    assert!(time(&seen[1]) > time(&seen[0]));
}

#[tokio::test]
async fn a_part_that_was_stored_wrong_is_sent_again() {
    let wrong = say(200, &[ETAG, ("x-cos-hash-crc64ecma", "1")], "");
    let right = say(200, &[ETAG, ("x-cos-hash-crc64ecma", &crc(b"part"))], "");
    let server = Scripted::start(vec![wrong.clone(), right]).await;
    let receipt =
        server.store().put_part(&upload(), PartNumber::FIRST, payload(b"part")).await.unwrap();
    assert_eq!(receipt.checksum, Some(ChecksumKind::Crc64Xz.of(b"part")));
    assert_eq!(receipt.size, 4);

    let server = Scripted::start(vec![wrong; 5]).await;
    let result = server.store().put_part(&upload(), PartNumber::FIRST, payload(b"part")).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_success_without_etag_or_with_an_error_inside_is_none() {
    let cases = [
        say(200, &[], ""),
        say(200, &[("ETag", "\"\"")], ""),
        say(200, &[("ETag", "\"a b\"")], ""),
        say(200, &[ETAG], "<Error><Code>InternalError</Code></Error>"),
        say(200, &[("ETag", "\"a\""), ("ETag", "\"b\"")], ""),
        say(200, &[ETAG, ("x-cos-hash-crc64ecma", "-5")], ""),
        say(206, &[ETAG], ""),
    ];
    join_all(cases.map(async |bad| {
        let server = Scripted::start(vec![bad.clone(), say(200, &[ETAG], "")]).await;
        let result = server.store().put_part(&upload(), PartNumber::FIRST, payload(b"p")).await;
        assert!(result.is_ok(), "{bad:?}: {result:?}");
        assert_eq!(server.seen().len(), 2, "{bad:?}");
    }))
    .await;
}

fn ranged(range: &str, body: &str) -> Vec<Act> {
    say(206, &[ETAG, ("Content-Range", range)], body)
}

#[tokio::test]
async fn get_gives_exactly_the_range() {
    let good = say(
        206,
        &[ETAG, ("Content-Range", "bytes 2-5/10"), ("x-cos-hash-crc64ecma", "77")],
        "cdef",
    );
    let truncated = vec![Act::Send(answer(
        206,
        &[ETAG, ("Content-Range", "bytes 2-5/10"), ("Content-Length", "4")],
        "cd",
    ))];
    let server = Scripted::start(vec![
        truncated,
        ranged("bytes 3-6/10", "defg"),
        say(200, &[ETAG], "abcdefghij"),
        good,
    ])
    .await;
    let store = server.store_with(Timing { max_attempts: 4, ..TIMING });
    let content = store
        .get(&key("k"), ByteRange::new(2, 6), &Conditions::matching(&ETag::new("ABC")))
        .await
        .unwrap();
    assert_eq!(content.chunks.concat(), b"cdef");
    assert_eq!((content.start, content.version.size), (2, 10));
    assert_eq!(content.checksum.map(|checksum| checksum.value), Some(77));
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|seen| seen.header("range") == Some("bytes=2-5")));
    assert_eq!(seen[0].header("if-match"), Some("\"ABC\""));
}

#[tokio::test]
async fn get_never_gives_other_bytes() {
    let range = ByteRange::new(2, 6);
    let short = vec![Act::Send(answer(
        206,
        &[ETAG, ("Content-Range", "bytes 2-5/10"), ("Content-Length", "4")],
        "cd",
    ))];
    // Chunked, so that only we can know that it is too long or too short.
    let chunked = |body: &str| {
        let head = "HTTP/1.1 206 Partial\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
            ETag: \"abc\"\r\nContent-Range: bytes 2-5/10\r\n\r\n";
        vec![Act::Send(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes())]
    };
    let cases = [
        (range, short),
        (range, chunked("cdefghij")),
        (range, chunked("cd")),
        (range, ranged("bytes 0-3/10", "abcd")),
        (range, ranged("bytes 2-4/10", "cde")),
        (range, ranged("bytes 2-6/10", "cdefg")),
        (range, ranged("bytes 2-5/*", "cdef")),
        (range, ranged("bytes 2-5/10", "cdefg")),
        (range, say(206, &[ETAG], "cdef")),
        (range, say(206, &[("Content-Range", "bytes 2-5/10")], "cdef")),
        (range, say(200, &[ETAG], "abcdefghij")),
        (range, say(200, &[], "<html>log in</html>")),
        (None, ranged("bytes 0-3/4", "abcd")),
        (None, say(200, &[], "<html>log in</html>")),
        (None, say(203, &[ETAG], "abcd")),
    ];
    // At the same time, because each takes its pauses.
    join_all(cases.into_iter().map(async |(range, bad)| {
        let server = Scripted::start(vec![bad.clone(); 5]).await;
        let error = server.store().get(&key("k"), range, &Conditions::NONE).await.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::InvalidAnswer, 3), "{bad:?}: {error}");
    }))
    .await;
}

#[tokio::test]
async fn get_of_another_version_is_refused_even_when_the_server_does_not() {
    let server = Scripted::start(vec![ranged("bytes 0-0/1", "a")]).await;
    let result = server
        .store()
        .get(&key("k"), ByteRange::new(0, 1), &Conditions::matching(&ETag::new("old")))
        .await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::PreconditionFailed);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn empty_objects_and_ranges_past_the_end() {
    let server = Scripted::start(vec![
        say(200, &[ETAG], ""),
        say(200, &[ETAG], ""),
        refuse(416, "InvalidRange"),
    ])
    .await;
    let store = server.store();
    let content = store.get(&key("k"), None, &Conditions::NONE).await.unwrap();
    assert!(content.is_empty());
    assert_eq!(server.seen()[0].header("range"), None);
    for _ in 0..2 {
        let error =
            store.get(&key("k"), ByteRange::new(0, 5), &Conditions::NONE).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidRange);
    }
}

#[tokio::test]
async fn head_reads_everything_and_believes_nothing_less() {
    let crc = ("x-cos-hash-crc64ecma", "18446744073709551615");
    let good = say(
        200,
        &[
            ETAG,
            MODIFIED,
            crc,
            ("Content-Length", "42"),
            ("x-cos-meta-mode", "33188"),
            ("X-Cos-Meta-Name", "%C3%A9"),
            ("x-cos-storage-class", "ARCHIVE"),
            ("Content-Type", "text/plain"),
        ],
        "",
    );
    let no_etag = say(200, &[MODIFIED, ("Content-Length", "42")], "");
    let server = Scripted::start(vec![no_etag.clone(), good]).await;
    let info = server.store().head(&key("k")).await.unwrap();
    assert_eq!(info.version, ObjectVersion { etag: ETag::new("abc"), size: 42 });
    assert_eq!(info.checksum.map(|checksum| checksum.value), Some(u64::MAX));
    assert_eq!(info.metadata.get("mode"), Some("33188"));
    assert_eq!(info.metadata.get("name"), Some("é"));
    assert_eq!(info.storage_class.as_deref(), Some("ARCHIVE"));

    let server = Scripted::start(vec![no_etag; 5]).await;
    assert_eq!(server.store().head(&key("k")).await.unwrap_err().kind, ErrorKind::InvalidAnswer);
    let server = Scripted::start(vec![say(404, &[("Content-Length", "100")], "")]).await;
    assert_eq!(server.store().head(&key("k")).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Scripted::start(vec![]).await;
    let target = format!("http://{}/k?q=1", other.address);
    for status in [301, 302, 303, 307, 308] {
        let script = vec![say(status, &[("Location", &target)], "")];
        let server = Scripted::start(script).await;
        let error = server.store().head(&key("k")).await.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::WrongEndpoint, 1));
        assert!(error.message.contains(&other.address.to_string()), "{error}");
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Scripted::start(vec![vec![Act::Stall]; 5]).await;
    let error = server.store().head(&key("k")).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::Timeout, 3));

    let timing =
        Timing { total: Duration::from_millis(400), attempt: Duration::from_secs(60), ..TIMING };
    let server = Scripted::start(vec![refuse(503, "SlowDown"), vec![Act::Stall]]).await;
    let error = server.store_with(timing).head(&key("k")).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Timeout | ErrorKind::Throttled), "{error}");

    let stalled =
        vec![Act::Send(answer(200, &[ETAG, ("Content-Length", "10")], "abc")), Act::Stall];
    let server = Scripted::start(vec![stalled, say(200, &[ETAG], "abcdefghij")]).await;
    let content = server.store().get(&key("k"), None, &Conditions::NONE).await.unwrap();
    assert_eq!(content.len(), 10);
}

#[tokio::test]
async fn nobody_there_is_a_network_error() {
    let mut server = Scripted::start(vec![]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.address = listener.local_addr().unwrap();
    drop(listener);
    let store = server.store();
    let error = store.head(&key("k")).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::Network, 3), "{error}");
}

#[tokio::test]
async fn what_is_gone_is_deleted() {
    let server = Scripted::start(vec![
        say(204, &[], ""),
        refuse(404, "NoSuchKey"),
        refuse(404, "NoSuchBucket"),
        say(204, &[], ""),
        refuse(404, "NoSuchUpload"),
        say(200, &[], "<html>log in</html>"),
        say(204, &[], ""),
    ])
    .await;
    let store = server.store();
    store.delete(&key("k")).await.unwrap();
    store.delete(&key("k")).await.unwrap();
    assert_eq!(store.delete(&key("k")).await.unwrap_err().kind, ErrorKind::BucketMissing);
    store.abort_upload(&upload()).await.unwrap();
    store.abort_upload(&upload()).await.unwrap();
    store.delete(&key("k")).await.unwrap();
    assert_eq!(server.seen().len(), 7);
}

#[tokio::test]
async fn a_proxy_that_does_not_find_the_service_deletes_nothing() {
    let proxy = || say(404, &[], "default backend - 404");
    let server = Scripted::start(vec![proxy(), say(204, &[], ""), proxy(), proxy(), proxy()]).await;
    let store = server.store();
    store.delete(&key("k")).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    assert_eq!(store.delete(&key("k")).await.unwrap_err().kind, ErrorKind::InvalidAnswer);

    let server = Scripted::start(vec![proxy(); 3]).await;
    assert_eq!(
        server.store().get(&key("k"), None, &Conditions::NONE).await.unwrap_err().kind,
        ErrorKind::InvalidAnswer
    );
    // An answer to HEAD cannot say more.
    let server = Scripted::start(vec![say(404, &[], "")]).await;
    assert_eq!(server.store().head(&key("k")).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_server_that_is_silent_while_it_copies_is_waited_for() {
    let slow = |document| {
        let mut acts = vec![Act::Wait(2 * TIMING.attempt)];
        acts.extend(say(200, &[], document));
        acts
    };
    let server = Scripted::start(vec![
        slow("<CopyObjectResult><ETag>\"abc\"</ETag></CopyObjectResult>"),
        slow("<CopyPartResult><ETag>\"abc\"</ETag></CopyPartResult>"),
    ])
    .await;
    let store = server.store();
    let if_match = Some(ObjectVersion { etag: ETag::new("abc"), size: 11 });
    let options = CopyOptions { if_match, ..CopyOptions::default() };
    assert_eq!(store.copy(&key("a"), &key("b"), &options).await.unwrap().size, 11);
    let range = ByteRange::new(0, 5);
    store
        .copy_part(&upload(), PartNumber::FIRST, &key("a"), range, &Conditions::NONE)
        .await
        .unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn delete_many_names_what_stays() {
    let result = "<DeleteResult><Error><Key>a&amp;b</Key><Code>AccessDenied</Code></Error>\
        <Error><Key>gone</Key><Code>NoSuchKey</Code></Error>\
        <Error><Key>busy</Key><Code>PathConflict</Code></Error></DeleteResult>";
    let server =
        Scripted::start(vec![say(200, &[], result), say(204, &[], ""), say(204, &[], "")]).await;
    let keys = ["a&b", "gone", "busy", "fine", "con\ntrol"].map(key);
    let failed = server.store().delete_many(&keys).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0].0, failed[0].1.kind), (&keys[0], ErrorKind::AccessDenied));
    assert_eq!(server.lines(), ["POST /?delete", "DELETE /busy", "DELETE /con%0Atrol"]);
    let seen = &server.seen()[0];
    let body = String::from_utf8(seen.body.clone()).unwrap();
    assert!(body.contains("<Key>a&amp;b</Key>") && !body.contains("con"), "{body}");
    assert_eq!(seen.header("content-md5").map(str::len), Some(24));
}

#[tokio::test]
async fn an_error_inside_a_copy_counts() {
    let script = vec![
        say(200, &[], "  <Error><Code>InternalError</Code></Error>"),
        say(200, &[], "<CopyObjectResult><ETag>\"abc\"</ETag></CopyObjectResult>"),
        say(200, &[ETAG, MODIFIED, ("Content-Length", "7")], ""),
    ];
    let server = Scripted::start(script).await;
    let version =
        server.store().copy(&key("a b/ü"), &key("to"), &CopyOptions::default()).await.unwrap();
    assert_eq!(version, ObjectVersion { etag: ETag::new("abc"), size: 7 });
    assert_eq!(server.lines(), ["PUT /to", "PUT /to", "HEAD /to"]);
    let seen = &server.seen()[0];
    assert_eq!(seen.header("x-cos-copy-source"), Some("/examplebucket-1250000000/a%20b/%C3%BC"));
    assert_eq!(seen.header("x-cos-metadata-directive"), Some("Copy"));

    let server =
        Scripted::start(vec![say(200, &[], "<Error><Code>AccessDenied</Code></Error>")]).await;
    let version = ObjectVersion { etag: ETag::new("e"), size: 7 };
    let options = CopyOptions {
        replace: Some(PutOptions::default()),
        if_match: Some(version),
        ..CopyOptions::default()
    };
    let error = server.store().copy(&key("k"), &key("k"), &options).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::AccessDenied, 1));
    let seen = &server.seen()[0];
    assert_eq!(seen.header("x-cos-metadata-directive"), Some("Replaced"));
    assert_eq!(seen.header("x-cos-copy-source-if-match"), Some("\"e\""));
}

#[tokio::test]
async fn copied_parts_know_their_size() {
    let copied = "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>";
    let server = Scripted::start(vec![
        say(200, &[("x-cos-hash-crc64ecma", "9")], copied),
        say(200, &[ETAG, MODIFIED, ("Content-Length", "7")], ""),
        say(200, &[], copied),
    ])
    .await;
    let (store, number) = (server.store(), PartNumber::FIRST);
    let range = ByteRange::new(5, 15);
    let receipt =
        store.copy_part(&upload(), number, &key("s"), range, &Conditions::NONE).await.unwrap();
    assert_eq!((receipt.size, receipt.checksum.map(|c| c.value)), (10, Some(9)));
    let receipt =
        store.copy_part(&upload(), number, &key("s"), None, &Conditions::NONE).await.unwrap();
    assert_eq!(receipt.size, 7);
    let seen = server.seen();
    assert_eq!(seen[0].header("x-cos-copy-source-range"), Some("bytes=5-14"));
    assert_eq!(seen[2].header("x-cos-copy-source-if-match"), Some("\"abc\""));
}

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

/// Bytes of a pattern that can be read up to a point.
#[derive(Debug)]
struct Readable {
    len: u64,
    up_to: u64,
}

impl PayloadSource for Readable {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, len: usize) -> std::io::Result<bytes::Bytes> {
        let end = offset + len as u64;
        if end > self.up_to {
            return Err(std::io::Error::other("a broken disk"));
        }
        Ok((offset..end).map(|at| (at % 251) as u8).collect())
    }
}

#[tokio::test]
async fn a_body_that_is_read_while_it_is_sent_is_sent_whole_at_every_attempt() {
    let server = Scripted::start(vec![refuse(503, "SlowDown"), say(200, &[ETAG], "")]).await;
    let body = Payload::from_source(Arc::new(Readable { len: 1_000_001, up_to: u64::MAX }));
    server.store().put_part(&upload(), PartNumber::FIRST, body).await.unwrap();
    let whole: Vec<u8> = (0..1_000_001u64).map(|at| (at % 251) as u8).collect();
    for seen in server.seen() {
        assert_eq!(seen.header("content-length"), Some("1000001"));
        assert_eq!(seen.header("transfer-encoding"), None);
        assert!(seen.body == whole);
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_not_the_fault_of_the_service() {
    for up_to in [0, 700_000] {
        let server = Scripted::start(vec![say(200, &[ETAG], "")]).await;
        let body = Payload::from_source(Arc::new(Readable { len: 1_000_001, up_to }));
        let error = server.store().put_part(&upload(), PartNumber::FIRST, body).await.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::Unreadable, 1), "{error}");
        assert!(error.message.contains("a broken disk"), "{error}");
        assert!(server.seen().is_empty(), "no whole request arrived");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_how_much() {
    let body = "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>";
    let date = "Tue, 14 Nov 1995 22:13:20 GMT";
    let server = Scripted::start(vec![say(403, &[("Date", date)], body)]).await;
    let error = server.store().delete(&key("k")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ClockSkew);
    assert!(error.message.contains(&format!("clock says {date}: this machine's clock is ")));
    assert!(error.message.ends_with(" days ahead"), "{error}");
}
