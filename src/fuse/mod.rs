//! The kernel's language. Arguments become our types, answers become replies, and nothing is decided
//! here: what can be answered from memory is answered on the dispatch thread, the rest by a task that
//! takes the reply along. No type of fuser leaves this folder.

mod convert;
pub mod device;
mod errno;
mod guarded;
mod reply;
pub mod session;

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, INodeNo as KernelInodeNo,
    InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags as KernelRenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry,
    ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};
use tokio::runtime::Handle as Runtime;
use tracing::error;

use crate::fs::ops::attributes::Space;
use crate::fs::ops::create::Maker;
use crate::fs::{
    DirItem, FileSystem, HandleNo, InodeNo, Meaning, Opened, RenameFlags, SetAttr, SetXattr,
};
use crate::fuse::convert::{
    GENERATION, allocate, attributes, file_type, inode, is_durable, open_mode, set_time, write_at,
};
use crate::fuse::reply::{
    About, Pending, Refuse, Taking, answer_attr, answer_create, answer_data, answer_durable,
    answer_empty, answer_entry, answer_offset, answer_open, answer_xattr, refuse,
};
use crate::panics;

/// The largest copy that one answer can tell of: whole pages in 32 bits.
const COPY_BYTES: u64 = 0xffff_f000;
/// Requests the kernel may have outstanding in the background (read-ahead, releases).
const MAX_BACKGROUND: u16 = 64;
/// The kernel knows no smaller requests than of a page.
const REQUEST_BYTES_LEAST: u32 = 4 << 10;

/// Translates between fuser and [`FileSystem`].
pub(crate) struct Adapter {
    fs: Arc<FileSystem>,
    runtime: Runtime,
    /// The largest read or write.
    request_bytes: u32,
}

impl Adapter {
    pub(crate) fn new(fs: Arc<FileSystem>, runtime: Runtime, request_bytes: u32) -> Self {
        Self { fs, runtime, request_bytes: request_bytes.max(REQUEST_BYTES_LEAST) }
    }

    /// Runs the waiting form of an operation in a task. A caller that is killed meanwhile is let go, by EINTR
    /// which it does not see; the work goes on. A panic is EIO.
    fn later<R, F, Fut>(
        &self,
        request: &Request,
        operation: &'static str,
        ino: InodeNo,
        reply: R,
        work: F,
    ) where
        R: Refuse + Send + 'static,
        F: FnOnce(Arc<FileSystem>, Pending<R>) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let reply = Pending::new(&self.fs, reply);
        let failed = reply.instead(Errno::EIO);
        let wait = self.fs.wait(operation, ino, request.pid(), reply.instead(Errno::EINTR));
        let (fs, work) = (Arc::clone(&self.fs), work(Arc::clone(&self.fs), reply));
        self.runtime.spawn(async move {
            let _wait = wait;
            if panics::caught_in(work).await.is_err() {
                fs.panicked(operation, ino, true);
                failed();
            }
        });
    }
}

fn handle(number: FileHandle) -> HandleNo {
    HandleNo(number.0)
}

fn maker(request: &Request, mode: u32) -> Maker {
    // Without FUSE_DONT_MASK the kernel has taken the umask away already.
    Maker { uid: request.uid(), gid: request.gid(), pid: request.pid(), mode }
}

/// The calls that change a range come without the flags of the descriptor.
fn pass_durable(fs: &FileSystem, flags: OpenFlags, opened: &Opened) {
    if is_durable(flags) {
        fs.publish_each_change(opened.handle);
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = [
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            // A file open for writing can still be mapped.
            InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
            InitFlags::FUSE_CACHE_SYMLINKS,
            // An abort of the connection is told from an unmount: then files may still be open.
            InitFlags::FUSE_ABORT_ERROR,
            // Nothing has set-id bits or capabilities, so there is nothing to take away from a file that
            // is written, and the kernel need not ask for them at each write.
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
        ];
        for flag in wanted {
            // An old kernel does without; nothing depends on these for being right.
            let _ = config.add_capabilities(flag);
        }
        // Each answers with the nearest value it accepts, which is as good.
        let _ = config.set_max_write(self.request_bytes);
        let _ = config.set_max_readahead(self.request_bytes);
        let _ = config.set_max_background(MAX_BACKGROUND);
        let _ = config.set_time_granularity(Duration::from_nanos(1));
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: KernelInodeNo, name: &OsStr, reply: ReplyEntry) {
        let parent = inode(parent);
        if let Some(found) = self.fs.try_lookup(parent, name) {
            return answer_entry(reply, About::named(&self.fs, "lookup", parent, name), found);
        }
        let name = name.to_owned();
        self.later(request, "lookup", parent, reply, move |fs, reply| async move {
            answer_entry(
                reply,
                About::named(&fs, "lookup", parent, &name),
                fs.lookup(parent, &name).await,
            );
        });
    }

    fn forget(&self, _request: &Request, ino: KernelInodeNo, lookups: u64) {
        self.fs.forget(inode(ino), lookups);
    }

    fn getattr(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        let ino = inode(ino);
        if let Some(found) = self.fs.try_getattr(ino) {
            return answer_attr(reply, About::of(&self.fs, "getattr", ino), found);
        }
        self.later(request, "getattr", ino, reply, move |fs, reply| async move {
            answer_attr(reply, About::of(&fs, "getattr", ino), fs.getattr(ino).await);
        });
    }

    fn setattr(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        number: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let ino = inode(ino);
        let mtime = mtime.map(|time| self.fs.time_of(set_time(time)));
        let changes = SetAttr { mode, uid, gid, size, mtime };
        let number = number.map(handle);
        self.later(request, "setattr", ino, reply, move |fs, reply| async move {
            answer_attr(
                reply,
                About::of(&fs, "setattr", ino),
                fs.setattr(ino, number, changes).await,
            );
        });
    }

    fn readlink(&self, request: &Request, ino: KernelInodeNo, reply: ReplyData) {
        let ino = inode(ino);
        self.later(request, "readlink", ino, reply, move |fs, reply| async move {
            match fs.readlink(ino).await {
                Ok(target) => reply.with(|reply| reply.data(target.as_bytes())),
                Err(error) => refuse(reply, About::of(&fs, "readlink", ino), &error),
            }
        });
    }

    fn mknod(
        &self,
        request: &Request,
        parent: KernelInodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        // Devices, sockets and pipes have no place in a bucket.
        if mode & libc::S_IFMT != libc::S_IFREG {
            return reply.error(Errno::EPERM);
        }
        let (parent, name, maker) = (inode(parent), name.to_owned(), maker(request, mode));
        self.later(request, "mknod", parent, reply, move |fs, reply| async move {
            answer_entry(
                reply,
                About::named(&fs, "mknod", parent, &name),
                fs.make_file(parent, &name, maker).await,
            );
        });
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: KernelInodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let (parent, name, maker) = (inode(parent), name.to_owned(), maker(request, mode));
        self.later(request, "mkdir", parent, reply, move |fs, reply| async move {
            answer_entry(
                reply,
                About::named(&fs, "mkdir", parent, &name),
                fs.mkdir(parent, &name, maker).await,
            );
        });
    }

    fn unlink(&self, request: &Request, parent: KernelInodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (parent, name) = (inode(parent), name.to_owned());
        self.later(request, "unlink", parent, reply, move |fs, reply| async move {
            answer_empty(
                reply,
                About::named(&fs, "unlink", parent, &name),
                fs.unlink(parent, &name).await,
            );
        });
    }

    fn rmdir(&self, request: &Request, parent: KernelInodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (parent, name) = (inode(parent), name.to_owned());
        self.later(request, "rmdir", parent, reply, move |fs, reply| async move {
            answer_empty(
                reply,
                About::named(&fs, "rmdir", parent, &name),
                fs.rmdir(parent, &name).await,
            );
        });
    }

    fn symlink(
        &self,
        request: &Request,
        parent: KernelInodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let (parent, name, target) = (inode(parent), name.to_owned(), target.to_owned());
        let maker = maker(request, 0o777);
        self.later(request, "symlink", parent, reply, move |fs, reply| async move {
            let made = fs.symlink(parent, &name, target.as_os_str(), maker).await;
            answer_entry(reply, About::named(&fs, "symlink", parent, &name), made);
        });
    }

    fn rename(
        &self,
        request: &Request,
        parent: KernelInodeNo,
        name: &OsStr,
        new_parent: KernelInodeNo,
        new_name: &OsStr,
        flags: KernelRenameFlags,
        reply: ReplyEmpty,
    ) {
        let (parent, name) = (inode(parent), name.to_owned());
        let (new_parent, new_name) = (inode(new_parent), new_name.to_owned());
        let known = KernelRenameFlags::RENAME_NOREPLACE;
        let flags =
            RenameFlags { no_replace: flags.contains(known), unsupported: !known.contains(flags) };
        self.later(request, "rename", parent, reply, move |fs, reply| async move {
            let done = fs.rename((parent, &name), (new_parent, &new_name), flags).await;
            let about = About::named(&fs, "rename", parent, &name).to(new_parent, &new_name);
            answer_empty(reply, about, done);
        });
    }

    fn link(
        &self,
        _request: &Request,
        _ino: KernelInodeNo,
        _new_parent: KernelInodeNo,
        _new_name: &OsStr,
        reply: ReplyEntry,
    ) {
        // An object has one name. EPERM is what link(2) documents for such file systems.
        reply.error(Errno::EPERM);
    }

    fn open(&self, request: &Request, ino: KernelInodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let (ino, mode, pid) = (inode(ino), open_mode(flags), request.pid());
        if let Some(opened) = self.fs.try_open(ino, mode, pid) {
            let opened = opened.inspect(|opened| pass_durable(&self.fs, flags, opened));
            return answer_open(reply, About::of(&self.fs, "open", ino), opened);
        }
        self.later(request, "open", ino, reply, move |fs, reply| async move {
            let opened = fs.open(ino, mode, pid).await;
            let opened = opened.inspect(|opened| pass_durable(&fs, flags, opened));
            answer_open(reply, About::of(&fs, "open", ino), opened);
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: KernelInodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let (parent, maker) = (inode(parent), maker(request, mode));
        let (flags, exclusive) = (OpenFlags(flags), flags & libc::O_EXCL != 0);
        if let Some(created) = self.fs.try_create(parent, name, maker, exclusive) {
            let created = created.inspect(|(_, opened)| pass_durable(&self.fs, flags, opened));
            return answer_create(reply, About::named(&self.fs, "create", parent, name), created);
        }
        let (name, mode) = (name.to_owned(), open_mode(flags));
        self.later(request, "create", parent, reply, move |fs, reply| async move {
            let created = fs.create(parent, &name, maker, mode, exclusive).await;
            let created = created.inspect(|(_, opened)| pass_durable(&fs, flags, opened));
            answer_create(reply, About::named(&fs, "create", parent, &name), created);
        });
    }

    fn read(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let (ino, number) = (inode(ino), handle(number));
        if let Some(data) = self.fs.try_read(number, offset, size) {
            return answer_data(reply, About::of(&self.fs, "read", ino), data);
        }
        self.later(request, "read", ino, reply, move |fs, reply| async move {
            answer_data(reply, About::of(&fs, "read", ino), fs.read(number, offset, size).await);
        });
    }

    fn write(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let (ino, number) = (inode(ino), handle(number));
        // At most `request_bytes`, so it fits.
        let len = data.len() as u32;
        let durable = is_durable(flags);
        let at = write_at(offset, write_flags, flags);
        // The reply outlives a panic here: who is told may close the file at once, and the file must be known to
        // have failed by then.
        let taken = panics::caught(|| self.fs.try_write(number, at, data)).unwrap_or_else(|_| {
            self.fs.panicked("write", ino, true);
            Err(Meaning::Io.into())
        });
        let taken = match taken {
            Ok(taken) if taken == data.len() && !durable => return reply.written(len),
            Ok(taken) => taken,
            Err(error) => return refuse(reply, About::of(&self.fs, "write", ino), &error),
        };
        let rest = data[taken..].to_vec();
        self.later(request, "write", ino, reply, move |fs, reply| async move {
            let written = match fs.write(number, at.after(taken), &rest).await {
                Ok(()) if durable => fs.fsync(number).await,
                written => written,
            };
            match written {
                Ok(()) => reply.with(|reply| reply.written(len)),
                Err(error) => refuse(reply, About::of(&fs, "write", ino), &error),
            }
        });
    }

    fn fallocate(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let Some(how) = allocate(mode) else { return reply.error(Errno::EOPNOTSUPP) };
        let (ino, number) = (inode(ino), handle(number));
        self.later(request, "fallocate", ino, reply, move |fs, reply| async move {
            let done = fs.allocate(number, offset, len, how).await;
            answer_empty(reply, About::of(&fs, "fallocate", ino), done);
        });
    }

    fn lseek(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let (ino, number) = (inode(ino), handle(number));
        // The kernel answers the others itself.
        let hole = match whence {
            libc::SEEK_DATA => false,
            libc::SEEK_HOLE => true,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(offset) = u64::try_from(offset) else { return reply.error(Errno::ENXIO) };
        if let Some(found) = self.fs.try_seek(number, offset, hole) {
            return answer_offset(reply, About::of(&self.fs, "lseek", ino), found);
        }
        self.later(request, "lseek", ino, reply, move |fs, reply| async move {
            let found = match hole {
                true => fs.seek_hole(number, offset).await,
                false => fs.seek_data(number, offset).await,
            };
            answer_offset(reply, About::of(&fs, "lseek", ino), found);
        });
    }

    fn copy_file_range(
        &self,
        request: &Request,
        _from_ino: KernelInodeNo,
        from: FileHandle,
        from_offset: u64,
        ino: KernelInodeNo,
        to: FileHandle,
        offset: u64,
        len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let (ino, from, to) = (inode(ino), handle(from), handle(to));
        let len = len.min(COPY_BYTES);
        self.later(request, "copy_file_range", ino, reply, move |fs, reply| async move {
            match fs.copy_range((from, from_offset), (to, offset), len).await {
                // At most `COPY_BYTES`, so it fits.
                Ok(copied) => reply.with(|reply| reply.written(copied as u32)),
                Err(error) => refuse(reply, About::of(&fs, "copy_file_range", ino), &error),
            }
        });
    }

    fn flush(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        let (ino, number, closer) = (inode(ino), handle(number), request.pid());
        if let Some(done) = self.fs.try_flush(number) {
            return answer_empty(reply, About::of(&self.fs, "close", ino), done);
        }
        self.later(request, "close", ino, reply, move |fs, reply| async move {
            let done = fs.flush(number, closer).await;
            answer_durable(reply, About::of(&fs, "close", ino), done);
        });
    }

    fn release(
        &self,
        _request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        // It only counts, so after a panic the content is what it was, and others may go on with it.
        if panics::caught(|| self.fs.release(handle(number))).is_err() {
            error!(path = self.fs.called(inode(ino)), "the end of a handle failed by a panic");
        }
        reply.ok();
    }

    fn ioctl(
        &self,
        _request: &Request,
        _ino: KernelInodeNo,
        _number: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _input: &[u8],
        _output_size: u32,
        reply: ReplyIoctl,
    ) {
        // Not a device, and no flags as chattr(1) sets them.
        reply.error(Errno::ENOTTY);
    }

    fn fsync(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        let (ino, number) = (inode(ino), handle(number));
        self.later(request, "fsync", ino, reply, move |fs, reply| async move {
            answer_durable(reply, About::of(&fs, "fsync", ino), fs.fsync(number).await);
        });
    }

    fn opendir(&self, _request: &Request, ino: KernelInodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let ino = inode(ino);
        let opened = self.fs.opendir(ino);
        let opened = opened.map(|handle| Opened { handle, direct_io: false, keep_cache: false });
        answer_open(reply, About::of(&self.fs, "open", ino), opened);
    }

    fn readdir(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        let (ino, number) = (inode(ino), handle(number));
        self.later(request, "readdir", ino, reply, move |fs, reply| async move {
            let items = match fs.readdir(number, offset, false).await {
                Ok(items) => items,
                Err(error) => return refuse(reply, About::of(&fs, "readdir", ino), &error),
            };
            let Ok(mut reply) = reply.take() else { return };
            for DirItem { name, next_offset, entry, .. } in items {
                let kind = file_type(entry.kind);
                if reply.add(KernelInodeNo(entry.ino.0), next_offset, kind, &*name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn readdirplus(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        let (ino, number) = (inode(ino), handle(number));
        self.later(request, "readdir", ino, reply, move |fs, reply| async move {
            let items = match fs.readdir(number, offset, true).await {
                Ok(items) => items,
                Err(error) => return refuse(reply, About::of(&fs, "readdir", ino), &error),
            };
            let mut reply = reply.take().ok();
            // Nobody sees any of them when the caller has gone.
            let mut full = reply.is_none();
            for DirItem { name, next_offset, entry, counted } in items {
                let number = KernelInodeNo(entry.ino.0);
                let attr = attributes(&entry);
                if let Some(reply) = reply.as_mut().filter(|_| !full) {
                    full = reply.add(number, next_offset, &*name, &entry.ttl, &attr, GENERATION);
                }
                if full && counted {
                    // The kernel does not see this entry, so it will not forget it either.
                    fs.forget(entry.ino, 1);
                }
            }
            if let Some(reply) = reply {
                reply.ok();
            }
        });
    }

    fn releasedir(
        &self,
        _request: &Request,
        _ino: KernelInodeNo,
        number: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.fs.releasedir(handle(number));
        reply.ok();
    }

    fn fsyncdir(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        number: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        let (ino, number) = (inode(ino), handle(number));
        self.later(request, "fsync", ino, reply, move |fs, reply| async move {
            answer_empty(reply, About::of(&fs, "fsync", ino), fs.fsync_directory(number).await);
        });
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let (ino, name, value) = (inode(ino), name.to_owned(), value.to_owned());
        let how = SetXattr {
            create: flags & libc::XATTR_CREATE != 0,
            replace: flags & libc::XATTR_REPLACE != 0,
        };
        self.later(request, "setxattr", ino, reply, move |fs, reply| async move {
            answer_empty(
                reply,
                About::of(&fs, "setxattr", ino),
                fs.setxattr(ino, &name, &value, how).await,
            );
        });
    }

    fn getxattr(
        &self,
        request: &Request,
        ino: KernelInodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        let ino = inode(ino);
        if let Some(found) = self.fs.try_getxattr(ino, name) {
            return answer_xattr(reply, About::of(&self.fs, "getxattr", ino), size, found);
        }
        let name = name.to_owned();
        self.later(request, "getxattr", ino, reply, move |fs, reply| async move {
            answer_xattr(
                reply,
                About::of(&fs, "getxattr", ino),
                size,
                fs.getxattr(ino, &name).await,
            );
        });
    }

    fn listxattr(&self, request: &Request, ino: KernelInodeNo, size: u32, reply: ReplyXattr) {
        let ino = inode(ino);
        if let Some(found) = self.fs.try_listxattr(ino) {
            return answer_xattr(reply, About::of(&self.fs, "listxattr", ino), size, found);
        }
        self.later(request, "listxattr", ino, reply, move |fs, reply| async move {
            answer_xattr(reply, About::of(&fs, "listxattr", ino), size, fs.listxattr(ino).await);
        });
    }

    fn removexattr(&self, request: &Request, ino: KernelInodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (ino, name) = (inode(ino), name.to_owned());
        self.later(request, "removexattr", ino, reply, move |fs, reply| async move {
            answer_empty(
                reply,
                About::of(&fs, "removexattr", ino),
                fs.removexattr(ino, &name).await,
            );
        });
    }

    fn statfs(&self, _request: &Request, _ino: KernelInodeNo, reply: ReplyStatfs) {
        let Space { block_bytes, blocks, inodes, name_bytes } = Space::BUCKET;
        reply.statfs(blocks, blocks, blocks, inodes, inodes, block_bytes, name_bytes, block_bytes);
    }
}
