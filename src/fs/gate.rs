//! Names below a directory do not change while it gets another name. A directory is renamed object by
//! object: what is removed, made or moved below it meanwhile would come back, or stay under the old name, or
//! be taken for what was copied.
//!
//! Who changes names says below which directories, and waits while one of those, or one above it, is on its
//! way. Who renames a directory waits for those who had begun before. Making and writing files does not wait:
//! files that are not stored yet go along (`rename_directory`).
//!
//! Nobody who has entered waits for the gate again, so there is no ring of waiters: whoever waits, waits for
//! names deeper down, or for turns, which are taken after entering.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::fs::FileSystem;
use crate::fs::inode::InodeNo;
use crate::fs::ordered::{GATE, Ordered};

/// Who changes names where, and which directories are on their way.
#[derive(Debug)]
pub(super) struct Gate {
    state: Ordered<State, GATE>,
    /// Counts departures, for those who wait.
    left: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    moving: Vec<InodeNo>,
    /// The parents of the names that are being changed.
    inside: HashMap<u64, Vec<InodeNo>>,
    entered: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: Ordered::default(), left: watch::Sender::new(0) }
    }
}

impl Gate {
    fn leave(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.left.send_modify(|count| *count += 1);
    }
}

/// While this lives no directory above these names is renamed.
pub(in crate::fs) struct Entered<'a> {
    gate: &'a Gate,
    number: u64,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.gate.leave(|state| {
            state.inside.remove(&self.number);
        });
    }
}

/// While this lives nobody changes names below a directory.
pub(in crate::fs) struct Closed<'a> {
    gate: &'a Gate,
    directory: InodeNo,
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.gate.leave(|state| {
            if let Some(at) = state.moving.iter().position(|moving| *moving == self.directory) {
                state.moving.swap_remove(at);
            }
        });
    }
}

impl FileSystem {
    /// Waits until no directory that is, or is above, one of these is on its way. What is known of paths below
    /// them is right from then on.
    pub(in crate::fs) async fn enter(&self, parents: &[InodeNo]) -> Entered<'_> {
        let mut left = self.gate.left.subscribe();
        loop {
            {
                let mut state = self.gate.state.lock();
                let closed = |parent: &InodeNo| {
                    state.moving.iter().any(|moving| self.inodes.is_within(*parent, *moving))
                };
                if !parents.iter().any(closed) {
                    state.entered += 1;
                    let number = state.entered;
                    state.inside.insert(number, parents.to_vec());
                    return Entered { gate: &self.gate, number };
                }
            }
            // The sender lives in `self`, so the wait cannot fail.
            let _ = left.changed().await;
        }
    }

    /// Keeps names below a directory from being changed, and waits for those who are at it. For who has
    /// entered with the directory's parents.
    pub(in crate::fs) async fn close_below(&self, directory: InodeNo) -> Closed<'_> {
        let mut left = self.gate.left.subscribe();
        self.gate.state.lock().moving.push(directory);
        let closed = Closed { gate: &self.gate, directory };
        loop {
            let busy = {
                let state = self.gate.state.lock();
                let mut parents = state.inside.values().flatten();
                parents.any(|parent| self.inodes.is_within(*parent, directory))
            };
            if !busy {
                return closed;
            }
            let _ = left.changed().await;
        }
    }
}
