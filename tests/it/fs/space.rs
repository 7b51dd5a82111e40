//! fallocate, SEEK_DATA and SEEK_HOLE, appending, and what a small change of a large object costs.

use std::time::SystemTime;

use partfs::fs::{Allocate, HandleNo, Meaning, OpenMode, SetAttr, WriteAt};
use partfs::store::{ErrorKind, Operation};

use crate::world::fs::{PART, World};
use crate::world::pattern;

const WRITE: OpenMode = OpenMode { write: true, truncate: false };

/// Does it to a file and to a vector.
async fn allocate(
    world: &World,
    (handle, model): (HandleNo, &mut Vec<u8>),
    offset: usize,
    len: usize,
    how: Allocate,
) {
    world.fs.allocate(handle, offset as u64, len as u64, how).await.unwrap();
    let end = offset + len;
    if matches!(how, Allocate::Grow | Allocate::Zero) {
        model.resize(model.len().max(end), 0);
    }
    if matches!(how, Allocate::Punch | Allocate::Zero) {
        let size = model.len();
        model[offset.min(size)..end.min(size)].fill(0);
    }
}

#[tokio::test]
async fn files_grow_and_get_holes() {
    for (existing, len) in [(true, 10 * PART as usize), (true, 50), (false, 50), (false, 640)] {
        let world = World::new();
        let mut model = pattern(1, len);
        let handle = if existing {
            world.put("f", &model).await.unwrap();
            world.open("f", WRITE).await.unwrap()
        } else {
            let (_, handle) = world.create("f").await.unwrap();
            world.write_at(handle, 0, &model).await.unwrap();
            handle
        };
        for (offset, len, how) in [
            (10, 20, Allocate::Punch),
            (0, 7, Allocate::Grow),
            (len - 5, 50, Allocate::Punch),
            (len - 9, 50, Allocate::Zero),
            (5000, 50, Allocate::Punch),
            (5000, 50, Allocate::Reserve),
            (900, 100, Allocate::Grow),
            (990, 3, Allocate::Zero),
        ] {
            allocate(&world, (handle, &mut model), offset, len, how).await;
            let ino = world.walk("f").await.unwrap();
            let size = world.fs.getattr(ino).await.unwrap().attr.size;
            assert_eq!(size, model.len() as u64, "{how:?}");
        }
        assert!(world.read_handle(handle, 100).await.unwrap() == model, "{existing} {len}");
        world.close(handle).await.unwrap();
        assert!(world.object("f").await.unwrap() == model, "{existing} {len}");
    }
}

#[tokio::test]
async fn what_cannot_be_allocated_is_refused_and_what_can_changes_the_time() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    let reader = world.open("f", OpenMode::default()).await.unwrap();
    let refused = world.fs.allocate(reader, 0, 10, Allocate::Grow).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::BadHandle);
    let handle = world.open("f", WRITE).await.unwrap();
    for (offset, len, meaning) in [
        (0, 0, Meaning::Invalid),
        (u64::MAX, 1, Meaning::TooLarge),
        (0, 1 << 62, Meaning::TooLarge),
    ] {
        let refused = world.fs.allocate(handle, offset, len, Allocate::Grow).await;
        assert_eq!(refused.unwrap_err().meaning(), meaning);
    }
    let ino = world.walk("f").await.unwrap();
    for (how, changes) in [
        (Allocate::Reserve, false),
        (Allocate::Grow, true),
        (Allocate::Punch, true),
        (Allocate::Zero, true),
    ] {
        let mtime = Some(SystemTime::UNIX_EPOCH);
        let set = SetAttr { mtime, ..SetAttr::default() };
        world.fs.setattr(ino, Some(handle), set).await.unwrap();
        world.fs.allocate(handle, 0, 3, how).await.unwrap();
        let after = world.fs.getattr(ino).await.unwrap().attr.mtime;
        assert_eq!(after != SystemTime::UNIX_EPOCH, changes, "{how:?}");
    }
    world.close(handle).await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), b"\0\0\0tent");
}

#[tokio::test]
async fn a_hole_is_neither_fetched_nor_needs_a_temporary_file() {
    let world = World::new();
    let mut model = pattern(1, 40 * PART as usize);
    world.put("f", &model).await.unwrap();
    let fresh = world.fresh();
    let handle = fresh.open("f", WRITE).await.unwrap();
    let gets = fresh.bucket.requests_of(Operation::Get);
    allocate(&fresh, (handle, &mut model), 500, 200, Allocate::Punch).await;
    fresh.close(handle).await.unwrap();
    assert_eq!(fresh.bucket.requests_of(Operation::Get), gets);
    assert!(fresh.object("f").await.unwrap() == model);
}

#[tokio::test]
async fn data_and_holes_are_found() {
    let world = World::new();
    world.put("f", &pattern(1, 10 * PART as usize)).await.unwrap();
    let reader = world.open("f", OpenMode::default()).await.unwrap();
    let size = 10 * PART;
    for offset in [0, 5, size - 1] {
        assert_eq!(world.fs.try_seek(reader, offset, false).unwrap().unwrap(), offset);
        assert_eq!(world.fs.try_seek(reader, offset, true).unwrap().unwrap(), size);
    }
    for offset in [size, size + 1, u64::MAX] {
        for hole in [false, true] {
            let refused = world.fs.try_seek(reader, offset, hole).unwrap();
            assert_eq!(refused.unwrap_err().meaning(), Meaning::BeyondEnd);
        }
    }
    let writer = world.open("f", WRITE).await.unwrap();
    world.fs.allocate(writer, 100, 50, Allocate::Punch).await.unwrap();
    world.fs.allocate(writer, 0, 1000, Allocate::Grow).await.unwrap();
    for handle in [reader, writer] {
        for (from, data, hole) in
            [(0, Some(0), 100), (99, Some(99), 100), (120, Some(150), 120), (700, None, 700)]
        {
            assert_eq!(world.fs.seek_hole(handle, from).await.unwrap(), hole, "from {from}");
            let found = world.fs.seek_data(handle, from).await;
            match data {
                Some(data) => assert_eq!(found.unwrap(), data, "from {from}"),
                None => assert_eq!(found.unwrap_err().meaning(), Meaning::BeyondEnd),
            }
        }
        assert!(world.fs.seek_hole(handle, 1000).await.is_err());
    }
}

#[tokio::test]
async fn appends_go_to_the_end_whoever_was_there_first() {
    let world = World::new();
    world.put("log", b"begin ").await.unwrap();
    let one = world.open("log", WRITE).await.unwrap();
    let two = world.open("log", WRITE).await.unwrap();
    let line = |who: usize, index: usize| format!("<{who}:{index}:{}>", "x".repeat(index % 90));
    let mut work = Vec::new();
    for (who, handle) in [one, two].into_iter().enumerate() {
        let fs = std::sync::Arc::clone(&world.fs);
        work.push(tokio::spawn(async move {
            for index in 0..200 {
                let line = line(who, index);
                fs.write(handle, WriteAt::End, line.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        }));
    }
    for work in work {
        work.await.unwrap();
    }
    let more = world.fs.try_write(one, WriteAt::End, b"end").unwrap();
    world.fs.write(one, WriteAt::End.after(more), &b"end"[more..]).await.unwrap();
    world.close(one).await.unwrap();
    world.close(two).await.unwrap();
    let text = String::from_utf8(world.object("log").await.unwrap()).unwrap();
    let lines = text.strip_prefix("begin ").unwrap().strip_suffix("end").unwrap();
    let mut found: Vec<_> = lines.split_inclusive('>').map(str::to_owned).collect();
    let mut expected: Vec<_> =
        (0..2).flat_map(|who| (0..200).map(move |index| line(who, index))).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_small_change_of_a_large_object_moves_two_parts_at_most() {
    let world = World::new();
    let mut model = pattern(1, 40 * PART as usize);
    world.put("f", &model).await.unwrap();
    for at in [0, 17 * PART as usize + 3, 40 * PART as usize - 20] {
        let fresh = world.fresh();
        let handle = fresh.open("f", WRITE).await.unwrap();
        let count = |operation| fresh.bucket.requests_of(operation);
        let (gets, seen) = (count(Operation::Get), fresh.bucket.effects().len());
        fresh.write_at(handle, at as u64, b"changed").await.unwrap();
        fresh.close(handle).await.unwrap();
        model[at..at + 7].copy_from_slice(b"changed");
        assert!(fresh.object("f").await.unwrap() == model);
        assert!(count(Operation::Get) - gets <= 2, "at {at}");
        let effects = fresh.bucket.effects();
        let parts = effects[seen..].iter().filter(|effect| effect.operation == Operation::PutPart);
        let sent: u64 = parts.map(|effect| effect.size).sum();
        assert!(sent <= 2 * PART, "{sent} bytes at {at}");
        let copies = effects[seen..].iter();
        let copies = copies.filter(|effect| effect.operation == Operation::CopyPart).count();
        assert!((1..=2).contains(&copies), "{copies} copies at {at}");
    }
}

#[tokio::test]
async fn a_handle_that_publishes_each_change_publishes_ranges_too() {
    let world = World::new();
    world.put("from", &pattern(1, 10 * PART as usize)).await.unwrap();
    let from = world.open("from", OpenMode::default()).await.unwrap();
    let (_, handle) = world.create("f").await.unwrap();
    world.fs.allocate(handle, 0, 10, Allocate::Grow).await.unwrap();
    assert_eq!(world.object("f").await, None, "as a rule the close publishes");
    world.fs.publish_each_change(handle);
    world.fs.allocate(handle, 0, 12, Allocate::Grow).await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), [0; 12]);
    let copied = world.fs.copy_range((from, 0), (handle, 2), 5).await.unwrap();
    assert_eq!(copied, 5);
    let expected = [&[0; 2][..], &pattern(1, 5), &[0; 5]].concat();
    assert_eq!(world.object("f").await.unwrap(), expected);
    world.store.fail(Operation::Put, 0, ErrorKind::AccessDenied);
    let refused = world.fs.allocate(handle, 0, 5, Allocate::Punch).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::AccessDenied);
}
