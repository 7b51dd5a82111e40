//! Server-side copies.

use partfs::store::{CopyOptions, ErrorKind, Metadata, PutOptions, StandardHeaders};

use super::{Ground, kind, text};

fn with_metadata(name: &str, value: &str) -> PutOptions {
    PutOptions {
        headers: StandardHeaders::of_type("text/plain"),
        metadata: Metadata::from_iter([(name, value)]),
        ..PutOptions::default()
    }
}

pub(super) async fn a_copy_is_the_same(ground: &Ground<'_>) {
    let (from, to) = (ground.key("a b+/中%41"), ground.key("to &"));
    ground.store.put(&from, text("hello"), &with_metadata("a", "b")).await.unwrap();
    let version = ground.store.copy(&from, &to, &CopyOptions::default()).await.unwrap();
    let info = ground.store.head(&to).await.unwrap();
    assert_eq!(info.version, version);
    assert_eq!(info.metadata.get("a"), Some("b"));
    assert_eq!(info.headers.content_type.as_deref(), Some("text/plain"));
    assert_eq!(ground.bytes_of("to &").await, b"hello");
    assert_eq!(ground.bytes_of("a b+/中%41").await, b"hello");
}

pub(super) async fn replacing_the_metadata(ground: &Ground<'_>) {
    let (from, to) = (ground.key("from"), ground.key("to"));
    ground.store.put(&from, text("hello"), &with_metadata("a", "b")).await.unwrap();
    let replace = Some(with_metadata("c", "d"));
    let options = CopyOptions { replace, ..CopyOptions::default() };
    ground.store.copy(&from, &to, &options).await.unwrap();
    let metadata = ground.store.head(&to).await.unwrap().metadata;
    assert_eq!((metadata.get("a"), metadata.get("c")), (None, Some("d")));
}

pub(super) async fn onto_itself_with_other_metadata(ground: &Ground<'_>) {
    let key = ground.key("k");
    let version = ground.store.put(&key, text("hello"), &with_metadata("a", "b")).await.unwrap();
    let replace = Some(with_metadata("c", "d"));
    let options = CopyOptions { replace, if_match: Some(version), ..CopyOptions::default() };
    let version = ground.store.copy(&key, &key, &options).await.unwrap();
    let info = ground.store.head(&key).await.unwrap();
    assert_eq!(info.version, version);
    assert_eq!((info.metadata.get("a"), info.metadata.get("c")), (None, Some("d")));
    assert_eq!(ground.bytes_of("k").await, b"hello");
}

pub(super) async fn a_stale_source_is_refused(ground: &Ground<'_>) {
    let old = ground.put("from", "old").await;
    let new = ground.put("from", "new").await;
    let (from, to) = (ground.key("from"), ground.key("to"));
    let if_match =
        |version| CopyOptions { if_match: Some(version), replace: None, ..CopyOptions::default() };
    let stale = ground.store.copy(&from, &to, &if_match(old)).await;
    assert_eq!(kind(stale), ErrorKind::PreconditionFailed);
    assert!(ground.is_absent("to").await);
    ground.store.copy(&from, &to, &if_match(new)).await.unwrap();
}

pub(super) async fn an_absent_source(ground: &Ground<'_>) {
    let copied =
        ground.store.copy(&ground.key("none"), &ground.key("to"), &CopyOptions::default()).await;
    assert_eq!(kind(copied), ErrorKind::NotFound);
}
