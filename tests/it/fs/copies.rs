//! copy_file_range: what the server copies, what it costs, and that a copy keeps the bytes it was made of.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use partfs::fs::{InodeNo, Meaning, OpenMode, RenameFlags, SetAttr};
use partfs::store::memory::{MemoryStore, SMALL_LIMITS};
use partfs::store::{ErrorKind, Operation};

use crate::world::fs::{MAKER, PART, World};
use crate::world::pattern;

const WRITE: OpenMode = OpenMode { write: true, truncate: false };

async fn rename(world: &World, from: &str, to: &str) {
    let (from, to) = (world.place(from).await.unwrap(), world.place(to).await.unwrap());
    world.fs.rename(from, to, RenameFlags::default()).await.unwrap();
}

/// Requests of these kinds and bytes in bodies, for a copy of a whole file of 20 parts.
async fn cost_of_a_whole_copy(world: World, exclusive: bool) -> ([u64; 5], u64) {
    let content = pattern(1, 20 * PART as usize + 7);
    world.put("a", &content).await.unwrap();
    let kinds = [
        Operation::Get,
        Operation::Put,
        Operation::Copy,
        Operation::CopyPart,
        Operation::CompleteUpload,
    ];
    let count = || kinds.map(|kind| world.bucket.requests_of(kind));
    let (before, body) = (count(), world.sent_bytes());
    let from = world.open("a", OpenMode::default()).await.unwrap();
    let (_, to) = match exclusive {
        true => world.create_new("b").await.unwrap(),
        false => world.create("b").await.unwrap(),
    };
    let copied = world.fs.copy_range((from, 0), (to, 0), 1 << 31).await.unwrap();
    assert_eq!(copied, content.len() as u64);
    world.close(to).await.unwrap();
    world.close(from).await.unwrap();
    let (after, body) = (count(), world.sent_bytes() - body);
    assert!(world.object("b").await.unwrap() == content);
    (std::array::from_fn(|index| after[index] - before[index]), body)
}

#[tokio::test]
async fn a_whole_file_is_one_copy_and_no_bytes() {
    assert_eq!(cost_of_a_whole_copy(World::new(), false).await, ([0, 0, 1, 0, 0], 0));
    // One that must replace nothing is made of parts, where that is more than a wish.
    assert_eq!(cost_of_a_whole_copy(World::new(), true).await, ([0, 0, 0, 1, 1], 0));
    assert_eq!(
        cost_of_a_whole_copy(World::without_create_only(), true).await,
        ([0, 0, 1, 0, 0], 0)
    );
}

/// `cp` makes its target with O_EXCL.
#[tokio::test]
async fn a_copy_that_fits_into_one_put_stays_on_the_server_too() {
    let world = World::new();
    world.put("a", &pattern(1, PART as usize)).await.unwrap();
    let body = world.sent_bytes();
    let from = world.open("a", OpenMode::default()).await.unwrap();
    let (_, to) = world.create_new("b").await.unwrap();
    world.copy((from, 0), (to, 0), PART).await.unwrap();
    world.close(to).await.unwrap();
    assert_eq!(world.bucket.requests_of(Operation::Get), 0);
    assert_eq!(world.sent_bytes(), body);
    assert_eq!(world.object("b").await.unwrap(), pattern(1, PART as usize));
}

#[tokio::test]
async fn ranges_are_cut_at_the_end_and_go_anywhere() {
    let world = World::new();
    let content = pattern(1, 10 * PART as usize);
    world.put("a", &content).await.unwrap();
    let mut model = pattern(2, 7 * PART as usize);
    world.put("b", &model).await.unwrap();
    let from = world.open("a", OpenMode::default()).await.unwrap();
    let to = world.open("b", WRITE).await.unwrap();
    for (at, offset, len) in [(100, 3, 250), (500, 600, 1 << 40), (0, 0, 1), (7, 2000, 64)] {
        let copied = world.copy((from, at), (to, offset), len).await.unwrap();
        assert_eq!(copied, len.min(640 - at));
        let (at, offset, copied) = (at as usize, offset as usize, copied as usize);
        model.resize(model.len().max(offset + copied), 0);
        model[offset..offset + copied].copy_from_slice(&content[at..at + copied]);
    }
    assert_eq!(world.fs.copy_range((from, 640), (to, 0), 10).await.unwrap(), 0);
    assert_eq!(world.fs.copy_range((from, u64::MAX), (to, 0), 10).await.unwrap(), 0);
    assert!(world.read_handle(to, 100).await.unwrap() == model, "before the close");
    world.close(to).await.unwrap();
    assert!(world.object("b").await.unwrap() == model);
    let refused = world.fs.copy_range((to, 0), (from, 0), 10).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::BadHandle);
    let to = world.open("b", OpenMode::default()).await.unwrap();
    let refused = world.fs.copy_range((from, 0), (to, 0), 10).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::BadHandle);
}

#[tokio::test]
async fn within_one_file_ranges_must_not_overlap() {
    let world = World::new();
    for len in [50usize, 10 * PART as usize] {
        let mut model = pattern(1, len);
        world.put("f", &model).await.unwrap();
        let handle = world.open("f", WRITE).await.unwrap();
        let half = len / 2;
        let overlapping = world.fs.copy_range((handle, 0), (handle, 5), 6).await;
        assert_eq!(overlapping.unwrap_err().meaning(), Meaning::Invalid);
        assert_eq!(world.copy((handle, 0), (handle, half as u64), 20).await.unwrap(), 20);
        model.copy_within(0..20, half);
        world.copy((handle, half as u64), (handle, len as u64), 20).await.unwrap();
        model.extend_from_within(half..half + 20);
        rename(&world, "f", "g").await;
        world.close(handle).await.unwrap();
        assert!(world.object("g").await.unwrap() == model, "{len}");
    }
}

#[tokio::test]
async fn a_small_source_that_is_being_written_is_not_published() {
    let world = World::new();
    let (_, from) = world.create("a").await.unwrap();
    let (_, to) = world.create("b").await.unwrap();
    world.write_at(from, 0, b"unpublished").await.unwrap();
    assert_eq!(world.copy((from, 2), (to, 0), 100).await.unwrap(), 9);
    world.close(to).await.unwrap();
    assert_eq!(world.object("b").await.unwrap(), b"published");
    assert_eq!(world.object("a").await, None);
}

#[tokio::test]
async fn a_large_source_that_is_being_written_is_published_first() {
    let options = partfs::store::memory::BucketOptions::new(
        partfs::store::memory::EtagMode::Md5,
        Arc::new(partfs::clock::SystemClock),
    );
    let bucket = partfs::store::memory::MemoryBucket::new(options);
    let memory = MemoryStore::new(Arc::clone(&bucket), SMALL_LIMITS);
    let world = World::on(bucket, Arc::new(memory), 64 << 10, 4096);
    let content = pattern(1, (1 << 20) + 5);
    let (_, from) = world.create("a").await.unwrap();
    world.write_at(from, 0, &content).await.unwrap();
    let (_, to) = world.create("b").await.unwrap();
    let copied = world.fs.copy_range((from, 0), (to, 0), 1 << 40).await.unwrap();
    assert_eq!(copied, content.len() as u64, "in one call");
    assert!(world.object("a").await.unwrap() == content);
    world.write_at(from, 0, b"later").await.unwrap();
    world.close(to).await.unwrap();
    assert!(world.object("b").await.unwrap() == content);
    assert_eq!(world.bucket.requests_of(Operation::Get), 0);
}

/// What is done to the source while the target is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Overwrite,
    WriteAndReadBack,
    Truncate,
    Attributes,
    Rename,
    RenameByTheService,
    RenameItsDirectory,
    ReplaceByRename,
    Unlink,
}

#[tokio::test]
async fn a_copy_keeps_the_bytes_that_were_there_when_it_was_made() {
    use Change::*;
    let all = [
        Overwrite,
        WriteAndReadBack,
        Truncate,
        Attributes,
        Rename,
        RenameByTheService,
        RenameItsDirectory,
        ReplaceByRename,
        Unlink,
    ];
    for change in all {
        let world = match change {
            RenameByTheService => World::that_renames(),
            _ => World::new(),
        };
        world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
        // An upload, so that a copy has another ETag.
        let (old, new) = (pattern(1, 9 * PART as usize), pattern(2, 11 * PART as usize));
        world.put("d/a", &old).await.unwrap();
        world.put("d/c", &new).await.unwrap();
        let from = world.open("d/a", OpenMode::default()).await.unwrap();
        let (_, to) = world.create("b").await.unwrap();
        let (at, len) = (3, 8 * PART);
        assert_eq!(world.copy((from, at), (to, 10), len).await.unwrap(), len);
        assert_eq!(world.object("b").await, None, "nothing is published yet");
        world.close(from).await.unwrap();
        let done = async {
            match change {
                Overwrite => world.put("d/a", &new).await.unwrap(),
                WriteAndReadBack => {
                    let mode = OpenMode { write: true, truncate: true };
                    let handle = world.open("d/a", mode).await.unwrap();
                    world.write_at(handle, 0, &new).await.unwrap();
                    assert!(world.read_handle(handle, 100).await.unwrap() == new);
                    world.close(handle).await.unwrap();
                }
                Truncate => {
                    let ino = world.walk("d/a").await.unwrap();
                    let changes = SetAttr { size: Some(70), ..SetAttr::default() };
                    world.fs.setattr(ino, None, changes).await.unwrap();
                }
                Attributes => {
                    let ino = world.walk("d/a").await.unwrap();
                    let before = world.bucket.requests_of(Operation::Copy);
                    let changes = SetAttr { mode: Some(0o600), ..SetAttr::default() };
                    world.fs.setattr(ino, None, changes).await.unwrap();
                    let handle = world.open("d/a", WRITE).await.unwrap();
                    world.fs.fsync(handle).await.unwrap();
                    world.close(handle).await.unwrap();
                    assert!(world.bucket.requests_of(Operation::Copy) > before, "stored");
                }
                Rename => rename(&world, "d/a", "z").await,
                RenameByTheService => {
                    rename(&world, "d/a", "z").await;
                    assert_eq!(world.bucket.requests_of(Operation::Rename), 1);
                }
                RenameItsDirectory => rename(&world, "d", "e").await,
                ReplaceByRename => rename(&world, "d/c", "d/a").await,
                Unlink => {
                    let ino = world.walk("d").await.unwrap();
                    world.fs.unlink(ino, OsStr::new("a")).await.unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), done)
            .await
            .expect("nobody waits in a circle");
        let mut expected = vec![0; 10];
        expected.extend_from_slice(&old[3..3 + len as usize]);
        world.write_at(to, 5, b"after").await.unwrap();
        expected[5..10].copy_from_slice(b"after");
        assert!(world.read_handle(to, 100).await.unwrap() == expected, "{change:?}");
        world.close(to).await.unwrap();
        assert!(world.object("b").await.unwrap() == expected, "{change:?}");
    }
}

#[tokio::test]
async fn a_copy_that_cannot_be_stored_says_so_and_the_change_goes_on() {
    let world = World::new();
    world.put("a", &pattern(1, 9 * PART as usize)).await.unwrap();
    let from = world.open("a", OpenMode::default()).await.unwrap();
    let (_, to) = world.create("b").await.unwrap();
    world.copy((from, 0), (to, 0), 9 * PART).await.unwrap();
    world.store.fail(Operation::Copy, 0, ErrorKind::AccessDenied);
    world.put("a", b"new").await.unwrap();
    assert_eq!(world.object("a").await.unwrap(), b"new");
    assert_eq!(world.close(to).await.unwrap_err().meaning(), Meaning::AccessDenied);
    assert_eq!(world.object("b").await, None);
}

#[tokio::test]
async fn files_that_are_copied_to_and_fro_wait_for_nobody() {
    let world = World::new();
    let (a, b) = (pattern(1, 9 * PART as usize), pattern(2, 9 * PART as usize));
    world.put("a", &a).await.unwrap();
    world.put("b", &b).await.unwrap();
    let one = world.open("a", WRITE).await.unwrap();
    let two = world.open("b", WRITE).await.unwrap();
    let work = async {
        for _ in 0..20 {
            let there = world.copy((one, 0), (two, 300), 200);
            let back = world.copy((two, 0), (one, 300), 200);
            let (there, back) = tokio::join!(there, back);
            assert_eq!((there.unwrap(), back.unwrap()), (200, 200));
        }
        world.close(one).await.unwrap();
        world.close(two).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(30), work).await.unwrap();
    let (found_a, found_b) = (world.object("a").await.unwrap(), world.object("b").await.unwrap());
    assert!(found_a[300..500] == b[..200] && found_a[..300] == a[..300]);
    assert!(found_b[300..500] == a[..200] && found_b[..300] == b[..300]);
}

#[tokio::test]
async fn what_is_copied_in_pieces_is_one_copy() {
    let world = World::new();
    let content = pattern(1, 20 * PART as usize);
    world.put("a", &content).await.unwrap();
    let from = world.open("a", OpenMode::default()).await.unwrap();
    let (_, to) = world.create("b").await.unwrap();
    for at in (0..20 * PART).step_by(50) {
        let len = 50.min(20 * PART - at);
        assert_eq!(world.fs.copy_range((from, at), (to, at), 50).await.unwrap(), len);
    }
    world.close(to).await.unwrap();
    assert_eq!(world.bucket.requests_of(Operation::Copy), 1);
    assert_eq!(world.bucket.requests_of(Operation::Get), 0);
    assert!(world.object("b").await.unwrap() == content);
}

#[tokio::test]
async fn what_rests_on_bytes_that_are_gone_is_estale() {
    let world = World::new();
    let content = pattern(1, 9 * PART as usize);
    world.put("a", &content).await.unwrap();
    let from = world.open("a", OpenMode::default()).await.unwrap();
    let (_, unlinked) = world.create("u").await.unwrap();
    let (_, to) = world.create("b").await.unwrap();
    world.copy((from, 0), (unlinked, 0), 9 * PART).await.unwrap();
    world.fs.unlink(InodeNo::ROOT, OsStr::new("u")).await.unwrap();
    world.copy((from, 0), (to, 0), 9 * PART).await.unwrap();
    // Another mount.
    world.fresh().put("a", b"new").await.unwrap();
    assert_eq!(world.close(to).await.unwrap_err().meaning(), Meaning::Stale);
    assert_eq!(world.object("b").await, None);
    let read = world.fs.read(unlinked, 0, 10).await;
    assert_eq!(read.unwrap_err().meaning(), Meaning::Stale);
    // One that had lost its name before does not rest on anything.
    let (_, nameless) = world.create("n").await.unwrap();
    world.fs.unlink(InodeNo::ROOT, OsStr::new("n")).await.unwrap();
    world.put("c", &content).await.unwrap();
    let from = world.open("c", OpenMode::default()).await.unwrap();
    world.copy((from, 0), (nameless, 0), 9 * PART).await.unwrap();
    world.put("c", b"new").await.unwrap();
    assert!(world.read_handle(nameless, 100).await.unwrap() == content);
}
