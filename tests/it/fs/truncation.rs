//! Sizes set without a handle, and by opening.

use partfs::fs::{InodeNo, Meaning, OpenMode, SetAttr};
use partfs::store::{ErrorKind, Operation};

use crate::world::fs::{PART, World};
use crate::world::pattern;

fn size(size: u64) -> SetAttr {
    SetAttr { size: Some(size), ..SetAttr::default() }
}

async fn ino(world: &World) -> InodeNo {
    world.walk("f").await.unwrap()
}

#[tokio::test]
async fn a_failed_truncation_leaves_the_old_file_readable() {
    let world = World::new();
    world.put("f", b"old content").await.unwrap();
    let f = ino(&world).await;
    world.store.fail(Operation::Put, 0, ErrorKind::Unavailable);
    let refused = world.fs.setattr(f, None, size(3)).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::Io);
    world.store.heal();
    assert_eq!(world.fs.getattr(ino(&world).await).await.unwrap().attr.size, 11);
    assert_eq!(world.read_all("f", 100).await.unwrap(), b"old content", "told already");
    world.put("f", b"new").await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), b"new");
}

#[tokio::test]
async fn a_truncation_publishes_nothing_of_a_file_that_somebody_is_writing() {
    let world = World::new();
    world.put("f", &pattern(1, 10)).await.unwrap();
    let f = ino(&world).await;
    let handle = world.open("f", OpenMode { write: true, truncate: true }).await.unwrap();
    world.write_at(handle, 0, b"half of").await.unwrap();
    world.fs.setattr(f, None, size(4)).await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), pattern(1, 10), "the writer is not done");
    world.close(handle).await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), b"half");
}

#[tokio::test]
async fn a_truncation_that_meets_the_last_close_is_not_lost() {
    let world = World::new();
    let (f, handle) = world.create("f").await.unwrap();
    world.write_at(handle, 0, &pattern(1, 3 * PART as usize)).await.unwrap();
    world.fs.fsync(handle).await.unwrap();
    // The truncation fetches what it keeps; meanwhile the only handle goes.
    let gate = world.store.hold(Operation::Get);
    let fs = world.fs.clone();
    let cut = tokio::spawn(async move { fs.setattr(f, None, size(5)).await });
    gate.answered().await;
    world.close(handle).await.unwrap();
    gate.open();
    cut.await.unwrap().unwrap();
    assert_eq!(world.object("f").await.unwrap().len(), 5);
}

#[tokio::test]
async fn opening_for_reading_with_truncation_is_a_change() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    let handle = world.open("f", OpenMode { write: false, truncate: true }).await.unwrap();
    world.close(handle).await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), b"");
    assert_eq!(world.fresh().read_all("f", 10).await.unwrap(), b"");
}
