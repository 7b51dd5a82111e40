//! What happens to names below a directory while it is renamed.

use std::ffi::OsStr;
use std::future::Future;
use std::sync::Arc;

use partfs::fs::{FileSystem, FsResult, InodeNo, RenameFlags, SetAttr};
use partfs::store::fault::Gate;
use partfs::store::{ObjectStore, Operation, PutOptions};

use crate::world::fs::{MAKER, World};
use crate::world::{key, keys};

/// A tree of another tool: `d/s/f`, `d/s/g`, `d/s/tmp`.
async fn tree() -> World {
    let world = World::new();
    for name in ["f", "g", "tmp"] {
        let options = PutOptions::default();
        let bytes = name.as_bytes().to_vec();
        world.store.put(&key(&format!("d/s/{name}")), bytes.into(), &options).await.unwrap();
    }
    world
}

/// What is in the bucket, but for the markers of the tree itself.
fn found(world: &World) -> Vec<String> {
    let mut found = keys(&world.bucket);
    found.retain(|key| key != "e/" && key != "e/s/");
    found
}

/// `mv d e`, when its first copy has been made and before it goes on.
async fn moving(world: &World) -> (Arc<Gate>, tokio::task::JoinHandle<FsResult<()>>) {
    world.walk("d/s").await.unwrap();
    let gate = world.store.hold(Operation::Copy);
    let fs = Arc::clone(&world.fs);
    let moving = tokio::spawn(async move {
        let (from, to) = ((InodeNo::ROOT, OsStr::new("d")), (InodeNo::ROOT, OsStr::new("e")));
        fs.rename(from, to, RenameFlags::default()).await
    });
    gate.answered().await;
    (gate, moving)
}

/// Does something below `d/s` while `d` is on its way; says what is in the bucket in the end.
async fn meanwhile<R>(act: impl FnOnce(Arc<FileSystem>, InodeNo) -> R) -> (World, Vec<String>)
where
    R: Future<Output = FsResult<()>> + Send + 'static,
{
    let world = tree().await;
    let (gate, moving) = moving(&world).await;
    let s = world.walk("d/s").await.unwrap();
    let acting = tokio::spawn(act(Arc::clone(&world.fs), s));
    tokio::task::yield_now().await;
    assert!(!acting.is_finished(), "it waits");
    gate.open();
    moving.await.unwrap().unwrap();
    acting.await.unwrap().unwrap();
    world.fs.quiet().await;
    let found = found(&world);
    (world, found)
}

#[tokio::test]
async fn what_is_removed_does_not_come_back() {
    let (_, keys) = meanwhile(|fs, s| async move { fs.unlink(s, OsStr::new("f")).await }).await;
    assert_eq!(keys, ["e/s/g", "e/s/tmp"]);
}

#[tokio::test]
async fn what_replaces_a_file_is_there_under_the_new_name() {
    let replace = |fs: Arc<FileSystem>, s| async move {
        let (from, to) = ((s, OsStr::new("tmp")), (s, OsStr::new("f")));
        fs.rename(from, to, RenameFlags::default()).await
    };
    let (world, keys) = meanwhile(replace).await;
    assert_eq!(keys, ["e/s/f", "e/s/g"]);
    assert_eq!(world.object("e/s/f").await.unwrap(), b"tmp");
    assert_eq!(world.read_all("e/s/f", 10).await.unwrap(), b"tmp");
}

#[tokio::test]
async fn directories_and_links_are_made_under_the_new_name() {
    let make = |fs: Arc<FileSystem>, s| async move {
        fs.mkdir(s, OsStr::new("new"), MAKER).await?;
        fs.symlink(s, OsStr::new("link"), OsStr::new("f"), MAKER).await.map(drop)
    };
    let (_, keys) = meanwhile(make).await;
    assert_eq!(keys, ["e/s/f", "e/s/g", "e/s/link", "e/s/new/", "e/s/tmp"]);
}

#[tokio::test]
async fn a_directory_below_is_renamed_afterwards() {
    let rename = |fs: Arc<FileSystem>, s| async move {
        fs.mkdir(s, OsStr::new("t"), MAKER).await?;
        let (from, to) = ((s, OsStr::new("t")), (s, OsStr::new("u")));
        fs.rename(from, to, RenameFlags::default()).await
    };
    let (_, keys) = meanwhile(rename).await;
    assert_eq!(keys, ["e/s/f", "e/s/g", "e/s/tmp", "e/s/u/"]);
}

/// What has begun before is waited for.
#[tokio::test]
async fn a_rename_waits_for_changes_that_have_begun() {
    let world = tree().await;
    let s = world.walk("d/s").await.unwrap();
    let gate = world.store.hold(Operation::Copy);
    let fs = Arc::clone(&world.fs);
    let replacing = tokio::spawn(async move {
        let (from, to) = ((s, OsStr::new("tmp")), (s, OsStr::new("f")));
        fs.rename(from, to, RenameFlags::default()).await
    });
    gate.answered().await;
    let fs = Arc::clone(&world.fs);
    let moving = tokio::spawn(async move {
        let (from, to) = ((InodeNo::ROOT, OsStr::new("d")), (InodeNo::ROOT, OsStr::new("e")));
        fs.rename(from, to, RenameFlags::default()).await
    });
    tokio::task::yield_now().await;
    gate.open();
    replacing.await.unwrap().unwrap();
    moving.await.unwrap().unwrap();
    assert_eq!(found(&world), ["e/s/f", "e/s/g"]);
    assert_eq!(world.object("e/s/f").await.unwrap(), b"tmp");
}

/// Elsewhere nobody waits; nor do attributes of a directory get lost that change meanwhile.
#[tokio::test]
async fn others_do_not_wait_and_attributes_arrive() {
    let world = tree().await;
    world.fs.mkdir(InodeNo::ROOT, OsStr::new("x"), MAKER).await.unwrap();
    let (gate, moving) = moving(&world).await;
    world.fs.rmdir(InodeNo::ROOT, OsStr::new("x")).await.unwrap();
    let s = world.walk("d/s").await.unwrap();
    let changes = SetAttr { mode: Some(0o700), ..SetAttr::default() };
    world.fs.setattr(s, None, changes).await.unwrap();
    gate.open();
    moving.await.unwrap().unwrap();
    world.fs.quiet().await;
    let other = world.fresh();
    let s = other.walk("e/s").await.unwrap();
    assert_eq!(other.fs.getattr(s).await.unwrap().attr.permissions, 0o700);
    assert_eq!(found(&world), ["e/s/f", "e/s/g", "e/s/tmp"]);
}
