//! `.partfs`, the control directory at the root of the mount: not listed, but it can be entered. So
//! far it has one file, `status.json`.
//!
//! A key `.partfs` or `.partfs/…` in the bucket is shown as `@partfs:.partfs` (`shown.rs`).

use std::ffi::OsStr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::fs::attr::{Attr, Kind};
use crate::fs::error::{FsResult, Meaning};
use crate::fs::handle::HandleNo;
use crate::fs::inode::InodeNo;
use crate::fs::ops::dir::DirItem;
use crate::fs::ops::lookup::Entry;
use crate::fs::ops::open::{OpenMode, Opened};
use crate::fs::ops::rename_progress::RenameStatus;
use crate::fs::{FileSystem, WaitStatus};
use crate::panics;

/// Name of the directory.
pub const NAME: &str = ".partfs";
/// Name of the status file in it.
pub const STATUS_NAME: &str = "status.json";

/// What `status.json` says.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Process number of the daemon.
    pub pid: u32,
    /// Version of partfs.
    pub version: &'static str,
    /// What is mounted.
    pub source: String,
    /// Files and directories open.
    pub open_handles: usize,
    /// Inodes in memory.
    pub inodes: usize,
    /// Work that goes on after its caller was answered.
    pub background_tasks: usize,
    /// Multipart uploads that are being filled.
    pub uploads_open: usize,
    /// Uploads that were cut off and are kept to be continued.
    pub uploads_left_over: usize,
    /// Bytes that reads and writes may hold together.
    pub memory_limit_bytes: u64,
    /// Bytes of that which nobody holds now.
    pub memory_free_bytes: u64,
    /// Files that were not published because the process that wrote them was killed.
    pub killed_writers: u64,
    /// Keys met in listings that are not shown, because the listing has cut them at other places than it
    /// was asked to.
    pub hidden_keys: u64,
    /// Panics of the daemon, each of which has cost one request.
    pub panics: u64,
    /// Requests of programs that wait for an answer, the oldest first.
    pub waiting: Vec<WaitStatus>,
    /// Renames of directories that are under way, the oldest first.
    pub renames: Vec<RenameStatus>,
}

/// Whether an inode belongs to the control directory.
pub(super) fn is_control(ino: InodeNo) -> bool {
    ino == InodeNo::CONTROL || ino == InodeNo::STATUS
}

/// Whether a name is that of the control directory.
pub(super) fn is_name(parent: InodeNo, name: &OsStr) -> bool {
    parent == InodeNo::ROOT && name == NAME
}

/// Refuses to remove or move the control directory.
pub(super) fn refuse(parent: InodeNo, name: &OsStr) -> FsResult<()> {
    if is_name(parent, name) { Err(Meaning::NotPermitted.into()) } else { Ok(()) }
}

/// Attributes of a control inode.
pub(super) fn entry(fs: &FileSystem, ino: InodeNo) -> Option<Entry> {
    let (kind, permissions) = match ino {
        InodeNo::CONTROL => (Kind::Directory, 0o555),
        InodeNo::STATUS => (Kind::File, 0o444),
        _ => return None,
    };
    let mut attr = Attr::new(kind, permissions, fs.config.uid, fs.config.gid, fs.clock.now());
    if kind == Kind::File {
        attr.size = status(fs).len() as u64;
    }
    Some(Entry { ino, kind, attr, ttl: Duration::ZERO })
}

/// The entry of a control name; `None` for every other name.
pub(super) fn lookup(fs: &FileSystem, parent: InodeNo, name: &OsStr) -> Option<FsResult<Entry>> {
    match (parent, name.to_str()) {
        (InodeNo::ROOT, Some(NAME)) => entry(fs, InodeNo::CONTROL).map(Ok),
        (InodeNo::CONTROL, Some(STATUS_NAME)) => entry(fs, InodeNo::STATUS).map(Ok),
        (InodeNo::CONTROL, _) => Some(Err(Meaning::NotFound.into())),
        (InodeNo::STATUS, _) => Some(Err(Meaning::NotDirectory.into())),
        _ => None,
    }
}

/// Opens a control file: its content is made now and does not change while it is open.
pub(super) fn open(fs: &FileSystem, ino: InodeNo, mode: OpenMode) -> Option<FsResult<Opened>> {
    match ino {
        InodeNo::CONTROL => Some(Err(Meaning::IsDirectory.into())),
        InodeNo::STATUS if mode.write => Some(Err(Meaning::AccessDenied.into())),
        InodeNo::STATUS => {
            let handle = fs.add_control_handle(status(fs));
            Some(Ok(Opened { handle, direct_io: true, keep_cache: false }))
        }
        _ => None,
    }
}

/// Opens the control directory.
pub(super) fn opendir(fs: &FileSystem, ino: InodeNo) -> Option<HandleNo> {
    (ino == InodeNo::CONTROL).then(|| fs.add_control_handle(Bytes::new()))
}

/// The entries of the control directory from `offset` on.
pub(super) fn readdir(fs: &FileSystem, offset: u64) -> Vec<DirItem> {
    let names = [(".", InodeNo::CONTROL), ("..", InodeNo::CONTROL), (STATUS_NAME, InodeNo::STATUS)];
    let items = names.into_iter().zip(1..).filter(|(_, next_offset)| *next_offset > offset);
    items
        .filter_map(|((name, ino), next_offset)| {
            let entry = entry(fs, ino)?;
            Some(DirItem { name: name.into(), next_offset, entry, counted: false })
        })
        .collect()
}

fn status(fs: &FileSystem) -> Bytes {
    let writes = fs.writers.stats();
    let status = Status {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        source: fs.config.source.clone(),
        open_handles: fs.handles.count(),
        inodes: fs.inodes.len(),
        background_tasks: fs.background.count(),
        uploads_open: writes.uploads_open,
        uploads_left_over: writes.leftovers,
        memory_limit_bytes: fs.budget.limit_bytes(),
        memory_free_bytes: fs.budget.free_bytes(),
        killed_writers: fs.killed_writers.load(Ordering::Relaxed),
        hidden_keys: fs.hidden_keys.load(Ordering::Relaxed),
        panics: panics::count(),
        waiting: fs.waiting.all(),
        renames: fs.renames.running(),
    };
    // Numbers and text only: cannot fail; an empty file would say so all the same.
    let mut text = serde_json::to_vec_pretty(&status).unwrap_or_default();
    text.push(b'\n');
    text.into()
}
