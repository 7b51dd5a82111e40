//! `user.partfs.*`: what a file tells of its object, and whether the bucket has it.

use std::ffi::OsStr;
use std::time::Duration;

use partfs::fs::{FsResult, InodeNo, Meaning, OpenMode, SetXattr};
use partfs::store::{ErrorKind, ObjectStore, Operation, PutOptions};

use crate::world::fs::{MAKER, PART, World};
use crate::world::{key, pattern};

async fn get(world: &World, ino: InodeNo, name: &str) -> FsResult<String> {
    let name = format!("user.partfs.{name}");
    let value = world.fs.getxattr(ino, OsStr::new(&name)).await?;
    Ok(String::from_utf8(value).unwrap())
}

async fn names(world: &World, ino: InodeNo) -> Vec<String> {
    let list = String::from_utf8(world.fs.listxattr(ino).await.unwrap()).unwrap();
    let names = list.split_terminator('\0');
    names.map(|name| name.strip_prefix("user.partfs.").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_file_tells_what_the_bucket_has() {
    let world = World::new();
    world.put("ours", b"content").await.unwrap();
    let storage_class = Some("COLD".to_owned());
    let options = PutOptions { storage_class, ..PutOptions::default() };
    world.store.put(&key("theirs"), b"other".to_vec().into(), &options).await.unwrap();
    for (name, class) in [("ours", None), ("theirs", Some("COLD"))] {
        let ino = world.walk(name).await.unwrap();
        let info = world.store.head(&key(name)).await.unwrap();
        let mut expected = vec![
            ("crc64", info.checksum.unwrap().value.to_string()),
            ("etag", info.version.etag.as_str().to_owned()),
            ("state", "durable".to_owned()),
        ];
        // Of what was just written here the service has not told yet.
        expected.extend(class.map(|class| ("storage_class", class.to_owned())));
        let listed: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
        assert_eq!(names(&world, ino).await, listed);
        for (name, value) in expected {
            assert_eq!(get(&world, ino, name).await.unwrap(), value, "{name}");
        }
        for name in ["version", "", "other"] {
            let none = get(&world, ino, name).await.unwrap_err();
            assert_eq!(none.meaning(), Meaning::NoAttribute, "{name}");
        }
    }
    let again = world.fresh();
    let ino = again.walk("ours").await.unwrap();
    assert_eq!(get(&again, ino, "storage_class").await.unwrap(), "STANDARD");
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    let directory = world.walk("d").await.unwrap();
    assert_eq!(names(&world, directory).await, [""; 0]);
    assert!(get(&world, directory, "state").await.is_err());
}

#[tokio::test]
async fn the_state_says_how_far_an_upload_is_and_asks_nobody() {
    let world = World::new();
    world.put("f", b"old").await.unwrap();
    let ino = world.walk("f").await.unwrap();
    let mode = OpenMode { write: true, truncate: true };
    let handle = world.open("f", mode).await.unwrap();
    world.write_at(handle, 0, b"few").await.unwrap();
    assert_eq!(get(&world, ino, "state").await.unwrap(), "written, not uploaded yet");
    assert_eq!(names(&world, ino).await, ["state"], "the object's are not the file's");
    let gate = world.store.hold_before(Operation::PutPart);
    world.write_at(handle, 3, &pattern(1, 4 * PART as usize)).await.unwrap();
    let state = async || get(&world, ino, "state").await.unwrap();
    while state().await != "uploading 3/4 parts" {
        tokio::task::yield_now().await;
    }
    let before = world.requests();
    assert_eq!(state().await, "uploading 3/4 parts");
    assert_eq!(world.requests(), before);
    gate.open();
    while state().await != "uploading 4/4 parts" {
        tokio::task::yield_now().await;
    }
    world.close(handle).await.unwrap();
    assert_eq!(state().await, "durable");
    assert_eq!(names(&world, ino).await, ["crc64", "etag", "state", "storage_class"], "HEAD told");
}

#[tokio::test]
async fn the_state_keeps_a_failure_until_something_is_stored() {
    let world = World::new();
    world.put("f", b"old").await.unwrap();
    world.store.fail(Operation::Put, 0, ErrorKind::AccessDenied);
    let ino = world.walk("f").await.unwrap();
    world.put("f", b"new").await.unwrap_err();
    let state = get(&world, ino, "state").await.unwrap();
    assert!(state.starts_with("failed: ") && state.contains("PUT"), "{state}");
    world.fs.drain(Duration::from_secs(5)).await;
    let state = get(&world, ino, "state").await.unwrap();
    assert!(state.starts_with("failed: ") && state.contains("PUT"), "nobody writes now: {state}");
    let info = world.store.head(&key("f")).await.unwrap();
    assert_eq!(get(&world, ino, "etag").await.unwrap(), info.version.etag.as_str());
    world.store.heal();
    world.put("f", b"newer").await.unwrap();
    assert_eq!(get(&world, ino, "state").await.unwrap(), "durable");
}

#[tokio::test]
async fn setting_them_is_success_and_changes_nothing() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    let ino = world.walk("f").await.unwrap();
    let etag = get(&world, ino, "etag").await.unwrap();
    let before = world.requests();
    let set = async |name: &str| {
        let name = OsStr::new(name);
        world.fs.setxattr(ino, name, b"of another file", SetXattr::default()).await
    };
    for name in ["crc64", "etag", "state", "storage_class", "version"] {
        let name = format!("user.partfs.{name}");
        set(&name).await.unwrap();
        world.fs.removexattr(ino, OsStr::new(&name)).await.unwrap();
    }
    for name in ["user.partfs.", "user.partfs.other"] {
        assert_eq!(set(name).await.unwrap_err().meaning(), Meaning::NotPermitted, "{name}");
        let removed = world.fs.removexattr(ino, OsStr::new(name)).await;
        assert_eq!(removed.unwrap_err().meaning(), Meaning::NotPermitted, "{name}");
    }
    assert_eq!(get(&world, ino, "etag").await.unwrap(), etag);
    assert!(world.fs.drain(Duration::from_secs(5)).await.lost.is_empty());
    assert_eq!(world.requests(), before);
}
