//! rename of a file: by the service where it can (`rename_native.rs`), else a copy on the server, then the
//! removal of the source. A copy that fails leaves the source as it was. Directories are in
//! `rename_directory.rs`.

use std::ffi::OsStr;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::crash;
use crate::fs::attr::Kind;
use crate::fs::control::uploads;
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::{Inode, InodeNo, Object};
use crate::fs::name::{Name, TreePath};
use crate::fs::ops::remove::{has_doubt, hold_writer};
use crate::fs::{FileSystem, control};
use crate::store::{CopyOptions, Key, ObjectVersion, PutOptions, copy_object};
use crate::write::{FileWriter, Held, WriteError};

/// So often a rename begins anew because of what happens meanwhile.
pub(super) const ROUNDS: usize = 8;

/// The flags of `renameat2`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RenameFlags {
    /// Refuse an existing target.
    pub no_replace: bool,
    /// Anything that object storage cannot do (exchange, whiteout).
    pub unsupported: bool,
}

impl FileSystem {
    /// Moves a file, link or directory. Of a file: the target is the old or the new object at every
    /// moment. Of a directory: not atomic; after an error every file is under one of its names at least,
    /// with its bytes, and the same call again finishes the work. An open file follows its name.
    pub async fn rename(
        self: &Arc<Self>,
        from: (InodeNo, &OsStr),
        to: (InodeNo, &OsStr),
        flags: RenameFlags,
    ) -> FsResult<()> {
        self.check_writable()?;
        if flags.unsupported {
            return Err(Meaning::Invalid.into());
        }
        control::refuse(self, from.0, from.1)?;
        control::refuse(self, to.0, to.1)?;
        if uploads::is_node(from.0) {
            return self.rename_upload(from, to, flags.no_replace).await;
        }
        let (old_parent, new_parent) = (self.directory(from.0)?, self.directory(to.0)?);
        let _entered = self.enter(&[old_parent.ino, new_parent.ino]).await;
        let old_name = self.name(&old_parent, from.1).await?.ok_or(Meaning::NotFound)?;
        let source = self.resolve(&old_parent, &old_name).await?.ok_or(Meaning::NotFound)?;
        let new_name = self.new_name(&new_parent, to.1).await?;
        let target = self.resolve(&new_parent, &new_name).await?;
        let new_path = self.inodes.path(new_parent.ino).ok_or(Meaning::NotFound)?.child(&new_name);
        let place = Move { old_parent, old_name, new_parent, new_name, new_path };
        let moved = self.move_to(source, target.clone(), &place, flags).await;
        if let Some(target) = target {
            self.forget_unused(&target);
        }
        moved
    }

    async fn move_to(
        self: &Arc<Self>,
        source: Arc<Inode>,
        target: Option<Arc<Inode>>,
        place: &Move,
        flags: RenameFlags,
    ) -> FsResult<()> {
        if target.is_some() && flags.no_replace {
            return Err(Meaning::Exists.into());
        }
        if target.as_ref().is_some_and(|target| target.ino == source.ino) {
            return Ok(());
        }
        if source.kind == Kind::Directory && self.inodes.is_within(place.new_parent.ino, source.ino)
        {
            return Err(Meaning::Invalid.into());
        }
        if let Some(target) = &target {
            if self.is_finished(&source, target, place).await? {
                return Ok(());
            }
            self.check_replaceable(&source, target, &place.new_path).await?;
        }
        if target.is_none() || place.new_name.is_marker() {
            place.new_name.check_new(place.new_parent.ino, source.kind)?;
        }
        self.keep_directory(&place.old_parent).await?;
        match source.kind {
            Kind::File | Kind::Symlink => self.move_file(&source, target, place).await,
            Kind::Directory => self.move_directory(&source, target, place).await,
        }
    }

    async fn check_replaceable(
        &self,
        source: &Inode,
        target: &Inode,
        path: &TreePath,
    ) -> FsResult<()> {
        match (source.kind, target.kind) {
            (Kind::Directory, Kind::Directory) => self.check_empty(target, path).await,
            (Kind::Directory, _) => Err(Meaning::NotDirectory.into()),
            (_, Kind::Directory) => Err(Meaning::IsDirectory.into()),
            (_, _) => Ok(()),
        }
    }

    async fn move_file(
        self: &Arc<Self>,
        source: &Arc<Inode>,
        target: Option<Arc<Inode>>,
        place: &Move,
    ) -> FsResult<()> {
        // Two turns are taken in the order of their numbers, so that two renames cannot wait for
        // each other. The bytes of a marker are the directory's object.
        let from_marker = place.old_name.is_marker();
        let _turns = loop {
            self.repay(source).await;
            if let Some(target) = &target {
                self.repay(target).await;
            }
            let above = if from_marker { Some(place.old_parent.turn.lock().await) } else { None };
            let first_target = target.as_ref().filter(|target| target.ino < source.ino);
            let before = match first_target {
                Some(target) => Some(target.turn.lock().await),
                None => None,
            };
            let turn = source.turn.lock().await;
            let after = match target.as_ref().filter(|target| target.ino > source.ino) {
                Some(target) => Some(target.turn.lock().await),
                None => None,
            };
            let lends = |inode: &Arc<Inode>| self.loans.lends(inode.ino);
            if !lends(source) && !target.as_ref().is_some_and(lends) {
                break (above, before, turn, after);
            }
        };
        let old_path = self.inodes.path(source.ino).ok_or(Meaning::NotFound)?;
        let old_key = old_path.file_key(self.store.limits())?;
        let new_key = place.new_path.file_key(self.store.limits())?;
        let held = hold_target(target.as_ref()).await;
        // What the target has in the bucket must go now, not with a commit that may never be.
        let replaces = target.as_ref().is_some_and(|target| {
            let state = target.state();
            state.is_stored() || has_doubt(&state)
        });
        if !replaces && self.retarget_unpublished(source, &old_key, &new_key).await {
            self.replaced(target.as_ref(), held).await;
            self.move_name(source, place);
            return Ok(());
        }
        drop(held);
        self.commit_in_turn(source).await?;
        let held = hold_target(target.as_ref()).await;
        if !from_marker && let Some(_moving) = self.move_object(source, &old_key, &new_key).await? {
            self.replaced(target.as_ref(), held).await;
            self.move_name(source, place);
            return Ok(());
        }
        let before = source.state().object.clone().ok_or(Meaning::Stale)?;
        if from_marker {
            self.become_ordinary(source);
        }
        let copied = self.copy_file(source, &old_key, &new_key).await;
        if from_marker && copied.is_err() {
            let mut state = source.state();
            (state.attr_pending, state.object) = (false, Some(before.clone()));
        }
        let copied = copied?;
        crash::point("rename.copy_acked");
        self.replaced(target.as_ref(), held).await;
        self.move_name(source, place);
        let copied = self.follow(source, &old_key, &new_key).await.unwrap_or(copied);
        self.known.forget(old_key.as_str());
        let removed = if from_marker {
            self.empty_marker(&place.old_parent, &before).await
        } else {
            self.store.delete_if(&old_key, &copied.etag).await.map_err(FsError::from)
        };
        let Err(error) = removed else { return Ok(()) };
        // Both names exist now.
        place.old_parent.state().name_added(&place.old_name, source.kind, self.clock.now());
        if error.meaning() == Meaning::Stale {
            // As if the file had been made after it was renamed.
            info!(path = old_key.as_str(), "another mount has made a new file under the old name");
            return Ok(());
        }
        Err(error)
    }

    /// Another file is under the name of this one now, and in its place in the bucket.
    async fn replaced(&self, target: Option<&Arc<Inode>>, held: Option<Held>) {
        if let Some(held) = held {
            held.end_publishing();
        }
        if let Some(target) = target {
            self.let_go(target).await;
        }
    }

    /// Lets the writer of a file that is not in the bucket yet publish at another key. False when it
    /// cannot: there is an object, or an upload is open.
    async fn retarget_unpublished(&self, source: &Inode, old_key: &Key, new_key: &Key) -> bool {
        let writer = {
            let state = source.state();
            state.writer.clone().filter(|writer| writer.is_dirty() && !state.is_stored())
        };
        let Some(writer) = writer else { return false };
        // The new name may be anybody's: a rename replaces.
        let exclusive = self.set_exclusive(source, &writer, false);
        if writer.retarget(new_key.clone(), None).await.is_err() {
            self.set_exclusive(source, &writer, exclusive);
            return false;
        }
        // A publication that was on its way has ended by now, at the old key.
        let stays = writer.publications() == 0;
        if !stays {
            // Cannot be refused: after a publication no upload is open.
            let _ = writer.retarget(old_key.clone(), None).await;
        }
        stays
    }

    /// Whether the first publication must not replace anything; says whether that was so before.
    fn set_exclusive(&self, inode: &Inode, writer: &FileWriter, exclusive: bool) -> bool {
        let mut state = inode.state();
        let before = std::mem::replace(&mut state.exclusive, exclusive);
        if before != exclusive {
            writer.set_options(state.put_options(inode, false));
        }
        before
    }

    /// Copies the object of a file to its new key, with attributes that wait to be stored, and makes
    /// the copy the object of the inode. For who has its turn, after a commit. Says which version was copied.
    pub(super) async fn copy_file(
        &self,
        source: &Arc<Inode>,
        old_key: &Key,
        new_key: &Key,
    ) -> FsResult<ObjectVersion> {
        let (object, replace) = {
            let state = source.state();
            let replace = state.attr_pending.then(|| state.put_options(source, true));
            (state.object.clone(), replace)
        };
        let object = object.ok_or(Meaning::Stale)?;
        let copy = CopyOptions {
            if_match: Some(object.version.clone()),
            replace,
            storage_class: object.storage_class.clone(),
            ..CopyOptions::default()
        };
        let copied = object.version.clone();
        let size = copied.size;
        let version = copy_object(&*self.store, old_key, new_key, size, &copy).await?;
        if version.size != size {
            let detail = format!("the copy has {} bytes, the source {size}", version.size);
            return Err(FsError::with_detail(Meaning::Io, detail));
        }
        let asked = Instant::now();
        let mut state = source.state();
        let moved = match copy.replace {
            Some(PutOptions { metadata, headers, storage_class, .. }) => {
                state.attr_pending = state.put_options(source, true).metadata != metadata;
                Object {
                    version,
                    last_modified: None,
                    metadata: Some(metadata),
                    headers,
                    storage_class,
                    version_id: None,
                    appendable: false,
                    asked,
                    ..object
                }
            }
            None => Object {
                version,
                last_modified: None,
                version_id: None,
                appendable: false,
                asked,
                ..object
            },
        };
        self.known.put(new_key.as_str(), &moved);
        state.object = Some(moved);
        state.checked = Some(asked);
        Ok(copied)
    }

    /// The name of a file has moved and its object was copied: readers and writer go there. For who
    /// has its turn, before the old object is deleted. Bytes that cannot follow fail the writer, so
    /// that the next close or fsync says so. Says which version was copied if one was.
    pub(super) async fn follow(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
        old_key: &Key,
        new_key: &Key,
    ) -> Option<ObjectVersion> {
        let mut copied = None;
        for _ in 0..ROUNDS {
            let (object, readers, writer) = {
                let mut state = inode.state();
                (state.object.clone(), state.live_readers(), state.writer.clone())
            };
            if let Some(object) = &object {
                for reader in readers {
                    reader.retarget(new_key.clone(), object.version.clone());
                }
            }
            let Some(writer) = writer else { return copied };
            let moved = object.map(|object| (object.version, object.checksum));
            match writer.retarget(new_key.clone(), moved).await {
                Err(WriteError::NeedsCommit) => {}
                // A writer that has failed goes nowhere, and says so by itself.
                Ok(()) | Err(_) => return copied,
            }
            // An upload was opened at the old key since the commit.
            let again = match self.commit_at(inode, old_key).await {
                Ok(()) => self.copy_file(inode, old_key, new_key).await,
                Err(error) => Err(error),
            };
            match again {
                Ok(version) => copied = Some(version),
                Err(error) => {
                    let (path, errno) = (old_key.as_str(), error.meaning().errno());
                    let (code, status) = (error.code(), error.status());
                    let (request_id, error) = (error.request_id(), error.words());
                    warn!(
                        path,
                        errno,
                        code,
                        status,
                        request_id,
                        error,
                        "what is being written cannot follow the rename"
                    );
                    break;
                }
            }
        }
        let writer = inode.state().writer.clone();
        if let Some(writer) = writer {
            writer.discard().await;
        }
        copied
    }

    fn move_name(&self, source: &Inode, place: &Move) {
        self.inodes.rename(place.from(), place.to());
        self.name_moved(source, place);
    }

    pub(super) fn name_moved(&self, source: &Inode, place: &Move) {
        let now = self.clock.now();
        // As on a local disk: backups see by it that a file has another name.
        source.state().attr.ctime = now;
        match source.kind {
            Kind::Directory => place.old_parent.state().name_vacated(&place.old_name, now),
            Kind::File | Kind::Symlink => {
                place.old_parent.state().name_removed(&place.old_name, now);
                if let Some(parent) = self.inodes.path(place.old_parent.ino) {
                    let old = parent.child(&place.old_name);
                    self.is_heard_at(old.as_str(), place.new_path.as_str());
                }
            }
        }
        place.new_parent.state().name_added(&place.new_name, source.kind, now);
    }
}

async fn hold_target(target: Option<&Arc<Inode>>) -> Option<Held> {
    hold_writer(target?).await
}

/// From where to where.
pub(super) struct Move {
    pub(super) old_parent: Arc<Inode>,
    pub(super) old_name: Name,
    pub(super) new_parent: Arc<Inode>,
    pub(super) new_name: Name,
    pub(super) new_path: TreePath,
}

impl Move {
    pub(super) fn from(&self) -> (InodeNo, &Name) {
        (self.old_parent.ino, &self.old_name)
    }

    pub(super) fn to(&self) -> (InodeNo, &Name) {
        (self.new_parent.ino, &self.new_name)
    }
}
