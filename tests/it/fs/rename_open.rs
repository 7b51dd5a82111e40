//! rename of what is open, being written, or just being published.

use std::ffi::OsStr;
use std::time::Duration;

use partfs::fs::{FsResult, InodeNo, OpenMode, RenameFlags};
use partfs::store::{ErrorKind, ObjectStore, Operation, PutOptions};

use crate::world::fs::{MAKER, PART, World};
use crate::world::{key, keys, pattern};

const WRITE: OpenMode = OpenMode { write: true, truncate: false };

async fn rename(world: &World, from: &str, to: &str) -> FsResult<()> {
    let from = world.place(from).await?;
    let to = world.place(to).await?;
    world.fs.rename(from, to, RenameFlags::default()).await
}

#[tokio::test]
async fn what_an_unpublished_file_replaced_does_not_come_back() {
    let world = World::new();
    world.put("old", b"old").await.unwrap();
    let (_, handle) = world.create("new").await.unwrap();
    world.write_at(handle, 0, b"new").await.unwrap();
    rename(&world, "new", "old").await.unwrap();
    world.fs.unlink(InodeNo::ROOT, OsStr::new("old")).await.unwrap();
    world.close(handle).await.unwrap();
    assert!(keys(&world.bucket).is_empty());
}

#[tokio::test]
async fn a_source_that_cannot_be_deleted_is_still_seen() {
    let world = World::new();
    world.put("a", b"content").await.unwrap();
    world.fs.list_names(InodeNo::ROOT).await.unwrap();
    world.store.fail(Operation::Delete, 0, ErrorKind::AccessDenied);
    assert!(rename(&world, "a", "b").await.is_err());
    world.store.heal();
    assert_eq!(world.read_all("a", 10).await.unwrap(), b"content");
}

#[tokio::test]
async fn files_open_below_a_renamed_directory_go_on() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    // Uploads, because their copies have other ETags.
    let content = pattern(1, 5 * PART as usize);
    for name in ["d/read", "d/write"] {
        world.put(name, &content).await.unwrap();
    }
    let reader = world.open("d/read", OpenMode::default()).await.unwrap();
    let writer = world.open("d/write", WRITE).await.unwrap();
    rename(&world, "d", "e").await.unwrap();
    assert_eq!(world.read_handle(reader, 100).await.unwrap(), content);
    world.write_at(writer, 7, b"changed").await.unwrap();
    world.close(writer).await.unwrap();
    let mut expected = content.clone();
    expected[7..14].copy_from_slice(b"changed");
    assert_eq!(world.object("e/write").await.unwrap(), expected);
    assert_eq!(keys(&world.bucket), ["e/", "e/read", "e/write"]);
}

#[tokio::test]
async fn files_made_and_written_while_their_directory_moves_arrive() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    world.put("d/first", b"1").await.unwrap();
    let (_, early) = world.create("d/early").await.unwrap();
    world.write_at(early, 0, b"early").await.unwrap();
    let d = world.walk("d").await.unwrap();
    let gate = world.store.hold(Operation::Copy);
    let moving = {
        let fs = world.fs.clone();
        let (from, to) = ((InodeNo::ROOT, OsStr::new("d")), (InodeNo::ROOT, OsStr::new("e")));
        tokio::spawn(async move { fs.rename(from, to, RenameFlags::default()).await })
    };
    gate.answered().await;
    // The tree has been listed. One file is written on, one is made and streams, one is made and
    // closed.
    let content = pattern(2, 5 * PART as usize);
    world.write_at(early, 5, &content).await.unwrap();
    let mode = OpenMode { write: true, truncate: false };
    let create = async |name: &str| {
        let made = world.fs.create(d, OsStr::new(name), MAKER, mode, false).await.unwrap();
        made.1.handle
    };
    let streaming = create("streaming").await;
    world.write_at(streaming, 0, &content).await.unwrap();
    let closed = create("closed").await;
    world.write_at(closed, 0, b"closed").await.unwrap();
    world.close(closed).await.unwrap();
    gate.open();
    moving.await.unwrap().unwrap();
    world.close(early).await.unwrap();
    world.close(streaming).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    let expected = ["e/", "e/closed", "e/early", "e/first", "e/streaming"];
    assert_eq!(keys(&world.bucket), expected);
    assert_eq!(world.object("e/early").await.unwrap(), [&b"early"[..], &content].concat());
    assert_eq!(world.object("e/streaming").await.unwrap(), content);
    assert_eq!(world.read_all("e/closed", 10).await.unwrap(), b"closed");
}

#[tokio::test]
async fn a_directory_moves_while_its_files_are_being_copied() {
    // To a file outside of the directory, and to one in it.
    for to in ["b", "d/b"] {
        let world = World::new();
        let content = pattern(1, 9 * PART as usize);
        let options = PutOptions::default();
        world.store.put(&key("d/a"), content.clone().into(), &options).await.unwrap();
        let from = world.open("d/a", OpenMode::default()).await.unwrap();
        let (_, copy) = world.create(to).await.unwrap();
        // The rename has looked for copies, and gives the directory its marker.
        let gate = world.store.hold(Operation::Put);
        let copied = async {
            gate.answered().await;
            world.copy((from, 0), (copy, 0), 9 * PART).await.unwrap();
            gate.open();
        };
        let (moved, ()) = tokio::join!(rename(&world, "d", "e"), copied);
        moved.unwrap();
        world.close(copy).await.unwrap();
        let expected = if to == "b" { vec!["b", "e/", "e/a"] } else { vec!["e/", "e/a", "e/b"] };
        assert_eq!(keys(&world.bucket), expected);
        for name in expected.iter().filter(|name| !name.ends_with('/')) {
            assert!(world.object(name).await.unwrap() == content, "{name}");
        }
        assert!(world.read_handle(from, 500).await.unwrap() == content, "the reader follows");
    }
}
