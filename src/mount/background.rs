//! Going to the background: partfs starts itself once more and waits until that process has mounted.
//! Not by fork: a forked copy of a program with threads is half a program.
//!
//! The two speak through one pipe, the new process's standard output and error. A line that is
//! [`READY`] ends the waiting with success; every other line is for the user; the end of the pipe
//! without it is failure.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{MountError, Outcome, say};

/// Not a text that anybody would print.
const READY: &str = "\u{1}partfs-ready";

/// Most bytes of one line that is passed on.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// Starts the daemon with this command line, from the command word on, and waits until it serves the mount, or
/// has said why it cannot.
pub(crate) fn start(arguments: &[OsString]) -> Result<Outcome, MountError> {
    let (reader, mut child) = spawn(arguments)
        .map_err(|error| MountError::new(format!("cannot start in the background: {error}")))?;
    if passes_on_until_ready(reader, &mut io::stderr()) {
        return Ok(Outcome::Done);
    }
    // Its own words are on the screen already; without any, the way it ended must do.
    let ended = child.wait().map(|status| status.to_string());
    match ended.as_deref() {
        Ok("exit status: 1") => Err(MountError::already_said()),
        Ok(status) => {
            Err(MountError::new(format!("the daemon ended before it was ready: {status}")))
        }
        Err(error) => Err(MountError::new(format!("the daemon was lost: {error}"))),
    }
}

fn spawn(arguments: &[OsString]) -> io::Result<(PipeReader, Child)> {
    let (reader, writer) = io::pipe()?;
    let mut arguments = arguments.iter();
    let command_word = arguments.next();
    let mut command = Command::new(program());
    // Behind the command word and before everything else: after a `--` it would be an argument.
    command.args(command_word).arg("--background-child").args(arguments);
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn()?;
    // `command` still holds the writing ends; with it they close, and the child's are the last.
    drop(command);
    Ok((reader, child))
}

/// This program. The path keeps its name in `ps`; after an update that replaced the file only the
/// link in /proc still leads to what is running.
pub(crate) fn program() -> PathBuf {
    match std::env::current_exe() {
        Ok(path) if path.is_file() => path,
        _ => PathBuf::from("/proc/self/exe"),
    }
}

/// Copies lines until the ready notice; false when the pipe ends first.
fn passes_on_until_ready(pipe: impl io::Read, screen: &mut impl Write) -> bool {
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        match io::Read::take(&mut pipe, MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return false,
            Ok(_) if line.trim_ascii_end() == READY.as_bytes() => return true,
            Ok(_) => drop(screen.write_all(&line)),
        }
    }
}

/// The new process leaves the terminal's session, so that its end or a key does not end the mount,
/// and the directory it was started in, so that this one can be unmounted or removed.
pub(crate) fn leave_terminal() -> Result<(), MountError> {
    let left = rustix::process::setsid().map(drop).map_err(io::Error::from);
    left.and_then(|()| std::env::set_current_dir(Path::new("/")))
        .map_err(|error| MountError::new(format!("cannot leave the terminal: {error}")))
}

/// Tells the waiting process that the mount works. An error means that nobody waits any more: the
/// user has given up, and the mount must go too.
pub(crate) fn tell_ready() -> Result<(), MountError> {
    let mut pipe = io::stdout();
    let told = writeln!(pipe, "{READY}").and_then(|()| pipe.flush());
    told.map_err(|_| {
        say("the command that started this mount has gone; unmounting");
        MountError::already_said()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(text: &str) -> (bool, String) {
        let mut screen = Vec::new();
        let ready = passes_on_until_ready(text.as_bytes(), &mut screen);
        (ready, String::from_utf8(screen).unwrap())
    }

    #[test]
    fn words_are_passed_on_and_the_notice_ends_the_waiting() {
        let (ready, screen) = passed(&format!("partfs: cleared\n{READY}\nnot for the user\n"));
        assert!(ready);
        assert_eq!(screen, "partfs: cleared\n");
    }

    #[test]
    fn an_end_without_the_notice_is_failure() {
        assert_eq!(passed("partfs: no\n"), (false, "partfs: no\n".to_owned()));
        assert_eq!(passed(""), (false, String::new()));
    }
}
