//! Directories larger than a page, changing, and failing.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use partfs::fs::{InodeNo, Meaning};
use partfs::store::{ErrorKind, ObjectStore, Operation, PutOptions};

use crate::world::fs::World;
use crate::world::key;

async fn fill(world: &World, count: usize) {
    for index in 0..count {
        let options = PutOptions::default();
        let name = key(&format!("d/f{index:03}"));
        world.store.put(&name, vec![b'x'; index].into(), &options).await.unwrap();
    }
}

#[tokio::test]
async fn every_entry_of_many_pages_is_told_once() {
    let world = World::new();
    fill(&world, 95).await;
    let d = world.walk("d").await.unwrap();
    let (_, unsaved) = world.create("d/f050a").await.unwrap();
    let names = world.fs.list_names(d).await.unwrap();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!((names.len(), distinct.len()), (96, 96), "a file not stored yet is told too");
    world.close(unsaved).await.unwrap();
    let names = world.fs.list_names(d).await.unwrap();
    assert_eq!(names.len(), 96);
}

#[tokio::test]
async fn a_listing_answers_lookups_and_shows_what_is_absent() {
    let world = World::new();
    fill(&world, 12).await;
    let d = world.walk("d").await.unwrap();
    let handle = world.fs.opendir(d).unwrap();
    let mut offset = 0;
    loop {
        let items = world.fs.readdir(handle, offset, true).await.unwrap();
        let Some(last) = items.last() else { break };
        offset = last.next_offset;
    }
    let before = world.requests();
    let known = world.fs.try_lookup(d, OsStr::new("f003")).unwrap().unwrap();
    assert_eq!(known.attr.size, 3);
    assert!(world.fs.try_lookup(d, OsStr::new("absent")).unwrap().is_err());
    assert_eq!(world.requests(), before);
    // The second time nothing has to be asked of each object.
    let heads = world.bucket.requests_of(Operation::Head);
    let handle = world.fs.opendir(d).unwrap();
    world.fs.readdir(handle, 0, true).await.unwrap();
    assert_eq!(world.bucket.requests_of(Operation::Head), heads);
}

#[tokio::test]
async fn a_stream_can_go_back() {
    let world = World::new();
    fill(&world, 35).await;
    let d = world.walk("d").await.unwrap();
    let handle = world.fs.opendir(d).unwrap();
    let mut seen = Vec::new();
    let mut offset = 0;
    loop {
        let items = world.fs.readdir(handle, offset, false).await.unwrap();
        let Some(last) = items.last() else { break };
        offset = last.next_offset;
        seen.extend(items.iter().map(|item| (item.name.clone(), item.next_offset)));
    }
    assert_eq!(seen.len(), 37, "with . and ..");
    for index in [20, 5, 36, 0] {
        let from = seen[index].1 - 1;
        let again = world.fs.readdir(handle, from, false).await.unwrap();
        assert_eq!(again[0].name, seen[index].0, "from offset {from}");
    }
}

#[tokio::test]
async fn a_page_that_fails_is_an_error_not_a_short_directory() {
    let world = World::new();
    fill(&world, 35).await;
    let d = world.walk("d").await.unwrap();
    world.store.fail(Operation::List, 2, ErrorKind::Unavailable);
    let failed = world.fs.list_names(d).await;
    assert_eq!(failed.unwrap_err().meaning(), Meaning::Io);
    world.store.heal();
    assert_eq!(world.fs.list_names(d).await.unwrap().len(), 35);
}

#[tokio::test]
async fn an_empty_bucket_is_an_empty_directory() {
    let world = World::new();
    assert!(world.fs.list_names(InodeNo::ROOT).await.unwrap().is_empty());
}
