//! open and release: handles come and go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{error, warn};

use crate::crash;
use crate::fs::attr::Kind;
use crate::fs::control::uploads;
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::handle::{FileHandle, Handle, HandleNo};
use crate::fs::inode::{Inode, InodeNo, State};
use crate::fs::inodes::Pin;
use crate::fs::{FileSystem, OnWriterKilled, control};
use crate::panics;
use crate::write::FileWriter;

/// A confirmation by the bucket that is at most this old counts as made by the open itself: opening a
/// path is a lookup followed by an open.
const OPEN_CHECK: Duration = Duration::from_millis(50);

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenMode {
    /// O_WRONLY or O_RDWR.
    pub write: bool,
    /// O_TRUNC.
    pub truncate: bool,
}

/// What the kernel needs to know of a new handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The handle.
    pub handle: HandleNo,
    /// Whether the kernel shall pass reads and writes through without its page cache.
    pub direct_io: bool,
    /// Whether pages the kernel kept from an earlier open still hold.
    pub keep_cache: bool,
}

impl FileSystem {
    /// [`open`](Self::open), when memory has the answer.
    pub fn try_open(&self, ino: InodeNo, mode: OpenMode, caller: u32) -> Option<FsResult<Opened>> {
        if let Some(opened) = control::open(self, ino, mode) {
            return Some(opened);
        }
        if uploads::is_node(ino) {
            return None;
        }
        let inode = match self.inode(ino) {
            Ok(inode) => inode,
            Err(error) => return Some(Err(error)),
        };
        // Before the look at `moving`: a move sees this, or is seen.
        let _pin = self.inodes.pin(&inode);
        let ready = {
            let state = inode.state();
            let stays = !state.moving && !is_ending(&state);
            !mode.truncate && stays && state.is_fresh(inode.kind, OPEN_CHECK)
        };
        ready.then(|| self.add_handle(&inode, mode, caller))
    }

    /// Opens a file. Whoever opens a file after another closed it sees what the other wrote
    /// (close-to-open): the bucket is asked unless it was just asked.
    ///
    /// # Errors
    /// [`Meaning::Stale`] where the name is no longer that of this inode: it must be looked up again.
    pub async fn open(
        self: &Arc<Self>,
        ino: InodeNo,
        mode: OpenMode,
        caller: u32,
    ) -> FsResult<Opened> {
        if uploads::is_node(ino) {
            return uploads::open(self, ino, mode).await;
        }
        let inode = self.inode(ino)?;
        // O_TRUNC is a change, also with O_RDONLY.
        let mode = OpenMode { write: mode.write || mode.truncate, ..mode };
        if mode.write {
            // Before anything that a silent service keeps waiting.
            self.check_writable()?;
        }
        let _pin = self.inodes.pin(&inode);
        inode.until_moved().await;
        self.finish_ending(&inode).await;
        self.revalidate(&inode, OPEN_CHECK).await?;
        let opened = self.add_handle(&inode, mode, caller)?;
        if mode.truncate {
            if let Err(error) = self.truncate(&inode, 0).await {
                self.release(opened.handle);
                return Err(error);
            }
            self.mark_written(opened.handle)?;
        }
        Ok(opened)
    }

    /// Makes a handle of an inode that is known to be right.
    pub(in crate::fs) fn add_handle(
        &self,
        inode: &Arc<Inode>,
        mode: OpenMode,
        caller: u32,
    ) -> FsResult<Opened> {
        if inode.kind == Kind::Directory {
            return Err(Meaning::IsDirectory.into());
        }
        if mode.write {
            self.check_writable()?;
            self.refuse_marker(inode)?;
        }
        let pin = self.inodes.pin(inode);
        let keep_cache = {
            let mut state = inode.state();
            if let Some(failure) = state.failure.take() {
                self.is_heard(&self.path_text(inode));
                return Err(failure);
            }
            if mode.write {
                state.open_writers += 1;
            } else {
                state.open_readers += 1;
            }
            // Bytes that are not published, and may never be, must not stay in the kernel's cache.
            let published = state.object.as_ref().filter(|_| state.writer.is_none());
            let version = published.map(|object| object.version.clone());
            let same = version.is_some() && state.kernel_caches == version;
            state.kernel_caches = version;
            same
        };
        let opener = if mode.write { self.eyes.process_of(caller) } else { caller };
        let handle = self.handles.add(Handle::File(FileHandle::new(pin, mode.write, opener)));
        Ok(Opened { handle, direct_io: mode.write, keep_cache: keep_cache && !mode.write })
    }

    /// Closes a handle. Bytes that no close or fsync has published yet (written through a mapping
    /// after the last close, or by a process whose descriptors could not be seen) are published in
    /// the background; a failure is told to the next open. If the one who closed it last was killed, and
    /// nobody else writes, they are not.
    pub fn release(self: &Arc<Self>, handle: HandleNo) {
        crash::point("release.begin");
        let Some(handle) = self.handles.remove(handle) else { return };
        let Handle::File(file) = &*handle else { return };
        let inode = file.inode();
        let unfinished = match file.writes {
            true => self.let_writer_go(inode, file.killed.load(Ordering::Relaxed)),
            false => let_reader_go(inode),
        };
        if !unfinished {
            return;
        }
        let inode = Arc::clone(file.inode());
        let fs = Arc::clone(self);
        self.background.spawn(&self.runtime, async move {
            // The handle pins the inode until this is over.
            let _handle = handle;
            if panics::caught_in(fs.finish(&inode)).await.is_err() {
                fs.panicked("publish after the last close", inode.ino, false);
            }
        });
    }

    /// Closes a handle that nobody has got: its caller was killed while it waited for the open.
    pub fn release_of_killed(self: &Arc<Self>, handle: HandleNo) {
        let keeps_old = self.config.on_writer_killed == OnWriterKilled::KeepOld;
        if let Ok(open) = self.handles.get(handle)
            && let Handle::File(file) = &*open
        {
            file.killed.store(keeps_old, Ordering::Relaxed);
        }
        self.release(handle);
    }

    /// A close or fsync has failed, and its caller was killed before it could be told: it is logged, and
    /// told to the next open.
    pub fn failed_unheard(&self, operation: &'static str, ino: InodeNo, failure: FsError) {
        let Some(inode) = self.inodes.get(ino) else { return };
        let path = self.path_text(&inode);
        let (errno, status) = (failure.meaning().errno(), failure.status());
        let (code, request_id, error) = (failure.code(), failure.request_id(), failure.words());
        error!(
            operation,
            path,
            errno,
            code,
            status,
            request_id,
            error,
            "the file could not be stored; who closed it was killed meanwhile"
        );
        self.nobody_heard(&path, &failure);
        let mut state = inode.state();
        state.failure_reported = false;
        // The writer that failed tells it when it goes, if it is still here.
        if state.writer.as_ref().is_none_or(|writer| writer.failure().is_none()) {
            state.failure = Some(failure);
        }
    }

    /// A request about an inode has panicked. A file that is being written is not published any more: what
    /// the panic has left of it is not what anybody wrote. `told`: somebody waits, and is told.
    pub fn panicked(&self, operation: &'static str, ino: InodeNo, told: bool) {
        let Some(inode) = self.inodes.get(ino) else {
            return error!(operation, path = self.called(ino), "failed by a panic");
        };
        error!(operation, path = self.called(ino), "failed by a panic");
        let mut state = inode.state();
        if let Some(writer) = &state.writer {
            writer.distrust();
            state.failure_reported = told;
        }
    }

    /// Keeps the writer of an inode for an operation that has no handle.
    pub(in crate::fs) fn hold_writer(self: &Arc<Self>, inode: &Arc<Inode>) -> WriterHold {
        inode.state().open_writers += 1;
        WriterHold { fs: Arc::clone(self), pin: self.inodes.pin(inode) }
    }

    /// One user of the writer less, who may have been killed. Says whether the writer must be
    /// [finished](Self::finish).
    fn let_writer_go(self: &Arc<Self>, inode: &Arc<Inode>, killed: bool) -> bool {
        let (remains, pending) = {
            let mut state = inode.state();
            state.open_writers = state.open_writers.saturating_sub(1);
            let remains = state.drop_idle_writer();
            state.left = remains && killed;
            (remains, state.attr_pending)
        };
        if !remains && pending {
            self.settle_later(inode);
        }
        remains
    }

    /// Ends a writer that must go before anybody uses the file again: its release may not have come to
    /// that yet.
    pub(in crate::fs) async fn finish_ending(self: &Arc<Self>, inode: &Arc<Inode>) {
        if is_ending(&inode.state()) {
            self.finish(inode).await;
        }
    }

    /// Ends the life of a writer that no handle needs any more.
    async fn finish(self: &Arc<Self>, inode: &Arc<Inode>) {
        let _turn = self.turn_of(inode).await;
        let left = {
            let mut state = inode.state();
            let stored = state.is_stored();
            state.take_left_writer().map(|writer| (writer, stored))
        };
        if let Some((writer, stored)) = left {
            return self.leave(inode, &writer, stored).await;
        }
        let (committed, writer, stored) = loop {
            let committed = self.commit_in_turn(inode).await;
            let mut state = inode.state();
            if committed.is_ok() && !state.unlinked {
                // Whoever opened it meanwhile may have written again, and gone again.
                if state.drop_idle_writer() {
                    continue;
                }
                let pending = state.attr_pending;
                drop(state);
                if pending {
                    self.settle_later(inode);
                }
                return;
            }
            if state.needs_writer() {
                return;
            }
            let stored = state.is_stored();
            let Some(writer) = state.writer.take() else { return };
            state.attr.size = writer.size();
            break (committed, writer, stored);
        };
        writer.discard().await;
        self.loans.end(&self.loans.of_borrower(inode.ino));
        let Err(failure) = committed else { return };
        let reported = {
            let mut state = inode.state();
            let reported = std::mem::take(&mut state.failure_reported);
            state.not_stored = Some(failure.clone());
            if !reported {
                state.failure = Some(failure.clone());
            }
            reported
        };
        if !reported {
            let path = self.path_text(inode);
            let (errno, status) = (failure.meaning().errno(), failure.status());
            let (code, request_id, error) = (failure.code(), failure.request_id(), failure.words());
            error!(
                path,
                errno,
                code,
                status,
                request_id,
                error,
                "the file could not be stored after its last close"
            );
            self.nobody_heard(&path, &failure);
        }
        if let Some((parent, _)) = self.inodes.place(inode.ino)
            && let Some(parent) = self.inodes.get(parent)
        {
            self.doubt_names(&parent, &failure);
        }
        self.show_object(inode, stored);
    }

    /// The process that wrote the file was killed: the object stays what it was, and is what is shown.
    async fn leave(self: &Arc<Self>, inode: &Arc<Inode>, writer: &FileWriter, stored: bool) {
        let path = self.path_text(inode);
        let bytes = writer.size();
        warn!(path, bytes, "its writer was killed: not published, the bucket has what it had");
        self.killed_writers.fetch_add(1, Ordering::Relaxed);
        // Its answers may still be on their way; until they are here the object may change.
        writer.abandon().await;
        self.loans.end(&self.loans.of_borrower(inode.ino));
        {
            let mut state = inode.state();
            state.mtime_set &= state.attr_pending;
        }
        self.show_object(inode, stored);
    }

    /// What was written is given up: from now on the file is what the bucket has, if it is `stored` there.
    fn show_object(self: &Arc<Self>, inode: &Arc<Inode>, stored: bool) {
        let pending = {
            let mut state = inode.state();
            if let Some(object) = &state.object {
                state.attr.size = object.version.size;
            }
            state.checked = None;
            state.attr_pending
        };
        if !stored {
            self.drop_name(inode);
        }
        if pending {
            self.settle_later(inode);
        }
    }

    /// A file whose only content failed to reach the bucket does not exist.
    fn drop_name(&self, inode: &Arc<Inode>) {
        if inode.kind == Kind::File
            && let Some((parent, name)) = self.inodes.place(inode.ino)
        {
            self.inodes.detach(parent, &name);
            if let Some(parent) = self.inodes.get(parent) {
                parent.state().name_removed(&name, self.clock.now());
            }
        }
    }
}

/// Whether the writer has failed or was left by who was killed, and nobody writes any more, so that it
/// goes and the next open starts anew.
fn is_ending(state: &State) -> bool {
    let failed = state.writer.as_ref().is_some_and(|writer| writer.failure().is_some());
    (failed || state.left) && !state.needs_writer()
}

/// One reader less. Says whether it was the last user of a file without a name, whose writer must be
/// [finished](FileSystem::finish).
fn let_reader_go(inode: &Inode) -> bool {
    let mut state = inode.state();
    state.open_readers = state.open_readers.saturating_sub(1);
    state.unlinked && state.drop_idle_writer()
}

/// The right of an operation without a handle to an inode's writer.
#[derive(Debug)]
pub(in crate::fs) struct WriterHold {
    fs: Arc<FileSystem>,
    pin: Pin,
}

impl WriterHold {
    /// The operation is over. `told`: the caller learns that it failed.
    pub(in crate::fs) async fn end(self, told: bool) {
        let inode = self.pin.inode();
        if told {
            inode.state().failure_reported = true;
        }
        if self.fs.let_writer_go(inode, false) {
            self.fs.finish(inode).await;
        }
    }
}
