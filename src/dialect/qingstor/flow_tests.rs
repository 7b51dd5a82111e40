//! QingStor through the client, over scripted answers: what is sent, what is proved without checksums,
//! and what becomes of answers that are lost.

use std::sync::Arc;

use crate::dialect::scripted::*;
use crate::store::{
    ETag, ErrorKind, Expected, Key, ListRequest, ObjectStore, ObjectVersion, PartNumber,
    PartReceipt, Payload, PutOptions, Replaces, StoreResult, Upload, UploadId,
};

pub(super) const CONTENT: &[u8] = b"hello world";
/// MD5 of that.
const MD5: &str = "5eb63bbbe01eeed093cb22bb8f5acdc3";
pub(super) const MODIFIED: (&str, &str) = ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT");

pub(super) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn upload() -> Upload {
    Upload { key: key("k"), id: UploadId::new("U1") }
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

/// The ETag that Complete gives to the object of [`parts`].
pub(super) fn ours() -> ETag {
    super::etag_of(&upload(), &parts())
}

fn expected() -> Expected {
    Expected { size: CONTENT.len() as u64, checksum: None, replaces: Replaces::Anything }
}

pub(super) fn head(size: u64, etag: &ETag) -> Vec<Act> {
    let size = size.to_string();
    say(200, &[("ETag", &etag.quoted()), MODIFIED, ("Content-Length", &size)], "")
}

pub(super) fn refuse(status: u16, code: &str) -> Vec<Act> {
    say(status, &[], &format!(r#"{{"code": "{code}", "message": "m", "request_id": "r"}}"#))
}

pub(super) fn created(headers: &[(&str, &str)]) -> Vec<Act> {
    say(201, headers, "")
}

pub(super) async fn start(script: Vec<Vec<Act>>) -> (Scripted, Arc<dyn ObjectStore>) {
    let server = Scripted::start(script).await;
    let store = server.qingstor();
    (server, store)
}

async fn complete(script: Vec<Vec<Act>>) -> (StoreResult<ObjectVersion>, Vec<String>) {
    let (server, store) = start(script).await;
    let result = store.complete_upload(&upload(), &parts(), &expected()).await;
    (result, server.seen().iter().map(|seen| seen.method.clone()).collect())
}

#[tokio::test]
async fn content_goes_with_its_md5_and_comes_back_as_etag() {
    let quoted = format!("\"{MD5}\"");
    let wrong = created(&[("ETag", "\"5eb63bbbe01eeed093cb22bb8f5acdc4\"")]);
    let (server, store) = start(vec![wrong, created(&[("ETag", &quoted)])]).await;
    let version =
        store.put(&key("a b"), Payload::from(CONTENT.to_vec()), &PutOptions::default()).await;
    assert_eq!(version.unwrap(), ObjectVersion { etag: ETag::new(MD5), size: 11 });
    let seen = &server.seen();
    assert_eq!(seen.len(), 2, "what was stored wrongly is sent again");
    for seen in seen {
        assert_eq!((&*seen.method, &*seen.target), ("PUT", "/examplebucket/a%20b"));
        assert_eq!(seen.header("content-md5"), Some("XrY7u+Ae7tCTyyK7j1rNww=="));
        assert!(seen.header("authorization").unwrap().starts_with("QS AKIDEXAMPLE:"));
        assert!(seen.header("date").is_some() && seen.header("x-qs-date").is_none());
    }
}

#[tokio::test]
async fn parts_and_appended_bytes_go_with_their_md5() {
    let etag = format!("\"{MD5}\"");
    let script = vec![
        created(&[("ETag", &etag)]),
        say(200, &[("x-qs-next-append-position", "11"), ("ETag", "\"a\"")], ""),
    ];
    let (server, store) = start(script).await;
    let payload = || Payload::from(CONTENT.to_vec());
    let receipt = store.put_part(&upload(), PartNumber::FIRST, payload()).await.unwrap();
    assert_eq!((receipt.etag, receipt.size), (ETag::new(MD5), 11));
    let appended = store.append(&key("k"), 0, payload(), &PutOptions::default()).await.unwrap();
    assert_eq!(appended.version, ObjectVersion { etag: ETag::new("a"), size: 11 });
    for seen in server.seen() {
        assert_eq!(seen.header("content-md5"), Some("XrY7u+Ae7tCTyyK7j1rNww=="));
    }
    assert_eq!(
        server.lines(),
        [
            "PUT /examplebucket/k?part_number=0&upload_id=U1",
            "POST /examplebucket/k?append&position=0"
        ]
    );
}

#[tokio::test]
async fn a_completed_object_is_looked_at() {
    let (result, methods) = complete(vec![created(&[]), head(11, &ours())]).await;
    assert_eq!(result.unwrap(), ObjectVersion { etag: ours(), size: 11 });
    assert_eq!(methods, ["POST", "HEAD"]);
    // Some other version was put there since; or, unverified, the service has its own idea of ETags.
    let other = ETag::new("other");
    assert_eq!(complete(vec![created(&[]), head(11, &other)]).await.0.unwrap().etag, other);
    for wrong in [head(10, &ours()), say(404, &[], "")] {
        let (result, _) = complete(vec![created(&[]), wrong]).await;
        assert_eq!(result.unwrap_err().kind, ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn a_status_alone_completes_nothing() {
    // Somebody in between says 200, and the object that was there has our size, or another, or is none.
    for old in [head(11, &ETag::new("old")), head(5, &ours()), say(404, &[], "")] {
        let open = say(200, &[], r#"{"count": 0, "object_parts": []}"#);
        let script = vec![say(200, &[], ""), old, open, created(&[]), head(11, &ours())];
        let (result, methods) = complete(script).await;
        assert_eq!(result.unwrap().etag, ours());
        assert_eq!(methods, ["POST", "HEAD", "GET", "POST", "HEAD"]);
    }
    let gone = refuse(404, "upload_not_exists");
    let (result, _) = complete(vec![say(200, &[], ""), head(11, &ETag::new("else")), gone]).await;
    assert_eq!(
        result.unwrap().etag.as_str(),
        "else",
        "it has ended; unverified which ETag it gets"
    );
}

#[tokio::test]
async fn lost_answers_are_resolved_by_size_and_etag() {
    for lost in [
        vec![],
        vec![Act::Stall],
        refuse(500, "internal_error"),
        refuse(503, "upstream_failed"),
        say(200, &[], "<html>log in</html>"),
        say(201, &[], "{}"),
        say(204, &[], ""),
    ] {
        let script = vec![lost.clone(), head(11, &ours()), refuse(404, "upload_not_exists")];
        let (result, methods) = complete(script).await;
        assert_eq!(result.unwrap().etag, ours(), "{lost:?}");
        assert_eq!(methods, ["POST", "HEAD", "GET"]);
    }
    // That it is gone has been said already.
    for gone in [404, 400] {
        let (result, methods) =
            complete(vec![refuse(gone, "upload_not_exists"), head(11, &ours())]).await;
        assert_eq!(result.unwrap().etag, ours(), "{gone}");
        assert_eq!(methods, ["POST", "HEAD"]);
    }
}

#[tokio::test]
async fn an_older_object_at_the_key_proves_nothing() {
    for old in [head(11, &ETag::new(MD5)), head(5, &ours()), say(404, &[], "")] {
        let (result, methods) = complete(vec![refuse(404, "upload_not_exists"), old]).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::NoSuchUpload, 1));
        assert_eq!(methods, ["POST", "HEAD"]);
    }
}

#[tokio::test]
async fn a_complete_of_unknown_fate_is_asked_again() {
    let old = || head(11, &ETag::new("old"));
    let script = vec![
        vec![],
        old(),
        refuse(404, "upload_not_exists"),
        old(),
        refuse(404, "upload_not_exists"),
        head(11, &ours()),
    ];
    let (result, methods) = complete(script).await;
    assert_eq!(result.unwrap().etag, ours());
    assert_eq!(methods, ["POST", "HEAD", "POST", "HEAD", "POST", "HEAD"]);
}

#[tokio::test]
async fn refusals_end_a_complete_at_once() {
    for (status, code, kind) in [
        (400, "invalid_argument", ErrorKind::InvalidPart),
        (400, "entity_too_small", ErrorKind::InvalidPart),
        (400, "max_parts_exceeded", ErrorKind::InvalidPart),
        (403, "permission_denied", ErrorKind::AccessDenied),
        (403, "request_expired", ErrorKind::ClockSkew),
    ] {
        let (result, methods) = complete(vec![refuse(status, code)]).await;
        assert_eq!(result.unwrap_err().kind, kind);
        assert_eq!(methods, ["POST"]);
    }
}

#[tokio::test]
async fn appending_at_another_place_is_told_apart_from_a_defect() {
    let payload = || Payload::from(CONTENT.to_vec());
    let options = PutOptions::default();
    let refused = || refuse(400, "invalid_argument");
    let at = |store: Arc<dyn ObjectStore>, position| {
        let (key, options) = (key("k"), options.clone());
        async move { store.append(&key, position, payload(), &options).await.unwrap_err().kind }
    };
    let (_server, store) = start(vec![refused(), head(7, &ours())]).await;
    assert_eq!(at(store, 5).await, ErrorKind::PreconditionFailed);
    let (_server, store) = start(vec![refused(), say(404, &[], "")]).await;
    assert_eq!(at(store, 5).await, ErrorKind::PreconditionFailed);
    let (_server, store) = start(vec![refused(), head(5, &ours())]).await;
    assert_eq!(at(store, 5).await, ErrorKind::NotAppendable);
}

/// The repeat is refused because the object is longer by now: by our bytes, or by as many of another mount.
#[tokio::test]
async fn bytes_that_may_have_been_appended_are_looked_at() {
    for (found, ours) in [("hello world", true), ("HELLO WORLD", false)] {
        let part = say(
            206,
            &[
                ("ETag", "\"e\""),
                ("Content-Range", "bytes 5-15/16"),
                ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ],
            found,
        );
        let longer = head(16, &ETag::new("e"));
        let (server, store) =
            start(vec![vec![], longer.clone(), part, refuse(400, "invalid_argument"), longer])
                .await;
        let payload = Payload::from(CONTENT.to_vec());
        let done = store.append(&key("k"), 5, payload, &PutOptions::default()).await;
        match done {
            Ok(appended) => assert_eq!((appended.version.size, ours), (16, true)),
            Err(error) => assert_eq!((error.kind, ours), (ErrorKind::PreconditionFailed, false)),
        }
        let methods: Vec<_> = server.seen().iter().map(|seen| seen.method.clone()).collect();
        assert_eq!(methods[..3], ["POST", "HEAD", "GET"]);
    }
}

#[tokio::test]
async fn a_multi_delete_is_one_request_and_names_what_stays() {
    let body = r#"{"deleted": [{"key": "a"}], "errors": [
        {"key": "b\u0001", "code": "permission_denied", "message": "no"},
        {"key": "c", "code": "object_not_exists", "message": "gone"}]}"#;
    let (server, store) = start(vec![say(200, &[], body)]).await;
    let failed = store.delete_many(&[key("a"), key("b\u{1}"), key("c")]).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0].0, failed[0].1.kind), (&key("b\u{1}"), ErrorKind::AccessDenied));
    let seen = &server.seen()[0];
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/examplebucket?delete"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("content-md5").map(str::len), Some(24));
    assert_eq!(
        String::from_utf8(seen.body.clone()).unwrap(),
        r#"{"quiet":false,"objects":[{"key":"a"},{"key":"b\u0001"},{"key":"c"}]}"#
    );
}

/// An answer that was cut, or that leaves out what was not there: nobody knows, so each is deleted alone.
#[tokio::test]
async fn a_multi_delete_that_names_not_all_is_gone_through_alone() {
    let body = r#"{"deleted": [{"key": "b"}]}"#;
    let script = vec![say(200, &[], body), say(204, &[], ""), refuse(403, "permission_denied")];
    let (server, store) = start(script).await;
    let failed = store.delete_many(&[key("a"), key("b"), key("c")]).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0].0, failed[0].1.kind), (&key("c"), ErrorKind::AccessDenied));
    assert_eq!(server.lines()[1..], ["DELETE /examplebucket/a", "DELETE /examplebucket/c"]);
}

#[tokio::test]
async fn an_answer_that_is_none_is_asked_for_again() {
    let good = r#"{"keys": [], "common_prefixes": [], "has_more": false, "next_marker": ""}"#;
    for bad in ["", "<html>", &good[..30], "[]"] {
        let (server, store) = start(vec![say(200, &[], bad), say(200, &[], good)]).await;
        let page = store.list(&ListRequest::default()).await.unwrap();
        assert!(page.objects.is_empty() && page.next.is_none());
        assert_eq!(server.seen().len(), 2, "{bad}");
    }
}

#[tokio::test]
async fn aborting_twice_is_success() {
    for answer in
        [say(204, &[], ""), refuse(404, "upload_not_exists"), refuse(400, "upload_not_exists")]
    {
        let (_server, store) = start(vec![answer]).await;
        store.abort_upload(&upload()).await.unwrap();
    }
}
