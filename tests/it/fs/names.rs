//! lookup, mkdir, rmdir, unlink, symlink.

use std::ffi::OsStr;

use partfs::fs::{InodeNo, Kind, Meaning, OpenMode};
use partfs::store::{Metadata, ObjectStore, PutOptions};

use crate::world::fs::{MAKER, World};
use crate::world::{key, keys};

async fn put_object(world: &World, name: &str, content: &[u8]) {
    let options = PutOptions { metadata: Metadata::new(), ..PutOptions::default() };
    world.store.put(&key(name), content.to_vec().into(), &options).await.unwrap();
}

#[tokio::test]
async fn what_other_tools_wrote_is_found() {
    let world = World::new();
    put_object(&world, "a.txt", b"hello").await;
    put_object(&world, "d/e/f", b"x").await;
    put_object(&world, "marked/", b"").await;
    let file = world.fs.lookup(InodeNo::ROOT, OsStr::new("a.txt")).await.unwrap();
    assert_eq!((file.kind, file.attr.size, file.attr.permissions), (Kind::File, 5, 0o644));
    assert_eq!((file.attr.uid, file.attr.gid), (1, 2));
    for directory in ["d", "d/e", "marked"] {
        let ino = world.walk(directory).await.unwrap();
        assert_eq!(world.fs.getattr(ino).await.unwrap().kind, Kind::Directory, "{directory}");
    }
    assert_eq!(world.read_all("d/e/f", 10).await.unwrap(), b"x");
    let absent = world.fs.lookup(InodeNo::ROOT, OsStr::new("nothing")).await;
    assert_eq!(absent.unwrap_err().meaning(), Meaning::NotFound);
}

#[tokio::test]
async fn a_directory_hides_an_object_of_the_same_name() {
    let world = World::new();
    put_object(&world, "a", b"hidden").await;
    put_object(&world, "a-b", b"").await;
    put_object(&world, "a/x", b"seen").await;
    assert_eq!(world.read_all("a/x", 10).await.unwrap(), b"seen");
    let names = world.fs.list_names(InodeNo::ROOT).await.unwrap();
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "a-b"], "once each");
    let refused = world.fs.rmdir(InodeNo::ROOT, OsStr::new("a")).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::NotEmpty);
    assert_eq!(world.object("a").await.unwrap(), b"hidden", "nothing removes it unseen");
}

#[tokio::test]
async fn a_new_directory_knows_that_it_is_empty() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    let d = world.walk("d").await.unwrap();
    let before = world.requests();
    assert!(world.fs.try_lookup(d, OsStr::new("x")).unwrap().is_err(), "answered from memory");
    world.put("d/x", b"1").await.unwrap();
    assert_eq!(world.requests() - before, 1, "one PUT and nothing else");
    let again = world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await;
    assert_eq!(again.unwrap_err().meaning(), Meaning::Exists);
}

#[tokio::test]
async fn a_directory_stays_when_its_last_file_goes() {
    let world = World::new();
    put_object(&world, "d/only", b"1").await;
    let d = world.walk("d").await.unwrap();
    world.fs.unlink(d, OsStr::new("only")).await.unwrap();
    assert_eq!(keys(&world.bucket), ["d/"]);
    assert!(world.fresh().walk("d").await.is_ok());
    world.fs.rmdir(InodeNo::ROOT, OsStr::new("d")).await.unwrap();
    assert!(keys(&world.bucket).is_empty());
    assert_eq!(world.walk("d").await.unwrap_err().meaning(), Meaning::NotFound);
}

#[tokio::test]
async fn rmdir_refuses_what_is_not_empty() {
    let world = World::new();
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("d"), MAKER).await.unwrap();
    let (_, handle) = world.create("d/unsaved").await.unwrap();
    let refused = world.fs.rmdir(InodeNo::ROOT, OsStr::new("d")).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::NotEmpty, "a file nobody stored yet");
    world.close(handle).await.unwrap();
    let refused = world.fs.rmdir(InodeNo::ROOT, OsStr::new("d")).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::NotEmpty);
    put_object(&world, "odd//x", b"1").await;
    let refused = world.fs.rmdir(InodeNo::ROOT, OsStr::new("odd")).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::NotEmpty, "a key with an empty element");
}

#[tokio::test]
async fn symbolic_links_are_objects_with_a_mode() {
    let world = World::new();
    let target = OsStr::new("../some where/é");
    world.fs.symlink(InodeNo::ROOT, OsStr::new("l"), target, MAKER).await.unwrap();
    assert_eq!(world.object("l").await.unwrap(), "../some where/é".as_bytes());
    let fresh = world.fresh();
    let ino = fresh.walk("l").await.unwrap();
    let entry = fresh.fs.getattr(ino).await.unwrap();
    assert_eq!((entry.kind, entry.attr.size), (Kind::Symlink, 16));
    assert_eq!(&*fresh.fs.readlink(ino).await.unwrap(), "../some where/é");
    let d = fresh.fs.opendir(InodeNo::ROOT).unwrap();
    let listed = fresh.fs.readdir(d, 0, false).await.unwrap();
    assert_eq!(listed.last().unwrap().entry.kind, Kind::Symlink, "readdir tells the kind");
}

#[tokio::test]
async fn names_too_long_for_the_service_are_refused_before_anything_is_made() {
    let world = World::new();
    let component = OsStr::new("x");
    let mut parent = InodeNo::ROOT;
    let deep = "d".repeat(250);
    for _ in 0..3 {
        parent = world.fs.mkdir(parent, OsStr::new(&deep), MAKER).await.unwrap().ino;
    }
    let long = "n".repeat(200);
    let requests = world.requests();
    let refused = world.fs.mkdir(parent, OsStr::new(&long), MAKER).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::NameTooLong);
    let mode = OpenMode { write: true, truncate: false };
    let refused = world.fs.create(parent, OsStr::new(&long), MAKER, mode, true).await;
    assert_eq!(refused.unwrap_err().meaning(), Meaning::NameTooLong);
    assert_eq!(world.requests(), requests);
    assert!(world.fs.create(parent, component, MAKER, mode, true).await.is_ok());
}

#[tokio::test]
async fn names_asked_for_one_by_one_cost_one_request_each() {
    let world = World::new();
    for index in 0..40 {
        put_object(&world, &format!("d/f{index:02}"), &[b'x'; 10]).await;
    }
    let fresh = world.fresh();
    let d = fresh.walk("d").await.unwrap();
    let before = fresh.requests();
    for index in 0..40 {
        let name = format!("f{index:02}");
        assert_eq!(fresh.fs.lookup(d, OsStr::new(&name)).await.unwrap().attr.size, 10);
        let absent = format!("g{index:02}");
        assert!(fresh.fs.lookup(d, OsStr::new(&absent)).await.is_err());
    }
    // Two for each of the first seven names, four pages of ten, one HEAD for each file after that.
    let spent = fresh.requests() - before;
    assert!(spent <= 7 * 2 + 5 + 40, "{spent} requests for 80 names");
}
