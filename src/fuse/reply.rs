//! Answers: one way to fail for every kind of reply, and one place where failures are logged.

use fuser::{
    Errno, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyLseek, ReplyOpen, ReplyWrite, ReplyXattr,
};
use tracing::{debug, warn};

use crate::fs::FsError;
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
