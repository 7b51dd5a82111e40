//! Between the kernel's values and ours.

use std::time::SystemTime;

use fuser::{
    FileAttr, FileType, FopenFlags, Generation, INodeNo, OpenAccMode, OpenFlags, TimeOrNow,
    WriteFlags,
};

use crate::fs::ops::attributes::SetTime;
use crate::fs::{Allocate, Entry, InodeNo, Kind, OpenMode, Opened, WriteAt};

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
        nlink: attr.links,
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

/// Whether each change is to be published at once: O_SYNC holds the bit of O_DSYNC. The kernel leaves it
/// to us for handles with direct I/O.
pub(super) fn is_durable(flags: OpenFlags) -> bool {
    flags.0 & libc::O_DSYNC != 0
}

/// Handles for writing pass by the page cache: two to four times its rate, and the kernel keeps other
/// handles' cached pages in step.
pub(super) fn open_flags(opened: &Opened) -> FopenFlags {
    let mut flags = FopenFlags::empty();
    flags.set(FopenFlags::FOPEN_DIRECT_IO, opened.direct_io);
    flags.set(FopenFlags::FOPEN_KEEP_CACHE, opened.keep_cache);
    flags
}

/// Where a write belongs. With O_APPEND the kernel gives the end that it knows, which is older than ours
/// when another mount has appended since; pages of a mapping have their places.
pub(super) fn write_at(offset: u64, how: WriteFlags, flags: OpenFlags) -> WriteAt {
    let mapped = how.contains(WriteFlags::FUSE_WRITE_CACHE);
    match flags.0 & libc::O_APPEND != 0 && !mapped {
        true => WriteAt::End,
        false => WriteAt::Offset(offset),
    }
}

/// What fallocate(2) is asked to do; `None` for what would move the bytes behind the range, and for
/// anything unknown.
pub(super) fn allocate(mode: i32) -> Option<Allocate> {
    const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    const ZERO_INSIDE: i32 = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;
    match mode {
        0 => Some(Allocate::Grow),
        libc::FALLOC_FL_KEEP_SIZE => Some(Allocate::Reserve),
        PUNCH | ZERO_INSIDE => Some(Allocate::Punch),
        libc::FALLOC_FL_ZERO_RANGE => Some(Allocate::Zero),
        _ => None,
    }
}

pub(super) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::SpecificTime(time) => SetTime::At(time),
        TimeOrNow::Now => SetTime::Now,
    }
}
