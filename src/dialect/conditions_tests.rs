//! Conditions through the client, on all four services: how they are sent, and what answers mean that
//! servers give or should not give.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::dialect::scripted::*;
use crate::dialect::{Connection, Credentials, DialectName};
use crate::store::{
    ByteRange, Conditions, CopyOptions, ETag, ErrorKind, Key, ObjectStore, ObjectVersion,
    PartNumber, Upload, UploadId,
};

const NAMES: [(DialectName, &str); 4] = [
    (DialectName::Cos, "x-cos-"),
    (DialectName::Oss, "x-oss-"),
    (DialectName::Qingstor, "x-qs-"),
    (DialectName::S3, "x-amz-"),
];
const FIRST: PartNumber = PartNumber::FIRST;
const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const LATER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";

fn store(server: &Scripted, name: DialectName) -> Arc<dyn ObjectStore> {
    let bucket = if name == DialectName::Cos { "photos-1250000000" } else { "photos" };
    server.store_as(Connection {
        region: Some("region-1".to_owned()),
        credentials: Credentials::new("AKIDEXAMPLE", SECRET).into(),
        ..connection(name, bucket)
    })
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn upload() -> Upload {
    Upload { key: key("k"), id: UploadId::new("U1") }
}

/// [`DATE`], and a part of a second.
fn moment() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900)
}

/// An object as HEAD shows it, or GET of the whole.
fn object(etag: &str, modified: &str) -> Vec<Act> {
    let headers = [("ETag", etag), ("Last-Modified", modified), ("Content-Length", "0")];
    say(200, &headers, "")
}

fn not_modified() -> Vec<Act> {
    vec![Act::Send(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_vec())]
}

/// The conditions that a request had, behind the prefix of their names.
fn sent(seen: &Seen, prefix: &str) -> Vec<(String, String)> {
    let of = |(name, value): &(String, String)| {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix(prefix).filter(|name| name.starts_with("if-"))?;
        Some((name.to_owned(), value.clone()))
    };
    let mut sent: Vec<_> = seen.headers.iter().filter_map(of).collect();
    sent.sort();
    sent
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn all() -> Conditions {
    Conditions {
        if_match: Some(ETag::new("a")),
        if_none_match: Some(ETag::new("b")),
        if_modified_since: Some(moment()),
        if_unmodified_since: Some(moment()),
    }
}

fn all_sent() -> Vec<(String, String)> {
    pairs(&[
        ("if-match", "\"a\""),
        ("if-modified-since", DATE),
        ("if-none-match", "\"b\""),
        ("if-unmodified-since", DATE),
    ])
}

#[tokio::test]
async fn all_four_are_sent_in_whole_seconds_and_behind_the_prefix_of_the_service() {
    for (name, prefix) in NAMES {
        let server = Scripted::start(vec![refuse(412, "PreconditionFailed"); 4]).await;
        let (store, of_source) = (store(&server, name), format!("{prefix}copy-source-"));
        let failed = ErrorKind::PreconditionFailed;
        assert_eq!(store.head_if(&key("k"), &all()).await.unwrap_err().kind, failed);
        let range = ByteRange::new(0, 1);
        assert_eq!(store.get(&key("k"), range, &all()).await.unwrap_err().kind, failed);
        let options = CopyOptions {
            if_match: Some(ObjectVersion { etag: ETag::new("a"), size: 1 }),
            if_none_match: all().if_none_match,
            if_modified_since: all().if_modified_since,
            if_unmodified_since: all().if_unmodified_since,
            ..CopyOptions::default()
        };
        let copied = store.copy(&key("from"), &key("k"), &options).await;
        assert_eq!(copied.unwrap_err().kind, failed);
        // COS takes two of a part copy at most.
        let (asked, expected) = match name {
            DialectName::Cos => (
                Conditions { if_match: None, if_unmodified_since: None, ..all() },
                pairs(&[("if-modified-since", DATE), ("if-none-match", "\"b\"")]),
            ),
            _ => (all(), all_sent()),
        };
        let part = store.copy_part(&upload(), FIRST, &key("from"), range, &asked).await;
        assert_eq!(part.unwrap_err().kind, failed);
        let seen = server.seen();
        assert_eq!(seen.len(), 4, "{name:?}: a condition that fails is no reason to ask again");
        for (at, prefix) in [(0, ""), (1, ""), (2, &*of_source)] {
            assert_eq!(sent(&seen[at], prefix), all_sent(), "{name:?} {at}");
        }
        assert_eq!(sent(&seen[3], &of_source), expected, "{name:?}");
        assert!(seen[2..].iter().all(|seen| sent(seen, "").is_empty()), "{name:?}");
    }
}

#[tokio::test]
async fn what_was_not_modified_is_no_redirection() {
    let news = Conditions { if_none_match: Some(ETag::new("b")), ..Conditions::NONE };
    let since = Conditions { if_modified_since: Some(moment()), ..Conditions::NONE };
    for (name, _) in NAMES {
        let server = Scripted::start(vec![not_modified(); 4]).await;
        let store = store(&server, name);
        for conditions in [&news, &since] {
            let error = store.head_if(&key("k"), conditions).await.unwrap_err();
            assert_eq!((error.kind, error.attempts), (ErrorKind::NotModified, 1), "{name:?}");
            let error = store.get(&key("k"), None, conditions).await.unwrap_err();
            assert_eq!((error.kind, error.attempts), (ErrorKind::NotModified, 1), "{name:?}");
        }
    }
}

/// OSS says 304 of the source of a copy; to the caller it is as elsewhere.
#[tokio::test]
async fn a_source_that_was_not_modified_fails_the_copy() {
    let server = Scripted::start(vec![not_modified(); 2]).await;
    let store = store(&server, DialectName::Oss);
    let options = CopyOptions { if_modified_since: Some(moment()), ..CopyOptions::default() };
    let error = store.copy(&key("from"), &key("k"), &options).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::PreconditionFailed, 1));
    let news = Conditions { if_none_match: Some(ETag::new("b")), ..Conditions::NONE };
    let part = store.copy_part(&upload(), FIRST, &key("from"), ByteRange::new(0, 1), &news).await;
    assert_eq!(part.unwrap_err().kind, ErrorKind::PreconditionFailed);
}

#[tokio::test]
async fn not_modified_is_no_answer_to_who_did_not_ask() {
    let server = Scripted::start(vec![not_modified(); 9]).await;
    let store = server.store();
    let unasked = [Conditions::NONE, Conditions::matching(&ETag::new("a"))];
    for conditions in unasked {
        let error = store.get(&key("k"), None, &conditions).await.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::InvalidAnswer, 3));
    }
    let error = store.copy(&key("a"), &key("k"), &CopyOptions::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidAnswer);
}

#[tokio::test]
async fn a_server_that_does_not_look_at_conditions_is_looked_after() {
    let of = |conditions: &Conditions, etag: &'static str, modified: &'static str| {
        let conditions = conditions.clone();
        async move {
            let server = Scripted::start(vec![object(etag, modified); 2]).await;
            let store = server.store();
            let head = store.head_if(&key("k"), &conditions).await.err().map(|error| error.kind);
            let get = store.get(&key("k"), None, &conditions).await.err().map(|error| error.kind);
            assert_eq!(head, get);
            assert_eq!(server.seen().len(), 2);
            head
        }
    };
    let matching = Conditions::matching(&ETag::new("a"));
    assert_eq!(of(&matching, "\"a\"", DATE).await, None);
    assert_eq!(of(&matching, "\"b\"", DATE).await, Some(ErrorKind::PreconditionFailed));
    let news = Conditions { if_none_match: Some(ETag::new("a")), ..Conditions::NONE };
    assert_eq!(of(&news, "\"b\"", DATE).await, None);
    assert_eq!(of(&news, "\"a\"", DATE).await, Some(ErrorKind::NotModified));
    let since = Conditions { if_modified_since: Some(moment()), ..Conditions::NONE };
    assert_eq!(of(&since, "\"a\"", LATER).await, None);
    assert_eq!(of(&since, "\"a\"", DATE).await, Some(ErrorKind::NotModified));
    let until = Conditions { if_unmodified_since: Some(moment()), ..Conditions::NONE };
    assert_eq!(of(&until, "\"a\"", DATE).await, None);
    assert_eq!(of(&until, "\"a\"", LATER).await, Some(ErrorKind::PreconditionFailed));
}

/// The size of a whole source is asked for first, and so are the conditions; what is copied is that version.
#[tokio::test]
async fn a_part_of_a_whole_object_is_the_version_for_which_the_conditions_held() {
    let part = say(200, &[], "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>");
    let server = Scripted::start(vec![object("\"a\"", DATE), part, not_modified()]).await;
    let store = store(&server, DialectName::Cos);
    let asked = Conditions { if_modified_since: None, ..all() };
    store.copy_part(&upload(), FIRST, &key("from"), None, &asked).await.unwrap();
    let seen = server.seen();
    let both = [("if-match", "\"a\""), ("if-none-match", "\"b\""), ("if-unmodified-since", DATE)];
    assert_eq!((&*seen[0].method, sent(&seen[0], "")), ("HEAD", pairs(&both)));
    let version = pairs(&[("if-match", "\"a\"")]);
    assert_eq!(sent(&seen[1], "x-cos-copy-source-"), version);
    let news = Conditions { if_none_match: Some(ETag::new("b")), ..Conditions::NONE };
    let part = store.copy_part(&upload(), FIRST, &key("from"), None, &news).await;
    assert_eq!(part.unwrap_err().kind, ErrorKind::PreconditionFailed);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_sent_without() {
    let server = Scripted::start(Vec::new()).await;
    let cos = store(&server, DialectName::Cos);
    let range = ByteRange::new(0, 1);
    let part = cos.copy_part(&upload(), FIRST, &key("from"), range, &all()).await;
    assert_eq!(part.unwrap_err().kind, ErrorKind::InvalidRequest);
    for (name, _) in NAMES {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        let since = Conditions { if_modified_since: Some(before), ..Conditions::NONE };
        let error = store(&server, name).head_if(&key("k"), &since).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidRequest, "{name:?}");
    }
    assert!(server.seen().is_empty());
}
