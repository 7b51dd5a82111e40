//! Answers that never came: when the object is looked at, and what it has to prove.

use std::time::Duration;

use super::*;
use crate::dialect::Timing;
use crate::dialect::scripted::*;
use crate::store::{
    Checksum, CopyOptions, ETag, ObjectVersion, PartNumber, PutOptions, Replaces, UploadId,
};

const CONTENT: &[u8] = b"hello world";
const CRC: u64 = 5981764153023615706;
const GOOD: &str = "<?xml version=\"1.0\"?>\n<CompleteMultipartUploadResult xmlns=\"u\"><ETag>&quot;e-2&quot;</ETag></CompleteMultipartUploadResult>";

fn upload() -> Upload {
    Upload { key: Key::new("k").unwrap(), id: UploadId::new("U1") }
}

fn parts() -> Vec<PartReceipt> {
    let part = |number, size| PartReceipt {
        number: PartNumber::new(number).unwrap(),
        etag: ETag::new(&format!("p{number}")),
        size,
        checksum: None,
    };
    vec![part(1, 6), part(2, 5)]
}

fn expected() -> Expected {
    let checksum = Checksum { kind: ChecksumKind::Crc64Xz, value: CRC };
    Expected { size: CONTENT.len() as u64, checksum: Some(checksum), replaces: Replaces::Anything }
}

fn head(size: u64, crc: Option<u64>) -> Vec<Act> {
    head_with(size, crc, &[])
}

fn head_with(size: u64, crc: Option<u64>, more: &[(&'static str, &'static str)]) -> Vec<Act> {
    let (size, crc_text) = (size.to_string(), crc.unwrap_or(0).to_string());
    let mut headers = vec![
        ("ETag", "\"found\""),
        ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("Content-Length", &*size),
    ];
    if crc.is_some() {
        headers.push(("x-cos-hash-crc64ecma", &*crc_text));
    }
    headers.extend(more);
    say(200, &headers, "")
}

/// The answer to List Parts of an upload that is no more.
fn ended() -> Vec<Act> {
    refuse(404, "NoSuchUpload")
}

/// The answer to List Parts of an upload in progress.
fn in_progress() -> Vec<Act> {
    say(200, &[], "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>")
}

fn good() -> Vec<Act> {
    say(200, &[("x-cos-hash-crc64ecma", &CRC.to_string())], GOOD)
}

/// An answer that begins with blanks, one at a time, slower in all than the idle time.
fn blanks_then(end: Option<&str>) -> Vec<Act> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nx-cos-hash-crc64ecma: {CRC}\r\n\r\n"
    );
    let mut acts = vec![Act::Send(head.into_bytes())];
    for _ in 0..10 {
        acts.push(Act::Wait(Duration::from_millis(50)));
        acts.push(Act::Send(b"1\r\n \r\n".to_vec()));
    }
    if let Some(end) = end {
        acts.push(Act::Send(format!("{:x}\r\n{end}\r\n0\r\n\r\n", end.len()).into_bytes()));
    }
    acts
}

async fn complete(
    script: Vec<Vec<Act>>,
    expected: Expected,
) -> (StoreResult<ObjectVersion>, Vec<String>) {
    complete_within(TIMING.complete, script, expected).await
}

async fn complete_within(
    complete: Duration,
    script: Vec<Vec<Act>>,
    expected: Expected,
) -> (StoreResult<ObjectVersion>, Vec<String>) {
    let server = Scripted::start(script).await;
    let store = server.store_with(Timing { complete, ..TIMING });
    let result = store.complete_upload(&upload(), &parts(), &expected).await;
    let methods = server.seen().iter().map(|seen| seen.method.clone()).collect();
    (result, methods)
}

#[tokio::test]
async fn the_checksum_in_the_answer_is_enough() {
    let server = Scripted::start(vec![good()]).await;
    let result = server.store().complete_upload(&upload(), &parts(), &expected()).await;
    assert_eq!(result.unwrap(), ObjectVersion { etag: ETag::new("e-2"), size: 11 });
    let seen = &server.seen()[0];
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/k?uploadId=U1"));
    assert_eq!(
        String::from_utf8(seen.body.clone()).unwrap(),
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;p1&quot;</ETag></Part>\
         <Part><PartNumber>2</PartNumber><ETag>&quot;p2&quot;</ETag></Part></CompleteMultipartUpload>"
    );
}

#[tokio::test]
async fn without_a_checksum_in_the_answer_the_object_is_asked() {
    let plain = || say(200, &[], GOOD);
    let (result, methods) = complete(vec![plain(), head(11, Some(CRC))], expected()).await;
    assert!(result.is_ok());
    assert_eq!(methods, ["POST", "HEAD"]);
    // An old object among the sources of the parts: no checksum anywhere, only the size.
    let unknown = Expected { checksum: None, ..expected() };
    assert!(complete(vec![plain(), head(11, None)], unknown.clone()).await.0.is_ok());
    for (wrong, expected) in [
        (head(11, Some(1)), expected()),
        (head(10, Some(CRC)), expected()),
        (head(10, None), unknown),
        (say(404, &[], ""), expected()),
    ] {
        let (result, _) = complete(vec![plain(), wrong], expected).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::Corrupt, 1), "{error}");
    }
}

#[tokio::test]
async fn a_completed_object_with_another_checksum_is_corrupt() {
    let wrong = say(200, &[("x-cos-hash-crc64ecma", "1")], GOOD);
    let (result, methods) = complete(vec![wrong], expected()).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::Corrupt);
    assert_eq!(methods, ["POST"]);
}

#[tokio::test]
async fn blanks_keep_the_answer_alive_until_the_document() {
    let (result, methods) = complete(vec![blanks_then(Some(GOOD))], expected()).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(methods, ["POST"]);
}

#[tokio::test]
async fn blanks_do_not_feed_the_deadline() {
    let script = vec![blanks_then(None), head(3, None)];
    let within = Duration::from_millis(250);
    let (result, methods) = complete_within(within, script, expected()).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::Timeout);
    assert_eq!(methods[0], "POST");
}

#[tokio::test]
async fn an_answer_cut_off_by_the_deadline_is_looked_after() {
    let script = || vec![blanks_then(None), head(11, Some(CRC))];
    let within = Duration::from_millis(250);
    let after = |end| [script(), vec![end]].concat();
    let (result, methods) = complete_within(within, after(ended()), expected()).await;
    assert_eq!(result.unwrap().etag, ETag::new("found"));
    assert_eq!(methods, ["POST", "HEAD", "GET"]);
    let (result, _) = complete_within(within, after(in_progress()), expected()).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::Timeout);
}

#[tokio::test]
async fn an_error_behind_blanks_is_an_error() {
    let internal = "<?xml version='1.0'?><Error><Code>InternalError</Code></Error>";
    let script = vec![blanks_then(Some(internal)), head(3, None), good()];
    let (result, methods) = complete(script, expected()).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(methods, ["POST", "HEAD", "POST"]);

    let denied = "<Error><Code>InvalidPart</Code></Error>";
    let (result, methods) = complete(vec![blanks_then(Some(denied))], expected()).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::InvalidPart);
    assert_eq!(methods, ["POST"]);
}

#[tokio::test]
async fn blanks_and_then_nothing_is_a_lost_answer() {
    let script = vec![blanks_then(None), head(11, Some(CRC)), ended()];
    let (result, methods) = complete(script, expected()).await;
    assert_eq!(result.unwrap().etag, ETag::new("found"));
    assert_eq!(methods, ["POST", "HEAD", "GET"]);
}

#[tokio::test]
async fn lost_answers_are_resolved_by_the_object() {
    for lost in [
        vec![],
        vec![Act::Stall],
        refuse(500, "InternalError"),
        refuse(503, "ServiceUnavailable"),
        say(200, &[], "<html>log in</html>"),
        say(200, &[], ""),
        say(200, &[], &GOOD[..60]),
    ] {
        let script = vec![lost.clone(), head(11, Some(CRC)), ended()];
        let (result, methods) = complete(script, expected()).await;
        assert_eq!(result.unwrap().etag, ETag::new("found"), "{lost:?}");
        assert_eq!(methods, ["POST", "HEAD", "GET"]);
    }
    // That it is gone has been said already.
    let script = vec![refuse(404, "NoSuchUpload"), head(11, Some(CRC))];
    assert_eq!(complete(script, expected()).await.0.unwrap().etag, ETag::new("found"));
}

#[tokio::test]
async fn an_older_object_at_the_key_proves_nothing() {
    // Aborted behind our back; the old object has the same size, or no checksum to compare.
    for old in [head(11, Some(1)), head(5, Some(CRC)), head(11, None), say(404, &[], "")] {
        let (result, methods) = complete(vec![refuse(404, "NoSuchUpload"), old], expected()).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::NoSuchUpload, 1));
        assert_eq!(methods, ["POST", "HEAD"]);
    }
    let unknown = Expected { checksum: None, ..expected() };
    let script = vec![refuse(404, "NoSuchUpload"), head(11, Some(CRC))];
    assert_eq!(complete(script, unknown).await.0.unwrap_err().kind, ErrorKind::NoSuchUpload);
}

/// Ranges of other objects have no checksum that anybody knows beforehand.
#[tokio::test]
async fn what_the_parts_were_confirmed_as_proves_the_whole() {
    let unknown = Expected { checksum: None, ..expected() };
    let kind = ChecksumKind::Crc64Xz;
    let confirmed = |sums: [Option<Checksum>; 2]| {
        let parts = parts().into_iter().zip(sums);
        parts.map(|(part, checksum)| PartReceipt { checksum, ..part }).collect::<Vec<_>>()
    };
    let both = confirmed([Some(kind.of(b"hello ")), Some(kind.of(b"world"))]);
    let swapped = confirmed([Some(kind.of(b"hello ")), Some(kind.of(b"words"))]);
    let one = confirmed([Some(kind.of(b"hello ")), None]);
    for (parts, lost, outcome) in [
        (&both, true, Ok(())),
        (&swapped, true, Err(ErrorKind::NoSuchUpload)),
        (&one, true, Err(ErrorKind::NoSuchUpload)),
        (&both, false, Ok(())),
        (&swapped, false, Err(ErrorKind::Corrupt)),
        (&one, false, Ok(())),
    ] {
        let answer = if lost { refuse(404, "NoSuchUpload") } else { good() };
        let server = Scripted::start(vec![answer, head(11, Some(CRC))]).await;
        let result = server.store_with(TIMING).complete_upload(&upload(), parts, &unknown).await;
        assert_eq!(result.map(drop).map_err(|error| error.kind), outcome, "{parts:?} {lost}");
    }
}

#[tokio::test]
async fn an_upload_that_is_still_being_put_together_is_waited_for() {
    let script = vec![
        vec![],
        head(3, Some(1)),
        refuse(404, "NoSuchUpload"),
        head(3, Some(1)),
        refuse(404, "NoSuchUpload"),
        head(11, Some(CRC)),
    ];
    let (result, methods) = complete(script, expected()).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(methods, ["POST", "HEAD", "POST", "HEAD", "POST", "HEAD"]);
}

#[tokio::test]
async fn refusals_end_a_complete_at_once() {
    for (status, code, kind) in [
        (400, "EntityTooSmall", ErrorKind::InvalidPart),
        (400, "InvalidPartOrder", ErrorKind::InvalidPart),
        (403, "AccessDenied", ErrorKind::AccessDenied),
        (409, "FileAlreadyExists", ErrorKind::AlreadyExists),
    ] {
        let (result, methods) = complete(vec![refuse(status, code)], expected()).await;
        assert_eq!(result.unwrap_err().kind, kind);
        assert_eq!(methods, ["POST"]);
    }
}

#[tokio::test]
async fn bytes_that_are_refused_are_not_offered_for_minutes() {
    let refused = || refuse(400, "BadDigest");
    let (result, lines) = complete(vec![refused(), refused(), refused(), good()], expected()).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::Corrupt);
    assert_eq!(lines.len(), 3);
    let (result, lines) = complete(vec![refused(), good()], expected()).await;
    assert!(result.is_ok(), "the request was damaged on its way");
    assert_eq!(lines.len(), 2);
}

/// A file that is written again with the same bytes: what is found is the old object, and the new one, with
/// its other properties, is still to come.
#[tokio::test]
async fn an_older_object_of_the_same_bytes_is_not_the_completed_one() {
    let failed = || refuse(500, "InternalError");
    let script = vec![failed(), head(11, Some(CRC)), in_progress(), good()];
    let (result, methods) = complete(script, expected()).await;
    assert_eq!(result.unwrap().etag, ETag::new("e-2"));
    assert_eq!(methods, ["POST", "HEAD", "GET", "POST"]);
    let (result, methods) =
        complete(vec![failed(), head(11, Some(CRC)), ended()], expected()).await;
    assert_eq!(result.unwrap().etag, ETag::new("found"));
    assert_eq!(methods, ["POST", "HEAD", "GET"]);
}

#[tokio::test]
async fn throttling_is_no_doubt() {
    let (result, methods) = complete(vec![refuse(503, "SlowDown"), good()], expected()).await;
    assert!(result.is_ok());
    assert_eq!(methods, ["POST", "POST"]);
}

async fn create(script: Vec<Vec<Act>>) -> (StoreResult<ObjectVersion>, Vec<String>) {
    let server = Scripted::start(script).await;
    let options = PutOptions { replaces: Replaces::Nothing, ..PutOptions::default() };
    let payload = Payload::from(CONTENT.to_vec());
    let result = server.store().put(&Key::new("k").unwrap(), payload, &options).await;
    let seen = server.seen();
    assert_eq!(seen[0].header("x-cos-forbid-overwrite"), Some("true"));
    (result, seen.iter().map(|seen| seen.method.clone()).collect())
}

#[tokio::test]
async fn create_only_meets_its_own_object_after_a_lost_answer() {
    let exists = || refuse(409, "FileAlreadyExists");
    let (result, methods) = create(vec![vec![], exists(), head(11, Some(CRC))]).await;
    assert_eq!(result.unwrap().etag, ETag::new("found"));
    assert_eq!(methods, ["PUT", "PUT", "HEAD"]);

    let (result, _) = create(vec![vec![], exists(), head(11, Some(1))]).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::AlreadyExists);

    let (result, methods) = create(vec![exists()]).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::AlreadyExists);
    assert_eq!(methods, ["PUT"]);
}

/// Two mounts make the same lock: the one whose request never arrived must not believe that it has it.
#[tokio::test]
async fn equal_bytes_of_another_mount_are_not_ours() {
    for (mtime, ours) in [("7.5", true), ("7.6", false)] {
        let found = head_with(0, Some(0), &[("x-cos-meta-mtime", mtime)]);
        let server = Scripted::start(vec![vec![], refuse(409, "FileAlreadyExists"), found]).await;
        let options = PutOptions {
            replaces: Replaces::Nothing,
            metadata: Metadata::from_iter([("mtime", "7.5")]),
            ..PutOptions::default()
        };
        let key = Key::new("lock").unwrap();
        let made = server.store().put(&key, Payload::default(), &options).await;
        match made {
            Ok(version) => assert_eq!((version.size, ours), (0, true)),
            Err(error) => assert_eq!((error.kind, ours), (ErrorKind::AlreadyExists, false)),
        }
    }
}

/// A copy may have another ETag than its source: then the repeat of one that worked is refused.
#[tokio::test]
async fn a_copy_onto_itself_meets_itself_after_a_lost_answer() {
    let stale = || refuse(412, "PreconditionFailed");
    for (mode, lost, good) in
        [("33152", true, true), ("33188", true, false), ("33152", false, false)]
    {
        let found = head_with(11, Some(CRC), &[("x-cos-meta-mode", mode)]);
        let script =
            if lost { vec![vec![], stale(), found.clone(), found] } else { vec![stale(), found] };
        let server = Scripted::start(script).await;
        let replace = PutOptions {
            metadata: Metadata::from_iter([("mode", "33152")]),
            ..PutOptions::default()
        };
        let options = CopyOptions {
            if_match: Some(ObjectVersion { etag: ETag::new("old-2"), size: 11 }),
            replace: Some(replace),
            ..CopyOptions::default()
        };
        let key = Key::new("k").unwrap();
        match server.store().copy(&key, &key, &options).await {
            Ok(version) => assert_eq!((version.etag, good), (ETag::new("found"), true)),
            Err(error) => assert_eq!((error.kind, good), (ErrorKind::PreconditionFailed, false)),
        }
    }
}
