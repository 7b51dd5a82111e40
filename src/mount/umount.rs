//! `partfs umount`: takes a mount away, waits until its daemon has nothing left to upload, and says what that
//! could not store.

use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::time::Instant;

use super::config::UmountConfig;
use super::detach::{Detach, DetachError, detach};
use super::human::count;
use super::last_words::{Busy, End, Listener};
use super::liveness::{self, Liveness};
use super::status::{Bars, Progress};
use super::{MountError, Outcome, mountinfo, mountpoint, say, utab};

/// After this the user is told what is being waited for, …
const QUIET: Duration = Duration::from_secs(1);
/// … and so often, when that changes.
const AGAIN: Duration = Duration::from_secs(10);
/// Between two pictures of bars.
const TICK: Duration = Duration::from_millis(500);

/// Unmounts. Safe to repeat: a second call says that nothing is mounted.
pub fn run(config: &UmountConfig) -> Result<Outcome, MountError> {
    let place = mountpoint::locate(&config.mountpoint)?;
    if config.if_dead {
        return clear(&place);
    }
    check_is_ours(&place)?;
    let how = match (config.force, config.lazy) {
        (true, _) => Detach::Forced,
        (false, true) => Detach::Lazily,
        (false, false) => Detach::IfIdle,
    };
    let liveness = liveness::of(&place);
    match liveness {
        Liveness::Dead => {
            take_away(&place, Detach::Lazily)?;
            utab::forget(&place);
            say(&format!("{} was a dead mount; it is cleared", place.display()));
            return Ok(Outcome::Done);
        }
        Liveness::Silent if how == Detach::IfIdle => {
            return Err(MountError::new(format!(
                "the daemon of {} does not answer; partfs umount --lazy {} detaches it, --force ends what waits \
                 for it as well",
                place.display(),
                place.display()
            )));
        }
        Liveness::Silent | Liveness::Alive => {}
    }
    // Opened before the unmount, while the names can only mean this daemon.
    let daemon = match liveness {
        // Nor would it say who it is.
        Liveness::Silent => None,
        _ => liveness::status_of(&place).ok().and_then(|daemon| Daemon::open(&daemon)),
    };
    take_away(&place, how)?;
    utab::forget(&place);
    if config.no_wait {
        return Ok(Outcome::Done);
    }
    match daemon {
        Some(daemon) => daemon.wait(config.timeout),
        None => Err(MountError::new(
            "unmounted, but its daemon is not known and was not waited for: its log tells whether everything \
             was stored",
        )),
    }
}

/// Takes away what a daemon has left that is gone, and nothing else. For who cleans up after it and cannot know
/// what is there by now.
fn clear(place: &Path) -> Result<Outcome, MountError> {
    let mount = mountinfo::at(place)
        .map_err(|error| MountError::new(format!("/proc/self/mountinfo: {error}")))?;
    if mount.is_some_and(|mount| mount.is_ours()) && liveness::of(place) == Liveness::Dead {
        take_away(place, Detach::Lazily)?;
        utab::forget(place);
        say(&format!("{} was a dead mount; it is cleared", place.display()));
    }
    Ok(Outcome::Done)
}

fn check_is_ours(place: &Path) -> Result<(), MountError> {
    let mount = mountinfo::at(place)
        .map_err(|error| MountError::new(format!("/proc/self/mountinfo: {error}")))?;
    let me = rustix::process::geteuid();
    match mount {
        None => Err(MountError::new(format!("nothing is mounted at {}", place.display()))),
        Some(mount) if !mount.is_ours() => Err(MountError::new(format!(
            "{} is not a mount of partfs but {} ({})",
            place.display(),
            mount.kind,
            mount.source
        ))),
        Some(mount) => match mount.user {
            Some(user) if user != me.as_raw() && !me.is_root() => Err(MountError::new(format!(
                "{} is a mount of the user with number {user}: nobody else but root can unmount it",
                place.display()
            ))),
            _ => Ok(()),
        },
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

/// Tells the user what is being waited for: by bars on a terminal, elsewhere by a line when something has changed.
struct Speaker {
    pid: u32,
    bars: Option<(Bars, Progress)>,
    said: Option<Busy>,
}

impl Speaker {
    fn new(pid: u32) -> Self {
        let bars = || (Bars::on_stderr(), Progress::default());
        Self { pid, bars: io::stderr().is_terminal().then(bars), said: None }
    }

    /// Says it, and when to speak again.
    fn say(&mut self, busy: Busy, waited: Duration) -> Duration {
        let pid = self.pid;
        let Some((bars, progress)) = &mut self.bars else {
            if self.said.as_ref() != Some(&busy) {
                say(&format!("unmounted; process {pid} {busy}"));
                self.said = Some(busy);
            }
            return AGAIN;
        };
        // What is gone from the list is stored or lost: the end tells.
        let (lines, _) = progress.look(&busy.files, waited, |_| None);
        let head = match lines.len() + busy.more {
            0 => format!("unmounted; process {pid} {busy}"),
            files => format!("unmounted; process {pid} finishes {}", count(files, "file")),
        };
        bars.show(&head, &lines);
        TICK
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        if let Some((bars, _)) = &self.bars {
            bars.clear();
        }
    }
}

/// The daemon of a mount.
struct Daemon {
    pid: u32,
    process: OwnedFd,
    words: Option<Listener>,
}

impl Daemon {
    /// `None` when its process cannot be seen.
    fn open(daemon: &liveness::Daemon) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(daemon.pid).ok()?)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let words = daemon.last_words.as_deref().and_then(|name| Listener::connect(name).ok());
        Some(Self { pid: daemon.pid, process, words })
    }

    /// Waits until it has ended, and says what for.
    fn wait(mut self, timeout: Option<Duration>) -> Result<Outcome, MountError> {
        let pid = self.pid;
        let failed = |error: io::Error| {
            MountError::new(format!("unmounted, but cannot wait for process {pid}: {error}"))
        };
        let began = Instant::now();
        let mut speaker = Speaker::new(pid);
        let mut speaks_at = timeout.map_or(QUIET, |timeout| timeout.min(QUIET));
        loop {
            let until = timeout.map_or(speaks_at, |timeout| timeout.min(speaks_at));
            if self.has_ended(until.saturating_sub(began.elapsed())).map_err(failed)? {
                drop(speaker);
                return self.outcome();
            }
            let waited = began.elapsed();
            if waited >= speaks_at {
                let busy = self.words.as_ref().and_then(Listener::busy);
                speaks_at = waited + speaker.say(busy.cloned().unwrap_or_default(), waited);
            }
            if timeout.is_some_and(|timeout| waited >= timeout) {
                return Err(MountError::new(format!(
                    "unmounted, but process {pid} is still uploading; it goes on in the background"
                )));
            }
        }
    }

    /// Whether the process ends within the time. A pidfd becomes readable then. Hears what it says meanwhile.
    fn has_ended(&mut self, within: Duration) -> io::Result<bool> {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let words = self.words.as_ref().and_then(Listener::stream);
            let mut both = vec![PollFd::new(&self.process, PollFlags::IN)];
            both.extend(words.map(|words| PollFd::new(words, PollFlags::IN)));
            match poll(&mut both, Some(&left)) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                // A stopped and continued terminal job.
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let ended = !both[0].revents().is_empty();
            drop(both);
            if let Some(words) = &mut self.words {
                words.hear();
            }
            if ended {
                return Ok(true);
            }
        }
    }

    /// What came of a daemon that has ended.
    fn outcome(self) -> Result<Outcome, MountError> {
        let unknown = |why: &str| {
            Err(MountError::new(format!(
                "unmounted, but process {} {why}: its log tells whether everything was stored",
                self.pid
            )))
        };
        let Some(words) = self.words else { return unknown("could not be asked") };
        let Some(End { lost, more }) = words.end() else { return unknown("ended suddenly") };
        lost.iter().for_each(|lost| say(&format!("lost: {lost}")));
        if *more > 0 {
            say(&format!("lost: {more} more; the log of the daemon names them"));
        }
        Ok(if lost.is_empty() { Outcome::Done } else { Outcome::Lost })
    }
}
