//! Attributes of closed files, directories and links: changed in memory at once, stored a moment later,
//! so that `chmod`, `chown`, `utimensat` and `rename` of one file become one copy.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::fs::FileSystem;
use crate::fs::attr::Kind;
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::{Inode, InodeNo, Object};
use crate::fs::inodes::Pin;
use crate::store::{
    CopyOptions, ErrorKind, Key, ObjectVersion, Payload, PutOptions, Replaces, StandardHeaders,
    StoreResult, copy_object,
};

/// Attributes that could not be stored are tried again after so long, …
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// … twice as long each time, up to this.
const RETRY_LAST: Duration = Duration::from_secs(300);

/// Content type that s3fs and COSFS give to directory markers.
pub(in crate::fs) const DIRECTORY_TYPE: &str = "application/x-directory";

impl FileSystem {
    /// Marks the attributes of an inode as changed and stores them after the settle delay.
    pub(in crate::fs) fn settle_later(self: &Arc<Self>, inode: &Arc<Inode>) {
        {
            let mut state = inode.state();
            state.attr_pending = true;
            if std::mem::replace(&mut state.settle_scheduled, true) {
                return;
            }
        }
        let fs = Arc::clone(self);
        let pin = self.inodes.pin(inode);
        self.background.spawn(&self.runtime, async move { fs.settle_until_done(&pin).await });
    }

    /// Stores attributes after the settle delay, and again when that fails, less and less often. When
    /// the mount ends it tries once more; [`drain`](Self::drain) names what is left.
    async fn settle_until_done(self: &Arc<Self>, pin: &Pin) {
        let inode = pin.inode();
        let mut hurry = self.draining.subscribe();
        let mut delay = self.config.settle_delay;
        loop {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = hurry.wait_for(|draining| *draining) => {}
            }
            // A change from now on needs another round.
            inode.state().settle_scheduled = false;
            let Err(error) = self.settle_where_it_is(inode).await else { return };
            let (path, errno) = (self.path_text(inode), error.meaning().errno());
            let (code, status, request_id) = (error.code(), error.status(), error.request_id());
            let error = error.words();
            warn!(
                path,
                errno, code, status, request_id, error, "the attributes could not be stored"
            );
            let mut state = inode.state();
            if !state.attr_pending
                || *self.draining.borrow()
                || std::mem::replace(&mut state.settle_scheduled, true)
            {
                return;
            }
            delay = (delay * 2).clamp(RETRY_FIRST, RETRY_LAST);
        }
    }

    /// Gives the marker of a directory these attributes. Other tools may keep bytes in an object of that
    /// name: those stay, by a copy onto itself, and whoever's they are by now.
    async fn store_marker(
        &self,
        key: &Key,
        known: Option<ObjectVersion>,
        options: &PutOptions,
    ) -> StoreResult<ObjectVersion> {
        let was_known = known.is_some();
        match self.store_marker_once(key, known, options).await {
            Err(error)
                if was_known
                    && matches!(
                        error.kind,
                        ErrorKind::PreconditionFailed | ErrorKind::NotFound
                    ) =>
            {
                self.store_marker_once(key, None, options).await
            }
            stored => stored,
        }
    }

    async fn store_marker_once(
        &self,
        key: &Key,
        known: Option<ObjectVersion>,
        options: &PutOptions,
    ) -> StoreResult<ObjectVersion> {
        let version = match known {
            Some(version) => Some(version),
            None => match self.store.head(key).await {
                Ok(info) => Some(info.version),
                Err(error) if error.kind == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
        };
        let empty = version.as_ref().map(|version| version.etag.clone());
        let Some(version) = version.filter(|version| version.size > 0) else {
            // Bytes that come in this moment stay where the service can compare.
            let replaces = empty.map_or(Replaces::Anything, Replaces::Version);
            let options = PutOptions { replaces, ..options.clone() };
            return self.store.put(key, Payload::default(), &options).await;
        };
        let (size, if_match) = (version.size, Some(version));
        let copy =
            CopyOptions { if_match, replace: Some(options.clone()), ..CopyOptions::default() };
        copy_object(&*self.store, key, key, size, &copy).await
    }

    /// [`settle`](Self::settle), not while a directory above is on its way.
    pub(in crate::fs) async fn settle_where_it_is(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
    ) -> FsResult<()> {
        let parent = self.inodes.place(inode.ino).map(|(parent, _)| parent);
        let _entered = match (inode.kind, parent) {
            (Kind::Directory, Some(parent)) => Some(self.enter(&[parent]).await),
            // Files are held by their turns.
            _ => None,
        };
        self.settle(inode).await
    }

    /// Stores changed attributes now. Nothing to do is success.
    pub(in crate::fs) async fn settle(self: &Arc<Self>, inode: &Arc<Inode>) -> FsResult<()> {
        if let Some(file) = self.marker_file(inode) {
            self.repay(&file).await;
        }
        let _turn = self.turn_of(inode).await;
        self.settle_in_turn(inode).await
    }

    pub(in crate::fs) async fn settle_in_turn(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
    ) -> FsResult<()> {
        let (options, version) = {
            let state = inode.state();
            // A file that is being written takes its attributes along when it is committed.
            let with_bytes = state.writer.as_ref().is_some_and(|writer| writer.is_dirty());
            if !state.attr_pending || state.unlinked || with_bytes || inode.ino == InodeNo::ROOT {
                return Ok(());
            }
            let version = state.object.as_ref().map(|object| object.version.clone());
            (state.put_options(inode, true), version)
        };
        let path = self.inodes.path(inode.ino).ok_or(Meaning::Stale)?;
        let limits = self.store.limits();
        let (key, stored) = match (inode.kind, version) {
            (Kind::Directory, version) => {
                let key = path.marker_key(limits)?;
                let headers = StandardHeaders::of_type(DIRECTORY_TYPE);
                let options = PutOptions { headers, ..options.clone() };
                let stored = self.store_marker(&key, version, &options).await;
                (key, stored)
            }
            (Kind::File | Kind::Symlink, Some(version)) => {
                let key = path.file_key(limits)?;
                let copy = CopyOptions {
                    if_match: Some(version.clone()),
                    replace: Some(options.clone()),
                    ..CopyOptions::default()
                };
                let stored = copy_object(&*self.store, &key, &key, version.size, &copy).await;
                (key, stored)
            }
            // Never stored and not being written: there is nothing to attach attributes to.
            (Kind::File | Kind::Symlink, None) => return Ok(()),
        };
        match stored {
            Ok(version) => {
                let (object, readers, writer) = {
                    let mut state = inode.state();
                    let now = state.put_options(inode, true);
                    state.attr_pending = now.metadata != options.metadata;
                    let checksum = state.object.as_ref().and_then(|object| object.checksum);
                    let object = Object { checksum, ..Object::from_ours(version, options) };
                    state.marker = Some(true);
                    state.object = Some(object.clone());
                    state.checked = Some(object.asked);
                    (object, state.live_readers(), state.writer.clone())
                };
                self.known.put(key.as_str(), &object);
                self.marker_stored(inode, &object);
                for reader in readers {
                    reader.retarget(key.clone(), object.version.clone());
                }
                if let Some(writer) = writer {
                    // What it rests on may have another ETag now. If it refuses, an upload has begun
                    // meanwhile and it rests on nothing.
                    let _ = writer.retarget(key, Some((object.version, object.checksum))).await;
                }
                Ok(())
            }
            Err(error) => {
                if matches!(error.kind, ErrorKind::PreconditionFailed | ErrorKind::NotFound) {
                    // Somebody replaced the object; our attributes were meant for the old one.
                    let mut state = inode.state();
                    state.attr_pending = false;
                    state.checked = None;
                }
                Err(FsError::from(error))
            }
        }
    }
}
