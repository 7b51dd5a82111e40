//! How large a file will be: nobody tells the mount, but `cp` and its like have the file open that they copy. A
//! guess, for the length of a bar.

use std::fs;

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, makedev, statx};

use crate::fs::control::status::FileStatus;

/// A file that a process has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    size: u64,
    position: u64,
}

/// The final size of a file that is being written, where one of its writers reads exactly one other file. `device`:
/// that of the mount. Of other users' processes nothing can be seen.
pub(super) fn total(file: &FileStatus, device: u64) -> Option<u64> {
    file.writers.iter().find_map(|pid| guess(&read_by(*pid, device), file.size))
}

/// What is left of the source comes to what was written. One that is not read from shows no progress.
fn guess(open: &[Open], written: u64) -> Option<u64> {
    let mut sources = open.iter().filter(|open| open.position > 0 && open.size > 0);
    let source = sources.next()?;
    let left = source.size.saturating_sub(source.position);
    sources.next().is_none().then(|| written.saturating_add(left))
}

/// Regular files that a process has open for reading, outside the mount.
fn read_by(pid: u32, device: u64) -> Vec<Open> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let open = entries.flatten().filter_map(|entry| {
        let number = entry.file_name().into_string().ok()?;
        let (position, flags) =
            position(&fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?)?;
        // O_ACCMODE: for reading only.
        if flags & 0o3 != 0 {
            return None;
        }
        // As the kernel knows it now: a server that does not answer is not asked.
        let flags = AtFlags::STATX_DONT_SYNC;
        let wanted = StatxFlags::TYPE | StatxFlags::SIZE;
        let found = statx(CWD, entry.path(), flags, wanted).ok()?;
        let on = makedev(found.stx_dev_major, found.stx_dev_minor);
        let is_file = FileType::from_raw_mode(found.stx_mode.into()) == FileType::RegularFile;
        (is_file && on != device).then_some(Open { size: found.stx_size, position })
    });
    open.collect()
}

/// Position and flags in `/proc/PID/fdinfo/N` (proc_pid_fdinfo(5)).
fn position(text: &str) -> Option<(u64, u32)> {
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let flags = u32::from_str_radix(field("flags:")?, 8).ok()?;
    Some((field("pos:")?.parse().ok()?, flags))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_rest_of_one_source_is_still_to_come() {
        let open = |size, position| Open { size, position };
        assert_eq!(guess(&[open(100, 30)], 30), Some(100));
        assert_eq!(guess(&[open(100, 30), open(50, 0)], 30), Some(100), "not read from");
        assert_eq!(guess(&[open(100, 30), open(50, 1)], 30), None, "which one?");
        assert_eq!(guess(&[open(100, 100)], 90), Some(90));
        assert_eq!(guess(&[], 90), None);
    }

    #[test]
    fn a_file_that_this_process_reads_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [1; 1000]).unwrap();
        let mut open = fs::File::open(file.path()).unwrap();
        open.read_exact(&mut [0; 123]).unwrap();
        let device = open.metadata().unwrap().dev();
        let expected = Open { size: 1000, position: 123 };
        assert!(read_by(std::process::id(), device + 1).contains(&expected));
        assert!(!read_by(std::process::id(), device).contains(&expected), "on the mount itself");
        assert_eq!(position("pos:\t5\nflags:\t0100000\n"), Some((5, 0o100_000)));
        assert_eq!(position("pos:\t5\n"), None);
    }
}
