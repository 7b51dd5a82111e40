//! rename: a copy on the server, then the removal of the source. An error leaves the source as it was.

use std::ffi::OsStr;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::fs::FileSystem;
use crate::fs::attr::Kind;
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::{Inode, InodeNo, Object};
use crate::fs::name::{Name, TreePath};
use crate::store::{CopyOptions, Key, ListRequest, ListedObject, PutOptions, copy_object};

/// So many objects of a directory are copied at once.
const PARALLEL: usize = 16;

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
    /// moment. Of a directory: not atomic; after an error the source is complete, and the same call
    /// again finishes the work. An open file follows its name.
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
        let (old_parent, old_name) = (self.directory(from.0)?, Name::from_kernel(from.1)?);
        let (new_parent, new_name) = (self.directory(to.0)?, Name::from_kernel(to.1)?);
        if new_parent.ino == InodeNo::ROOT && new_name.as_str() == crate::fs::control::NAME {
            return Err(Meaning::NotPermitted.into());
        }
        let source = self.resolve(&old_parent, &old_name).await?.ok_or(Meaning::NotFound)?;
        let target = self.resolve(&new_parent, &new_name).await?;
        if target.is_some() && flags.no_replace {
            return Err(Meaning::Exists.into());
        }
        if target.as_ref().is_some_and(|target| target.ino == source.ino) {
            return Ok(());
        }
        let new_path = self.inodes.path(new_parent.ino).ok_or(Meaning::NotFound)?.child(&new_name);
        if let Some(target) = &target {
            self.check_replaceable(&source, target, &new_path).await?;
        }
        self.keep_directory(&old_parent).await?;
        let place = Move { old_parent, old_name, new_parent, new_name, new_path };
        match source.kind {
            Kind::File | Kind::Symlink => self.move_file(&source, target, &place).await,
            Kind::Directory => self.move_directory(&source, target, &place).await,
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
        // each other.
        let first_target = target.as_ref().filter(|target| target.ino < source.ino);
        let _before = match first_target {
            Some(target) => Some(target.turn.lock().await),
            None => None,
        };
        let _turn = source.turn.lock().await;
        let _after = match target.as_ref().filter(|target| target.ino > source.ino) {
            Some(target) => Some(target.turn.lock().await),
            None => None,
        };
        let old_path = self.inodes.path(source.ino).ok_or(Meaning::NotFound)?;
        let old_key = old_path.file_key(self.store.limits())?;
        let new_key = place.new_path.file_key(self.store.limits())?;
        let stored = self.move_content(source, &old_key, &new_key).await?;
        if let Some(target) = &target {
            self.let_go(target).await;
        }
        self.move_name(source, place);
        if stored {
            let (version, readers) = {
                let mut state = source.state();
                (state.object.as_ref().map(|o| o.version.clone()), state.live_readers())
            };
            if let Some(version) = version {
                for reader in readers {
                    reader.retarget(new_key.clone(), version.clone());
                }
            }
            self.store.delete(&old_key).await?;
        }
        self.known.forget(old_key.as_str());
        Ok(())
    }

    /// Brings the content of a file to its new key. Says whether there is an object at the old key
    /// that must go.
    async fn move_content(
        self: &Arc<Self>,
        source: &Arc<Inode>,
        old_key: &Key,
        new_key: &Key,
    ) -> FsResult<bool> {
        let writer = source.state().writer.clone();
        if let Some(writer) = writer.filter(|writer| writer.is_dirty()) {
            let never_stored = source.state().object.is_none();
            if never_stored && writer.retarget(new_key.clone(), None).await.is_ok() {
                return Ok(false);
            }
            self.commit_in_turn(source).await?;
        }
        let (object, replace) = {
            let state = source.state();
            let replace = state.attr_pending.then(|| state.put_options(source, true));
            (state.object.clone(), replace)
        };
        let object = object.ok_or(Meaning::Stale)?;
        let copy = CopyOptions { if_match: Some(object.version.etag.clone()), replace };
        let size = object.version.size;
        let version = copy_object(&*self.store, old_key, new_key, size, &copy).await?;
        if version.size != size {
            let detail = format!("the copy has {} bytes, the source {size}", version.size);
            return Err(FsError::with_detail(Meaning::Io, detail));
        }
        let writer = source.state().writer.clone();
        if let Some(writer) = writer {
            // Clean by now: what it rests on has moved.
            let moved = (version.clone(), object.checksum);
            writer.retarget(new_key.clone(), Some(moved)).await?;
        }
        let mut state = source.state();
        let moved = match copy.replace {
            Some(PutOptions { metadata, content_type, .. }) => {
                state.attr_pending = false;
                Object {
                    version,
                    last_modified: None,
                    metadata: Some(metadata),
                    content_type,
                    ..object
                }
            }
            None => Object { version, last_modified: None, ..object },
        };
        self.known.put(new_key.as_str(), &moved);
        state.object = Some(moved);
        state.checked = Some(tokio::time::Instant::now());
        Ok(true)
    }

    async fn move_directory(
        self: &Arc<Self>,
        source: &Arc<Inode>,
        target: Option<Arc<Inode>>,
        place: &Move,
    ) -> FsResult<()> {
        let _turn = source.turn.lock().await;
        let old_path = self.inodes.path(source.ino).ok_or(Meaning::NotFound)?;
        let (old_prefix, new_prefix) = (old_path.key_prefix(), place.new_path.key_prefix());
        if new_prefix.starts_with(&old_prefix) {
            return Err(Meaning::Invalid.into());
        }
        place.new_path.marker_key(self.store.limits())?;
        // What is only in memory must be in the bucket before the bucket's keys are copied.
        for inode in self.inodes.descendants(source.ino) {
            self.commit(&inode).await?;
            self.settle(&inode).await?;
        }
        self.settle_in_turn(source).await?;
        self.keep_directory(source).await?;
        let keys = self.copy_tree(&old_prefix, &new_prefix).await?;
        if let Some(target) = &target {
            target.state().unlinked = true;
        }
        self.move_name(source, place);
        for inode in self.inodes.descendants(source.ino) {
            self.follow_directory(&inode).await?;
        }
        self.delete_keys(keys).await?;
        Ok(())
    }

    /// Copies every object below a prefix and returns the keys of the sources.
    async fn copy_tree(&self, old_prefix: &str, new_prefix: &str) -> FsResult<Vec<Key>> {
        let mut keys = Vec::new();
        let mut request = ListRequest { prefix: old_prefix.to_owned(), ..ListRequest::default() };
        loop {
            let page = self.store.list(&request).await?;
            // Collected first: a stream over a borrowing closure is not `Send` for all lifetimes.
            let copies: Vec<_> = page
                .objects
                .iter()
                .map(|object| self.copy_one(object, old_prefix, new_prefix))
                .collect();
            stream::iter(copies).buffer_unordered(PARALLEL).try_collect::<()>().await?;
            keys.extend(page.objects.into_iter().map(|object| object.key));
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(keys),
            }
        }
    }

    async fn copy_one(
        &self,
        object: &ListedObject,
        old_prefix: &str,
        new_prefix: &str,
    ) -> FsResult<()> {
        let rest = object.key.as_str().strip_prefix(old_prefix).ok_or_else(|| {
            FsError::with_detail(Meaning::Io, "a listing held a key outside its prefix")
        })?;
        let new_key = format!("{new_prefix}{rest}");
        if new_key.len() > self.store.limits().key_bytes {
            return Err(Meaning::NameTooLong.into());
        }
        let new_key = Key::new(new_key)
            .map_err(|invalid| FsError::with_detail(Meaning::Io, invalid.to_string()))?;
        let options = CopyOptions { if_match: Some(object.etag.clone()), replace: None };
        copy_object(&*self.store, &object.key, &new_key, object.size, &options).await?;
        Ok(())
    }

    /// A file below a renamed directory: its writer and readers learn the new key.
    async fn follow_directory(&self, inode: &Arc<Inode>) -> FsResult<()> {
        let Some(path) = self.inodes.path(inode.ino) else { return Ok(()) };
        if inode.kind == Kind::Directory {
            return Ok(());
        }
        let key = path.file_key(self.store.limits())?;
        let (writer, readers) = {
            let mut state = inode.state();
            state.checked = None;
            (state.writer.clone(), state.live_readers())
        };
        if writer.is_none() && readers.is_empty() {
            return Ok(());
        }
        // The copy may have another ETag than its source.
        let Some(object) = self.find_object(&path).await? else { return Ok(()) };
        if let Some(writer) = writer {
            let moved = (object.version.clone(), object.checksum);
            writer.retarget(key.clone(), Some(moved)).await?;
        }
        for reader in readers {
            reader.retarget(key.clone(), object.version.clone());
        }
        inode.state().object = Some(object);
        Ok(())
    }

    async fn delete_keys(&self, keys: Vec<Key>) -> FsResult<()> {
        // The marker goes last: while anything is left, the directory can be seen and renamed again.
        let batches: Vec<Vec<Key>> = keys
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .chunks(self.store.limits().delete_batch.max(1))
            .map(<[Key]>::to_vec)
            .collect();
        for batch in batches {
            for key in &batch {
                self.known.forget(key.as_str());
            }
            if let Some((_, error)) = self.store.delete_many(&batch).await?.into_iter().next() {
                return Err(FsError::from(error));
            }
        }
        Ok(())
    }

    fn move_name(&self, source: &Inode, place: &Move) {
        self.inodes.rename(
            (place.old_parent.ino, &place.old_name),
            (place.new_parent.ino, &place.new_name),
        );
        place.old_parent.state().name_removed(&place.old_name);
        place.new_parent.state().name_added(&place.new_name, source.kind);
    }
}

/// From where to where.
struct Move {
    old_parent: Arc<Inode>,
    old_name: Name,
    new_parent: Arc<Inode>,
    new_name: Name,
    new_path: TreePath,
}
