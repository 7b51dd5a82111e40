//! What a program is told when the store fails, and what is left.

use std::ffi::OsStr;
use std::time::Duration;

use partfs::fs::{InodeNo, Meaning, OpenMode};
use partfs::store::{ErrorKind, ObjectStore, Operation, UploadsRequest};

use crate::world::fs::{PART, World};
use crate::world::{keys, pattern};

#[tokio::test]
async fn a_failed_complete_is_the_result_of_close_and_nothing_appears() {
    let world = World::new();
    world.put("f", b"old").await.unwrap();
    world.store.fail(Operation::CompleteUpload, 0, ErrorKind::Unavailable);
    let failed = world.put("f", &pattern(1, 5 * PART as usize)).await;
    assert_eq!(failed.unwrap_err().meaning(), Meaning::Io);
    assert_eq!(world.object("f").await.unwrap(), b"old");
    world.store.heal();
    world.fs.drain(Duration::from_secs(5)).await;
    let uploads = world.store.list_uploads(&UploadsRequest::default()).await.unwrap().uploads;
    assert!(uploads.is_empty(), "aborted");
    world.put("f", b"again").await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), b"again", "a fresh open works");
}

#[tokio::test]
async fn a_failed_part_fails_every_later_call_on_every_handle() {
    let world = World::new();
    let (ino, first) = world.create("f").await.unwrap();
    let mode = OpenMode { write: true, truncate: false };
    let second = world.fs.open(ino, mode, 0).await.unwrap().handle;
    world.store.fail(Operation::PutPart, 0, ErrorKind::AccessDenied);
    let content = pattern(1, 20 * PART as usize);
    // The failure shows at one of the writes, or at the latest at fsync.
    let written = world.write_at(first, 0, &content).await;
    let synced = world.fs.fsync(first).await;
    assert!(written.is_err() || synced.is_err());
    assert_eq!(synced.unwrap_err().meaning(), Meaning::AccessDenied);
    let again = world.write_at(first, content.len() as u64, b"x").await;
    assert_eq!(again.unwrap_err().meaning(), Meaning::AccessDenied);
    let other = world.write_at(second, 0, b"x").await;
    assert_eq!(other.unwrap_err().meaning(), Meaning::AccessDenied);
    assert_eq!(world.close(first).await.unwrap_err().meaning(), Meaning::AccessDenied);
    assert_eq!(world.close(second).await.unwrap_err().meaning(), Meaning::AccessDenied);
    world.store.heal();
    world.fs.drain(Duration::from_secs(5)).await;
    assert!(keys(&world.bucket).is_empty());
    let gone = world.fs.lookup(InodeNo::ROOT, OsStr::new("f")).await;
    assert_eq!(gone.unwrap_err().meaning(), Meaning::NotFound, "it never existed");
}

#[tokio::test]
async fn a_failure_after_the_last_close_is_told_to_the_next_open() {
    let world = World::new();
    world.put("f", b"old").await.unwrap();
    let mode = OpenMode { write: true, truncate: false };
    let handle = world.open("f", mode).await.unwrap();
    world.write_at(handle, 0, b"new").await.unwrap();
    world.store.fail(Operation::Put, 0, ErrorKind::Unavailable);
    // A release without a flush, as after the last unmapping of a file.
    world.fs.release(handle);
    world.fs.drain(Duration::from_secs(5)).await;
    world.store.heal();
    let told = world.open("f", OpenMode::default()).await;
    assert_eq!(told.unwrap_err().meaning(), Meaning::Io);
    assert_eq!(world.read_all("f", 10).await.unwrap(), b"old", "told once");
}

#[tokio::test]
async fn a_failed_removal_removes_nothing() {
    let world = World::new();
    world.put("f", b"kept").await.unwrap();
    world.store.fail(Operation::Delete, 0, ErrorKind::AccessDenied);
    let refused = world.fs.unlink(InodeNo::ROOT, OsStr::new("f")).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::AccessDenied);
    assert_eq!(world.read_all("f", 10).await.unwrap(), b"kept");
}

#[tokio::test]
async fn an_unreachable_bucket_is_an_error_not_an_absent_name() {
    let world = World::new();
    world.store.fail(Operation::Head, 0, ErrorKind::Network);
    let failed = world.fs.lookup(InodeNo::ROOT, OsStr::new("f")).await;
    assert_eq!(failed.unwrap_err().meaning(), Meaning::Io);
    world.store.heal();
    world.store.fail(Operation::List, 0, ErrorKind::Timeout);
    let failed = world.fs.lookup(InodeNo::ROOT, OsStr::new("f")).await;
    assert_eq!(failed.unwrap_err().meaning(), Meaning::TimedOut);
}

#[tokio::test]
async fn drain_names_what_could_not_be_stored() {
    let world = World::new();
    let (_, handle) = world.create("lost").await.unwrap();
    world.write_at(handle, 0, b"bytes").await.unwrap();
    world.store.fail(Operation::Put, 0, ErrorKind::Unavailable);
    let report = world.fs.drain(Duration::from_secs(5)).await;
    assert_eq!(report.lost.len(), 1);
    assert!(report.lost[0].starts_with("lost: "), "{:?}", report.lost);
    world.fs.release(handle);
}

#[tokio::test]
async fn an_open_right_after_a_failed_close_starts_anew() {
    let world = World::new();
    world.put("old", b"old").await.unwrap();
    for (name, before) in [("old", Some(b"old")), ("new", None)] {
        let handle = match before {
            Some(_) => world.open(name, OpenMode { write: true, truncate: true }).await.unwrap(),
            None => world.create(name).await.unwrap().1,
        };
        let ino = world.walk(name).await.unwrap();
        world.write_at(handle, 0, b"lost").await.unwrap();
        world.store.fail(Operation::Put, 0, ErrorKind::AccessDenied);
        assert_eq!(world.close(handle).await.unwrap_err().meaning(), Meaning::AccessDenied);
        world.store.heal();
        // What the release has left to the background has not even begun.
        let mode = OpenMode { write: true, truncate: false };
        assert!(world.fs.try_open(ino, mode, 0).is_none(), "{name}");
        match (world.fs.open(ino, mode, 0).await, before) {
            (Ok(opened), Some(before)) => {
                assert_eq!(world.read_handle(opened.handle, 10).await.unwrap(), before);
                world.write_at(opened.handle, 0, b"anew").await.unwrap();
                world.close(opened.handle).await.unwrap();
            }
            (opened, _) => {
                // The kernel looks the name up again then.
                assert_eq!(opened.unwrap_err().meaning(), Meaning::Stale);
                assert_eq!(world.walk(name).await.unwrap_err().meaning(), Meaning::NotFound);
                world.put(name, b"anew").await.unwrap();
            }
        }
        assert_eq!(world.object(name).await.unwrap(), b"anew", "{name}");
    }
}
