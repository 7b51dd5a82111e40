//! What is sent by PUT and Upload Part, and what the answers must say.

use super::*;

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
