//! Whether a process that asked for something was killed, or is about to be: what `/proc` says of it.
//!
//! FLUSH comes from a dying process as from one that closes, and the kernel waits for the answer. At that
//! moment `/proc/PID/stat` shows how it ends (measured on Linux 6.18). A process that waits for any
//! answer of ours is not freed by SIGKILL before we give it; `/proc/PID/status` shows the signal.
//!
//! Numbers may be those of threads: what is asked for here is a thread's own. Where nothing can be seen –
//! number 0 or another one's of a namespace we are not in, `/proc` hidden, another user's process – a process
//! counts as alive, and its end as an ordinary one.

use std::fs;

/// PF_EXITING and PF_SIGNALED (include/linux/sched.h): on its way out, and because of a signal.
const EXITING: u64 = 0x4;
const SIGNALED: u64 = 0x400;

/// The part of an exit code that names the signal (wait(2)).
const SIGNAL_OF_EXIT: u64 = 0x7f;

/// Signals whose default action lets the process live (signal(7)). All others end it, real-time ones
/// included.
const HARMLESS: [i32; 8] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
];

/// Whether a thread is dying because its process was killed by a signal, as opposed to ending by itself.
///
/// `stat` is looked at only of threads that have no memory any more, which is so on their way out. A thread in
/// execve has some, and closes what is to be closed there with a lock held for which a reader of `stat` waits:
/// we would wait for it, and it for our answer to its FLUSH, for ever (measured on Linux 6.18).
pub(super) fn was_killed(thread: u32) -> bool {
    text(thread, "status").is_some_and(|status| is_dying_killed(thread, &status))
}

/// Whether a thread is on its way out, for whatever reason. Everybody may see that.
pub(super) fn is_dying(thread: u32) -> bool {
    text(thread, "status").is_some_and(|status| !has_memory(&status))
}

fn is_dying_killed(thread: u32, status: &str) -> bool {
    !has_memory(status)
        && text(thread, "stat").is_some_and(|stat| Stat::parse(&stat).is_some_and(Stat::was_killed))
}

/// Whether `/proc/PID/status` is that of a thread that has an address space.
fn has_memory(status: &str) -> bool {
    status.lines().any(|line| line.starts_with("VmSize:"))
}

/// Whether a thread that waits would die if it were let go.
pub(super) fn is_doomed(thread: u32) -> bool {
    text(thread, "status").is_some_and(|status| {
        Signals::parse(&status).is_fatal() || is_dying_killed(thread, &status)
    })
}

fn text(thread: u32, file: &str) -> Option<String> {
    if thread == 0 {
        return None;
    }
    // Names of programs may be anything; what we look for is ASCII.
    let bytes = fs::read(format!("/proc/{thread}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What matters of `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    flags: u64,
    exit_code: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name, in parentheses, may hold blanks and parentheses. Behind it is field 3.
        let (_, rest) = text.rsplit_once(") ")?;
        let field = |number: usize| rest.split_ascii_whitespace().nth(number - 3)?.parse().ok();
        Some(Self { flags: field(9)?, exit_code: field(52)? })
    }

    /// The flag alone does not tell: when a program with threads ends by itself, the kernel kills all
    /// threads but one, and any of them may be the last that has the file. The code is that of the
    /// process. It is 0 for whoever may not see it.
    fn was_killed(self) -> bool {
        let dying = self.flags & (EXITING | SIGNALED) == EXITING | SIGNALED;
        dying && self.exit_code & SIGNAL_OF_EXIT != 0
    }
}

/// The signal sets of `/proc/PID/status` (proc_pid_status(5)): bit n-1 stands for signal n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Signals {
    pending: u64,
    blocked: u64,
    ignored: u64,
    caught: u64,
}

impl Signals {
    fn parse(text: &str) -> Self {
        let mut signals = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let Ok(set) = u64::from_str_radix(value.trim(), 16) else { continue };
            match name {
                // Its own, and those of the whole process.
                "SigPnd" | "ShdPnd" => signals.pending |= set,
                "SigBlk" => signals.blocked = set,
                "SigIgn" => signals.ignored = set,
                "SigCgt" => signals.caught = set,
                _ => {}
            }
        }
        signals
    }

    /// Whether one of them ends the process. A signal with a handler does not: a close that is
    /// broken off by SIGALRM would fail although nothing is wrong.
    fn is_fatal(self) -> bool {
        let kill = bit(libc::SIGKILL);
        let harmless = HARMLESS.into_iter().fold(0, |set, signal| set | bit(signal));
        let survived = harmless | self.blocked | self.ignored | self.caught;
        // Whatever the program has asked for, nobody survives SIGKILL. The kernel makes it of other fatal
        // signals, too, but not of those that write a core.
        self.pending & (kill | !survived) != 0
    }
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn stat(flags: u64, exit_code: u64) -> String {
        let zeros = |count| vec!["0"; count].join(" ");
        // Fields 4 to 8, 10 to 51.
        format!("12 (a) b) R {} {flags} {} {exit_code}\n", zeros(5), zeros(42))
    }

    #[test]
    fn who_was_killed_is_told_from_who_ended() {
        let killed = |flags, code| Stat::parse(&stat(flags, code)).unwrap().was_killed();
        let (killed_by_9, dumped_by_11) = (9, 0x80 | 11);
        assert!(killed(0x40_0404, killed_by_9));
        assert!(killed(EXITING | SIGNALED, dumped_by_11));
        assert!(!killed(EXITING, 0), "exit(0)");
        assert!(!killed(EXITING, 1 << 8), "exit(1)");
        assert!(!killed(EXITING | SIGNALED, 0), "another thread of who called exit(0)");
        assert!(!killed(EXITING | SIGNALED, 3 << 8), "another thread of who called exit(3)");
        assert!(!killed(SIGNALED, 9), "not dying yet");
        assert_eq!(Stat::parse("12 (cut) R 1 2"), None);
        assert_eq!(Stat::parse(""), None);
    }

    fn fatal(
        own: &[i32],
        shared: &[i32],
        blocked: &[i32],
        ignored: &[i32],
        caught: &[i32],
    ) -> bool {
        let set = |signals: &[i32]| signals.iter().fold(0_u64, |set, signal| set | bit(*signal));
        Signals::parse(&format!(
            "Name:\tx\nSigQ:\t0/95\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\n\
             SigIgn:\t{:016x}\nSigCgt:\t{:016x}\n",
            set(own),
            set(shared),
            set(blocked),
            set(ignored),
            set(caught)
        ))
        .is_fatal()
    }

    #[test]
    fn only_signals_that_end_the_process_are_fatal() {
        use libc::{SIGALRM, SIGCHLD, SIGKILL, SIGQUIT, SIGTERM, SIGTSTP};
        assert!(fatal(&[SIGKILL], &[], &[], &[], &[]), "to the thread");
        assert!(fatal(&[], &[SIGKILL], &[], &[], &[]), "to the process");
        assert!(fatal(&[], &[SIGTERM], &[], &[], &[]));
        assert!(fatal(&[], &[SIGQUIT], &[], &[], &[]), "the kernel waits for us to dump the core");
        assert!(fatal(&[], &[40], &[], &[], &[]), "a real-time signal");
        assert!(!fatal(&[], &[], &[], &[], &[]));
        assert!(!fatal(&[], &[SIGALRM], &[], &[], &[SIGALRM]), "it has a handler");
        assert!(!fatal(&[], &[SIGTERM], &[SIGTERM], &[], &[]));
        assert!(!fatal(&[], &[SIGTERM], &[], &[SIGTERM], &[]));
        for harmless in [SIGCHLD, SIGTSTP, libc::SIGSTOP, libc::SIGCONT, libc::SIGWINCH] {
            assert!(!fatal(&[harmless], &[harmless], &[], &[], &[]), "{harmless}");
        }
        assert!(fatal(&[], &[SIGALRM, SIGTERM], &[], &[], &[SIGALRM]), "one of two is enough");
    }

    #[test]
    fn living_processes_and_those_that_cannot_be_seen_are_neither() {
        for thread in [0, std::process::id(), u32::MAX] {
            assert!(!was_killed(thread) && !is_doomed(thread), "{thread}");
        }
    }

    #[test]
    fn who_has_memory_is_not_dying() {
        let own = text(std::process::id(), "status").unwrap();
        assert!(has_memory(&own));
        assert!(!has_memory("Name:\tVmSize: x\nState:\tZ (zombie)\n"));
    }

    #[test]
    fn the_kernel_shows_what_is_read_here() {
        let spawn = |script: &str| {
            Command::new("sh").args(["-c", script]).stdout(Stdio::null()).spawn().unwrap()
        };
        // Not waited for before the look: a zombie has kept flags and code.
        let until_zombie = |pid: u32| {
            while !text(pid, "stat").unwrap().contains(") Z ") {
                std::thread::yield_now();
            }
        };
        for (script, expected) in [("kill -9 $$", true), ("kill -15 $$", true), ("exit 3", false)] {
            let mut child = spawn(script);
            until_zombie(child.id());
            assert_eq!(was_killed(child.id()), expected, "{script}");
            assert_eq!(is_doomed(child.id()), expected, "{script}");
            child.wait().unwrap();
        }
    }
    #[test]
    fn a_signal_that_waits_dooms_and_one_that_is_harmless_does_not() {
        // What is sent to a stopped process waits, as at one that waits for us.
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let send = |signal| {
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, signal).unwrap();
        };
        send(rustix::process::Signal::STOP);
        while !text(child.id(), "status").unwrap().contains("State:\tT") {
            std::thread::yield_now();
        }
        send(rustix::process::Signal::WINCH);
        assert!(!is_doomed(child.id()));
        send(rustix::process::Signal::TERM);
        assert!(is_doomed(child.id()) && !was_killed(child.id()));
        send(rustix::process::Signal::KILL);
        child.wait().unwrap();
    }
}
