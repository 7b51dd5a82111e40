//! What is in the folder of the journal, and a clock that no two records share a moment of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use partfs::clock::Clock;

/// The records of uploads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Ids of uploads.
    pub ids: BTreeSet<String>,
    /// Keys at which there may be uploads of which nobody has the id.
    pub strays: BTreeSet<String>,
    /// Records without an id.
    pub unanswered: usize,
}

impl Records {
    pub fn read(dir: &Path) -> Self {
        let mut records = Self::default();
        for name in fs::read_dir(dir).expect("the folder of the journal") {
            let path = name.expect("the folder of the journal").path();
            if path.extension().is_none_or(|extension| extension == "lock") {
                continue;
            }
            assert!(path.extension().is_some_and(|extension| extension == "upload"), "{path:?}");
            let text = fs::read_to_string(&path).expect("a record");
            let values = text.lines().filter_map(|line| line.split_once(' '));
            let values: Vec<serde_json::Value> =
                values.map(|(_, json)| serde_json::from_str(json).expect("a line")).collect();
            let key = values[0]["key"].as_str().expect("a key").to_owned();
            let opened = values.get(1);
            records.ids.extend(opened.and_then(|line| line["id"].as_str()).map(str::to_owned));
            records.unanswered += usize::from(opened.is_none());
            if opened.is_none_or(|line| line["strays"] == true) {
                records.strays.insert(key);
            }
        }
        records
    }
}

/// Virtual time, which goes on from one runtime to the next; and a millisecond on with each look at it, so that
/// records have an order.
#[derive(Debug)]
pub struct VirtualClock(Mutex<State>);

#[derive(Debug)]
struct State {
    since: tokio::time::Instant,
    before: Duration,
    last: Duration,
}

impl VirtualClock {
    pub fn new() -> Self {
        let since = tokio::time::Instant::now();
        Self(Mutex::new(State { since, before: Duration::ZERO, last: Duration::ZERO }))
    }

    /// Called on a new runtime, when so much time has passed in all.
    pub fn go_on(&self, before: Duration) {
        let mut state = self.0.lock().unwrap();
        (state.since, state.before) = (tokio::time::Instant::now(), before);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> SystemTime {
        let mut state = self.0.lock().unwrap();
        let now = state.before + state.since.elapsed();
        state.last = now.max(state.last + Duration::from_millis(1));
        SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30) + state.last
    }
}
