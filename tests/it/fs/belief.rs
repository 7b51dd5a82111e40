//! What is believed of the bucket, and for how long: nothing stale wins over what is newer.

use std::ffi::OsStr;
use std::time::Duration;

use partfs::fs::{InodeNo, OpenMode, SetAttr};
use partfs::store::{ErrorKind, ObjectStore, Operation, PutOptions};

use crate::world::fs::{MAKER, World};
use crate::world::{key, pattern};

const WRITE: OpenMode = OpenMode { write: true, truncate: false };

async fn mode_in_listing(world: &World, name: &str) -> u32 {
    let handle = world.fs.opendir(InodeNo::ROOT).unwrap();
    let items = world.fs.readdir(handle, 0, true).await.unwrap();
    world.fs.releasedir(handle);
    items.iter().find(|item| &*item.name == name).unwrap().entry.attr.permissions
}

#[tokio::test(start_paused = true)]
async fn attributes_that_others_changed_show_in_listings_after_a_while() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    assert_eq!(mode_in_listing(&world, "f").await, 0o640);
    // The same bytes, so the same ETag, with another mode.
    let other = world.fresh();
    let ino = other.walk("f").await.unwrap();
    let mode = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    other.fs.setattr(ino, None, mode).await.unwrap();
    other.fs.drain(Duration::from_secs(5)).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(mode_in_listing(&world, "f").await, 0o600);
}

#[tokio::test]
async fn an_answer_older_than_our_change_of_attributes_is_not_believed() {
    let world = World::new();
    let object = key("f");
    world.store.put(&object, pattern(1, 9).into(), &PutOptions::default()).await.unwrap();
    let ino = world.walk("f").await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    // An open asks the bucket; before it has the answer, the mode is changed and stored.
    let gate = world.store.hold(Operation::Head);
    let open = {
        let fs = world.fs.clone();
        tokio::spawn(async move { fs.open(ino, OpenMode::default(), 0).await })
    };
    gate.answered().await;
    let mode = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    world.fs.setattr(ino, None, mode).await.unwrap();
    let handle = world.open("f", WRITE).await.unwrap();
    world.fs.fsync(handle).await.unwrap();
    assert_eq!(world.bucket.requests_of(Operation::Copy), 1);
    gate.open();
    open.await.unwrap().unwrap();
    let attr = world.fs.getattr(ino).await.unwrap().attr;
    assert_eq!(attr.permissions, 0o600);
}

#[tokio::test]
async fn bytes_of_a_failed_write_do_not_stay_in_the_page_cache() {
    let world = World::new();
    world.put("f", b"old").await.unwrap();
    let ino = world.walk("f").await.unwrap();
    let reader = world.fs.open(ino, OpenMode::default(), 0).await.unwrap();
    let writer = world.open("f", WRITE).await.unwrap();
    world.write_at(writer, 0, b"new").await.unwrap();
    assert_eq!(&world.fs.read(reader.handle, 0, 3).await.unwrap()[..], b"new");
    world.store.fail(Operation::Put, 0, ErrorKind::Unavailable);
    assert!(world.close(writer).await.is_err());
    world.fs.drain(Duration::from_secs(5)).await;
    world.store.heal();
    let again = world.fs.open(ino, OpenMode::default(), 0).await.unwrap();
    assert!(!again.keep_cache);
    assert_eq!(&world.fs.read(again.handle, 0, 3).await.unwrap()[..], b"old");
}

#[tokio::test]
async fn a_link_that_others_replaced_is_another_inode() {
    let world = World::new();
    let (root, name) = (InodeNo::ROOT, OsStr::new("l"));
    let ours = world.fs.symlink(root, name, OsStr::new("one"), MAKER).await.unwrap();
    let other = world.fresh();
    other.fs.unlink(root, name).await.unwrap();
    other.fs.symlink(root, name, OsStr::new("three"), MAKER).await.unwrap();
    // The kernel keeps the target of an inode as long as it knows the inode.
    world.fs.list_names(root).await.unwrap();
    mode_in_listing(&world, "l").await;
    let now = world.fs.lookup(root, name).await.unwrap();
    assert_ne!(now.ino, ours.ino);
    assert_eq!(&*world.fs.readlink(now.ino).await.unwrap(), "three");
}

#[tokio::test(start_paused = true)]
async fn a_directory_with_unpublished_files_stays_when_others_empty_it() {
    let world = World::new();
    world.store.put(&key("d/x"), pattern(1, 3).into(), &PutOptions::default()).await.unwrap();
    let (_, handle) = world.create("d/ours").await.unwrap();
    world.write_at(handle, 0, b"bytes").await.unwrap();
    world.store.delete(&key("d/x")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    world.walk("d").await.unwrap();
    world.close(handle).await.unwrap();
    assert_eq!(world.object("d/ours").await.unwrap(), b"bytes");
}
