//! Objects that were made by append, on services that do not copy those.

use std::ffi::OsStr;

use partfs::fs::{InodeNo, OpenMode, RenameFlags, SetAttr};
use partfs::store::{ObjectStore, Operation, PutOptions};

use crate::world::fs::{PART, World};
use crate::world::{key, pattern};

/// A world in which another tool has appended this to `log`.
async fn with_log(content: &[u8]) -> World {
    let world = World::that_copies_no_appendables();
    let (half, options) = (content.len() / 2, PutOptions::default());
    for (position, bytes) in [(0, &content[..half]), (half, &content[half..])] {
        let payload = bytes.to_vec().into();
        world.store.append(&key("log"), position as u64, payload, &options).await.unwrap();
    }
    world
}

/// Sizes of one piece and of several, with an end that is shorter.
fn contents() -> [Vec<u8>; 3] {
    [pattern(1, 10), pattern(2, 3 * PART as usize), pattern(3, (17 << 20) + 5)]
}

#[tokio::test]
async fn they_get_other_names_and_attributes() {
    for content in contents() {
        let world = with_log(&content).await;
        let ino = world.walk("log").await.unwrap();
        let changes = SetAttr { mode: Some(0o600), ..SetAttr::default() };
        world.fs.setattr(ino, None, changes).await.unwrap();
        let (from, to) = ((InodeNo::ROOT, OsStr::new("log")), (InodeNo::ROOT, OsStr::new("old")));
        world.fs.rename(from, to, RenameFlags::default()).await.unwrap();
        world.fs.quiet().await;
        assert!(world.object("log").await.is_none());
        assert!(world.object("old").await.unwrap() == content, "{}", content.len());
        let other = world.fresh();
        let ino = other.walk("old").await.unwrap();
        assert_eq!(other.fs.getattr(ino).await.unwrap().attr.permissions, 0o600);
        // The copy is an ordinary object: it is copied where it is.
        let before = world.bucket.requests_of(Operation::Get);
        let (from, to) = ((InodeNo::ROOT, OsStr::new("old")), (InodeNo::ROOT, OsStr::new("log")));
        world.fs.rename(from, to, RenameFlags::default()).await.unwrap();
        assert_eq!(world.bucket.requests_of(Operation::Get), before);
    }
}

#[tokio::test]
async fn they_are_changed_and_grow() {
    for mut content in contents() {
        let world = with_log(&content).await;
        let write = OpenMode { write: true, truncate: false };
        let handle = world.open("log", write).await.unwrap();
        world.write_at(handle, content.len() as u64, b"more").await.unwrap();
        world.close(handle).await.unwrap();
        content.extend(b"more");
        assert!(world.object("log").await.unwrap() == content, "{} appended", content.len());

        let world = with_log(&content).await;
        let handle = world.open("log", write).await.unwrap();
        world.write_at(handle, 3, b"XY").await.unwrap();
        world.close(handle).await.unwrap();
        content[3..5].copy_from_slice(b"XY");
        assert!(world.object("log").await.unwrap() == content, "{} changed", content.len());
        // It is an ordinary object by now.
        let handle = world.open("log", write).await.unwrap();
        world.write_at(handle, content.len() as u64, b"end").await.unwrap();
        world.close(handle).await.unwrap();
        content.extend(b"end");
        assert!(world.object("log").await.unwrap() == content, "{} again", content.len());
    }
}

#[tokio::test]
async fn programs_copy_their_bytes() {
    let content = pattern(4, 5 * PART as usize);
    let world = with_log(&content).await;
    let from = world.open("log", OpenMode::default()).await.unwrap();
    let (_, to) = world.create("copy").await.unwrap();
    let copied = world.copy((from, 0), (to, 0), content.len() as u64).await.unwrap();
    assert_eq!(copied, content.len() as u64);
    world.close(to).await.unwrap();
    assert!(world.object("copy").await.unwrap() == content);
    assert_eq!(world.bucket.requests_of(Operation::CopyPart), 0);
}
