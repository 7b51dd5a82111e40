//! What really happened in a bucket: the oracle of tests that break requests on purpose. An answer
//! may lie, this log does not.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::SystemTime;

use tokio::sync::watch;

use super::lock;
use crate::store::{Key, Operation, PartNumber, UploadId};

/// Effects kept; older ones are forgotten, so that a mock that runs for weeks does not grow.
const MAX_EFFECTS: usize = 1_000_000;

/// One change that was really applied to the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Counts from 0 without gaps, in the order of application.
    pub sequence: u64,
    /// What was done. A multiple delete is one [`Operation::Delete`] per object that existed.
    pub operation: Operation,
    /// To which key.
    pub key: Key,
    /// In which upload, for the multipart operations.
    pub upload: Option<UploadId>,
    /// Which part, for [`Operation::PutPart`] and [`Operation::CopyPart`].
    pub part: Option<PartNumber>,
    /// Bytes of the object or part; 0 where there are none.
    pub size: u64,
    /// When, by the clock of the bucket.
    pub time: SystemTime,
}

/// The log of one bucket and the counters of its requests.
#[derive(Debug)]
pub(super) struct EffectLog {
    effects: Mutex<VecDeque<Effect>>,
    applied: watch::Sender<u64>,
    requests: Mutex<HashMap<Operation, u64>>,
}

impl EffectLog {
    pub(super) fn new() -> Self {
        Self {
            effects: Mutex::default(),
            applied: watch::Sender::new(0),
            requests: Mutex::default(),
        }
    }

    /// Appends an effect and gives it its sequence number.
    pub(super) fn append(&self, mut effect: Effect) {
        let mut effects = lock(&self.effects);
        effect.sequence = effects.back().map_or(0, |last| last.sequence + 1);
        let applied = effect.sequence + 1;
        effects.push_back(effect);
        if effects.len() > MAX_EFFECTS {
            effects.pop_front();
        }
        drop(effects);
        self.applied.send_modify(|count| *count = applied.max(*count));
    }

    pub(super) fn snapshot(&self) -> Vec<Effect> {
        lock(&self.effects).iter().cloned().collect()
    }

    pub(super) async fn wait_for(&self, wanted: impl Fn(&Effect) -> bool) -> Effect {
        let mut applied = self.applied.subscribe();
        let mut seen = 0;
        loop {
            applied.mark_unchanged();
            {
                let effects = lock(&self.effects);
                let new = effects.iter().rev().take_while(|effect| effect.sequence >= seen).count();
                let fresh = effects.range(effects.len() - new..);
                for effect in fresh {
                    if wanted(effect) {
                        return effect.clone();
                    }
                }
                seen = effects.back().map_or(0, |last| last.sequence + 1);
            }
            if applied.changed().await.is_err() {
                // The sender lives in `self`: unreachable, and waiting for ever would be the answer.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn count(&self, operation: Operation) {
        *lock(&self.requests).entry(operation).or_default() += 1;
    }

    pub(super) fn requests(&self) -> HashMap<Operation, u64> {
        lock(&self.requests).clone()
    }
}
