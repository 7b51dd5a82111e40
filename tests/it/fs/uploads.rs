//! `.partfs/uploads` without a kernel: pages, names, what it costs, and what others do meanwhile.

use std::ffi::OsStr;

use partfs::fs::ops::rename::RenameFlags;
use partfs::fs::{InodeNo, Meaning, OpenMode};
use partfs::store::{ErrorKind, ObjectStore, Operation, PartNumber, PutOptions, Upload};

use crate::world::fs::World;
use crate::world::key;

async fn begun(world: &World, name: &str, parts: usize) -> Upload {
    let started = world.store.start_upload(&key(name), &PutOptions::default()).await.unwrap();
    for number in 1..=parts as u64 {
        let number = PartNumber::new(number).unwrap();
        world.store.put_part(&started.upload, number, vec![1; 100].into()).await.unwrap();
    }
    started.upload
}

async fn ino(world: &World, path: &str) -> Result<InodeNo, Meaning> {
    let mut at = InodeNo::UPLOADS;
    for name in path.split('/') {
        let found = world.fs.lookup(at, OsStr::new(name)).await;
        at = found.map_err(|error| error.meaning())?.ino;
    }
    Ok(at)
}

/// Names, sizes and numbers of a folder, in as many answers as it takes.
async fn listed(world: &World, ino: InodeNo, attributes: bool) -> Vec<(String, u64, InodeNo)> {
    let handle = world.fs.opendir(ino).unwrap();
    let (mut found, mut offset) = (Vec::new(), 0);
    loop {
        let items = world.fs.readdir(handle, offset, attributes).await.unwrap();
        let Some(last) = items.last() else { break };
        offset = last.next_offset;
        found.extend(
            items.into_iter().map(|item| (item.name.into(), item.entry.attr.size, item.entry.ino)),
        );
    }
    world.fs.releasedir(handle);
    let dots = found.drain(..2).map(|(name, ..)| name).collect::<Vec<_>>();
    assert_eq!(dots, [".", ".."]);
    found
}

#[tokio::test]
async fn folders_of_many_pages_are_told_whole() {
    for entries in [1, 2, 3, 1000] {
        let world = World::with_pages_of(entries);
        let mut expected = Vec::new();
        for number in 0..20 {
            let upload = begun(&world, &format!("f{}", number / 2), number % 3).await;
            expected.push((format!("f{}@{}", number / 2, upload.id), 100 * (number as u64 % 3)));
            begun(&world, &format!("dir{}/deep/x{number}", number / 7), 1).await;
        }
        expected.extend((0..3).map(|number| (format!("dir{number}"), 0)));
        expected.sort();
        let mut found = listed(&world, InodeNo::UPLOADS, true).await;
        found.sort();
        let told: Vec<_> = found.iter().map(|(name, size, _)| (name.clone(), *size)).collect();
        assert_eq!(told, expected, "pages of {entries}");
        for (name, _, number) in &found {
            assert_eq!(ino(&world, name).await, Ok(*number), "{name}");
        }
        let mut numbers = listed(&world, InodeNo::UPLOADS, false).await;
        numbers.sort();
        let pairs = numbers.iter().zip(&found);
        assert!(pairs.clone().all(|(one, other)| (&one.0, one.2) == (&other.0, other.2)));
    }
}

#[tokio::test]
async fn a_server_that_knows_no_delimiter_shows_the_same_folders() {
    let world = World::new();
    let upload = begun(&world, "a/b/c", 1).await;
    begun(&world, "a/b/d", 1).await;
    begun(&world, "a/", 1).await;
    world.store.list_flat();
    let root = listed(&world, InodeNo::UPLOADS, true).await;
    assert_eq!(root.iter().map(|(name, ..)| &**name).collect::<Vec<_>>(), ["a"]);
    let below = listed(&world, ino(&world, "a").await.unwrap(), true).await;
    assert_eq!(below.len(), 2, "{below:?}");
    assert!(below.iter().any(|(name, ..)| name.starts_with("@partfs:@")), "the marker: {below:?}");
    assert!(ino(&world, &format!("a/b/c@{}", upload.id)).await.is_ok());
}

#[tokio::test]
async fn ls_of_a_folder_costs_a_listing_and_a_request_for_each_upload() {
    let world = World::new();
    for number in 0..10 {
        begun(&world, &format!("f{number}"), 1).await;
    }
    let before = world.requests();
    let found = listed(&world, InodeNo::UPLOADS, true).await;
    assert_eq!(world.requests() - before, 11);
    for (_, size, number) in &found {
        let entry = world.fs.try_getattr(*number).expect("in memory").unwrap();
        assert_eq!(entry.attr.size, *size);
    }
    assert_eq!(world.requests() - before, 11, "lstat after it costs nothing");
}

#[tokio::test]
async fn what_is_gone_meanwhile_is_not_there_and_nothing_else_fails() {
    let world = World::new();
    let (one, two) = (begun(&world, "one", 1).await, begun(&world, "two", 1).await);
    let (one_name, two_name) = (format!("one@{}", one.id), format!("two@{}", two.id));
    let (one_ino, two_ino) =
        (ino(&world, &one_name).await.unwrap(), ino(&world, &two_name).await.unwrap());
    world.store.abort_upload(&one).await.unwrap();
    assert_eq!(ino(&world, &one_name).await, Err(Meaning::NotFound));
    let error = world.fs.open(one_ino, OpenMode::default(), 0).await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::Stale);
    let unlinked = world.fs.unlink(InodeNo::UPLOADS, OsStr::new(&one_name)).await;
    assert_eq!(unlinked.unwrap_err().meaning(), Meaning::NotFound);
    assert!(world.fs.getattr(two_ino).await.is_ok());
    world.fs.forget(two_ino, 1);
    assert_eq!(world.fs.getattr(two_ino).await.unwrap_err().meaning(), Meaning::Stale);
}

#[tokio::test]
async fn refusals_of_the_service_are_told_and_change_nothing() {
    let world = World::new();
    let upload = begun(&world, "f", 1).await;
    let name = format!("f@{}", upload.id);
    let name = OsStr::new(&name);
    for operation in [Operation::ListUploads, Operation::AbortUpload] {
        world.store.fail(operation, 0, ErrorKind::AccessDenied);
        let told = world.fs.unlink(InodeNo::UPLOADS, name).await.unwrap_err();
        assert_eq!(told.meaning(), Meaning::AccessDenied, "{operation}");
        world.store.heal();
    }
    for operation in [Operation::ListParts, Operation::CompleteUpload] {
        world.store.fail(operation, 0, ErrorKind::AccessDenied);
        let (from, to) = ((InodeNo::UPLOADS, name), (InodeNo::ROOT, OsStr::new("f")));
        let told = world.fs.rename(from, to, RenameFlags::default()).await.unwrap_err();
        assert_eq!(told.meaning(), Meaning::AccessDenied, "{operation}");
        world.store.heal();
    }
    assert!(ino(&world, &format!("f@{}", upload.id)).await.is_ok(), "it is still there");
    let (from, to) = ((InodeNo::UPLOADS, name), (InodeNo::ROOT, OsStr::new("f")));
    world
        .fs
        .rename(from, to, RenameFlags { no_replace: true, ..RenameFlags::default() })
        .await
        .unwrap();
    assert_eq!(world.object("f").await.unwrap(), vec![1; 100]);
}

#[tokio::test]
async fn a_reader_of_what_an_upload_replaces_keeps_the_old_object_or_is_told() {
    let world = World::new();
    world.put("f", b"old").await.unwrap();
    let reading = world.open("f", OpenMode::default()).await.unwrap();
    let upload = begun(&world, "f", 2).await;
    let name = format!("f@{}", upload.id);
    let (from, to) = ((InodeNo::UPLOADS, OsStr::new(&name)), (InodeNo::ROOT, OsStr::new("f")));
    let refused = RenameFlags { no_replace: true, ..RenameFlags::default() };
    let told = world.fs.rename(from, to, refused).await.unwrap_err();
    assert_eq!(told.meaning(), Meaning::Exists);
    world.fs.rename(from, to, RenameFlags::default()).await.unwrap();
    match world.read_handle(reading, 10).await {
        Ok(bytes) => assert_eq!(bytes, b"old"),
        Err(error) => assert_eq!(error.meaning(), Meaning::Stale),
    }
    assert_eq!(world.read_all("f", 64).await.unwrap(), vec![1; 200]);
}
