//! Answers: one way to fail for every kind of reply, and one place where failures are logged.

use std::ffi::OsStr;
use std::sync::Arc;

use bytes::Bytes;
use fuser::{
    Errno, FileHandle, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyWrite, ReplyXattr,
};
use parking_lot::Mutex;
use tracing::{debug, error, warn};

use crate::fs::{Entry, FileSystem, FsError, FsResult, InodeNo, Meaning, Opened};
use crate::fuse::convert::{GENERATION, attributes, open_flags};
use crate::fuse::errno::{Number, number};
use crate::metrics;

/// What there is to answer with: a reply, if the caller still waits for it.
pub(super) trait Taking<R>: Sized {
    /// The reply; the file system when the caller has been let go, to take back what only the caller
    /// could have used.
    fn take(self) -> Result<R, Arc<FileSystem>>;

    /// Answers, if somebody waits.
    fn with(self, answer: impl FnOnce(R)) {
        if let Ok(reply) = self.take() {
            answer(reply);
        }
    }
}

/// The reply to a request that waits. It is gone when the caller was let go.
pub(super) struct Pending<R> {
    fs: Arc<FileSystem>,
    reply: Arc<Mutex<Option<R>>>,
}

impl<R: Refuse + Send + 'static> Pending<R> {
    pub(super) fn new(fs: &Arc<FileSystem>, reply: R) -> Self {
        Self { fs: Arc::clone(fs), reply: Arc::new(Mutex::new(Some(reply))) }
    }

    /// What answers in place of the work, if that has not answered.
    pub(super) fn instead(&self, errno: Errno) -> impl FnOnce() + Send + use<R> {
        let reply = Arc::clone(&self.reply);
        move || {
            let reply = reply.lock().take();
            if let Some(reply) = reply {
                reply.refuse(errno);
            }
        }
    }
}

impl<R> Taking<R> for Pending<R> {
    fn take(self) -> Result<R, Arc<FileSystem>> {
        let reply = self.reply.lock().take();
        reply.ok_or(self.fs)
    }
}

/// A reply that can say no.
pub(super) trait Refuse {
    /// Sends an error number.
    fn refuse(self, errno: Errno);
}

macro_rules! refuse {
    ($($reply:ty),*) => {
        $(impl Refuse for $reply {
            fn refuse(self, errno: Errno) {
                self.error(errno);
            }
        }

        impl Taking<$reply> for $reply {
            fn take(self) -> Result<Self, Arc<FileSystem>> {
                Ok(self)
            }
        })*
    };
}

refuse!(
    ReplyAttr,
    ReplyCreate,
    ReplyData,
    ReplyDirectory,
    ReplyDirectoryPlus,
    ReplyEmpty,
    ReplyEntry,
    ReplyLseek,
    ReplyOpen,
    ReplyWrite,
    ReplyXattr
);

/// What an operation is about. Its path is asked for only when a line of the log needs it.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    fs: &'a FileSystem,
    operation: &'static str,
    ino: InodeNo,
    name: Option<&'a OsStr>,
    to: Option<(InodeNo, &'a OsStr)>,
}

impl<'a> About<'a> {
    /// An inode.
    pub(super) fn of(fs: &'a FileSystem, operation: &'static str, ino: InodeNo) -> Self {
        Self { fs, operation, ino, name: None, to: None }
    }

    /// A name in a directory.
    pub(super) fn named(
        fs: &'a FileSystem,
        operation: &'static str,
        parent: InodeNo,
        name: &'a OsStr,
    ) -> Self {
        Self { name: Some(name), ..Self::of(fs, operation, parent) }
    }

    /// And another name, which it is to get.
    pub(super) fn to(self, parent: InodeNo, name: &'a OsStr) -> Self {
        Self { to: Some((parent, name)), ..self }
    }

    fn path(&self) -> String {
        match self.name {
            Some(name) => self.fs.called_in(self.ino, name),
            None => self.fs.called(self.ino),
        }
    }

    fn new_path(&self) -> Option<String> {
        self.to.map(|(parent, name)| self.fs.called_in(parent, name))
    }

    /// Logs a failure, as loud as it deserves, and shows it in the status.
    fn log(&self, errno: &'static str, failure: &FsError) {
        macro_rules! line {
            ($level:ident, $text:literal) => {
                line!($level, self.path(), $text)
            };
            ($level:ident, $path:expr, $text:literal) => {
                $level!(
                    operation = self.operation,
                    path = $path,
                    to = self.new_path(),
                    errno,
                    code = failure.code(),
                    status = failure.status(),
                    request_id = failure.request_id(),
                    error = failure.words(),
                    $text
                )
            };
        }
        if !failure.is_noteworthy() {
            line!(debug, "operation refused");
            return;
        }
        let path = self.path();
        self.fs.show_failure(self.operation, &path, Some(errno), failure);
        if failure.is_alarming() {
            line!(error, path, "operation failed");
        } else {
            line!(warn, path, "operation failed");
        }
    }
}

/// Answers with a failure and logs it once.
pub(super) fn refuse<R: Refuse>(reply: impl Taking<R>, about: About<'_>, error: &FsError) {
    let Number { errno, .. } = number(error.meaning());
    let name = error.meaning().errno();
    metrics::failed(about.operation, name);
    about.log(name, error);
    reply.with(|reply| reply.refuse(errno));
}

/// The answer to a lookup, or to what makes a name.
pub(super) fn answer_entry(
    reply: impl Taking<ReplyEntry>,
    about: About<'_>,
    found: FsResult<Entry>,
) {
    match found {
        Ok(entry) => match reply.take() {
            Ok(reply) => reply.entry(&entry.ttl, &attributes(&entry), GENERATION),
            Err(fs) => fs.forget(entry.ino, 1),
        },
        Err(error) => refuse(reply, about, &error),
    }
}

pub(super) fn answer_attr(reply: impl Taking<ReplyAttr>, about: About<'_>, found: FsResult<Entry>) {
    match found {
        Ok(entry) => reply.with(|reply| reply.attr(&entry.ttl, &attributes(&entry))),
        Err(error) => refuse(reply, about, &error),
    }
}

pub(super) fn answer_empty(reply: impl Taking<ReplyEmpty>, about: About<'_>, done: FsResult<()>) {
    match done {
        Ok(()) => reply.with(|reply| reply.ok()),
        Err(error) => refuse(reply, about, &error),
    }
}

/// The answer to what makes bytes durable. A failure that nobody hears is told to the next open.
pub(super) fn answer_durable(reply: impl Taking<ReplyEmpty>, about: About<'_>, done: FsResult<()>) {
    match (reply.take(), done) {
        (Ok(reply), done) => answer_empty(reply, about, done),
        (Err(_), Ok(())) => {
            debug!(
                operation = about.operation,
                path = about.path(),
                "stored after the caller was killed"
            );
        }
        (Err(fs), Err(error)) => fs.failed_unheard(about.operation, about.ino, error),
    }
}

/// Bytes that were read.
pub(super) fn answer_data(reply: impl Taking<ReplyData>, about: About<'_>, data: FsResult<Bytes>) {
    match data {
        Ok(data) => reply.with(|reply| reply.data(&data)),
        Err(error) => refuse(reply, about, &error),
    }
}

/// Where data or a hole begins.
pub(super) fn answer_offset(
    reply: impl Taking<ReplyLseek>,
    about: About<'_>,
    found: FsResult<u64>,
) {
    match found {
        // Sizes are below 2^63.
        Ok(found) => reply.with(|reply| reply.offset(found as i64)),
        Err(error) => refuse(reply, about, &error),
    }
}

pub(super) fn answer_open(
    reply: impl Taking<ReplyOpen>,
    about: About<'_>,
    opened: FsResult<Opened>,
) {
    // Of a name that the kernel believed to exist. To ESTALE it looks the name up again, so that O_CREAT
    // makes the file anew, and everybody else is told ENOENT.
    let opened = opened.map_err(|error| match error.meaning() {
        Meaning::NotFound => Meaning::Stale.into(),
        _ => error,
    });
    match opened {
        Ok(opened) => match reply.take() {
            Ok(reply) => reply.opened(FileHandle(opened.handle.0), open_flags(&opened)),
            Err(fs) => fs.release_of_killed(opened.handle),
        },
        Err(error) => refuse(reply, about, &error),
    }
}

/// `size` is the room the caller has; 0 asks how much it needs.
pub(super) fn answer_xattr(
    reply: impl Taking<ReplyXattr>,
    about: About<'_>,
    size: u32,
    found: FsResult<Vec<u8>>,
) {
    match found {
        // The limits of metadata are far below 4 GiB.
        Ok(data) if size == 0 => reply.with(|reply| reply.size(data.len() as u32)),
        Ok(data) if data.len() > size as usize => reply.with(|reply| reply.error(Errno::ERANGE)),
        Ok(data) => reply.with(|reply| reply.data(&data)),
        Err(error) => refuse(reply, about, &error),
    }
}

pub(super) fn answer_create(
    reply: impl Taking<ReplyCreate>,
    about: About<'_>,
    created: FsResult<(Entry, Opened)>,
) {
    match created {
        Ok((entry, opened)) => match reply.take() {
            Ok(reply) => reply.created(
                &entry.ttl,
                &attributes(&entry),
                GENERATION,
                FileHandle(opened.handle.0),
                open_flags(&opened),
            ),
            Err(fs) => {
                fs.release_of_killed(opened.handle);
                fs.forget(entry.ino, 1);
            }
        },
        Err(error) => refuse(reply, about, &error),
    }
}
