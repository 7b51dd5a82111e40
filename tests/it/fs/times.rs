//! Times that change with names, and the count of names of what was removed.

use std::ffi::OsStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use partfs::fs::attr::Attr;
use partfs::fs::{InodeNo, RenameFlags, SetAttr};
use partfs::store::Operation;

use crate::world::fs::{MAKER, World};

const LONG_AGO: SystemTime = UNIX_EPOCH;

async fn attr(world: &World, ino: InodeNo) -> Attr {
    world.fs.getattr(ino).await.unwrap().attr
}

/// Sets the time of a directory back, does something, and says whether the time is another one.
async fn changes(world: &World, ino: InodeNo, what: impl AsyncFnOnce()) -> bool {
    let set = SetAttr { mtime: Some(LONG_AGO), ..SetAttr::default() };
    world.fs.setattr(ino, None, set).await.unwrap();
    let before = attr(world, ino).await;
    assert_eq!(before.mtime, LONG_AGO, "what is set counts, until names change");
    what().await;
    let after = attr(world, ino).await;
    assert_eq!(after.mtime > before.mtime, after.ctime > before.ctime);
    after.mtime > before.mtime
}

/// Programs that remember what is in a directory (Python's import) look at its time.
#[tokio::test]
async fn names_that_come_and_go_change_the_time_of_the_directory() {
    let world = World::new();
    let (fs, name) = (&world.fs, OsStr::new);
    fs.mkdir(InodeNo::ROOT, name("d"), MAKER).await.unwrap();
    fs.mkdir(InodeNo::ROOT, name("e"), MAKER).await.unwrap();
    let d = world.walk("d").await.unwrap();
    let e = world.walk("e").await.unwrap();
    assert!(changes(&world, d, async || world.put("d/f", b"new").await.unwrap()).await);
    assert!(!changes(&world, d, async || world.put("d/f", b"rewritten").await.unwrap()).await);
    let made = async || {
        fs.mkdir(d, name("s"), MAKER).await.unwrap();
    };
    assert!(changes(&world, d, made).await);
    assert!(changes(&world, d, async || fs.rmdir(d, name("s")).await.unwrap()).await);
    let moved = async || {
        fs.rename((d, name("f")), (e, name("f")), RenameFlags::default()).await.unwrap();
    };
    assert!(changes(&world, d, moved).await);
    let back = async || {
        fs.rename((e, name("f")), (d, name("f")), RenameFlags::default()).await.unwrap();
    };
    assert!(changes(&world, d, back).await);
    assert!(changes(&world, d, async || fs.unlink(d, name("f")).await.unwrap()).await);
}

#[tokio::test]
async fn the_time_that_names_give_to_a_directory_is_not_stored() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    let d = world.walk("d").await.unwrap();
    let made = attr(&world, d).await.mtime;
    let stored = world.bucket.requests_of(Operation::Put);
    world.put("d/f", b"new").await.unwrap();
    assert!(attr(&world, d).await.mtime > made);
    world.fs.drain(Duration::from_secs(5)).await;
    assert_eq!(world.bucket.requests_of(Operation::Put), stored + 1, "the file alone");
    let fresh = world.fresh();
    let d = fresh.walk("d").await.unwrap();
    assert_eq!(attr(&fresh, d).await.mtime, made);
}

#[tokio::test]
async fn a_rename_changes_the_ctime_and_not_the_mtime() {
    let world = World::new();
    world.put("a", b"content").await.unwrap();
    let ino = world.walk("a").await.unwrap();
    let before = attr(&world, ino).await;
    let (root, flags) = (InodeNo::ROOT, RenameFlags::default());
    world.fs.rename((root, OsStr::new("a")), (root, OsStr::new("b")), flags).await.unwrap();
    let after = attr(&world, ino).await;
    assert!(after.ctime > before.ctime);
    assert_eq!(after.mtime, before.mtime);
}

#[tokio::test]
async fn an_open_file_that_was_removed_or_replaced_has_no_name() {
    let world = World::new();
    for removed in [true, false] {
        let (ino, handle) = world.create("f").await.unwrap();
        assert_eq!(attr(&world, ino).await.links, 1);
        if removed {
            world.fs.unlink(InodeNo::ROOT, OsStr::new("f")).await.unwrap();
        } else {
            world.put("g", b"other").await.unwrap();
            let (root, flags) = (InodeNo::ROOT, RenameFlags::default());
            world.fs.rename((root, OsStr::new("g")), (root, OsStr::new("f")), flags).await.unwrap();
        }
        assert_eq!(attr(&world, ino).await.links, 0);
        world.close(handle).await.unwrap();
    }
}
