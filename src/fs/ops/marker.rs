//! The bytes that other tools keep in a directory's marker, shown as the file `@partfs:` in the directory.
//!
//! The object is that of two inodes: the directory has its metadata, the file its bytes. Only the directory
//! changes it, so that neither overwrites the other with what it remembers: the file can be read, copied, moved
//! away and removed, but not made, written to, or given attributes (EPERM). When it goes, an empty marker
//! with the same metadata stays.

use std::sync::Arc;

use crate::fs::FileSystem;
use crate::fs::attr::Kind;
use crate::fs::error::{FsResult, Meaning};
use crate::fs::inode::{Inode, Object};
use crate::fs::name::Name;
use crate::fs::ops::settle::DIRECTORY_TYPE;
use crate::store::{Payload, PutOptions, StandardHeaders};

impl FileSystem {
    /// Refuses to change what a marker holds.
    pub(in crate::fs) fn refuse_marker(&self, inode: &Inode) -> FsResult<()> {
        let is_marker = inode.kind != Kind::Directory
            && self.inodes.place(inode.ino).is_some_and(|(_, name)| name.is_marker());
        if is_marker { Err(Meaning::NotPermitted.into()) } else { Ok(()) }
    }

    /// Removes the file of a marker's bytes: the marker stays, empty.
    pub(in crate::fs) async fn unlink_marker(
        self: &Arc<Self>,
        parent: &Inode,
        inode: &Inode,
    ) -> FsResult<()> {
        let _turns = loop {
            self.repay(inode).await;
            let turns = (parent.turn.lock().await, inode.turn.lock().await);
            if !self.loans.lends(inode.ino) {
                break turns;
            }
        };
        let object = inode.state().object.clone().ok_or(Meaning::Stale)?;
        self.empty_marker(parent, &object).await?;
        self.let_go(inode).await;
        self.inodes.detach(parent.ino, &Name::of_marker());
        parent.state().name_removed(&Name::of_marker(), self.clock.now());
        Ok(())
    }

    /// Takes the bytes out of a directory's marker, which is `object` so far, and keeps the metadata. For who
    /// has the directory's turn.
    pub(in crate::fs) async fn empty_marker(
        &self,
        directory: &Inode,
        object: &Object,
    ) -> FsResult<()> {
        let path = self.inodes.path(directory.ino).ok_or(Meaning::NotFound)?;
        let key = path.marker_key(self.store.limits())?;
        // Both inodes know the object; what was asked for later is right.
        let known = directory.state().object.clone().filter(|known| known.asked > object.asked);
        let metadata = match known.as_ref().unwrap_or(object).metadata.clone() {
            Some(metadata) => Some(metadata),
            None => self.ask_object(&key).await?.and_then(|object| object.metadata),
        };
        let options = PutOptions {
            headers: StandardHeaders::of_type(DIRECTORY_TYPE),
            metadata: metadata.unwrap_or_default(),
            ..PutOptions::default()
        };
        let version = self.store.put(&key, Payload::default(), &options).await?;
        let object = Object::from_ours(version, options);
        self.known.put(key.as_str(), &object);
        let mut state = directory.state();
        state.marker = Some(true);
        if state.object.is_some() {
            state.object = Some(object);
        }
        Ok(())
    }

    /// The file of a marker's bytes, where it is known.
    pub(in crate::fs) fn marker_file(&self, directory: &Inode) -> Option<Arc<Inode>> {
        let file = self.inodes.child(directory.ino, &Name::of_marker());
        file.filter(|file| directory.kind == Kind::Directory && file.kind != Kind::Directory)
    }

    /// The directory has stored its attributes: the file of the marker's bytes goes on with the new object.
    pub(in crate::fs) fn marker_stored(&self, directory: &Inode, object: &Object) {
        let Some(file) = self.marker_file(directory) else { return };
        let readers = {
            let mut state = file.state();
            if state.object.as_ref().is_none_or(|o| o.version.size != object.version.size) {
                return;
            }
            state.object = Some(object.clone());
            state.checked = None;
            state.live_readers()
        };
        let path = self.inodes.path(file.ino);
        let Some(Ok(key)) = path.map(|path| path.file_key(self.store.limits())) else { return };
        for reader in readers {
            reader.retarget(key.clone(), object.version.clone());
        }
    }

    /// The bytes of a marker are about to become an ordinary file elsewhere: that must not look like a
    /// directory to other tools.
    pub(in crate::fs) fn become_ordinary(&self, file: &Inode) {
        let mut state = file.state();
        state.attr_pending = true;
        if let Some(object) = &mut state.object
            && object.headers.content_type.as_deref() == Some(DIRECTORY_TYPE)
        {
            object.headers.content_type = None;
        }
    }
}
