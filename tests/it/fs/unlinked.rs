//! Files without a name: as long as anybody has one open its bytes are there, and nobody else sees them.

use std::ffi::OsStr;
use std::time::Duration;

use partfs::fs::{Allocate, HandleNo, InodeNo, Meaning, OpenMode, RenameFlags};

use crate::world::fs::{PART, World};
use crate::world::{keys, pattern};

const READ: OpenMode = OpenMode { write: false, truncate: false };
const WRITE: OpenMode = OpenMode { write: true, truncate: false };
const CUT: OpenMode = OpenMode { write: true, truncate: true };

#[tokio::test]
async fn an_unlinked_open_file_is_never_published() {
    let world = World::new();
    let (_, handle) = world.create("t").await.unwrap();
    world.write_at(handle, 0, b"before").await.unwrap();
    world.fs.unlink(InodeNo::ROOT, OsStr::new("t")).await.unwrap();
    world.write_at(handle, 6, b" after").await.unwrap();
    assert_eq!(world.read_handle(handle, 100).await.unwrap(), b"before after");
    world.close(handle).await.unwrap();
    world.fs.drain(std::time::Duration::from_secs(5)).await;
    assert!(keys(&world.bucket).is_empty());
}

/// A new file without a name, with what was written to it and the only handle.
async fn nameless(world: &World, content: &[u8]) -> (InodeNo, HandleNo) {
    let (ino, handle) = world.create("t").await.unwrap();
    world.fs.unlink(InodeNo::ROOT, OsStr::new("t")).await.unwrap();
    world.write_at(handle, 0, content).await.unwrap();
    (ino, handle)
}

#[tokio::test]
async fn the_bytes_live_until_the_last_handle_of_any_kind() {
    for len in [10, 5 * PART as usize] {
        let world = World::new();
        let content = pattern(1, len);
        let (ino, writer) = nameless(&world, &content).await;
        let reader = world.fs.open(ino, READ, 0).await.unwrap().handle;
        world.close(writer).await.unwrap();
        world.fs.quiet().await;
        assert_eq!(world.read_handle(reader, 50).await.unwrap(), content);
        // As through /proc/self/fd: the inode is opened again, without a name.
        let again = world.fs.open(ino, WRITE, 0).await.unwrap().handle;
        world.write_at(again, len as u64, b"more").await.unwrap();
        world.fs.fsync(again).await.unwrap();
        world.close(again).await.unwrap();
        world.fs.quiet().await;
        let more = [&content[..], b"more"].concat();
        assert_eq!(world.read_handle(reader, 50).await.unwrap(), more);
        assert_eq!(world.fs.getattr(ino).await.unwrap().attr.size, more.len() as u64);
        world.close(reader).await.unwrap();
        world.fs.quiet().await;
        assert_eq!(world.fs.drain(Duration::from_secs(5)).await, Default::default());
        assert_eq!(keys(&world.bucket), [""; 0]);
        assert_eq!(world.bucket.effects().len(), 0, "nothing of it was ever sent");
    }
}

#[tokio::test]
async fn the_bytes_go_with_the_last_handle() {
    let world = World::new();
    let free = world.free_memory();
    let (ino, writer) = nameless(&world, b"in memory").await;
    let readers = [
        world.fs.open(ino, READ, 0).await.unwrap().handle,
        world.fs.open(ino, READ, 0).await.unwrap().handle,
    ];
    assert!(world.free_memory() < free);
    for handle in [writer, readers[0]] {
        world.close(handle).await.unwrap();
        world.fs.quiet().await;
        assert!(world.free_memory() < free);
    }
    world.close(readers[1]).await.unwrap();
    world.fs.quiet().await;
    assert_eq!(world.free_memory(), free);
}

#[tokio::test]
async fn a_reader_alone_keeps_it_through_cuts_and_holes() {
    let world = World::new();
    let (ino, writer) = nameless(&world, b"0123456789").await;
    let reader = world.fs.open(ino, READ, 0).await.unwrap().handle;
    world.close(writer).await.unwrap();
    world.fs.quiet().await;
    let again = world.fs.open(ino, WRITE, 0).await.unwrap().handle;
    world.fs.allocate(again, 2, 3, Allocate::Punch).await.unwrap();
    world.fs.allocate(again, 0, 12, Allocate::Grow).await.unwrap();
    world.close(again).await.unwrap();
    world.fs.quiet().await;
    assert_eq!(world.read_handle(reader, 50).await.unwrap(), b"01\x00\x00\x0056789\x00\x00");
    let cut = world.fs.open(ino, CUT, 0).await.unwrap().handle;
    world.write_at(cut, 0, b"new").await.unwrap();
    world.close(cut).await.unwrap();
    world.fs.quiet().await;
    assert_eq!(world.read_handle(reader, 50).await.unwrap(), b"new");
    assert_eq!(world.bucket.effects().len(), 0);
}

#[tokio::test]
async fn a_file_that_was_replaced_lives_on_too() {
    let world = World::new();
    world.put("other", b"other").await.unwrap();
    let (ino, writer) = world.create("t").await.unwrap();
    world.write_at(writer, 0, b"mine").await.unwrap();
    let reader = world.fs.open(ino, READ, 0).await.unwrap().handle;
    let (from, to) = ((InodeNo::ROOT, OsStr::new("other")), (InodeNo::ROOT, OsStr::new("t")));
    world.fs.rename(from, to, RenameFlags::default()).await.unwrap();
    world.close(writer).await.unwrap();
    world.fs.quiet().await;
    assert_eq!(world.read_handle(reader, 50).await.unwrap(), b"mine");
    world.close(reader).await.unwrap();
    world.fs.quiet().await;
    assert_eq!(world.object("t").await.unwrap(), b"other");
}

#[tokio::test]
async fn bytes_that_only_the_bucket_has_go_with_the_object() {
    let world = World::new();
    world.put("t", b"stored").await.unwrap();
    let reader = world.open("t", READ).await.unwrap();
    world.fs.unlink(InodeNo::ROOT, OsStr::new("t")).await.unwrap();
    let read = world.fs.read(reader, 0, 6).await;
    assert_eq!(read.unwrap_err().meaning(), Meaning::Stale);
}
