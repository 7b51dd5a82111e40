//! Content: written in order, at random, truncated, appended, read back; and what the bucket holds.

use std::time::Duration;

use partfs::fs::{InodeNo, Meaning, OpenMode, SetAttr};
use partfs::store::{ObjectStore, Operation, PutOptions, UploadsRequest};
use proptest::prelude::*;

use crate::world::fs::{PART, World};
use crate::world::{key, keys, pattern};

const WRITE: OpenMode = OpenMode { write: true, truncate: false };

#[tokio::test]
async fn files_of_every_size_around_a_part_come_back() {
    let world = World::new();
    let part = PART as usize;
    for len in [0, 1, part - 1, part, part + 1, 2 * part, 3 * part + 7, 20 * part] {
        let content = pattern(len as u64, len);
        let name = format!("f{len}");
        world.put(&name, &content).await.unwrap();
        assert_eq!(world.object(&name).await.unwrap(), content, "{len} bytes in the bucket");
        for step in [1 << 20, 33] {
            let read = world.read_all(&name, step).await.unwrap();
            assert!(read == content, "{len} bytes read by {step}");
        }
    }
}

#[tokio::test]
async fn parts_go_out_while_the_file_is_being_written() {
    let world = World::new();
    let content = pattern(1, 10 * PART as usize);
    let (_, handle) = world.create("big").await.unwrap();
    let half = content.len() / 2;
    world.write_at(handle, 0, &content[..half]).await.unwrap();
    let first = |effect: &partfs::store::memory::Effect| {
        effect.operation == Operation::PutPart && effect.part.is_some_and(|part| part.get() == 1)
    };
    tokio::time::timeout(Duration::from_secs(10), world.bucket.wait_for(first)).await.unwrap();
    assert_eq!(world.object("big").await, None, "nothing appears before the close");
    world.write_at(handle, half as u64, &content[half..]).await.unwrap();
    world.close(handle).await.unwrap();
    assert_eq!(world.object("big").await.unwrap(), content);
}

#[tokio::test]
async fn a_small_file_is_one_put() {
    let world = World::new();
    let before = world.requests();
    let root = world.fs.list_names(InodeNo::ROOT).await.unwrap();
    assert!(root.is_empty());
    world.put("small", b"content").await.unwrap();
    assert_eq!(world.bucket.requests_of(Operation::Put), 1);
    assert_eq!(world.requests() - before, 2, "one listing, one PUT");
}

#[tokio::test]
async fn reads_end_with_the_file() {
    let world = World::new();
    world.put("f", b"12345").await.unwrap();
    let handle = world.open("f", OpenMode::default()).await.unwrap();
    assert_eq!(&world.fs.read(handle, 3, 100).await.unwrap()[..], b"45");
    assert_eq!(world.fs.read(handle, 5, 100).await.unwrap().len(), 0);
    assert_eq!(world.fs.read(handle, u64::MAX, 100).await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_existing_object_is_changed_in_the_middle_and_appended_to() {
    let world = World::new();
    let mut content = pattern(2, 5 * PART as usize + 3);
    world.put("f", &content).await.unwrap();
    let fresh = world.fresh();
    let handle = fresh.open("f", WRITE).await.unwrap();
    fresh.write_at(handle, 100, b"CHANGED").await.unwrap();
    content[100..107].copy_from_slice(b"CHANGED");
    fresh.write_at(handle, content.len() as u64, b"tail").await.unwrap();
    content.extend_from_slice(b"tail");
    assert_eq!(fresh.read_handle(handle, 50).await.unwrap(), content, "before the close");
    fresh.close(handle).await.unwrap();
    assert_eq!(fresh.object("f").await.unwrap(), content);
}

#[tokio::test]
async fn truncation_without_a_handle_is_published_at_once() {
    let world = World::new();
    let content = pattern(3, 3 * PART as usize);
    world.put("f", &content).await.unwrap();
    let ino = world.walk("f").await.unwrap();
    for size in [100u64, 0, 300] {
        let changes = SetAttr { size: Some(size), ..SetAttr::default() };
        let entry = world.fs.setattr(ino, None, changes).await.unwrap();
        assert_eq!(entry.attr.size, size);
        assert_eq!(world.object("f").await.unwrap().len() as u64, size);
    }
    assert_eq!(world.object("f").await.unwrap(), vec![0; 300], "grown by zeros");
}

#[tokio::test]
async fn a_reader_opened_before_a_change_of_ours_sees_the_change() {
    let world = World::new();
    world.put("f", b"old content").await.unwrap();
    let reader = world.open("f", OpenMode::default()).await.unwrap();
    assert_eq!(&world.fs.read(reader, 0, 3).await.unwrap()[..], b"old");
    world.put("f", b"new").await.unwrap();
    assert_eq!(world.read_handle(reader, 100).await.unwrap(), b"new");
}

#[tokio::test]
async fn a_reader_of_an_object_replaced_by_others_is_told_so() {
    let world = World::new();
    let old = pattern(4, 40 * PART as usize);
    world.put("f", &old).await.unwrap();
    let fresh = world.fresh();
    let reader = fresh.open("f", OpenMode::default()).await.unwrap();
    let first = fresh.fs.read(reader, 0, 16).await.unwrap();
    assert_eq!(first, old[..16]);
    let new = pattern(5, old.len());
    let options = PutOptions::default();
    world.store.put(&key("f"), new.into(), &options).await.unwrap();
    let later = fresh.fs.read(reader, 39 * PART, 16).await;
    assert_eq!(later.unwrap_err().meaning(), Meaning::Stale);
}

#[tokio::test]
async fn opening_asks_the_bucket_so_the_last_close_is_seen() {
    let world = World::new();
    world.put("f", b"one").await.unwrap();
    let other = world.fresh();
    assert_eq!(other.read_all("f", 10).await.unwrap(), b"one");
    world.put("f", b"three").await.unwrap();
    // The other mount believes names for a minute, but an open asks anew once its last answer is
    // older than the time between a lookup and an open.
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(60)).await;
    tokio::time::resume();
    assert_eq!(other.read_all("f", 10).await.unwrap(), b"three");
}

#[tokio::test]
async fn two_handles_share_one_content() {
    let world = World::new();
    let (ino, first) = world.create("f").await.unwrap();
    let second = world.fs.open(ino, WRITE, 0).await.unwrap().handle;
    world.write_at(first, 0, b"aaaa").await.unwrap();
    world.write_at(second, 2, b"bbbb").await.unwrap();
    assert_eq!(world.read_handle(first, 100).await.unwrap(), b"aabbbb");
    world.close(first).await.unwrap();
    world.close(second).await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), b"aabbbb");
    assert_eq!(keys(&world.bucket), ["f"]);
}

#[tokio::test]
async fn fsync_publishes_and_writing_goes_on() {
    let world = World::new();
    let content = pattern(6, 7 * PART as usize + 5);
    let (_, handle) = world.create("f").await.unwrap();
    world.write_at(handle, 0, &content[..200]).await.unwrap();
    world.fs.fsync(handle).await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), content[..200]);
    world.write_at(handle, 200, &content[200..]).await.unwrap();
    world.close(handle).await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), content);
}

#[derive(Debug, Clone)]
enum Step {
    Write { offset: usize, len: usize },
    Append { len: usize },
    Truncate { size: usize },
    Read { offset: usize, len: usize },
    Fsync,
    Reopen,
    Remount,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0usize..700, 1usize..200).prop_map(|(offset, len)| Step::Write { offset, len }),
        4 => (1usize..300).prop_map(|len| Step::Append { len }),
        2 => (0usize..700).prop_map(|size| Step::Truncate { size }),
        2 => (0usize..800, 1usize..300).prop_map(|(offset, len)| Step::Read { offset, len }),
        1 => Just(Step::Fsync),
        2 => Just(Step::Reopen),
        1 => Just(Step::Remount),
    ];
    prop::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// One file against a vector: whatever is done to it, the bucket holds it after each close.
    #[test]
    fn a_file_is_what_was_written(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            let mut model: Vec<u8> = Vec::new();
            let mut handle = world.create("f").await.unwrap().1;
            for (index, step) in steps.into_iter().enumerate() {
                let bytes = |len| pattern(index as u64 + 1, len);
                match step {
                    Step::Write { offset, len } => {
                        world.write_at(handle, offset as u64, &bytes(len)).await.unwrap();
                        model.resize(model.len().max(offset + len), 0);
                        model[offset..offset + len].copy_from_slice(&bytes(len));
                    }
                    Step::Append { len } => {
                        world.write_at(handle, model.len() as u64, &bytes(len)).await.unwrap();
                        model.extend_from_slice(&bytes(len));
                    }
                    Step::Truncate { size } => {
                        let ino = world.walk("f").await.unwrap();
                        let changes = SetAttr { size: Some(size as u64), ..SetAttr::default() };
                        world.fs.setattr(ino, Some(handle), changes).await.unwrap();
                        model.resize(size, 0);
                    }
                    Step::Read { offset, len } => {
                        let read = world.fs.read(handle, offset as u64, len as u32).await.unwrap();
                        let end = (offset + len).min(model.len());
                        let start = offset.min(end);
                        assert!(read == model[start..end], "read at {offset}");
                    }
                    Step::Fsync => world.fs.fsync(handle).await.unwrap(),
                    Step::Reopen | Step::Remount => {
                        world.close(handle).await.unwrap();
                        assert!(world.object("f").await.unwrap() == model, "after a close");
                        if matches!(step, Step::Remount) {
                            world = world.fresh();
                        }
                        handle = world.open("f", WRITE).await.unwrap();
                    }
                }
            }
            world.close(handle).await.unwrap();
            assert!(world.object("f").await.unwrap() == model, "at the end");
            let read = world.fresh().read_all("f", 77).await.unwrap();
            assert!(read == model, "through another mount");
            world.fs.drain(Duration::from_secs(5)).await;
            let left = world.store.list_uploads(&UploadsRequest::default()).await.unwrap();
            assert!(left.uploads.is_empty(), "no upload is left open");
        });
    }
}

#[tokio::test]
async fn a_missing_temporary_folder_fails_the_write_and_loses_nothing() {
    let world = World::new();
    let content = pattern(7, 5 * PART as usize);
    world.put("f", &content).await.unwrap();
    let fresh = world.fresh();
    std::fs::remove_dir(fresh.staging()).unwrap();
    let handle = fresh.open("f", WRITE).await.unwrap();
    let refused = fresh.write_at(handle, 10, b"x").await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::Io);
    fresh.close(handle).await.unwrap();
    assert_eq!(fresh.object("f").await.unwrap(), content, "the old object is whole");
    std::fs::create_dir(fresh.staging()).unwrap();
}

#[tokio::test]
async fn between_two_mounts_the_last_close_wins_whole() {
    let first = World::new();
    let second = first.fresh();
    let (ours, theirs) = (pattern(8, 5 * PART as usize), pattern(9, 4 * PART as usize + 3));
    let (_, one) = first.create("f").await.unwrap();
    let (_, two) = second.create("f").await.unwrap();
    // Both uploads are open and their parts alternate.
    let half = 2 * PART as usize;
    first.write_at(one, 0, &ours[..half]).await.unwrap();
    second.write_at(two, 0, &theirs[..half]).await.unwrap();
    first.write_at(one, half as u64, &ours[half..]).await.unwrap();
    second.write_at(two, half as u64, &theirs[half..]).await.unwrap();
    second.close(two).await.unwrap();
    assert!(first.object("f").await.unwrap() == theirs);
    first.close(one).await.unwrap();
    assert!(first.object("f").await.unwrap() == ours);
}

#[tokio::test]
async fn a_random_write_costs_one_get_and_one_put_of_a_small_object() {
    let world = World::new();
    world.put("f", &pattern(1, PART as usize)).await.unwrap();
    let fresh = world.fresh();
    let handle = fresh.open("f", WRITE).await.unwrap();
    let count = |operation| world.bucket.requests_of(operation);
    let (gets, puts, all) = (count(Operation::Get), count(Operation::Put), fresh.requests());
    fresh.write_at(handle, 7, b"x").await.unwrap();
    fresh.close(handle).await.unwrap();
    assert_eq!((count(Operation::Get) - gets, count(Operation::Put) - puts), (1, 1));
    assert_eq!(fresh.requests() - all, 2);
}
