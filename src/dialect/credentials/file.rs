//! Reads small files that hold secrets, and tells whether they have changed since. Knows no format.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Larger files hold no keys; the configuration files of tools are larger than those of keys alone.
const MAX_BYTES: u64 = 256 << 10;

/// What changes when a file is replaced or written to. Its time of change is there for a file whose
/// permissions were put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamped {
    path: PathBuf,
    stamp: Stamp,
}

impl Stamped {
    /// Whether the file is not as it was. Blocks for one look at the file system.
    pub(super) fn has_changed(&self) -> bool {
        std::fs::metadata(&self.path).map_or(true, |found| Stamp::of(&found) != self.stamp)
    }
}

/// A file that was read.
pub(super) struct Contents {
    pub(super) text: String,
    pub(super) metadata: Metadata,
    pub(super) stamped: Stamped,
}

/// Whether a path may lead over a symbolic link at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Follow,
    Refuse,
}

/// Reads a file of keys; `None` when there is none. `check` sees its metadata before it is read.
///
/// Never waits for the writer of a pipe; what is checked is what is read, because both go through one
/// descriptor.
pub(super) fn read(
    path: &Path,
    links: Links,
    check: impl FnOnce(&Metadata) -> Result<(), String>,
) -> Result<Option<Contents>, String> {
    let Some((file, metadata)) = open(path, links, check)? else { return Ok(None) };
    let stamped = Stamped { path: path.to_owned(), stamp: Stamp::of(&metadata) };
    Ok(Some(Contents { text: text(file)?, metadata, stamped }))
}

/// As [`read`], for a secret that need not be text, and once.
pub(super) fn read_bytes(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), String>,
) -> Result<Option<Vec<u8>>, String> {
    let Some((file, _)) = open(path, Links::Refuse, check)? else { return Ok(None) };
    bytes(file).map(Some)
}

fn open(
    path: &Path,
    links: Links,
    check: impl FnOnce(&Metadata) -> Result<(), String>,
) -> Result<Option<(File, Metadata)>, String> {
    let mut flags = rustix::fs::OFlags::NONBLOCK;
    if links == Links::Refuse {
        flags |= rustix::fs::OFlags::NOFOLLOW;
    }
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err("is a symbolic link; name the file itself".to_owned());
        }
        Err(error) => return Err(error.to_string()),
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    // How a file is switched off that a tool would otherwise look for: `/dev/null`.
    if links == Links::Follow && metadata.file_type().is_char_device() {
        return Ok(None);
    }
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    check(&metadata)?;
    Ok(Some((file, metadata)))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn bytes(file: File) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {} KiB", MAX_BYTES >> 10));
    }
    Ok(bytes)
}

fn text(file: File) -> Result<String, String> {
    // Not repeating any of it: what is no text may still be a secret.
    let text = String::from_utf8(bytes(file)?).map_err(|_| "is not text in UTF-8".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
