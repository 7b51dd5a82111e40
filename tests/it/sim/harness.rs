//! One seed from beginning to end: the bucket, the writers, everybody who does something, and what must be true
//! when all is over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use partfs::budget::Budget;
use partfs::clock::Clock;
use partfs::store::fault::{Event, Fault, FaultStore, Gate, RandomFaults, Rule, What};
use partfs::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore};
use partfs::store::{Key, ObjectStore, Operation, Payload, PutOptions};
use partfs::write::{JournalConfig, OnLeftover, RemoteObject, WriteConfig, WriteStats, Writers};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::files::File;
use super::oracle::{Oracle, content};
use super::plan::{Death, Foreign, OTHER_LEN, Plan, Squeeze};
use super::records::{Records, VirtualClock};
use super::resumed::open_uploads;
use crate::world::{folder, key, pattern};

/// How long a commit may take.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(600);

/// Nothing that is planned takes a day: what does has stopped.
const DEADLINE: Duration = Duration::from_secs(24 * 3600);

/// After this nothing comes late any more.
const LATEST: Duration = Duration::from_secs(3600);

/// After this leftovers are old, and everything that may be removed was.
const DAYS: Duration = Duration::from_secs(9 * 86_400);

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
    /// Deaths of the daemon.
    pub deaths: u64,
    /// Parts that were not sent again.
    pub resumed_parts: u64,
    /// The last call of a daemon that is dead.
    last_words: u64,
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
        self.deaths += other.deaths;
        self.resumed_parts += other.resumed_parts;
        self.time += other.time;
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

/// What all files of a daemon share.
pub struct World {
    pub bucket: Arc<MemoryBucket>,
    pub store: Arc<FaultStore>,
    pub writers: Arc<Writers>,
    pub oracle: Arc<Oracle>,
    /// What becomes of leftovers.
    pub on_leftover: OnLeftover,
    journal: Option<PathBuf>,
    outcome: Arc<Mutex<Outcome>>,
    notes: Arc<Mutex<Vec<(Duration, String)>>>,
}

impl World {
    /// Remembers what happened, for whoever looks for the reason.
    pub fn note(&self, key: &Key, what: &str) {
        let at = self.store.elapsed();
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

    /// Whether uploads are written down.
    pub fn is_journalled(&self) -> bool {
        self.journal.is_some()
    }

    /// What is written down of uploads.
    pub fn records(&self) -> Records {
        self.journal.as_deref().map(Records::read).unwrap_or_default()
    }

    /// Each upload of the bucket has its record, or one that says that it may be there.
    fn check_records(&self) {
        let mut records = self.records();
        for upload in open_uploads(self) {
            if records.ids.remove(upload.id.as_str()) {
                continue;
            }
            if !records.strays.contains(upload.key.as_str()) {
                self.oracle.wrong(format!("nothing is written down of {upload:?}"));
            }
        }
    }

    /// Whether the abort of an upload was answered with an error.
    pub fn has_failed_to_abort(&self, key: &Key) -> bool {
        self.store.events().iter().any(|event| {
            event.operation == Operation::AbortUpload
                && event.key.as_deref() == Some(key.as_str())
                && matches!(event.what, What::Answered(Some(_)))
        })
    }

    /// Whether the bucket has carried out what a daemon had asked for that was dead by then.
    fn has_heard_of_the_dead(&self, key: &Key) -> bool {
        let events = self.store.events();
        events.iter().any(|event| {
            event.key.as_deref() == Some(key.as_str())
                && matches!(event.what, What::Late(_))
                && self.is_of_the_dead(event.call)
        })
    }

    fn is_of_the_dead(&self, call: u64) -> bool {
        call <= self.outcome.lock().unwrap().last_words
    }

    /// Whether an object may appear too late: an upload could not be aborted, or the daemon died.
    pub fn excuses_late(&self, key: &Key) -> bool {
        self.has_failed_to_abort(key) || self.has_heard_of_the_dead(key)
    }

    /// Whether something has happened that a file at `key` may fail of.
    pub fn excuses(&self, key: &Key) -> bool {
        self.oracle.foreigners(key) > 0
            || self.has_heard_of_the_dead(key)
            || self.has_been_in_trouble(key, 0)
    }

    /// As [`excuses`](Self::excuses), of calls after the first so many.
    pub fn has_been_in_trouble(&self, key: &Key, calls: u64) -> bool {
        let concerns = |event: &Event| {
            event.key.as_deref() == Some(key.as_str())
                || event.key.as_deref() == Some(other_key().as_str())
        };
        let events = self.store.events();
        events.iter().filter(|event| event.call > calls).any(|event| match &event.what {
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
        // The gate of a death ends everything.
        Fault::Twice | Fault::HeldBefore(_) | Fault::HeldAfter(_) => false,
        _ => true,
    }
}

fn is_stall(fault: &Fault) -> bool {
    matches!(fault, Fault::Slow { before, after } if *before + *after > Duration::from_secs(10))
}

fn file_key(number: usize) -> Key {
    key(&format!("file-{number}"))
}

fn other_key() -> Key {
    key("other")
}

/// Runs a plan. `Err`: what was not as promised.
pub fn run(plan: &Plan) -> Result<Outcome, String> {
    run_logged(plan).1
}

/// Runs a plan, and tells all that happened.
pub fn run_logged(plan: &Plan) -> (Vec<String>, Result<Outcome, String>) {
    let place = Place::new(plan);
    let deaths = plan.journal.iter().flat_map(|journal| &journal.deaths);
    let mut life = Life { number: 0, began: None, ends: None, cut_off: Vec::new() };
    for death in deaths.map(Some).chain([None]) {
        life.ends = death;
        let (next, ended) = in_life(place.live(&life));
        if let Some(ended) = ended {
            return place.verdict(ended);
        }
        life = Life { number: life.number + 1, began: death, ends: None, cut_off: next };
    }
    unreachable!("the last life ends with a verdict")
}

/// One life of a daemon: it dies with its runtime.
fn in_life<T>(what: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(what)
}

/// What outlives daemons.
struct Place<'a> {
    plan: &'a Plan,
    bucket: Arc<MemoryBucket>,
    plain: Arc<MemoryStore>,
    store: Arc<FaultStore>,
    clock: Arc<VirtualClock>,
    oracle: Arc<Oracle>,
    outcome: Arc<Mutex<Outcome>>,
    notes: Arc<Mutex<Vec<(Duration, String)>>>,
    journal: Option<TempDir>,
}

/// A life of the daemon.
struct Life<'a> {
    number: usize,
    began: Option<&'a Death>,
    ends: Option<&'a Death>,
    /// What was being written to each file when the last one ended.
    cut_off: Vec<Arc<[u8]>>,
}

/// How the last life has ended.
type End = (Arc<World>, Result<(), String>);

impl<'a> Place<'a> {
    fn new(plan: &'a Plan) -> Self {
        let clock = Arc::new(VirtualClock::new());
        let etags = if plan.journal.is_some() { EtagMode::Md5 } else { EtagMode::Opaque };
        let bucket = MemoryBucket::new(BucketOptions {
            ids: Some(plan.faults),
            ..BucketOptions::new(etags, clock.clone())
        });
        let plain = Arc::new(MemoryStore::new(Arc::clone(&bucket), plan.limits.clone()));
        let store = FaultStore::new(Arc::clone(&plain) as _).with_bodies_in_place();
        let store = Arc::new(store.with_mortal_clients());
        let oracle = Arc::new(Oracle::default());
        let (watcher, watched) = (Arc::clone(&oracle), Arc::clone(&bucket));
        store.observed(move |change| watcher.changed(&watched, change));
        let journal = plan.journal.is_some().then(folder);
        let (outcome, notes) = (Arc::default(), Arc::default());
        Self { plan, bucket, plain, store, clock, oracle, outcome, notes, journal }
    }

    /// A daemon begins.
    fn begin(&self, life: &Life<'_>) -> (World, Budget) {
        self.store.client_begins();
        self.clock.go_on(self.store.elapsed());
        let budget = Budget::new(self.plan.budget_bytes);
        let first = self.plan.journal.as_ref().map(|journal| journal.on_leftover);
        let on_leftover = life.began.map(|death| death.on_leftover).or(first).unwrap_or_default();
        let journal = self
            .journal
            .as_ref()
            .map(|dir| JournalConfig { on_leftover, ..JournalConfig::new(dir.path().to_owned()) });
        let config = WriteConfig {
            part_bytes: self.plan.part_bytes,
            block_bytes: self.plan.block_bytes,
            max_requests: self.plan.max_requests,
            close_timeout: CLOSE_TIMEOUT,
            journal,
            ..WriteConfig::new(std::env::temp_dir())
        };
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let (store, runtime) = (Arc::clone(&self.store), tokio::runtime::Handle::current());
        let writers = Writers::new(store as _, budget.clone(), config, &clock, runtime);
        let world = World {
            bucket: Arc::clone(&self.bucket),
            store: Arc::clone(&self.store),
            writers,
            oracle: Arc::clone(&self.oracle),
            on_leftover,
            journal: self.journal.as_ref().map(|dir| dir.path().to_owned()),
            outcome: Arc::clone(&self.outcome),
            notes: Arc::clone(&self.notes),
        };
        (world, budget)
    }

    /// What each file was being made when the daemon died, or the end.
    async fn live(&self, life: &Life<'_>) -> (Vec<Arc<[u8]>>, Option<End>) {
        let (world, budget) = self.begin(life);
        let (world, free) = (Arc::new(world), budget.free_bytes());
        if life.number == 0 {
            put(&self.plain, &other_key(), 77, OTHER_LEN as usize).await;
            for (number, file) in self.plan.files.iter().enumerate() {
                if let Some(len) = file.before {
                    put(&self.plain, &file_key(number), 100 + number as u64, len).await;
                }
            }
        }
        let gate = life.ends.map(|death| {
            let gate = Arc::new(Gate::default());
            let at = Arc::clone(&gate);
            let fault = if death.after { Fault::HeldAfter(at) } else { Fault::HeldBefore(at) };
            self.store.add(Rule { operation: None, key: None, skip: death.calls, count: 1, fault });
            gate
        });
        self.store.by_chance(Some(RandomFaults::new(
            self.plan.faults ^ life.number as u64,
            self.plan.chances,
        )));
        let all = self.begin_all(life, &world, &budget);
        let ended = timeout(DEADLINE, async {
            for task in all {
                task.await.map_err(|error| format!("a task has ended: {error}"))?;
            }
            world.writers.idle().await;
            Ok(())
        });
        let died = async {
            match &gate {
                Some(gate) => gate.answered().await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            biased;
            () = died => Ok(Ok(())),
            ended = ended => ended,
        };
        let ended = ended.unwrap_or_else(|_| Err("something waits for ever".to_owned()));
        // Who had less to do never came to it, and the next one passes.
        gate.iter().for_each(|gate| gate.open());
        if let (Some(death), Ok(())) = (life.ends, &ended) {
            return (self.die(&world, death), None);
        }
        self.store.by_chance(None);
        world.count(|outcome| outcome.time = self.store.elapsed());
        sleep(LATEST).await;
        let ended = ended.and_then(|()| check_end(&world, &budget, free));
        self.store.client_dies(0);
        (Vec::new(), Some((world, ended)))
    }

    /// Begins all that is planned for a life.
    fn begin_all(
        &self,
        life: &Life<'_>,
        world: &Arc<World>,
        budget: &Budget,
    ) -> Vec<JoinHandle<()>> {
        let mut all = Vec::new();
        let now = self.store.elapsed();
        for (number, file) in self.plan.files.iter().enumerate() {
            let (key, place) = (file_key(number), number as u64);
            let salt = (place + 1) << 32;
            let (shared, steps) = (Arc::clone(world), life.began.map(|death| &death.steps[number]));
            let writing = match life.cut_off.get(number) {
                None => File::new(shared, key.clone(), file, salt),
                Some(cut_off) => {
                    File::after_death(shared, key.clone(), file, salt, Arc::clone(cut_off))
                }
            };
            all.push(tokio::spawn(writing.run(steps.unwrap_or(&file.steps).clone())));
            for (turn, mut foreign) in file.foreign.iter().copied().enumerate() {
                if life.number > 0 && foreign.pause <= now {
                    continue;
                }
                foreign.pause -= now;
                let (world, plain) = (Arc::clone(world), Arc::clone(&self.plain));
                let salt = (place + 1) << 40 | turn as u64;
                all.push(tokio::spawn(interfere(world, plain, key.clone(), salt, foreign)));
            }
        }
        for squeeze in &self.plan.squeezes {
            all.push(tokio::spawn(take_memory(budget.clone(), *squeeze)));
        }
        all
    }

    /// The daemon dies with the runtime that this is called on.
    fn die(&self, world: &World, death: &Death) -> Vec<Arc<[u8]>> {
        self.store.client_dies(death.seed);
        self.notes.lock().unwrap().push((self.store.elapsed(), "the daemon dies".to_owned()));
        world.count(|outcome| {
            outcome.deaths += 1;
            outcome.last_words = self.store.calls();
        });
        world.check_records();
        let made = (0..self.plan.files.len()).map(|number| {
            let now = self.oracle.at(&file_key(number));
            now.map(|now| now.edit.done(&now.before)).unwrap_or_default().into()
        });
        let made = made.collect();
        self.oracle.all_died();
        made
    }

    /// What is said of all.
    fn verdict(&self, (world, ended): End) -> (Vec<String>, Result<Outcome, String>) {
        self.oracle.overtaken(|key| world.excuses_late(key));
        let ended = ended.and_then(|()| self.check_cleaned(world));
        let verdict = match (ended, self.oracle.verdict()) {
            (Err(end), Err(wrong)) => Err(format!("{wrong}\n{end}")),
            (Ok(()), verdict) | (verdict, Ok(())) => verdict,
        };
        let outcome = self.summary();
        (self.story(), verdict.map(|()| outcome))
    }

    /// After the end of all files and faults: a last daemon finds what is left, and removes what is old.
    fn check_cleaned(&self, world: Arc<World>) -> Result<(), String> {
        drop(world);
        let Some(journal) = &self.plan.journal else { return Ok(()) };
        let began = journal.deaths.last();
        let life = Life { number: 0, began, ends: None, cut_off: Vec::new() };
        in_life(async {
            let (world, _) = self.begin(&life);
            sleep(DAYS).await;
            let (records, uploads) = (world.records(), open_uploads(&world));
            let ids: BTreeSet<_> =
                uploads.iter().map(|upload| upload.id.as_str().to_owned()).collect();
            let stay = world.on_leftover == OnLeftover::Keep;
            if records.ids != ids || records.unanswered > 0 || !stay && !ids.is_empty() {
                return Err(format!("left when all is over: {uploads:?}, {records:?}"));
            }
            Ok(())
        })
    }
}

/// Nothing is left over: no memory, no request, no upload but those of which nobody could know.
fn check_end(world: &World, budget: &Budget, free: u64) -> Result<(), String> {
    let stats = WriteStats { leftovers: 0, ..world.writers.stats() };
    if stats != WriteStats::default() {
        return Err(format!("still on its way: {stats:?}"));
    }
    if budget.free_bytes() != free {
        return Err(format!("{} bytes of {free} are free", budget.free_bytes()));
    }
    if world.is_journalled() {
        world.check_records();
        return Ok(());
    }
    let left = world.store.left_uploads();
    for upload in open_uploads(world) {
        if !left.contains(&upload.id) {
            return Err(format!("an upload of {} is left", upload.key));
        }
    }
    Ok(())
}

impl Place<'_> {
    fn summary(&self) -> Outcome {
        let mut outcome = self.outcome.lock().unwrap().clone();
        outcome.late = self.oracle.late();
        for event in self.store.events() {
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
    fn story(&self) -> Vec<String> {
        let mut all = self.notes.lock().unwrap().clone();
        all.extend(self.store.events().into_iter().map(|event| {
            let Event { at, call, operation, key, part, what } = event;
            let (key, part) = (key.unwrap_or_default(), part.map(|part| format!(" part {part}")));
            let part = part.unwrap_or_default();
            // A gate shows where a thread has it.
            let what = match what {
                What::Arrived(faults) => {
                    let gate =
                        |fault: &Fault| matches!(fault, Fault::HeldAfter(_) | Fault::HeldBefore(_));
                    let (gates, others): (Vec<_>, Vec<_>) = faults.into_iter().partition(gate);
                    let held = if gates.is_empty() { "" } else { " and waits" };
                    format!("{:?}{held}", What::Arrived(others))
                }
                what => format!("{what:?}"),
            };
            (at, format!("{at:?}   {call} {operation:?} {key}{part}: {what}"))
        }));
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, line)| line).collect()
    }
}

async fn interfere(world: Arc<World>, plain: Arc<MemoryStore>, key: Key, salt: u64, what: Foreign) {
    sleep(what.pause).await;
    world.note(&key, &format!("somebody else: {what:?}"));
    world.oracle.foreign(&key);
    match what.put {
        Some(len) => put(&plain, &key, salt, len).await,
        None => plain.delete(&key).await.expect("a bucket without faults"),
    }
    // Hashes take a moment, so it happened only now.
    world.oracle.foreign(&key);
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
