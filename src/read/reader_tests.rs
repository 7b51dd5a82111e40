//! What one reader promises: the right bytes of one version, or an error that says why not.

use std::sync::Arc;

use proptest::prelude::*;

use crate::read::fake_store::{Fault, World, sample, until};
use crate::read::{FileReader, ReadError};
use crate::store::{ETag, ErrorKind, Key, ObjectVersion};

const MIB: u64 = 1 << 20;
const STEP: usize = 2000;

async fn read(reader: &FileReader, offset: usize, len: usize) -> Result<Vec<u8>, ReadError> {
    let data = match reader.try_read(offset as u64, len as u32) {
        Some(data) => data,
        None => reader.read(offset as u64, len as u32).await?,
    };
    Ok(data.into_contiguous().to_vec())
}

/// Reads to the end in small steps.
async fn read_all(reader: &FileReader) -> Result<Vec<u8>, ReadError> {
    let mut all = Vec::new();
    loop {
        let next = read(reader, all.len(), STEP).await?;
        if next.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&next);
    }
}

fn kind(result: Result<Vec<u8>, ReadError>) -> ErrorKind {
    match result {
        Err(ReadError::Store(error)) => error.kind,
        other => panic!("{other:?}"),
    }
}

fn is_stale<T>(result: &Result<T, ReadError>) -> bool {
    matches!(result, Err(ReadError::Stale))
}

#[tokio::test]
async fn a_whole_file_is_read_and_verified() {
    let world = World::new(MIB, 0);
    let bytes = sample(300_000);
    let reader = world.open("k", &bytes);
    assert_eq!(read_all(&reader).await.unwrap(), bytes);
    assert_eq!(world.store.asked_bytes(), 300_000, "every byte was fetched once");
    let stats = world.readers.stats();
    assert_eq!((stats.files_verified, stats.served_bytes), (1, 300_000));
    assert!(stats.reads_from_memory > stats.reads_waited);
}

#[tokio::test]
async fn nothing_is_asked_for_an_empty_file_or_past_the_end() {
    let world = World::new(MIB, 0);
    let empty = world.open("empty", b"");
    assert!(read(&empty, 0, 100).await.unwrap().is_empty());
    let reader = world.open("k", &sample(10));
    assert!(empty.read(0, 1).await.unwrap().is_empty());
    assert!(reader.read(10, 100).await.unwrap().is_empty());
    assert!(reader.read(u64::MAX, u32::MAX).await.unwrap().is_empty());
    assert!(reader.read(5, 0).await.unwrap().is_empty());
    assert_eq!(world.store.log(), vec![]);
    assert_eq!(reader.read(8, 100).await.unwrap().len(), 2);
}

#[tokio::test]
async fn try_read_answers_only_from_memory() {
    let world = World::new(MIB, 0);
    let reader = world.open("k", &sample(100_000));
    assert!(reader.try_read(0, 1000).is_none());
    assert_eq!(world.store.log(), vec![], "it starts nothing when it cannot answer");
    reader.read(0, 1000).await.unwrap();
    assert_eq!(reader.try_read(1000, 1000).unwrap().len(), 1000);
}

#[tokio::test]
async fn a_replaced_object_is_stale_and_never_mixed() {
    let world = World::new(MIB, 0);
    let reader = world.open("k", &[b'a'; 300_000]);
    let mut at = 0;
    while at < 20_000 {
        assert_eq!(read(&reader, at, STEP).await.unwrap(), vec![b'a'; STEP]);
        at += STEP;
    }
    world.store.until_outstanding(|&count| count == 0).await;
    let (key, version) = world.store.put_object("k", "new", vec![b'b'; 300_000]);
    let before = world.store.log().len();
    let mut old = 0;
    let end = loop {
        match read(&reader, at, STEP).await {
            Ok(bytes) => {
                assert!(bytes.iter().all(|&byte| byte == b'a'), "bytes of the new object");
                old += 1;
            }
            Err(error) => break error,
        }
        at += STEP;
    };
    assert!(old > 0, "what was in memory may be read");
    assert!(matches!(end, ReadError::Stale));
    assert!(is_stale(&read(&reader, 250_000, STEP).await));
    let asked = world.store.log().len();
    assert!(asked > before);
    assert!(is_stale(&read(&reader, 200_000, STEP).await));
    assert_eq!(world.store.log().len(), asked, "it is final, nothing is asked again");
    let again = world.readers.open(key, version);
    assert_eq!(read(&again, 250_000, STEP).await.unwrap(), vec![b'b'; STEP]);
}

#[tokio::test]
async fn a_deleted_or_exchanged_object_is_stale() {
    let world = World::new(MIB, 0);
    let reader = world.open("k", &sample(1000));
    world.store.remove_object(&Key::new("k").unwrap());
    assert!(is_stale(&reader.read(0, 10).await));
    // A service that ignores If-Match is found out by the ETag of its answer.
    let reader = world.open("other", &sample(1000));
    world.store.fault(Fault::OtherVersion);
    assert!(is_stale(&reader.read(0, 10).await));
    assert!(is_stale(&reader.read(0, 10).await));
}

#[tokio::test]
async fn a_wrong_answer_is_an_error_and_the_next_read_asks_again() {
    let world = World::new(MIB, 0);
    let bytes = sample(3000);
    let reader = world.open("k", &bytes);
    for fault in [Fault::Short, Fault::Shifted] {
        world.store.fault(fault);
        assert_eq!(kind(read(&reader, 0, 100).await), ErrorKind::InvalidAnswer);
    }
    world.store.fault(Fault::Fail(ErrorKind::Unavailable));
    assert_eq!(kind(read(&reader, 0, 100).await), ErrorKind::Unavailable);
    assert_eq!(read(&reader, 0, 5000).await.unwrap(), bytes);
    assert_eq!(world.readers.stats().failures, 3);
}

#[tokio::test]
async fn a_request_that_panics_is_repeated() {
    let world = World::new(MIB, 0);
    let bytes = sample(3000);
    let reader = world.open("k", &bytes);
    world.store.fault(Fault::Panic);
    assert_eq!(read(&reader, 0, 3000).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_changed_byte_fails_the_reading_of_the_whole() {
    let world = World::new(MIB, 64 << 10);
    for len in [100_000, 3000] {
        let reader = world.open(&format!("k{len}"), &sample(len));
        world.store.fault(Fault::FlipBit);
        assert_eq!(kind(read_all(&reader).await), ErrorKind::Corrupt);
        // The kernel asks for a failed page once more, and must not get it then.
        assert_eq!(kind(read(&reader, len - 1, 1).await), ErrorKind::Corrupt);
    }
    assert_eq!(world.readers.stats().files_corrupt, 2);
    let again = world.open("k3000", &sample(3000));
    assert_eq!(read_all(&again).await.unwrap(), sample(3000), "nothing bad was remembered");
}

#[tokio::test]
async fn the_last_bytes_wait_for_the_verdict_on_those_before() {
    let world = World::new(MIB, 0);
    let reader = world.open("k", &sample(6000));
    world.store.fault(Fault::FlipBit);
    world.store.close_gate_at(0);
    let first = reader.read(0, 3000);
    let last = async {
        world.store.until_outstanding(|&count| count == 1).await;
        reader.read(4096, 1904).await
    };
    let let_through = async {
        until(|| world.readers.stats().fetched_bytes == 6000 - 4096).await;
        assert!(reader.try_read(5000, 1000).is_none(), "it is there but the verdict is not");
        world.store.open_gate();
    };
    let (_, last, ()) = tokio::join!(first, last, let_through);
    assert_eq!(kind(last.map(|data| data.into_contiguous().to_vec())), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_renamed_file_is_read_on_at_its_new_place() {
    let world = World::new(MIB, 0);
    let bytes = sample(300_000);
    let reader = world.open("old", &bytes);
    read(&reader, 0, STEP).await.unwrap();
    world.store.close_gate();
    let (key, version) = world.store.put_object("new", "new", bytes.clone());
    let wait = reader.read(100_000, 5000);
    let rename = async {
        world.store.until_outstanding(|&count| count > 0).await;
        reader.retarget(key.clone(), version.clone());
        world.store.remove_object(&Key::new("old").unwrap());
        world.store.open_gate();
    };
    let (data, ()) = tokio::join!(wait, rename);
    assert_eq!(data.unwrap().into_contiguous(), &bytes[100_000..105_000]);
    assert_eq!(reader.version(), version);
    assert_eq!(read(&reader, 0, STEP).await.unwrap(), bytes[..STEP], "what was in memory stays");
    assert_eq!(read(&reader, 200_000, STEP).await.unwrap(), bytes[200_000..200_000 + STEP]);
    let other_size = ObjectVersion { etag: ETag::new("new"), size: 1 };
    reader.retarget(key, other_size);
    assert!(is_stale(&read(&reader, 250_000, STEP).await));
}

#[tokio::test]
async fn small_objects_are_remembered_by_version() {
    let world = World::new(MIB, 64 << 10);
    let bytes = sample(3000);
    for _ in 0..3 {
        let reader = world.open("k", &bytes);
        assert_eq!(read_all(&reader).await.unwrap(), bytes);
    }
    assert_eq!(world.store.log().len(), 1);
    assert_eq!(world.readers.stats().cache_hits, 2);
    let (key, version) = world.store.put_object("k", "changed", vec![7; 3000]);
    let reader = world.readers.open(key, version);
    assert_eq!(read_all(&reader).await.unwrap(), vec![7; 3000]);
}

/// Where a read begins, relative to the one before.
#[derive(Debug, Clone)]
enum Move {
    On,
    Near(i64),
    To(usize),
}

fn moves() -> impl Strategy<Value = Vec<(Move, usize)>> {
    let step = prop_oneof![
        6 => Just(Move::On),
        2 => (-20_000_i64..20_000).prop_map(Move::Near),
        1 => (0_usize..120_000).prop_map(Move::To),
    ];
    prop::collection::vec((step, 1_usize..9000), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is read in whatever order, several at a time and with whatever memory: exactly the
    /// bytes of the object.
    #[test]
    fn every_read_gives_exactly_the_bytes(
        size in 0_usize..100_000,
        moves in moves(),
        at_once in 1_usize..5,
        budget_kib in prop::sample::select(vec![4_u64, 16, 64, 1024]),
        cache in prop::sample::select(vec![0_u64, 16 << 10]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new(budget_kib << 10, cache);
            let bytes = sample(size);
            let reader = world.open("k", &bytes);
            let mut at = 0_usize;
            for group in moves.chunks(at_once) {
                let mut reads = Vec::new();
                for (step, len) in group {
                    at = match step {
                        Move::On => at,
                        Move::Near(by) => at.saturating_add_signed(*by as isize),
                        Move::To(offset) => *offset,
                    };
                    reads.push((at, *len));
                    at += len;
                }
                let all = reads.iter().map(|&(offset, len)| read(&reader, offset, len));
                let results = futures_util::future::join_all(all).await;
                for (&(offset, len), result) in reads.iter().zip(results) {
                    let expected = &bytes[offset.min(size)..(offset + len).min(size)];
                    prop_assert!(result.unwrap() == expected, "read of {} at {}", len, offset);
                }
                prop_assert!(world.readers.stats().held_bytes <= world.budget.limit_bytes() / 2);
            }
            drop(reader);
            world.store.until_outstanding(|&count| count == 0).await;
            let readers = Arc::clone(&world.readers);
            until(|| readers.stats().held_bytes <= cache).await;
            Ok(())
        })?;
    }
}
