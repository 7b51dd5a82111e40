//! DELETE, one and many.

use partfs::store::{ETag, ErrorKind, Key};

use super::{Ground, kind};

pub(super) async fn a_deleted_object_is_gone(ground: &Ground<'_>) {
    ground.put("k", "x").await;
    ground.put("k2", "x").await;
    ground.store.delete(&ground.key("k")).await.unwrap();
    assert!(ground.is_absent("k").await);
    assert!(!ground.is_absent("k2").await);
}

pub(super) async fn an_absent_key_is_success(ground: &Ground<'_>) {
    ground.store.delete(&ground.key("none")).await.unwrap();
}

async fn delete_many(ground: &Ground<'_>, names: &[&str]) {
    for name in names {
        ground.put(name, "x").await;
    }
    ground.put("stays", "x").await;
    let mut keys: Vec<Key> = names.iter().map(|name| ground.key(name)).collect();
    keys.push(ground.key("absent"));
    let failed = ground.store.delete_many(&keys).await.unwrap();
    assert!(failed.is_empty(), "{failed:?}");
    for name in names {
        assert!(ground.is_absent(name).await, "{name:?}");
    }
    assert!(!ground.is_absent("stays").await);
    assert!(ground.store.delete_many(&[]).await.unwrap().is_empty());
}

pub(super) async fn many(ground: &Ground<'_>) {
    delete_many(ground, &["a b", "a&b<c>", "中文", "cr\rlf\n", "100%", "dir/", "'\""]).await;
}

pub(super) async fn many_with_keys_that_xml_cannot_carry(ground: &Ground<'_>) {
    delete_many(ground, &["\u{1}", "plain", "a\u{b}b"]).await;
}

pub(super) async fn only_this_version_is_removed(ground: &Ground<'_>) {
    let key = ground.key("k");
    let version = ground.put("k", "x").await;
    let stale = ground.store.delete_if(&key, &ETag::new("0123")).await;
    if ground.store.limits().compare_and_swap {
        assert_eq!(kind(stale), ErrorKind::PreconditionFailed);
        assert_eq!(ground.bytes_of("k").await, b"x");
        ground.store.delete_if(&key, &version.etag).await.unwrap();
    } else {
        stale.unwrap();
    }
    assert!(ground.is_absent("k").await);
    ground.store.delete_if(&key, &version.etag).await.unwrap();
}
