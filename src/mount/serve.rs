//! A mount at work and its end: whatever happens first – it is unmounted, or a signal asks us to
//! stop – what is open is finished up to a deadline, and what was lost is said.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::detach::{Detach, DetachError, detach};
use super::signals::StopSignals;
use super::systemd::Notifier;
use super::{MountError, Outcome, say};
use crate::fs::{DrainReport, FileSystem};
use crate::fuse::session::Session;

/// The file system may take this much longer than it was told before it is not waited for any more.
const GRACE: Duration = Duration::from_secs(5);

/// A mount that the kernel knows.
pub(crate) struct Served {
    /// What it serves.
    pub(crate) fs: Arc<FileSystem>,
    /// Where, without links.
    pub(crate) mountpoint: PathBuf,
    /// How long finishing may take.
    pub(crate) drain_timeout: Duration,
    /// Who wants to know.
    pub(crate) notifier: Notifier,
    /// Becomes ready when the session has ended.
    pub(crate) ended: oneshot::Receiver<io::Result<()>>,
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
    tokio::select! {
        ended = &mut served.ended => report_end(ended),
        name = signals.next() => {
            info!("{name}: stopping");
            if let Err(error) = served.notifier.send("STOPPING=1\nSTATUS=finishing uploads") {
                warn!("cannot tell systemd: {error}");
            }
            let mountpoint = served.mountpoint.clone();
            if unless_signalled(&mut signals, unmount(mountpoint)).await.is_none() {
                return Ok(interrupted());
            }
        }
    }
    let drained = unless_signalled(&mut signals, drain(&served)).await;
    Ok(drained.map_or_else(interrupted, outcome))
}

/// The result, or nothing when another signal came first: who asks twice wants out at once.
async fn unless_signalled<T>(
    signals: &mut StopSignals,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        result = work => Some(result),
        _ = signals.next() => None,
    }
}

/// Takes the mount out of the tree. Programs that have files open keep them until we are gone.
async fn unmount(mountpoint: PathBuf) {
    let unmounted =
        tokio::task::spawn_blocking(move || match detach(&mountpoint, Detach::IfIdle) {
            Err(DetachError::Busy | DetachError::Helper(_)) => {
                warn!("{} is in use; it is detached all the same", mountpoint.display());
                detach(&mountpoint, Detach::Lazily)
            }
            result => result,
        });
    match unmounted.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!("cannot unmount: {error}"),
        Err(error) => error!("cannot unmount: {error}"),
    }
}

async fn drain(served: &Served) -> DrainReport {
    let work = served.fs.drain(served.drain_timeout);
    match tokio::time::timeout(served.drain_timeout.saturating_add(GRACE), work).await {
        Ok(report) => report,
        Err(_) => DrainReport {
            lost: vec!["uploads did not end within drain_timeout".into()],
            timed_out: true,
        },
    }
}

fn report_end(ended: Result<io::Result<()>, oneshot::error::RecvError>) {
    match ended {
        Ok(Ok(())) => info!("unmounted"),
        Ok(Err(error)) => error!("the session ended: {error}"),
        Err(_) => error!("the session ended without a result"),
    }
}

fn outcome(report: DrainReport) -> Outcome {
    if report.lost.is_empty() {
        return Outcome::Done;
    }
    for lost in &report.lost {
        error!("lost: {lost}");
        say(&format!("lost: {lost}"));
    }
    Outcome::Lost
}

fn interrupted() -> Outcome {
    error!("stopped by a second signal; uploads in flight are lost");
    say("stopped by a second signal; uploads in flight are lost");
    Outcome::Lost
}
