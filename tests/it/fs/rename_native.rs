//! rename of files where the service itself can rename.

use std::ffi::OsStr;

use partfs::fs::{FsResult, InodeNo, Meaning, OpenMode, RenameFlags, SetAttr};
use partfs::store::{ErrorKind, Key, Operation};

use crate::world::fs::{MAKER, PART, World};
use crate::world::{keys, pattern};

async fn rename(world: &World, from: &str, to: &str) -> FsResult<()> {
    let from = world.place(from).await?;
    let to = world.place(to).await?;
    world.fs.rename(from, to, RenameFlags::default()).await
}

/// Renames and says which changing requests that made.
async fn spent(world: &World, from: &str, to: &str) -> Vec<Operation> {
    let before = world.bucket.requests();
    rename(world, from, to).await.unwrap();
    let after = world.bucket.requests();
    [Operation::Rename, Operation::Copy, Operation::Delete]
        .into_iter()
        .filter(|operation| after.get(operation) != before.get(operation))
        .collect()
}

#[tokio::test]
async fn a_closed_file_is_moved_and_not_copied() {
    let world = World::that_renames();
    let content = pattern(1, 5 * PART as usize);
    world.put("a", &content).await.unwrap();
    world.put("b", b"old").await.unwrap();
    assert_eq!(spent(&world, "a", "b").await, [Operation::Rename]);
    assert_eq!(keys(&world.bucket), ["b"]);
    assert_eq!(world.read_all("b", 100).await.unwrap(), content);
    assert_eq!(world.walk("a").await.unwrap_err().meaning(), Meaning::NotFound);
    let fresh = world.fresh();
    assert_eq!(fresh.read_all("b", 100).await.unwrap(), content);
    // And back, without anybody having looked at it in between.
    assert_eq!(spent(&world, "b", "a").await, [Operation::Rename]);
    assert_eq!(world.read_all("a", 100).await.unwrap(), content);
}

#[tokio::test]
async fn attributes_that_wait_go_along_with_a_copy() {
    let world = World::that_renames();
    world.put("a", b"content").await.unwrap();
    let ino = world.walk("a").await.unwrap();
    let changes = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    world.fs.setattr(ino, None, changes).await.unwrap();
    assert_eq!(spent(&world, "a", "b").await, [Operation::Copy, Operation::Delete]);
    let fresh = world.fresh();
    let ino = fresh.walk("b").await.unwrap();
    assert_eq!(fresh.fs.getattr(ino).await.unwrap().attr.permissions, 0o600);
}

#[tokio::test]
async fn open_files_are_copied_and_go_on() {
    let world = World::that_renames();
    let content = pattern(1, 30 * PART as usize);
    world.put("read", &content).await.unwrap();
    world.put("write", &content).await.unwrap();
    let reader = world.open("read", OpenMode::default()).await.unwrap();
    assert_eq!(world.fs.read(reader, 0, 10).await.unwrap(), content[..10]);
    let writer = world.open("write", OpenMode { write: true, truncate: false }).await.unwrap();
    for (from, to) in [("read", "r"), ("write", "w")] {
        assert_eq!(spent(&world, from, to).await, [Operation::Copy, Operation::Delete]);
    }
    assert_eq!(world.read_handle(reader, 500).await.unwrap(), content);
    world.write_at(writer, 7, b"changed").await.unwrap();
    world.close(writer).await.unwrap();
    let mut expected = content;
    expected[7..14].copy_from_slice(b"changed");
    assert_eq!(world.object("w").await.unwrap(), expected);
    assert_eq!(keys(&world.bucket), ["r", "w"]);
}

#[tokio::test]
async fn who_opens_or_cuts_a_file_that_moves_waits_for_it() {
    for cut in [false, true] {
        let world = World::that_renames();
        let content = pattern(1, 5 * PART as usize);
        world.put("a", &content).await.unwrap();
        let ino = world.walk("a").await.unwrap();
        let gate = world.store.hold(Operation::Rename);
        let fs = world.fs.clone();
        let root = InodeNo::ROOT;
        let moving = tokio::spawn(async move {
            let (from, to) = ((root, OsStr::new("a")), (root, OsStr::new("b")));
            fs.rename(from, to, RenameFlags::default()).await
        });
        gate.answered().await;
        // The object is at the other key now, and nobody has been told.
        assert!(world.fs.try_open(ino, OpenMode::default(), 0).is_none());
        let fs = world.fs.clone();
        let late = tokio::spawn(async move {
            if cut {
                let changes = SetAttr { size: Some(70), ..SetAttr::default() };
                fs.setattr(ino, None, changes).await.map(|_| None)
            } else {
                fs.open(ino, OpenMode::default(), 0).await.map(|opened| Some(opened.handle))
            }
        });
        // It is asked by its number and by its old name, and is still there.
        assert_eq!(world.fs.getattr(ino).await.unwrap().attr.size, content.len() as u64);
        assert_eq!(world.walk("a").await.unwrap(), ino);
        assert!(!late.is_finished());
        gate.open();
        moving.await.unwrap().unwrap();
        match late.await.unwrap().unwrap() {
            Some(handle) => assert_eq!(world.read_handle(handle, 100).await.unwrap(), content),
            None => assert_eq!(world.object("b").await.unwrap(), content[..70]),
        }
        assert_eq!(keys(&world.bucket), ["b"]);
        assert_eq!(world.walk("b").await.unwrap(), ino);
    }
}

#[tokio::test]
async fn a_move_that_is_refused_leaves_the_source() {
    let world = World::that_renames();
    world.put("a", b"content").await.unwrap();
    world.put("b", b"old").await.unwrap();
    for kind in [ErrorKind::AccessDenied, ErrorKind::Timeout] {
        world.store.fail(Operation::Rename, 0, kind);
        assert!(rename(&world, "a", "b").await.is_err());
        world.store.heal();
        assert_eq!(world.read_all("a", 10).await.unwrap(), b"content");
        assert_eq!(world.read_all("b", 10).await.unwrap(), b"old");
    }
    // What the service cannot move it may be able to copy.
    world.store.fail(Operation::Rename, 0, ErrorKind::TooLarge);
    assert_eq!(spent(&world, "a", "b").await, [Operation::Copy, Operation::Delete]);
    world.store.heal();
    assert_eq!(world.read_all("b", 10).await.unwrap(), b"content");
}

#[tokio::test]
async fn a_source_that_another_mount_moved_is_found_where_it_is() {
    let world = World::that_renames();
    world.put("a", b"content").await.unwrap();
    let source = world.bucket.head(&Key::new("a").unwrap()).unwrap();
    world.bucket.rename(&source, &Key::new("b").unwrap()).await.unwrap();
    assert_eq!(rename(&world, "a", "b").await.unwrap_err().meaning(), Meaning::NotFound);
    assert_eq!(world.walk("a").await.unwrap_err().meaning(), Meaning::NotFound);
    assert_eq!(world.read_all("b", 10).await.unwrap(), b"content");
}

#[tokio::test]
async fn a_directory_is_copied_so_that_an_error_leaves_it_whole() {
    let world = World::that_renames();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    world.put("d/a", b"1").await.unwrap();
    world.put("d/b", b"2").await.unwrap();
    world.store.fail(Operation::Copy, 1, ErrorKind::Unavailable);
    assert!(rename(&world, "d", "e").await.is_err());
    world.store.heal();
    assert_eq!(world.read_all("d/a", 10).await.unwrap(), b"1");
    assert_eq!(world.read_all("d/b", 10).await.unwrap(), b"2");
}
