//! flush, fsync, and the commit: the moment at which written bytes become the object.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;

use crate::crash;
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::handle::{FileHandle, Handle, HandleNo};
use crate::fs::holders::Holding;
use crate::fs::inode::{Inode, Object};
use crate::fs::{FileSystem, OnWriterKilled, xattr};
use crate::store::Key;
use crate::write::Committed;

/// How long a close that has published everything waits to be told the time of the object.
const TIME_PATIENCE: Duration = Duration::from_secs(10);

impl FileSystem {
    /// [`flush`](Self::flush), when there is nothing to publish.
    pub fn try_flush(&self, handle: HandleNo) -> Option<FsResult<()>> {
        let handle = match self.handles.get(handle) {
            Ok(handle) => handle,
            Err(error) => return Some(Err(error)),
        };
        let Handle::File(file) = &*handle else { return Some(Ok(())) };
        if let Some(failure) = known_failure(file) {
            return Some(Err(failure));
        }
        let state = file.inode().state();
        let nothing = !file.writes
            || state.unlinked
            || state.writer.as_ref().is_none_or(|writer| !writer.is_dirty());
        nothing.then_some(Ok(()))
    }

    /// What `close()` waits for: publishes the file, if this was the close that ends the writing.
    /// That is so when neither the closing process nor the one that opened the handle has the file
    /// open any more, so that redirections, subshells, `dup` and `fork` cost one commit each. An
    /// error is the result of `close()`.
    ///
    /// A closer that was killed publishes nothing. What becomes of the file is decided by who has it
    /// open the longest, when that one's handle is released.
    pub async fn flush(self: &Arc<Self>, handle: HandleNo, closer: u32) -> FsResult<()> {
        crash::point("flush.begin");
        let handle = self.handles.get(handle)?;
        let file = handle.file()?;
        let killed =
            self.config.on_writer_killed == OnWriterKilled::KeepOld && self.eyes.was_killed(closer);
        file.killed.store(killed, Ordering::Relaxed);
        if killed {
            debug!(ino = file.inode().ino.0, closer, "the closer was killed; not published");
            return Ok(());
        }
        if !self.ends_the_writing(file, closer) {
            debug!(ino = file.inode().ino.0, closer, "still open elsewhere; not published yet");
            return Ok(());
        }
        let committed = self.commit(file.inode()).await;
        if committed.is_err() {
            file.inode().state().failure_reported = true;
        }
        committed
    }

    fn ends_the_writing(&self, file: &FileHandle, closer: u32) -> bool {
        let ino = file.inode().ino;
        match self.eyes.holding(closer, ino) {
            Holding::Open => false,
            Holding::NotOpen if file.opener == closer => true,
            Holding::NotOpen => match self.eyes.holding(file.opener, ino) {
                Holding::Open => false,
                Holding::NotOpen => true,
                Holding::Unknown => file.wrote.load(Ordering::Relaxed),
            },
            // Nothing can be seen: the one who opened and wrote it is believed to be done with it.
            Holding::Unknown => {
                self.eyes.process_of(closer) == file.opener && file.wrote.load(Ordering::Relaxed)
            }
        }
    }

    /// Publishes everything written so far, and stores changed attributes, whoever has the file open.
    pub async fn fsync(self: &Arc<Self>, handle: HandleNo) -> FsResult<()> {
        let handle = self.handles.get(handle)?;
        let Handle::File(file) = &*handle else { return Ok(()) };
        // Also where the first write failed, so that there is nothing to publish.
        if let Some(failure) = known_failure(file) {
            return Err(failure);
        }
        let committed = self.commit(file.inode()).await;
        if committed.is_err() {
            file.inode().state().failure_reported = true;
        }
        committed?;
        self.settle(file.inode()).await
    }

    /// From now on [`allocate`](Self::allocate) and [`copy_range`](Self::copy_range) publish what they
    /// change through this handle before they return. Writes tell it themselves, each time.
    pub fn publish_each_change(&self, handle: HandleNo) {
        if let Ok(handle) = self.handles.get(handle)
            && let Handle::File(file) = &*handle
        {
            file.durable.store(true, Ordering::Relaxed);
        }
    }

    /// The end of a call that has changed a range through a handle.
    pub(in crate::fs) async fn changed_through(
        self: &Arc<Self>,
        handle: HandleNo,
        file: &FileHandle,
    ) -> FsResult<()> {
        if file.durable.load(Ordering::Relaxed) { self.fsync(handle).await } else { Ok(()) }
    }

    /// Stores a directory's attributes; its entries are durable as soon as they are made.
    pub async fn fsync_directory(self: &Arc<Self>, handle: HandleNo) -> FsResult<()> {
        let handle = self.handles.get(handle)?;
        let directory = handle.directory()?;
        self.settle_where_it_is(directory.pin.inode()).await
    }

    /// Makes the bucket hold what was written to an inode. Nothing to do is success. Safe to repeat; a
    /// failure is final for the writer and repeated to every later caller.
    pub(in crate::fs) async fn commit(self: &Arc<Self>, inode: &Arc<Inode>) -> FsResult<()> {
        let _turn = self.turn_of(inode).await;
        self.commit_in_turn(inode).await
    }

    /// [`commit`](Self::commit) for who already has the inode's turn.
    pub(in crate::fs) async fn commit_in_turn(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
    ) -> FsResult<()> {
        let idle = {
            let state = inode.state();
            let dirty = state.writer.as_ref().is_some_and(|writer| writer.is_dirty());
            state.unlinked || state.left || !(dirty || state.has_news())
        };
        if idle {
            return Ok(());
        }
        let path = self.inodes.path(inode.ino).ok_or(Meaning::Stale)?;
        self.commit_at(inode, &path.file_key(self.store.limits())?).await
    }

    /// [`commit_in_turn`](Self::commit_in_turn) of a writer that publishes at `key`.
    pub(in crate::fs) async fn commit_at(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
        key: &Key,
    ) -> FsResult<()> {
        let (writer, options, mtime) = {
            let state = inode.state();
            let Some(writer) = state.writer.clone() else { return Ok(()) };
            // The time of a copy is no reason to make an object that can be appended to a copy.
            let with_mtime = !writer.is_appending();
            let options = state.put_options(inode, with_mtime);
            (writer, options, state.attr.mtime)
        };
        let borrowed = self.loans.of_borrower(inode.ino);
        let committed = writer.commit(options).await;
        // Published or failed for good: it rests on nothing any more.
        self.loans.end(&borrowed);
        let committed = committed.map_err(FsError::from)?;
        self.is_heard(key.as_str());
        // An upload was initiated before the last write, so its metadata cannot tell when that was:
        // the service's own time does.
        let info = if committed.options_sent.metadata.get("mtime").is_none() {
            timeout(TIME_PATIENCE, self.store.head(key)).await.ok().and_then(Result::ok)
        } else {
            None
        };
        let info = info.filter(|info| info.version == committed.version);
        let pending = {
            let mut state = inode.state();
            state.commits += 1;
            state.not_stored = None;
            state.taken = committed.publication;
            state.checked = Some(tokio::time::Instant::now());
            if let Some(info) = &info
                && !state.mtime_set
                && state.attr.mtime == mtime
            {
                state.attr.mtime = info.last_modified;
            }
            let Committed { version, checksum, mut options_sent, appended, appendable, .. } =
                committed;
            if appended && let Some(before) = &state.object {
                options_sent.metadata = before.metadata.clone().unwrap_or_default();
                options_sent.headers = before.headers.clone();
                options_sent.storage_class = before.storage_class.clone();
            }
            let version_id = info.as_ref().and_then(|info| info.version_id.clone());
            let object = Object {
                version,
                checksum,
                last_modified: info.as_ref().map(|info| info.last_modified),
                metadata: Some(options_sent.metadata),
                headers: options_sent.headers,
                // The mount's own choice for new objects is not among what was sent from here.
                storage_class: match &info {
                    Some(info) => info.storage_class.clone(),
                    None => options_sent.storage_class,
                },
                version_id,
                appendable,
                asked: tokio::time::Instant::now(),
            };
            self.known.put(key.as_str(), &object);
            state.object = Some(object);
            // Attributes that were changed after the upload had been initiated follow by a copy.
            let wanted = state.put_options(inode, false).metadata;
            let stored = state.object.as_ref().and_then(|object| object.metadata.as_ref());
            let differ = stored.is_some_and(|stored| {
                let names = ["mode", "uid", "gid", xattr::ENTRY];
                names.iter().any(|name| stored.get(name) != wanted.get(name))
                    || state.mtime_set && stored.get("mtime") != wanted.get("mtime")
            });
            state.attr_pending = differ;
            differ
        };
        if pending {
            self.settle_later(inode);
        }
        Ok(())
    }
}

/// What has gone wrong with what is written through a handle, and is told now.
fn known_failure(file: &FileHandle) -> Option<FsError> {
    let mut state = file.inode().state();
    let failure = state.writer.as_ref().filter(|_| file.writes && !state.unlinked)?.failure()?;
    state.failure_reported = true;
    Some(failure.into())
}
