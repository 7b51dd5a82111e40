//! The keeper itself. It does what one daemon asks, for the one mount that was named at the beginning, until
//! that daemon is gone: who takes the daemon over can do no more with it than unmount, and learn which
//! processes have files of the mount open.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::thread::CapabilitySet;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::message::{
    ANY, Answer, Answered, Asked, Failure, Made, Order, Plan, Question, Refused, SHORT, Unmade,
    receive, send,
};
use crate::fs::InodeNo;
use crate::fs::holders::Holders;
use crate::fs::witness::Witness;
use crate::fuse::device::{self, Device};
use crate::mount::confine;
use crate::mount::detach::{Detach, DetachError, detach};
use crate::mount::{MountError, Outcome, background, mountinfo};

/// What mounting, unmounting and the look at other users' processes need.
const NEEDED: CapabilitySet =
    CapabilitySet::SYS_ADMIN.union(CapabilitySet::SYS_PTRACE).union(CapabilitySet::DAC_READ_SEARCH);

/// `partfs keeper`: not for users.
pub fn run() -> Result<Outcome, MountError> {
    let failed = |error: io::Error| {
        MountError::new(format!("this command is for partfs mount alone: {error}"))
    };
    let (orders, questions) = (io::stdin(), io::stdout());
    let Some((plan, _)) = receive::<Plan>(&orders, ANY).map_err(failed)? else {
        return Ok(Outcome::Done);
    };
    background::leave_terminal()?;
    // Whoever stops the daemon by a signal to all of its processes still wants it to unmount: what these mean
    // is the daemon's business. Kept until the end.
    let runtime = Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let entered = runtime.enter();
    let stops = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let _deaf = stops.map(signal);
    drop(entered);
    confine::keep_only(NEEDED);
    send(&orders, &(), None).map_err(failed)?;

    let holders = Arc::new(Holders::new());
    let sees = Arc::clone(&holders);
    let witness = thread::Builder::new().name("witness".into());
    let answer = move || {
        // A keeper that does not answer must not look like one that does.
        let _ends = Ends;
        answer_all(&questions, &*sees);
    };
    witness.spawn(answer).map_err(failed)?;
    obey(&orders, &plan, &holders).map_err(failed)?;
    // The other thread ends with the process.
    Ok(Outcome::Done)
}

/// Ends the process when it is dropped, by a panic as well.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        std::process::exit(1);
    }
}

/// Until the daemon is gone.
fn obey(orders: impl AsFd, plan: &Plan, holders: &Holders) -> io::Result<()> {
    let at = plan.at();
    let mut device = None;
    while let Some((order, _)) = receive::<Order>(&orders, SHORT)? {
        match order {
            // Once: another one would be that of somebody who has taken over the daemon.
            Order::Mount if device.is_some() => return Ok(()),
            Order::Mount => match device::mount(&at, &plan.options) {
                Ok(Device { connection, number }) => {
                    device = Some(number);
                    holders.set_device(number);
                    if let Err(error) = send(&orders, &Made::Ok(number), Some(connection.as_fd())) {
                        // Nobody has ever served it, so nobody has a file in it.
                        let _ = detach(&at, Detach::Lazily);
                        return Err(error);
                    }
                }
                Err(error) => send(&orders, &Made::Err(Failure::from(&error)), None)?,
            },
            Order::Detach { lazily } => {
                let how = if lazily { Detach::Lazily } else { Detach::IfIdle };
                let unmade: Unmade = detach_this(&at, device, how).map_err(Refused::from);
                send(&orders, &unmade, None)?;
            }
        }
    }
    Ok(())
}

/// Takes away this mount, if it is what is seen at its place.
pub(super) fn detach_this(at: &Path, device: Option<u64>, how: Detach) -> Result<(), DetachError> {
    let mount = mountinfo::at(at)?;
    let is_it = |mount: mountinfo::Mount| mount.is_ours() && mount.device == device;
    if device.is_none() || !mount.is_some_and(is_it) {
        return Err(DetachError::System(io::Error::other("it is not mounted there any more")));
    }
    detach(at, how)
}

fn answer_all(questions: impl AsFd, witness: &dyn Witness) {
    while let Ok(Some((Asked { number, question }, _))) = receive::<Asked>(&questions, SHORT) {
        let answer = match question {
            Question::Holding { pid, ino } => Answer::Holding(witness.holding(pid, InodeNo(ino))),
            Question::WasKilled { thread } => Answer::Yes(witness.was_killed(thread)),
        };
        if send(&questions, &Answered { number, answer }, None).is_err() {
            return;
        }
    }
}
