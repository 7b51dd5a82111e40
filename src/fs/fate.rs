//! Whether a process that asked for something was killed, or is about to be: what `/proc` says of it.
//!
//! FLUSH comes from a dying process as from one that closes, and the kernel waits for the answer. At that
//! moment `/proc/PID/stat` shows how it ends (measured on Linux 6.18).
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

/// Whether a thread is dying because its process was killed by a signal, as opposed to ending by itself.
pub(super) fn was_killed(thread: u32) -> bool {
    text(thread, "stat").is_some_and(|stat| Stat::parse(&stat).is_some_and(Stat::was_killed))
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

    #[test]
    fn living_processes_and_those_that_cannot_be_seen_were_not_killed() {
        for thread in [0, std::process::id(), u32::MAX] {
            assert!(!was_killed(thread), "{thread}");
        }
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
            child.wait().unwrap();
        }
    }
}
