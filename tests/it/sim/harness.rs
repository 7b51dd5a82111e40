//! One seed from beginning to end: the bucket, the writers, everybody who does something, and what must be true
//! when all is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use partfs::budget::Budget;
use partfs::clock::{Clock, ManualClock};
use partfs::store::fault::{Event, Fault, FaultStore, RandomFaults, What};
use partfs::store::memory::Entry;
use partfs::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore, UploadsQuery};
use partfs::store::{Key, ObjectStore, Operation, Payload, PutOptions};
use partfs::write::{RemoteObject, WriteConfig, WriteStats, Writers};
use tokio::time::{Instant, sleep, timeout};

use super::files::File;
use super::oracle::{Oracle, content};
use super::plan::{Foreign, OTHER_LEN, Plan, Squeeze};
use crate::world::{key, pattern};

/// How long a commit may take.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(600);

/// Nothing that is planned takes a day: what does has stopped.
const DEADLINE: Duration = Duration::from_secs(24 * 3600);

/// After this nothing comes late any more.
const LATEST: Duration = Duration::from_secs(3600);

/// What happened in a run, in numbers.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Commits that were confirmed.
    pub commits: u64,
    /// After how many of them the bucket was compared.
    pub compared: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Writers that took over from another.
    pub reopened: u64,
    /// Objects that appeared after their call had been answered.
    pub late: u64,
    /// Calls.
    pub calls: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Virtual time.
    pub time: Duration,
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.commits += other.commits;
        self.compared += other.compared;
        self.failed += other.failed;
        self.reopened += other.reopened;
        self.late += other.late;
        self.calls += other.calls;
        self.time += other.time;
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

/// What all share.
pub struct World {
    pub bucket: Arc<MemoryBucket>,
    pub store: Arc<FaultStore>,
    pub writers: Arc<Writers>,
    pub oracle: Arc<Oracle>,
    start: Instant,
    outcome: Mutex<Outcome>,
    notes: Mutex<Vec<(Duration, String)>>,
}

impl World {
    /// Remembers what happened, for whoever looks for the reason.
    pub fn note(&self, key: &Key, what: &str) {
        let at = self.start.elapsed();
        self.notes.lock().unwrap().push((at, format!("{at:?} {key}: {what}")));
    }

    pub fn count(&self, count: impl FnOnce(&mut Outcome)) {
        count(&mut self.outcome.lock().unwrap());
    }

    /// The object that is copied from, and its bytes.
    pub fn other(&self) -> (RemoteObject, Vec<u8>) {
        let object = self.bucket.head(&other_key()).expect("nobody removes it");
        let checksum = self.store.limits().checksum.map(|_| object.checksum);
        let bytes = content(&self.bucket, &other_key()).expect("nobody removes it");
        (RemoteObject { key: other_key(), version: object.version(), checksum }, bytes)
    }

    /// Whether the abort of an upload was answered with an error.
    pub fn has_failed_to_abort(&self, key: &Key) -> bool {
        self.store.events().iter().any(|event| {
            event.operation == Operation::AbortUpload
                && event.key.as_deref() == Some(key.as_str())
                && matches!(event.what, What::Answered(Some(_)))
        })
    }

    /// Whether something has happened that a file at `key` may fail of.
    pub fn excuses(&self, key: &Key) -> bool {
        if self.oracle.foreigners(key) > 0 {
            return true;
        }
        let concerns = |event: &Event| {
            event.key.as_deref() == Some(key.as_str())
                || event.key.as_deref() == Some(other_key().as_str())
        };
        self.store.events().iter().any(|event| match &event.what {
            // All files share the requests of the mount, so all wait for one that stalls.
            What::Arrived(faults) if !concerns(event) => faults.iter().any(is_stall),
            What::Arrived(faults) => faults.iter().any(is_serious),
            _ => false,
        })
    }
}

/// Whether a writer may fail of it. Of short waits and calls that arrive twice it may not.
fn is_serious(fault: &Fault) -> bool {
    match fault {
        Fault::Slow { .. } => is_stall(fault),
        Fault::Twice => false,
        _ => true,
    }
}

fn is_stall(fault: &Fault) -> bool {
    matches!(fault, Fault::Slow { before, after } if *before + *after > Duration::from_secs(10))
}

fn other_key() -> Key {
    key("other")
}

/// Runs a seed. `Err`: what was not as promised.
pub fn run(seed: u64) -> Result<Outcome, String> {
    run_logged(seed).2
}

/// Runs a seed, and tells all that happened.
pub fn run_logged(seed: u64) -> (Plan, Vec<String>, Result<Outcome, String>) {
    let plan = Plan::of(seed);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().expect("a runtime");
    let (events, outcome) = runtime.block_on(go(plan.clone()));
    (plan, events, outcome)
}

async fn go(plan: Plan) -> (Vec<String>, Result<Outcome, String>) {
    // MD5 would be computed by other threads.
    let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30)));
    let bucket = MemoryBucket::new(BucketOptions::new(EtagMode::Opaque, clock.clone()));
    let plain = Arc::new(MemoryStore::new(Arc::clone(&bucket), plan.limits.clone()));
    let store = Arc::new(FaultStore::new(Arc::clone(&plain) as _).with_bodies_in_place());
    let oracle = Arc::new(Oracle::default());
    let (watcher, watched) = (Arc::clone(&oracle), Arc::clone(&bucket));
    store.observed(move |change| watcher.changed(&watched, change));
    let config = WriteConfig {
        part_bytes: plan.part_bytes,
        block_bytes: plan.block_bytes,
        max_requests: plan.max_requests,
        close_timeout: CLOSE_TIMEOUT,
        ..WriteConfig::new(std::env::temp_dir())
    };
    let budget = Budget::new(plan.budget_bytes);
    let runtime = tokio::runtime::Handle::current();
    let clock: Arc<dyn Clock> = clock;
    let writers = Writers::new(Arc::clone(&store) as _, budget.clone(), config, &clock, runtime);
    let free = budget.free_bytes();
    put(&plain, &other_key(), 77, OTHER_LEN as usize).await;
    let world = Arc::new(World {
        bucket,
        store,
        writers,
        oracle,
        start: Instant::now(),
        outcome: Mutex::default(),
        notes: Mutex::default(),
    });

    let mut all = Vec::new();
    world.store.by_chance(Some(RandomFaults::new(plan.faults, plan.chances)));
    for (number, file) in plan.files.iter().enumerate() {
        let (key, number) = (key(&format!("file-{number}")), number as u64);
        if let Some(len) = file.before {
            put(&plain, &key, 100 + number, len).await;
        }
        let writing = File::new(Arc::clone(&world), key.clone(), file, (number + 1) << 32);
        all.push(tokio::spawn(writing.run(file.steps.clone())));
        for (turn, foreign) in file.foreign.iter().copied().enumerate() {
            let (world, plain, key) = (Arc::clone(&world), Arc::clone(&plain), key.clone());
            let salt = (number + 1) << 40 | turn as u64;
            all.push(tokio::spawn(interfere(world, plain, key, salt, foreign)));
        }
    }
    for squeeze in plan.squeezes {
        all.push(tokio::spawn(take_memory(budget.clone(), squeeze)));
    }
    let ended = timeout(DEADLINE, async {
        for task in all {
            task.await.map_err(|error| format!("a task has ended: {error}"))?;
        }
        world.writers.idle().await;
        Ok(())
    });
    let ended = ended.await.unwrap_or_else(|_| Err("something waits for ever".to_owned()));
    world.store.by_chance(None);
    world.count(|outcome| outcome.time = world.start.elapsed());
    sleep(LATEST).await;
    world.oracle.overtaken(|key| world.has_failed_to_abort(key));
    let verdict = ended.and_then(|()| check_end(&world, &budget, free)).and(world.oracle.verdict());
    let verdict = match (verdict, world.oracle.verdict()) {
        (Err(end), Err(wrong)) if end != wrong => Err(format!("{wrong}\n{end}")),
        (verdict, _) => verdict,
    };
    let outcome = summary(&world);
    (story(&world), verdict.map(|()| outcome))
}

/// Nothing is left over: no memory, no request, no upload but those of which nobody could know.
fn check_end(world: &World, budget: &Budget, free: u64) -> Result<(), String> {
    let stats = world.writers.stats();
    if stats != WriteStats::default() {
        return Err(format!("still on its way: {stats:?}"));
    }
    if budget.free_bytes() != free {
        return Err(format!("{} bytes of {free} are free", budget.free_bytes()));
    }
    let query = UploadsQuery { max: usize::MAX, ..UploadsQuery::default() };
    let left = world.store.left_uploads();
    for entry in world.bucket.list_uploads(query).0 {
        if let Entry::Item(open) = entry
            && !left.contains(&open.upload.id)
        {
            return Err(format!("an upload of {} is left", open.upload.key));
        }
    }
    Ok(())
}

fn summary(world: &World) -> Outcome {
    let mut outcome = world.outcome.lock().unwrap().clone();
    outcome.late = world.oracle.late();
    for event in world.store.events() {
        let What::Arrived(faults) = event.what else { continue };
        outcome.calls += 1;
        for fault in faults {
            let name = format!("{fault:?}");
            let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
            *outcome.faults.entry(name[..end].to_owned()).or_default() += 1;
        }
    }
    outcome
}

/// Notes and calls, in the order of time.
fn story(world: &World) -> Vec<String> {
    let mut all = world.notes.lock().unwrap().clone();
    all.extend(world.store.events().into_iter().map(|event| {
        let Event { at, call, operation, key, part, what } = event;
        let (key, part) = (key.unwrap_or_default(), part.map(|part| format!(" part {part}")));
        let part = part.unwrap_or_default();
        (at, format!("{at:?}   {call} {operation:?} {key}{part}: {what:?}"))
    }));
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, line)| line).collect()
}

async fn interfere(world: Arc<World>, plain: Arc<MemoryStore>, key: Key, salt: u64, what: Foreign) {
    sleep(what.pause).await;
    world.note(&key, &format!("somebody else: {what:?}"));
    world.oracle.foreign(&key);
    match what.put {
        Some(len) => put(&plain, &key, salt, len).await,
        None => plain.delete(&key).await.expect("a bucket without faults"),
    }
}

async fn take_memory(budget: Budget, squeeze: Squeeze) {
    sleep(squeeze.pause).await;
    let held: Vec<_> = (0..squeeze.blocks).map_while(|_| budget.try_take(4096)).collect();
    sleep(squeeze.time).await;
    drop(held);
}

async fn put(plain: &MemoryStore, key: &Key, salt: u64, len: usize) {
    let bytes: Vec<u8> = pattern(salt, len).into_iter().map(|byte| byte | 1).collect();
    let (body, options) = (Payload::from(bytes), PutOptions::default());
    plain.put(key, body, &options).await.expect("a bucket without faults");
}
