//! Open files and directories.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use crate::fs::control::uploads::UploadsHandle;
use crate::fs::error::{FsResult, Meaning};
use crate::fs::inode::Inode;
use crate::fs::inodes::Pin;
use crate::fs::ops::dir::DirStream;
use crate::fs::ordered::{LEAF, Ordered, READER};
use crate::read::FileReader;

/// Number of a handle, as the kernel passes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandleNo(pub u64);

/// Something open.
#[derive(Debug)]
pub enum Handle {
    /// A file.
    File(FileHandle),
    /// A directory.
    Directory(DirHandle),
    /// A file of the control directory: its content when it was opened.
    Control(Bytes),
    /// A folder of uploads.
    Uploads(UploadsHandle),
}

/// An open file.
#[derive(Debug)]
pub struct FileHandle {
    pub(super) pin: Pin,
    /// Whether it was opened for writing.
    pub(super) writes: bool,
    /// The process that opened it; 0 when unknown.
    pub(super) opener: u32,
    /// Whether anything was written through it.
    pub(super) wrote: AtomicBool,
    /// Whether the process that closed it last, or a duplicate of it, was killed.
    pub(super) killed: AtomicBool,
    /// Whether each change through it is published before the call returns (O_SYNC, O_DSYNC).
    pub(super) durable: AtomicBool,
    /// The reader, and the number of our own commits when it was made.
    pub(super) reader: Ordered<Option<(u64, Arc<FileReader>)>, READER>,
}

impl FileHandle {
    pub(super) fn new(pin: Pin, writes: bool, opener: u32) -> Self {
        Self {
            pin,
            writes,
            opener,
            wrote: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            durable: AtomicBool::new(false),
            reader: Ordered::new(None),
        }
    }

    /// The file.
    pub(super) fn inode(&self) -> &Arc<Inode> {
        self.pin.inode()
    }
}

/// An open directory.
#[derive(Debug)]
pub struct DirHandle {
    pub(super) pin: Pin,
    pub(super) stream: tokio::sync::Mutex<DirStream>,
}

/// All handles of a mount.
#[derive(Debug)]
pub(super) struct Handles {
    open: Ordered<HashMap<HandleNo, Arc<Handle>>, LEAF>,
    next: AtomicU64,
}

impl Handles {
    pub(super) fn new() -> Self {
        Self { open: Ordered::default(), next: AtomicU64::new(1) }
    }

    pub(super) fn add(&self, handle: Handle) -> HandleNo {
        let number = HandleNo(self.next.fetch_add(1, Ordering::Relaxed));
        self.open.lock().insert(number, Arc::new(handle));
        number
    }

    pub(super) fn get(&self, number: HandleNo) -> FsResult<Arc<Handle>> {
        self.open.lock().get(&number).cloned().ok_or_else(|| Meaning::BadHandle.into())
    }

    pub(super) fn remove(&self, number: HandleNo) -> Option<Arc<Handle>> {
        self.open.lock().remove(&number)
    }

    /// All of them, in the order in which they were opened.
    pub(super) fn all(&self) -> Vec<(HandleNo, Arc<Handle>)> {
        let open = self.open.lock();
        let mut all: Vec<_> = open.iter().map(|(number, it)| (*number, Arc::clone(it))).collect();
        all.sort_by_key(|(number, _)| number.0);
        all
    }

    pub(super) fn count(&self) -> usize {
        self.open.lock().len()
    }
}

impl Handle {
    /// As a file.
    pub(super) fn file(&self) -> FsResult<&FileHandle> {
        match self {
            Self::File(handle) => Ok(handle),
            Self::Directory(_) | Self::Uploads(_) => Err(Meaning::IsDirectory.into()),
            Self::Control(_) => Err(Meaning::ReadOnly.into()),
        }
    }

    /// As a directory.
    pub(super) fn directory(&self) -> FsResult<&DirHandle> {
        match self {
            Self::Directory(handle) => Ok(handle),
            Self::File(_) | Self::Control(_) | Self::Uploads(_) => {
                Err(Meaning::NotDirectory.into())
            }
        }
    }
}
