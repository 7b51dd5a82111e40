//! Between the kernel's values and ours.

use std::time::SystemTime;

use fuser::{
    FileAttr, FileType, FopenFlags, Generation, INodeNo, OpenAccMode, OpenFlags, TimeOrNow,
};

use crate::fs::ops::attributes::SetTime;
use crate::fs::{Entry, InodeNo, Kind, OpenMode, Opened};

/// Inode numbers are never used again, so there is one generation only.
pub(super) const GENERATION: Generation = Generation(0);

pub(super) fn inode(ino: INodeNo) -> InodeNo {
    InodeNo(ino.0)
}

pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
    }
}

/// Attributes as `stat` shows them. Blocks are what the bytes would take on a disk without holes, so
/// that `du` tells what the bucket stores.
pub(super) fn attributes(entry: &Entry) -> FileAttr {
    let attr = &entry.attr;
    FileAttr {
        ino: INodeNo(entry.ino.0),
        size: attr.size,
        blocks: attr.size.div_ceil(512),
        atime: attr.mtime,
        mtime: attr.mtime,
        ctime: attr.ctime,
        crtime: SystemTime::UNIX_EPOCH,
        kind: file_type(entry.kind),
        perm: attr.permissions as u16,
        // find(1) believes a directory with one link to have an unknown number of subdirectories.
        nlink: 1,
        uid: attr.uid,
        gid: attr.gid,
        rdev: 0,
        // What cp and cat take as their buffer: large reads and writes cost less.
        blksize: 1 << 20,
        flags: 0,
    }
}

pub(super) fn open_mode(flags: OpenFlags) -> OpenMode {
    OpenMode {
        write: flags.acc_mode() != OpenAccMode::O_RDONLY,
        truncate: flags.0 & libc::O_TRUNC != 0,
    }
}

/// Handles for writing pass by the page cache: two to four times its rate, and the kernel keeps other
/// handles' cached pages in step.
pub(super) fn open_flags(opened: &Opened) -> FopenFlags {
    let mut flags = FopenFlags::empty();
    flags.set(FopenFlags::FOPEN_DIRECT_IO, opened.direct_io);
    flags.set(FopenFlags::FOPEN_KEEP_CACHE, opened.keep_cache);
    flags
}

pub(super) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::SpecificTime(time) => SetTime::At(time),
        TimeOrNow::Now => SetTime::Now,
    }
}
