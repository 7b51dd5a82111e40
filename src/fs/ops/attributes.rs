//! setattr: sizes, modes, owners, times. And readlink, statfs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::fs::attr::{Kind, SetAttr};
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::handle::{Handle, HandleNo};
use crate::fs::inode::{Inode, InodeNo};
use crate::fs::ops::lookup::Entry;
use crate::fs::{FileSystem, control};
use crate::store::{ByteRange, Conditions};

/// The longest target of a symbolic link (`PATH_MAX`, with its final NUL), in bytes.
pub(in crate::fs) const TARGET_BYTES: u64 = 4095;

impl FileSystem {
    /// Changes size, mode, owner or times. Size is content: of an open file it is published with the
    /// next commit, of a closed one at once. The rest is metadata: seen at once, stored with the next
    /// commit or, for a closed file, after the settle delay.
    pub async fn setattr(
        self: &Arc<Self>,
        ino: InodeNo,
        handle: Option<HandleNo>,
        changes: SetAttr,
    ) -> FsResult<Entry> {
        self.check_changeable(ino)?;
        if control::is_control(ino) {
            return Err(Meaning::NotPermitted.into());
        }
        let inode = self.inode(ino)?;
        let open_here = handle.is_some_and(|handle| {
            self.handles.get(handle).is_ok_and(|open| matches!(&*open, Handle::File(f) if f.writes))
        });
        // Others' metadata is kept when ours is changed, so it must be known.
        let ttl = if open_here { self.ttl() } else { self.ttl().min(Duration::from_secs(1)) };
        self.revalidate(&inode, ttl).await?;
        self.refuse_marker(&inode)?;
        if let Some(size) = changes.size {
            if inode.kind != Kind::File {
                return Err(Meaning::IsDirectory.into());
            }
            match handle.filter(|_| open_here) {
                Some(handle) => {
                    self.truncate(&inode, size).await?;
                    self.mark_written(handle)?;
                }
                None => self.truncate_without_handle(&inode, size).await?,
            }
        }
        self.change_attributes(&inode, &changes);
        Ok(self.entry(&inode))
    }

    /// Sets the length of a file; published by the next commit.
    pub(in crate::fs) async fn truncate(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
        size: u64,
    ) -> FsResult<()> {
        self.repay(inode).await;
        let writer = self.writer(inode)?;
        writer.truncate(size).await?;
        let now = self.clock.now();
        let mut state = inode.state();
        state.attr.mtime = now;
        state.attr.ctime = now;
        state.mtime_set = false;
        Ok(())
    }

    /// `truncate(2)`: published when this returns; but where others have the file open for writing,
    /// by their commit, because what they wrote so far is not ours to publish.
    async fn truncate_without_handle(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
        size: u64,
    ) -> FsResult<()> {
        self.finish_ending(inode).await;
        let hold = self.hold_writer(inode);
        inode.until_moved().await;
        let done = async {
            self.truncate(inode, size).await?;
            let others = inode.state().open_writers > 1;
            if others { Ok(()) } else { self.commit(inode).await }
        }
        .await;
        hold.end(done.is_err()).await;
        done
    }

    fn change_attributes(self: &Arc<Self>, inode: &Arc<Inode>, changes: &SetAttr) {
        if *changes == (SetAttr { size: changes.size, ..SetAttr::default() }) {
            return;
        }
        let later = {
            let mut state = inode.state();
            let before = state.attr.clone();
            state.attr.apply(inode.kind, changes, self.clock.now());
            if changes.mtime.is_some() {
                state.mtime_set = true;
                state.names_time = None;
            }
            let same = state.attr.permissions == before.permissions
                && (state.attr.uid, state.attr.gid) == (before.uid, before.gid)
                && state.attr.mtime == before.mtime;
            match &state.writer {
                Some(writer) if writer.is_dirty() => {
                    writer.set_options(state.put_options(inode, false));
                    false
                }
                _ => !same && !state.unlinked,
            }
        };
        if later && inode.ino != InodeNo::ROOT {
            self.settle_later(inode);
        }
    }

    /// The target of a symbolic link: the content of its object.
    pub async fn readlink(&self, ino: InodeNo) -> FsResult<Arc<str>> {
        let inode = self.inode(ino)?;
        if inode.kind != Kind::Symlink {
            return Err(Meaning::Invalid.into());
        }
        self.revalidate(&inode, self.ttl()).await?;
        let version = {
            let state = inode.state();
            if let Some(target) = &state.target {
                return Ok(Arc::clone(target));
            }
            state.object.as_ref().map(|object| object.version.clone())
        };
        let version = version.filter(|version| (1..=TARGET_BYTES).contains(&version.size));
        let version = version.ok_or_else(|| {
            FsError::with_detail(Meaning::Io, "the target of a symbolic link has 1 to 4095 bytes")
        })?;
        let path = self.inodes.path(ino).ok_or(Meaning::Stale)?;
        let key = path.file_key(self.store.limits())?;
        let range = ByteRange::new(0, version.size);
        let content = self.store.get(&key, range, &Conditions::matching(&version.etag)).await?;
        let bytes: Vec<u8> =
            content.chunks.iter().flat_map(|chunk| chunk.iter().copied()).collect();
        let target = String::from_utf8(bytes).ok().filter(|target| !target.contains('\0'));
        let target: Arc<str> = target
            .ok_or_else(|| FsError::with_detail(Meaning::Io, "the target is not a path"))?
            .into();
        inode.state().target = Some(Arc::clone(&target));
        Ok(target)
    }
}

/// What statfs tells: a bucket has no size, so large numbers with which programs that look for free
/// space or free inodes go on. They are powers of two that fit signed 64-bit arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes of one block.
    pub block_bytes: u32,
    /// Blocks in all, and free.
    pub blocks: u64,
    /// Inodes in all, and free.
    pub inodes: u64,
    /// Longest name, in bytes.
    pub name_bytes: u32,
}

impl Space {
    /// The same for every bucket: 1 EiB.
    pub const BUCKET: Self =
        Self { block_bytes: 4096, blocks: 1 << 48, inodes: 1 << 40, name_bytes: 255 };
}

/// A time the kernel asked to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// Exactly this.
    At(SystemTime),
    /// The time of the request.
    Now,
}

impl FileSystem {
    /// Turns a request for "now" into a time.
    pub fn time_of(&self, time: SetTime) -> SystemTime {
        match time {
            SetTime::At(time) => time,
            SetTime::Now => self.clock.now(),
        }
    }
}
