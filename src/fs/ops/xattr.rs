//! Extended attributes: getxattr, listxattr, setxattr, removexattr. They are metadata as modes and times
//! are, and take part in the same PUT, or in the same copy a moment later.
//!
//! The kernel and `ls` ask for names that nothing here has (`security.capability`, ACLs) again and again:
//! only `user.*` can cost a request, and that only while the metadata of the object is not known.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::warn;

use crate::fs::attr::{Kind, longest_entries};
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::{Inode, InodeNo, State};
use crate::fs::told_xattr::{self, Told};
use crate::fs::xattr::{Unreadable, Xattrs, is_user};
use crate::fs::{FileSystem, control};
use crate::write::UploadProgress;

/// How an attribute is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetXattr {
    /// Refuse one that exists.
    pub create: bool,
    /// Refuse one that does not exist.
    pub replace: bool,
}

impl FileSystem {
    /// [`getxattr`](Self::getxattr), when memory has the answer.
    pub fn try_getxattr(&self, ino: InodeNo, name: &OsStr) -> Option<FsResult<Vec<u8>>> {
        let Some(name) = user_name(name) else { return Some(Err(Meaning::NoAttribute.into())) };
        self.try_xattrs(ino).map(|found| self.value_of(ino, &found?, name))
    }

    /// The value of an attribute. [`Meaning::NoAttribute`] where there is none, and for every name outside
    /// `user.`.
    pub async fn getxattr(&self, ino: InodeNo, name: &OsStr) -> FsResult<Vec<u8>> {
        let name = user_name(name).ok_or(Meaning::NoAttribute)?;
        let xattrs = self.xattrs(ino).await?;
        self.value_of(ino, &xattrs, name)
    }

    /// [`listxattr`](Self::listxattr), when memory has the answer.
    pub fn try_listxattr(&self, ino: InodeNo) -> Option<FsResult<Vec<u8>>> {
        self.try_xattrs(ino).map(|found| Ok(self.list_of(ino, &found?)))
    }

    /// The names of all attributes, each with a NUL behind it.
    pub async fn listxattr(&self, ino: InodeNo) -> FsResult<Vec<u8>> {
        let xattrs = self.xattrs(ino).await?;
        Ok(self.list_of(ino, &xattrs))
    }

    /// Sets an attribute: seen at once, stored with the next commit or, of a closed file, after the settle
    /// delay. Those that tell of the object (`user.partfs.*`) stay what they are, and that is success.
    ///
    /// # Errors
    /// [`Meaning::NoSpace`] when the object could not carry its metadata any more; nothing is changed then.
    /// [`Meaning::NotPermitted`] for others that begin with `user.partfs.`.
    /// [`Meaning::NotSupported`] for names outside `user.` and for the mount point, whose attributes are
    /// not stored.
    pub async fn setxattr(
        self: &Arc<Self>,
        ino: InodeNo,
        name: &OsStr,
        value: &[u8],
        how: SetXattr,
    ) -> FsResult<()> {
        if self.is_told(ino, name)? {
            return Ok(());
        }
        let (inode, name) = self.changeable(ino, name).await?;
        self.change_xattrs(&inode, |xattrs| {
            let before = xattrs.get(name);
            match before {
                Some(_) if how.create => Err(Meaning::Exists),
                None if how.replace => Err(Meaning::NoAttribute),
                Some(before) if before == value => Ok(()),
                _ => {
                    xattrs.set(name, value);
                    Ok(())
                }
            }
        })
    }

    /// Removes an attribute; stored as one that is set.
    pub async fn removexattr(self: &Arc<Self>, ino: InodeNo, name: &OsStr) -> FsResult<()> {
        if self.is_told(ino, name)? {
            return Ok(());
        }
        let (inode, name) = self.changeable(ino, name).await?;
        self.change_xattrs(&inode, |xattrs| match xattrs.get(name) {
            Some(_) => {
                xattrs.remove(name);
                Ok(())
            }
            None => Err(Meaning::NoAttribute),
        })
    }

    /// Whether the attribute tells of the object, of a file that may be changed.
    fn is_told(&self, ino: InodeNo, name: &OsStr) -> FsResult<bool> {
        let Some(name) = name.to_str().filter(|name| name.starts_with(told_xattr::PREFIX)) else {
            return Ok(false);
        };
        self.check_changeable(ino)?;
        let tells = Told::of(name).is_some() && !control::is_control(ino);
        if tells { Ok(true) } else { Err(Meaning::NotPermitted.into()) }
    }

    /// A file of which the bucket can tell, with the upload of it that is under way.
    fn teller(&self, ino: InodeNo) -> Option<Arc<Inode>> {
        if control::is_control(ino) {
            return None;
        }
        self.inode(ino).ok().filter(|inode| inode.kind == Kind::File)
    }

    fn value_of(&self, ino: InodeNo, xattrs: &Xattrs, name: &str) -> FsResult<Vec<u8>> {
        if name.starts_with(told_xattr::PREFIX) {
            let told = Told::of(name).zip(self.teller(ino));
            let value = told.and_then(|(told, inode)| {
                let upload = self.upload_of(&inode);
                told.value(&inode.state(), upload.as_ref())
            });
            return value.map(String::into_bytes).ok_or_else(|| Meaning::NoAttribute.into());
        }
        xattrs.get(name).ok_or_else(|| Meaning::NoAttribute.into())
    }

    fn list_of(&self, ino: InodeNo, xattrs: &Xattrs) -> Vec<u8> {
        let ours = |name: &&str| name.starts_with(told_xattr::PREFIX);
        let stored = xattrs.names().filter(|name| !ours(name)).map(str::as_bytes);
        let mut list = stored.flat_map(|name| name.iter().copied().chain([0])).collect::<Vec<_>>();
        if let Some(inode) = self.teller(ino) {
            let state = inode.state();
            list.extend(Told::names(&state).flat_map(|name| name.bytes().chain([0])));
        }
        list
    }

    /// How far the upload of a file is, if one is under way.
    pub(in crate::fs) fn upload_of(&self, inode: &Inode) -> Option<UploadProgress> {
        if !told_xattr::is_dirty(&inode.state()) {
            return None;
        }
        let key = self.inodes.path(inode.ino)?.file_key(self.store.limits()).ok()?;
        self.writers.uploads().into_iter().rfind(|upload| upload.key == key)
    }

    /// The attributes of an inode whose metadata is known.
    fn try_xattrs(&self, ino: InodeNo) -> Option<FsResult<Xattrs>> {
        if ino == InodeNo::ROOT || control::is_control(ino) {
            return Some(Ok(Xattrs::default()));
        }
        let inode = match self.inode(ino) {
            Ok(inode) => inode,
            Err(error) => return Some(Err(error)),
        };
        let state = inode.state();
        let known = state.is_fresh(inode.kind, self.ttl()) && !state.moving;
        known.then(|| Ok(self.xattrs_of(&inode, &state)))
    }

    async fn xattrs(&self, ino: InodeNo) -> FsResult<Xattrs> {
        if let Some(found) = self.try_xattrs(ino) {
            return found;
        }
        let inode = self.inode(ino)?;
        inode.until_moved().await;
        self.revalidate(&inode, self.ttl()).await?;
        let state = inode.state();
        Ok(self.xattrs_of(&inode, &state))
    }

    /// The attributes as they are now. A metadata entry that cannot be read counts as none, and stays as it
    /// is until the user sets one.
    fn xattrs_of(&self, inode: &Inode, state: &State) -> Xattrs {
        if let Some(xattrs) = &state.xattrs {
            return xattrs.clone();
        }
        let metadata = state.object.as_ref().and_then(|object| object.metadata.as_ref());
        match metadata.map_or_else(|| Ok(Xattrs::default()), Xattrs::read) {
            Ok(xattrs) => xattrs,
            Err(Unreadable) => {
                if !self.unreadable_xattrs.swap(true, Ordering::Relaxed) {
                    let path = self.inodes.path(inode.ino);
                    let path = path.as_ref().map_or("(unlinked)", |path| path.as_str());
                    warn!(path, "the metadata entry `xattr` cannot be read; said only once");
                }
                Xattrs::default()
            }
        }
    }

    /// An inode whose attribute of that name may be changed, with its metadata known.
    async fn changeable<'n>(
        &self,
        ino: InodeNo,
        name: &'n OsStr,
    ) -> FsResult<(Arc<Inode>, &'n str)> {
        self.check_changeable(ino)?;
        if control::is_control(ino) {
            return Err(Meaning::NotPermitted.into());
        }
        let name = name.to_str().ok_or(Meaning::NotUtf8)?;
        if name == "user." {
            return Err(Meaning::Invalid.into());
        }
        if !is_user(name) || ino == InodeNo::ROOT {
            return Err(Meaning::NotSupported.into());
        }
        let inode = self.inode(ino)?;
        // As on every Linux file system: anybody may write to a link.
        if inode.kind == Kind::Symlink {
            return Err(Meaning::NotPermitted.into());
        }
        self.refuse_marker(&inode)?;
        inode.until_moved().await;
        // Others' metadata is kept when ours is changed, so it must be known.
        self.revalidate(&inode, self.ttl().min(Duration::from_secs(1))).await?;
        Ok((inode, name))
    }

    fn change_xattrs(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
        change: impl FnOnce(&mut Xattrs) -> Result<(), Meaning>,
    ) -> FsResult<()> {
        let later = {
            let mut state = inode.state();
            let before = self.xattrs_of(inode, &state);
            let mut now = before.clone();
            change(&mut now)?;
            if now == before {
                return Ok(());
            }
            let grows = now.bytes() > before.bytes();
            let kept = state.xattrs.replace(now);
            let limit = self.store.limits().metadata_bytes;
            let bytes = state.metadata_bytes_at_most(inode);
            if grows && bytes > limit {
                state.xattrs = kept;
                let detail = format!("{bytes} bytes of metadata; the service takes {limit}");
                return Err(FsError::with_detail(Meaning::NoSpace, detail));
            }
            state.attr.ctime = self.clock.now();
            match &state.writer {
                Some(writer) if writer.is_dirty() => {
                    writer.set_options(state.put_options(inode, false));
                    false
                }
                _ => !state.unlinked,
            }
        };
        if later {
            self.settle_later(inode);
        }
        Ok(())
    }
}

impl State {
    /// Bytes of metadata that the object may come to, whatever becomes of its owner, mode and time.
    fn metadata_bytes_at_most(&self, inode: &Inode) -> usize {
        let mut metadata = self.put_options(inode, true).metadata;
        for (name, value) in longest_entries() {
            metadata.set(name, value);
        }
        metadata.bytes_at_most()
    }
}

/// A name of the user's, or `None` for one that nothing here can have.
fn user_name(name: &OsStr) -> Option<&str> {
    name.to_str().filter(|name| is_user(name))
}
