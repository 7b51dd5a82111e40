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
//!
//! What is above what is said by whoever asks, each time anew: names move while one waits.

use std::collections::HashMap;

use crate::fs::ordered::{GATE, Ordered};
use crate::sync::watch;

/// Who changes names where, and which directories are on their way. `N` is the number of a directory.
#[derive(Debug)]
pub(super) struct Gate<N> {
    state: Ordered<State<N>, GATE>,
    /// Counts departures, for those who wait.
    left: watch::Sender<u64>,
}

#[derive(Debug)]
struct State<N> {
    moving: Vec<N>,
    /// The parents of the names that are being changed.
    inside: HashMap<u64, Vec<N>>,
    entered: u64,
}

impl<N> Default for Gate<N> {
    fn default() -> Self {
        let state = State { moving: Vec::new(), inside: HashMap::new(), entered: 0 };
        Self { state: Ordered::new(state), left: watch::Sender::new(0) }
    }
}

/// While this lives no directory above these names is renamed.
pub(in crate::fs) struct Entered<'a, N> {
    gate: &'a Gate<N>,
    number: u64,
}

impl<N> Drop for Entered<'_, N> {
    fn drop(&mut self) {
        self.gate.leave(|state| {
            state.inside.remove(&self.number);
        });
    }
}

/// While this lives nobody changes names below a directory.
pub(in crate::fs) struct Closed<'a, N: PartialEq> {
    gate: &'a Gate<N>,
    directory: N,
}

impl<N: PartialEq> Drop for Closed<'_, N> {
    fn drop(&mut self) {
        self.gate.leave(|state| {
            if let Some(at) = state.moving.iter().position(|moving| *moving == self.directory) {
                state.moving.swap_remove(at);
            }
        });
    }
}

impl<N> Gate<N> {
    fn leave(&self, change: impl FnOnce(&mut State<N>)) {
        change(&mut self.state.lock());
        self.left.send_modify(|count| *count += 1);
    }
}

impl<N: Copy + PartialEq> Gate<N> {
    /// Waits until no directory that is, or is above, one of these is on its way. What is known of paths below
    /// them is right from then on.
    pub(in crate::fs) async fn enter(
        &self,
        parents: &[N],
        is_within: impl Fn(N, N) -> bool,
    ) -> Entered<'_, N> {
        let mut left = self.left.subscribe();
        loop {
            {
                let mut state = self.state.lock();
                let closed =
                    |parent: &N| state.moving.iter().any(|moving| is_within(*parent, *moving));
                if !parents.iter().any(closed) {
                    state.entered += 1;
                    let number = state.entered;
                    state.inside.insert(number, parents.to_vec());
                    return Entered { gate: self, number };
                }
            }
            // The sender lives in `self`, so the wait cannot fail.
            let _ = left.changed().await;
        }
    }

    /// Keeps names below a directory from being changed, and waits for those who are at it. For who has
    /// entered with the directory's parents.
    pub(in crate::fs) async fn close_below(
        &self,
        directory: N,
        is_within: impl Fn(N, N) -> bool,
    ) -> Closed<'_, N> {
        let mut left = self.left.subscribe();
        self.state.lock().moving.push(directory);
        let closed = Closed { gate: self, directory };
        loop {
            let busy = {
                let state = self.state.lock();
                let mut parents = state.inside.values().flatten();
                parents.any(|parent| is_within(*parent, directory))
            };
            if !busy {
                return closed;
            }
            let _ = left.changed().await;
        }
    }
}
