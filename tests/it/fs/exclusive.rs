//! O_EXCL, mkdir and symlink across mounts: of two that make the same name, one loses and is told.

use std::ffi::OsStr;

use partfs::fs::{FsResult, InodeNo, Meaning, RenameFlags};
use partfs::store::Operation;

use crate::world::fs::{MAKER, PART, World};
use crate::world::pattern;

const ROOT: InodeNo = InodeNo::ROOT;

fn meaning<T>(result: FsResult<T>) -> Option<Meaning> {
    result.err().map(|error| error.meaning())
}

/// Two mounts, each sure that the bucket is empty.
async fn two() -> (World, World) {
    let first = World::new();
    let second = first.fresh();
    for world in [&first, &second] {
        assert!(world.fs.list_names(ROOT).await.unwrap().is_empty());
    }
    (first, second)
}

#[tokio::test]
async fn the_second_of_two_mounts_is_told_and_replaces_nothing() {
    for len in [0, 10, 5 * PART as usize] {
        let (first, second) = two().await;
        let content = pattern(1, len);
        let (_, early) = first.create_new("f").await.unwrap();
        let (_, late) = second.create_new("f").await.unwrap();
        first.write_at(early, 0, &content).await.unwrap();
        second.write_at(late, 0, &pattern(2, len)).await.unwrap();
        first.close(early).await.unwrap();
        assert_eq!(meaning(second.close(late).await), Some(Meaning::Exists), "{len}");
        assert_eq!(first.object("f").await.unwrap(), content, "{len}");
        // Whoever lost sees what is there, and is refused at once.
        second.fs.drain(std::time::Duration::from_secs(5)).await;
        assert_eq!(second.read_all("f", 100).await.unwrap(), content, "{len}");
        assert_eq!(meaning(second.create_new("f").await), Some(Meaning::Exists));
    }
}

#[tokio::test]
async fn later_commits_of_the_same_file_replace_it() {
    let world = World::new();
    let (_, handle) = world.create_new("f").await.unwrap();
    for content in [pattern(1, 10), pattern(2, 5 * PART as usize), pattern(3, 6 * PART as usize)] {
        world.write_at(handle, 0, &content).await.unwrap();
        world.fs.fsync(handle).await.unwrap();
        assert_eq!(world.object("f").await.unwrap(), content);
    }
    world.close(handle).await.unwrap();
    world.put("f", b"anew").await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), b"anew");
}

#[tokio::test]
async fn a_name_that_became_free_can_be_taken_again() {
    let (first, second) = two().await;
    for round in [b"1", b"2", b"3"] {
        let (_, handle) = first.create_new("f").await.unwrap();
        first.write_at(handle, 0, round).await.unwrap();
        if round != b"2" {
            first.close(handle).await.unwrap();
        }
        first.fs.unlink(ROOT, OsStr::new("f")).await.unwrap();
        if round == b"2" {
            first.close(handle).await.unwrap();
        }
    }
    let (_, handle) = second.create_new("f").await.unwrap();
    second.close(handle).await.unwrap();
    // Removed by somebody else: what is seen of that is free again.
    first.put("g", b"content").await.unwrap();
    second.fs.unlink(ROOT, OsStr::new("g")).await.unwrap_err();
    let third = first.fresh();
    third.fs.unlink(ROOT, OsStr::new("g")).await.unwrap();
    let (_, handle) = third.create_new("g").await.unwrap();
    third.close(handle).await.unwrap();
}

/// As rsync, editors and downloads do: a new temporary name, then the name that was meant.
#[tokio::test]
async fn a_rename_of_such_a_file_replaces() {
    for len in [10, 5 * PART as usize] {
        for flushed in [false, true] {
            let (first, second) = two().await;
            let (content, other) = (pattern(1, len), pattern(2, 7));
            let (_, handle) = first.create_new("temporary").await.unwrap();
            first.write_at(handle, 0, &content).await.unwrap();
            if flushed {
                first.fs.fsync(handle).await.unwrap();
            }
            second.put("f", &other).await.unwrap();
            let (from, to) = ((ROOT, OsStr::new("temporary")), (ROOT, OsStr::new("f")));
            first.fs.rename(from, to, RenameFlags::default()).await.unwrap();
            first.close(handle).await.unwrap();
            assert_eq!(first.object("f").await.unwrap(), content, "{len} {flushed}");
        }
    }
}

#[tokio::test]
async fn directories_and_links_are_made_by_one_mount_only() {
    let (first, second) = two().await;
    let name = OsStr::new("lock");
    first.fs.mkdir(ROOT, name, MAKER).await.unwrap();
    let late = second.fs.mkdir(ROOT, name, MAKER).await;
    assert_eq!(meaning(late), Some(Meaning::Exists));
    assert!(second.walk("lock").await.is_ok(), "it is seen from now on");
    let (name, target) = (OsStr::new("link"), OsStr::new("host:1"));
    first.fs.symlink(ROOT, name, target, MAKER).await.unwrap();
    let late = second.fs.symlink(ROOT, name, OsStr::new("host:2"), MAKER).await;
    assert_eq!(meaning(late), Some(Meaning::Exists));
    assert_eq!(first.object("link").await.unwrap(), b"host:1");
    assert!(second.walk("link").await.is_ok(), "it is seen from now on");
}

#[tokio::test]
async fn what_is_known_to_exist_is_refused_at_open_without_a_request() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    let before = world.requests();
    assert_eq!(meaning(world.create_new("f").await), Some(Meaning::Exists));
    assert_eq!(world.requests(), before);
}

#[tokio::test]
async fn without_the_condition_the_last_close_wins() {
    let first = World::without_create_only();
    let second = World::without_create_only_over(&first);
    assert!(second.fs.list_names(ROOT).await.unwrap().is_empty());
    let (_, late) = second.create_new("f").await.unwrap();
    first.put("f", b"first").await.unwrap();
    second.write_at(late, 0, b"second").await.unwrap();
    second.close(late).await.unwrap();
    assert_eq!(first.object("f").await.unwrap(), b"second");
    assert_eq!(first.bucket.requests_of(Operation::Put), 2);
}
