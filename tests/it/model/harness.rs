//! Runs operations on a file system over a bucket in memory, as the kernel would, and on the reference, and
//! compares: every answer, the bucket after every operation, and the tree as closely as asked. The operations
//! themselves are in `files` and `names`, the looks at the tree in `looks`.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use partfs::clock::Clock;
use partfs::fs::ops::create::Maker;
use partfs::fs::{Entry as Shown, FsResult, HandleNo, InodeNo, Meaning};
use partfs::store::Limits;
use partfs::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore};
use tokio::time::Instant;

use super::ops::{Look, Op, PART, Step};
use super::paths::parent;
use super::reference::{Reference, Verdict};
use crate::world::fs::World;
use crate::world::{key, keys, object};

/// Longer than a mount of these tests believes anything.
pub(super) const BELIEF: Duration = Duration::from_secs(61);
/// Longer than an open trusts an answer, and attributes wait to be stored.
const BETWEEN: Duration = Duration::from_millis(100);

pub(super) const MODE: u32 = 0o640;
pub(super) const MAKER: Maker = Maker { uid: 1, gid: 2, pid: 0, mode: MODE };

/// Time that passes only when everybody waits for it.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(2_000_000_000) + self.0.elapsed()
    }
}

/// What went wrong, and where.
pub type Checked<T = ()> = Result<T, String>;

/// Both worlds.
pub(super) struct Harness {
    pub(super) world: World,
    pub(super) limits: Limits,
    pub(super) reference: Reference<HandleNo>,
    /// Lookups that were counted for the kernel.
    pub(super) lookups: HashMap<InodeNo, u64>,
    /// So many operations were run; makes their bytes differ.
    pub(super) ran: u64,
}

/// Runs a sequence on a new bucket of a service with these limits.
pub async fn run(steps: &[Step], limits: &Limits) -> Checked {
    let mut harness = Harness::new(limits.clone());
    for (number, (op, look)) in steps.iter().enumerate() {
        let at = |problem| format!("step {number}, {op:?}: {problem}");
        harness.step(op).await.map_err(at)?;
        harness.look(*look).await.map_err(at)?;
    }
    harness.finish().await.map_err(|problem| format!("at the end: {problem}"))
}

fn mount(bucket: &Arc<MemoryBucket>, limits: &Limits) -> World {
    let store = MemoryStore::new(Arc::clone(bucket), limits.clone());
    World::on(Arc::clone(bucket), Arc::new(store), PART, 32)
}

/// The answer and the verdict are the same.
pub(super) fn agree<T>(what: &FsResult<T>, verdict: &Verdict) -> Checked {
    let agree = match (what, verdict) {
        (Ok(_), Verdict::Done | Verdict::DoneOrStale) => true,
        (Err(error), Verdict::Refused(meaning)) => error.meaning() == *meaning,
        (Err(error), Verdict::DoneOrStale) => error.meaning() == Meaning::Stale,
        (Err(_), Verdict::AnyError) => true,
        (Ok(_), Verdict::Refused(_) | Verdict::AnyError) | (Err(_), Verdict::Done) => false,
    };
    let answer = what.as_ref().map(|_| ()).map_err(ToString::to_string);
    if agree { Ok(()) } else { Err(format!("the answer is {answer:?}, expected {verdict:?}")) }
}

impl Harness {
    pub(super) fn new(limits: Limits) -> Self {
        let clock = Arc::new(PausedClock(Instant::now()));
        let bucket = MemoryBucket::new(BucketOptions::new(EtagMode::Md5, clock));
        let world = mount(&bucket, &limits);
        Self { world, limits, reference: Reference::new(), lookups: HashMap::new(), ran: 0 }
    }

    pub(super) async fn step(&mut self, op: &Op) -> Checked {
        self.ran += 1;
        match op {
            Op::Create { path, exclusive, truncate } => {
                self.create(path, *exclusive, *truncate).await?;
            }
            Op::Open { path, write, truncate } => self.open(path, *write, *truncate).await?,
            Op::Write { handle, at, len } => self.write(*handle, Some(*at), *len).await?,
            Op::Append { handle, len } => self.write(*handle, None, *len).await?,
            Op::Read { handle, at, len } => self.read(*handle, *at, *len).await?,
            Op::Cut { handle, size } => self.cut(*handle, *size).await?,
            Op::CutPath { path, size } => self.cut_path(path, *size).await?,
            Op::Flush { handle } => {
                if let Some(handle) = self.pick(*handle, false) {
                    self.flush(handle).await?;
                }
            }
            Op::Fsync { handle } => self.fsync(*handle).await?,
            Op::Close { handle } => {
                if let Some(handle) = self.pick(*handle, false) {
                    self.flush(handle).await?;
                    self.world.fs.release(self.reference.release(handle));
                }
            }
            Op::Release { handle } => {
                if let Some(handle) = self.pick(*handle, false) {
                    self.world.fs.release(self.reference.release(handle));
                }
            }
            Op::Mkdir { path } => self.mkdir(path).await?,
            Op::Rmdir { path } => self.rmdir(path).await?,
            Op::Unlink { path } => self.unlink(path).await?,
            Op::Symlink { path } => self.symlink(path).await?,
            Op::Rename { from, to, no_replace } => self.rename(from, to, *no_replace).await?,
            Op::Chmod { path, mode } => self.set_attributes(path, Some(*mode), None).await?,
            Op::SetTime { path, seconds } => {
                self.set_attributes(path, None, Some(*seconds)).await?;
            }
            Op::RemotePut { key, len } => self.remote_put(key, *len).await,
            Op::RemoteDelete { which } => self.remote_delete(*which).await,
            Op::Forget => self.forget(),
            Op::Wait => tokio::time::sleep(BELIEF).await,
            Op::Remount => self.remount().await?,
        }
        // Whatever is done in the background is done now: time moves when nobody has work.
        tokio::time::sleep(BETWEEN).await;
        self.compare_bucket().await
    }

    /// The number of a handle of the reference.
    pub(super) fn pick(&self, which: u8, write: bool) -> Option<usize> {
        let handles = self.reference.handles.iter().enumerate();
        let usable: Vec<_> = handles.filter(|(_, handle)| handle.write || !write).collect();
        let count = usable.len();
        (count > 0).then(|| usable[usize::from(which) % count].0)
    }

    pub(super) async fn lookup(&mut self, parent: InodeNo, name: &str) -> FsResult<Shown> {
        let name = OsStr::new(name);
        let found = match self.world.fs.try_lookup(parent, name) {
            Some(found) => found,
            None => self.world.fs.lookup(parent, name).await,
        };
        if let Ok(entry) = &found {
            *self.lookups.entry(entry.ino).or_default() += 1;
        }
        found
    }

    pub(super) async fn walk(&mut self, path: &str) -> FsResult<InodeNo> {
        let mut at = InodeNo::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = self.lookup(at, name).await?.ino;
        }
        Ok(at)
    }

    pub(super) async fn place<'p>(&mut self, path: &'p str) -> FsResult<(InodeNo, &'p OsStr)> {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        Ok((self.walk(parent(path)).await?, OsStr::new(name)))
    }

    pub(super) fn forget(&mut self) {
        for (ino, count) in self.lookups.drain() {
            self.world.fs.forget(ino, count);
        }
        self.reference.removed.clear();
    }

    pub(super) async fn close_all(&mut self) -> Checked {
        while !self.reference.handles.is_empty() {
            self.flush(0).await?;
            self.world.fs.release(self.reference.release(0));
            tokio::time::sleep(BETWEEN).await;
        }
        Ok(())
    }

    pub(super) async fn remount(&mut self) -> Checked {
        self.close_all().await?;
        let report = self.world.fs.drain(Duration::from_secs(60)).await;
        if !report.lost.is_empty() || report.timed_out {
            return Err(format!("the unmount lost something: {report:?}"));
        }
        self.lookups.clear();
        self.world = mount(&self.world.bucket, &self.limits);
        Ok(())
    }

    pub(super) async fn compare_bucket(&mut self) -> Checked {
        let mut bucket = BTreeMap::new();
        for text in keys(&self.world.bucket) {
            let bytes = object(&self.world.bucket, &text).await.unwrap_or_default();
            bucket.insert(text, bytes);
        }
        self.reference.compare(&bucket)?;
        let markers = bucket.into_keys().filter(|text| text.ends_with('/'));
        let modes = markers.filter_map(|text| {
            let object = self.world.bucket.head(&key(&text)).ok()?;
            let mode: u32 = object.properties.metadata.get("mode")?.parse().ok()?;
            Some((text, mode & 0o777))
        });
        self.reference.marker_modes = modes.collect();
        Ok(())
    }

    pub(super) async fn finish(&mut self) -> Checked {
        self.look(Look::Lookups).await?;
        self.close_all().await?;
        self.compare_bucket().await?;
        for look in [Look::Attributes, Look::Contents] {
            self.look(look).await?;
        }
        self.forget();
        let left = format!("{:?}", self.world.fs);
        if !left.contains(" 1 inodes") {
            return Err(format!("inodes are left after everything was forgotten: {left}"));
        }
        self.remount().await?;
        self.compare_bucket().await?;
        self.look(Look::Lookups).await?;
        self.look(Look::Contents).await
    }
}
