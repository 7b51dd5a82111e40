//! Keys with elements that no file can have as its name: each is seen by another name, by which it can be used.

use std::ffi::OsStr;
use std::sync::Arc;

use partfs::fs::{FsResult, InodeNo, Kind, Meaning, OpenMode, RenameFlags, SetAttr, SetXattr};
use partfs::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore, SMALL_LIMITS};
use partfs::store::prefix::Prefixed;
use partfs::store::{Limits, Metadata, ObjectStore, Operation, PutOptions, StandardHeaders};

use crate::world::fs::{MAKER, PART, World};
use crate::world::{key, keys, pattern};

const ROOT: InodeNo = InodeNo::ROOT;

fn bucket() -> Arc<MemoryBucket> {
    let clock = Arc::new(partfs::clock::SystemClock);
    MemoryBucket::new(BucketOptions::new(EtagMode::Md5, clock))
}

async fn put(world: &World, name: &str, content: &[u8]) {
    let options = PutOptions::default();
    world.store.put(&key(name), content.to_vec().into(), &options).await.unwrap();
}

async fn names(world: &World, directory: &str) -> Vec<String> {
    let ino = world.walk(directory).await.unwrap();
    let listed = world.fs.list_names(ino).await.unwrap();
    listed.into_iter().map(String::from).collect()
}

async fn rename(world: &World, from: &str, to: &str) -> FsResult<()> {
    let (from, to) = (world.place(from).await?, world.place(to).await?);
    world.fs.rename(from, to, RenameFlags::default()).await
}

async fn unlink(world: &World, path: &str) -> FsResult<()> {
    let (parent, name) = world.place(path).await?;
    world.fs.unlink(parent, name).await
}

fn meaning<T>(answer: FsResult<T>) -> Meaning {
    answer.map(drop).unwrap_err().meaning()
}

async fn hidden_keys(world: &World) -> u64 {
    let control = world.fs.try_lookup(ROOT, OsStr::new(".partfs")).unwrap().unwrap();
    let status = world.fs.try_lookup(control.ino, OsStr::new("status.json")).unwrap().unwrap();
    let opened = world.fs.try_open(status.ino, OpenMode::default(), 0).unwrap().unwrap();
    let text = world.read_handle(opened.handle, 4096).await.unwrap();
    let status: serde_json::Value = serde_json::from_slice(&text).unwrap();
    status["hidden_keys"].as_u64().unwrap()
}

/// An element that is too long, and its name: with the first bytes of the hash as `sha256sum` prints it.
fn long() -> (String, String) {
    ("l".repeat(256), format!("@partfs:{}%~a43c19666f3e60c1", "l".repeat(229)))
}

#[tokio::test]
async fn keys_that_cannot_be_names_are_shown_by_others() {
    let world = World::new();
    let (element, name) = long();
    let all = [
        ("/lead", "@partfs:/lead"),
        ("d//x", "d/@partfs:/x"),
        ("d/./y", "d/@partfs:%2E/y"),
        ("d/../z", "d/@partfs:%2E%2E/z"),
        ("d/50%\0", "d/@partfs:50%25%00"),
        ("d/@partfs:a", "d/@partfs:@partfs:a"),
        ("d/.partfs", "d/.partfs"),
        (".partfs", "@partfs:.partfs"),
        ("d/\u{1}\t\n\u{7f}", "d/\u{1}\t\n\u{7f}"),
        (&format!("d/{element}"), &format!("d/{name}")),
        (&format!("e/{element}/f"), &format!("e/{name}/f")),
    ];
    for (key, _) in all {
        put(&world, key, key.as_bytes()).await;
    }
    assert_eq!(names(&world, "").await, ["@partfs:.partfs", "@partfs:", "d", "e"]);
    assert_eq!(names(&world, "@partfs:").await, ["lead"]);
    let mut expected: Vec<_> =
        all[1..10].iter().filter(|(_, path)| path.starts_with("d/")).collect();
    expected.sort();
    let first = |path: &str| path["d/".len()..].split('/').next().unwrap().to_owned();
    let expected: Vec<_> = expected.iter().map(|(_, path)| first(path)).collect();
    assert_eq!(names(&world, "d").await, expected, "in the order of the keys");
    assert_eq!(hidden_keys(&world).await, 0);
    // Also by who has not listed anything, and by who has only listed.
    let others = [world.fresh(), world.fresh()];
    assert_eq!(names(&others[1], "d").await, expected);
    for (key, path) in all {
        for world in [&world, &others[0], &others[1]] {
            assert_eq!(world.read_all(path, 1000).await.unwrap(), key.as_bytes(), "{path:?}");
        }
        rename(&world, path, "sane").await.unwrap();
        assert_eq!(world.object("sane").await.unwrap(), key.as_bytes());
        assert_eq!(world.object(key).await, None, "{key:?}");
        unlink(&world, "sane").await.unwrap();
    }
}

#[tokio::test]
async fn such_keys_are_made_by_their_names() {
    let world = World::new();
    for (path, key) in [
        ("@partfs:%2E%2E", ".."),
        ("@partfs:.partfs", ".partfs"),
        ("d/@partfs:%2E", "d/."),
        ("d/@partfs:a%00%25", "d/a\0%"),
        ("d/@partfs:@partfs:", "d/@partfs:"),
        ("d/@partfs:/x", "d//x"),
    ] {
        for directory in ["d", "d/@partfs:"] {
            let (parent, name) = world.place(directory).await.unwrap();
            let _ = world.fs.mkdir(parent, name, MAKER).await;
        }
        world.put(path, b"made").await.unwrap();
        assert_eq!(world.object(key).await.unwrap(), b"made", "{path}");
        world.put(path, b"changed").await.unwrap();
        assert_eq!(world.object(key).await.unwrap(), b"changed", "{path}");
        assert_eq!(world.fresh().read_all(path, 100).await.unwrap(), b"changed");
        unlink(&world, path).await.unwrap();
        assert_eq!(world.object(key).await, None);
    }
    world.fs.mkdir(ROOT, OsStr::new("@partfs:"), MAKER).await.unwrap();
    world.fs.symlink(ROOT, OsStr::new("@partfs:%2E"), OsStr::new("t"), MAKER).await.unwrap();
    assert_eq!(keys(&world.bucket), [".", "/", "d/", "d//"]);
    world.fs.rmdir(ROOT, OsStr::new("@partfs:")).await.unwrap();
    assert_eq!(keys(&world.bucket), [".", "d/", "d//"]);
}

#[tokio::test]
async fn names_that_stand_for_nothing_are_absent_and_cannot_be_made() {
    let world = World::new();
    world.put("file", b"x").await.unwrap();
    world.fs.mkdir(ROOT, OsStr::new("dir"), MAKER).await.unwrap();
    let (_, cut) = long();
    let before = keys(&world.bucket);
    for bad in ["@partfs:abc", "@partfs:%41", "@partfs:%2e", "@partfs:a%2Fb", "@partfs:%", &cut] {
        let name = OsStr::new(bad);
        for world in [&world, &world.fresh()] {
            let found = match world.fs.try_lookup(ROOT, name) {
                Some(found) => found,
                None => world.fs.lookup(ROOT, name).await,
            };
            assert_eq!(meaning(found), Meaning::NotFound, "{bad}");
        }
        assert_eq!(meaning(unlink(&world, bad).await), Meaning::NotFound);
        assert_eq!(meaning(world.fs.rmdir(ROOT, name).await), Meaning::NotFound);
        assert_eq!(meaning(rename(&world, bad, "other").await), Meaning::NotFound);
        assert_eq!(meaning(world.create(bad).await), Meaning::Invalid, "{bad}");
        assert_eq!(meaning(world.fs.make_file(ROOT, name, MAKER).await), Meaning::Invalid);
        assert_eq!(meaning(world.fs.mkdir(ROOT, name, MAKER).await), Meaning::Invalid);
        let link = world.fs.symlink(ROOT, name, OsStr::new("t"), MAKER).await;
        assert_eq!(meaning(link), Meaning::Invalid);
        assert_eq!(meaning(rename(&world, "file", bad).await), Meaning::Invalid);
        assert_eq!(meaning(rename(&world, "dir", bad).await), Meaning::Invalid);
    }
    // The name of the control directory is taken, and only that of a key in the root.
    let control = OsStr::new(".partfs");
    assert_eq!(meaning(world.fs.mkdir(ROOT, control, MAKER).await), Meaning::Exists);
    assert_eq!(meaning(world.create(".partfs").await), Meaning::Exists);
    assert_eq!(meaning(world.fs.rmdir(ROOT, control).await), Meaning::NotPermitted);
    assert_eq!(meaning(rename(&world, "file", ".partfs").await), Meaning::NotPermitted);
    assert_eq!(meaning(world.create("dir/@partfs:.partfs").await), Meaning::Invalid);
    assert_eq!(keys(&world.bucket), before);
}

#[tokio::test]
async fn a_name_that_was_cut_is_found_among_the_keys() {
    let world = World::new();
    let (element, name) = long();
    // As many with the same beginning as are some pages.
    for index in 0..25 {
        put(&world, &format!("d/{}{index:02}", "l".repeat(254)), b"").await;
        put(&world, &format!("d/{}{index:02}{index:02}", "l".repeat(254)), b"other").await;
    }
    put(&world, &format!("d/{element}"), b"this").await;
    let fresh = world.fresh();
    let path = format!("d/{name}");
    assert_eq!(fresh.read_all(&path, 100).await.unwrap(), b"this");
    let lists = fresh.bucket.requests_of(Operation::List);
    assert_eq!(fresh.read_all(&path, 100).await.unwrap(), b"this");
    assert_eq!(fresh.bucket.requests_of(Operation::List), lists, "it is known now");
    // What is there can be written to and replaced; nothing else gets the name.
    fresh.put(&path, b"changed").await.unwrap();
    assert_eq!(world.object(&format!("d/{element}")).await.unwrap(), b"changed");
    fresh.put("file", b"replaces").await.unwrap();
    rename(&fresh, "file", &path).await.unwrap();
    assert_eq!(world.object(&format!("d/{element}")).await.unwrap(), b"replaces");
    unlink(&fresh, &path).await.unwrap();
    assert_eq!(meaning(fresh.create(&path).await), Meaning::Invalid);
    assert_eq!(names(&fresh, "d").await.len(), 50);
}

/// The marker `d/` with bytes, as other tools leave it; its metadata is the directory's.
async fn with_marker() -> World {
    let world = World::new();
    let metadata: Metadata = [("mode", "16832"), ("note", "n")].into_iter().collect();
    let headers = StandardHeaders::of_type("application/x-directory");
    let options = PutOptions { metadata, headers, ..PutOptions::default() };
    world.store.put(&key("d/"), b"bytes".to_vec().into(), &options).await.unwrap();
    put(&world, "d/f", b"file").await;
    world
}

#[tokio::test]
async fn bytes_in_a_marker_are_a_file_that_is_read_and_taken_away() {
    let world = with_marker().await;
    let path = "d/@partfs:";
    assert_eq!(names(&world, "d").await, ["@partfs:", "f"]);
    assert_eq!(world.read_all(path, 2).await.unwrap(), b"bytes");
    let d = world.walk("d").await.unwrap();
    let (ino, name) = (world.walk(path).await.unwrap(), OsStr::new("@partfs:"));
    // Nothing but the directory changes the object.
    for mode in [(true, false), (false, true)].map(|(write, truncate)| OpenMode { write, truncate })
    {
        assert_eq!(meaning(world.fs.open(ino, mode, 0).await), Meaning::NotPermitted);
    }
    let changes = [
        SetAttr { size: Some(0), ..SetAttr::default() },
        SetAttr { mode: Some(0o600), ..SetAttr::default() },
    ];
    for change in changes {
        let answer = world.fs.setattr(ino, None, change).await;
        assert_eq!(meaning(answer), Meaning::NotPermitted);
    }
    let set = world.fs.setxattr(ino, OsStr::new("user.a"), b"b", SetXattr::default()).await;
    assert_eq!(meaning(set), Meaning::NotPermitted);
    assert_eq!(meaning(rename(&world, "d/f", path).await), Meaning::NotPermitted);
    assert_eq!(meaning(world.fs.mkdir(d, name, MAKER).await), Meaning::Exists);
    assert_eq!(meaning(world.fs.rmdir(ROOT, OsStr::new("d")).await), Meaning::NotEmpty);
    assert_eq!(world.object("d/").await.unwrap(), b"bytes");
    // What programs do with it works, and the directory stays.
    unlink(&world, path).await.unwrap();
    assert_eq!(world.object("d/").await.unwrap(), b"", "the marker");
    let info = world.store.head(&key("d/")).await.unwrap();
    assert_eq!((info.metadata.get("mode"), info.metadata.get("note")), (Some("16832"), Some("n")));
    for world in [&world, &world.fresh()] {
        assert_eq!(names(world, "d").await, ["f"]);
        assert_eq!(meaning(world.walk(path).await), Meaning::NotFound);
        let d = world.walk("d").await.unwrap();
        assert_eq!(world.fs.getattr(d).await.unwrap().attr.permissions, 0o700);
        // It would be the marker.
        assert_eq!(meaning(world.create(path).await), Meaning::NotPermitted);
        assert_eq!(meaning(world.fs.make_file(d, name, MAKER).await), Meaning::NotPermitted);
        let link = world.fs.symlink(d, name, OsStr::new("t"), MAKER).await;
        assert_eq!(meaning(link), Meaning::NotPermitted);
        assert_eq!(meaning(rename(world, "d/f", path).await), Meaning::NotPermitted);
    }
    unlink(&world, "d/f").await.unwrap();
    world.fs.rmdir(ROOT, OsStr::new("d")).await.unwrap();
    assert!(keys(&world.bucket).is_empty());
}

#[tokio::test]
async fn bytes_in_a_marker_move_to_a_file_and_the_directory_stays() {
    let world = with_marker().await;
    let d = world.walk("d").await.unwrap();
    world.fs.setattr(d, None, SetAttr { mode: Some(0o711), ..SetAttr::default() }).await.unwrap();
    let reader = world.open("d/@partfs:", OpenMode::default()).await.unwrap();
    rename(&world, "d/@partfs:", "out").await.unwrap();
    assert_eq!(world.object("out").await.unwrap(), b"bytes");
    assert_eq!(world.object("d/").await.unwrap(), b"");
    assert_eq!(world.read_handle(reader, 100).await.unwrap(), b"bytes", "it follows its name");
    let out = world.store.head(&key("out")).await.unwrap();
    assert_ne!(out.headers.content_type.as_deref(), Some("application/x-directory"));
    assert_eq!(out.metadata.get("mode"), Some("33216"), "a file, with the directory's permissions");
    world.fs.drain(std::time::Duration::from_secs(5)).await;
    let fresh = world.fresh();
    let attr = |entry: partfs::fs::Entry| (entry.kind, entry.attr.permissions);
    let d = fresh.fs.getattr(fresh.walk("d").await.unwrap()).await.unwrap();
    assert_eq!(attr(d), (Kind::Directory, 0o711), "what was changed meanwhile is not lost");
    let out = fresh.fs.getattr(fresh.walk("out").await.unwrap()).await.unwrap();
    assert_eq!(attr(out), (Kind::File, 0o700));
    assert_eq!(names(&fresh, "d").await, ["f"]);
}

/// A large marker is copied by parts, and the copy has another ETag.
#[tokio::test]
async fn attributes_of_a_directory_do_not_disturb_who_reads_its_marker() {
    let bucket = bucket();
    let limits = Limits { copy_bytes: 20, ..SMALL_LIMITS };
    let store = MemoryStore::new(Arc::clone(&bucket), limits);
    let world = World::on(bucket, Arc::new(store), PART, 32);
    let bytes = pattern(1, 300);
    put(&world, "d/", &bytes).await;
    put(&world, "d/f", b"file").await;
    let reader = world.open("d/@partfs:", OpenMode::default()).await.unwrap();
    let before = world.store.head(&key("d/")).await.unwrap().version;
    let d = world.walk("d").await.unwrap();
    world.fs.setattr(d, None, SetAttr { mode: Some(0o711), ..SetAttr::default() }).await.unwrap();
    world.fs.drain(std::time::Duration::from_secs(5)).await;
    assert_ne!(world.store.head(&key("d/")).await.unwrap().version, before);
    assert_eq!(world.read_handle(reader, 100).await.unwrap(), bytes);
    rename(&world, "d", "e").await.unwrap();
    assert_eq!(world.read_handle(reader, 70).await.unwrap(), bytes);
    assert_eq!(world.read_all("e/@partfs:", 100).await.unwrap(), bytes);
    assert_eq!(keys(&world.bucket), ["e/", "e/f"]);
    // What was copied from it and is not stored yet has the old bytes.
    let reader = world.open("e/@partfs:", OpenMode::default()).await.unwrap();
    let before = world.store.head(&key("e/")).await.unwrap().version;
    let (_, copy) = world.create("copy").await.unwrap();
    world.copy((reader, 0), (copy, 0), 300).await.unwrap();
    let e = world.walk("e").await.unwrap();
    world.fs.setattr(e, None, SetAttr { mode: Some(0o700), ..SetAttr::default() }).await.unwrap();
    world.fs.quiet().await;
    let after = world.store.head(&key("e/")).await.unwrap();
    assert_ne!(after.version, before);
    assert_eq!(
        after.metadata.get("mode"),
        Some("16832"),
        "though the rename has made another object"
    );
    world.close(copy).await.unwrap();
    assert_eq!(world.object("copy").await.unwrap(), bytes);
    let (_, copy) = world.create("again").await.unwrap();
    world.copy((reader, 0), (copy, 0), 300).await.unwrap();
    unlink(&world, "e/@partfs:").await.unwrap();
    world.close(copy).await.unwrap();
    assert_eq!(world.object("again").await.unwrap(), bytes);
}

#[tokio::test]
async fn what_a_listing_has_not_cut_is_counted() {
    let world = World::new();
    for name in ["d/f", "d/e/x", "d/e/y"] {
        put(&world, name, b"").await;
    }
    world.store.list_flat();
    assert_eq!(names(&world, "d").await, ["f"]);
    assert_eq!(hidden_keys(&world).await, 2);
    assert_eq!(meaning(world.fs.rmdir(ROOT, OsStr::new("d")).await), Meaning::NotEmpty);
}

/// Where both are, the directory is what is seen, as everywhere.
#[tokio::test]
async fn keys_behind_an_empty_element_hide_the_bytes_of_the_marker() {
    let world = with_marker().await;
    for index in 0..20 {
        // More than a page between the two.
        put(&world, &format!("d/!{index:02}"), b"").await;
    }
    put(&world, "d//x", b"below").await;
    let fresh = world.fresh();
    assert_eq!(names(&fresh, "d").await.iter().filter(|name| *name == "@partfs:").count(), 1);
    assert_eq!(fresh.read_all("d/@partfs:/x", 100).await.unwrap(), b"below");
    unlink(&fresh, "d/@partfs:/x").await.unwrap();
    assert_eq!(keys(&world.bucket)[..2], ["d/", "d/!00"]);
    let d = fresh.walk("d").await.unwrap();
    fresh.fs.rmdir(d, OsStr::new("@partfs:")).await.unwrap();
    assert_eq!(fresh.read_all("d/@partfs:", 100).await.unwrap(), b"bytes", "seen again");
}

#[tokio::test]
async fn an_empty_first_element_is_not_the_root() {
    let world = World::new();
    put(&world, "x", b"1").await;
    put(&world, "/x", b"2").await;
    put(&world, "//x", b"3").await;
    put(&world, "/", b"4").await;
    assert_eq!(names(&world, "").await, ["@partfs:", "x"]);
    assert_eq!(names(&world, "@partfs:").await, ["@partfs:", "x"]);
    assert_eq!(names(&world, "@partfs:/@partfs:").await, ["x"]);
    for (path, bytes) in [("x", b"1"), ("@partfs:/x", b"2"), ("@partfs:/@partfs:/x", b"3")] {
        assert_eq!(world.read_all(path, 100).await.unwrap(), bytes, "{path}");
    }
    rename(&world, "@partfs:", "sane").await.unwrap();
    assert_eq!(keys(&world.bucket), ["sane/", "sane//x", "sane/x", "x"]);
    assert_eq!(world.object("sane/").await.unwrap(), b"4");
    rename(&world, "sane/@partfs:", "@partfs:").await.unwrap();
    assert_eq!(keys(&world.bucket), ["/", "/x", "sane/", "sane/x", "x"]);
    assert_eq!(world.object("/x").await.unwrap(), b"3");
}

/// The keys of the mount are those of the bucket behind the prefix, as they are.
#[tokio::test]
async fn below_a_prefix_the_rule_is_the_same() {
    let bucket = bucket();
    let whole = MemoryStore::new(Arc::clone(&bucket), SMALL_LIMITS);
    let (element, name) = long();
    let long_key = format!("p/{element}");
    for text in ["p//x", "p/.", "p/.partfs", &long_key, "p/d/", "/x", "p/"] {
        let bytes = text.as_bytes().to_vec();
        whole.put(&key(text), bytes.into(), &PutOptions::default()).await.unwrap();
    }
    let store = Arc::new(Prefixed::new(Arc::new(whole), "p").unwrap());
    let world = World::on(bucket, store, PART, 32);
    let expected = ["@partfs:%2E", "@partfs:.partfs", "@partfs:", "d", name.as_str()];
    assert_eq!(names(&world, "").await, expected);
    for (path, key) in [
        ("@partfs:/x", "p//x"),
        ("@partfs:%2E", "p/."),
        ("@partfs:.partfs", "p/.partfs"),
        (&name, &long_key),
        ("d/@partfs:", "p/d/"),
    ] {
        assert_eq!(world.read_all(path, 1000).await.unwrap(), key.as_bytes(), "{path}");
        unlink(&world, path).await.unwrap();
    }
    world.fs.rmdir(ROOT, OsStr::new("@partfs:")).await.unwrap();
    world.fs.rmdir(ROOT, OsStr::new("d")).await.unwrap();
    // That of the mount point itself has no name in it.
    assert_eq!(keys(&world.bucket), ["/x", "p/"]);
}
