//! read and write: the two operations that carry bytes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};

use crate::fs::FileSystem;
use crate::fs::error::{FsResult, Meaning};
use crate::fs::handle::{FileHandle, Handle, HandleNo};
use crate::fs::inode::{Inode, State};
use crate::read::FileReader;
use crate::store::{Metadata, PutOptions, Replaces};
use crate::write::{Base, FileWriter};

/// Where bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteAt {
    /// There.
    Offset(u64),
    /// Where the file ends by then (O_APPEND). The kernel may know an older size.
    End,
}

impl WriteAt {
    /// Where the bytes belong that follow `taken` ones.
    pub fn after(self, taken: usize) -> Self {
        match self {
            Self::Offset(offset) => Self::Offset(offset.saturating_add(taken as u64)),
            Self::End => Self::End,
        }
    }
}

impl From<u64> for WriteAt {
    fn from(offset: u64) -> Self {
        Self::Offset(offset)
    }
}

impl FileSystem {
    /// Takes as many bytes from the front of `data` as it can without waiting, and says how many. The
    /// rest goes through [`write`](Self::write).
    pub fn try_write(
        &self,
        handle: HandleNo,
        at: impl Into<WriteAt>,
        data: &[u8],
    ) -> FsResult<usize> {
        let handle = self.handles.get(handle)?;
        let file = handle.file()?;
        let writer = self.writer_for_write(file)?;
        if self.loans.lends(file.inode().ino) {
            return Ok(0);
        }
        let taken = match at.into() {
            WriteAt::Offset(offset) => writer.try_write(offset, data)?,
            WriteAt::End => writer.try_append(data)?,
        };
        self.touched(file);
        Ok(taken)
    }

    /// Writes all of `data`, waiting for memory if need be.
    pub async fn write(
        self: &Arc<Self>,
        handle: HandleNo,
        at: impl Into<WriteAt>,
        data: &[u8],
    ) -> FsResult<()> {
        let at = at.into();
        let handle = self.handles.get(handle)?;
        let file = handle.file()?;
        self.repay(file.inode()).await;
        let writer = self.writer_for_write(file)?;
        match at {
            WriteAt::Offset(offset) => writer.write(offset, data).await?,
            WriteAt::End => writer.append(data).await?,
        }
        self.touched(file);
        Ok(())
    }

    /// The handle's owner has changed the content.
    pub(in crate::fs) fn mark_written(&self, handle: HandleNo) -> FsResult<()> {
        self.handles.get(handle)?.file()?.wrote.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(in crate::fs) fn touched(&self, file: &FileHandle) {
        file.wrote.store(true, Ordering::Relaxed);
        let now = self.clock.now();
        let mut state = file.inode().state();
        state.attr.mtime = now;
        state.attr.ctime = now;
        state.mtime_set = false;
    }

    pub(in crate::fs) fn writer_for_write(&self, file: &FileHandle) -> FsResult<Arc<FileWriter>> {
        if !file.writes {
            return Err(Meaning::BadHandle.into());
        }
        // A request whose caller was let go may come here after the last release. Nobody would close what it begins.
        self.writer_if(file.inode(), |state| state.open_writers > 0)
    }

    /// The writer of an inode, made over its present content if there is none.
    pub(in crate::fs) fn writer(&self, inode: &Inode) -> FsResult<Arc<FileWriter>> {
        self.writer_if(inode, |_| true)
    }

    fn writer_if(
        &self,
        inode: &Inode,
        may_write: impl FnOnce(&State) -> bool,
    ) -> FsResult<Arc<FileWriter>> {
        let mut state = inode.state();
        if !may_write(&state) {
            return Err(Meaning::BadHandle.into());
        }
        if let Some(writer) = &state.writer {
            return Ok(Arc::clone(writer));
        }
        // Under the lock, so that a rename either sees this writer or is seen by it.
        let path = self.inodes.path(inode.ino).ok_or(Meaning::Stale)?;
        let key = path.file_key(self.store.limits())?;
        let base = match &state.object {
            Some(object) => Base::Object {
                key: key.clone(),
                version: object.version.clone(),
                checksum: object.checksum,
                copyable: self.store.limits().can_copy(object.appendable),
            },
            None => Base::Empty,
        };
        let options = state.put_options(inode, false);
        let patterns = &self.config.append_objects;
        let writer = match patterns.iter().any(|pattern| pattern.matches_key(key.as_str())) {
            true => self.writers.create_appendable(key, base, options),
            false => self.writers.create(key, base, options),
        };
        state.writer = Some(Arc::clone(&writer));
        state.taken = 0;
        state.failure_reported = false;
        // What readers now put into the kernel's cache may never be published.
        state.kernel_caches = None;
        Ok(writer)
    }

    /// [`read`](Self::read), when the bytes are in memory.
    pub fn try_read(&self, handle: HandleNo, offset: u64, len: u32) -> Option<FsResult<Bytes>> {
        let handle = match self.handles.get(handle) {
            Ok(handle) => handle,
            Err(error) => return Some(Err(error)),
        };
        match &*handle {
            Handle::Control(content) => Some(Ok(slice(content, offset, len))),
            Handle::File(file) => {
                let reader = self.reader(file).ok()??;
                let data = reader.try_read(offset, len)?;
                Some(Ok(data.into_contiguous()))
            }
            Handle::Directory(_) | Handle::Uploads(_) => Some(Err(Meaning::IsDirectory.into())),
        }
    }

    /// The bytes from `offset`, at most `len`; fewer only at the end of the file.
    pub async fn read(&self, handle: HandleNo, offset: u64, len: u32) -> FsResult<Bytes> {
        let handle = self.handles.get(handle)?;
        let file = handle.file()?;
        let seen = || {
            let state = file.inode().state();
            (state.commits, state.publications(), state.writer.is_some())
        };
        loop {
            let before = seen();
            match self.read_once(file, offset, len).await {
                // What replaced the object was ours: its bytes are read now.
                Err(error) if error.meaning() == Meaning::Stale && seen() != before => {}
                read => return read,
            }
        }
    }

    async fn read_once(&self, file: &FileHandle, offset: u64, len: u32) -> FsResult<Bytes> {
        match self.reader(file)? {
            Some(reader) => Ok(reader.read(offset, len).await?.into_contiguous()),
            None => {
                let writer = file.inode().state().writer.clone();
                match writer {
                    Some(writer) => {
                        let chunks = writer.read(offset, u64::from(len)).await?;
                        Ok(join(chunks))
                    }
                    // The writer ended between the two looks: read the object it left.
                    None => match self.reader(file)? {
                        Some(reader) => Ok(reader.read(offset, len).await?.into_contiguous()),
                        None => Err(Meaning::Stale.into()),
                    },
                }
            }
        }
    }

    /// The reader of a handle; `None` while the file is being changed and must be read through its
    /// writer.
    fn reader(&self, file: &FileHandle) -> FsResult<Option<Arc<FileReader>>> {
        let inode = file.inode();
        let mut slot = file.reader.lock();
        // Held to the end, so that a rename either finds this reader or is seen by it.
        let mut state = inode.state();
        if state.writer.is_some() {
            return Ok(None);
        }
        let Some(object) = &state.object else { return Err(Meaning::Stale.into()) };
        if let Some((made_at, reader)) = &*slot
            && *made_at == state.commits
        {
            return Ok(Some(Arc::clone(reader)));
        }
        let path = self.inodes.path(inode.ino).ok_or(Meaning::Stale)?;
        let key = path.file_key(self.store.limits())?;
        let reader = Arc::new(self.readers.open(key, object.version.clone()));
        state.readers.retain(|reader| reader.strong_count() > 0);
        state.readers.push(Arc::downgrade(&reader));
        let outdated = slot.replace((state.commits, Arc::clone(&reader)));
        drop((state, slot));
        drop(outdated);
        Ok(Some(reader))
    }
}

impl State {
    /// What is stored with the bytes: others' metadata as it was, our attributes, and the time of the
    /// last change when it is known by then (a PUT) or was set by the user.
    pub(in crate::fs) fn put_options(&self, inode: &Inode, with_mtime: bool) -> PutOptions {
        let object = self.object.as_ref();
        let mut metadata: Metadata =
            object.and_then(|object| object.metadata.clone()).unwrap_or_default();
        self.attr.store_owner_and_mode(inode.kind, &mut metadata);
        if with_mtime || self.mtime_set {
            self.attr.store_mtime(&mut metadata);
        } else {
            metadata.remove("mtime");
        }
        if let Some(xattrs) = &self.xattrs {
            xattrs.store(&mut metadata);
        }
        PutOptions {
            headers: object.map(|object| object.headers.clone()).unwrap_or_default(),
            storage_class: object.and_then(|object| object.storage_class.clone()),
            metadata,
            replaces: Replaces::nothing_if(self.exclusive && object.is_none()),
        }
    }
}

fn slice(content: &Bytes, offset: u64, len: u32) -> Bytes {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
    let end = start.saturating_add(len as usize).min(content.len());
    content.slice(start..end)
}

fn join(mut chunks: Vec<Bytes>) -> Bytes {
    if chunks.len() == 1 {
        return chunks.swap_remove(0);
    }
    let mut joined = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        joined.extend_from_slice(&chunk);
    }
    joined.freeze()
}
