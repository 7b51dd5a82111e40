//! Copies of objects and of ranges.

use super::*;

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
