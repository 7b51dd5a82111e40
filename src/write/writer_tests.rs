//! Named promises of the write pipeline, each against the fake bucket.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Handle;

use super::fake_tests::{FakeStore, limits};
use super::*;
use crate::clock::SystemClock;
use crate::store::{ErrorKind, Operation, Replaces, StandardHeaders};

const PART: usize = 4096;

pub(super) struct World {
    pub(super) store: Arc<FakeStore>,
    pub(super) writers: Arc<Writers>,
    pub(super) budget: Budget,
    pub(super) dir: TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(1 << 20, FakeStore::new(limits(1000, 10_000)), |_| {})
    }

    pub(super) fn with(
        budget: u64,
        store: Arc<FakeStore>,
        change: impl FnOnce(&mut WriteConfig),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = WriteConfig {
            part_bytes: PART as u64,
            block_bytes: 1024,
            ..WriteConfig::new(dir.path().to_owned())
        };
        change(&mut config);
        let budget = Budget::new(budget);
        let writers =
            Writers::new(store.clone(), budget.clone(), config, &clock(), Handle::current());
        Self { store, writers, budget, dir }
    }

    pub(super) fn create(&self) -> Arc<FileWriter> {
        self.writers.create(key(), Base::Empty, PutOptions::default())
    }

    fn open(&self, bytes: &[u8]) -> Arc<FileWriter> {
        let version = self.store.set(&key(), bytes);
        let base = Base::Object { key: key(), version, checksum: None, copyable: true };
        self.writers.create(key(), base, PutOptions::default())
    }

    async fn arrived(&self, operations: u32) {
        self.store.arrived.acquire_many(operations).await.unwrap().forget();
    }

    /// Waits until the store was asked for so many more things.
    pub(super) async fn reached(&self, operations: u32) {
        self.store.reached.acquire_many(operations).await.unwrap().forget();
    }
}

pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(super) fn key() -> Key {
    Key::new("dir/file").unwrap()
}

pub(super) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 253) as u8).collect()
}

fn typed(content_type: &str, create_only: bool) -> PutOptions {
    PutOptions {
        headers: StandardHeaders::of_type(content_type),
        replaces: Replaces::nothing_if(create_only),
        ..PutOptions::default()
    }
}

pub(super) fn kind(error: &WriteError) -> ErrorKind {
    match error {
        WriteError::Store(error) => error.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_first_part_is_stored_before_the_last_write() {
    let world = World::new();
    let file = world.create();
    let data = bytes(3 * PART);
    assert_eq!(file.try_write(0, &data[..PART]).unwrap(), PART);
    assert_eq!(world.writers.stats(), WriteStats::default(), "it may be all there is");
    assert_eq!(file.try_write(PART as u64, &data[PART..PART + 1]).unwrap(), 1);
    world.arrived(2).await;
    assert_eq!(world.store.applied(Operation::PutPart), 1);
    file.write(PART as u64 + 1, &data[PART + 1..]).await.unwrap();
    let committed = file.commit(typed("text/plain", false)).await.unwrap();
    assert!(committed.by_upload);
    assert_eq!(committed.options_sent, PutOptions::default(), "they went with Initiate");
    assert_eq!(committed.checksum, world.store.limits().checksum.map(|kind| kind.of(&data)));
    assert_eq!(world.store.object(&key()), Some(data));
    assert_eq!(world.store.applied(Operation::PutPart), 3);
}

#[tokio::test]
async fn a_file_of_one_part_is_one_put() {
    for len in [0, 1, PART] {
        let world = World::new();
        let file = world.create();
        let data = bytes(len);
        assert!(file.is_dirty(), "a new file is published even when it is empty");
        assert_eq!(file.try_write(0, &data).unwrap(), len);
        let options = typed("text/plain", true);
        let first = file.commit(options.clone()).await.unwrap();
        assert_eq!((first.by_upload, first.options_sent), (false, options.clone()));
        assert_eq!(world.store.object(&key()), Some(data));
        assert_eq!(world.store.options(&key()), Some(options.clone()));
        assert_eq!(world.store.applied(Operation::StartUpload), 0);

        file.commit(options.clone()).await.unwrap();
        assert_eq!(world.store.applied(Operation::Put), 1, "a clean file is not sent again");
        file.truncate(2).await.unwrap();
        let second = file.commit(options).await.unwrap();
        assert!(
            !second.options_sent.replaces.is_nothing() || len == 2,
            "the object is ours by now"
        );
        assert_eq!(world.store.applied(Operation::Get), 0, "its bytes are still in memory");
    }
}

#[tokio::test]
async fn a_failed_part_fails_everything_after_it_and_is_cleaned_up() {
    for fault in [ErrorKind::Unavailable, ErrorKind::Corrupt, ErrorKind::NoSuchUpload] {
        let world = World::new();
        world.store.set(&key(), b"old");
        world.store.fail(Operation::PutPart, 1, fault);
        let file = world.create();
        file.write(0, &bytes(10 * PART)).await.ok();
        let first = file.commit(PutOptions::default()).await.unwrap_err();
        assert_eq!(kind(&first), fault);
        assert_eq!(kind(&file.write(0, b"x").await.unwrap_err()), fault);
        assert_eq!(kind(&file.try_write(0, b"x").unwrap_err()), fault);
        assert_eq!(kind(&file.truncate(0).await.unwrap_err()), fault);
        assert_eq!(kind(&file.read(0, 1).await.unwrap_err()), fault);
        assert_eq!(kind(&file.commit(PutOptions::default()).await.unwrap_err()), fault);
        world.writers.idle().await;
        assert_eq!(world.store.uploads(), 0);
        assert_eq!(world.store.object(&key()), Some(b"old".to_vec()));
        assert_eq!(world.writers.stats(), WriteStats::default());
    }
}

#[tokio::test]
async fn a_discarded_file_leaves_nothing_even_when_the_id_comes_late() {
    for gated in [Operation::StartUpload, Operation::PutPart] {
        let world = World::new();
        let gate = world.store.gate(gated);
        let file = world.create();
        file.write(0, &bytes(3 * PART)).await.unwrap();
        file.discard().await;
        let error = file.commit(PutOptions::default()).await.unwrap_err();
        assert!(matches!(error, WriteError::Discarded));
        gate.add_permits(100);
        world.writers.idle().await;
        assert_eq!((world.store.uploads(), world.store.object(&key())), (0, None));
        assert_eq!(world.store.applied(Operation::CompleteUpload), 0);
    }
}

#[tokio::test]
async fn discard_waits_for_a_put_that_is_on_its_way() {
    let world = World::new();
    let gate = world.store.gate(Operation::Put);
    let file = world.create();
    file.write(0, b"data").await.unwrap();
    let commit = tokio::spawn({
        let file = file.clone();
        async move { file.commit(PutOptions::default()).await }
    });
    while world.writers.stats().requests_in_flight == 0 {
        tokio::task::yield_now().await;
    }
    let mut discard = Box::pin(file.discard());
    tokio::select! {
        biased;
        () = &mut discard => panic!("the put can still be applied"),
        () = tokio::task::yield_now() => {}
    }
    gate.add_permits(1);
    discard.await;
    assert_eq!(world.store.applied(Operation::Put), 1);
    commit.await.unwrap().unwrap();
}

#[tokio::test]
async fn discard_waits_for_the_abort_after_a_complete_that_failed() {
    let world = World::new();
    world.store.fail(Operation::CompleteUpload, 0, ErrorKind::Timeout);
    let gate = world.store.gate(Operation::AbortUpload);
    let file = world.create();
    file.write(0, &bytes(3 * PART)).await.unwrap();
    file.commit(PutOptions::default()).await.unwrap_err();
    assert!(file.may_have_published());
    let mut discard = Box::pin(file.discard());
    for _ in 0..10 {
        tokio::select! {
            biased;
            () = &mut discard => panic!("the upload can still be completed"),
            () = tokio::task::yield_now() => {}
        }
    }
    gate.add_permits(1);
    discard.await;
    assert_eq!(world.store.uploads(), 0);
}

#[tokio::test]
async fn a_writer_that_is_dropped_aborts_its_upload() {
    let world = World::new();
    let file = world.create();
    file.write(0, &bytes(3 * PART)).await.unwrap();
    drop(file);
    world.writers.idle().await;
    assert_eq!((world.store.uploads(), world.store.object(&key())), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_turn_does_not_come_in_time_may_be_tried_again() {
    let world = World::new();
    let file = world.create();
    file.write(0, b"x").await.unwrap();
    let held = file.hold().await;
    let error = file.commit(PutOptions::default()).await.unwrap_err();
    assert!(matches!(error, WriteError::Timeout), "{error:?}");
    assert!(file.failure().is_none() && !file.may_have_published());
    drop(held);
    file.commit(PutOptions::default()).await.unwrap();
    assert_eq!(world.store.applied(Operation::Put), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_ends_in_time() {
    for (len, gated) in [(1, Operation::Put), (3 * PART, Operation::CompleteUpload)] {
        let world = World::new();
        let gate = world.store.gate(gated);
        let file = world.create();
        file.write(0, &bytes(len)).await.unwrap();
        let start = tokio::time::Instant::now();
        let error = file.commit(PutOptions::default()).await.unwrap_err();
        assert!(matches!(error, WriteError::Timeout), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(601));
        let error = file.write(0, b"x").await.unwrap_err();
        assert!(matches!(error, WriteError::Timeout), "{error:?}");
        world.store.fail(Operation::CompleteUpload, 0, ErrorKind::Unavailable);
        gate.add_permits(10);
        world.writers.idle().await;
        assert_eq!((world.store.uploads(), world.store.object(&key())), (0, None));
    }
}

#[tokio::test]
async fn two_hundred_half_filled_files_do_not_wait_for_each_other() {
    let store = FakeStore::new(limits(1 << 20, 10_000));
    let world = World::with(8 << 20, store, |config| {
        config.part_bytes = 8 << 20;
        config.block_bytes = 1 << 20;
    });
    let free = world.budget.free_bytes();
    let names: Vec<Key> = (0..200).map(|i| Key::new(format!("file-{i}")).unwrap()).collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| world.writers.create(name.clone(), Base::Empty, PutOptions::default()))
        .collect();
    let put = async |file: &FileWriter, data: &[u8]| {
        let at = file.size();
        let taken = file.try_write(at, data).unwrap();
        file.write(at + taken as u64, &data[taken..]).await.unwrap();
    };
    for (i, file) in files.iter().enumerate() {
        put(file, &[i as u8]).await;
    }
    // One application that writes to all of them in turn, as large as its copies are.
    let data = bytes(3 << 20);
    for piece in data.chunks(1 << 20) {
        for file in &files {
            put(file, piece).await;
        }
    }
    for file in &files {
        file.commit(PutOptions::default()).await.unwrap();
    }
    for (i, name) in names.iter().enumerate() {
        let object = world.store.object(name).unwrap();
        assert!(object[0] == i as u8 && object[1..] == data, "{name}");
    }
    drop(files);
    world.writers.idle().await;
    assert_eq!(world.budget.free_bytes(), free);
}

#[tokio::test]
async fn a_writer_waits_for_memory_that_is_in_flight() {
    let world = World::with(64 << 10, FakeStore::new(limits(1000, 10_000)), |_| {});
    let gate = world.store.gate(Operation::PutPart);
    let file = world.create();
    let data = bytes(100 * PART);
    let write = tokio::spawn({
        let (file, data) = (file.clone(), data.clone());
        async move { file.write(0, &data).await }
    });
    while world.writers.stats().uploads_open == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!write.is_finished());
    assert!(world.writers.stats().bytes_in_flight <= 64 << 10);
    gate.add_permits(1000);
    write.await.unwrap().unwrap();
    file.commit(PutOptions::default()).await.unwrap();
    assert_eq!(world.store.object(&key()), Some(data));
    assert_eq!(world.store.applied(Operation::Get), 0, "nothing had to be brought back");
}

#[tokio::test]
async fn a_base_that_was_replaced_is_stale_and_nothing_is_published() {
    let world = World::new();
    let file = world.open(&bytes(3 * PART));
    world.store.set(&key(), b"theirs");
    file.write(5, b"x").await.unwrap();
    assert!(matches!(file.read(0, 5).await.unwrap_err(), WriteError::Stale));
    let error = file.commit(PutOptions::default()).await.unwrap_err();
    assert!(matches!(error, WriteError::Stale), "{error:?}");
    assert_eq!(world.store.object(&key()), Some(b"theirs".to_vec()));
}

#[tokio::test]
async fn a_small_base_that_was_replaced_is_stale_at_the_first_change() {
    let world = World::new();
    let file = world.open(&bytes(PART / 2));
    world.store.set(&key(), b"theirs");
    let error = file.write(5, b"x").await.unwrap_err();
    assert!(matches!(error, WriteError::Stale), "{error:?}");
    assert!(!file.is_dirty());
    file.commit(PutOptions::default()).await.unwrap();
    assert_eq!(world.store.object(&key()), Some(b"theirs".to_vec()));
}

#[tokio::test]
async fn bytes_that_differ_from_the_known_checksum_are_not_edited() {
    for len in [10, 3 * PART] {
        let world = World::new();
        let version = world.store.set(&key(), &bytes(len));
        let checksum = world.store.limits().checksum.map(|kind| kind.of(b"other"));
        let base = Base::Object { key: key(), version, checksum, copyable: true };
        let file = world.writers.create(key(), base, PutOptions::default());
        let error = match len {
            10 => file.write(0, b"x").await.unwrap_err(),
            // It is not read, but the object that is made of it is checked as a whole.
            _ => {
                file.write(len as u64, b"x").await.unwrap();
                file.commit(PutOptions::default()).await.unwrap_err()
            }
        };
        assert_eq!(kind(&error), ErrorKind::Corrupt);
        assert_eq!(world.store.object(&key()), Some(bytes(len)));
    }
}

/// Lengths of the bodies that were sent, and the number of copied parts.
async fn edited(
    world: &World,
    base: usize,
    change: impl AsyncFnOnce(&FileWriter, &mut Vec<u8>),
) -> (u64, usize) {
    let mut model = bytes(base);
    let file = world.open(&model);
    let copies = world.store.applied(Operation::CopyPart);
    let sent = world.store.sent_bytes.load(std::sync::atomic::Ordering::Relaxed);
    change(&file, &mut model).await;
    file.commit(PutOptions::default()).await.unwrap();
    assert!(world.store.object(&key()) == Some(model), "other bytes");
    let now = world.store.sent_bytes.load(std::sync::atomic::Ordering::Relaxed);
    (now - sent, world.store.applied(Operation::CopyPart) - copies)
}

#[tokio::test]
async fn a_small_change_of_a_large_object_sends_little() {
    let (base, at) = (40 * PART, 17 * PART + 3);
    let world = World::new();
    let (sent, copies) = edited(&world, base, async |file, model| {
        file.write(at as u64, b"changed").await.unwrap();
        model[at..at + 7].copy_from_slice(b"changed");
    })
    .await;
    assert!(sent <= 2 * PART as u64 && copies == 2, "{sent} bytes, {copies} copies");

    let (sent, copies) = edited(&world, base, async |file, model| {
        file.write(base as u64, b"more").await.unwrap();
        model.extend_from_slice(b"more");
    })
    .await;
    assert_eq!((sent, copies), (4, 1), "an append");

    let (sent, copies) = edited(&world, base, async |file, model| {
        file.truncate(at as u64).await.unwrap();
        model.truncate(at);
    })
    .await;
    assert_eq!((sent, copies), (0, 1), "a cut");
}

#[tokio::test]
async fn appending_goes_on_after_a_publication_with_copies() {
    let world = World::new();
    let file = world.create();
    let mut model = Vec::new();
    for round in 1..4 {
        let more = bytes(3 * PART + round);
        file.write(model.len() as u64, &more).await.unwrap();
        model.extend_from_slice(&more);
        file.commit(PutOptions::default()).await.unwrap();
        assert!(world.store.object(&key()).as_ref() == Some(&model), "round {round}");
    }
    assert_eq!(world.store.applied(Operation::CopyPart), 2);
    assert_eq!(world.store.applied(Operation::Get), 0, "nothing had to be brought back");
    let sent = world.store.sent_bytes.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(sent, model.len() as u64, "every byte was sent once");
}

#[tokio::test]
async fn a_whole_object_is_copied_by_one_request() {
    let world = World::new();
    let from = Key::new("from").unwrap();
    let object = RemoteObject {
        key: from.clone(),
        version: world.store.set(&from, &bytes(9 * PART)),
        checksum: None,
    };
    let file = world.create();
    for start in [0, 4 * PART as u64] {
        let len = if start == 0 { 4 } else { 5 } * PART as u64;
        file.copy_from(object.clone(), start, len, start).await.unwrap();
    }
    file.commit(PutOptions::default()).await.unwrap();
    assert!(world.store.object(&key()) == Some(bytes(9 * PART)));
    assert_eq!(world.store.applied(Operation::Copy), 1);
    assert_eq!(world.store.applied(Operation::StartUpload), 0);
}

#[tokio::test]
async fn a_missing_staging_directory_loses_nothing() {
    let world = World::new();
    let file = world.create();
    file.write(0, b"held").await.unwrap();
    std::fs::remove_dir(world.dir.path()).unwrap();
    let error = file.write(1 << 30, b"far").await.unwrap_err();
    assert!(matches!(error, WriteError::Staging { os_code: Some(libc::ENOENT), .. }), "{error:?}");
    file.write(4, b" on").await.unwrap();
    file.commit(PutOptions::default()).await.unwrap();
    assert_eq!(world.store.object(&key()), Some(b"held on".to_vec()));
}

#[tokio::test]
async fn a_write_past_the_reach_is_refused_before_its_first_byte() {
    let mut limits = limits(1000, 10_000);
    limits.object_bytes = 20_000;
    let world = World::with(64 << 10, FakeStore::new(limits), |config| {
        config.block_bytes = 4096;
    });
    let reach = world.writers.reach_bytes();
    assert_eq!(reach, 20_000);
    let file = world.create();
    let data = bytes(reach as usize);
    file.write(0, &data).await.unwrap();
    for refused in [file.try_write(reach, b"x").err(), file.write(reach, b"x").await.err()] {
        let Some(WriteError::TooLarge { limit_bytes }) = refused else { panic!("{refused:?}") };
        assert_eq!(limit_bytes, reach);
    }
    assert!(matches!(file.write(u64::MAX, b"x").await, Err(WriteError::TooLarge { .. })));
    file.commit(PutOptions::default()).await.unwrap();
    assert_eq!(world.store.object(&key()), Some(data));
}

#[tokio::test]
async fn an_orphan_goes_on_and_is_never_published() {
    let world = World::new();
    let file = world.create();
    file.write(0, b"data").await.unwrap();
    file.orphan().await;
    let data = bytes(5 * PART);
    file.write(0, &data).await.unwrap();
    assert_eq!(file.read(0, data.len() as u64).await.unwrap().concat(), data);
    let error = file.commit(PutOptions::default()).await.unwrap_err();
    assert!(matches!(error, WriteError::Discarded));
    assert_eq!(file.read(1, 3).await.unwrap().concat(), data[1..4]);
    drop(file);
    world.writers.idle().await;
    assert_eq!((world.store.uploads(), world.store.object(&key())), (0, None));
}

#[tokio::test]
async fn a_rename_moves_what_was_not_sent_and_asks_for_a_commit_otherwise() {
    let world = World::new();
    let other = Key::new("other").unwrap();
    let file = world.create();
    file.write(0, b"data").await.unwrap();
    file.retarget(other.clone(), None).await.unwrap();
    file.commit(PutOptions::default()).await.unwrap();
    assert_eq!(world.store.object(&other), Some(b"data".to_vec()));
    assert_eq!(world.store.object(&key()), None);

    file.write(0, &bytes(3 * PART)).await.unwrap();
    let error = file.retarget(key(), None).await.unwrap_err();
    assert!(matches!(error, WriteError::NeedsCommit));
    file.commit(PutOptions::default()).await.unwrap();
    let renamed = world.store.set(&key(), &bytes(3 * PART));
    file.retarget(key(), Some((renamed, None))).await.unwrap();
    assert_eq!(file.read(1, 2).await.unwrap().concat(), [1, 2]);
}

#[tokio::test]
async fn a_header_that_is_rewritten_at_the_end_is_right() {
    let world = World::new();
    let file = world.create();
    let mut data = bytes(5 * PART + 10);
    file.write(0, &data).await.unwrap();
    file.write(3, b"HEADER").await.unwrap();
    data[3..9].copy_from_slice(b"HEADER");
    file.commit(PutOptions::default()).await.unwrap();
    assert_eq!(world.store.object(&key()), Some(data));
}

/// A mount whose parts soon outgrow its memory: 64 bytes first, 512 KiB in the fourteenth step, with
/// 64 KiB of memory.
fn small_mount() -> World {
    let mut limits = limits(16, 40);
    limits.object_bytes = 5 << 20;
    World::with(64 << 10, FakeStore::new(limits), |config| {
        config.part_bytes = 64;
        config.block_bytes = 4096;
        config.max_requests = 2;
    })
}

#[tokio::test]
async fn a_part_larger_than_all_memory_is_sent_from_disk() {
    let world = small_mount();
    let free = world.budget.free_bytes();
    assert_eq!(world.writers.reach_bytes(), 5 << 20, "whatever the memory");
    let file = world.create();
    let data = bytes(5 << 20);
    for piece in data.chunks(100_000) {
        let at = file.size();
        let taken = file.try_write(at, piece).unwrap();
        file.write(at + taken as u64, &piece[taken..]).await.unwrap();
    }
    let committed = file.commit(PutOptions::default()).await.unwrap();
    assert_eq!(committed.checksum, world.store.limits().checksum.map(|kind| kind.of(&data)));
    assert!(world.store.object(&key()) == Some(data));
    assert_eq!(world.store.applied(Operation::Get), 0, "it was streamed");
    assert_eq!(world.store.longest_in_memory.load(Ordering::Relaxed), 16 << 10);
    assert!(world.store.longest_from_file.load(Ordering::Relaxed) > 1 << 20);
    drop(file);
    world.writers.idle().await;
    assert_eq!(world.budget.free_bytes(), free);
}

#[tokio::test]
async fn parts_on_disk_wait_for_the_service_too() {
    let world = small_mount();
    let gate = world.store.gate(Operation::PutPart);
    // Enough for all parts in memory: 4 of the first size, 8 larger ones, 4 more of the largest.
    gate.add_permits(16);
    let file = world.create();
    let data = bytes(2 << 20);
    let write = tokio::spawn({
        let (file, data) = (file.clone(), data.clone());
        async move { file.write(0, &data).await }
    });
    // 32, 64 and 128 KiB: two are being sent, and a third is filled.
    let filled = async {
        while file.size() < 319 << 10 {
            tokio::task::yield_now().await;
        }
    };
    let filled = tokio::time::timeout(Duration::from_secs(30), filled).await;
    filled.expect("the third part on disk is filled");
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(!write.is_finished());
    assert_eq!(world.writers.stats().bytes_in_flight, 96 << 10);
    gate.add_permits(1000);
    write.await.unwrap().unwrap();
    file.commit(PutOptions::default()).await.unwrap();
    assert!(world.store.object(&key()) == Some(data));
}

#[tokio::test]
async fn a_part_on_disk_can_be_changed_until_it_is_sent() {
    let world = small_mount();
    let file = world.create();
    let mut data = bytes(100_000);
    file.write(0, &data).await.unwrap();
    file.write(99_000, b"changed").await.unwrap();
    data[99_000..99_007].copy_from_slice(b"changed");
    file.truncate(99_500).await.unwrap();
    data.truncate(99_500);
    assert_eq!(file.read(98_990, 100).await.unwrap().concat(), data[98_990..99_090]);
    file.commit(PutOptions::default()).await.unwrap();
    assert!(world.store.object(&key()) == Some(data));
    assert_eq!(world.store.applied(Operation::Get), 0);
}
