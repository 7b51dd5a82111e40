//! `.partfs`, the control directory at the root of the mount: not listed, but it can be entered. It has
//! `status.json` ([`status`]), `metrics` (`numbers`) and `uploads` ([`uploads`]). Here is what is the same in every mount; an option takes it
//! away as a whole.
//!
//! A key `.partfs` or `.partfs/…` in the bucket is shown as `@partfs:.partfs` (`shown.rs`), with it or without.

mod numbers;
pub mod status;
pub mod uploads;

use std::ffi::OsStr;
use std::time::Duration;

use bytes::Bytes;

use self::status::status;
use crate::fs::FileSystem;
use crate::fs::attr::{Attr, Kind};
use crate::fs::error::{FsResult, Meaning};
use crate::fs::handle::HandleNo;
use crate::fs::inode::InodeNo;
use crate::fs::ops::dir::DirItem;
use crate::fs::ops::lookup::Entry;
use crate::fs::ops::open::{OpenMode, Opened};

/// Name of the directory.
pub const NAME: &str = ".partfs";
/// Name of the status file in it.
pub const STATUS_NAME: &str = "status.json";
/// Name of the file of metrics in it.
pub const METRICS_NAME: &str = "metrics";
/// Name of the directory of uploads in it.
pub const UPLOADS_NAME: &str = "uploads";

/// Whether an inode belongs to the control directory.
pub(super) fn is_control(ino: InodeNo) -> bool {
    matches!(ino, InodeNo::CONTROL | InodeNo::STATUS | InodeNo::METRICS) || uploads::is_node(ino)
}

/// Whether a name is that of the control directory.
pub(super) fn is_name(fs: &FileSystem, parent: InodeNo, name: &OsStr) -> bool {
    fs.config.control_dir && parent == InodeNo::ROOT && name == NAME
}

/// Refuses to remove or move the control directory and what is in it.
pub(super) fn refuse(fs: &FileSystem, parent: InodeNo, name: &OsStr) -> FsResult<()> {
    let refused = is_name(fs, parent, name) || parent == InodeNo::CONTROL;
    if refused { Err(Meaning::NotPermitted.into()) } else { Ok(()) }
}

/// Attributes of a control inode.
pub(super) fn entry(fs: &FileSystem, ino: InodeNo) -> Option<Entry> {
    let (kind, permissions) = match ino {
        InodeNo::CONTROL => (Kind::Directory, 0o555),
        InodeNo::UPLOADS => (Kind::Directory, 0o700),
        // It names files, which may lie in directories that not everybody may enter.
        InodeNo::STATUS => (Kind::File, 0o400),
        InodeNo::METRICS => (Kind::File, 0o444),
        _ => return None,
    };
    let mut attr = Attr::new(kind, permissions, fs.config.uid, fs.config.gid, fs.clock.now());
    if let Some(content) = content(fs, ino) {
        attr.size = content.len() as u64;
    }
    Some(Entry { ino, kind, attr, ttl: Duration::ZERO })
}

/// What a file has in it now.
fn content(fs: &FileSystem, ino: InodeNo) -> Option<Bytes> {
    match ino {
        InodeNo::STATUS => Some(status(fs)),
        InodeNo::METRICS => Some(numbers::text(fs)),
        _ => None,
    }
}

/// The entry of a control name; `None` for every other name.
pub(super) fn lookup(fs: &FileSystem, parent: InodeNo, name: &OsStr) -> Option<FsResult<Entry>> {
    match (parent, name.to_str()) {
        (InodeNo::ROOT, Some(NAME)) if fs.config.control_dir => entry(fs, InodeNo::CONTROL).map(Ok),
        (InodeNo::CONTROL, Some(STATUS_NAME)) => entry(fs, InodeNo::STATUS).map(Ok),
        (InodeNo::CONTROL, Some(METRICS_NAME)) => entry(fs, InodeNo::METRICS).map(Ok),
        (InodeNo::CONTROL, Some(UPLOADS_NAME)) => entry(fs, InodeNo::UPLOADS).map(Ok),
        (InodeNo::CONTROL, _) => Some(Err(Meaning::NotFound.into())),
        (InodeNo::STATUS | InodeNo::METRICS, _) => Some(Err(Meaning::NotDirectory.into())),
        _ => None,
    }
}

/// Opens a control file: its content is made now and does not change while it is open.
pub(super) fn open(fs: &FileSystem, ino: InodeNo, mode: OpenMode) -> Option<FsResult<Opened>> {
    match ino {
        InodeNo::CONTROL | InodeNo::UPLOADS => Some(Err(Meaning::IsDirectory.into())),
        _ => {
            let content = content(fs, ino)?;
            if mode.write {
                return Some(Err(Meaning::AccessDenied.into()));
            }
            let handle = fs.add_control_handle(content);
            Some(Ok(Opened { handle, direct_io: true, keep_cache: false }))
        }
    }
}

/// Opens the control directory, or one below it.
pub(super) fn opendir(fs: &FileSystem, ino: InodeNo) -> Option<FsResult<HandleNo>> {
    if uploads::is_node(ino) {
        return Some(uploads::opendir(fs, ino));
    }
    (ino == InodeNo::CONTROL).then(|| Ok(fs.add_control_handle(Bytes::new())))
}

/// The entries of the control directory from `offset` on.
pub(super) fn readdir(fs: &FileSystem, offset: u64) -> Vec<DirItem> {
    let names = [
        (".", InodeNo::CONTROL),
        ("..", InodeNo::CONTROL),
        (STATUS_NAME, InodeNo::STATUS),
        (METRICS_NAME, InodeNo::METRICS),
        (UPLOADS_NAME, InodeNo::UPLOADS),
    ];
    let items = names.into_iter().zip(1..).filter(|(_, next_offset)| *next_offset > offset);
    items
        .filter_map(|((name, ino), next_offset)| {
            let entry = entry(fs, ino)?;
            Some(DirItem { name: name.into(), next_offset, entry, counted: false })
        })
        .collect()
}
