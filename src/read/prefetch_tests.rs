//! How many requests are on their way, and what they may cost: requests, bytes, memory.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::read::fake_store::{Fault, World, sample, until};
use crate::read::{EMERGENCY_REQUESTS, FileReader, ReadError};
use crate::store::ErrorKind;

const MIB: u64 = 1 << 20;
const STEP: u64 = 2000;

async fn read_on(reader: &FileReader, from: u64, to: u64) {
    for at in (from..to).step_by(STEP as usize) {
        if reader.try_read(at, STEP as u32).is_none() {
            reader.read(at, STEP as u32).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_sequential_reader_keeps_several_requests_in_flight() {
    let world = World::new(2 * MIB, 0);
    let reader = world.open("k", &sample(1_000_000));
    read_on(&reader, 0, 200_000).await;
    world.store.until_outstanding(|&count| count == 0).await;
    world.store.close_gate();
    let mut at = 200_000;
    while reader.try_read(at, STEP as u32).is_some() {
        at += STEP;
    }
    let (data, ()) = tokio::join!(reader.read(at, STEP as u32), async {
        // The whole window is on its way while the reader waits for its first piece.
        world.store.until_outstanding(|&count| count >= 7).await;
        world.store.open_gate();
    });
    assert_eq!(data.unwrap().len() as u64, STEP);
    let largest = world.store.log().iter().map(|(start, end)| end - start).max();
    assert_eq!(largest, Some(32 << 10));
}

#[tokio::test]
async fn the_first_read_costs_one_small_request_and_the_second_two() {
    let world = World::new(2 * MIB, 0);
    let reader = world.open("k", &sample(1_000_000));
    reader.read(0, 2000).await.unwrap();
    assert_eq!(world.store.log(), vec![(0, 4096)]);
    reader.try_read(2000, 2000).unwrap();
    until(|| world.store.log().len() == 2).await;
    assert_eq!(world.store.log()[1..], [(4096, 8192)]);
}

#[tokio::test]
async fn a_random_reader_fetches_at_most_twice_what_it_needs() {
    let world = World::new(2 * MIB, 0);
    let reader = world.open("k", &sample(1_000_000));
    for i in 1..100_u64 {
        let data = reader.read(i * 377 % 100 * 10_000, 1500).await.unwrap();
        assert_eq!(data.len(), 1500);
    }
    let asked = world.store.asked_bytes();
    assert!(asked <= 2 * 99 * 1500, "{asked}");
}

#[tokio::test]
async fn memory_stays_in_the_budget_with_readers_that_stopped_half_way() {
    let world = World::new(MIB, 64 << 10);
    let mut readers = Vec::new();
    for i in 0..50 {
        let reader = world.open(&format!("k{i}"), &sample(500_000));
        read_on(&reader, 0, 100_000).await;
        assert!(world.budget.free_bytes() >= MIB / 2, "half is the writers'");
        readers.push(reader);
    }
    world.store.until_outstanding(|&count| count == 0).await;
    assert!(world.readers.stats().held_bytes > 0);
    assert_eq!(world.readers.stats().open_readers, 50);
    join_all(readers.iter().map(|reader| read_on(reader, 100_000, 200_000))).await;
    assert!(world.budget.free_bytes() >= MIB / 2);
    drop(readers);
    until(|| world.budget.free_bytes() == MIB).await;
    assert_eq!(world.readers.stats().open_readers, 0);
}

#[tokio::test]
async fn a_reader_gives_up_old_pieces_for_new_ones() {
    let world = World::new(48 << 10, 0);
    let reader = world.open("k", &sample(1_000_000));
    for i in 1..50_u64 {
        reader.read(i * 377 % 100 * 10_000, 5000).await.unwrap();
    }
    let stats = world.readers.stats();
    assert_eq!((stats.emergency_requests, stats.requests), (0, 49));
}

#[tokio::test]
async fn readers_that_do_nothing_make_room_for_others() {
    let world = World::new(MIB, 0);
    let idle = world.open("idle", &sample(500_000));
    read_on(&idle, 0, 200_000).await;
    world.store.until_outstanding(|&count| count == 0).await;
    until(|| world.store.outstanding() == 0).await;
    assert!(world.readers.stats().held_bytes > 0);
    world.readers.sweep_idle(Instant::now());
    assert!(world.readers.stats().held_bytes > 0, "it has just been used");
    world.readers.sweep_idle(Instant::now() + Duration::from_secs(60));
    until(|| world.readers.stats().held_bytes == 0).await;
    read_on(&idle, 200_000, 300_000).await;
}

#[tokio::test]
async fn reads_go_on_when_the_whole_budget_is_taken() {
    let world = World::new(MIB, 0);
    let _writers = world.budget.try_take(MIB).unwrap();
    let bytes = sample(50_000);
    let readers: Vec<_> = (0..40).map(|i| world.open(&format!("k{i}"), &bytes)).collect();
    world.store.close_gate();
    let all = join_all(readers.iter().map(|reader| reader.read(10, 40_000)));
    let most = u64::from(EMERGENCY_REQUESTS) as usize;
    let (results, ()) = tokio::join!(all, async {
        world.store.until_outstanding(|&count| count == most).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
            assert_eq!(world.store.outstanding(), most, "the allowance bounds them");
        }
        world.store.open_gate();
    });
    for data in results {
        assert_eq!(data.unwrap().into_contiguous(), &bytes[10..40_010]);
    }
    assert_eq!(world.readers.stats().emergency_requests, 40);
    assert_eq!(world.readers.stats().held_bytes, 0);
    assert_eq!(world.store.asked_bytes(), 40 * 40_000, "nothing but what was asked for");
}

#[tokio::test]
async fn a_whole_file_read_without_memory_is_verified_too() {
    let world = World::new(MIB, 0);
    let _writers = world.budget.try_take(MIB).unwrap();
    let reader = world.open("k", &sample(50_000));
    read_on(&reader, 0, 50_000).await;
    assert_eq!(world.readers.stats().files_verified, 1);
}

#[tokio::test]
async fn a_failed_request_ahead_of_the_reader_does_not_fail_a_later_read() {
    let world = World::new(2 * MIB, 0);
    let bytes = sample(300_000);
    let reader = world.open("k", &bytes);
    read_on(&reader, 0, 50_000).await;
    world.store.until_outstanding(|&count| count == 0).await;
    for _ in 0..4 {
        world.store.fault(Fault::Fail(ErrorKind::Unavailable));
    }
    let mut failures = 0;
    let mut at = 50_000;
    while at < 300_000 {
        match reader.read(at, STEP as u32).await {
            Ok(data) => {
                assert_eq!(data.into_contiguous(), &bytes[at as usize..(at + STEP) as usize]);
                at += STEP;
            }
            Err(ReadError::Store(_)) => failures += 1,
            Err(ReadError::Stale) => panic!("a failure is not a replacement"),
        }
    }
    assert_eq!(world.readers.stats().failures, 4);
    assert!(failures < 4, "{failures}: those that nobody waited for were repeated in silence");
}

#[tokio::test]
async fn dropping_the_reader_ends_its_requests() {
    let world = World::new(MIB, 0);
    let reader = world.open("k", &sample(500_000));
    read_on(&reader, 0, 100_000).await;
    world.store.until_outstanding(|&count| count == 0).await;
    world.store.close_gate();
    let mut at = 100_000;
    while reader.try_read(at, STEP as u32).is_some() {
        at += STEP;
    }
    world.store.until_outstanding(|&count| count >= 2).await;
    let outstanding = world.store.outstanding() as u64;
    drop(reader);
    until(|| world.budget.free_bytes() == MIB).await;
    assert_eq!(world.store.aborted.load(Ordering::SeqCst), outstanding);
    assert_eq!(world.store.outstanding(), 0);
}

#[tokio::test]
async fn a_seek_ends_the_requests_that_nobody_needs_any_more() {
    let world = World::new(MIB, 0);
    let reader = world.open("k", &sample(1_000_000));
    read_on(&reader, 0, 100_000).await;
    world.store.until_outstanding(|&count| count == 0).await;
    world.store.close_gate();
    let mut at = 100_000;
    while reader.try_read(at, STEP as u32).is_some() {
        at += STEP;
    }
    world.store.until_outstanding(|&count| count >= 2).await;
    let (data, ()) = tokio::join!(reader.read(900_000, STEP as u32), async {
        until(|| world.store.outstanding() == 1).await;
        world.store.open_gate();
    });
    assert_eq!(data.unwrap().len() as u64, STEP);
}

#[tokio::test]
async fn reads_of_the_same_bytes_share_one_request() {
    let world = World::new(MIB, 0);
    let reader = world.open("k", &sample(4000));
    world.store.close_gate();
    let all = join_all((0..5).map(|_| reader.read(0, 4000)));
    let (results, ()) = tokio::join!(all, async {
        world.store.until_outstanding(|&count| count > 0).await;
        world.store.let_through(5);
    });
    assert!(results.into_iter().all(|data| data.unwrap().len() == 4000));
    assert_eq!(world.store.log().len(), 1);
}
