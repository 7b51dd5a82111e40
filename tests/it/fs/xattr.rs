//! Extended attributes: in the metadata as s3fs has them, at the cost of no request where possible.

use std::ffi::OsStr;
use std::time::Duration;

use partfs::fs::{FsResult, InodeNo, Meaning, SetAttr, SetXattr};
use partfs::store::{ErrorKind, Metadata, ObjectStore, Operation, PutOptions};

use crate::world::fs::{MAKER, PART, World};
use crate::world::{key, pattern};

/// As s3fs writes them.
const GREEN: &str = r#"{"user.colour":"Z3JlZW4="}"#;

async fn put_with(world: &World, name: &str, entries: &[(&str, &str)]) {
    let metadata: Metadata = entries.iter().copied().collect();
    let options = PutOptions { metadata, ..PutOptions::default() };
    world.store.put(&key(name), b"content".to_vec().into(), &options).await.unwrap();
}

async fn entry_of(world: &World, name: &str) -> Option<String> {
    let info = world.store.head(&key(name)).await.unwrap();
    info.metadata.get("xattr").map(str::to_owned)
}

async fn get(world: &World, path: &str, name: &str) -> FsResult<String> {
    let ino = world.walk(path).await?;
    let value = world.fs.getxattr(ino, OsStr::new(name)).await?;
    Ok(String::from_utf8(value).unwrap())
}

async fn set(world: &World, path: &str, name: &str, value: &[u8]) -> FsResult<()> {
    let ino = world.walk(path).await?;
    world.fs.setxattr(ino, OsStr::new(name), value, SetXattr::default()).await
}

async fn remove(world: &World, path: &str, name: &str) -> FsResult<()> {
    let ino = world.walk(path).await?;
    world.fs.removexattr(ino, OsStr::new(name)).await
}

/// Those that are stored.
async fn list(world: &World, path: &str) -> String {
    let ino = world.walk(path).await.unwrap();
    let list = String::from_utf8(world.fs.listxattr(ino).await.unwrap()).unwrap();
    list.split_inclusive('\0').filter(|name| !name.starts_with("user.partfs.")).collect()
}

fn meaning<T>(result: FsResult<T>) -> Option<Meaning> {
    result.err().map(|error| error.meaning())
}

async fn settled(world: &World) {
    let report = world.fs.drain(Duration::from_secs(5)).await;
    assert!(report.lost.is_empty(), "{:?}", report.lost);
}

#[tokio::test]
async fn what_s3fs_wrote_is_read_and_the_other_way_round() {
    let world = World::new();
    put_with(&world, "f", &[("xattr", GREEN), ("other", "kept")]).await;
    assert_eq!(get(&world, "f", "user.colour").await.unwrap(), "green");
    assert_eq!(list(&world, "f").await, "user.colour\0");
    set(&world, "f", "user.b", b"\x00\xff").await.unwrap();
    settled(&world).await;
    let expected = r#"{"user.b":"AP8=","user.colour":"Z3JlZW4="}"#;
    assert_eq!(entry_of(&world, "f").await.unwrap(), expected);
    assert_eq!(list(&world.fresh(), "f").await, "user.b\0user.colour\0");
    let info = world.store.head(&key("f")).await.unwrap();
    assert_eq!(info.metadata.get("other"), Some("kept"));
}

#[tokio::test]
async fn those_of_a_new_small_file_travel_with_its_put() {
    let world = World::new();
    let (ino, handle) = world.create("f").await.unwrap();
    world.write_at(handle, 0, b"content").await.unwrap();
    set(&world, "f", "user.colour", b"green").await.unwrap();
    world
        .fs
        .setattr(ino, Some(handle), SetAttr { mode: Some(0o600), ..SetAttr::default() })
        .await
        .unwrap();
    world.close(handle).await.unwrap();
    settled(&world).await;
    assert_eq!(entry_of(&world, "f").await.unwrap(), GREEN);
    assert_eq!(world.bucket.requests_of(Operation::Copy), 0);
    assert_eq!(world.bucket.requests_of(Operation::Put), 1);
}

#[tokio::test]
async fn those_of_an_upload_go_with_initiate_or_follow_by_a_copy() {
    let world = World::new();
    for (name, early, copies) in [("early", true, 0), ("late", false, 1)] {
        let (_, handle) = world.create(name).await.unwrap();
        if early {
            set(&world, name, "user.colour", b"green").await.unwrap();
        }
        world.write_at(handle, 0, &pattern(1, 5 * PART as usize)).await.unwrap();
        if !early {
            set(&world, name, "user.colour", b"green").await.unwrap();
        }
        world.close(handle).await.unwrap();
        settled(&world).await;
        assert_eq!(entry_of(&world, name).await.as_deref(), Some(GREEN), "{name}");
        assert_eq!(world.bucket.requests_of(Operation::Copy), copies, "{name}");
    }
}

#[tokio::test]
async fn those_of_a_closed_file_are_one_copy_together_with_mode_and_time() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    let ino = world.walk("f").await.unwrap();
    set(&world, "f", "user.colour", b"green").await.unwrap();
    set(&world, "f", "user.gone", b"soon").await.unwrap();
    world.fs.setattr(ino, None, SetAttr { mode: Some(0o600), ..SetAttr::default() }).await.unwrap();
    remove(&world, "f", "user.gone").await.unwrap();
    assert_eq!(list(&world, "f").await, "user.colour\0", "seen at once");
    settled(&world).await;
    assert_eq!(entry_of(&world, "f").await.unwrap(), GREEN);
    assert_eq!(world.bucket.requests_of(Operation::Copy), 1);
    // The same value once more is no change.
    set(&world, "f", "user.colour", b"green").await.unwrap();
    settled(&world).await;
    assert_eq!(world.bucket.requests_of(Operation::Copy), 1);
    assert_eq!(world.object("f").await.unwrap(), b"content");
}

#[tokio::test]
async fn they_survive_rewriting_truncation_and_rename() {
    let world = World::new();
    put_with(&world, "f", &[("xattr", GREEN)]).await;
    world.put("f", b"rewritten").await.unwrap();
    let ino = world.walk("f").await.unwrap();
    world.fs.setattr(ino, None, SetAttr { size: Some(3), ..SetAttr::default() }).await.unwrap();
    set(&world, "f", "user.b", b"").await.unwrap();
    let root = InodeNo::ROOT;
    let (from, to) = ((root, OsStr::new("f")), (root, OsStr::new("g")));
    world.fs.rename(from, to, Default::default()).await.unwrap();
    settled(&world).await;
    assert_eq!(world.object("g").await.unwrap(), b"rew");
    assert_eq!(list(&world.fresh(), "g").await, "user.b\0user.colour\0");
}

#[tokio::test]
async fn create_and_replace_mean_what_they_say() {
    let world = World::new();
    put_with(&world, "f", &[("xattr", GREEN)]).await;
    let ino = world.walk("f").await.unwrap();
    let set = async |name: &str, create, replace| {
        let how = SetXattr { create, replace };
        meaning(world.fs.setxattr(ino, OsStr::new(name), b"red", how).await)
    };
    assert_eq!(set("user.colour", true, false).await, Some(Meaning::Exists));
    assert_eq!(set("user.new", false, true).await, Some(Meaning::NoAttribute));
    assert_eq!(get(&world, "f", "user.colour").await.unwrap(), "green");
    assert_eq!(set("user.colour", false, true).await, None);
    assert_eq!(set("user.new", true, false).await, None);
    assert_eq!(list(&world, "f").await, "user.colour\0user.new\0");
    assert_eq!(meaning(remove(&world, "f", "user.none").await), Some(Meaning::NoAttribute));
}

#[tokio::test]
async fn other_namespaces_links_and_the_mount_point_have_none() {
    let world = World::new();
    world.put("f", b"content").await.unwrap();
    world.fs.symlink(InodeNo::ROOT, OsStr::new("l"), OsStr::new("f"), MAKER).await.unwrap();
    for name in ["security.capability", "system.posix_acl_access", "trusted.a", "plain"] {
        assert_eq!(meaning(get(&world, "f", name).await), Some(Meaning::NoAttribute), "{name}");
        let (set, removed) = (set(&world, "f", name, b"").await, remove(&world, "f", name).await);
        assert_eq!(meaning(set), Some(Meaning::NotSupported), "{name}");
        assert_eq!(meaning(removed), Some(Meaning::NotSupported), "{name}");
    }
    assert_eq!(meaning(set(&world, "f", "user.", b"").await), Some(Meaning::Invalid));
    assert_eq!(meaning(set(&world, "l", "user.a", b"").await), Some(Meaning::NotPermitted));
    assert_eq!(meaning(get(&world, "l", "user.a").await), Some(Meaning::NoAttribute));
    assert_eq!(meaning(set(&world, "", "user.a", b"").await), Some(Meaning::NotSupported));
    assert_eq!(list(&world, "").await, "");
    assert_eq!(world.fs.listxattr(InodeNo::STATUS).await.unwrap(), b"");
}

#[tokio::test]
async fn directories_keep_them_in_their_marker() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    put_with(&world, "implicit/f", &[]).await;
    for name in ["d", "implicit"] {
        assert_eq!(list(&world, name).await, "", "{name}");
        set(&world, name, "user.colour", b"green").await.unwrap();
        settled(&world).await;
        assert_eq!(entry_of(&world, &format!("{name}/")).await.unwrap(), GREEN, "{name}");
        assert_eq!(get(&world.fresh(), name, "user.colour").await.unwrap(), "green", "{name}");
    }
}

#[tokio::test]
async fn more_than_the_service_takes_is_refused_and_changes_nothing() {
    let world = World::new();
    put_with(&world, "f", &[("xattr", GREEN)]).await;
    let ino = world.walk("f").await.unwrap();
    let refused = set(&world, "f", "user.large", &[7; 1500]).await;
    assert_eq!(meaning(refused), Some(Meaning::NoSpace));
    assert_eq!(list(&world, "f").await, "user.colour\0");
    // As much as fits; what the largest owner and time take then still fits too.
    let fits = async |len: usize| set(&world, "f", "user.large", &vec![7; len]).await.is_ok();
    let mut largest = 0;
    for len in (1300..1500).step_by(3) {
        if fits(len).await {
            largest = len;
        }
    }
    assert!(largest > 1300, "{largest}");
    let time = std::time::UNIX_EPOCH + Duration::new(253_402_300_799, 999_999_999);
    let most = SetAttr {
        uid: Some(u32::MAX - 1),
        gid: Some(u32::MAX - 1),
        mtime: Some(time),
        ..SetAttr::default()
    };
    world.fs.setattr(ino, None, most).await.unwrap();
    settled(&world).await;
    assert_eq!(list(&world.fresh(), "f").await, "user.colour\0user.large\0");
    // One that is full can still be made smaller.
    remove(&world, "f", "user.large").await.unwrap();
    settled(&world).await;
    assert_eq!(list(&world.fresh(), "f").await, "user.colour\0");
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_counts_as_none_and_stays() {
    let world = World::new();
    for broken in ["{", "[]", "\"x\"", "7", "%7B"] {
        put_with(&world, "f", &[("xattr", broken)]).await;
        let fresh = world.fresh();
        assert_eq!(list(&fresh, "f").await, "", "{broken}");
        assert_eq!(meaning(remove(&fresh, "f", "user.a").await), Some(Meaning::NoAttribute));
        let ino = fresh.walk("f").await.unwrap();
        let mode = SetAttr { mode: Some(0o600), ..SetAttr::default() };
        fresh.fs.setattr(ino, None, mode).await.unwrap();
        settled(&fresh).await;
        assert_eq!(entry_of(&world, "f").await.as_deref(), Some(broken));
        let fresh = world.fresh();
        set(&fresh, "f", "user.colour", b"green").await.unwrap();
        settled(&fresh).await;
        assert_eq!(entry_of(&world, "f").await.as_deref(), Some(GREEN));
    }
}

/// What the kernel asks at writes, and `ls` of every file.
#[tokio::test]
async fn names_that_nothing_has_cost_no_request() {
    let world = World::new();
    put_with(&world, "f", &[("xattr", GREEN)]).await;
    let fresh = world.fresh();
    let ino = fresh.walk("f").await.unwrap();
    let before = fresh.requests();
    for name in ["security.capability", "security.selinux", "system.posix_acl_access"] {
        let answer = fresh.fs.try_getxattr(ino, OsStr::new(name)).expect("without waiting");
        assert_eq!(meaning(answer), Some(Meaning::NoAttribute), "{name}");
    }
    assert!(fresh.fs.try_listxattr(ino).expect("known since the lookup").is_ok());
    assert!(fresh.fs.try_getxattr(ino, OsStr::new("user.colour")).expect("likewise").is_ok());
    assert_eq!(fresh.requests(), before);
}

#[tokio::test]
async fn a_listing_with_attributes_asks_for_nothing_twice() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        put_with(&world, name, &[("xattr", GREEN)]).await;
    }
    let fresh = world.fresh();
    let handle = fresh.fs.opendir(InodeNo::ROOT).unwrap();
    let items = fresh.fs.readdir(handle, 0, true).await.unwrap();
    let before = fresh.requests();
    for item in items.iter().filter(|item| item.counted) {
        assert!(fresh.fs.try_listxattr(item.entry.ino).expect("without waiting").is_ok());
    }
    assert_eq!(fresh.requests(), before);
}

#[tokio::test]
async fn what_others_changed_is_seen_and_what_failed_is_told_at_the_end() {
    let world = World::new();
    put_with(&world, "f", &[("xattr", GREEN)]).await;
    set(&world, "f", "user.b", b"ours").await.unwrap();
    world.store.fail(Operation::Copy, 0, ErrorKind::AccessDenied);
    let report = world.fs.drain(Duration::from_secs(5)).await;
    assert_eq!(report.lost.len(), 1, "{:?}", report.lost);
    world.store.heal();
    // Somebody replaces the object: our change was meant for the old one.
    put_with(&world, "f", &[("xattr", r#"{"user.c":""}"#), ("new", "1")]).await;
    world.store.put(&key("f"), b"other".to_vec().into(), &PutOptions::default()).await.unwrap();
    let ino = world.walk("f").await.unwrap();
    let handle = world.fs.open(ino, Default::default(), 0).await.unwrap().handle;
    let _ = world.fs.fsync(handle).await;
    assert_eq!(list(&world, "f").await, "");
}
