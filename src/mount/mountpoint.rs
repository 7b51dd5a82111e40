//! Whether a directory can be mounted on. A mount that a killed partfs left behind is cleared away;
//! nothing else is touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::detach::{Detach, detach};
use super::liveness::{self, Liveness};
use super::{MountError, mountinfo, say};

/// More dead mounts than this on one directory are not cleared by themselves.
const MAX_STALE: usize = 8;

/// The mount point without links, checked, free of dead mounts; or the sentence that says what is
/// wrong with it.
pub(crate) fn prepare(path: &Path, nonempty: bool) -> Result<PathBuf, MountError> {
    let place = locate(path)?;
    for _ in 0..MAX_STALE {
        if !clear_if_stale(&place)? {
            break;
        }
    }
    let metadata = fs::metadata(&place).map_err(|error| cannot_look(&place, &error))?;
    if !metadata.is_dir() {
        return Err(MountError::new(format!("{} is not a directory", place.display())));
    }
    if !nonempty {
        let mut entries = fs::read_dir(&place).map_err(|error| cannot_look(&place, &error))?;
        if entries.next().is_some() {
            return Err(MountError::new(format!(
                "{} is not empty; its files would be hidden. Use another directory, or -o nonempty",
                place.display()
            )));
        }
    }
    Ok(place)
}

/// The path without links. A mount of ours is found by its parent and its name alone: one whose daemon is dead
/// cannot be looked at, and one whose daemon hangs must not be.
pub(crate) fn locate(path: &Path) -> Result<PathBuf, MountError> {
    if let (Some(parent), Some(name)) = (path.parent(), path.file_name())
        && let Ok(parent) = fs::canonicalize(parent)
    {
        let place = parent.join(name);
        if mountinfo::at(&place).ok().flatten().is_some_and(|mount| mount.is_ours()) {
            return Ok(place);
        }
    }
    fs::canonicalize(path).map_err(|error| cannot_look(path, &error))
}

/// Detaches what a dead partfs left here and says so. False when there is nothing of the kind; an
/// error when something else is mounted that we should not cover.
fn clear_if_stale(place: &Path) -> Result<bool, MountError> {
    let mount = mountinfo::at(place)
        .map_err(|error| MountError::new(format!("/proc/self/mountinfo: {error}")))?;
    let Some(mount) = mount else { return Ok(false) };
    if mount.is_foreign_fuse() {
        return Err(MountError::new(format!(
            "{} is already a mount of another program ({}, {})",
            place.display(),
            mount.kind,
            mount.source
        )));
    }
    if !mount.is_ours() {
        return Ok(false);
    }
    match liveness::of(place) {
        Liveness::Dead => {
            detach(place, Detach::Lazily).map_err(|error| {
                MountError::new(format!(
                    "{} is a dead mount of partfs and cannot be cleared: {error}",
                    place.display()
                ))
            })?;
            say(&format!("cleared the dead mount of {} at {}", mount.source, place.display()));
            Ok(true)
        }
        Liveness::Alive => Err(MountError::new(format!(
            "{} is already mounted by partfs ({}); unmount it first: partfs umount {}",
            place.display(),
            mount.source,
            place.display()
        ))),
        Liveness::Silent => Err(MountError::new(format!(
            "{} is already mounted by partfs ({}), which does not answer",
            place.display(),
            mount.source
        ))),
    }
}

fn cannot_look(path: &Path, error: &io::Error) -> MountError {
    let path = path.display();
    MountError::new(match error.kind() {
        io::ErrorKind::NotFound => format!("{path} does not exist; make it first: mkdir -p {path}"),
        io::ErrorKind::NotADirectory => format!("{path} is not a directory"),
        _ => format!("{path}: {error}"),
    })
}
