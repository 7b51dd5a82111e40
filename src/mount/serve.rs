//! A mount at work and its end: whatever happens first – it is unmounted, or a signal asks us to
//! stop – what is open is finished up to a deadline, and what was lost is said.
//!
//! Told to stop: drain, unmount, exit. New changes are refused meanwhile, but reads go on, and who writes may
//! finish. Unmounted: nobody can write any more, so only what is on its way is waited for.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{error, info, warn};

use super::detach::{Detach, DetachError};
use super::keeper::Hands;
use super::last_words::{Busy, End, LastWords};
use super::signals::StopSignals;
use super::systemd::{self, Notifier};
use super::watchdog::Watchdog;
use super::{MountError, Outcome, mountinfo, say};
use crate::fs::{DrainReport, FileSystem};
use crate::fuse::session::Session;

/// The file system may take this much longer than it was told before it is not waited for any more.
const GRACE: Duration = Duration::from_secs(5);

/// How long those who wait for an answer are waited for when everything else is done.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How often the service manager is told how far the end is.
const TICK: Duration = Duration::from_secs(1);

/// A mount that the kernel knows.
pub(crate) struct Served {
    /// What it serves.
    pub(crate) fs: Arc<FileSystem>,
    /// Where, without links.
    pub(crate) mountpoint: PathBuf,
    /// Who may unmount it.
    pub(crate) hands: Arc<Hands>,
    /// The number that the kernel gave to it.
    pub(crate) device: u64,
    /// How long finishing may take.
    pub(crate) drain_timeout: Duration,
    /// Whether what was sent of a file outlives us, and is continued.
    pub(crate) has_journal: bool,
    /// Who wants to know.
    pub(crate) notifier: Notifier,
    /// Pings for it.
    pub(crate) watchdog: Option<Watchdog>,
    /// Who else wants to know.
    pub(crate) last_words: Option<LastWords>,
    /// Becomes ready when the session has ended.
    pub(crate) ended: oneshot::Receiver<io::Result<()>>,
}

/// Why a mount ends.
enum Cause {
    /// The kernel asks no more. `aborted`: somebody cut the connection, and files may be open.
    Unmounted { aborted: bool },
    /// By this signal.
    Told(&'static str),
}

/// Waits for the end of a session on a thread of its own: the process can end although it still
/// waits, which a task of the runtime would prevent.
pub(crate) fn watch(session: Session) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("fuse-session".into());
    thread.spawn(move || drop(sender.send(session.wait())))?;
    Ok(receiver)
}

/// Serves until the end.
pub(crate) async fn serve(
    mut served: Served,
    mut signals: StopSignals,
) -> Result<Outcome, MountError> {
    let cause = tokio::select! {
        ended = &mut served.ended => Cause::Unmounted { aborted: report_end(ended) },
        name = signals.next() => Cause::Told(name),
    };
    if let Some(watchdog) = &served.watchdog {
        watchdog.ending();
    }
    // Who asks twice wants out at once. After an unmount the first signal asks for what is done already.
    let patience = match cause {
        Cause::Unmounted { .. } => 2,
        Cause::Told(name) => {
            info!("{name}: stopping");
            1
        }
    };
    let deadline = Instant::now() + served.drain_timeout;
    let (fs, notifier) = (Arc::clone(&served.fs), served.notifier.clone());
    let work = told_while(&fs, &notifier, deadline, end(&mut served, cause, deadline));
    let lost = match unless_signalled(&mut signals, patience, work).await {
        Some(report) => report.lost,
        None => interrupted(&served).await,
    };
    report_lost(&lost, served.has_journal);
    if let Some(last_words) = &served.last_words {
        last_words.say(End::of(&lost)).await;
    }
    Ok(if lost.is_empty() { Outcome::Done } else { Outcome::Lost })
}

/// The result, or nothing when so many signals came first.
async fn unless_signalled<T>(
    signals: &mut StopSignals,
    patience: u32,
    work: impl Future<Output = T>,
) -> Option<T> {
    let interrupted = async {
        for left in (0..patience).rev() {
            let name = signals.next().await;
            if left > 0 {
                info!("{name}: stopping already; a second signal ends it at once");
            }
        }
    };
    tokio::select! {
        result = work => Some(result),
        () = interrupted => None,
    }
}

/// Does the work, and tells the service manager of it.
async fn told_while<T>(
    fs: &FileSystem,
    notifier: &Notifier,
    deadline: Instant,
    work: impl Future<Output = T>,
) -> T {
    tokio::select! {
        biased;
        done = work => done,
        never = tell(fs, notifier, deadline) => match never {},
    }
}

/// What is waited for; and while the bucket confirms anything, that more time is needed. Who does not move is
/// left to the manager's own patience.
async fn tell(fs: &FileSystem, notifier: &Notifier, deadline: Instant) -> Infallible {
    let send = |text: &str| {
        if let Err(error) = notifier.send(text) {
            warn!("cannot tell systemd: {error}");
        }
    };
    let busy = || Busy { open: 0, ..Busy::of(fs) };
    let (mut told, mut moved) = (busy(), fs.moved());
    send(&format!("STOPPING=1\nSTATUS={told}"));
    loop {
        tokio::time::sleep(TICK).await;
        let now = busy();
        if now != told {
            send(&format!("STATUS={now}"));
            told = now;
        }
        let now = fs.moved();
        if now != moved {
            let left = deadline.saturating_duration_since(Instant::now());
            send(&systemd::extension(left.saturating_add(2 * GRACE)));
            moved = now;
        }
    }
}

/// Everything that belongs to the end, by the deadline or a moment later.
async fn end(served: &mut Served, cause: Cause, deadline: Instant) -> DrainReport {
    let fs = Arc::clone(&served.fs);
    match timeout_at(deadline + 5 * GRACE, end_in_order(served, cause, deadline)).await {
        Ok(report) => {
            let _ = timeout(LAST_ANSWERS, fs.all_answered()).await;
            report
        }
        Err(_) => {
            let mut lost = named(&fs);
            lost.push("uploads did not end within drain_timeout".into());
            DrainReport { lost, timed_out: true }
        }
    }
}

async fn end_in_order(served: &mut Served, cause: Cause, deadline: Instant) -> DrainReport {
    let Served { fs, mountpoint, hands, device, ended, .. } = served;
    let aborted = match cause {
        Cause::Unmounted { aborted } => aborted,
        Cause::Told(_) => {
            let left = deadline.saturating_duration_since(Instant::now());
            let report = tokio::select! {
                report = fs.drain_writers(left) => Ok(report),
                ended = &mut *ended => Err(report_end(ended)),
            };
            match report {
                Err(aborted) => aborted,
                Ok(report) if !report.lost.is_empty() => {
                    unmount(hands, Detach::Lazily).await;
                    return report;
                }
                Ok(report) => {
                    if !unmount(hands, Detach::IfIdle).await {
                        return report;
                    }
                    match timeout(GRACE, ended).await {
                        Ok(ended) => report_end(ended),
                        Err(_) => return report,
                    }
                }
            }
        }
    };
    // The connection was cut where the kernel shows the mount all the same.
    let stays = is_there(mountpoint, *device);
    if stays {
        // At once: who finds a dead mount puts another one in its place.
        unmount(hands, Detach::Lazily).await;
    }
    // What the last closes have left is little; it is given a moment even at the deadline.
    let left = || deadline.saturating_duration_since(Instant::now()).max(GRACE);
    let mut lost = fs.release_all(aborted || stays, left()).await;
    let mut report = fs.drain(left()).await;
    lost.append(&mut report.lost);
    DrainReport { lost, ..report }
}

/// Takes the mount out of the tree; programs that have files open keep them until we are gone. Says whether
/// nobody has.
async fn unmount(hands: &Arc<Hands>, how: Detach) -> bool {
    let hands = Arc::clone(hands);
    let unmounted = tokio::task::spawn_blocking(move || match hands.detach(how) {
        Err(DetachError::Busy | DetachError::Helper(_)) if how == Detach::IfIdle => {
            warn!("the mount is in use; it is detached all the same");
            hands.detach(Detach::Lazily).map(|()| false)
        }
        result => result.map(|()| how == Detach::IfIdle),
    });
    match unmounted.await {
        Ok(Ok(idle)) => return idle,
        Ok(Err(error)) => warn!("cannot unmount: {error}"),
        Err(error) => error!("cannot unmount: {error}"),
    }
    false
}

/// Whether this very mount is still in the tree.
fn is_there(mountpoint: &Path, device: u64) -> bool {
    let mount = mountinfo::at(mountpoint).ok().flatten();
    mount.is_some_and(|mount| mount.is_ours() && mount.device == Some(device))
}

/// Says whether the connection was aborted.
fn report_end(ended: Result<io::Result<()>, oneshot::error::RecvError>) -> bool {
    match ended {
        Ok(Ok(())) => info!("unmounted"),
        Ok(Err(error)) if is_abort(&error) => {
            error!("the connection to the kernel was aborted");
            return true;
        }
        Ok(Err(error)) => error!("the session ended: {error}"),
        Err(_) => error!("the session ended without a result"),
    }
    false
}

fn is_abort(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::CONNABORTED.raw_os_error())
}

/// Sentences for what is not finished.
fn named(fs: &FileSystem) -> Vec<String> {
    let unsaved = fs.unsaved();
    let unsaved = unsaved.iter().map(|file| format!("{}: {}", file.path, file.lacks));
    unsaved.chain(fs.given_up()).collect()
}

/// The end without waiting.
async fn interrupted(served: &Served) -> Vec<String> {
    let mut lost = named(&served.fs);
    lost.push("stopped by a second signal".to_owned());
    if is_there(&served.mountpoint, served.device) {
        // Helped by nobody but the kernel it takes no time; a helper that hangs is left behind.
        let _ = timeout(GRACE, unmount(&served.hands, Detach::Lazily)).await;
    }
    lost
}

fn report_lost(lost: &[String], has_journal: bool) {
    let tell = |sentence: String| {
        error!("{sentence}");
        say(&sentence);
    };
    lost.iter().for_each(|lost| tell(format!("lost: {lost}")));
    if !lost.is_empty() {
        let hint = match has_journal {
            true => "; what was sent of it is remembered, and goes on when it is written again",
            false => "",
        };
        tell(format!("not everything was stored, see the {} lines above{hint}", lost.len()));
    }
}
