//! Mode, owner, times: kept in the object's metadata, at the cost of no request where possible.

use std::ffi::OsStr;
use std::time::{Duration, UNIX_EPOCH};

use partfs::fs::{InodeNo, SetAttr};
use partfs::store::{
    Conditions, ErrorKind, Metadata, ObjectStore, Operation, PutOptions, StandardHeaders,
};

use crate::world::fs::{MAKER, PART, World};
use crate::world::{key, pattern};

const TIME: Duration = Duration::new(1_600_000_000, 123_456_789);

fn changes() -> SetAttr {
    let mtime = Some(UNIX_EPOCH + TIME);
    SetAttr { mode: Some(0o604), uid: Some(7), gid: Some(8), size: None, mtime }
}

async fn assert_kept(world: &World, path: &str) {
    let fresh = world.fresh();
    let ino = fresh.walk(path).await.unwrap();
    let attr = fresh.fs.getattr(ino).await.unwrap().attr;
    assert_eq!((attr.permissions, attr.uid, attr.gid), (0o604, 7, 8), "{path}");
    assert_eq!(attr.mtime, UNIX_EPOCH + TIME, "{path}");
}

#[tokio::test]
async fn attributes_set_before_the_close_of_a_small_file_cost_nothing() {
    let world = World::new();
    let (ino, handle) = world.create("f").await.unwrap();
    world.write_at(handle, 0, b"content").await.unwrap();
    world.fs.setattr(ino, Some(handle), changes()).await.unwrap();
    world.close(handle).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    assert_kept(&world, "f").await;
    assert_eq!(world.bucket.requests_of(Operation::Copy), 0);
    assert_eq!(world.bucket.requests_of(Operation::Put), 1);
}

#[tokio::test]
async fn attributes_set_on_a_closed_file_become_one_copy() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    let ino = world.walk("f").await.unwrap();
    let all = changes();
    for one in [
        SetAttr { mode: all.mode, ..SetAttr::default() },
        SetAttr { uid: all.uid, gid: all.gid, ..SetAttr::default() },
        SetAttr { mtime: all.mtime, ..SetAttr::default() },
    ] {
        world.fs.setattr(ino, None, one).await.unwrap();
    }
    let seen = world.fs.getattr(ino).await.unwrap().attr;
    assert_eq!(seen.permissions, 0o604, "seen at once");
    world.fs.drain(Duration::from_secs(5)).await;
    assert_kept(&world, "f").await;
    assert_eq!(world.bucket.requests_of(Operation::Copy), 1);
    assert_eq!(world.object("f").await.unwrap(), b"content");
}

#[tokio::test]
async fn attributes_of_an_upload_that_has_begun_follow_by_a_copy() {
    let world = World::new();
    let content = pattern(1, 5 * PART as usize);
    let (ino, handle) = world.create("f").await.unwrap();
    world.write_at(handle, 0, &content).await.unwrap();
    world.fs.setattr(ino, Some(handle), changes()).await.unwrap();
    world.close(handle).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    assert_kept(&world, "f").await;
    assert_eq!(world.object("f").await.unwrap(), content);
    assert_eq!(world.bucket.requests_of(Operation::Copy), 1);
}

#[tokio::test]
async fn directories_and_links_keep_attributes_too() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    world.fs.symlink(InodeNo::ROOT, OsStr::new("l"), OsStr::new("t"), MAKER).await.unwrap();
    let d = world.walk("d").await.unwrap();
    world.fs.setattr(d, None, changes()).await.unwrap();
    let l = world.walk("l").await.unwrap();
    world.fs.setattr(l, None, changes()).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    assert_kept(&world, "d").await;
    let fresh = world.fresh();
    let l = fresh.walk("l").await.unwrap();
    assert_eq!(fresh.fs.getattr(l).await.unwrap().attr.mtime, UNIX_EPOCH + TIME);
    assert_eq!(&*fresh.fs.readlink(l).await.unwrap(), "t");
}

#[tokio::test]
async fn metadata_of_others_survives_our_changes() {
    let world = World::new();
    let metadata: Metadata = [("colour", "green"), ("mode", "33152")].into_iter().collect();
    let headers = StandardHeaders {
        cache_control: Some("no-store".to_owned()),
        ..StandardHeaders::of_type("text/x-poem")
    };
    let options = PutOptions { headers: headers.clone(), metadata, ..PutOptions::default() };
    world.store.put(&key("f"), b"verse".to_vec().into(), &options).await.unwrap();
    let ino = world.walk("f").await.unwrap();
    assert_eq!(world.fs.getattr(ino).await.unwrap().attr.permissions, 0o600);
    world.fs.setattr(ino, None, changes()).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    world.put("f", b"another verse").await.unwrap();
    let info = world.store.head(&key("f")).await.unwrap();
    assert_eq!(info.metadata.get("colour"), Some("green"));
    assert_eq!(info.headers, headers);
}

#[tokio::test]
async fn the_time_of_a_plain_write_does_not_jump() {
    let world = World::new();
    for (name, len) in [("small", 10), ("large", 5 * PART as usize)] {
        world.put(name, &pattern(1, len)).await.unwrap();
        let ino = world.walk(name).await.unwrap();
        let ours = world.fs.getattr(ino).await.unwrap().attr.mtime;
        let fresh = world.fresh();
        let ino = fresh.walk(name).await.unwrap();
        let theirs = fresh.fs.getattr(ino).await.unwrap().attr.mtime;
        assert_eq!(ours, theirs, "{name}");
    }
}

/// `tar` and `git` take a file whose ctime moves for one that somebody changes.
#[tokio::test(start_paused = true)]
async fn what_the_bucket_confirms_does_not_move_the_ctime() {
    let world = World::new();
    for (name, len) in [("small", 10), ("large", 5 * PART as usize)] {
        world.put(name, &pattern(1, len)).await.unwrap();
        let ino = world.walk(name).await.unwrap();
        let made = world.fs.getattr(ino).await.unwrap().attr.ctime;
        // Asked by a listing, by an open, and long after.
        let handle = world.fs.opendir(InodeNo::ROOT).unwrap();
        world.fs.readdir(handle, 0, true).await.unwrap();
        assert_eq!(world.fs.getattr(ino).await.unwrap().attr.ctime, made, "{name}: listed");
        let heads = world.bucket.requests_of(Operation::Head);
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.read_all(name, 100).await.unwrap();
        assert!(world.bucket.requests_of(Operation::Head) > heads);
        assert_eq!(world.fs.getattr(ino).await.unwrap().attr.ctime, made, "{name}: opened");
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(world.fs.getattr(ino).await.unwrap().attr.ctime, made, "{name}: asked anew");
        // What others change moves it.
        let other = world.fresh();
        let theirs = other.walk(name).await.unwrap();
        other.fs.setattr(theirs, None, changes()).await.unwrap();
        other.fs.drain(Duration::from_secs(5)).await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        let now = world.fs.getattr(ino).await.unwrap().attr.ctime;
        assert_ne!(now, made, "{name}: changed by others");
    }
}

#[tokio::test(start_paused = true)]
async fn attributes_that_could_not_be_stored_are_tried_again() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    let ino = world.walk("f").await.unwrap();
    world.store.fail(Operation::Copy, 0, ErrorKind::Unavailable);
    world.fs.setattr(ino, None, changes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.store.heal();
    // The kernel may forget the file; what it was promised stays.
    world.fs.forget(ino, 1);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_kept(&world, "f").await;
}

#[tokio::test]
async fn attributes_that_cannot_be_stored_are_named_at_the_end() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    let ino = world.walk("f").await.unwrap();
    world.store.fail(Operation::Copy, 0, ErrorKind::AccessDenied);
    world.fs.setattr(ino, None, changes()).await.unwrap();
    world.fs.forget(ino, u64::MAX);
    let report = world.fs.drain(Duration::from_secs(5)).await;
    assert_eq!(report.lost.len(), 1, "{:?}", report.lost);
    assert!(report.lost[0].starts_with("f: "), "{:?}", report.lost);
}

#[tokio::test]
async fn writing_goes_on_after_attributes_were_stored_under_a_new_etag() {
    let world = World::new();
    // The copy of an upload has another ETag than the upload.
    let mut content = pattern(1, 5 * PART as usize);
    let (ino, handle) = world.create("f").await.unwrap();
    world.write_at(handle, 0, &content).await.unwrap();
    world.fs.fsync(handle).await.unwrap();
    world.fs.setattr(ino, Some(handle), changes()).await.unwrap();
    world.fs.fsync(handle).await.unwrap();
    assert_eq!(world.bucket.requests_of(Operation::Copy), 1);
    world.write_at(handle, 10, b"more").await.unwrap();
    content[10..14].copy_from_slice(b"more");
    world.close(handle).await.unwrap();
    assert_eq!(world.object("f").await.unwrap(), content);
}

#[tokio::test]
async fn attributes_of_the_mount_point_are_not_stored() {
    let world = World::new();
    world.fs.setattr(InodeNo::ROOT, None, changes()).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    assert_eq!(world.requests(), 0);
    let attr = world.fresh().fs.getattr(InodeNo::ROOT).await.unwrap().attr;
    assert_eq!((attr.permissions, attr.uid), (0o755, 1));
}

/// Some tools keep bytes in the object that marks a directory.
#[tokio::test]
async fn bytes_in_a_directory_marker_survive_our_changes() {
    let world = World::new();
    world.store.put(&key("d/"), b"kept".to_vec().into(), &PutOptions::default()).await.unwrap();
    let ino = world.walk("d").await.unwrap();
    world.fs.setattr(ino, None, changes()).await.unwrap();
    world.fs.drain(Duration::from_secs(5)).await;
    let content = world.store.get(&key("d/"), None, &Conditions::NONE).await.unwrap();
    assert_eq!(content.chunks.concat(), b"kept");
    let info = world.store.head(&key("d/")).await.unwrap();
    assert!(info.metadata.get("mode").is_some(), "{:?}", info.metadata);
}

/// Where the service can compare: an empty marker that was known here has got bytes meanwhile.
#[tokio::test]
async fn bytes_that_others_put_into_an_empty_marker_survive_our_changes() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    let d = world.walk("d").await.unwrap();
    let changes = SetAttr { mode: Some(0o700), ..SetAttr::default() };
    world.fs.setattr(d, None, changes).await.unwrap();
    // The attributes wait to be stored.
    let theirs = b"theirs".to_vec().into();
    world.store.put(&key("d/"), theirs, &PutOptions::default()).await.unwrap();
    world.fs.quiet().await;
    assert_eq!(world.object("d/").await.unwrap(), b"theirs");
    let other = world.fresh();
    let d = other.walk("d").await.unwrap();
    assert_eq!(other.fs.getattr(d).await.unwrap().attr.permissions, 0o700);
}
