//! The end of a mount: who may still do what, what is waited for, and what is named.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use partfs::fs::{
    DrainReport, FsResult, InodeNo, Lacks, Meaning, OpenMode, RenameFlags, SetAttr, SetXattr,
};
use partfs::store::{ErrorKind, Operation};

use crate::world::fs::{MAKER, World};

const WRITE: OpenMode = OpenMode { write: true, truncate: false };
/// For what must not take long.
const LONG: Duration = Duration::from_secs(30);

fn is_read_only<T: std::fmt::Debug>(result: FsResult<T>) -> bool {
    result.is_err_and(|error| error.meaning() == Meaning::ReadOnly)
}

/// A mount that ends, and the end of it; when this returns it refuses to be changed.
async fn ending(world: &World) -> tokio::task::JoinHandle<DrainReport> {
    let fs = Arc::clone(&world.fs);
    let end = tokio::spawn(async move { fs.drain_writers(LONG).await });
    let refuses = async {
        while !is_read_only(world.fs.unlink(InodeNo::ROOT, OsStr::new("absent")).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, refuses).await.expect("changes are refused");
    end
}

#[tokio::test]
async fn a_mount_that_ends_takes_no_new_work_and_finishes_what_is_open() {
    let world = World::new();
    world.put("old", b"old").await.unwrap();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("dir"), MAKER).await.unwrap();
    let (ino, handle) = world.create("new").await.unwrap();
    world.write_at(handle, 0, b"be").await.unwrap();
    let end = ending(&world).await;

    let (fs, root) = (&world.fs, InodeNo::ROOT);
    let old = world.walk("old").await.unwrap();
    let name = OsStr::new;
    assert!(is_read_only(world.open("old", WRITE).await));
    assert!(is_read_only(world.open("old", OpenMode { write: true, truncate: true }).await));
    assert!(is_read_only(world.create("other").await));
    assert!(is_read_only(fs.mkdir(root, name("d"), MAKER).await));
    assert!(is_read_only(fs.symlink(root, name("l"), name("old"), MAKER).await));
    assert!(is_read_only(fs.unlink(root, name("old")).await));
    assert!(is_read_only(fs.rmdir(root, name("dir")).await));
    let renamed = fs.rename((root, name("old")), (root, name("o")), RenameFlags::default()).await;
    assert!(is_read_only(renamed));
    let mode = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    assert!(is_read_only(fs.setattr(old, None, mode).await));
    let size = SetAttr { size: Some(0), ..SetAttr::default() };
    assert!(is_read_only(fs.setattr(old, None, size).await));
    assert!(is_read_only(fs.setxattr(old, name("user.a"), b"a", SetXattr::default()).await));
    assert_eq!(world.read_all("old", 10).await.unwrap(), b"old", "reading goes on");

    // Who writes may do all that belongs to it.
    assert!(!end.is_finished());
    world.write_at(handle, 2, b"fore it ends").await.unwrap();
    fs.setattr(ino, None, mode).await.unwrap();
    fs.setattr(ino, Some(handle), SetAttr { size: Some(6), ..size }).await.unwrap();
    fs.setxattr(ino, name("user.a"), b"a", SetXattr::default()).await.unwrap();
    let unsaved = fs.unsaved();
    let names: Vec<_> = unsaved.iter().map(|it| (it.path.as_str(), it.lacks)).collect();
    assert_eq!(names, [("new", Lacks::Close)]);
    let before = fs.moved();
    world.close(handle).await.unwrap();
    assert_ne!(fs.moved(), before);
    assert_eq!(end.await.unwrap(), DrainReport::default());
    assert_eq!(world.object("new").await.unwrap(), b"before");
    assert!(fs.unsaved().is_empty());
    let fresh = world.fresh();
    let ino = fresh.walk("new").await.unwrap();
    assert_eq!(fresh.fs.getattr(ino).await.unwrap().attr.permissions, 0o600);
}

#[tokio::test]
async fn what_nobody_has_closed_at_the_deadline_is_named_and_not_published() {
    let world = World::new();
    world.put("old", b"old").await.unwrap();
    let old = world.open("old", WRITE).await.unwrap();
    world.write_at(old, 0, b"ne").await.unwrap();
    let (_, new) = world.create("new").await.unwrap();
    world.write_at(new, 0, b"half").await.unwrap();
    // Open, but nothing is lost with these.
    let unchanged = world.open("old", WRITE).await.unwrap();
    let (_, removed) = world.create("removed").await.unwrap();
    world.write_at(removed, 0, b"gone").await.unwrap();
    world.fs.unlink(InodeNo::ROOT, OsStr::new("removed")).await.unwrap();
    // Closed, but not yet stored: after the last close of a mapping.
    let (_, mapped) = world.create("mapped").await.unwrap();
    world.write_at(mapped, 0, b"mapped").await.unwrap();
    world.fs.release(mapped);
    let report = world.fs.drain_writers(Duration::from_millis(300)).await;
    let lost = ["old: still open for writing", "new: still open for writing"];
    assert_eq!((report.lost, report.timed_out), (lost.map(str::to_owned).to_vec(), true));
    assert_eq!(world.object("old").await.unwrap(), b"old");
    assert_eq!(world.object("new").await, None);
    assert_eq!(world.object("mapped").await.unwrap(), b"mapped");
    for handle in [old, unchanged, new, removed] {
        world.fs.release(handle);
    }
}

#[tokio::test]
async fn what_holds_no_bytes_back_does_not_hold_the_end_up() {
    let world = World::new();
    world.put("f", b"old").await.unwrap();
    let (clean, reader) = (
        world.open("f", WRITE).await.unwrap(),
        world.open("f", OpenMode::default()).await.unwrap(),
    );
    // The root has no object to keep this.
    let mode = SetAttr { mode: Some(0o700), ..SetAttr::default() };
    world.fs.setattr(InodeNo::ROOT, None, mode).await.unwrap();
    let end = tokio::time::timeout(LONG, world.fs.drain_writers(Duration::from_secs(3600))).await;
    assert_eq!(end.unwrap(), DrainReport::default());
    world.fs.release(clean);
    world.fs.release(reader);
}

#[tokio::test]
async fn failures_that_nobody_was_told_of_are_named_at_the_end() {
    let world = World::new();
    let (_, handle) = world.create("mapped").await.unwrap();
    world.write_at(handle, 0, b"lost").await.unwrap();
    let (_, told) = world.create("told").await.unwrap();
    world.write_at(told, 0, b"lost").await.unwrap();
    world.store.fail(Operation::Put, 0, ErrorKind::AccessDenied);
    world.fs.release(handle);
    world.fs.quiet().await;
    assert!(world.fs.fsync(told).await.is_err(), "its program knows");
    let report =
        tokio::time::timeout(LONG, world.fs.drain_writers(Duration::from_secs(3600))).await;
    let lost = report.unwrap().lost;
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].starts_with("mapped: "), "{lost:?}");
    world.fs.release(told);
    // Stored after all.
    world.store.heal();
    let again = world.fresh();
    let (_, handle) = again.create("mapped").await.unwrap();
    again.write_at(handle, 0, b"lost").await.unwrap();
    again.store.fail(Operation::Put, 0, ErrorKind::AccessDenied);
    again.fs.release(handle);
    again.fs.quiet().await;
    again.store.heal();
    again.put("mapped", b"stored").await.unwrap();
    assert_eq!(again.fs.drain(LONG).await, DrainReport::default());
}

#[tokio::test]
async fn attributes_that_could_not_be_stored_are_named_at_the_deadline() {
    let world = World::new();
    world.put("f", b"old").await.unwrap();
    world.put("g", b"old").await.unwrap();
    let gate = world.store.hold_before(Operation::Copy);
    for name in ["f", "g"] {
        let ino = world.walk(name).await.unwrap();
        let mode = SetAttr { mode: Some(0o600), ..SetAttr::default() };
        world.fs.setattr(ino, None, mode).await.unwrap();
    }
    let report = world.fs.drain_writers(Duration::from_millis(300)).await;
    assert!(report.timed_out);
    // The other one was not held.
    assert_eq!(report.lost.len(), 1, "{:?}", report.lost);
    let sentence = report.lost[0].split_once(": ").unwrap();
    assert!(["f", "g"].contains(&sentence.0));
    assert_eq!(sentence.1, "its attributes were not stored in time");
    gate.open();
}

#[tokio::test]
async fn a_connection_that_is_cut_publishes_no_half_files() {
    let world = World::new();
    world.put("old", b"old").await.unwrap();
    let old = world.open("old", WRITE).await.unwrap();
    world.write_at(old, 0, b"ne").await.unwrap();
    let (_, new) = world.create("new").await.unwrap();
    world.write_at(new, 0, b"half").await.unwrap();
    let (_, stored) = world.create("stored").await.unwrap();
    world.write_at(stored, 0, b"stored").await.unwrap();
    world.fs.fsync(stored).await.unwrap();
    let lost = world.fs.release_all(true, LONG).await;
    assert_eq!(lost, ["old: still open for writing", "new: still open for writing"]);
    assert_eq!(world.fs.drain(LONG).await, DrainReport::default());
    assert_eq!(world.object("old").await.unwrap(), b"old");
    assert_eq!(world.object("new").await, None);
    assert_eq!(world.object("stored").await.unwrap(), b"stored");
}

/// An unmount drops what the kernel had still to tell.
#[tokio::test]
async fn a_release_that_got_lost_in_an_unmount_loses_nothing() {
    let world = World::new();
    let (_, handle) = world.create("f").await.unwrap();
    world.write_at(handle, 0, b"whole").await.unwrap();
    assert!(world.fs.release_all(false, LONG).await.is_empty());
    assert_eq!(world.fs.drain(LONG).await, DrainReport::default());
    assert_eq!(world.object("f").await.unwrap(), b"whole");
}

/// It is refused when its answers have come; nothing of it stays that nobody would close.
#[tokio::test]
async fn a_file_that_is_being_made_when_the_end_begins_does_not_hold_it_up() {
    let world = Arc::new(World::new());
    let (_, open) = world.create("open").await.unwrap();
    let gate = world.store.hold(Operation::List);
    let creating = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.create("new").await }
    });
    gate.answered().await;
    let end = ending(&world).await;
    gate.open();
    assert!(is_read_only(creating.await.unwrap()));
    assert!(!end.is_finished());
    world.close(open).await.unwrap();
    assert_eq!(end.await.unwrap(), DrainReport::default());
    assert_eq!(world.object("new").await, None);
}

/// A copy whose caller was killed, or whose connection was cut: it began while the target was open.
#[tokio::test]
async fn what_is_under_way_to_a_file_that_was_given_up_publishes_nothing() {
    for cut_off in [false, true] {
        let world = Arc::new(World::new());
        let long = vec![7; 1 << 20];
        world.put("target", b"old and long").await.unwrap();
        let (_, source) = world.create("source").await.unwrap();
        world.write_at(source, 0, &long).await.unwrap();
        let target = world.open("target", WRITE).await.unwrap();
        let gate = world.store.hold(Operation::CompleteUpload);
        let copying = tokio::spawn({
            let world = Arc::clone(&world);
            async move { world.fs.copy_range((source, 0), (target, 0), 4).await }
        });
        gate.answered().await;
        if cut_off {
            let opened = tokio::time::timeout(LONG, world.fs.release_all(true, LONG));
            gate.open();
            opened.await.unwrap();
        } else {
            world.fs.release(target);
            gate.open();
        }
        let copied = copying.await.unwrap();
        if !cut_off {
            assert_eq!(copied.unwrap_err().meaning(), Meaning::BadHandle);
            world.close(source).await.unwrap();
        }
        assert_eq!(world.fs.drain(LONG).await, DrainReport::default(), "cut off: {cut_off}");
        assert_eq!(world.object("target").await.unwrap(), b"old and long", "cut off: {cut_off}");
    }
}
