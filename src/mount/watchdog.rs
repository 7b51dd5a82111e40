//! The service manager's watchdog: a ping says that the daemon still does its work, so it is sent only after the
//! kernel has passed a question on, a session thread has answered it, and the runtime has run a task.
//!
//! No question needs the bucket: one that is slow or silent is none of the watchdog's business.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle as Runtime;
use tracing::warn;

use super::asker::{Answer, Asker};
use super::systemd::Notifier;

/// What systemd wants to hear.
const PING: &str = "WATCHDOG=1";

/// Pings until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    ending: Arc<AtomicBool>,
    /// Dropped with this: the thread hears of it.
    _stop: mpsc::Sender<()>,
}

impl Watchdog {
    /// A ping twice in the time within which the manager expects one. Of a mount that is in the tree, with this
    /// number of its device; `asker` was started for its place while this process could still start others.
    pub(crate) fn start(
        period: Duration,
        notifier: Notifier,
        asker: io::Result<Asker>,
        device: u64,
        runtime: Runtime,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let ending = Arc::new(AtomicBool::new(false));
        let mut rounds =
            Rounds { device, asker, ending: Arc::clone(&ending), runtime, has_warned: false };
        let work = move || {
            while stopped.recv_timeout(period / 2) == Err(RecvTimeoutError::Timeout) {
                if rounds.prove_work()
                    && let Err(error) = notifier.send(PING)
                {
                    warn!(%error, "cannot ping systemd");
                }
            }
        };
        thread::Builder::new().name("watchdog".into()).spawn(work)?;
        Ok(Self { ending, _stop: stop })
    }

    /// The mount ends: what is left to do has a deadline, and the mount is not asked any more, because it may be
    /// gone, and because a question keeps it busy for a moment.
    pub(crate) fn ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

/// What a ping rests on.
struct Rounds {
    device: u64,
    asker: io::Result<Asker>,
    ending: Arc<AtomicBool>,
    runtime: Runtime,
    has_warned: bool,
}

impl Rounds {
    /// Returns when the work goes on; as late as that, or never.
    fn prove_work(&mut self) -> bool {
        let ending = || self.ending.load(Ordering::Relaxed);
        let answer = match (ending(), &mut self.asker) {
            (true, _) => None,
            (false, Ok(asker)) => asker.ask(self.device),
            (false, Err(_)) => None,
        };
        let (works, warning) = judge(answer, ending());
        if let Some(warning) = warning.filter(|_| !self.has_warned) {
            self.has_warned = true;
            match &self.asker {
                Err(error) => warn!(%error, "{warning}"),
                Ok(_) => warn!("{warning}"),
            }
        }
        works && self.runtime_works()
    }

    /// Waits for a task.
    fn runtime_works(&self) -> bool {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let _ = sender.send(());
        });
        receiver.recv().is_ok()
    }
}

/// Whether an answer lets the rest decide, and what the log is told about it. Where there is no way to ask, the
/// daemon is not killed for that.
fn judge(answer: Option<Answer>, ending: bool) -> (bool, Option<&'static str>) {
    match answer {
        _ if ending => (true, None),
        Some(Answer::Answered | Answer::Elsewhere) => (true, None),
        Some(Answer::Disconnected) => (false, None),
        Some(Answer::NotLetIn) => (
            true,
            Some(
                "watchdog: the kernel does not let this user ask the mount; pings say only that the process works",
            ),
        ),
        None => (
            true,
            Some(
                "watchdog: there is no process that asks the mount; pings say only that this process works",
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_without_a_daemon_keeps_a_ping_back() {
        assert_eq!(judge(Some(Answer::Answered), false), (true, None));
        assert_eq!(judge(Some(Answer::Elsewhere), false), (true, None), "detached, and in use");
        assert_eq!(judge(Some(Answer::Disconnected), false), (false, None));
        assert_eq!(judge(Some(Answer::Disconnected), true), (true, None), "it knows");
        for answer in [Some(Answer::NotLetIn), None] {
            let (works, warning) = judge(answer, false);
            assert!(works && warning.is_some());
        }
        assert_eq!(judge(None, true), (true, None));
    }
}
