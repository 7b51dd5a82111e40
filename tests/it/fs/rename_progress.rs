//! What the status file tells of a rename of a directory while it is under way.

use std::ffi::OsStr;

use partfs::fs::{FsResult, InodeNo, Meaning, OpenMode, RenameFlags};
use partfs::store::{ErrorKind, Operation};
use serde_json::{Value, json};

use crate::world::fs::World;

/// The renames that `.partfs/status.json` tells of.
async fn renames(world: &World) -> Value {
    let control = world.fs.try_lookup(InodeNo::ROOT, OsStr::new(".partfs")).unwrap().unwrap();
    let status = world.fs.try_lookup(control.ino, OsStr::new("status.json")).unwrap().unwrap();
    let opened = world.fs.try_open(status.ino, OpenMode::default(), 0).unwrap().unwrap();
    let text = world.read_handle(opened.handle, 100).await.unwrap();
    world.fs.release(opened.handle);
    serde_json::from_slice::<Value>(&text).unwrap()["renames"].clone()
}

/// A directory of four objects with 0, 1, 10 and 100 bytes, on a service whose pages have three.
async fn four_objects() -> World {
    let world = World::with_pages_of(3);
    let maker = crate::world::fs::MAKER;
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), maker).await.unwrap();
    for (name, len) in [("d/a", 1), ("d/b", 10), ("d/c", 100)] {
        world.put(name, &vec![b'x'; len]).await.unwrap();
    }
    world
}

async fn rename(world: &World) -> FsResult<()> {
    let (from, to) = ((InodeNo::ROOT, OsStr::new("d")), (InodeNo::ROOT, OsStr::new("e")));
    world.fs.rename(from, to, RenameFlags::default()).await
}

fn entry(phase: &str, objects: (u64, u64), bytes: (u64, u64), listed: bool) -> Value {
    json!([{
        "from": "d", "to": "e", "phase": phase, "listed": listed,
        "objects_done": objects.0, "objects_total": objects.1,
        "bytes_done": bytes.0, "bytes_total": bytes.1,
    }])
}

#[tokio::test]
async fn a_rename_shows_how_far_it_is_until_it_ends() {
    let world = four_objects().await;
    assert_eq!(renames(&world).await, json!([]));
    // The first copies are those of the first page; one of them does not end yet.
    let copy = world.store.hold(Operation::Copy);
    let delete = world.store.hold(Operation::DeleteMany);
    let looks = async {
        copy.answered().await;
        let held = renames(&world).await;
        assert_eq!(held[0]["phase"], "copying");
        assert_eq!((&held[0]["objects_total"], &held[0]["bytes_total"]), (&json!(3), &json!(11)));
        assert_eq!((&held[0]["from"], &held[0]["listed"]), (&json!("d"), &json!(false)));
        assert!(held[0]["objects_done"].as_u64().unwrap() < 3, "{held}");
        let list = world.store.hold(Operation::List);
        copy.open();
        list.answered().await;
        assert_eq!(renames(&world).await, entry("listing", (3, 3), (11, 11), false));
        let copy = world.store.hold(Operation::Copy);
        list.open();
        copy.answered().await;
        assert_eq!(renames(&world).await, entry("copying", (3, 4), (11, 111), true));
        copy.open();
        delete.answered().await;
        assert_eq!(renames(&world).await, entry("deleting", (0, 4), (111, 111), true));
        delete.open();
    };
    let (moved, ()) = tokio::join!(rename(&world), looks);
    moved.unwrap();
    assert_eq!(renames(&world).await, json!([]));
}

#[tokio::test]
async fn a_rename_that_fails_shows_that_it_takes_copies_back() {
    let world = four_objects().await;
    world.store.fail(Operation::Copy, 3, ErrorKind::AccessDenied);
    let delete = world.store.hold(Operation::DeleteMany);
    let looks = async {
        delete.answered().await;
        // The one that failed may be there all the same.
        assert_eq!(renames(&world).await, entry("undoing", (0, 4), (11, 111), true));
        delete.open();
    };
    let (failed, ()) = tokio::join!(rename(&world), looks);
    assert_eq!(failed.unwrap_err().meaning(), Meaning::AccessDenied);
    assert_eq!(renames(&world).await, json!([]));
}
