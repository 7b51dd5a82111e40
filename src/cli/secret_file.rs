//! Files that hold a secret: read only when nobody else can read them.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Larger files hold no keys.
const MAX_BYTES: u64 = 64 << 10;

/// The contents of a file of secrets, or what is wrong with it: the end of a sentence that names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    // Not following a link and not waiting for the writer of a pipe; what is checked is what is
    // read, because both go through one descriptor.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
            "is a symbolic link; name the file itself".to_owned()
        }
        _ => error.to_string(),
    })?;
    check(&file.metadata().map_err(|error| error.to_string())?)?;
    contents(file)
}

/// The rules of s3fs: regular, ours or root's, nobody else may read it, nobody may run it.
pub(super) fn check(metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("is not a regular file".into());
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(format!("belongs to user {}, not to user {me} or root", metadata.uid()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o177 != 0 {
        return Err(format!("has mode {mode:04o}, others could read it: chmod 600 it"));
    }
    Ok(())
}

fn contents(file: File) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("is larger than 64KiB".into());
    }
    Ok(bytes)
}
