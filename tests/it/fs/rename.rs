//! rename of files and directories, in every role.

use std::ffi::OsStr;
use std::time::{Duration, UNIX_EPOCH};

use partfs::fs::{FsResult, InodeNo, Meaning, OpenMode, RenameFlags, SetAttr};
use partfs::store::fault::What;
use partfs::store::{ErrorKind, Key, ObjectStore, Operation, PutOptions};

use crate::world::fs::{MAKER, PART, World};
use crate::world::{keys, pattern};

async fn rename(world: &World, from: &str, to: &str, flags: RenameFlags) -> FsResult<()> {
    let from = world.place(from).await?;
    let to = world.place(to).await?;
    world.fs.rename(from, to, flags).await
}

const PLAIN: RenameFlags = RenameFlags { no_replace: false, unsupported: false };

#[tokio::test]
async fn a_file_moves_and_replaces() {
    let world = World::new();
    world.put("a", b"new").await.unwrap();
    world.put("b", b"old").await.unwrap();
    let no_replace = RenameFlags { no_replace: true, unsupported: false };
    let refused = rename(&world, "a", "b", no_replace).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::Exists);
    let refused = rename(&world, "a", "b", RenameFlags { unsupported: true, ..PLAIN }).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::Invalid);
    rename(&world, "a", "b", PLAIN).await.unwrap();
    assert_eq!(keys(&world.bucket), ["b"]);
    assert_eq!(world.read_all("b", 10).await.unwrap(), b"new");
    assert_eq!(world.walk("a").await.unwrap_err().meaning(), Meaning::NotFound);
}

#[tokio::test]
async fn what_rsync_does_to_a_file_is_one_put_one_copy_one_delete() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    world.walk("d").await.unwrap();
    let before = world.bucket.requests();
    world.put("d/.f.x7Yz", b"content").await.unwrap();
    let ino = world.walk("d/.f.x7Yz").await.unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    let changes = SetAttr { mode: Some(0o600), mtime: Some(time), ..SetAttr::default() };
    world.fs.setattr(ino, None, changes).await.unwrap();
    rename(&world, "d/.f.x7Yz", "d/f", PLAIN).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    let spent: Vec<_> = world
        .bucket
        .requests()
        .into_iter()
        .map(|(operation, count)| (operation, count - before.get(&operation).unwrap_or(&0)))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(spent.len(), 3, "{spent:?}");
    for operation in [Operation::Put, Operation::Copy, Operation::Delete] {
        assert!(spent.contains(&(operation, 1)), "{spent:?}");
    }
    let fresh = world.fresh();
    let ino = fresh.walk("d/f").await.unwrap();
    let attr = fresh.fs.getattr(ino).await.unwrap().attr;
    assert_eq!((attr.mtime, attr.permissions), (time, 0o600));
}

#[tokio::test]
async fn a_directory_moves_with_everything_below() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    for index in 0..25 {
        world.put(&format!("d/f{index:02}"), &pattern(index, 70)).await.unwrap();
    }
    let sub = world.walk("d").await.unwrap();
    world.fs.mkdir(sub, OsStr::new("e"), MAKER).await.unwrap();
    world.put("d/e/deep", b"deep").await.unwrap();
    let (_, open) = world.create("d/e/open").await.unwrap();
    world.write_at(open, 0, &pattern(99, 3 * PART as usize)).await.unwrap();
    let refused = rename(&world, "d", "d/e/inside", PLAIN).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::Invalid);
    rename(&world, "d", "moved", PLAIN).await.unwrap();
    world.write_at(open, 3 * PART, b"more").await.unwrap();
    world.close(open).await.unwrap();
    assert!(keys(&world.bucket).iter().all(|key| key.starts_with("moved/")));
    assert_eq!(world.read_all("moved/e/deep", 10).await.unwrap(), b"deep");
    assert_eq!(world.read_all("moved/f24", 100).await.unwrap(), pattern(24, 70));
    let mut expected = pattern(99, 3 * PART as usize);
    expected.extend_from_slice(b"more");
    assert_eq!(world.object("moved/e/open").await.unwrap(), expected);
    assert_eq!(world.walk("d").await.unwrap_err().meaning(), Meaning::NotFound);
}

#[tokio::test]
async fn a_directory_replaces_only_an_empty_one() {
    let world = World::new();
    for name in ["a", "empty", "full"] {
        world.fs.mkdir(InodeNo::ROOT, OsStr::new(name), MAKER).await.unwrap();
    }
    world.put("a/x", b"x").await.unwrap();
    world.put("full/y", b"y").await.unwrap();
    world.put("file", b"z").await.unwrap();
    let refused = rename(&world, "a", "full", PLAIN).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::NotEmpty);
    let refused = rename(&world, "a", "file", PLAIN).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::NotDirectory);
    let refused = rename(&world, "file", "a", PLAIN).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::IsDirectory);
    rename(&world, "a", "empty", PLAIN).await.unwrap();
    assert_eq!(world.read_all("empty/x", 10).await.unwrap(), b"x");
}

#[tokio::test]
async fn an_open_file_follows_its_name() {
    let world = World::new();
    let content = pattern(1, 6 * PART as usize);
    let half = content.len() / 2;
    let (_, handle) = world.create("old").await.unwrap();
    world.write_at(handle, 0, &content[..half]).await.unwrap();
    rename(&world, "old", "new", PLAIN).await.unwrap();
    world.write_at(handle, half as u64, &content[half..]).await.unwrap();
    world.close(handle).await.unwrap();
    assert_eq!(keys(&world.bucket), ["new"]);
    assert_eq!(world.object("new").await.unwrap(), content);
}

#[tokio::test]
async fn a_file_that_nobody_stored_yet_is_renamed_without_a_request() {
    let world = World::new();
    let root = world.fs.list_names(InodeNo::ROOT).await.unwrap();
    assert!(root.is_empty());
    let (_, handle) = world.create("old").await.unwrap();
    world.write_at(handle, 0, b"12").await.unwrap();
    let before = world.requests();
    rename(&world, "old", "new", PLAIN).await.unwrap();
    assert_eq!(world.requests(), before);
    world.close(handle).await.unwrap();
    assert_eq!(keys(&world.bucket), ["new"]);
}

#[tokio::test]
async fn readers_of_both_files_go_on() {
    let world = World::new();
    let content = pattern(1, 30 * PART as usize);
    world.put("a", &content).await.unwrap();
    world.put("b", b"replaced").await.unwrap();
    let reader = world.open("a", OpenMode::default()).await.unwrap();
    assert_eq!(world.fs.read(reader, 0, 10).await.unwrap(), content[..10]);
    rename(&world, "a", "b", PLAIN).await.unwrap();
    assert_eq!(world.read_handle(reader, 500).await.unwrap(), content);
}

#[tokio::test]
async fn a_rename_that_fails_leaves_the_source() {
    let world = World::new();
    world.put("d/a", b"1").await.unwrap_err();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    world.put("d/a", b"1").await.unwrap();
    world.put("d/b", b"2").await.unwrap();
    world.store.fail(Operation::Copy, 1, ErrorKind::Unavailable);
    assert!(rename(&world, "d", "e", PLAIN).await.is_err());
    assert_eq!(world.read_all("d/a", 10).await.unwrap(), b"1");
    assert_eq!(world.read_all("d/b", 10).await.unwrap(), b"2");
    world.store.heal();
    // What was copied already was taken back.
    rename(&world, "d", "e", PLAIN).await.unwrap();
    assert_eq!(world.read_all("e/b", 10).await.unwrap(), b"2");
}

/// Services give copies the standard class unless they are told another.
#[tokio::test]
async fn renames_keep_the_storage_class() {
    let world = World::new();
    let storage_class = Some("COLD".to_owned());
    let options = PutOptions { storage_class: storage_class.clone(), ..PutOptions::default() };
    for name in ["f", "d/inside"] {
        world.store.put(&Key::new(name).unwrap(), b"x".to_vec().into(), &options).await.unwrap();
    }
    for (from, to) in [("f", "g"), ("d", "e")] {
        rename(&world, from, to, PLAIN).await.unwrap();
    }
    for name in ["g", "e/inside"] {
        let info = world.store.head(&Key::new(name).unwrap()).await.unwrap();
        assert_eq!(info.storage_class, storage_class, "{name}");
    }
}

/// The copy is there; before the source goes, another mount puts something new in its place.
#[tokio::test]
async fn a_file_that_another_mount_makes_under_the_old_name_stays() {
    let world = World::new();
    world.put("a", b"old").await.unwrap();
    let gate = world.store.hold(Operation::Copy);
    let fs = world.fs.clone();
    let moving = tokio::spawn(async move {
        let (from, to) = ((InodeNo::ROOT, OsStr::new("a")), (InodeNo::ROOT, OsStr::new("b")));
        fs.rename(from, to, RenameFlags::default()).await
    });
    gate.answered().await;
    let other = world.fresh();
    other.put("a", b"new").await.unwrap();
    gate.open();
    moving.await.unwrap().unwrap();
    assert_eq!(world.object("b").await.unwrap(), b"old");
    assert_eq!(world.object("a").await.unwrap(), b"new");
    assert_eq!(world.read_all("a", 10).await.unwrap(), b"new");
    assert_eq!(world.read_all("b", 10).await.unwrap(), b"old");
}

/// Its copy has another ETag, and is taken back.
#[tokio::test]
async fn a_file_that_appeared_while_its_directory_could_not_be_renamed_is_readable() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    world.put("d/first", b"1").await.unwrap();
    let gate = world.store.hold(Operation::Copy);
    let fs = world.fs.clone();
    let moving = tokio::spawn(async move {
        let (from, to) = ((InodeNo::ROOT, OsStr::new("d")), (InodeNo::ROOT, OsStr::new("e")));
        fs.rename(from, to, RenameFlags::default()).await
    });
    gate.answered().await;
    // Made of parts, so that a copy has another ETag.
    let content = pattern(1, 5 * PART as usize);
    world.put("d/late", &content).await.unwrap();
    let reader = world.open("d/late", OpenMode::default()).await.unwrap();
    world.put("d/later", b"2").await.unwrap();
    // Two objects are being copied already; `late` is copied, `later` is not.
    world.store.fail(Operation::Copy, 1, ErrorKind::AccessDenied);
    gate.open();
    assert!(moving.await.unwrap().is_err());
    world.store.heal();
    assert_eq!(world.read_handle(reader, 100).await.unwrap(), content);
    assert_eq!(keys(&world.bucket), ["d/", "d/first", "d/late", "d/later"]);
}

/// More than one request removes. The first that fails has tried long, so no other follows it.
#[tokio::test]
async fn a_rename_whose_deletes_fail_is_finished_by_the_same_call() {
    const OBJECTS: usize = 2100;
    let world = World::new();
    for number in 0..OBJECTS {
        let key = Key::new(format!("d/{number}")).unwrap();
        world.store.put(&key, b"x".to_vec().into(), &PutOptions::default()).await.unwrap();
    }
    world.store.fail(Operation::DeleteMany, 0, ErrorKind::Timeout);
    let failed = rename(&world, "d", "e", PLAIN).await;
    assert_eq!(failed.unwrap_err().meaning(), Meaning::TimedOut);
    let deletes = world.store.events().into_iter().filter(|event| {
        event.operation == Operation::DeleteMany && matches!(event.what, What::Arrived(_))
    });
    assert_eq!(deletes.count(), 1);
    world.store.heal();
    rename(&world, "d", "e", PLAIN).await.unwrap();
    let keys = keys(&world.bucket);
    assert!(keys.iter().all(|key| key.starts_with("e/")), "{:?}", keys.first());
    assert_eq!(keys.iter().filter(|key| *key != "e/").count(), OBJECTS);
}
