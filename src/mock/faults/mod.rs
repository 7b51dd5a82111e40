//! What the mock breaks on purpose: rules as data, each striking some of the requests it matches.
//! `rule` is the vocabulary, `file` reads rules that people have written; here is kept which rule
//! strikes next and what has struck. What a stroke does is done where the request is.

mod file;
mod rule;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crate::store::Operation;

pub use file::{FaultFileError, read_faults};
pub use rule::{Action, FaultRule, KeyPattern, Misassembly, Place, When};

/// A rule that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultId(usize);

/// The rules of one server. Rules may be added while it runs.
#[derive(Debug, Default)]
pub struct Faults {
    entries: Mutex<Vec<Entry>>,
    listener: Arc<Listener>,
}

#[derive(Debug)]
struct Entry {
    rule: FaultRule,
    fired: Arc<AtomicU64>,
}

/// Who is told of strikes.
#[derive(Default)]
struct Listener(OnceLock<Box<Hear>>);

type Hear = dyn Fn(&str) + Send + Sync;

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.0.get().is_some()).finish()
    }
}

/// A rule that strikes one request.
#[derive(Debug, Clone)]
pub(super) struct Stroke {
    pub(super) when: When,
    pub(super) at: Option<Place>,
    pub(super) action: Action,
    number: usize,
    request: String,
    fired: Arc<AtomicU64>,
    listener: Arc<Listener>,
}

impl Stroke {
    /// It has happened: counts it, and tells the listener.
    pub(super) fn hit(&self) {
        let times = self.fired.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(tell) = self.listener.0.get() {
            let Self { number, action, request, .. } = self;
            tell(&format!("fault {number} struck, time {times}: {action:?} at {request}"));
        }
    }

    /// Whether it is known only later whether it happens.
    fn is_open(&self) -> bool {
        let by_body = matches!(self.action, Action::Truncate | Action::Corrupt);
        let by_bucket = matches!(self.action, Action::AbortUpload | Action::Misassemble(_));
        self.at.is_some() || by_body || by_bucket
    }
}

impl Faults {
    /// Adds a rule. Every rule counts for itself: a request may be struck by several.
    pub fn add(&self, rule: FaultRule) -> FaultId {
        let mut entries = self.entries();
        entries.push(Entry { rule, fired: Arc::default() });
        FaultId(entries.len() - 1)
    }

    /// How often a rule has struck. What strikes within a body or in the bucket counts when it has
    /// happened, all else when the request came.
    pub fn fired(&self, id: FaultId) -> u64 {
        self.entries().get(id.0).map_or(0, |entry| entry.fired.load(Ordering::SeqCst))
    }

    /// How often each rule has struck, in the order in which they were added.
    pub fn counts(&self) -> Vec<u64> {
        self.entries().iter().map(|entry| entry.fired.load(Ordering::SeqCst)).collect()
    }

    /// Whom to tell of each strike, in words. Only the first listener is heard.
    pub fn on_strike(&self, listener: impl Fn(&str) + Send + Sync + 'static) {
        let _ = self.listener.0.set(Box::new(listener));
    }

    /// No rule strikes any more; the counts stay.
    pub fn disarm(&self) {
        self.entries().iter_mut().for_each(|entry| entry.rule.count = 0);
    }

    /// What strikes this request, in the order of the rules. `body_bytes` are those that its head
    /// announces.
    pub(super) fn strike(
        &self,
        operation: Option<Operation>,
        key: &str,
        body_bytes: Option<u64>,
    ) -> Vec<Stroke> {
        let mut struck = Vec::new();
        for (number, entry) in (1..).zip(self.entries().iter_mut()) {
            let rule = &mut entry.rule;
            if rule.count == 0 || !rule.matches(operation, key, body_bytes) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if rule.count < FaultRule::ALWAYS {
                rule.count -= 1;
            }
            let request = operation.map_or(String::new(), |operation| format!("{operation} "));
            struck.push(Stroke {
                when: rule.when,
                at: rule.at,
                action: rule.action.clone(),
                number,
                request: format!("{request}{key:?}"),
                fired: Arc::clone(&entry.fired),
                listener: Arc::clone(&self.listener),
            });
        }
        struck.iter().filter(|stroke| !stroke.is_open()).for_each(Stroke::hit);
        struck
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_spare_then_strike_then_rest() {
        let faults = Faults::default();
        let id = faults
            .add(FaultRule::new(Action::Reset).on(Operation::Put).key("a/*").skip(1).times(2));
        let put = |key| !faults.strike(Some(Operation::Put), key, None).is_empty();
        assert!(!put("b"));
        assert_eq!([put("a/1"), put("a/2"), put("a/3"), put("a/4")], [false, true, true, false]);
        assert_eq!(faults.fired(id), 2);
        assert!(faults.strike(Some(Operation::Get), "a/1", None).is_empty());
    }

    #[test]
    fn the_listener_hears_what_has_happened() {
        let faults = Faults::default();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        faults.on_strike(move |text| ear.lock().unwrap().push(text.to_owned()));
        faults.add(FaultRule::new(Action::Corrupt).at(Place::Answer(9)));
        faults.add(FaultRule::new(Action::Reset));
        let struck = faults.strike(Some(Operation::Get), "k", None);
        assert_eq!(faults.counts(), [0, 1], "nobody knows yet how long the answer is");
        struck[0].hit();
        assert_eq!(faults.counts(), [1, 1]);
        let heard = heard.lock().unwrap();
        assert_eq!(heard[0], "fault 2 struck, time 1: Reset at GET object \"k\"");
        assert_eq!(heard[1], "fault 1 struck, time 1: Corrupt at GET object \"k\"");
    }
}
