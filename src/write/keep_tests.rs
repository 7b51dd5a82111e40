//! Parts that stay in memory after they were sent: what they save, and that they are nobody's memory.

use std::sync::Arc;

use super::fake_tests::{FakeStore, limits};
use super::writer_tests::{World, bytes, key, kind};
use super::*;
use crate::store::{ChecksumKind, ErrorKind, Limits, Operation, PartNumber};

/// Two blocks.
const PART: usize = 8192;

/// A mount of memory for 16 parts; 2 of them are for bytes between disk and store, 8 may be kept.
fn with_disk(limits: Limits) -> World {
    World::with(16 * PART as u64, FakeStore::new(limits), |config| {
        config.part_bytes = PART as u64;
        config.block_bytes = PART / 2;
    })
}

/// As [`with_disk`], but nothing can go through a file: its folder is gone.
fn without_disk(limits: Limits) -> World {
    let world = with_disk(limits);
    std::fs::remove_dir(world.dir.path()).unwrap();
    world
}

fn small() -> World {
    without_disk(limits(1000, 10_000))
}

async fn streamed(world: &World, name: &str, data: &[u8]) -> Arc<FileWriter> {
    let key = Key::new(name).unwrap();
    let file = world.writers.create(key, Base::Empty, PutOptions::default());
    file.write(0, data).await.unwrap();
    file
}

/// Writes to a file and to what it should be.
async fn change(file: &FileWriter, data: &mut [u8], at: usize, with: &[u8]) {
    file.write(at as u64, with).await.unwrap();
    data[at..at + with.len()].copy_from_slice(with);
}

fn counts(world: &World) -> [usize; 4] {
    [Operation::PutPart, Operation::CompleteUpload, Operation::ListParts, Operation::Get]
        .map(|operation| world.store.applied(operation))
}

async fn assert_published(world: &World, file: &FileWriter, name: &str, data: &[u8]) {
    let committed = file.commit(PutOptions::default()).await.unwrap();
    assert!(world.store.object(&Key::new(name).unwrap()).as_deref() == Some(data), "{name}");
    let kind = world.store.limits().checksum.unwrap_or(ChecksumKind::Crc64Xz);
    assert_eq!(committed.checksum, Some(kind.of(data)));
}

#[tokio::test]
async fn a_header_rewritten_in_a_file_of_four_budgets_is_one_part_more() {
    for checksum in [limits(1, 1).checksum, None] {
        let world = without_disk(Limits { checksum, ..limits(1000, 10_000) });
        let mut data = bytes(64 * PART + 10);
        let file = streamed(&world, "f", &data).await;
        for at in [3, 900, 2000] {
            change(&file, &mut data, at, b"HEADER").await;
        }
        assert_published(&world, &file, "f", &data).await;
        assert_eq!(counts(&world), [65 + 1, 1, 1, 0]);
        assert_eq!(file.publications(), 1);
    }
}

#[tokio::test]
async fn nothing_is_compared_when_nothing_was_sent_again() {
    let world = small();
    let data = bytes(10 * PART);
    let file = streamed(&world, "f", &data).await;
    assert_published(&world, &file, "f", &data).await;
    assert_eq!(counts(&world), [10, 1, 0, 0]);
}

#[tokio::test]
async fn own_bytes_are_read_back_without_a_request() {
    let world = small();
    let mut data = bytes(64 * PART + 10);
    let file = streamed(&world, "f", &data).await;
    let read =
        async |at: usize, len: usize| file.read(at as u64, len as u64).await.unwrap().concat();
    assert!(read(7, 1000).await == data[7..1007], "in the first part");
    let at = 62 * PART + 5;
    assert!(read(at, 3 * PART).await == data[at..], "sent parts and the one being filled");
    change(&file, &mut data, at, &[255; 2 * PART]).await;
    assert!(read(at - 1, 3 * PART).await == data[at - 1..], "changed ones too");
    assert_eq!((counts(&world)[1..].to_vec(), file.publications()), (vec![0, 0, 0], 0));

    let at = 5 * PART;
    assert!(read(at, PART).await == data[at..at + PART], "no longer in memory");
    assert_eq!((counts(&world)[1], file.publications()), (1, 1), "so it was published");
    assert_published(&world, &file, "f", &data).await;
}

#[tokio::test]
async fn bytes_that_a_request_reads_are_changed_when_it_has_ended() {
    let world = small();
    let gate = world.store.gate(Operation::PutPart);
    let mut data = bytes(2 * PART + 1);
    let file = streamed(&world, "f", &data).await;
    while world.writers.stats().requests_in_flight < 2 {
        tokio::task::yield_now().await;
    }
    let write = tokio::spawn({
        let file = Arc::clone(&file);
        async move { file.write(9, b"HEADER").await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!write.is_finished());
    gate.add_permits(100);
    write.await.unwrap().unwrap();
    data[9..15].copy_from_slice(b"HEADER");
    assert_published(&world, &file, "f", &data).await;
    assert_eq!(counts(&world), [4, 1, 1, 0]);
}

#[tokio::test]
async fn a_write_that_waits_for_a_request_ends_when_the_upload_fails() {
    let world = small();
    let gate = world.store.gate(Operation::PutPart);
    world.store.fail(Operation::PutPart, 0, ErrorKind::Unavailable);
    let file = streamed(&world, "f", &bytes(2 * PART + 1)).await;
    let write = file.write(0, b"HEADER");
    let (result, ()) = tokio::join!(write, async { gate.add_permits(1) });
    assert_eq!(kind(&result.unwrap_err()), ErrorKind::Unavailable);
    gate.add_permits(100);
    world.writers.idle().await;
    assert_eq!(world.store.uploads(), 0);
}

#[tokio::test]
async fn kept_memory_counts_as_free_and_goes_to_whoever_needs_it() {
    let world = small();
    let free = world.budget.free_bytes();
    let mut data = bytes(20 * PART);
    let file = streamed(&world, "f", &data).await;
    world.writers.idle().await;
    assert_eq!(world.budget.free_bytes(), free, "all parts were sent");
    let unheld: Vec<_> = (0..).map_while(|_| world.budget.try_take_unheld(PART as u64)).collect();
    assert_eq!(unheld.len(), 14 - 8, "half of the memory is kept, and no more");
    drop(unheld);

    // All but the first part, which goes last.
    let reader = world.budget.try_take(free - PART as u64).unwrap();
    change(&file, &mut data, 0, b"HEADER").await;
    assert_eq!(file.publications(), 0);
    drop(reader);
    assert_published(&world, &file, "f", &data).await;
    assert_eq!(counts(&world), [21, 1, 1, 0]);
}

#[tokio::test]
async fn the_first_part_goes_too_when_all_memory_is_needed() {
    let world = with_disk(limits(1000, 10_000));
    let mut data = bytes(20 * PART);
    let file = streamed(&world, "f", &data).await;
    world.writers.idle().await;
    let reader = world.budget.try_take(world.budget.free_bytes()).unwrap();
    drop(reader);
    change(&file, &mut data, 0, b"HEADER").await;
    assert_eq!(file.publications(), 1, "it was sent, and rests on that now");
    let committed = file.commit(PutOptions::default()).await.unwrap();
    assert!(world.store.object(&Key::new("f").unwrap()) == Some(data));
    assert_eq!(committed.checksum, None, "nobody knows that of a range that was copied");
}

#[tokio::test]
async fn a_changed_part_is_sent_when_its_memory_is_needed() {
    let world = small();
    let free = world.budget.free_bytes();
    let mut data = bytes(20 * PART);
    let file = streamed(&world, "f", &data).await;
    world.writers.idle().await;
    for at in [0, 18 * PART, 18 * PART + 9] {
        change(&file, &mut data, at, b"changed").await;
    }
    assert_eq!(world.budget.free_bytes(), free - 2 * PART as u64);
    assert!(world.budget.try_take(free).is_none(), "two parts must be sent first");
    world.writers.idle().await;
    assert_eq!(counts(&world)[0], 20 + 2);
    let reader = world.budget.try_take(free).expect("they were sent");
    drop(reader);
    assert_published(&world, &file, "f", &data).await;
    assert_eq!(counts(&world), [22, 1, 1, 0]);
}

#[tokio::test]
async fn another_writer_gets_the_memory_and_first_parts_stay() {
    let world = small();
    let mut data = bytes(20 * PART);
    let file = streamed(&world, "f", &data).await;
    let other = streamed(&world, "g", &bytes(100 * PART)).await;
    change(&file, &mut data, 1, b"HEADER").await;
    let mut others = bytes(100 * PART);
    change(&other, &mut others, 1, b"HEADER").await;
    assert_published(&world, &other, "g", &others).await;
    assert_published(&world, &file, "f", &data).await;
    assert_eq!(counts(&world), [122, 2, 2, 0]);
}

#[tokio::test]
async fn first_parts_of_idle_files_do_not_stop_a_writer() {
    let world = small();
    // Each holds its first part and a block of the second: together more than twice the budget.
    let mut idle = Vec::new();
    for index in 0..24 {
        idle.push(streamed(&world, &format!("idle{index}"), &bytes(PART + 1)).await);
    }
    let data = bytes(100 * PART);
    let file = streamed(&world, "f", &data).await;
    assert_published(&world, &file, "f", &data).await;
    for (index, file) in idle.iter().enumerate() {
        assert_published(&world, file, &format!("idle{index}"), &bytes(PART + 1)).await;
    }
}

#[tokio::test]
async fn a_part_that_cannot_be_sent_again_fails_the_file() {
    let world = small();
    let free = world.budget.free_bytes();
    world.store.set(&key(), b"old");
    let file = world.create();
    file.write(0, &bytes(20 * PART)).await.unwrap();
    world.writers.idle().await;
    file.write(5, b"HEADER").await.unwrap();
    world.store.fail(Operation::PutPart, 0, ErrorKind::Unavailable);
    let error = file.commit(PutOptions::default()).await.unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Unavailable);
    assert_eq!(kind(&file.read(0, 1).await.unwrap_err()), ErrorKind::Unavailable);
    world.writers.idle().await;
    assert_eq!((world.store.uploads(), counts(&world)[1]), (0, 0));
    assert_eq!(world.store.object(&key()), Some(b"old".to_vec()));
    assert_eq!(world.budget.free_bytes(), free);
}

#[tokio::test]
async fn other_bytes_of_a_part_are_found_before_complete() {
    for number in [1, 7, 19] {
        // On the first page, on another, on the last.
        let world = without_disk(Limits { list_page: 3, ..limits(1000, 10_000) });
        let data = bytes(20 * PART);
        let file = streamed(&world, "f", &data).await;
        world.writers.idle().await;
        file.write(0, b"HEADER").await.unwrap();
        // As if an older request had overtaken: same size, other receipt. Part 1 is sent again and
        // then replaced, while the others are asked about.
        let gate = world.store.gate(Operation::ListParts);
        let commit = tokio::spawn({
            let file = Arc::clone(&file);
            async move { file.commit(PutOptions::default()).await }
        });
        while counts(&world)[0] < 21 || world.writers.stats().bytes_in_flight > 0 {
            tokio::task::yield_now().await;
        }
        world.store.replace_part(PartNumber::new(number).unwrap(), &data[..PART]);
        gate.add_permits(100);
        let error = commit.await.unwrap().unwrap_err();
        assert_eq!(kind(&error), ErrorKind::Corrupt);
        world.writers.idle().await;
        assert_eq!((counts(&world)[1], world.store.uploads()), (0, 0));
    }
}

#[tokio::test]
async fn who_may_not_list_parts_may_send_them_again() {
    for (fault, works) in [(ErrorKind::AccessDenied, true), (ErrorKind::Unavailable, false)] {
        let world = small();
        let mut data = bytes(20 * PART);
        let file = streamed(&world, "f", &data).await;
        change(&file, &mut data, 0, b"HEADER").await;
        world.store.fail(Operation::ListParts, 0, fault);
        let committed = file.commit(PutOptions::default()).await;
        assert_eq!(committed.is_ok(), works, "{committed:?}");
        world.writers.idle().await;
        assert_eq!(world.store.uploads(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_and_a_reader_share_little_memory() {
    let world = with_disk(limits(1000, 10_000));
    let free = world.budget.free_bytes();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..12usize {
        let file = world.writers.create(
            Key::new(format!("f{index}")).unwrap(),
            Base::Empty,
            PutOptions::default(),
        );
        tasks.spawn(async move {
            let mut data = bytes(30 * PART + index);
            for (round, piece) in data.chunks(PART / 3).enumerate() {
                let at = file.size();
                let taken = file.try_write(at, piece).unwrap();
                file.write(at + taken as u64, &piece[taken..]).await.unwrap();
                assert!(file.read(at, 10).await.unwrap().concat() == piece[..piece.len().min(10)]);
                if round % 5 == index % 5 {
                    tokio::task::yield_now().await;
                }
            }
            change(&file, &mut data, 0, format!("{index:>9}").as_bytes()).await;
            file.commit(PutOptions::default()).await.unwrap();
            (format!("f{index}"), data)
        });
    }
    let reader = tokio::spawn({
        let budget = world.budget.clone();
        async move {
            loop {
                let permit = budget.try_take(3 * PART as u64);
                tokio::task::yield_now().await;
                drop(permit);
                tokio::task::yield_now().await;
            }
        }
    });
    while let Some(done) = tasks.join_next().await {
        let (name, data) = done.unwrap();
        assert!(world.store.object(&Key::new(name).unwrap()) == Some(data));
    }
    reader.abort();
    let _ = reader.await;
    world.writers.idle().await;
    assert_eq!(world.budget.free_bytes(), free);
}
