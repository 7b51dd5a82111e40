//! The directory for temporary files: ours alone, and outside the mount, which could not write to
//! itself.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::MountError;

/// Where temporary files go when nobody says. They are unlinked as soon as they are made, so no
/// folder of our own is needed; /tmp is often in memory.
const DEFAULTS: [&str; 2] = ["/var/tmp", "/tmp"];

/// The directory, checked and made if it was named and is missing.
pub(crate) fn prepare(wanted: Option<&Path>, mountpoint: &Path) -> Result<PathBuf, MountError> {
    let dir = match wanted {
        Some(path) => make(path)
            .map_err(|error| MountError::new(format!("staging_dir {}: {error}", path.display())))?,
        None => DEFAULTS.iter().map(PathBuf::from).find(|path| path.is_dir()).ok_or_else(|| {
            MountError::new("there is neither /var/tmp nor /tmp; name a staging_dir")
        })?,
    };
    if is_inside(&dir, mountpoint) {
        return Err(MountError::new(format!(
            "staging_dir {} is inside the mount point {}",
            dir.display(),
            mountpoint.display()
        )));
    }
    private(&dir)
        .map_err(|what| MountError::new(format!("staging_dir {}: {what}", dir.display())))?;
    Ok(dir)
}

/// Whether a path is at or below the mount point; both without links where they exist.
pub(crate) fn is_inside(path: &Path, mountpoint: &Path) -> bool {
    // The file itself need not exist yet: the nearest existing folder decides.
    let existing = path.ancestors().find_map(|ancestor| fs::canonicalize(ancestor).ok());
    path.starts_with(mountpoint) || existing.is_some_and(|real| real.starts_with(mountpoint))
}

fn make(path: &Path) -> io::Result<PathBuf> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::canonicalize(path)
}

/// Nobody else may exchange our files for theirs: theirs is neither the folder nor, without the
/// sticky bit, the right to write in it.
pub(crate) fn private(dir: &Path) -> Result<(), String> {
    let metadata = fs::metadata(dir).map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Err("is not a directory".into());
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(format!("belongs to user {}, not to user {me} or root", metadata.uid()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        return Err(format!("has mode {mode:04o}, others could exchange its files: chmod 700 it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_named_folder_is_made_private() {
        let dir = TempDir::new().unwrap();
        let wanted = dir.path().join("staging");
        let made = prepare(Some(&wanted), Path::new("/mnt/none")).unwrap();
        assert_eq!(fs::metadata(made).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn folders_that_others_can_change_are_refused() {
        let dir = TempDir::new().unwrap();
        let prepare_with = |mode| {
            fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            prepare(Some(dir.path()), Path::new("/mnt/none")).map_err(|error| error.to_string())
        };
        assert!(prepare_with(0o1777).is_ok());
        assert!(prepare_with(0o755).is_ok());
        assert!(prepare_with(0o777).unwrap_err().contains("chmod 700"));
        assert!(prepare_with(0o770).unwrap_err().contains("chmod 700"));
    }

    #[test]
    fn a_folder_inside_the_mount_is_refused() {
        let dir = TempDir::new().unwrap();
        let mountpoint = fs::canonicalize(dir.path()).unwrap();
        let inside = mountpoint.join("a");
        let message = prepare(Some(&inside), &mountpoint).unwrap_err().to_string();
        assert!(message.contains("is inside the mount point"), "{message}");
        assert!(is_inside(&mountpoint.join("no/such/file"), &mountpoint));
        assert!(!is_inside(Path::new("/var/tmp/x"), &mountpoint));
    }
}
