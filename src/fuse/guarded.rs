//! The adapter as the kernel's dispatch thread may call it: what an operation does before it waits, or instead,
//! may panic too. That thread must outlive it, because with it the mount would end.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, INodeNo, IoctlFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use crate::fuse::Adapter;
use crate::fuse::convert::inode;
use crate::panics;

/// An [`Adapter`] that no panic passes. The reply is dropped by it, which fuser answers with EIO.
pub(super) struct Guarded(pub(super) Adapter);

/// Operations with their arguments; the first is the inode they are about.
macro_rules! guarded {
    ($($operation:ident($ino:ident: INodeNo $(, $name:ident: $type:ty)*);)*) => {
        $(fn $operation(&self, request: &Request, $ino: INodeNo $(, $name: $type)*) {
            let work = || self.0.$operation(request, $ino $(, $name)*);
            if panics::caught(work).is_err() {
                self.0.fs.panicked(stringify!($operation), inode($ino), true);
            }
        })*
    };
}

impl Filesystem for Guarded {
    fn init(&mut self, request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        self.0.init(request, config)
    }

    guarded! {
        lookup(parent: INodeNo, name: &OsStr, reply: ReplyEntry);
        forget(ino: INodeNo, lookups: u64);
        getattr(ino: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr);
        setattr(
            ino: INodeNo, mode: Option<u32>, uid: Option<u32>, gid: Option<u32>, size: Option<u64>,
            atime: Option<TimeOrNow>, mtime: Option<TimeOrNow>, ctime: Option<SystemTime>,
            handle: Option<FileHandle>, crtime: Option<SystemTime>, chgtime: Option<SystemTime>,
            bkuptime: Option<SystemTime>, flags: Option<BsdFileFlags>, reply: ReplyAttr
        );
        readlink(ino: INodeNo, reply: ReplyData);
        mknod(parent: INodeNo, name: &OsStr, mode: u32, umask: u32, rdev: u32, reply: ReplyEntry);
        mkdir(parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry);
        unlink(parent: INodeNo, name: &OsStr, reply: ReplyEmpty);
        rmdir(parent: INodeNo, name: &OsStr, reply: ReplyEmpty);
        symlink(parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry);
        rename(
            parent: INodeNo, name: &OsStr, new_parent: INodeNo, new_name: &OsStr,
            flags: RenameFlags, reply: ReplyEmpty
        );
        link(ino: INodeNo, new_parent: INodeNo, new_name: &OsStr, reply: ReplyEntry);
        open(ino: INodeNo, flags: OpenFlags, reply: ReplyOpen);
        create(
            parent: INodeNo, name: &OsStr, mode: u32, umask: u32, flags: i32, reply: ReplyCreate
        );
        read(
            ino: INodeNo, handle: FileHandle, offset: u64, size: u32, flags: OpenFlags,
            lock_owner: Option<LockOwner>, reply: ReplyData
        );
        write(
            ino: INodeNo, handle: FileHandle, offset: u64, data: &[u8], write_flags: WriteFlags,
            flags: OpenFlags, lock_owner: Option<LockOwner>, reply: ReplyWrite
        );
        fallocate(
            ino: INodeNo, handle: FileHandle, offset: u64, len: u64, mode: i32, reply: ReplyEmpty
        );
        lseek(ino: INodeNo, handle: FileHandle, offset: i64, whence: i32, reply: ReplyLseek);
        copy_file_range(
            from_ino: INodeNo, from: FileHandle, from_offset: u64, ino: INodeNo, to: FileHandle,
            offset: u64, len: u64, flags: CopyFileRangeFlags, reply: ReplyWrite
        );
        flush(ino: INodeNo, handle: FileHandle, lock_owner: LockOwner, reply: ReplyEmpty);
        release(
            ino: INodeNo, handle: FileHandle, flags: OpenFlags, lock_owner: Option<LockOwner>,
            flush: bool, reply: ReplyEmpty
        );
        ioctl(
            ino: INodeNo, handle: FileHandle, flags: IoctlFlags, command: u32, input: &[u8],
            output_size: u32, reply: ReplyIoctl
        );
        fsync(ino: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty);
        opendir(ino: INodeNo, flags: OpenFlags, reply: ReplyOpen);
        readdir(ino: INodeNo, handle: FileHandle, offset: u64, reply: ReplyDirectory);
        readdirplus(ino: INodeNo, handle: FileHandle, offset: u64, reply: ReplyDirectoryPlus);
        releasedir(ino: INodeNo, handle: FileHandle, flags: OpenFlags, reply: ReplyEmpty);
        fsyncdir(ino: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty);
        setxattr(
            ino: INodeNo, name: &OsStr, value: &[u8], flags: i32, position: u32, reply: ReplyEmpty
        );
        getxattr(ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr);
        listxattr(ino: INodeNo, size: u32, reply: ReplyXattr);
        removexattr(ino: INodeNo, name: &OsStr, reply: ReplyEmpty);
        statfs(ino: INodeNo, reply: ReplyStatfs);
    }
}
