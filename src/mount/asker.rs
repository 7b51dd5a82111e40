//! A process that asks a mount a small question whenever it is told to, and says what came of it.
//!
//! Not a thread: who waits for an answer that never comes cannot be killed, and keeps the files of its
//! process open, the one that leads to the kernel among them. So a daemon that asked itself could not be ended by
//! anybody, and a command would not return. This process has nothing of the daemon's, and gets its answer, an error, when the daemon ends.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
};

use super::{background, mountinfo};

/// The word of the command line that makes a process an asker.
pub const WORD: &str = "ask-mount";

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The daemon has answered.
    Answered,
    /// This very mount is not in the tree, so it cannot be asked. It may still serve who has files open.
    Elsewhere,
    /// The kernel does not let us ask, and says so, or answers by itself.
    NotLetIn,
    /// The kernel says that nobody serves it.
    Disconnected,
}

impl Answer {
    const ALL: [(Self, u8); 4] = [
        (Self::Answered, b'a'),
        (Self::Elsewhere, b'e'),
        (Self::NotLetIn, b'n'),
        (Self::Disconnected, b'd'),
    ];

    fn to_byte(self) -> u8 {
        Self::ALL.iter().find(|(answer, _)| *answer == self).map_or(b'?', |(_, byte)| *byte)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == byte).map(|(answer, _)| *answer)
    }
}

/// That process, as its owner sees it.
#[derive(Debug)]
pub(crate) struct Asker {
    child: Child,
    questions: ChildStdin,
    answers: ChildStdout,
}

impl Asker {
    /// Starts it, for whatever is mounted at this place, now or later; as another user, given by user and group,
    /// where this one would not be let in.
    pub(crate) fn start(place: &Path, user: Option<(u32, u32)>) -> io::Result<Self> {
        let mut command = Command::new(background::program());
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        command.arg(WORD).arg(place);
        // The environment may hold keys.
        command.env_clear().current_dir("/").stderr(Stdio::null());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(questions), Some(answers)) => Ok(Self { child, questions, answers }),
            _ => Err(io::Error::other("it has no pipes")),
        }
    }

    /// Ends it where it waits for nothing: after an answer. A child that nobody waits for would stay in the table of
    /// processes.
    pub(crate) fn end(self) {
        let Self { mut child, questions, answers } = self;
        drop((questions, answers));
        let _ = child.wait();
    }

    /// Waits for the answer to one question, about the mount with this number of its device. `None` when the
    /// process has ended.
    pub(crate) fn ask(&mut self, device: u64) -> Option<Answer> {
        let mut answer = [0];
        let asked =
            self.questions.write_all(&device.to_ne_bytes()).and_then(|()| self.questions.flush());
        let answered = asked.and_then(|()| self.answers.read_exact(&mut answer));
        answered.ok().and_then(|()| Answer::from_byte(answer[0]))
    }
}

/// Answers each number of a device on standard input with a byte on standard output, until that ends.
///
/// # Errors
/// When the daemon has gone in the middle of a word, which is no failure of anybody.
pub fn run(place: &Path) -> io::Result<()> {
    // Not within reach of the keys of a terminal.
    let _ = rustix::process::setsid();
    confine();
    let mut device = [0; 8];
    loop {
        match io::stdin().read_exact(&mut device) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let mut out = io::stdout();
        out.write_all(&[ask(place, u64::from_ne_bytes(device)).to_byte()])?;
        out.flush()?;
    }
}

/// Asks for the size of the file system: of all questions the one that the kernel always passes on, and that is
/// answered without the bucket. May take for ever.
///
/// The kernel answers zeros by itself to whom it does not let in; a bucket has never no size.
fn ask(place: &Path, device: u64) -> Answer {
    let mount = mountinfo::at(place).ok().flatten();
    if !mount.is_some_and(|mount| mount.is_ours() && mount.device == Some(device)) {
        return Answer::Elsewhere;
    }
    match rustix::fs::statfs(place) {
        Ok(space) if space.f_blocks > 0 => Answer::Answered,
        Err(Errno::NOTCONN | Errno::CONNABORTED) => Answer::Disconnected,
        Ok(_) | Err(_) => Answer::NotLetIn,
    }
}

/// Keeps nothing of what the daemon may do but to find the way to the mount point. What cannot be given up
/// is no danger: no byte of a bucket comes here.
fn confine() {
    let _ = set_no_new_privs(true);
    if let Ok(now) = capabilities(None) {
        let permitted = now.permitted & CapabilitySet::DAC_READ_SEARCH;
        let inheritable = CapabilitySet::empty();
        let _ =
            set_capabilities(None, CapabilitySets { effective: permitted, permitted, inheritable });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (answer, byte) in Answer::ALL {
            assert_eq!(Answer::from_byte(answer.to_byte()), Some(answer));
            assert_eq!(Answer::from_byte(byte), Some(answer));
        }
        assert_eq!(Answer::from_byte(b'?'), None);
    }

    #[test]
    fn what_is_not_the_mount_is_not_asked() {
        assert_eq!(ask(Path::new("/"), 0), Answer::Elsewhere);
        assert_eq!(ask(Path::new("/nonexistent"), 0), Answer::Elsewhere);
    }
}
