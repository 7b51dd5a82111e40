//! Whether somebody answers at a mount point. Asking a FUSE mount may block for ever when its daemon
//! hangs, so it is asked by somebody who may be left behind.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::asker::{Answer, Asker};
use super::mountinfo;
use crate::fs::control;

/// How long a daemon may think about one small question before it counts as silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// The state of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It answers.
    Alive,
    /// Its daemon is gone; only detaching helps.
    Dead,
    /// No answer in time.
    Silent,
}

/// Asks in a process of its own: the kernel lets nobody end who waits for an answer, so neither would this process.
///
/// A mount of a user who did not let us in counts as alive, because for us the kernel asks nobody (root asks as that
/// user); so does one that cannot be asked: what is done next has words of its own.
pub(crate) fn of(mountpoint: &Path) -> Liveness {
    let Some((device, mut asker)) = asker(mountpoint) else { return Liveness::Alive };
    let question = move || {
        let answer = asker.ask(device);
        asker.end();
        answer
    };
    match ask(question) {
        Some(Some(Answer::Disconnected)) => Liveness::Dead,
        Some(_) => Liveness::Alive,
        None => Liveness::Silent,
    }
}

/// Waits until a mount answers, or is answered for by the kernel, however long that takes; `meanwhile` is called
/// now and then, and ends the waiting by an error. One question only: each would leave a process behind.
pub(crate) fn until_answered(
    mountpoint: &Path,
    mut meanwhile: impl FnMut() -> io::Result<()>,
) -> io::Result<()> {
    let Some((device, mut asker)) = asker(mountpoint) else { return Ok(()) };
    let (sender, receiver) = mpsc::sync_channel(1);
    let waiter = thread::Builder::new().name("ask-mount".into());
    waiter.spawn(move || {
        let answer = asker.ask(device);
        asker.end();
        let _ = sender.send(answer);
    })?;
    while receiver.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        meanwhile()?;
    }
    Ok(())
}

/// Somebody to ask, and the number of the mount's device.
fn asker(mountpoint: &Path) -> Option<(u64, Asker)> {
    let mount = mountinfo::at(mountpoint).ok().flatten()?;
    let owner = mount.user.zip(mount.group);
    let owner = owner.filter(|(user, _)| geteuid().is_root() && *user != 0);
    let as_owner = owner.and_then(|owner| Asker::start(mountpoint, Some(owner)).ok());
    let asker = as_owner.or_else(|| Asker::start(mountpoint, None).ok());
    Some((mount.device?, asker?))
}

/// Why the status of a mount is not known.
#[derive(Debug)]
pub(crate) enum NoStatus {
    /// No answer in time.
    Silent,
    /// The file is not there, or may not be read.
    Unreadable(io::Error),
    /// It says something else.
    Unknown(serde_json::Error),
}

/// What the status file of a mount says, as `T`, which may be a part of it. Not read where the daemon does not
/// answer: then nobody could end this process before it does.
///
/// The kernel lets nobody but its user into a mount, not even root, who therefore asks as that user.
pub(crate) fn status_of<T: DeserializeOwned>(mountpoint: &Path) -> Result<T, NoStatus> {
    if of(mountpoint) == Liveness::Silent {
        return Err(NoStatus::Silent);
    }
    let path: PathBuf = mountpoint.join(control::NAME).join(control::STATUS_NAME);
    let owner = mountinfo::at(mountpoint).ok().flatten().and_then(|it| it.user.zip(it.group));
    let owner = owner.filter(|(user, _)| geteuid().is_root() && *user != 0);
    let text = ask(move || match (std::fs::read(&path), owner) {
        (Err(error), Some((user, group))) if error.kind() == io::ErrorKind::PermissionDenied => {
            become_user(user, group)?;
            std::fs::read(path)
        }
        (text, _) => text,
    });
    let text = text.ok_or(NoStatus::Silent)?.map_err(NoStatus::Unreadable)?;
    serde_json::from_slice(&text).map_err(NoStatus::Unknown)
}

/// What a file of a mount says in one of its extended attributes, if it says so in time.
pub(crate) fn told_of(file: PathBuf, attribute: &'static str) -> Option<io::Result<String>> {
    ask(move || {
        let mut value = vec![0; 4096];
        let len = rustix::fs::getxattr(&file, attribute, &mut value[..])?;
        Ok(String::from_utf8_lossy(&value[..len]).into_owned())
    })
}

/// Who serves a mount, as its status file says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Daemon {
    /// Its process.
    pub(crate) pid: u32,
    /// Where it tells of its end: the name of a socket.
    pub(crate) last_words: Option<String>,
}

/// Whether the error is what the kernel says of a mount without a daemon.
pub(crate) fn is_disconnected(error: &io::Error) -> bool {
    let codes = [Errno::NOTCONN, Errno::CONNABORTED].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// This thread alone becomes a user, for good.
fn become_user(user: u32, group: u32) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    set_thread_res_gid(group, group, group)?;
    Ok(set_thread_res_uid(user, user, user)?)
}

/// The answer to a question that may block, or `None` after a while.
fn ask<T: Send + 'static>(question: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let asker = thread::Builder::new().name("ask-mount".into());
    let asker = asker.spawn(move || drop(sender.send(question()))).ok()?;
    let answer = receiver.recv_timeout(PATIENCE).ok()?;
    // What limits the process later counts for one thread only, so no other one may be left.
    let _ = asker.join();
    Some(answer)
}
