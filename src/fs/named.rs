//! What the log calls an inode: its path below the mount point, as well as it is known at that moment.
//! Costs a look at the table of inodes, and waits for nothing; to be asked only for a line that is written.

use std::ffi::OsStr;

use crate::fs::FileSystem;
use crate::fs::control::{self, uploads};
use crate::fs::inode::{Inode, InodeNo};

/// An inode that has lost its name.
const UNLINKED: &str = "(unlinked)";
/// A number that stands for nothing any more: the kernel has forgotten it, or never had it from us.
const FORGOTTEN: &str = "(forgotten)";

impl FileSystem {
    /// The path of an inode, for the log: `.` for the root, and words in parentheses for what has none. It is
    /// as in the bucket, control characters and all; who writes it down escapes them.
    pub fn called(&self, ino: InodeNo) -> String {
        if ino == InodeNo::ROOT {
            return ".".to_owned();
        }
        if control::is_control(ino) {
            return control_path(ino);
        }
        match self.inodes.path(ino) {
            Some(path) => path.as_str().to_owned(),
            None if self.inodes.get(ino).is_some() => UNLINKED.to_owned(),
            None => FORGOTTEN.to_owned(),
        }
    }

    /// The same of a name in a directory, whether anything has it or not. Bytes that are not UTF-8 are replaced.
    pub fn called_in(&self, parent: InodeNo, name: &OsStr) -> String {
        let name = name.to_string_lossy();
        match parent {
            InodeNo::ROOT => name.into_owned(),
            _ => format!("{}/{name}", self.called(parent)),
        }
    }

    /// [`called`](Self::called) of an inode that is at hand.
    pub(in crate::fs) fn path_text(&self, inode: &Inode) -> String {
        let path = self.inodes.path(inode.ino);
        path.map_or(UNLINKED.to_owned(), |path| path.as_str().to_owned())
    }
}

fn control_path(ino: InodeNo) -> String {
    let below = match ino {
        InodeNo::CONTROL => return control::NAME.to_owned(),
        InodeNo::STATUS => control::STATUS_NAME,
        InodeNo::METRICS => control::METRICS_NAME,
        _ if uploads::is_node(ino) && ino != InodeNo::UPLOADS => "uploads/…",
        _ => control::UPLOADS_NAME,
    };
    format!("{}/{below}", control::NAME)
}
