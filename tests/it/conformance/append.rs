//! Appending, on services that have it.

use partfs::store::{ErrorKind, Metadata, PutOptions};

use super::{Ground, kind, text};

pub(super) async fn bytes_follow_at_their_position(ground: &Ground<'_>) {
    if ground.store.limits().append.is_none() {
        return;
    }
    let key = ground.key("a log+%");
    let options =
        PutOptions { metadata: Metadata::from_iter([("mode", "33188")]), ..PutOptions::default() };
    let none = PutOptions::default();
    assert_eq!(
        kind(ground.store.append(&key, 5, text("x"), &none).await),
        ErrorKind::PreconditionFailed,
        "there is nothing yet"
    );
    let first = ground.store.append(&key, 0, text("hello "), &options).await.unwrap();
    assert_eq!(first.version.size, 6);
    let second = ground.store.append(&key, 6, text("world"), &none).await.unwrap();
    assert_eq!(second.version.size, 11);
    assert_ne!(first.version.etag, second.version.etag);
    let again = ground.store.append(&key, 6, text("world"), &none).await;
    assert_eq!(kind(again), ErrorKind::PreconditionFailed);
    assert_eq!(ground.bytes_of("a log+%").await, b"hello world");
    let info = ground.store.head(&key).await.unwrap();
    assert_eq!(info.version, second.version);
    assert_eq!(info.metadata, options.metadata);
    if let (Some(stated), Some(kind)) = (info.checksum, ground.store.limits().checksum) {
        assert_eq!(stated, kind.of(b"hello world"));
    }
}

pub(super) async fn a_plain_object_is_not_appendable(ground: &Ground<'_>) {
    if ground.store.limits().append.is_none() {
        return;
    }
    ground.put("plain", b"hello").await;
    let key = ground.key("plain");
    let refused = ground.store.append(&key, 5, text("!"), &PutOptions::default()).await;
    assert_eq!(kind(refused), ErrorKind::NotAppendable);
    assert_eq!(ground.bytes_of("plain").await, b"hello");
}

pub(super) async fn refused_where_there_is_none(ground: &Ground<'_>) {
    if ground.store.limits().append.is_some() {
        return;
    }
    let refused = ground.store.append(&ground.key("k"), 0, text("x"), &PutOptions::default()).await;
    assert_eq!(kind(refused), ErrorKind::InvalidRequest);
    assert!(ground.is_absent("k").await);
}
