//! copy_file_range: bytes of one file for another. The server copies them when the target is published;
//! until then the target rests on the source's object, and whoever changes that here publishes the target
//! first (`loans`).

use std::sync::Arc;

use tokio::sync::MutexGuard;
use tracing::warn;

use crate::fs::FileSystem;
use crate::fs::error::{FsResult, Meaning};
use crate::fs::handle::{FileHandle, Handle, HandleNo};
use crate::fs::inode::{Inode, Object};
use crate::fs::ops::rename::ROUNDS;
use crate::write::RemoteObject;

/// Most bytes of one call that go through the daemon, and size below which a file that is being written is
/// not published to be copied, in bytes.
const THROUGH_BYTES: u64 = 1 << 20;

impl FileSystem {
    /// Copies at most `len` bytes from an offset of one file to an offset of another, and says how many:
    /// fewer at the source's end, and where they have to be read and written here. 0 at the end.
    ///
    /// A large source that is being written is published first, and the target at the end where
    /// [every change](Self::publish_each_change) is.
    pub async fn copy_range(
        self: &Arc<Self>,
        (from, at): (HandleNo, u64),
        (to, offset): (HandleNo, u64),
        len: u64,
    ) -> FsResult<u64> {
        let (source, target) = (self.handles.get(from)?, self.handles.get(to)?);
        // The caller reads and writes it then.
        let Handle::File(source) = &*source else { return Err(Meaning::NotSupported.into()) };
        let target = target.file()?;
        if !target.writes {
            return Err(Meaning::BadHandle.into());
        }
        let size = source.inode().attr().size;
        let len = len.min(size.saturating_sub(at));
        if len == 0 {
            return Ok(0);
        }
        offset.checked_add(len).ok_or(Meaning::TooLarge)?;
        let same = source.inode().ino == target.inode().ino;
        if same && at.abs_diff(offset) < len {
            return Err(Meaning::Invalid.into());
        }
        // Content that rests on its own object would have to follow when that is published or moved.
        let on_server = match same {
            true => None,
            false => self.copy_on_server(source.inode(), at, target, offset, len).await?,
        };
        let copied = match on_server {
            Some(copied) => copied,
            None => {
                let now = u32::try_from(len.min(THROUGH_BYTES)).unwrap_or(u32::MAX);
                let data = self.read(from, at, now).await?;
                self.write(to, offset, &data).await?;
                data.len() as u64
            }
        };
        self.changed_through(to, target).await?;
        Ok(copied)
    }

    /// `None` where the bytes have to be read and written.
    async fn copy_on_server(
        self: &Arc<Self>,
        source: &Arc<Inode>,
        at: u64,
        target: &FileHandle,
        offset: u64,
        len: u64,
    ) -> FsResult<Option<u64>> {
        for _ in 0..ROUNDS {
            let unlinked = source.state().unlinked || target.inode().state().unlinked;
            let changed = is_changed(source);
            if unlinked || changed && source.attr().size < THROUGH_BYTES {
                return Ok(None);
            }
            if changed || self.loans.borrows(source.ino) {
                self.commit(source).await?;
            }
            self.repay(target.inode()).await;
            let _turn = source.turn.lock().await;
            if is_changed(source) {
                continue;
            }
            let object = {
                let state = source.state();
                // What only a listing told may have been made by append.
                let limits = self.store.limits();
                let copyable = |object: &&Object| {
                    limits.can_copy(object.appendable)
                        && (object.metadata.is_some() || limits.can_copy(true))
                };
                let object = state.object.as_ref().filter(copyable);
                object.map(|object| (object.version.clone(), object.checksum))
            };
            let (Some((version, checksum)), Some(path)) = (object, self.inodes.path(source.ino))
            else {
                return Ok(None);
            };
            let key = path.file_key(self.store.limits())?;
            let len = len.min(version.size.saturating_sub(at));
            let pin = self.inodes.pin(source);
            let Some(_telling) = self.loans.begin(pin, target.inode()) else { continue };
            if len > 0 {
                let object = RemoteObject { key, version, checksum };
                let writer = self.writer_for_write(target)?;
                writer.copy_from(object, at, len, offset).await?;
                self.touched(target);
            }
            return Ok(Some(len));
        }
        Ok(None)
    }

    /// Publishes what rests on the object of an inode, which is about to change. For who has no turn.
    ///
    /// What cannot be published has failed, and says so at its next close or fsync.
    pub(in crate::fs) async fn repay(self: &Arc<Self>, lender: &Inode) {
        for (number, borrower) in self.loans.of_lender(lender.ino) {
            if let Some(borrower) = borrower {
                // It lends nothing itself, so this waits for nobody else.
                let _turn = borrower.turn.lock().await;
                if let Err(error) = self.commit_in_turn(&borrower).await {
                    let (path, source) = (self.path_text(&borrower), self.path_text(lender));
                    let (errno, status) = (error.meaning().errno(), error.status());
                    let (code, request_id) = (error.code(), error.request_id());
                    let error = error.words();
                    warn!(
                        path,
                        source,
                        errno,
                        code,
                        status,
                        request_id,
                        error,
                        "a copy could not be stored before its source changed"
                    );
                }
            }
            self.loans.end(&[number]);
        }
    }

    /// The turn of an inode on whose object nothing rests. For who has no turn.
    pub(in crate::fs) async fn turn_of<'a>(
        self: &Arc<Self>,
        inode: &'a Inode,
    ) -> MutexGuard<'a, ()> {
        loop {
            self.repay(inode).await;
            let turn = inode.turn.lock().await;
            // Loans begin in the lender's turn.
            if !self.loans.lends(inode.ino) {
                return turn;
            }
        }
    }
}

/// Whether the bucket does not hold what the file is, or we do not know which version does.
fn is_changed(inode: &Inode) -> bool {
    let state = inode.state();
    state.has_news() || state.writer.as_ref().is_some_and(|writer| writer.is_dirty())
}
