//! Uploads that end before the close: whoever reads back what was sent and is no longer in memory makes
//! the writer publish it.

use std::ffi::OsStr;
use std::time::Duration;

use partfs::fs::{HandleNo, InodeNo, OpenMode, RenameFlags, SetAttr};
use partfs::store::{ObjectStore, Operation};

use crate::world::fs::{PART, World};
use crate::world::{key, keys, pattern};

/// A file of five parts of which the first was read back, so that an object is in the bucket.
async fn published_early(world: &World) -> (InodeNo, HandleNo, Vec<u8>) {
    let content = pattern(1, 5 * PART as usize);
    let (ino, handle) = world.create("f").await.unwrap();
    world.write_at(handle, 0, &content).await.unwrap();
    world.need_all_memory().await;
    assert_eq!(&world.fs.read(handle, 0, 8).await.unwrap()[..], &content[..8]);
    assert_eq!(world.bucket.requests_of(Operation::CompleteUpload), 1);
    (ino, handle, content)
}

#[tokio::test]
async fn a_removed_file_stays_away() {
    let world = World::new();
    let (_, handle, _) = published_early(&world).await;
    world.fs.unlink(InodeNo::ROOT, OsStr::new("f")).await.unwrap();
    world.close(handle).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    assert!(keys(&world.bucket).is_empty());
}

#[tokio::test]
async fn a_file_removed_while_its_upload_completes_stays_away() {
    let world = World::new();
    let content = pattern(1, 5 * PART as usize);
    let (_, handle) = world.create("f").await.unwrap();
    world.write_at(handle, 0, &content).await.unwrap();
    world.need_all_memory().await;
    let gate = world.store.hold(Operation::CompleteUpload);
    let reads = {
        let fs = world.fs.clone();
        tokio::spawn(async move { fs.read(handle, 0, 8).await })
    };
    gate.answered().await;
    let removal = {
        let fs = world.fs.clone();
        tokio::spawn(async move { fs.unlink(InodeNo::ROOT, OsStr::new("f")).await })
    };
    // Whatever the removal does before it must wait for the upload, it has done by then.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.open();
    removal.await.unwrap().unwrap();
    let _ = reads.await.unwrap();
    world.close(handle).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    assert!(keys(&world.bucket).is_empty());
}

#[tokio::test]
async fn a_renamed_file_leaves_nothing_behind() {
    for more in [false, true] {
        let world = World::new();
        let (_, handle, mut content) = published_early(&world).await;
        if more {
            world.write_at(handle, 3, b"changed").await.unwrap();
            content[3..10].copy_from_slice(b"changed");
        }
        let names = ((InodeNo::ROOT, OsStr::new("f")), (InodeNo::ROOT, OsStr::new("g")));
        world.fs.rename(names.0, names.1, RenameFlags::default()).await.unwrap();
        world.close(handle).await.unwrap();
        assert_eq!(keys(&world.bucket), ["g"], "changed again: {more}");
        assert_eq!(world.object("g").await.unwrap(), content);
    }
}

#[tokio::test]
async fn attributes_set_after_it_are_stored() {
    let world = World::new();
    let (ino, handle, _) = published_early(&world).await;
    let mode = SetAttr { mode: Some(0o604), ..SetAttr::default() };
    world.fs.setattr(ino, Some(handle), mode).await.unwrap();
    world.close(handle).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    let info = world.store.head(&key("f")).await.unwrap();
    assert_eq!(info.metadata.get("mode"), Some("33156"), "{:?}", info.metadata);
}

#[tokio::test]
async fn readers_see_it_after_the_close() {
    let world = World::new();
    world.put("f", b"old").await.unwrap();
    let reader = world.open("f", OpenMode::default()).await.unwrap();
    assert_eq!(world.read_handle(reader, 10).await.unwrap(), b"old");
    let content = pattern(2, 5 * PART as usize);
    let mode = OpenMode { write: true, truncate: true };
    let handle = world.open("f", mode).await.unwrap();
    world.write_at(handle, 0, &content).await.unwrap();
    world.fs.fsync(handle).await.unwrap();
    world.close(handle).await.unwrap();
    assert_eq!(world.read_handle(reader, 100).await.unwrap(), content);
}
