//! What programs do while the service breaks its word, and what they were told.

use std::ffi::OsStr;
use std::sync::Arc;

use futures_util::future::join_all;
use partfs::fs::ops::rename::RenameFlags;
use partfs::fs::{FsResult, InodeNo, OpenMode};
use partfs::store::Replaces;
use partfs::store::memory::{MemoryBucket, Properties};

use super::oracle::bytes;
use super::runner::PART;
use crate::world::fs::World;
use crate::world::key;

/// Version of what is in the bucket before.
const OLD: u64 = 1;
/// Version of what is written.
const NEW: u64 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    Empty,
    OneByte,
    Tiny,
    LessThanAPart,
    OnePart,
    MoreThanAPart,
    ThreeParts,
    Overwrite,
    OverwriteSmall,
    Append,
    Edit,
    Sixteen,
    RenameIntoPlace,
    Read,
    List,
}

pub const ALL: [Workload; 15] = [
    Workload::Empty,
    Workload::OneByte,
    Workload::Tiny,
    Workload::LessThanAPart,
    Workload::OnePart,
    Workload::MoreThanAPart,
    Workload::ThreeParts,
    Workload::Overwrite,
    Workload::OverwriteSmall,
    Workload::Append,
    Workload::Edit,
    Workload::Sixteen,
    Workload::RenameIntoPlace,
    Workload::Read,
    Workload::List,
];

/// One key: what it held, what it is to hold, and what the program was told.
#[derive(Debug)]
pub struct Outcome {
    pub key: String,
    pub old: Option<Vec<u8>>,
    pub new: Option<Vec<u8>>,
    pub told: FsResult<()>,
    /// Bytes or names were given to the program that are not there.
    pub lie: Option<String>,
    /// The new content was confirmed under one of the names, so one of them must hold it.
    pub kept_somewhere: bool,
}

impl Workload {
    /// What is in the bucket before, by key.
    fn before(self) -> Vec<(String, Vec<u8>)> {
        let one = |len| vec![("f".to_owned(), bytes(OLD, 0, len))];
        match self {
            Self::Overwrite => one(2 * PART + 100),
            Self::OverwriteSmall => one(500),
            Self::Append => one(3 * PART + 50),
            Self::Edit | Self::Read => one(5 * PART + 33),
            Self::RenameIntoPlace => one(PART + 9),
            Self::List => {
                let names = (0..7).map(|n| format!("d/f{n}"));
                names.map(|name| (name, bytes(OLD, 0, 10))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Fills the bucket without a request.
    pub async fn prepare(self, bucket: &Arc<MemoryBucket>) {
        for (name, content) in self.before() {
            let mut incoming = bucket.incoming(true).await.unwrap();
            incoming.push(content.into()).await.unwrap();
            let body = incoming.finish().await.unwrap();
            let (properties, replaces) = (Properties::default(), Replaces::Anything);
            bucket.put(&key(&name), body, properties, replaces).await.unwrap();
        }
    }

    pub async fn run(self, world: &World) -> Vec<Outcome> {
        let old = self.before().into_iter().next().map(|(_, content)| content);
        let one = |len: usize| create(world, "f".to_owned(), len, old.clone());
        match self {
            Self::Empty => vec![one(0).await],
            Self::OneByte => vec![one(1).await],
            Self::Tiny => vec![one(4096).await],
            Self::LessThanAPart => vec![one(PART - 1).await],
            Self::OnePart => vec![one(PART).await],
            Self::MoreThanAPart => vec![one(PART + 1).await],
            Self::ThreeParts | Self::Overwrite => vec![one(3 * PART + 7).await],
            Self::OverwriteSmall => vec![one(700).await],
            Self::Append => {
                let at = 3 * PART + 50;
                vec![change(world, old.unwrap_or_default(), at, at + PART + 5).await]
            }
            Self::Edit => {
                let at = 2 * PART + 1000;
                vec![change(world, old.unwrap_or_default(), at, at + 100).await]
            }
            Self::Sixteen => {
                let files = (0..16).map(|n| create(world, format!("f{n}"), 2 * PART + n, None));
                join_all(files).await
            }
            Self::RenameIntoPlace => rename(world, old).await,
            Self::Read => vec![read(world, old.unwrap_or_default()).await],
            Self::List => vec![list(world).await],
        }
    }
}

/// As `cp`: in calls of 4 KiB, which go on after none that failed.
async fn create(world: &World, name: String, len: usize, old: Option<Vec<u8>>) -> Outcome {
    let content = bytes(NEW, 0, len);
    let told = world_put(world, &name, &content).await;
    Outcome { key: name, old, new: Some(content), told, lie: None, kept_somewhere: false }
}

async fn world_put(world: &World, name: &str, content: &[u8]) -> FsResult<()> {
    let handle = match world.walk(name).await {
        Ok(_) => world.open(name, OpenMode { write: true, truncate: true }).await?,
        Err(_) => world.create(name).await?.1,
    };
    let mut written = Ok(());
    for (index, piece) in content.chunks(4096).enumerate() {
        written = world.write_at(handle, index as u64 * 4096, piece).await;
        if written.is_err() {
            break;
        }
    }
    let closed = world.close(handle).await;
    written.and(closed)
}

/// Opens the file and writes the new version of these bytes over it.
async fn change(world: &World, old: Vec<u8>, start: usize, end: usize) -> Outcome {
    let mut new = old.clone();
    new.truncate(start);
    new.extend(bytes(NEW, start, end));
    new.extend_from_slice(old.get(end..).unwrap_or_default());
    let told = async {
        let handle = world.open("f", OpenMode { write: true, truncate: false }).await?;
        let written = world.write_at(handle, start as u64, &new[start..end]).await;
        let closed = world.close(handle).await;
        written.and(closed)
    };
    let told = told.await;
    Outcome {
        key: "f".to_owned(),
        old: Some(old),
        new: Some(new),
        told,
        lie: None,
        kept_somewhere: false,
    }
}

/// As editors and rsync: writes beside, and renames over.
async fn rename(world: &World, old: Option<Vec<u8>>) -> Vec<Outcome> {
    let beside = create(world, "f.tmp".to_owned(), 3 * PART + 7, None).await;
    let content = beside.new.clone();
    let told = match &beside.told {
        Ok(()) => {
            let (from, to) = (OsStr::new("f.tmp"), OsStr::new("f"));
            let (root, flags) = (InodeNo::ROOT, RenameFlags::default());
            world.fs.rename((root, from), (root, to), flags).await
        }
        Err(error) => Err(error.clone()),
    };
    // Once renamed, the old name is gone; after an error it may be there, or gone already.
    let kept_somewhere = beside.told.is_ok();
    let target = Outcome {
        key: "f".to_owned(),
        old,
        new: content.clone(),
        told: told.clone(),
        lie: None,
        kept_somewhere,
    };
    let source = match told.is_ok() {
        true => Outcome { old: content, new: None, told, ..beside },
        false => Outcome { told, ..beside },
    };
    vec![target, source]
}

/// As `cat`.
async fn read(world: &World, old: Vec<u8>) -> Outcome {
    let found = world.read_all("f", 4096).await;
    let lie = found.as_ref().ok().filter(|found| **found != old);
    let lie = lie.map(|found| format!("{:?}", super::oracle::Holds::of(Some(found), None, None)));
    let content = Some(old);
    let told = found.map(drop);
    Outcome {
        key: "f".to_owned(),
        old: content.clone(),
        new: content,
        told,
        lie,
        kept_somewhere: false,
    }
}

/// As `ls`.
async fn list(world: &World) -> Outcome {
    let names = async {
        let directory = world.walk("d").await?;
        world.fs.list_names(directory).await
    };
    let names = names.await;
    let lie = names.as_ref().ok().filter(|names| names.len() != 7);
    let lie = lie.map(|names| format!("{names:?}"));
    let content = Some(bytes(OLD, 0, 10));
    let told = names.map(drop);
    Outcome {
        key: "d/f0".to_owned(),
        old: content.clone(),
        new: content,
        told,
        lie,
        kept_somewhere: false,
    }
}
