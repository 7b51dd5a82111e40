//! Renaming on the server, on services that have it.

use std::time::Duration;

use partfs::store::{ETag, ErrorKind, Metadata, ObjectVersion, PutOptions, RenameOptions};

use super::{Ground, kind, text};

/// A version that nothing here has.
fn none() -> RenameOptions {
    RenameOptions::of(&ObjectVersion { etag: ETag::new("0123"), size: 5 })
}

pub(super) async fn everything_goes_along(ground: &Ground<'_>) {
    let (from, to) = (ground.key("from b+/中%41"), ground.key("to/x &"));
    if !ground.store.limits().rename {
        let refused = ground.store.rename(&from, &to, &none()).await;
        assert_eq!(kind(refused), ErrorKind::InvalidRequest);
        return;
    }
    let options =
        PutOptions { metadata: Metadata::from_iter([("mode", "33188")]), ..PutOptions::default() };
    let version = ground.store.put(&from, text("hello"), &options).await.unwrap();
    ground.store.rename(&from, &to, &RenameOptions::of(&version)).await.unwrap();
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
    ground
        .store
        .rename(&ground.key("a"), &ground.key("b"), &RenameOptions::of(&new))
        .await
        .unwrap();
    assert!(ground.is_absent("a").await);
    assert_eq!(ground.bytes_of("b").await, b"new");
}

pub(super) async fn a_stale_or_absent_source_is_refused(ground: &Ground<'_>) {
    if !ground.store.limits().rename {
        return;
    }
    ground.put("a", b"hello").await;
    let (a, b) = (ground.key("a"), ground.key("b"));
    let stale = ground.store.rename(&a, &b, &none()).await;
    assert_eq!(kind(stale), ErrorKind::PreconditionFailed);
    let absent = ground.store.rename(&ground.key("none"), &b, &none()).await;
    assert_eq!(kind(absent), ErrorKind::NotFound);
    assert_eq!(ground.bytes_of("a").await, b"hello");
    assert!(ground.is_absent("b").await);
}

pub(super) async fn each_condition_on_the_source(ground: &Ground<'_>) {
    if !ground.store.limits().rename {
        return;
    }
    let version = ground.put("a", b"hello").await;
    let (a, b) = (ground.key("a"), ground.key("b"));
    let changed = ground.store.head(&a).await.unwrap().last_modified;
    let before = changed - Duration::from_secs(10);
    let of = || RenameOptions::of(&version);
    for (name, options) in [
        ("If-None-Match", RenameOptions { if_none_match: Some(version.etag.clone()), ..of() }),
        ("If-Modified-Since", RenameOptions { if_modified_since: Some(changed), ..of() }),
    ] {
        let refused = ground.store.rename(&a, &b, &options).await;
        assert_eq!(kind(refused), ErrorKind::PreconditionFailed, "{name}");
        assert_eq!(ground.bytes_of("a").await, b"hello", "{name}");
        assert!(ground.is_absent("b").await, "{name}");
    }
    let unsayable = changed + Duration::from_secs(1 << 40);
    let options = RenameOptions { if_unmodified_since: Some(unsayable), ..of() };
    assert_eq!(kind(ground.store.rename(&a, &b, &options).await), ErrorKind::InvalidRequest);
    // An ETag that is the one that was asked for makes the date not count (RFC 9110 section 13.2.2).
    let options = RenameOptions {
        if_none_match: Some(ETag::new("0123")),
        if_modified_since: Some(changed),
        if_unmodified_since: Some(before),
        ..of()
    };
    ground.store.rename(&a, &b, &options).await.unwrap();
    assert_eq!(ground.bytes_of("b").await, b"hello");
}
