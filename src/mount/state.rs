//! The folder that remembers uploads: one below the state directory for each bucket and prefix, so that a
//! record is never used for another one.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::MountError;
use super::config::{MountConfig, Source, StateDir};
use super::staging::{is_inside, private};
use crate::dialect::Connection;
use crate::store::ChecksumKind;
use crate::write::JournalConfig;

/// Where the uploads of this mount are written down. `None` for the mock, whose uploads end with it, and
/// where the usual place cannot be used, which the log is told.
pub(crate) fn journal(
    config: &MountConfig,
    mountpoint: &Path,
) -> Result<Option<JournalConfig>, MountError> {
    let (Source::Bucket(connection), Some(state_dir)) = (&config.source, &config.state_dir) else {
        return Ok(None);
    };
    if config.read_only {
        return Ok(None);
    }
    let (StateDir::Named(path) | StateDir::Usual(path)) = state_dir;
    let name = name(connection, &config.prefix);
    let made = match state_dir {
        _ if is_inside(path, mountpoint) => {
            Err(format!("is inside the mount point {}", mountpoint.display()))
        }
        // A path that was mistyped is no wish for new folders.
        StateDir::Named(path) => make(path, false),
        StateDir::Usual(path) => make(path, true),
    };
    let made = made.and_then(|dir| make(&dir.join(name), false));
    let dir = match (made, state_dir) {
        (Ok(dir), _) => dir,
        (Err(what), StateDir::Named(path)) => {
            return Err(MountError::new(format!("state_dir {}: {what}", path.display())));
        }
        (Err(what), StateDir::Usual(path)) => {
            tracing::warn!(dir = %path.display(), what,
                "uploads are not written down; those that a crash leaves behind stay in the bucket");
            return Ok(None);
        }
    };
    Ok(Some(JournalConfig {
        // What is secret in them is not shown.
        properties: sum(&format!("{:?}", connection.properties)),
        on_leftover: config.on_leftover,
        leftover_age: config.leftover_age,
        ..JournalConfig::new(dir)
    }))
}

/// A name for the bucket and prefix: readable, and unlike that of any other.
fn name(connection: &Connection, prefix: &str) -> String {
    let Connection { dialect, bucket, endpoint, region, .. } = connection;
    let place = format!("{dialect:?}\n{endpoint:?}\n{region:?}\n{bucket}\n{prefix}");
    format!("{bucket}-{}", sum(&place))
}

fn sum(text: &str) -> String {
    format!("{:016x}", ChecksumKind::Crc64Xz.of(text.as_bytes()).value)
}

/// A folder that was made now outlives a power failure, with those above it that were. One that cannot be opened
/// was not made by us.
fn sync_parents(dir: &Path) {
    for parent in dir.ancestors().skip(1) {
        if File::open(parent).and_then(|parent| parent.sync_all()).is_err() {
            return;
        }
    }
}

fn make(dir: &Path, with_parents: bool) -> Result<PathBuf, String> {
    let is_new = !dir.exists();
    let made = match DirBuilder::new().recursive(with_parents).mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    };
    let real = made.and_then(|()| fs::canonicalize(dir)).map_err(|error| error.to_string())?;
    private(&real)?;
    if is_new {
        sync_parents(&real);
    }
    // Records are made, locked and read there.
    let probe = || -> io::Result<()> { tempfile::tempfile_in(&real).map(drop) };
    probe().map_err(|error| error.to_string())?;
    Ok(real)
}
