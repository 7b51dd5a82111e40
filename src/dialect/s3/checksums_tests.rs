//! The kinds of servers, each as a script: what goes out to them, what is learnt, and how an upload ends.

use std::sync::Arc;

use super::*;
use crate::dialect::DialectName;
use crate::dialect::scripted::*;
use crate::store::{
    Conditions, ETag, Key, ObjectStore, ObjectVersion, PartNumber, Payload, PutOptions, Replaces,
    StoreResult, Upload, UploadId,
};

const KIND: ChecksumKind = ChecksumKind::Crc64Nvme;
/// Of `hello world`, as the vendor's library computes it.
const WHOLE: &str = "jSnVw/bqjr4=";
const ECHO: &str = "x-amz-checksum-crc64nvme";

fn key() -> Key {
    Key::new("k").unwrap()
}

fn payload(bytes: &'static [u8]) -> Payload {
    Payload::from(bytes.to_vec()).with_checksum(Some(KIND.of(bytes)))
}

fn of(bytes: &[u8]) -> String {
    text(KIND.of(bytes))
}

fn upload() -> Upload {
    Upload { key: key(), id: UploadId::new("U") }
}

fn store(server: &Scripted) -> Arc<dyn ObjectStore> {
    server.store_as(connection(DialectName::S3, "photos"))
}

async fn put(store: &dyn ObjectStore) -> StoreResult<ObjectVersion> {
    store.put(&key(), payload(b"hello world"), &PutOptions::default()).await
}

const MD5: &str = "XrY7u+Ae7tCTyyK7j1rNww==";

/// Which of the two a request carried.
fn carried(seen: &Seen) -> (bool, bool) {
    (seen.header(ECHO).is_some(), seen.header("content-md5").is_some())
}

fn stored(bytes: Option<&[u8]>) -> Vec<Act> {
    let echo = bytes.map(of).unwrap_or_default();
    let mut headers = vec![("ETag", "\"E\"")];
    if bytes.is_some() {
        headers.push((ECHO, &echo));
    }
    say(200, &headers, "")
}

#[test]
fn values_are_written_as_the_vendor_writes_them() {
    assert_eq!(of(b"hello world"), WHOLE);
    assert_eq!(read(WHOLE).unwrap(), KIND.of(b"hello world"));
    for bad in ["", "x", "AAAA", "jSnVw/bqjr4=-2"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn aws_takes_checksums_and_then_gets_them_alone() {
    let whole = || stored(Some(b"hello world"));
    let server = Scripted::start(vec![whole(), whole(), refuse(400, "InvalidRequest")]).await;
    let store = store(&server);
    put(&*store).await.unwrap();
    put(&*store).await.unwrap();
    // Once offered, a refusal is a refusal.
    let error = put(&*store).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::InvalidRequest, 1));
    let seen = server.seen();
    assert_eq!(seen[0].header(ECHO), Some(WHOLE));
    assert_eq!(seen[0].header("content-md5"), Some(MD5));
    assert_eq!(
        seen.iter().map(carried).collect::<Vec<_>>(),
        [(true, true), (true, false), (true, false)]
    );
    assert!(seen.iter().all(|seen| seen.header("content-encoding").is_none()));
    assert!(seen.iter().all(|s| s.header("x-amz-content-sha256") == Some("UNSIGNED-PAYLOAD")));
}

#[tokio::test]
async fn an_echo_that_differs_is_sent_again() {
    let server = Scripted::start(vec![stored(Some(b"other")), stored(Some(b"hello world"))]).await;
    put(&*store(&server)).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_old_minio_ignores_them_and_gets_the_md5() {
    let server = Scripted::start(vec![stored(None), stored(None)]).await;
    let store = store(&server);
    put(&*store).await.unwrap();
    put(&*store).await.unwrap();
    let carried: Vec<_> = server.seen().iter().map(carried).collect();
    assert_eq!(carried, [(true, true), (false, true)]);
}

#[tokio::test]
async fn garage_and_ceph_refuse_them_and_get_the_md5() {
    for (status, code) in [
        (400, "InvalidRequest"),
        (400, "InvalidDigest"),
        (400, "InvalidArgument"),
        (501, "NotImplemented"),
        (501, ""),
    ] {
        let refused = refuse(status, code);
        let server = Scripted::start(vec![refused.clone(), stored(None), refused]).await;
        let store = store(&server);
        put(&*store).await.unwrap();
        // Another refusal of the kind is about something else.
        let error = put(&*store).await.unwrap_err();
        assert_eq!(error.status, Some(status));
        let carried: Vec<_> = server.seen().iter().take(3).map(carried).collect();
        assert_eq!(carried, [(true, true), (false, true), (false, true)], "{status} {code}");
    }
}

/// A bucket that keeps its objects from being changed takes none without.
#[tokio::test]
async fn directories_and_links_go_with_a_checksum_too() {
    for body in [&b""[..], b"target"] {
        let other = || stored(Some(b"other"));
        let server = Scripted::start(vec![stored(Some(body)), other(), other(), other()]).await;
        let store = store(&server);
        let put =
            async || store.put(&key(), Payload::from(body.to_vec()), &PutOptions::default()).await;
        put().await.unwrap();
        assert_eq!(server.seen()[0].header(ECHO), Some(&*of(body)));
        // And so it is seen when something else was stored.
        assert_eq!(put().await.unwrap_err().kind, ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn refusals_about_other_things_teach_nothing() {
    for (status, code) in [
        (400, "ExpiredToken"),
        (403, "AccessDenied"),
        (400, "EntityTooLarge"),
        (404, "NoSuchBucket"),
    ] {
        let server =
            Scripted::start(vec![refuse(status, code), stored(Some(b"hello world"))]).await;
        let store = store(&server);
        assert_eq!(put(&*store).await.unwrap_err().attempts, 1);
        put(&*store).await.unwrap();
        assert!(server.seen().iter().all(|seen| carried(seen).0), "{status} {code}");
    }
}

/// Two are on their way when the first is refused: the second is made again as well.
#[test]
fn a_late_refusal_is_made_again_too() {
    let checksums = Checksums::default();
    let refusal = Failure {
        status: Some(501),
        ..Failure::new(ErrorKind::InvalidRequest, crate::dialect::failure::Repeat::Never, "")
    };
    assert!(checksums.do_without(Operation::PutPart, &refusal));
    assert!(checksums.do_without(Operation::PutPart, &refusal));
    assert!(!checksums.do_without(Operation::Head, &refusal));
    let offered = Checksums::default();
    let mut headers = HeaderMap::new();
    announce(&mut headers).unwrap();
    offered.learn(Operation::StartUpload, &headers);
    assert!(offered.offered() && !offered.do_without(Operation::PutPart, &refusal));
    // An answer to Initiate without it proves nothing.
    let silent = Checksums::default();
    silent.learn(Operation::StartUpload, &HeaderMap::new());
    assert!(!silent.offered() && !silent.absent());
}

const STARTED: &str =
    "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>";

/// The end of an upload on a server that says nothing of checksums: size and ETag are what there is.
const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>\"e09e4fd6265b36115fe3db32df945d84-2\"</ETag></CompleteMultipartUploadResult>";

fn part(etag: &str, echo: Option<&[u8]>) -> Vec<Act> {
    let (etag, echo_text) = (format!("\"{etag}\""), echo.map(of).unwrap_or_default());
    let mut headers = vec![("ETag", &*etag)];
    if echo.is_some() {
        headers.push((ECHO, &*echo_text));
    }
    say(200, &headers, "")
}

const ETAGS: [&str; 2] = ["f814893777bcc2295fff05f00e508da6", "7d793037a0760186574b0282f2f435e7"];

fn head(etag: &str, echo: Option<&str>) -> Vec<Act> {
    let mut headers = vec![
        ("ETag", etag),
        ("Content-Length", "11"),
        ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ];
    headers.extend(echo.map(|echo| (ECHO, echo)));
    say(200, &headers, "")
}

/// A whole upload of `hello ` and `world`.
async fn upload_over(script: Vec<Vec<Act>>) -> (StoreResult<ObjectVersion>, Vec<Seen>) {
    let server = Scripted::start(script).await;
    let store = store(&server);
    let upload = store.start_upload(&key(), &PutOptions::default()).await.unwrap().upload;
    assert_eq!(upload, self::upload());
    let mut parts = Vec::new();
    for (number, bytes) in [(1, &b"hello "[..]), (2, b"world")] {
        let number = PartNumber::new(number).unwrap();
        let body = Payload::from(bytes.to_vec()).with_checksum(Some(KIND.of(bytes)));
        parts.push(store.put_part(&upload, number, body).await.unwrap());
    }
    let checksum = Some(KIND.of(b"hello world"));
    let expected = Expected { size: 11, checksum, replaces: Replaces::Anything };
    let result = store.complete_upload(&upload, &parts, &expected).await;
    (result, server.seen())
}

fn body(seen: &Seen) -> String {
    String::from_utf8(seen.body.clone()).unwrap()
}

#[tokio::test]
async fn an_upload_to_aws_repeats_its_checksums() {
    let [first, second] = ETAGS;
    let completed = COMPLETED.replace("</ETag>", &format!("</ETag><{ELEMENT}>{WHOLE}</{ELEMENT}>"));
    let begin = || {
        vec![
            say(200, &[("x-amz-checksum-algorithm", "CRC64NVME")], STARTED),
            part(first, Some(b"hello ")),
            part(second, Some(b"world")),
        ]
    };
    let (result, seen) = upload_over([begin(), vec![say(200, &[], &completed)]].concat()).await;
    assert_eq!(result.unwrap().size, 11);
    assert_eq!(seen[0].header("x-amz-checksum-algorithm"), Some("CRC64NVME"));
    assert_eq!(seen[0].header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    // Initiate confirmed them, so the MD5 is not needed from the first part on.
    assert_eq!([carried(&seen[1]), carried(&seen[2])], [(true, false); 2]);
    assert_eq!(seen[3].header(ECHO), Some(WHOLE));
    assert_eq!(seen[3].header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    let (hello, world) = (of(b"hello "), of(b"world"));
    assert_eq!(
        body(&seen[3]),
        format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;{first}&quot;</ETag><{ELEMENT}>{hello}</{ELEMENT}></Part>\
             <Part><PartNumber>2</PartNumber><ETag>&quot;{second}&quot;</ETag><{ELEMENT}>{world}</{ELEMENT}></Part></CompleteMultipartUpload>"
        )
    );

    // Another checksum than that of the parts is never success.
    let wrong = completed.replace(WHOLE, &of(b"other"));
    let (result, _) = upload_over([begin(), vec![say(200, &[], &wrong)]].concat()).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::Corrupt);
    // A lost answer: the object proves itself by its checksum, which comes before the ETag.
    for (etag, echo, good) in [
        ("\"x\"", Some(WHOLE), true),
        ("\"e09e4fd6265b36115fe3db32df945d84-2\"", Some("AAAAAAAAAAA="), false),
    ] {
        let end = vec![refuse(404, "NoSuchUpload"), head(etag, echo)];
        let (result, _) = upload_over([begin(), end].concat()).await;
        assert_eq!(result.is_ok(), good, "{etag} {result:?}");
    }
}

#[tokio::test]
async fn an_upload_to_others_has_none_to_its_end() {
    let [first, second] = ETAGS;
    let ignored = vec![say(200, &[], STARTED), part(first, None), part(second, None)];
    let refused = |status, code| {
        vec![refuse(status, code), say(200, &[], STARTED), part(first, None), part(second, None)]
    };
    for begin in [ignored, refused(400, "InvalidRequest"), refused(501, "NotImplemented")] {
        let completed = say(200, &[], COMPLETED);
        let etag = "\"e09e4fd6265b36115fe3db32df945d84-2\"";
        let end = vec![completed, head(etag, None)];
        let (result, seen) = upload_over([begin.clone(), end].concat()).await;
        assert_eq!(result.unwrap().size, 11);
        let complete = &seen[begin.len()];
        assert!(!body(complete).contains("Checksum"), "{}", body(complete));
        assert_eq!(complete.header(ECHO), None);
        assert_eq!(complete.header("x-amz-checksum-type"), None);
        // Every part was protected by its MD5.
        let parts = &seen[begin.len() - 2..begin.len()];
        assert!(parts.iter().all(|part| part.header("content-md5").is_some()));

        // A lost answer: the ETag of MD5s is the proof; another object there is none.
        for (etag, good) in [(etag, true), ("\"0123\"", false)] {
            let end = vec![refuse(404, "NoSuchUpload"), head(etag, None)];
            let (result, _) = upload_over([begin.clone(), end].concat()).await;
            assert_eq!(result.is_ok(), good, "{etag} {result:?}");
        }
    }
}

/// A part that was copied tells its checksum in the document, and parts found by a listing theirs.
#[tokio::test]
async fn copied_and_listed_parts_tell_theirs() {
    let echo = of(b"hello ");
    let copied = format!(
        "<CopyPartResult><ETag>\"{}\"</ETag><{ELEMENT}>{echo}</{ELEMENT}></CopyPartResult>",
        ETAGS[0]
    );
    let listed = format!(
        "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><ETag>\"A\"</ETag><Size>6</Size><{ELEMENT}>{echo}</{ELEMENT}></Part>\
         <Part><PartNumber>2</PartNumber><ETag>\"B\"</ETag><Size>5</Size></Part></ListPartsResult>"
    );
    let server = Scripted::start(vec![say(200, &[], &copied), say(200, &[], &listed)]).await;
    let store = store(&server);
    let (from, range) = (Key::new("from").unwrap(), crate::store::ByteRange::new(0, 6));
    let receipt = store
        .copy_part(&upload(), PartNumber::FIRST, &from, range, &Conditions::NONE)
        .await
        .unwrap();
    assert_eq!(receipt.checksum, Some(KIND.of(b"hello ")));
    assert_eq!(server.seen()[0].header("x-amz-copy-source-range"), Some("bytes=0-5"));
    let page = store.list_parts(&upload(), None).await.unwrap();
    assert_eq!(page.parts[0].checksum, Some(KIND.of(b"hello ")));
    assert_eq!(page.parts[1].checksum, None);
    // The one without spoils the whole, but not the other.
    let mut headers = HeaderMap::new();
    let whole = Some(KIND.of(b"hello world"));
    let expected = Expected { size: 11, checksum: whole, replaces: Replaces::Anything };
    set_whole(&mut headers, &page.parts, &expected).unwrap();
    assert!(headers.is_empty());
    let mut document = String::new();
    page.parts.iter().for_each(|part| write_part(part, &mut document));
    assert_eq!(document, format!("<{ELEMENT}>{echo}</{ELEMENT}>"));
    assert_eq!(page.parts[0].etag, ETag::new("A"));
}
