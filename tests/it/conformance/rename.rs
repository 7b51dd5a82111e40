//! Renaming on the server, on services that have it.

use partfs::store::{ETag, ErrorKind, Metadata, ObjectVersion, PutOptions};

use super::{Ground, kind, text};

/// A version that nothing here has.
fn version(etag: &str) -> ObjectVersion {
    ObjectVersion { etag: ETag::new(etag), size: 5 }
}

pub(super) async fn everything_goes_along(ground: &Ground<'_>) {
    let (from, to) = (ground.key("from b+/中%41"), ground.key("to/x &"));
    if !ground.store.limits().rename {
        let refused = ground.store.rename(&from, &to, &version("0123")).await;
        assert_eq!(kind(refused), ErrorKind::InvalidRequest);
        return;
    }
    let options =
        PutOptions { metadata: Metadata::from_iter([("mode", "33188")]), ..PutOptions::default() };
    let version = ground.store.put(&from, text("hello"), &options).await.unwrap();
    ground.store.rename(&from, &to, &version).await.unwrap();
    assert!(ground.is_absent("from b+/中%41").await);
    assert_eq!(ground.bytes_of("to/x &").await, b"hello");
    assert_eq!(ground.store.head(&to).await.unwrap().metadata, options.metadata);
}

pub(super) async fn an_object_at_the_target_is_replaced(ground: &Ground<'_>) {
    if !ground.store.limits().rename {
        return;
    }
    let new = ground.put("a", b"new").await;
    ground.put("b", b"old").await;
    ground.store.rename(&ground.key("a"), &ground.key("b"), &new).await.unwrap();
    assert!(ground.is_absent("a").await);
    assert_eq!(ground.bytes_of("b").await, b"new");
}

pub(super) async fn a_stale_or_absent_source_is_refused(ground: &Ground<'_>) {
    if !ground.store.limits().rename {
        return;
    }
    ground.put("a", b"hello").await;
    let (a, b) = (ground.key("a"), ground.key("b"));
    let stale = ground.store.rename(&a, &b, &version("0123")).await;
    assert_eq!(kind(stale), ErrorKind::PreconditionFailed);
    let absent = ground.store.rename(&ground.key("none"), &b, &version("0123")).await;
    assert_eq!(kind(absent), ErrorKind::NotFound);
    assert_eq!(ground.bytes_of("a").await, b"hello");
    assert!(ground.is_absent("b").await);
}
