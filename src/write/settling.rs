//! Keys at which an upload has failed and waits for its requests: one who writes there next waits until it is known
//! whether it is there to go on with.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use crate::sync::{Mutex, Notify};

/// The keys of a mount, and how many uploads of each.
#[derive(Debug)]
pub(super) struct Settlings<K: Ord> {
    counts: Mutex<BTreeMap<K, usize>>,
    /// Somebody is done with an upload of some key.
    settled: Notify,
}

/// While it lives, an upload of its key waits: one that failed may soon be there to go on with.
#[derive(Debug)]
pub(super) struct Settling<K: Ord> {
    all: Arc<Settlings<K>>,
    key: K,
}

impl<K: Ord> Default for Settlings<K> {
    fn default() -> Self {
        Self { counts: Mutex::new(BTreeMap::new()), settled: Notify::default() }
    }
}

impl<K: Ord + Clone> Settlings<K> {
    /// An upload of this key has failed and waits for its requests.
    pub(super) fn begin(self: &Arc<Self>, key: &K) -> Settling<K> {
        *self.counts.lock().entry(key.clone()).or_default() += 1;
        Settling { all: Arc::clone(self), key: key.clone() }
    }

    /// Waits until no upload of this key is settling.
    pub(super) async fn over(&self, key: &K) {
        loop {
            let mut next = pin!(self.settled.notified());
            next.as_mut().enable();
            if !self.counts.lock().contains_key(key) {
                return;
            }
            next.await;
        }
    }
}

impl<K: Ord> Drop for Settling<K> {
    fn drop(&mut self) {
        let mut counts = self.all.counts.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
        drop(counts);
        self.all.settled.notify_waiters();
    }
}
