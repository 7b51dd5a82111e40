//! Moves and copies of QingStor: what proves them, and what becomes of the bytes where nothing does.

use super::flow_tests::{created, head, key, refuse, start};
use crate::dialect::scripted::{Act, say};
use crate::store::{
    CopyOptions, ETag, ErrorKind, ObjectVersion, PutOptions, RenameOptions, StoreResult,
};

/// MD5 of nothing.
const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn version(etag: &str, size: u64) -> ObjectVersion {
    ObjectVersion { etag: ETag::new(etag), size }
}

/// What is found of an object by HEAD.
fn found(version: &ObjectVersion) -> Vec<Act> {
    head(version.size, &version.etag)
}

fn gone() -> Vec<Act> {
    refuse(404, "object_not_exists")
}

/// The good answer with this ETag.
fn created_as(etag: &str) -> Vec<Act> {
    created(&[("ETag", &format!("\"{etag}\""))])
}

async fn moved(script: Vec<Vec<Act>>, source: &ObjectVersion) -> (StoreResult<()>, Vec<String>) {
    let (server, store) = start(script).await;
    let result = store.rename(&key("a"), &key("b"), &RenameOptions::of(source)).await;
    (result, server.lines())
}

#[tokio::test]
async fn a_move_is_looked_at() {
    let source = version("e", 11);
    let (result, lines) = moved(vec![created(&[]), found(&source)], &source).await;
    result.unwrap();
    assert_eq!(lines, ["PUT /examplebucket/b", "HEAD /examplebucket/b"]);
    // An answer that names the source has said it.
    let (result, lines) = moved(vec![created_as("e")], &source).await;
    result.unwrap();
    assert_eq!(lines, ["PUT /examplebucket/b"]);
    // Of an empty one the source must be gone: it looks like what a header makes that is not known.
    let empty = version(EMPTY, 0);
    let script = vec![created_as(EMPTY), found(&empty), say(404, &[], "")];
    let (result, lines) = moved(script, &empty).await;
    result.unwrap();
    assert_eq!(lines[1..], ["HEAD /examplebucket/b", "HEAD /examplebucket/a"]);
}

#[tokio::test]
async fn a_service_that_ignores_the_header_of_a_move_is_found_out() {
    let (source, empty) = (version("e", 11), version(EMPTY, 0));
    for (source, script) in [
        (&source, vec![created(&[]), found(&empty)]),
        (&source, vec![created_as(EMPTY), found(&empty)]),
        (&source, vec![created(&[]), found(&version("e", 10))]),
        (&source, vec![created(&[]), found(&version("f", 11))]),
        (&source, vec![created(&[]), say(404, &[], "")]),
        (&empty, vec![created_as(EMPTY), found(&empty), found(&empty)]),
    ] {
        let requests = script.len();
        let (result, lines) = moved(script, source).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidAnswer, "{error}");
        // It is not asked again, and nothing is removed.
        assert_eq!(lines.len(), requests, "{lines:?}");
    }
    let (result, _) = moved(vec![created(&[]), found(&empty)], &source).await;
    let message = result.unwrap_err().message;
    assert!(message.contains("\"b\" has 0 bytes") && message.contains(EMPTY), "{message}");
}

#[tokio::test]
async fn a_move_that_cannot_be_looked_at_is_no_success() {
    let source = version("e", 11);
    let (result, _) = moved(vec![created(&[]), say(403, &[], "")], &source).await;
    assert_eq!(result.unwrap_err().kind, ErrorKind::AccessDenied);
}

#[tokio::test]
async fn a_service_that_ignores_the_header_of_a_copy_is_found_out() {
    let (source, empty) = (version("e", 11), version(EMPTY, 0));
    let known = |version: &ObjectVersion| CopyOptions {
        if_match: Some(version.clone()),
        ..CopyOptions::default()
    };
    let unknown = CopyOptions::default();
    for (options, script) in [
        (known(&source), vec![created_as(EMPTY), found(&empty)]),
        (known(&source), vec![created(&[]), found(&empty)]),
        (unknown.clone(), vec![created_as(EMPTY), found(&empty), found(&source)]),
    ] {
        let requests = script.len();
        let (server, store) = start(script).await;
        let error = store.copy(&key("a"), &key("b"), &options).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidAnswer, "{error}");
        assert!(error.message.contains("\"b\" has 0 bytes"), "{error}");
        assert_eq!(server.lines().len(), requests);
    }
    // A copy need not have the ETag of its source, and a source may be empty.
    for (options, copy, script) in [
        (known(&source), version("m", 11), vec![created_as("m"), found(&version("m", 11))]),
        (known(&source), source.clone(), vec![created_as("e")]),
        (known(&empty), empty.clone(), vec![created_as(EMPTY), found(&empty)]),
        (unknown.clone(), source.clone(), vec![created_as("e"), found(&source)]),
        (unknown, empty.clone(), vec![created_as(EMPTY), found(&empty), found(&empty)]),
    ] {
        let requests = script.len();
        let (server, store) = start(script).await;
        assert_eq!(store.copy(&key("a"), &key("b"), &options).await.unwrap(), copy);
        assert_eq!(server.lines().len(), requests);
    }
}

fn onto_itself() -> CopyOptions {
    let metadata = [("mode", "33188")].into_iter().collect();
    CopyOptions {
        if_match: Some(ObjectVersion { etag: ETag::new("e"), size: 11 }),
        replace: Some(PutOptions { metadata, ..PutOptions::default() }),
        ..CopyOptions::default()
    }
}

/// The name of a copy beside `k` in a target.
fn beside(target: &str) -> String {
    let name = target.strip_prefix("/examplebucket/").unwrap();
    assert!(name.strip_prefix("k.partfs-").is_some_and(|nonce| nonce.len() == 16), "{name}");
    name.to_owned()
}

#[tokio::test]
async fn properties_are_replaced_by_a_copy_that_takes_the_name() {
    let copy = version("c", 11);
    let (server, store) =
        start(vec![created_as("c"), found(&copy), created(&[]), found(&copy)]).await;
    assert_eq!(store.copy(&key("k"), &key("k"), &onto_itself()).await.unwrap(), copy);
    let seen = server.seen();
    let name = beside(&seen[0].target);
    assert_eq!(seen[0].header("x-qs-copy-source"), Some("/examplebucket/k"));
    assert_eq!(seen[0].header("x-qs-copy-source-if-match"), Some("\"e\""));
    assert_eq!(seen[0].header("x-qs-metadata-directive"), Some("replace"));
    assert_eq!(seen[0].header("x-qs-meta-mode"), Some("33188"));
    // The copy is looked at before it takes the name, and afterwards.
    assert_eq!(
        server.lines()[1..],
        [
            format!("HEAD /examplebucket/{name}"),
            "PUT /examplebucket/k".to_owned(),
            "HEAD /examplebucket/k".to_owned()
        ]
    );
    assert_eq!(seen[2].header("x-qs-move-source"), Some(&*format!("/examplebucket/{name}")));
    assert_eq!(seen[2].header("x-qs-move-source-if-match"), Some("\"c\""));
}

#[tokio::test]
async fn a_replacement_that_fails_leaves_nothing_behind() {
    // The copy is refused: nothing was made.
    let (server, store) = start(vec![refuse(412, "precondition_failed")]).await;
    let refused = store.copy(&key("k"), &key("k"), &onto_itself()).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::PreconditionFailed);
    assert_eq!(server.seen().len(), 1);

    // What was made is no copy: it never takes the name.
    let (server, store) = start(vec![created(&[]), found(&version(EMPTY, 0))]).await;
    let refused = store.copy(&key("k"), &key("k"), &onto_itself()).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::InvalidAnswer);
    assert_eq!(server.seen().len(), 2);

    // The copy cannot take the name: it is removed, and the object is as it was.
    let script = vec![
        created_as("e"),
        refuse(403, "permission_denied"),
        found(&version("e", 11)),
        say(204, &[], ""),
    ];
    let (server, store) = start(script).await;
    let refused = store.copy(&key("k"), &key("k"), &onto_itself()).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::AccessDenied);
    let name = beside(&server.seen()[0].target);
    assert_eq!(
        server.lines()[2..],
        ["HEAD /examplebucket/k".to_owned(), format!("DELETE /examplebucket/{name}")]
    );
}

#[tokio::test]
async fn a_copy_that_may_be_the_last_of_the_bytes_stays() {
    let empty = version(EMPTY, 0);
    for at_the_key in [found(&empty), say(404, &[], ""), say(403, &[], "")] {
        let script = vec![created_as("e"), created(&[]), found(&empty), at_the_key];
        let (server, store) = start(script).await;
        let error = store.copy(&key("k"), &key("k"), &onto_itself()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidAnswer);
        let name = beside(&server.seen()[0].target);
        assert!(error.message.contains(&name), "{error}");
        assert_eq!(server.lines().len(), 4, "nothing is deleted");
    }
}

#[tokio::test]
async fn a_copy_without_an_etag_is_looked_at() {
    let script = vec![created(&[]), head(11, &ETag::new("found"))];
    let (server, store) = start(script).await;
    let options = CopyOptions { replace: None, ..onto_itself() };
    let version = store.copy(&key("a"), &key("b"), &options).await.unwrap();
    assert_eq!(version.etag, ETag::new("found"));
    assert_eq!(server.lines(), ["PUT /examplebucket/b", "HEAD /examplebucket/b"]);
}

#[tokio::test]
async fn a_move_whose_answer_was_lost_is_found_done() {
    let source = version("e", 11);
    let (result, lines) = moved(vec![vec![], gone(), found(&source)], &source).await;
    result.unwrap();
    let (put, head) = ("PUT /examplebucket/b", "HEAD /examplebucket/b");
    assert_eq!(lines, [put, put, head]);
    // Nobody moved anything: the source is not there, and what is at the target is another object.
    let (refused, _) = moved(vec![gone()], &source).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::NotFound);
    for other in [version("f", 11), version("e", 10)] {
        let (refused, lines) = moved(vec![vec![], gone(), found(&other)], &source).await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(lines, [put, put, head]);
    }
    // Nothing but the service's own word counts.
    let login = say(200, &[], "<html>log in</html>");
    let (lie, _) = moved(vec![login; 4], &source).await;
    assert_eq!(lie.unwrap_err().kind, ErrorKind::InvalidAnswer);
}
