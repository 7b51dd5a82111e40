//! create, mkdir, symlink: new names.

use std::ffi::OsStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::fs::FileSystem;
use crate::fs::attr::{Attr, Kind};
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::{Inode, InodeNo, Listing, Object};
use crate::fs::name::Name;
use crate::fs::ops::attributes::TARGET_BYTES;
use crate::fs::ops::lookup::Entry;
use crate::fs::ops::open::{OpenMode, Opened};
use crate::fs::ops::settle::DIRECTORY_TYPE;
use crate::store::{Metadata, Payload, PutOptions, Replaces, StandardHeaders};

/// Who makes something, and with which permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maker {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Process or thread.
    pub pid: u32,
    /// Permission bits, the caller's umask already taken away.
    pub mode: u32,
}

impl FileSystem {
    /// [`create`](Self::create), when memory knows that the name is free.
    pub fn try_create(
        self: &Arc<Self>,
        parent: InodeNo,
        name: &OsStr,
        maker: Maker,
        exclusive: bool,
    ) -> Option<FsResult<(Entry, Opened)>> {
        let answer = (|| {
            self.check_writable()?;
            let parent = self.directory(parent)?;
            check_control(self, &parent, name)?;
            let Some(name) = self.recall_name(&parent, name)? else { return Ok(None) };
            let name = name.ok_or(Meaning::Invalid)?;
            match self.recall(&parent, &name) {
                Some(None) => self.create_new(&parent, &name, maker, exclusive).map(Some),
                Some(Some(_)) | None => Ok(None),
            }
        })();
        answer.transpose()
    }

    /// Creates a file and opens it for writing. Makes no request: the object appears with the commit.
    /// A file that exists is opened (and with `exclusive` refused with [`Meaning::Exists`]). What is made
    /// `exclusive` replaces nothing that others have stored meanwhile, where the service can promise that:
    /// its commit is refused then.
    pub async fn create(
        self: &Arc<Self>,
        parent: InodeNo,
        name: &OsStr,
        maker: Maker,
        mode: OpenMode,
        exclusive: bool,
    ) -> FsResult<(Entry, Opened)> {
        self.check_writable()?;
        let parent = self.directory(parent)?;
        check_control(self, &parent, name)?;
        let name = self.new_name(&parent, name).await?;
        match self.resolve(&parent, &name).await? {
            None => self.create_new(&parent, &name, maker, exclusive),
            Some(inode) if exclusive => {
                self.forget_unused(&inode);
                Err(Meaning::Exists.into())
            }
            Some(inode) => {
                let opened = self.open(inode.ino, mode, maker.pid).await?;
                self.inodes.remember(inode.ino);
                Ok((self.entry(&inode), opened))
            }
        }
    }

    fn create_new(
        self: &Arc<Self>,
        parent: &Inode,
        name: &Name,
        maker: Maker,
        exclusive: bool,
    ) -> FsResult<(Entry, Opened)> {
        let inode = self.new_file(parent, name, maker, exclusive)?;
        let mode = OpenMode { write: true, truncate: false };
        let opened = match self.add_handle(&inode, mode, maker.pid) {
            Ok(opened) => opened,
            Err(error) => {
                self.unmake(parent, name, &inode);
                return Err(error);
            }
        };
        // To create is to write: an empty file too is published by the close of its maker.
        self.mark_written(opened.handle)?;
        self.inodes.remember(inode.ino);
        // The first write shows the kernel that there is more to ask; until then the name holds, which
        // saves a lookup to who sets attributes by it.
        Ok((Entry { ttl: self.ttl(), ..self.entry(&inode) }, opened))
    }

    /// A file that was made just now is not opened, because the mount ends: nobody would close it.
    fn unmake(&self, parent: &Inode, name: &Name, inode: &Inode) {
        let mut state = inode.state();
        if state.open_writers > 0 || state.open_readers > 0 {
            return;
        }
        state.unlinked = true;
        let writer = state.writer.take();
        drop(state);
        drop(writer);
        self.inodes.detach(parent.ino, name);
        parent.state().name_removed(name, self.clock.now());
    }

    /// A file that nobody has stored yet: its writer is dirty from the start.
    fn new_file(
        &self,
        parent: &Inode,
        name: &Name,
        maker: Maker,
        exclusive: bool,
    ) -> FsResult<Arc<Inode>> {
        name.check_new(parent.ino, Kind::File)?;
        self.check_key(parent, name, Kind::File)?;
        let attr = Attr::new(Kind::File, maker.mode, maker.uid, maker.gid, self.clock.now());
        let inode = self.inodes.obtain(parent.ino, name, Kind::File, false, || (attr, None));
        inode.state().exclusive = exclusive;
        self.writer(&inode)?;
        parent.state().name_added(name, Kind::File, self.clock.now());
        Ok(inode)
    }

    /// Creates an empty file without opening it (`mknod`): stored when this returns.
    pub async fn make_file(
        self: &Arc<Self>,
        parent: InodeNo,
        name: &OsStr,
        maker: Maker,
    ) -> FsResult<Entry> {
        let (parent, name) = self.free_name(parent, name, Kind::File).await?;
        let inode = self.new_file(&parent, &name, maker, true)?;
        self.inodes.remember(inode.ino);
        let hold = self.hold_writer(&inode);
        let done = self.commit(&inode).await;
        hold.end(done.is_err()).await;
        match done {
            Ok(()) => Ok(self.entry(&inode)),
            Err(error) => {
                self.forget(inode.ino, 1);
                Err(error)
            }
        }
    }

    /// Makes a directory: a marker object, stored when this returns.
    pub async fn mkdir(
        self: &Arc<Self>,
        parent: InodeNo,
        name: &OsStr,
        maker: Maker,
    ) -> FsResult<Entry> {
        let _entered = self.enter(&[parent]).await;
        let (parent, name) = self.free_name(parent, name, Kind::Directory).await?;
        let attr = Attr::new(Kind::Directory, maker.mode, maker.uid, maker.gid, self.clock.now());
        let path = self.inodes.path(parent.ino).ok_or(Meaning::NotFound)?.child(&name);
        let key = path.marker_key(self.store.limits())?;
        let object = self.put_marker(&key, &attr).await;
        let object = object.inspect_err(|error| self.doubt_names(&parent, error))?;
        self.known.put(key.as_str(), &object);
        let entry = attr.clone();
        let inode = self
            .inodes
            .obtain(parent.ino, &name, Kind::Directory, true, || (entry, Some(object.clone())));
        {
            let mut state = inode.state();
            let now = tokio::time::Instant::now();
            state.attr = attr;
            state.object = Some(object);
            state.checked = Some(now);
            state.marker = Some(true);
            state.listing = Some(Listing { at: now, names: Default::default() });
        }
        parent.state().name_added(&name, Kind::Directory, self.clock.now());
        Ok(self.entry(&inode))
    }

    async fn put_marker(&self, key: &crate::store::Key, attr: &Attr) -> FsResult<Object> {
        let mut metadata = Metadata::new();
        attr.store_owner_and_mode(Kind::Directory, &mut metadata);
        attr.store_mtime(&mut metadata);
        let headers = StandardHeaders::of_type(DIRECTORY_TYPE);
        // Programs take a lock by making a directory or a link.
        let options =
            PutOptions { headers, metadata, replaces: Replaces::Nothing, ..PutOptions::default() };
        let version = self.store.put(key, Payload::default(), &options).await?;
        Ok(Object::from_ours(version, options))
    }

    /// Makes a symbolic link, stored when this returns: the target is the content, the mode says what
    /// it is (the convention of s3fs, cosfs and ossfs).
    pub async fn symlink(
        self: &Arc<Self>,
        parent: InodeNo,
        name: &OsStr,
        target: &OsStr,
        maker: Maker,
    ) -> FsResult<Entry> {
        let _entered = self.enter(&[parent]).await;
        let (parent, name) = self.free_name(parent, name, Kind::Symlink).await?;
        let target = target.to_str().ok_or(Meaning::NotUtf8)?;
        if target.len() as u64 > TARGET_BYTES {
            return Err(Meaning::NameTooLong.into());
        }
        let mut attr = Attr::new(Kind::Symlink, 0o777, maker.uid, maker.gid, self.clock.now());
        attr.size = target.len() as u64;
        let path = self.inodes.path(parent.ino).ok_or(Meaning::NotFound)?.child(&name);
        let key = path.file_key(self.store.limits())?;
        let mut options = PutOptions { replaces: Replaces::Nothing, ..PutOptions::default() };
        attr.store_owner_and_mode(Kind::Symlink, &mut options.metadata);
        attr.store_mtime(&mut options.metadata);
        let payload = Payload::from(Bytes::copy_from_slice(target.as_bytes()));
        let stored = self.store.put(&key, payload, &options).await.map_err(FsError::from);
        let version = stored.inspect_err(|error| self.doubt_names(&parent, error))?;
        let object = Object::from_ours(version, options);
        self.known.put(key.as_str(), &object);
        let inode =
            self.inodes.obtain(parent.ino, &name, Kind::Symlink, true, || (attr, Some(object)));
        {
            let mut state = inode.state();
            state.checked = Some(tokio::time::Instant::now());
            state.target = Some(target.into());
        }
        parent.state().name_added(&name, Kind::Symlink, self.clock.now());
        Ok(self.entry(&inode))
    }

    /// A directory we may change and a name in it that nothing has, for something of this kind.
    async fn free_name(
        &self,
        parent: InodeNo,
        name: &OsStr,
        kind: Kind,
    ) -> FsResult<(Arc<Inode>, Name)> {
        self.check_writable()?;
        let parent = self.directory(parent)?;
        check_control(self, &parent, name)?;
        let name = self.new_name(&parent, name).await?;
        self.check_key(&parent, &name, kind)?;
        match self.resolve(&parent, &name).await? {
            None => {
                name.check_new(parent.ino, kind)?;
                Ok((parent, name))
            }
            Some(inode) => {
                self.forget_unused(&inode);
                Err(Meaning::Exists.into())
            }
        }
    }

    /// A name turned out to exist that we believed to be free: what is known of the directory's names is
    /// not believed any more.
    pub(in crate::fs) fn doubt_names(&self, parent: &Inode, error: &FsError) {
        if error.meaning() == Meaning::Exists {
            let mut state = parent.state();
            state.names_changed += 1;
            state.listing = None;
        }
    }

    /// Refuses a name whose key the service cannot store, before anything is made.
    fn check_key(&self, parent: &Inode, name: &Name, kind: Kind) -> FsResult<()> {
        let path = self.inodes.path(parent.ino).ok_or(Meaning::NotFound)?.child(name);
        if kind == Kind::Directory || name.is_marker() {
            return path.marker_key(self.store.limits()).map(drop);
        }
        path.file_key(self.store.limits()).map(drop)
    }
}

/// The control directory exists.
fn check_control(fs: &FileSystem, parent: &Inode, name: &OsStr) -> FsResult<()> {
    let exists = crate::fs::control::is_name(fs, parent.ino, name);
    if exists { Err(Meaning::Exists.into()) } else { Ok(()) }
}
