//! Ends the program when a seed does not end in real time. Virtual time stands still while a task keeps its
//! thread busy, so no deadline within the run can tell.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// A seed takes milliseconds; this is for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watches over what runs while it is there.
pub struct Watchdog {
    /// Closed when it is dropped; nothing is sent.
    _over: Sender<()>,
}

impl Watchdog {
    /// Says `what` and aborts the program if this is there for longer than a minute.
    pub fn over(what: String) -> Self {
        Self::patient(PATIENCE, move |patience| {
            // Past what captures the output of a test, which would be lost.
            let _ = writeln!(std::io::stderr(), "no end after {patience:?} of real time: {what}");
            std::process::abort();
        })
    }

    fn patient(patience: Duration, bark: impl FnOnce(Duration) + Send + 'static) -> Self {
        let (over, watched): (_, Receiver<()>) = channel();
        thread::spawn(move || {
            if watched.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                bark(patience);
            }
        });
        Self { _over: over }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_barks_at_what_does_not_end_and_only_then() {
        let (told, heard) = channel();
        let dog = Watchdog::patient(Duration::from_millis(1), move |patience| {
            told.send(patience).expect("somebody listens");
        });
        assert_eq!(heard.recv(), Ok(Duration::from_millis(1)));
        drop(dog);

        let (told, heard) = channel();
        drop(Watchdog::patient(PATIENCE, move |patience| {
            told.send(patience).expect("somebody listens");
        }));
        assert!(heard.recv().is_err(), "it is gone and has said nothing");
    }
}
