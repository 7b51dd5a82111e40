//! What is mounted where: `/proc/self/mountinfo`, see proc_pid_mountinfo(5). The parser is pure.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The type under which partfs mounts.
const OURS: &str = "fuse.partfs";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where.
    pub(crate) at: PathBuf,
    /// File system type with subtype: `fuse.partfs`, `ext4`.
    pub(crate) kind: String,
    /// What, in the words of the file system.
    pub(crate) source: String,
    /// The device number of the file system.
    pub(crate) device: Option<u64>,
    /// The user whose daemon serves it, of FUSE mounts.
    pub(crate) user: Option<u32>,
    /// Its group.
    pub(crate) group: Option<u32>,
}

impl Mount {
    /// Whether it is one of partfs.
    pub(crate) fn is_ours(&self) -> bool {
        self.kind == OURS
    }

    /// Whether another FUSE program serves it.
    pub(crate) fn is_foreign_fuse(&self) -> bool {
        !self.is_ours()
            && (self.kind == "fuse" || self.kind == "fuseblk" || self.kind.starts_with("fuse."))
    }
}

/// The mount that is visible at exactly this path, which must be absolute and without links.
pub(crate) fn at(path: &Path) -> io::Result<Option<Mount>> {
    let table = std::fs::read("/proc/self/mountinfo")?;
    Ok(parse(&table).into_iter().rfind(|mount| mount.at == path))
}

/// All mounts of partfs, each place once.
pub(crate) fn ours() -> io::Result<Vec<Mount>> {
    let all = parse(&std::fs::read("/proc/self/mountinfo")?);
    let is_seen = |number: usize| all[number + 1..].iter().all(|later| later.at != all[number].at);
    let seen = all.iter().enumerate().filter(|(number, mount)| mount.is_ours() && is_seen(*number));
    Ok(seen.map(|(_, mount)| mount.clone()).collect())
}

/// All mounts; of several at one place the last one covers the others. Lines that are not as
/// documented are left out.
fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw`: the number of fields before the
/// hyphen varies.
fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = number(fields.nth(2)?);
    let at = unescaped(fields.nth(1)?);
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let text = |field: &[u8]| String::from_utf8_lossy(&unescaped(field)).into_owned();
    let at = PathBuf::from(OsString::from_vec(at));
    let (kind, source) = (text(rest.next()?), text(rest.next()?));
    let options = rest.next().unwrap_or_default();
    let id = |name: &[u8]| -> Option<u32> {
        let mut options = options.split(|byte| *byte == b',');
        let value = options.find_map(|option| option.strip_prefix(name))?;
        std::str::from_utf8(value).ok()?.parse().ok()
    };
    let (user, group) = (id(b"user_id="), id(b"group_id="));
    Some(Mount { at, kind, source, device, user, group })
}

/// A device as `major:minor`.
fn number(field: &[u8]) -> Option<u64> {
    let (major, minor) = std::str::from_utf8(field).ok()?.split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let code = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &[u8] = b"\
22 28 0:20 / /proc rw,nosuid - proc proc rw
98 28 0:50 / /mnt/a\\040b rw,nosuid,nodev shared:7 master:2 - fuse.partfs cos://b-1250000000/p rw,user_id=0
99 28 0:51 / /mnt/x rw - fuse.sshfs host:/ rw
100 99 0:52 / /mnt/x rw - fuse.partfs mock: rw
garbage
";

    #[test]
    fn optional_fields_and_escapes_are_understood() {
        let mounts = parse(TABLE);
        assert_eq!(mounts.len(), 4);
        assert_eq!(mounts[1].at, Path::new("/mnt/a b"));
        assert_eq!(mounts[1].source, "cos://b-1250000000/p");
        assert_eq!((mounts[1].device, mounts[1].user), (Some(rustix::fs::makedev(0, 50)), Some(0)));
        assert_eq!(mounts[2].user, None);
        assert!(mounts[1].is_ours() && !mounts[1].is_foreign_fuse());
        assert!(mounts[2].is_foreign_fuse() && !mounts[0].is_foreign_fuse());
    }

    #[test]
    fn the_last_mount_at_a_place_is_the_visible_one() {
        let visible = parse(TABLE).into_iter().rfind(|mount| mount.at == Path::new("/mnt/x"));
        assert_eq!(visible.unwrap().source, "mock:");
    }

    proptest! {
        #[test]
        fn no_table_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&bytes);
        }
    }
}
