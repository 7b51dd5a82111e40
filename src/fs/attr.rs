//! Attributes of files and how they live in object metadata, under the names that s3fs, cosfs, ossfs and
//! rclone use: `mode`, `uid`, `gid` as decimal numbers, `mtime` as seconds with an optional fraction.
//!
//! Metadata is data that others can write: anything unreadable in it is ignored, and set-id and device
//! bits, and sticky bits of files, are never believed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::store::Metadata;

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An object.
    File,
    /// Keys below a prefix, or a marker object.
    Directory,
    /// An object whose mode says so; the content is the target.
    Symlink,
}

impl Kind {
    /// The file-type bits of `st_mode`.
    fn type_bits(self) -> u32 {
        match self {
            Self::File => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
        }
    }

    /// The mode bits that are believed and stored. Set-id bits could give others' programs the rights of
    /// who mounts; the sticky bit only takes rights away, and means something on directories alone.
    fn mode_mask(self) -> u32 {
        match self {
            Self::Directory => 0o1777,
            Self::File | Self::Symlink => 0o777,
        }
    }
}

const TYPE_MASK: u32 = 0o170_000;

/// Attributes of one inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attr {
    /// Bytes.
    pub size: u64,
    /// Permission bits, at most 0o777, and 0o1777 (sticky) of a directory.
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the content.
    pub mtime: SystemTime,
    /// Last change of content or attributes, as far as known.
    pub ctime: SystemTime,
    /// Names: 1, and 0 of what is open but was removed.
    pub links: u32,
}

/// What a mount gives to objects that carry no attributes of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits of files.
    pub file_mode: u32,
    /// Permission bits of directories.
    pub dir_mode: u32,
}

/// Changes asked for by `chmod`, `chown`, `utimensat`; `None` leaves a thing as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// Permission bits, and the sticky bit of a directory; others are dropped.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// New size in bytes.
    pub size: Option<u64>,
    /// New modification time.
    pub mtime: Option<SystemTime>,
}

impl Attr {
    /// Attributes of an object from what the store says.
    pub fn from_object(
        kind: Kind,
        size: u64,
        last_modified: SystemTime,
        metadata: &Metadata,
        defaults: &Defaults,
    ) -> Self {
        let number = |name| metadata.get(name).and_then(|text| text.trim().parse::<u32>().ok());
        let default_mode = match kind {
            Kind::File => defaults.file_mode,
            Kind::Directory => defaults.dir_mode,
            Kind::Symlink => 0o777,
        };
        Self {
            size,
            permissions: number("mode").unwrap_or(default_mode) & kind.mode_mask(),
            uid: number("uid").unwrap_or(defaults.uid),
            gid: number("gid").unwrap_or(defaults.gid),
            mtime: metadata.get("mtime").and_then(parse_time).unwrap_or(last_modified),
            ctime: last_modified,
            links: 1,
        }
    }

    /// Attributes of something that is made now.
    pub fn new(kind: Kind, permissions: u32, uid: u32, gid: u32, now: SystemTime) -> Self {
        let permissions = permissions & kind.mode_mask();
        Self { size: 0, permissions, uid, gid, mtime: now, ctime: now, links: 1 }
    }

    /// Writes owner and mode into the metadata of an object.
    pub fn store_owner_and_mode(&self, kind: Kind, metadata: &mut Metadata) {
        metadata.set("mode", (kind.type_bits() | self.permissions).to_string());
        metadata.set("uid", self.uid.to_string());
        metadata.set("gid", self.gid.to_string());
    }

    /// Writes the modification time into the metadata of an object.
    pub fn store_mtime(&self, metadata: &mut Metadata) {
        metadata.set("mtime", format_time(self.mtime));
    }

    /// Applies changes of owner, mode and time (not of size).
    pub fn apply(&mut self, kind: Kind, changes: &SetAttr, now: SystemTime) {
        if let Some(mode) = changes.mode {
            self.permissions = mode & kind.mode_mask();
        }
        if let Some(uid) = changes.uid {
            self.uid = uid;
        }
        if let Some(gid) = changes.gid {
            self.gid = gid;
        }
        if let Some(mtime) = changes.mtime {
            self.mtime = mtime;
        }
        self.ctime = now;
    }
}

/// The entries that attributes are stored in, at their longest: what must be left free for them.
pub fn longest_entries() -> [(&'static str, &'static str); 4] {
    let number = "4294967295";
    [("mode", "65535"), ("uid", number), ("gid", number), ("mtime", "-253402300799.999999999")]
}

/// Whether an object's metadata makes it a symbolic link (s3fs convention).
pub fn is_symlink(metadata: &Metadata) -> bool {
    metadata
        .get("mode")
        .and_then(|text| text.trim().parse::<u32>().ok())
        .is_some_and(|mode| mode & TYPE_MASK == Kind::Symlink.type_bits())
}

/// `1700000000.000000001`, negative before 1970; at most nanoseconds.
fn format_time(time: SystemTime) -> String {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => format!("{}.{:09}", since.as_secs(), since.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            format!("-{}.{:09}", before.as_secs(), before.subsec_nanos())
        }
    }
}

/// Reads whole seconds (s3fs, cosfs, ossfs) and seconds with a fraction (rclone). Anything else, and
/// times that `time_t` file systems cannot carry, are `None`.
fn parse_time(text: &str) -> Option<SystemTime> {
    /// 1 January of the year 10000; nothing real lies beyond, and adding could overflow.
    const LIMIT_SECONDS: u64 = 253_402_300_800;
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let seconds: u64 = seconds.parse().ok().filter(|seconds| *seconds < LIMIT_SECONDS)?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut nanoseconds = 0u32;
    for position in 0..9 {
        let digit = fraction.as_bytes().get(position).map_or(0, |byte| u32::from(byte - b'0'));
        nanoseconds = nanoseconds * 10 + digit;
    }
    let distance = Duration::new(seconds, nanoseconds);
    if negative { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEFAULTS: Defaults = Defaults { uid: 1, gid: 2, file_mode: 0o644, dir_mode: 0o755 };

    fn attr_of(entries: &[(&str, &str)]) -> Attr {
        let metadata: Metadata = entries.iter().copied().collect();
        Attr::from_object(Kind::File, 7, UNIX_EPOCH, &metadata, &DEFAULTS)
    }

    #[test]
    fn what_others_write_is_read() {
        let s3fs = attr_of(&[("mode", "33188"), ("mtime", "1700000000"), ("uid", "1000")]);
        assert_eq!((s3fs.permissions, s3fs.uid, s3fs.gid), (0o644, 1000, 2));
        assert_eq!(s3fs.mtime, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let rclone = attr_of(&[("mtime", "1700000000.5")]);
        assert_eq!(rclone.mtime, UNIX_EPOCH + Duration::from_millis(1_700_000_000_500));
    }

    #[test]
    fn dangerous_or_broken_metadata_is_not_believed() {
        assert_eq!(attr_of(&[("mode", "35309")]).permissions, 0o755, "set-uid bit dropped");
        let directory = |mode: &str| {
            let metadata = [("mode", mode)].into_iter().collect();
            Attr::from_object(Kind::Directory, 0, UNIX_EPOCH, &metadata, &DEFAULTS).permissions
        };
        assert_eq!(directory("20479"), 0o1777, "set-group-id bit dropped, sticky bit kept");
        assert_eq!(
            attr_of(&[("mode", "33791")]).permissions,
            0o777,
            "sticky bit of a file dropped"
        );
        for bad in ["", "x", "1e99", "99999999999999999999", "1.x", "--1"] {
            assert_eq!(attr_of(&[("mtime", bad)]).mtime, UNIX_EPOCH, "{bad:?}");
        }
        assert!(is_symlink(&[("mode", "41471")].into_iter().collect()));
        assert!(!is_symlink(&[("mode", "8630")].into_iter().collect()), "a device stays a file");
    }

    proptest! {
        #[test]
        fn times_survive(seconds in -10_000_000_000i64..10_000_000_000, nanoseconds in 0u32..1_000_000_000) {
            let distance = Duration::new(seconds.unsigned_abs(), nanoseconds);
            let time = if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance };
            prop_assert_eq!(parse_time(&format_time(time)), Some(time));
        }

        #[test]
        fn no_metadata_panics(mode in ".*", mtime in ".*", uid in ".*") {
            let attr = attr_of(&[("mode", &mode), ("mtime", &mtime), ("uid", &uid)]);
            prop_assert!(attr.permissions <= 0o777);
        }
    }
}
