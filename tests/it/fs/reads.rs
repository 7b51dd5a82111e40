//! Reads beside writes of the same mount.

use std::sync::Arc;

use bytes::Bytes;
use partfs::fs::{FsResult, Meaning, OpenMode};
use partfs::store::fault::Gate;
use partfs::store::{ObjectStore, Operation, PutOptions};
use tokio::task::JoinHandle;

use crate::world::fs::{PART, World};
use crate::world::{key, pattern};

/// A read of a file whose request has not reached the bucket yet.
async fn reading() -> (World, Arc<Gate>, JoinHandle<FsResult<Bytes>>) {
    let world = World::new();
    world.put("f", &pattern(1, 5 * PART as usize)).await.unwrap();
    let reader = world.open("f", OpenMode::default()).await.unwrap();
    let gate = world.store.hold_before(Operation::Get);
    let fs = Arc::clone(&world.fs);
    let reading = tokio::spawn(async move { fs.read(reader, 0, 100).await });
    gate.answered().await;
    (world, gate, reading)
}

/// A request for the old bytes is on its way while the new ones are published: they are read instead.
#[tokio::test]
async fn a_read_that_meets_a_publication_of_ours_goes_on_with_it() {
    let (world, gate, reading) = reading().await;
    let new = pattern(2, 5 * PART as usize);
    world.put("f", &new).await.unwrap();
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap(), new[..100]);
}

/// Bytes that somebody else has replaced are not mixed with what is there now.
#[tokio::test]
async fn a_read_that_meets_a_publication_of_others_is_stale() {
    let (world, gate, reading) = reading().await;
    let theirs = pattern(2, 5 * PART as usize).into();
    world.store.put(&key("f"), theirs, &PutOptions::default()).await.unwrap();
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap_err().meaning(), Meaning::Stale);
}
