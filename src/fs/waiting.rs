//! Who waits for an answer: requests of the kernel that could not be answered at once. A process that
//! waits for us is not freed by `kill -9` before we answer, so one task for the whole mount looks whether
//! those who wait were killed, and lets them go; their work goes on.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle as Runtime;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::fs::inode::InodeNo;
use crate::fs::inodes::Inodes;
use crate::fs::witness::Eyes;

/// How often those who wait are looked at, and how long nobody is.
const LOOK: Duration = Duration::from_millis(100);

/// After this the log names what is waited for, once.
const LONG: Duration = Duration::from_secs(10);

/// A request that waits, as the status file shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitStatus {
    /// What was asked for: `close`, `read` …
    pub operation: String,
    /// Of which file, or in which directory.
    pub path: String,
    /// Process or thread that waits; 0 where that is not known.
    pub pid: u32,
    /// For how long, in milliseconds.
    pub waiting_ms: u64,
}

/// Answers a request in place of its work.
type LetGo = Box<dyn FnOnce() + Send>;

struct Entry {
    operation: &'static str,
    ino: InodeNo,
    pid: u32,
    since: Instant,
    told: bool,
    let_go: Option<LetGo>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<u64, Entry>,
    next: u64,
    /// A task looks at the entries.
    watched: bool,
}

/// The requests of one mount that wait.
pub(super) struct Waiting {
    table: Mutex<Table>,
    inodes: Arc<Inodes>,
    eyes: Arc<Eyes>,
    /// The last one who waited has been answered.
    idle: Notify,
}

impl Waiting {
    pub(super) fn new(inodes: Arc<Inodes>, eyes: Arc<Eyes>) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), inodes, eyes, idle: Notify::new() })
    }

    /// A request of `pid` begins to wait. `let_go` is called once if that one was killed.
    pub(super) fn enter(
        self: &Arc<Self>,
        runtime: &Runtime,
        operation: &'static str,
        ino: InodeNo,
        pid: u32,
        let_go: LetGo,
    ) -> Wait {
        let mut table = self.table.lock();
        let number = table.next;
        table.next += 1;
        let since = Instant::now();
        let entry = Entry { operation, ino, pid, since, told: false, let_go: Some(let_go) };
        table.entries.insert(number, entry);
        if !std::mem::replace(&mut table.watched, true) {
            runtime.spawn(watch(Arc::downgrade(self)));
        }
        Wait { waiting: Arc::clone(self), number }
    }

    /// All that wait, the oldest first.
    pub(super) fn all(&self) -> Vec<WaitStatus> {
        let mut waiting: Vec<_> = {
            let table = self.table.lock();
            let entries = table.entries.values();
            entries.map(|entry| (entry.operation, entry.ino, entry.pid, entry.since)).collect()
        };
        waiting.sort_by_key(|(_, _, _, since)| *since);
        let status = |(operation, ino, pid, since): (&str, _, _, Instant)| WaitStatus {
            operation: operation.to_owned(),
            path: self.path(ino),
            pid,
            waiting_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        waiting.into_iter().map(status).collect()
    }

    /// Waits until nobody waits. Who begins to wait meanwhile is waited for, too.
    pub(super) async fn over(&self) {
        loop {
            let mut idle = pin!(self.idle.notified());
            idle.as_mut().enable();
            if self.table.lock().entries.is_empty() {
                return;
            }
            idle.await;
        }
    }

    /// What those who wait for this operation have named.
    pub(super) fn inodes(&self, operation: &str) -> HashSet<InodeNo> {
        let table = self.table.lock();
        let entries = table.entries.values().filter(|entry| entry.operation == operation);
        entries.map(|entry| entry.ino).collect()
    }

    fn path(&self, ino: InodeNo) -> String {
        let path = self.inodes.path(ino);
        path.map_or("(unlinked)".to_owned(), |path| path.as_str().to_owned())
    }

    /// Looks at those who have waited for some time. False when nobody waits any more.
    fn look(&self) -> bool {
        let old: Vec<(u64, u32)> = {
            let mut table = self.table.lock();
            if table.entries.is_empty() {
                table.watched = false;
                return false;
            }
            let old = table.entries.iter().filter(|(_, entry)| entry.since.elapsed() >= LOOK);
            old.filter(|(_, e)| e.let_go.is_some()).map(|(number, e)| (*number, e.pid)).collect()
        };
        // Without the lock: each look reads two files.
        let mut doomed = HashMap::new();
        for (number, pid) in old {
            if *doomed.entry(pid).or_insert_with(|| self.eyes.is_doomed(pid)) {
                self.free(number);
            }
        }
        self.tell();
        true
    }

    fn free(&self, number: u64) {
        let let_go = {
            let mut table = self.table.lock();
            let Some(entry) = table.entries.get_mut(&number) else { return };
            debug!(operation = entry.operation, pid = entry.pid, "the caller was killed; let go");
            entry.let_go.take()
        };
        if let Some(let_go) = let_go {
            let_go();
        }
    }

    /// Names in the log who has waited for long.
    fn tell(&self) {
        let long: Vec<_> = {
            let mut table = self.table.lock();
            let entries = table.entries.values_mut();
            let long = entries.filter(|entry| !entry.told && entry.since.elapsed() >= LONG);
            long.map(|entry| {
                entry.told = true;
                (entry.operation, entry.ino, entry.pid)
            })
            .collect()
        };
        for (operation, ino, pid) in long {
            let path = self.path(ino);
            warn!(operation, path, pid, "has waited {LONG:?} for the service and waits on");
        }
    }
}

async fn watch(waiting: Weak<Waiting>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if !waiting.upgrade().is_some_and(|waiting| waiting.look()) {
            return;
        }
    }
}

/// A request that waits, until this is dropped.
pub struct Wait {
    waiting: Arc<Waiting>,
    number: u64,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let idle = {
            let mut table = self.waiting.table.lock();
            table.entries.remove(&self.number);
            table.entries.is_empty()
        };
        if idle {
            self.waiting.idle.notify_waiters();
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wait({})", self.number)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiting({})", self.table.lock().entries.len())
    }
}
