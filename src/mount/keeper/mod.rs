//! The keeper: a second process of each mount, which keeps the privileges that the daemon gives up. It makes
//! the one mount and takes it away, and looks into `/proc` for the daemon, which cannot see other users'
//! processes any more. It has no memory in common with the daemon and reads nothing that comes from the
//! network.
//!
//! Partfs starts itself once more, with a socket for orders as the standard input and one for questions as
//! the standard output. When the daemon ends, however it ends, the keeper does; it never unmounts by itself: a
//! dead mount answers with an error, an empty directory would take the files of programs to the local disk.

mod message;
mod service;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::time::Instant;
use tracing::error;

use self::message::{
    ANY, Answer, Answered, Asked, Made, Order, Plan, Question, SHORT, Unmade, receive, send,
};
use super::background::program;
use super::detach::{Detach, DetachError};
use crate::fs::InodeNo;
use crate::fs::holders::Holding;
use crate::fs::witness::{self, Witness};
use crate::fuse::device::Device;
use crate::fuse::session::SessionOptions;

pub use service::run;

/// The word of the command line that makes a process a keeper.
pub const WORD: &str = "keeper";

/// How long a question may take. Reading a few lines of `/proc` takes microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it is not asked again when it has not answered.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the keeper may take to begin.
const START: Duration = Duration::from_secs(30);

/// How long the end of the daemon waits for that of its keeper.
const FAREWELL: Timespec = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };

/// The daemon's side of its keeper, which ends when this is dropped.
pub(crate) struct Keeper {
    process: Child,
    orders: Mutex<OwnedFd>,
    witness: Arc<FarWitness>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

impl Keeper {
    /// Starts a keeper for one mount. It inherits the privileges of this process and none of its variables but
    /// the search path. Returns when it cannot be reached by the terminal's keys any more.
    pub(crate) fn start(at: &Path, options: &SessionOptions) -> io::Result<Self> {
        let ((orders, their_orders), (questions, their_questions)) = (pair()?, pair()?);
        let mut command = Command::new(program());
        command.arg(WORD).env_clear().current_dir("/");
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::from(their_orders)).stdout(Stdio::from(their_questions));
        let process = command.stderr(Stdio::null()).spawn()?;
        drop(command);
        send(&orders, &Plan::new(at, options.clone()), None)?;
        set_socket_timeout(&orders, Timeout::Recv, Some(START))?;
        receive::<()>(&orders, SHORT)?.ok_or_else(gone)?;
        set_socket_timeout(&orders, Timeout::Recv, None)?;
        set_socket_timeout(&questions, Timeout::Recv, Some(PATIENCE))?;
        set_socket_timeout(&questions, Timeout::Send, Some(PATIENCE))?;
        let line = Mutex::new(Line { socket: questions, number: 0, silent_until: None });
        let witness = Arc::new(FarWitness { line, told: AtomicBool::new(false) });
        Ok(Self { process, orders: Mutex::new(orders), witness })
    }

    /// Has the mount made.
    ///
    /// # Errors
    /// Those of [`device::mount`](crate::fuse::device::mount).
    pub(crate) fn mount(&self) -> io::Result<Device> {
        let (made, connection) = self.order::<Made>(Order::Mount)?;
        let number = made?;
        let connection = connection.ok_or_else(gone)?;
        Ok(Device { connection, number })
    }

    /// Has it taken away. Blocks while the kernel writes back what it holds.
    pub(crate) fn detach(&self, how: Detach) -> Result<(), DetachError> {
        let order = Order::Detach { lazily: how == Detach::Lazily };
        let (unmade, _) = self.order::<Unmade>(order)?;
        unmade.map_err(DetachError::from)
    }

    /// Who sees the processes that call.
    pub(crate) fn witness(&self) -> Arc<dyn Witness> {
        Arc::clone(&self.witness) as Arc<dyn Witness>
    }

    fn order<T: serde::de::DeserializeOwned>(
        &self,
        order: Order,
    ) -> io::Result<(T, Option<OwnedFd>)> {
        let orders = self.orders.lock();
        send(&*orders, &order, None)?;
        receive(&*orders, ANY)?.ok_or_else(gone)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = shutdown(&*self.orders.lock(), Shutdown::Both);
        // Not to leave it to somebody else; but who waits for us does not wait for a helper that hangs.
        if let Ok(process) = pidfd_open(Pid::from_child(&self.process), PidfdFlags::empty()) {
            let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&FAREWELL));
        }
        let _ = self.process.try_wait();
    }
}

fn gone() -> io::Error {
    io::Error::other("the process that keeps the privileges for it has ended")
}

/// Sees by the eyes of the keeper what only it can see: who has which file open, and how somebody ended. When that is
/// gone these cannot be seen.
#[derive(Debug)]
struct FarWitness {
    line: Mutex<Line>,
    /// The log has been told that nothing can be seen.
    told: AtomicBool,
}

#[derive(Debug)]
struct Line {
    socket: OwnedFd,
    number: u64,
    /// There was no answer in time: until then nobody else waits for one.
    silent_until: Option<Instant>,
}

impl Line {
    fn ask(&mut self, question: Question) -> io::Result<Answer> {
        if self.silent_until.is_some_and(|until| Instant::now() < until) {
            return Err(io::Error::other("the process that keeps the privileges does not answer"));
        }
        let answer = self.try_ask(question);
        self.silent_until = answer.is_err().then(|| Instant::now() + SILENCE);
        answer
    }

    fn try_ask(&mut self, question: Question) -> io::Result<Answer> {
        self.number += 1;
        send(&self.socket, &Asked { number: self.number, question }, None)?;
        loop {
            let answered = receive::<Answered>(&self.socket, SHORT)?.ok_or_else(gone)?.0;
            // The answer to a question that was given up comes all the same.
            if answered.number == self.number {
                return Ok(answered.answer);
            }
        }
    }
}

impl FarWitness {
    fn ask(&self, question: Question) -> Option<Answer> {
        let answer = self.line.lock().ask(question);
        if let Err(error) = &answer
            && !self.told.swap(true, Ordering::Relaxed)
        {
            error!(
                %error,
                "the processes that use the mount cannot be seen any more; mount anew when it is possible"
            );
        }
        answer.ok()
    }

    fn is(&self, question: Question) -> bool {
        matches!(self.ask(question), Some(Answer::Yes(true)))
    }
}

impl Witness for FarWitness {
    fn holding(&self, pid: u32, ino: InodeNo) -> Holding {
        match self.ask(Question::Holding { pid, ino: ino.0 }) {
            Some(Answer::Holding(holding)) => holding,
            _ => Holding::Unknown,
        }
    }

    fn was_killed(&self, thread: u32) -> bool {
        witness::is_dying(thread) && self.is(Question::WasKilled { thread })
    }

    fn is_doomed(&self, thread: u32) -> bool {
        witness::is_ended_by_a_signal(thread) || self.was_killed(thread)
    }

    fn process_of(&self, thread: u32) -> u32 {
        witness::process_of_thread(thread)
    }
}

/// Who makes the mount and takes it away: a keeper, or this process itself.
#[derive(Debug)]
pub(crate) enum Hands {
    /// Another process, which may.
    Far(Keeper),
    /// This one.
    Own {
        /// Where.
        at: PathBuf,
        /// How.
        options: SessionOptions,
        /// The number of the mount, once it is made.
        device: Mutex<Option<u64>>,
    },
}

impl Hands {
    /// The hands of this process.
    pub(crate) fn own(at: &Path, options: &SessionOptions) -> Self {
        Self::Own { at: at.to_owned(), options: options.clone(), device: Mutex::new(None) }
    }

    /// Makes the mount.
    pub(crate) fn mount(&self) -> io::Result<Device> {
        match self {
            Self::Far(keeper) => keeper.mount(),
            Self::Own { at, options, device } => {
                let made = crate::fuse::device::mount(at, options)?;
                *device.lock() = Some(made.number);
                Ok(made)
            }
        }
    }

    /// Takes it away, and no other that has come to be in its place. Blocks.
    pub(crate) fn detach(&self, how: Detach) -> Result<(), DetachError> {
        match self {
            Self::Far(keeper) => keeper.detach(how),
            Self::Own { at, device, .. } => {
                let device = *device.lock();
                service::detach_this(at, device, how)
            }
        }
    }
}
