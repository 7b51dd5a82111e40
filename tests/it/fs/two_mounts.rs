//! Two mounts of one bucket, on one key: whatever the order of their requests, the object is that of one of them,
//! whole, and who reads it reads one version.

use std::sync::Arc;
use std::time::Duration;

use partfs::fs::OpenMode;
use partfs::store::fault::{Chances, Dice, Fault, Gate, RandomFaults, Rule};
use partfs::store::{ObjectStore, Operation, UploadsRequest};
use tokio::time::sleep;

use crate::world::fs::{PART, World};
use crate::world::{key, keys, pattern};

/// Runs of each test; each has an order of requests of its own.
const SEEDS: u64 = 150;

/// Every call takes its time.
fn slow(seed: u64) -> Option<RandomFaults> {
    Some(RandomFaults::new(seed, Chances { slow: 900, ..Chances::default() }))
}

#[tokio::test(start_paused = true)]
async fn the_last_complete_wins_whole() {
    let mut winners = [0; 2];
    for seed in 0..SEEDS {
        // With a journal both write into one folder.
        let one = if seed % 2 == 0 { World::new() } else { World::with_journal() };
        let one = Arc::new(one);
        let other = Arc::new(one.fresh());
        let contents = [pattern(1, 6 * PART as usize), pattern(2, 4 * PART as usize + 7)];
        let mut dice = Dice::new(seed);
        let mut writing = Vec::new();
        for (world, content) in [&one, &other].into_iter().zip(contents.clone()) {
            // Both are new: nothing is stored yet.
            let (_, handle) = world.create("f").await.unwrap();
            world.store.by_chance(slow(dice.number()));
            let (world, pause) = (Arc::clone(world), dice.time_up_to(Duration::from_secs(5)));
            writing.push(tokio::spawn(async move {
                for (number, piece) in content.chunks(50).enumerate() {
                    world.write_at(handle, number as u64 * 50, piece).await.unwrap();
                }
                sleep(pause).await;
                world.close(handle).await.unwrap();
            }));
        }
        for writing in writing {
            writing.await.unwrap();
        }
        let found = one.object("f").await.unwrap();
        let mut completed = one.bucket.effects();
        completed.retain(|effect| effect.operation == Operation::CompleteUpload);
        assert_eq!(completed.len(), 2);
        let size = completed[1].size;
        let winner = contents.iter().position(|content| content.len() as u64 == size).unwrap();
        assert_eq!(found, contents[winner], "seed {seed}");
        assert_eq!(keys(&one.bucket), ["f"]);
        one.fs.drain(Duration::from_secs(60)).await;
        other.fs.drain(Duration::from_secs(60)).await;
        assert_eq!(one.records(), 0, "seed {seed}");
        winners[winner] += 1;
    }
    assert!(winners.iter().all(|wins| *wins > 10), "one of them always wins: {winners:?}");
}

/// A reader asks for a range after the other; somebody replaces or removes the object before the `at`th request.
#[tokio::test(start_paused = true)]
async fn a_reader_reads_one_version_or_is_told_that_it_is_stale() {
    let len = 2000;
    let versions = [pattern(1, len), pattern(2, len)];
    let (mut whole, mut stale) = (0, 0);
    for removed in [false, true] {
        for at in 0.. {
            let world = World::new();
            let other = world.fresh();
            world.put("f", &versions[0]).await.unwrap();
            let reader = world.fresh();
            let handle = reader.open("f", OpenMode::default()).await.unwrap();
            let (mut read, mut failed, mut struck) = (Vec::new(), false, false);
            while read.len() < len {
                let gets = reader.bucket.requests_of(Operation::Get);
                if gets >= at && !struck {
                    struck = true;
                    match removed {
                        false => other.put("f", &versions[1]).await.unwrap(),
                        true => {
                            let root = partfs::fs::InodeNo::ROOT;
                            other.fs.unlink(root, std::ffi::OsStr::new("f")).await.unwrap();
                        }
                    }
                }
                match reader.fs.read(handle, read.len() as u64, 40).await {
                    Ok(piece) => read.extend_from_slice(&piece),
                    Err(error) => {
                        assert_eq!(error.meaning(), partfs::fs::Meaning::Stale, "before {at}");
                        failed = true;
                        break;
                    }
                }
            }
            assert_eq!(read, versions[0][..read.len()], "before {at}");
            if !struck {
                break;
            }
            whole += u32::from(!failed);
            stale += u32::from(failed);
        }
    }
    assert!(whole > 0 && stale > 10, "{whole} whole, {stale} stale");
}

/// Between any two requests of an upload, a stranger replaces or removes the object at its key.
#[tokio::test(start_paused = true)]
async fn what_strangers_do_to_the_key_between_our_requests_is_before_or_after_ours() {
    use Operation::{CompleteUpload, PutPart, StartUpload};
    let theirs = pattern(9, 100);
    let spots = [(StartUpload, 0), (PutPart, 0), (PutPart, 2), (PutPart, 4), (CompleteUpload, 0)];
    for (operation, skip) in spots {
        for (answered, removes) in [(false, false), (false, true), (true, false), (true, true)] {
            let at = format!("{operation} {skip}, answered: {answered}, removes: {removes}");
            let world = Arc::new(World::new());
            let stranger = world.fresh();
            world.put("f", b"old").await.unwrap();
            let ours = pattern(1, 4 * PART as usize + 7);
            let gate = Arc::new(Gate::default());
            let held = if answered { Fault::HeldAfter } else { Fault::HeldBefore };
            let rule = Rule::next(operation, held(Arc::clone(&gate)));
            world.store.add(Rule { skip, ..rule });
            let writing = {
                let (world, ours) = (Arc::clone(&world), ours.clone());
                tokio::spawn(async move { world.put("f", &ours).await })
            };
            gate.answered().await;
            if removes {
                stranger.store.delete(&key("f")).await.unwrap();
            } else {
                stranger.put("f", &theirs).await.unwrap();
            }
            gate.open();
            writing.await.unwrap().unwrap_or_else(|error| panic!("{at}: {error:?}"));
            let after_ours = operation == CompleteUpload && answered;
            let expected = match (after_ours, removes) {
                (false, _) => Some(ours),
                (true, false) => Some(theirs.clone()),
                (true, true) => None,
            };
            assert_eq!(world.object("f").await, expected, "{at}");
            world.fs.drain(Duration::from_secs(60)).await;
            let left = world.store.list_uploads(&UploadsRequest::default()).await.unwrap();
            assert_eq!(left.uploads, [], "{at}");
        }
    }
}
