//! Answers: one way to fail for every kind of reply, and one place where failures are logged.

use fuser::{
    Errno, FileHandle, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyWrite, ReplyXattr,
};
use tracing::{debug, warn};

use crate::fs::{Entry, FsError, FsResult, InodeNo, Meaning, Opened};
use crate::fuse::convert::{GENERATION, attributes, open_flags};
use crate::fuse::errno::errno;

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

/// Answers with a failure and logs it once, as loud as it deserves.
pub(super) fn refuse(reply: impl Refuse, operation: &'static str, ino: u64, error: &FsError) {
    let number = errno(error.meaning());
    if error.is_noteworthy() {
        warn!(operation, ino, errno = number.code(), %error, "operation failed");
    } else {
        debug!(operation, ino, errno = number.code(), %error, "operation refused");
    }
    reply.refuse(number);
}

/// The answer to a lookup, or to what makes a name.
pub(super) fn answer_entry(
    reply: ReplyEntry,
    operation: &'static str,
    ino: InodeNo,
    found: FsResult<Entry>,
) {
    match found {
        Ok(entry) => reply.entry(&entry.ttl, &attributes(&entry), GENERATION),
        Err(error) => refuse(reply, operation, ino.0, &error),
    }
}

pub(super) fn answer_attr(
    reply: ReplyAttr,
    operation: &'static str,
    ino: InodeNo,
    found: FsResult<Entry>,
) {
    match found {
        Ok(entry) => reply.attr(&entry.ttl, &attributes(&entry)),
        Err(error) => refuse(reply, operation, ino.0, &error),
    }
}

pub(super) fn answer_empty(
    reply: ReplyEmpty,
    operation: &'static str,
    ino: InodeNo,
    done: FsResult<()>,
) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => refuse(reply, operation, ino.0, &error),
    }
}

pub(super) fn answer_open(reply: ReplyOpen, ino: InodeNo, opened: FsResult<Opened>) {
    // Of a name that the kernel believed to exist. To ESTALE it looks the name up again, so that O_CREAT
    // makes the file anew, and everybody else is told ENOENT.
    let opened = opened.map_err(|error| match error.meaning() {
        Meaning::NotFound => Meaning::Stale.into(),
        _ => error,
    });
    match opened {
        Ok(opened) => reply.opened(FileHandle(opened.handle.0), open_flags(&opened)),
        Err(error) => refuse(reply, "open", ino.0, &error),
    }
}

/// `size` is the room the caller has; 0 asks how much it needs.
pub(super) fn answer_xattr(
    reply: ReplyXattr,
    operation: &'static str,
    ino: InodeNo,
    size: u32,
    found: FsResult<Vec<u8>>,
) {
    match found {
        // The limits of metadata are far below 4 GiB.
        Ok(data) if size == 0 => reply.size(data.len() as u32),
        Ok(data) if data.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(data) => reply.data(&data),
        Err(error) => refuse(reply, operation, ino.0, &error),
    }
}

pub(super) fn answer_create(
    reply: ReplyCreate,
    parent: InodeNo,
    created: FsResult<(Entry, Opened)>,
) {
    match created {
        Ok((entry, opened)) => reply.created(
            &entry.ttl,
            &attributes(&entry),
            GENERATION,
            FileHandle(opened.handle.0),
            open_flags(&opened),
        ),
        Err(error) => refuse(reply, "create", parent.0, &error),
    }
}
