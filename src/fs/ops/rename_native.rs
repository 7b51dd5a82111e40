//! rename of a file by the service itself, where it has that: no bytes are copied.
//!
//! Between the request and its answer the object is at either key, and nobody can be told which. So this
//! is for closed files only; readers and writers need the source until they have been told of the copy.
//! For the same reason directories are copied: an error in the middle would leave neither name whole.

use tokio::time::Instant;

use crate::fs::FileSystem;
use crate::fs::attr::Kind;
use crate::fs::error::FsResult;
use crate::fs::inode::{Inode, Object};
use crate::store::{ErrorKind, Key, RenameOptions};

impl FileSystem {
    /// Moves the object of a file to another key, if the service and the file allow it; `None` if not.
    /// The caller moves the name, and then drops what is returned. For who has its turn, after a commit.
    ///
    /// # Errors
    /// Those of the store. When there was no answer, the object is at either key, and the bucket is asked
    /// before anything is believed of it again.
    pub(super) async fn move_object<'a>(
        &self,
        source: &'a Inode,
        old_key: &Key,
        new_key: &Key,
    ) -> FsResult<Option<Moving<'a>>> {
        if !self.store.limits().rename {
            return Ok(None);
        }
        let Some((moving, object)) = Moving::begin(self, source) else { return Ok(None) };
        let moved = self.store.rename(old_key, new_key, &RenameOptions::of(&object.version)).await;
        // What is known of the source is wrong now, or not certain.
        self.known.forget(old_key.as_str());
        match moved {
            Ok(()) => {
                let asked = Instant::now();
                let object = Object { last_modified: None, version_id: None, asked, ..object };
                self.known.put(new_key.as_str(), &object);
                let mut state = source.state();
                state.object = Some(object);
                state.checked = Some(asked);
                drop(state);
                Ok(Some(moving))
            }
            // Whether a move has the limits of a copy is known of no service.
            Err(error) if matches!(error.kind, ErrorKind::TooLarge | ErrorKind::InvalidRequest) => {
                Ok(None)
            }
            Err(error) => {
                self.known.forget(new_key.as_str());
                source.state().checked = None;
                Err(error.into())
            }
        }
    }
}

/// While this lives the object of a closed file is on its way to another key, and whoever wants to
/// open the file waits.
pub(super) struct Moving<'a>(&'a Inode);

impl<'a> Moving<'a> {
    /// `None` where something needs the object at its key: handles, a writer, attributes to be stored
    /// with the same copy, and links, which are read without being opened.
    fn begin(fs: &FileSystem, inode: &'a Inode) -> Option<(Self, Object)> {
        if inode.kind != Kind::File {
            return None;
        }
        let (moving, object) = {
            let mut state = inode.state();
            if state.writer.is_some() || state.attr_pending {
                return None;
            }
            let object = state.object.clone()?;
            state.moving = true;
            (Self(inode), object)
        };
        // After `moving` was set: who opens the file now sees that, or is seen.
        (!fs.inodes.is_pinned(inode.ino)).then_some((moving, object))
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.state().moving = false;
    }
}
