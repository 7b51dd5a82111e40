//! What is believed of answers to GET and HEAD.

use super::*;

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
            ("x-cos-version-id", "MTg0NDUxNTc1NjIzMTQ1MDAwODg"),
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
    assert_eq!(info.version_id.as_deref(), Some("MTg0NDUxNTc1NjIzMTQ1MDAwODg"));

    let server = Scripted::start(vec![no_etag; 5]).await;
    assert_eq!(server.store().head(&key("k")).await.unwrap_err().kind, ErrorKind::InvalidAnswer);
    let server = Scripted::start(vec![say(404, &[("Content-Length", "100")], "")]).await;
    assert_eq!(server.store().head(&key("k")).await.unwrap_err().kind, ErrorKind::NotFound);
}
