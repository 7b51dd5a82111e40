//! PUT and what HEAD and GET tell of it.

use bytes::Bytes;
use partfs::store::{
    Conditions, ETag, ErrorKind, Metadata, Payload, PutOptions, Replaces, StandardHeaders,
};

use super::{Ground, ODD_NAMES, kind, text};

pub(super) async fn what_is_put_is_got(ground: &Ground<'_>) {
    let version = ground.put("k", "hello world").await;
    assert_eq!(version.size, 11);
    let info = ground.store.head(&ground.key("k")).await.unwrap();
    assert_eq!(info.version, version);
    if let Some(kind) = ground.store.limits().checksum.filter(|_| ground.checksums) {
        assert_eq!(info.checksum, Some(kind.of(b"hello world")));
    }
    let content = ground.store.get(&ground.key("k"), None, &Conditions::NONE).await.unwrap();
    assert_eq!((content.version.clone(), content.start, content.len()), (version, 0, 11));
    assert_eq!(content.chunks.concat(), b"hello world");
    assert!(content.chunks.iter().all(|chunk| !chunk.is_empty()));
}

pub(super) async fn an_empty_object(ground: &Ground<'_>) {
    ground.put("k", "").await;
    let info = ground.store.head(&ground.key("k")).await.unwrap();
    assert_eq!(info.version.size, 0);
    let content = ground.store.get(&ground.key("k"), None, &Conditions::NONE).await.unwrap();
    assert!(content.is_empty());
}

pub(super) async fn put_replaces(ground: &Ground<'_>) {
    let old = ground.put("k", "old").await;
    let new = ground.put("k", "newer").await;
    assert_ne!(old.etag, new.etag);
    assert_eq!(ground.bytes_of("k").await, b"newer");
}

pub(super) async fn metadata_and_content_type_come_back(ground: &Ground<'_>) {
    let metadata: Metadata =
        [("mode", "33188"), ("mtime-ns", "17 + 4=%21"), ("x", "a;b,c\"d")].into_iter().collect();
    let options = PutOptions {
        headers: StandardHeaders::collect(|name| {
            Some(match name {
                "content-type" => "text/plain; charset=utf-8".to_owned(),
                "expires" => "Thu, 01 Dec 2050 16:00:00 GMT".to_owned(),
                "content-disposition" => "attachment; filename=\"a b\"".to_owned(),
                // One that no client decodes.
                "content-encoding" => "x-none".to_owned(),
                _ => "no-cache".to_owned(),
            })
        }),
        metadata: metadata.clone(),
        ..PutOptions::default()
    };
    let key = ground.key("k");
    ground.store.put(&key, text("x"), &options).await.unwrap();
    let info = ground.store.head(&key).await.unwrap();
    assert_eq!(info.metadata, metadata);
    let mut sent = options.headers;
    // Not every service keeps it.
    if info.headers.content_language.is_none() {
        sent.content_language = None;
    }
    assert_eq!(info.headers, sent);
    ground.put("k", "without").await;
    assert!(ground.store.head(&key).await.unwrap().metadata.is_empty());
}

pub(super) async fn odd_keys_are_kept_exactly(ground: &Ground<'_>) {
    for name in ODD_NAMES {
        ground.put(name, name).await;
    }
    for name in ODD_NAMES {
        assert_eq!(ground.bytes_of(name).await, name.as_bytes(), "{name:?}");
    }
}

/// HTTP libraries like to "normalise" such paths.
pub(super) async fn keys_with_dot_elements(ground: &Ground<'_>) {
    for name in ["a/./b", "a/../b", "a./b", "a/..", "..a/.b"] {
        ground.put(name, name).await;
        assert_eq!(ground.bytes_of(name).await, name.as_bytes(), "{name:?}");
    }
    assert!(ground.is_absent("b").await);
    assert!(ground.is_absent("a/b").await);
}

pub(super) async fn create_only_refuses_an_existing_key(ground: &Ground<'_>) {
    let once = PutOptions { replaces: Replaces::Nothing, ..PutOptions::default() };
    let key = ground.key("k");
    ground.store.put(&key, text("first"), &once).await.unwrap();
    if !ground.store.limits().create_only {
        return;
    }
    let again = ground.store.put(&key, text("second"), &once).await;
    assert_eq!(kind(again), ErrorKind::AlreadyExists);
    assert_eq!(ground.bytes_of("k").await, b"first");
}

pub(super) async fn a_body_in_many_chunks(ground: &Ground<'_>) {
    let chunks: Vec<Bytes> = (0..300_u32).map(|n| Bytes::from(vec![n as u8; n as usize])).collect();
    let whole = chunks.concat();
    let checksum = ground.store.limits().checksum.map(|kind| kind.of(&whole));
    let payload = Payload::new(chunks).with_checksum(checksum);
    ground.store.put(&ground.key("k"), payload, &PutOptions::default()).await.unwrap();
    assert_eq!(ground.bytes_of("k").await, whole);
}

pub(super) async fn only_this_version_is_replaced(ground: &Ground<'_>) {
    let key = ground.key("k");
    let version = ground.put("k", b"old").await;
    let put = async |etag: &ETag| {
        let replaces = Replaces::Version(etag.clone());
        let options = PutOptions { replaces, ..PutOptions::default() };
        ground.store.put(&key, text("new"), &options).await
    };
    if !ground.store.limits().compare_and_swap {
        put(&ETag::new("0123")).await.unwrap();
        return;
    }
    assert_eq!(kind(put(&ETag::new("0123")).await), ErrorKind::PreconditionFailed);
    assert_eq!(ground.bytes_of("k").await, b"old");
    put(&version.etag).await.unwrap();
    assert_eq!(ground.bytes_of("k").await, b"new");
    ground.store.delete(&key).await.unwrap();
    assert_eq!(kind(put(&version.etag).await), ErrorKind::NotFound);
    assert!(ground.is_absent("k").await);
}
