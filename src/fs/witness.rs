//! Who looks at the processes that call: this process itself, or another one that may see more of them. A
//! daemon without privileges, confined by Landlock, sees no descriptor of anybody else's in `/proc`.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use crate::fs::fate;
use crate::fs::holders::{Holders, Holding, process_of};
use crate::fs::inode::InodeNo;

/// What can be known of a process that asks for something. Answers at once, from `/proc`.
pub trait Witness: Debug + Send + Sync {
    /// Whether process or thread `pid` has inode `ino` of this mount open for writing.
    fn holding(&self, pid: u32, ino: InodeNo) -> Holding;
    /// Whether a thread is dying because its process was killed by a signal. False when it cannot be told.
    fn was_killed(&self, thread: u32) -> bool;
    /// Whether a thread that waits would die if it were let go. False when it cannot be told.
    fn is_doomed(&self, thread: u32) -> bool;
    /// The process that a thread belongs to; the number itself when it cannot be told.
    fn process_of(&self, thread: u32) -> u32;
}

/// What everybody sees of a thread, so that another process need not be asked: that it is on its way out.
pub fn is_dying(thread: u32) -> bool {
    fate::is_dying(thread)
}

/// Likewise: that a signal waits for it which ends it.
pub fn is_ended_by_a_signal(thread: u32) -> bool {
    fate::is_doomed(thread)
}

/// Likewise: [`Witness::process_of`].
pub fn process_of_thread(thread: u32) -> u32 {
    process_of(thread)
}

/// A process that sees for itself.
impl Witness for Holders {
    fn holding(&self, pid: u32, ino: InodeNo) -> Holding {
        Self::holding(self, pid, ino)
    }

    fn was_killed(&self, thread: u32) -> bool {
        fate::was_killed(thread)
    }

    fn is_doomed(&self, thread: u32) -> bool {
        fate::is_doomed(thread)
    }

    fn process_of(&self, thread: u32) -> u32 {
        process_of(thread)
    }
}

/// The witness of a mount: itself, unless it was given another one.
#[derive(Debug, Default)]
pub(super) struct Eyes {
    own: Holders,
    given: OnceLock<Arc<dyn Witness>>,
}

impl Eyes {
    /// From now on this one is asked. The first one stays.
    pub(super) fn give(&self, witness: Arc<dyn Witness>) {
        let _ = self.given.set(witness);
    }

    /// The device number of the mount.
    pub(super) fn set_device(&self, device: u64) {
        self.own.set_device(device);
    }

    fn witness(&self) -> &dyn Witness {
        self.given.get().map_or(&self.own, |given| &**given)
    }

    /// See [`Witness::holding`].
    pub(super) fn holding(&self, pid: u32, ino: InodeNo) -> Holding {
        self.witness().holding(pid, ino)
    }

    /// See [`Witness::was_killed`].
    pub(super) fn was_killed(&self, thread: u32) -> bool {
        self.witness().was_killed(thread)
    }

    /// See [`Witness::is_doomed`].
    pub(super) fn is_doomed(&self, thread: u32) -> bool {
        self.witness().is_doomed(thread)
    }

    /// See [`Witness::process_of`].
    pub(super) fn process_of(&self, thread: u32) -> u32 {
        self.witness().process_of(thread)
    }
}
