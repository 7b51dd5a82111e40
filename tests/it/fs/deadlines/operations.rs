//! Everything that a program can ask for, up to the moment at which the service falls silent, and from there on.

use std::ffi::OsStr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use partfs::fs::{FsResult, HandleNo, InodeNo, OpenMode, RenameFlags, SetAttr, SetXattr};
use partfs::store::memory::{MemoryStore, SMALL_LIMITS};
use partfs::store::{ObjectStore, Payload, PutOptions};

use super::{ASK, CLOSE, MIB, Silence};
use crate::world::fs::{MAKER, World};
use crate::world::{key, pattern};

/// More than are asked for, copied or removed at the same time.
const MANY: usize = 150;

type Work = Pin<Box<dyn Future<Output = FsResult<()>> + Send>>;

/// One operation: prepares, lets the silence begin, and tries.
pub(super) type Operation = fn(Arc<World>, Arc<Silence>) -> Work;

macro_rules! operation {
    (|$world:ident, $silence:ident| $work:expr) => {
        |$world, $silence| {
            Box::pin(async move {
                $work;
                Ok(())
            })
        }
    };
}

const READ: OpenMode = OpenMode { write: false, truncate: false };
const WRITE: OpenMode = OpenMode { write: true, truncate: false };
const REPLACE: OpenMode = OpenMode { write: true, truncate: true };

const CHMOD: SetAttr = SetAttr { mode: Some(0o600), uid: None, gid: None, size: None, mtime: None };
const CUT: SetAttr = SetAttr { mode: None, uid: None, gid: None, size: Some(MIB + 5), mtime: None };

/// A handle of a new file with this many bytes that were taken and are not published.
async fn written(world: &World, name: &str, bytes: u64) -> FsResult<HandleNo> {
    let (_, handle) = world.create(name).await?;
    world.write_at(handle, 0, &pattern(1, bytes as usize)).await?;
    Ok(handle)
}

/// A directory that another mount has filled.
async fn make_many(world: &World) -> FsResult<InodeNo> {
    let store = MemoryStore::new(Arc::clone(&world.bucket), SMALL_LIMITS);
    for number in 0..MANY {
        let (key, body) = (key(&format!("many/{number}")), Payload::from(b"content".to_vec()));
        store.put(&key, body, &PutOptions::default()).await.unwrap();
    }
    world.walk("many").await
}

/// Closes; after a success the bucket has this.
async fn close_whole(world: &World, handle: HandleNo, key: &str, content: &[u8]) -> FsResult<()> {
    world.close(handle).await?;
    assert!(world.object(key).await.is_some_and(|object| object == content), "{key} is not whole");
    Ok(())
}

/// What has been believed for so long is asked for again.
async fn much_later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(100)).await;
    tokio::time::resume();
}

/// The operations, and how long each may take.
pub(super) fn operations() -> Vec<(&'static str, Operation, Duration)> {
    vec![
        (
            "lookup",
            operation!(|w, s| {
                s.begins();
                w.walk("f").await?
            }),
            ASK,
        ),
        (
            "lookup of nothing",
            operation!(|w, s| {
                s.begins();
                w.walk("none").await?
            }),
            ASK,
        ),
        (
            "getattr",
            operation!(|w, s| {
                let ino = w.walk("f").await?;
                much_later().await;
                s.begins();
                w.fs.getattr(ino).await?
            }),
            ASK,
        ),
        (
            "getattr of a directory",
            operation!(|w, s| {
                let ino = w.walk("dir").await?;
                much_later().await;
                s.begins();
                w.fs.getattr(ino).await?
            }),
            ASK,
        ),
        (
            "open",
            operation!(|w, s| {
                let ino = w.walk("f").await?;
                much_later().await;
                s.begins();
                w.fs.open(ino, READ, 0).await?
            }),
            ASK,
        ),
        (
            "read",
            operation!(|w, s| {
                let handle = w.open("big", READ).await?;
                s.begins();
                w.read_handle(handle, 65536).await?
            }),
            ASK,
        ),
        (
            "readdir",
            operation!(|w, s| {
                let handle = w.fs.opendir(w.walk("dir").await?)?;
                s.begins();
                w.fs.readdir(handle, 0, true).await?
            }),
            ASK,
        ),
        (
            "readdir of many",
            operation!(|w, s| {
                let ino = make_many(&w).await?;
                let handle = w.fs.opendir(ino)?;
                s.begins();
                // What the listing has told is passed on when no more is answered.
                let items = w.fs.readdir(handle, 0, true).await?;
                assert!(items.len() > 100, "{}", items.len())
            }),
            ASK,
        ),
        (
            "readlink",
            operation!(|w, s| {
                let ino = w.walk("link").await?;
                s.begins();
                w.fs.readlink(ino).await?
            }),
            ASK,
        ),
        (
            "getxattr",
            operation!(|w, s| {
                let ino = w.walk("f").await?;
                much_later().await;
                s.begins();
                w.fs.getxattr(ino, OsStr::new("user.a")).await?
            }),
            ASK,
        ),
        (
            "create",
            operation!(|w, s| {
                s.begins();
                w.create("new").await?
            }),
            ASK,
        ),
        (
            "create and close of a small file",
            operation!(|w, s| {
                let handle = written(&w, "new", 5).await?;
                s.begins();
                w.close(handle).await?
            }),
            CLOSE,
        ),
        (
            "close of an empty file",
            operation!(|w, s| {
                let handle = written(&w, "new", 0).await?;
                s.begins();
                w.close(handle).await?
            }),
            CLOSE,
        ),
        (
            "close of one that replaces",
            operation!(|w, s| {
                let handle = w.open("f", REPLACE).await?;
                w.write_at(handle, 0, b"replaced").await?;
                s.begins();
                w.close(handle).await?
            }),
            CLOSE,
        ),
        (
            "write of more than fits into memory",
            operation!(|w, s| {
                let handle = written(&w, "new", 5).await?;
                s.begins();
                w.write_at(handle, 5, &pattern(2, 16 << 20)).await?
            }),
            CLOSE,
        ),
        (
            "close of parts",
            operation!(|w, s| {
                let handle = written(&w, "new", 3 * MIB).await?;
                s.begins();
                close_whole(&w, handle, "new", &pattern(1, 3 << 20)).await?
            }),
            CLOSE,
        ),
        (
            "fsync",
            operation!(|w, s| {
                let handle = written(&w, "new", 3 * MIB).await?;
                s.begins();
                w.fs.fsync(handle).await?;
                close_whole(&w, handle, "new", &pattern(1, 3 << 20)).await?
            }),
            CLOSE,
        ),
        (
            "write into the middle, and close",
            operation!(|w, s| {
                let handle = w.open("big", WRITE).await?;
                s.begins();
                w.write_at(handle, 5, b"changed").await?;
                w.close(handle).await?
            }),
            CLOSE,
        ),
        (
            "write into a small object, and close",
            operation!(|w, s| {
                let handle = w.open("f", WRITE).await?;
                s.begins();
                w.write_at(handle, 2, b"changed").await?;
                w.close(handle).await?
            }),
            CLOSE,
        ),
        (
            "append, and close",
            operation!(|w, s| {
                let handle = w.open("big", WRITE).await?;
                s.begins();
                w.write_at(handle, 3 * MIB, b"added").await?;
                w.close(handle).await?
            }),
            CLOSE,
        ),
        (
            "read of what is being changed",
            operation!(|w, s| {
                let handle = w.open("big", WRITE).await?;
                w.write_at(handle, 5, b"changed").await?;
                s.begins();
                w.read_handle(handle, 65536).await?
            }),
            ASK,
        ),
        (
            "unlink",
            operation!(|w, s| {
                let (parent, name) = w.place("dir/a").await?;
                s.begins();
                w.fs.unlink(parent, name).await?
            }),
            ASK,
        ),
        (
            "mkdir",
            operation!(|w, s| {
                s.begins();
                w.fs.mkdir(InodeNo::ROOT, OsStr::new("made"), MAKER).await?
            }),
            CLOSE,
        ),
        (
            "symlink",
            operation!(|w, s| {
                s.begins();
                let (name, target) = (OsStr::new("to"), OsStr::new("f"));
                w.fs.symlink(InodeNo::ROOT, name, target, MAKER).await?
            }),
            CLOSE,
        ),
        (
            "mknod",
            operation!(|w, s| {
                s.begins();
                w.fs.make_file(InodeNo::ROOT, OsStr::new("made"), MAKER).await?
            }),
            CLOSE,
        ),
        (
            "rmdir",
            operation!(|w, s| {
                s.begins();
                w.fs.rmdir(InodeNo::ROOT, OsStr::new("empty")).await?
            }),
            ASK,
        ),
        (
            "rename",
            operation!(|w, s| {
                s.begins();
                let (from, to) = (OsStr::new("f"), OsStr::new("g"));
                w.fs.rename((InodeNo::ROOT, from), (InodeNo::ROOT, to), RenameFlags::default())
                    .await?
            }),
            CLOSE,
        ),
        (
            "rename of an open file",
            operation!(|w, s| {
                written(&w, "new", 3 * MIB).await?;
                s.begins();
                let (from, to) = (OsStr::new("new"), OsStr::new("f"));
                w.fs.rename((InodeNo::ROOT, from), (InodeNo::ROOT, to), RenameFlags::default())
                    .await?
            }),
            CLOSE,
        ),
        (
            "rename of a directory",
            operation!(|w, s| {
                s.begins();
                let (from, to) = (OsStr::new("dir"), OsStr::new("moved"));
                w.fs.rename((InodeNo::ROOT, from), (InodeNo::ROOT, to), RenameFlags::default())
                    .await?
            }),
            CLOSE,
        ),
        (
            "rename of a directory of many",
            operation!(|w, s| {
                make_many(&w).await?;
                w.fs.readdir(w.fs.opendir(InodeNo::ROOT)?, 0, true).await?;
                s.begins();
                let (from, to) = (OsStr::new("many"), OsStr::new("moved"));
                w.fs.rename((InodeNo::ROOT, from), (InodeNo::ROOT, to), RenameFlags::default())
                    .await?
            }),
            CLOSE,
        ),
        (
            "chmod, and fsync",
            operation!(|w, s| {
                let (ino, handle) = (w.walk("f").await?, w.open("f", READ).await?);
                much_later().await;
                s.begins();
                w.fs.setattr(ino, None, CHMOD).await?;
                w.fs.fsync(handle).await?
            }),
            CLOSE,
        ),
        (
            "setxattr, and fsync",
            operation!(|w, s| {
                let (ino, handle) = (w.walk("f").await?, w.open("f", READ).await?);
                much_later().await;
                s.begins();
                let name = OsStr::new("user.a");
                w.fs.setxattr(ino, name, b"value", SetXattr::default()).await?;
                w.fs.fsync(handle).await?
            }),
            CLOSE,
        ),
        (
            "truncate",
            operation!(|w, s| {
                let ino = w.walk("big").await?;
                s.begins();
                w.fs.setattr(ino, None, CUT).await?
            }),
            CLOSE,
        ),
        (
            "truncate of an open file",
            operation!(|w, s| {
                let ino = w.walk("big").await?;
                let handle = w.open("big", WRITE).await?;
                s.begins();
                w.fs.setattr(ino, Some(handle), CUT).await?;
                w.close(handle).await?
            }),
            CLOSE,
        ),
        (
            "copy_file_range, and close",
            operation!(|w, s| {
                let (from, (_, to)) = (w.open("big", READ).await?, w.create("copy").await?);
                s.begins();
                w.copy((from, 0), (to, 0), 3 * MIB).await?;
                w.close(to).await?
            }),
            CLOSE,
        ),
    ]
}
