//! Who still has a file open: the commit rule's eyes, reading `/proc`.
//!
//! FLUSH comes at every close of every duplicate of a descriptor, from the process that closes. At that
//! moment the closed descriptor is already gone from `/proc/PID/fd`, remaining duplicates are there, and
//! an exiting process has none (measured on Linux 6.18; `fdinfo` shows the inode number since 5.19).

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::fs::inode::InodeNo;
use crate::fs::ordered::{LEAF, Ordered};

/// What `/proc` says about a process and a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holding {
    /// It has the file open for writing.
    Open,
    /// It has not, or is gone.
    NotOpen,
    /// It cannot be told: no permission, another process namespace, an old kernel.
    Unknown,
}

/// Reads the descriptors of processes.
#[derive(Debug, Default)]
pub struct Holders {
    device: OnceLock<u64>,
    /// Mount ids (of `/proc/PID/mountinfo`) that proved to be ours, and those that did not.
    ours: Ordered<HashSet<u64>, LEAF>,
}

impl Holders {
    /// Knows no mount yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The device number of the mount.
    pub fn set_device(&self, device: u64) {
        // A second mount of the same file system does not happen; the first number stays.
        let _ = self.device.set(device);
    }

    /// Whether process or thread `pid` has inode `ino` of this mount open for writing.
    pub fn holding(&self, pid: u32, ino: InodeNo) -> Holding {
        if pid == 0 || self.device.get().is_none() {
            return Holding::Unknown;
        }
        let folder = PathBuf::from(format!("/proc/{pid}/fdinfo"));
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Holding::NotOpen,
            Err(_) => return Holding::Unknown,
        };
        for entry in entries {
            // The process may end or close descriptors while we look; what is gone is not open.
            let Ok(entry) = entry else { break };
            let Some(text) = read(entry.path()) else { continue };
            let info = FdInfo::parse(&text);
            let Some(number) = info.ino else { return Holding::Unknown };
            // Who only reads has nothing to publish.
            if number == ino.0
                && info.writes
                && info.mount.is_some_and(|mount| self.is_ours(pid, mount))
            {
                return Holding::Open;
            }
        }
        Holding::NotOpen
    }

    /// Whether a mount id of that process's namespace is this mount (bind mounts included).
    fn is_ours(&self, pid: u32, mount: u64) -> bool {
        if self.ours.lock().contains(&mount) {
            return true;
        }
        let Some(device) = self.device.get() else { return false };
        let wanted = (
            mount.to_string(),
            format!("{}:{}", rustix::fs::major(*device), rustix::fs::minor(*device)),
        );
        let text = read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let found = text.lines().any(|line| {
            // "36 35 98:0 /mnt1 /mnt2 …": id, parent, major:minor (proc_pid_mountinfo(5)).
            let mut fields = line.split(' ');
            let id = fields.next();
            let device = fields.nth(1);
            id == Some(&wanted.0) && device == Some(&wanted.1)
        });
        if found {
            self.ours.lock().insert(mount);
        }
        found
    }
}

/// Names of processes and paths of mounts may be anything; what we look for in such a file is ASCII.
fn read(path: impl AsRef<Path>) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

/// The process (thread group) that a thread belongs to; the number itself when it cannot be told.
pub fn process_of(thread: u32) -> u32 {
    read(format!("/proc/{thread}/status"))
        .and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
        })
        .unwrap_or(thread)
}

/// O_ACCMODE and O_RDONLY.
const ACCESS_MODE: u32 = 0o3;
const READ_ONLY: u32 = 0;

/// The lines of `/proc/PID/fdinfo/N` that matter (proc_pid_fdinfo(5)).
#[derive(Debug, Default, PartialEq, Eq)]
struct FdInfo {
    mount: Option<u64>,
    ino: Option<u64>,
    /// O_WRONLY or O_RDWR.
    writes: bool,
}

impl FdInfo {
    fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for line in text.lines() {
            if let Some(value) = line.strip_prefix("mnt_id:") {
                info.mount = value.trim().parse().ok();
            } else if let Some(value) = line.strip_prefix("ino:") {
                info.ino = value.trim().parse().ok();
            } else if let Some(value) = line.strip_prefix("flags:") {
                let flags = u32::from_str_radix(value.trim(), 8);
                info.writes = flags.is_ok_and(|flags| flags & ACCESS_MODE != READ_ONLY);
            }
        }
        info
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn fdinfo_is_read() {
        let info = FdInfo::parse("pos:\t0\nflags:\t02\nmnt_id:\t29\nino:\t17\n");
        assert_eq!(info, FdInfo { mount: Some(29), ino: Some(17), writes: true });
        assert!(!FdInfo::parse("flags:\t0100000\n").writes, "O_RDONLY | O_LARGEFILE");
        assert!(FdInfo::parse("flags:\t0100001\n").writes, "O_WRONLY");
        assert_eq!(FdInfo::parse("pos:\t0\n"), FdInfo::default());
    }

    #[test]
    fn an_open_file_of_this_process_is_found_until_it_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        let holders = Holders::new();
        holders.set_device(metadata.dev());
        let (me, ino) = (std::process::id(), InodeNo(metadata.ino()));
        assert_eq!(holders.holding(me, ino), Holding::Open);
        let reader = fs::File::open(file.path()).unwrap();
        drop(file);
        assert_eq!(holders.holding(me, ino), Holding::NotOpen);
        drop(reader);
    }

    #[test]
    fn no_process_number_is_unknown() {
        let holders = Holders::new();
        holders.set_device(1);
        assert_eq!(holders.holding(0, InodeNo(1)), Holding::Unknown);
    }
}
