//! Takes a mount out of the tree: by the system call where that is allowed, otherwise with the help
//! of fusermount3, which is set-uid for this purpose.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use thiserror::Error;

/// Whether open files are a hindrance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detach {
    /// They are: the mount stays.
    IfIdle,
    /// They are not: the mount disappears, open files stay usable until closed.
    Lazily,
    /// Neither they nor the daemon are: the connection to it is cut, and whoever waits for it gets an error.
    Forced,
}

/// Why a mount is still there.
#[derive(Debug, Error)]
pub(crate) enum DetachError {
    /// Somebody uses it.
    #[error("files are open or a shell is in it")]
    Busy,
    /// An ordinary user needs fusermount3 and it is not there.
    #[error("only root may do that without fusermount3: apt install fuse3")]
    NoHelper,
    /// fusermount3 cuts no connections.
    #[error("only root may cut the connection to the daemon")]
    OnlyRoot,
    /// What fusermount3 said.
    #[error("{0}")]
    Helper(String),
    /// Anything else.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Unmounts. Blocks while the kernel writes back what it holds.
pub(crate) fn detach(mountpoint: &Path, how: Detach) -> Result<(), DetachError> {
    detach_in(mountpoint, how, TRIES)
}

/// How often a mount that is in use is tried, …
const TRIES: u32 = 4;
/// … and when it is tried again.
const AGAIN: Duration = Duration::from_millis(50);

fn detach_in(mountpoint: &Path, how: Detach, tries: u32) -> Result<(), DetachError> {
    let flags = match how {
        Detach::IfIdle => UnmountFlags::NOFOLLOW,
        Detach::Lazily => UnmountFlags::NOFOLLOW | UnmountFlags::DETACH,
        Detach::Forced => UnmountFlags::NOFOLLOW | UnmountFlags::FORCE,
    };
    match rustix::mount::unmount(mountpoint, flags) {
        Ok(()) => Ok(()),
        // The connection is cut by now, and what is left of the mount is of no use.
        Err(Errno::BUSY) if how == Detach::Forced => detach(mountpoint, Detach::Lazily),
        Err(Errno::PERM) if how == Detach::Forced => Err(DetachError::OnlyRoot),
        Err(Errno::BUSY) if how == Detach::IfIdle && tries > 1 => {
            // Whoever looks at a mount keeps it busy for a moment: the watchdog, `df`.
            thread::sleep(AGAIN);
            detach_in(mountpoint, how, tries - 1)
        }
        Err(Errno::BUSY) => Err(DetachError::Busy),
        Err(Errno::PERM) => with_helper(mountpoint, how),
        Err(error) => Err(DetachError::System(error.into())),
    }
}

/// Where distributions put it. Services and cron jobs may have a search path without it.
const HELPER_PATH: &str = "/bin/fusermount3";

fn with_helper(mountpoint: &Path, how: Detach) -> Result<(), DetachError> {
    use io::ErrorKind::{NotFound, PermissionDenied};
    match run_helper("fusermount3", mountpoint, how) {
        // A folder of the search path that may not be looked into is "permission denied" as well.
        Err(DetachError::System(error)) if matches!(error.kind(), NotFound | PermissionDenied) => {}
        result => return result,
    }
    match run_helper(HELPER_PATH, mountpoint, how) {
        Err(DetachError::System(error)) if error.kind() == NotFound => Err(DetachError::NoHelper),
        result => result,
    }
}

fn run_helper(helper: &str, mountpoint: &Path, how: Detach) -> Result<(), DetachError> {
    let mut command = Command::new(helper);
    // The environment may hold keys.
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.arg("-u").args((how == Detach::Lazily).then_some("-z"));
    // `--` because the path is the user's; it is absolute, but that is decided elsewhere.
    command.arg("--").arg(mountpoint).stdin(Stdio::null());
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(DetachError::Helper(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
