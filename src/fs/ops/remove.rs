//! unlink and rmdir.

use std::ffi::OsStr;
use std::sync::Arc;

use crate::crash;
use crate::fs::attr::Kind;
use crate::fs::control::uploads;
use crate::fs::error::{FsResult, Meaning};
use crate::fs::inode::{Inode, InodeNo, State};
use crate::fs::name::TreePath;
use crate::fs::{FileSystem, control};
use crate::store::{Key, ListRequest, ListedObject, Payload, PutOptions, StandardHeaders};
use crate::write::Held;

impl FileSystem {
    /// Removes a file or symbolic link. Open handles keep working on what they have; what they write
    /// from now on is never published.
    pub async fn unlink(self: &Arc<Self>, parent: InodeNo, name: &OsStr) -> FsResult<()> {
        self.check_writable()?;
        control::refuse(self, parent, name)?;
        if uploads::is_node(parent) {
            return self.unlink_upload(parent, name).await;
        }
        let parent = self.directory(parent)?;
        let _entered = self.enter(&[parent.ino]).await;
        let name = self.name(&parent, name).await?.ok_or(Meaning::NotFound)?;
        let inode = self.resolve(&parent, &name).await?.ok_or(Meaning::NotFound)?;
        if inode.kind == Kind::Directory {
            return Err(Meaning::IsDirectory.into());
        }
        if name.is_marker() {
            return self.unlink_marker(&parent, &inode).await;
        }
        // Waits for a commit that is under way, so that it cannot bring the object back.
        let _turn = self.turn_of(&inode).await;
        let path = self.inodes.path(parent.ino).ok_or(Meaning::NotFound)?.child(&name);
        let key = path.file_key(self.store.limits())?;
        // Also for the sake of a file that nobody stored yet: it may be all that the directory is there for.
        self.keep_directory(&parent).await?;
        let held = hold_writer(&inode).await;
        let stored = {
            let state = inode.state();
            state.is_stored() || has_doubt(&state)
        };
        if stored {
            crash::point("unlink.before_delete");
            self.store.delete(&key).await?;
            self.known.forget(key.as_str());
        }
        if let Some(held) = held {
            held.end_publishing();
        }
        let published = self.let_go(&inode).await;
        self.inodes.detach(parent.ino, &name);
        parent.state().name_removed(&name, self.clock.now());
        self.is_heard(path.as_str());
        if published {
            self.store.delete(&key).await?;
        }
        Ok(())
    }

    /// An inode loses its name for good; nothing of it is published any more. Says whether something
    /// was until now: the writer of an upload publishes on its own when its bytes are read back.
    pub(in crate::fs) async fn let_go(&self, inode: &Inode) -> bool {
        let before = inode.state().publications();
        let (writer, open) = {
            let mut state = inode.state();
            state.unlinked = true;
            state.attr_pending = false;
            (state.writer.clone(), state.needs_writer())
        };
        if let Some(writer) = writer {
            if open {
                writer.orphan().await;
            } else {
                writer.discard().await;
            }
        }
        inode.state().publications() != before
    }

    /// Removes an empty directory.
    pub async fn rmdir(self: &Arc<Self>, parent: InodeNo, name: &OsStr) -> FsResult<()> {
        self.check_writable()?;
        control::refuse(self, parent, name)?;
        if uploads::is_node(parent) {
            return self.rmdir_uploads(parent, name).await;
        }
        let parent = self.directory(parent)?;
        let _entered = self.enter(&[parent.ino]).await;
        let name = self.name(&parent, name).await?.ok_or(Meaning::NotFound)?;
        let inode = self.resolve(&parent, &name).await?.ok_or(Meaning::NotFound)?;
        if inode.kind != Kind::Directory {
            return Err(Meaning::NotDirectory.into());
        }
        let _turn = inode.turn.lock().await;
        let path = self.inodes.path(inode.ino).ok_or(Meaning::NotFound)?;
        self.check_empty(&inode, &path).await?;
        self.keep_directory(&parent).await?;
        let key = path.marker_key(self.store.limits())?;
        self.store.delete(&key).await?;
        self.known.forget(key.as_str());
        inode.state().unlinked = true;
        inode.state().attr_pending = false;
        self.inodes.detach(parent.ino, &name);
        parent.state().name_vacated(&name, self.clock.now());
        Ok(())
    }

    /// Refuses a directory with keys below it other than its marker, or with files of ours that are
    /// not stored yet. Bytes that others keep in the marker count: removing them unseen would lose them.
    pub(in crate::fs) async fn check_empty(&self, inode: &Inode, path: &TreePath) -> FsResult<()> {
        if self.has_unpublished(inode) {
            return Err(Meaning::NotEmpty.into());
        }
        let prefix = path.key_prefix();
        let mut request =
            ListRequest { prefix: prefix.clone(), max_entries: 2, ..ListRequest::default() };
        loop {
            let page = self.store.list(&request).await?;
            let is_content =
                |object: &ListedObject| object.key.as_str() != prefix || object.size > 0;
            if page.objects.iter().any(is_content) {
                return Err(Meaning::NotEmpty.into());
            }
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Makes sure that a directory stays when its last entry goes: an implicit directory gets its
    /// marker before that. Asked once for each directory.
    pub(in crate::fs) async fn keep_directory(&self, inode: &Inode) -> FsResult<()> {
        if inode.ino == InodeNo::ROOT || inode.state().marker == Some(true) {
            return Ok(());
        }
        let path = self.inodes.path(inode.ino).ok_or(Meaning::NotFound)?;
        let key = path.marker_key(self.store.limits())?;
        if !self.marker_exists(&key).await? {
            let options = {
                let state = inode.state();
                let headers = StandardHeaders::of_type(super::settle::DIRECTORY_TYPE);
                PutOptions { headers, ..state.put_options(inode, true) }
            };
            self.store.put(&key, Payload::default(), &options).await?;
        }
        inode.state().marker = Some(true);
        Ok(())
    }

    async fn marker_exists(&self, key: &Key) -> FsResult<bool> {
        let prefix = key.as_str().to_owned();
        let request = ListRequest { prefix, max_entries: 1, ..ListRequest::default() };
        let page = self.store.list(&request).await?;
        Ok(page.objects.first().is_some_and(|object| object.key == *key))
    }
}

/// Keeps the writer of a file that is to be removed or replaced from publishing meanwhile: the turn of the file
/// is not enough, because the bytes of an upload are published when they are read back, and a Complete that
/// was given up may still be on its way.
pub(in crate::fs) async fn hold_writer(inode: &Inode) -> Option<Held> {
    let writer = inode.state().writer.clone()?;
    Some(writer.hold().await)
}

/// Whether there may be an object of which nobody was told.
pub(super) fn has_doubt(state: &State) -> bool {
    state.writer.as_ref().is_some_and(|writer| writer.may_have_published())
}
