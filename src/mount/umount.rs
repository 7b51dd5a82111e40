//! `partfs umount`: takes a mount away and waits until its daemon has nothing left to upload.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::config::UmountConfig;
use super::detach::{Detach, DetachError, detach};
use super::liveness::{self, Liveness};
use super::{MountError, Outcome, mountinfo, mountpoint, say};

/// After this the user is told what is being waited for.
const QUIET: Duration = Duration::from_secs(1);

/// Unmounts. Safe to repeat: a second call says that nothing is mounted.
pub fn run(config: &UmountConfig) -> Result<Outcome, MountError> {
    let place = mountpoint::locate(&config.mountpoint)?;
    check_is_ours(&place)?;
    let how = if config.lazy { Detach::Lazily } else { Detach::IfIdle };
    match liveness::of(&place) {
        Liveness::Dead => {
            take_away(&place, Detach::Lazily)?;
            say(&format!("{} was a dead mount; it is cleared", place.display()));
            return Ok(Outcome::Done);
        }
        Liveness::Silent if !config.lazy => {
            return Err(MountError::new(format!(
                "the daemon of {} does not answer; partfs umount --lazy {} detaches it",
                place.display(),
                place.display()
            )));
        }
        Liveness::Silent | Liveness::Alive => {}
    }
    // Opened before the unmount, while the number can only mean this process.
    let daemon = liveness::daemon_of(&place).and_then(|pid| Some((pid, open(pid)?)));
    take_away(&place, how)?;
    match daemon {
        Some((pid, fd)) => wait(pid, fd, config.timeout),
        None => {
            say("unmounted; its daemon is not known, so its last uploads are not waited for");
            Ok(Outcome::Done)
        }
    }
}

fn check_is_ours(place: &Path) -> Result<(), MountError> {
    let mount = mountinfo::at(place)
        .map_err(|error| MountError::new(format!("/proc/self/mountinfo: {error}")))?;
    match mount {
        None => Err(MountError::new(format!("nothing is mounted at {}", place.display()))),
        Some(mount) if !mount.is_ours() => Err(MountError::new(format!(
            "{} is not a mount of partfs but {} ({})",
            place.display(),
            mount.kind,
            mount.source
        ))),
        Some(_) => Ok(()),
    }
}

fn take_away(place: &Path, how: Detach) -> Result<(), MountError> {
    detach(place, how).map_err(|error| {
        let hint = match error {
            DetachError::Busy if how == Detach::IfIdle => {
                "; close them, or use --lazy (fuser -vm shows who)"
            }
            DetachError::Helper(_) if how == Detach::IfIdle => {
                "; if it is in use (fuser -vm shows who), --lazy detaches it all the same"
            }
            _ => "",
        };
        MountError::new(format!("cannot unmount {}: {error}{hint}", place.display()))
    })
}

fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits until the daemon has ended.
fn wait(pid: u32, daemon: OwnedFd, timeout: Option<Duration>) -> Result<Outcome, MountError> {
    let failed = |error: io::Error| {
        MountError::new(format!("unmounted, but cannot wait for process {pid}: {error}"))
    };
    let quiet = timeout.map_or(QUIET, |timeout| timeout.min(QUIET));
    if has_ended(&daemon, Some(quiet)).map_err(failed)? {
        return Ok(Outcome::Done);
    }
    say(&format!("unmounted; process {pid} finishes its uploads"));
    let rest = timeout.map(|timeout| timeout.saturating_sub(quiet));
    if has_ended(&daemon, rest).map_err(failed)? {
        return Ok(Outcome::Done);
    }
    Err(MountError::new(format!(
        "unmounted, but process {pid} is still uploading; it goes on in the background"
    )))
}

/// Whether the process of this pidfd ends within the time. A pidfd becomes readable then.
fn has_ended(daemon: &OwnedFd, within: Option<Duration>) -> io::Result<bool> {
    let within = within.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
    loop {
        match poll(&mut [PollFd::new(daemon, PollFlags::IN)], within.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            // A stopped and continued terminal job; then the waiting begins again.
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
