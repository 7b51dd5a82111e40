//! Signals as values: who waits for one decides what it means.
//!
//! SIGHUP has two meanings. To a daemon it is "read your configuration anew", to a program in a terminal "the
//! terminal has been closed".

use std::fs;
use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a process to stop.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    /// Where it is one of them.
    hangup: Option<Signal>,
}

impl StopSignals {
    /// From now on SIGTERM and SIGINT no longer end the process by themselves. Needs a tokio runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: None,
        })
    }

    /// Waits for the next one and names it. Nothing is lost when the waiting is given up.
    pub async fn next(&mut self) -> &'static str {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = hangup => "SIGHUP",
        }
    }
}

/// The signals that ask a process to read its configuration anew.
#[derive(Debug)]
pub(crate) struct ReloadSignals(Option<Signal>);

impl ReloadSignals {
    /// Waits for the next one, for ever where it is a signal to stop. Nothing is lost when the waiting is given
    /// up; several that come before somebody waits are one.
    pub(crate) async fn next(&mut self) {
        match &mut self.0 {
            Some(hangup) => drop(hangup.recv().await),
            None => pending().await,
        }
    }
}

/// The signals of a mount. From now on none of them ends the process by itself. Needs a tokio runtime.
pub(crate) fn of_mount() -> io::Result<(StopSignals, ReloadSignals)> {
    // Before the handler takes its place.
    let ends_with_terminal = has_terminal() && !ignores_hangup();
    let mut stop = StopSignals::new()?;
    let hangup = Some(signal(SignalKind::hangup())?);
    if ends_with_terminal {
        stop.hangup = hangup;
        return Ok((stop, ReloadSignals(None)));
    }
    Ok((stop, ReloadSignals(hangup)))
}

/// Whether the process belongs to a terminal. A daemon has left it, a service never had one.
fn has_terminal() -> bool {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    terminal(&stat).is_some_and(|number| number != 0)
}

/// The number of the terminal in `/proc/PID/stat` (proc_pid_stat(5)), 0 for none. The name before it may hold
/// anything.
fn terminal(stat: &str) -> Option<i64> {
    let (_, fields) = stat.rsplit_once(')')?;
    // State, parent, group and session come before it.
    fields.split_whitespace().nth(4)?.parse().ok()
}

/// Whether it was started by nohup(1), to outlive its terminal.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored(&status).is_some_and(|signals| signals & 1 != 0)
}

/// The set of ignored signals, SIGHUP being the lowest bit.
fn ignored(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_of_a_process_is_read_behind_its_name() {
        assert_eq!(terminal("7 (a) b) (x) S 1 7 7 34817 7 0"), Some(34817));
        assert_eq!(terminal("7 (partfs) S 1 7 7 0 -1 0"), Some(0));
        assert_eq!(terminal("7 (partfs) S 1"), None);
        assert_eq!(terminal(""), None);
    }

    #[test]
    fn the_set_of_ignored_signals_is_read() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\n"), Some(0x1001));
        assert_eq!(ignored("Name:\tx\n"), None);
    }
}
