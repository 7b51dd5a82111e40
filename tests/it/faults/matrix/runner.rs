//! Runs one cell: a workload over the real client and the real server, with one fault, and asks the bucket
//! itself what came of it.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use partfs::dialect::Timing;
use partfs::fs::Meaning;
use partfs::mock::{Action, MockConfig, MockDialect, MockServer};
use partfs::store::Limits;
use partfs::store::fault::FaultStore;
use partfs::store::memory::{MemoryBucket, UploadsQuery};
use tokio::time::{Instant, sleep, timeout};

use super::faults::{Expected, Fault, Spot};
use super::oracle::Holds;
use super::workloads::{Outcome, Workload};
use crate::world::fs::World;
use crate::world::object;
use crate::world::served::{client, serve};

/// Bytes of a part: few, so that a cell moves little.
pub const PART: usize = 8 << 10;

/// Patience in proportion: what a service may take is a thousandth of what it may take in earnest.
const TIMING: Timing = Timing {
    connect: Duration::from_secs(2),
    attempt: Duration::from_millis(800),
    total: Duration::from_secs(6),
    max_attempts: 6,
    complete: Duration::from_secs(6),
    writes: None,
};

/// What a close may take at most.
const CLOSE: Duration = Duration::from_secs(15);

/// A cell that takes longer hangs: a few operations, each with its patience.
const HANG: Duration = Duration::from_secs(60);

/// How long after its end requests may still take effect.
const LATE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct Cell {
    pub dialect: MockDialect,
    pub workload: Workload,
    /// Where the fault strikes.
    pub spot: Spot,
    pub fault: Fault,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dialect, workload, spot, fault } = self;
        let Spot { operation, skip, .. } = spot;
        write!(f, "{dialect:?}/{workload:?}/{operation} {skip}/{} {}", fault.id, fault.name)
    }
}

/// What came of a cell.
#[derive(Debug, Default)]
pub struct Verdict {
    pub fired: bool,
    pub succeeded: bool,
    pub hung: bool,
    /// Success was told and the bucket, or what was read, does not agree.
    pub lost: Option<String>,
    /// A key holds neither the old nor the new content.
    pub third: Option<String>,
    /// Uploads that stayed behind.
    pub leaked: usize,
    /// The failure that was told.
    pub failure: Option<String>,
    /// The failure is that time ran out: on a busy machine that may have been the machine.
    pub timed_out: bool,
    pub took: Duration,
}

/// A server, a bucket, and a file system that reaches it by HTTP only.
struct Scene {
    server: MockServer,
    world: World,
}

impl Scene {
    async fn new(dialect: MockDialect, workload: Workload) -> Self {
        let part_min_bytes = Some(PART as u64);
        let config = MockConfig { dialect, part_min_bytes, ..MockConfig::default() };
        let server = serve(config.clone()).await;
        workload.prepare(&server.bucket()).await;
        let store = client(&server, &config, None, TIMING);
        let real = store.limits();
        let range_source = match real.range_copy_min_source_bytes {
            0 | 1 => real.range_copy_min_source_bytes,
            _ => PART as u64 + 1,
        };
        let limits = Limits {
            part_min_bytes: PART as u64,
            range_copy_min_source_bytes: range_source,
            ..real.clone()
        };
        let store = FaultStore::new(store).with_limits(limits);
        let world = World::with(server.bucket(), store, PART as u64, PART / 4, CLOSE);
        Self { server, world }
    }
}

/// Runs a workload without faults. Says which requests it makes, and the largest body of each kind.
pub async fn record(dialect: MockDialect, workload: Workload) -> Vec<Spot> {
    let scene = Scene::new(dialect, workload).await;
    let before = scene.world.bucket.effects().len();
    for outcome in workload.run(&scene.world).await {
        outcome.told.as_ref().unwrap_or_else(|error| panic!("{dialect:?}/{workload:?}: {error}"));
        assert_eq!(outcome.lie, None, "{dialect:?}/{workload:?}");
        let holds = holds(&scene.world.bucket, &outcome).await;
        assert_eq!(holds, Holds::New, "{dialect:?}/{workload:?}: {}", outcome.key);
    }
    let effects = scene.world.bucket.effects();
    let mut bodies = BTreeMap::new();
    for effect in &effects[before..] {
        let largest = bodies.entry(effect.operation.to_string()).or_insert(0);
        *largest = effect.size.max(*largest);
    }
    let mut spots = Vec::new();
    let requests: BTreeMap<_, _> = scene
        .world
        .bucket
        .requests()
        .into_iter()
        .map(|(operation, count)| (operation.to_string(), (operation, count)))
        .collect();
    for (name, (operation, count)) in requests {
        let last = u32::try_from(count).unwrap() - 1;
        let mut places = vec![0, last / 2, last];
        places.dedup();
        let body_bytes = bodies.get(&name).copied().unwrap_or(0);
        spots.extend(places.into_iter().map(|skip| Spot { dialect, operation, skip, body_bytes }));
    }
    scene.server.stop().await;
    spots
}

async fn holds(bucket: &Arc<MemoryBucket>, outcome: &Outcome) -> Holds {
    let found = object(bucket, &outcome.key).await;
    Holds::of(found.as_deref(), outcome.old.as_deref(), outcome.new.as_deref())
}

fn uploads(bucket: &MemoryBucket) -> usize {
    let query = UploadsQuery { max: usize::MAX, ..UploadsQuery::default() };
    bucket.list_uploads(query).0.len()
}

/// Runs a cell to its end.
pub async fn run(cell: &Cell) -> Verdict {
    let started = Instant::now();
    let mut verdict = Verdict::default();
    let done = timeout(HANG, play(cell, &mut verdict)).await;
    verdict.hung = done.is_err();
    verdict.took = started.elapsed();
    verdict
}

async fn play(cell: &Cell, verdict: &mut Verdict) {
    let scene = Scene::new(cell.dialect, cell.workload).await;
    let (faults, bucket) = (scene.server.faults(), &scene.world.bucket);
    let rules: Vec<_> = cell.fault.rules.iter().map(|rule| faults.add(rule.clone())).collect();
    let outcomes = cell.workload.run(&scene.world).await;
    judge(bucket, &outcomes, verdict).await;
    scene.world.fs.drain(CLOSE).await;
    // What takes effect later must not change the answer.
    let late = cell.fault.rules.iter().filter_map(|rule| match rule.action {
        Action::ApplyLate(delay) => Some(delay),
        _ => None,
    });
    if let Some(delay) = late.max() {
        sleep(delay).await;
    }
    judge(bucket, &outcomes, verdict).await;
    verdict.fired = rules.iter().all(|rule| faults.fired(*rule) > 0);
    if verdict.fired && !cell.fault.leak_possible {
        // The client may have hung up on an Abort that the server carries out.
        let end = Instant::now() + LATE;
        while uploads(bucket) > 0 && Instant::now() < end {
            sleep(Duration::from_millis(50)).await;
        }
    }
    verdict.leaked = uploads(bucket);
    verdict.succeeded = outcomes.iter().all(|outcome| outcome.told.is_ok());
    let failure = outcomes.iter().find_map(|outcome| outcome.told.as_ref().err());
    verdict.failure = failure.map(ToString::to_string);
    verdict.timed_out = failure.is_some_and(|failure| failure.meaning() == Meaning::TimedOut);
    scene.server.stop().await;
}

/// Compares what was told with what is there.
async fn judge(bucket: &Arc<MemoryBucket>, outcomes: &[Outcome], verdict: &mut Verdict) {
    let (mut lost, mut third, mut kept) = (String::new(), String::new(), false);
    for outcome in outcomes {
        let (key, told) = (&outcome.key, &outcome.told);
        if let Some(lie) = &outcome.lie {
            let _ = write!(lost, "{key} read as {lie}; ");
        }
        let holds = holds(bucket, outcome).await;
        kept |= holds == Holds::New && outcome.new.is_some();
        if told.is_ok() && holds != Holds::New {
            let _ = write!(lost, "{key} holds {holds:?}; ");
        }
        if let Holds::Other(what) = holds {
            let _ = write!(third, "{key} holds {what}; ");
        }
    }
    if outcomes.iter().any(|outcome| outcome.kept_somewhere) && !kept {
        lost += "what was confirmed is under no name; ";
    }
    verdict.lost = verdict.lost.take().or((!lost.is_empty()).then_some(lost));
    verdict.third = verdict.third.take().or((!third.is_empty()).then_some(third));
}

/// Sums of many cells, and the names of those that went wrong.
#[derive(Debug, Default)]
pub struct Tally {
    pub run: usize,
    pub fired: usize,
    pub succeeded: usize,
    /// Cells whose fault nothing shows, that were told as successes.
    pub unseen: usize,
    /// Cells whose fault is that the service makes another object, which was told.
    pub wrong_and_told: usize,
    /// Cells in which the upload could not be known or aborted, and stayed.
    pub leaks_named: usize,
    pub silent_losses: Vec<String>,
    pub third_states: Vec<String>,
    pub leaks: Vec<String>,
    pub hangs: Vec<String>,
    pub false_failures: Vec<String>,
    pub slowest: Duration,
    /// By fault: cells that fired, and those that were told as successes.
    pub by_fault: BTreeMap<String, (usize, usize)>,
    /// By operation whose faults fired.
    pub by_operation: BTreeMap<String, usize>,
}

impl Tally {
    /// Whether the cell must be run again, alone: time ran out where it should not have. A loss is none
    /// the less for it and counts at once.
    pub fn is_doubtful(cell: &Cell, verdict: &Verdict) -> bool {
        let Fault { expected, leak_possible, .. } = cell.fault;
        let failed_late = verdict.timed_out && expected == Expected::Success;
        let left = verdict.leaked > 0 && !leak_possible;
        let wrong = verdict.lost.is_some() || verdict.third.is_some();
        (verdict.hung || failed_late || left) && !wrong
    }

    pub fn count(&mut self, cell: &Cell, verdict: Verdict) {
        self.run += 1;
        if verdict.hung {
            self.hangs.push(cell.to_string());
            return;
        }
        // A cell that did not fire proves nothing, except when something is wrong all the same.
        let fault = &cell.fault;
        if verdict.fired {
            self.fired += 1;
            self.succeeded += usize::from(verdict.succeeded);
            let (fired, succeeded) =
                self.by_fault.entry(format!("{} {}", fault.id, fault.name)).or_default();
            *fired += 1;
            *succeeded += usize::from(verdict.succeeded);
            *self.by_operation.entry(cell.spot.operation.to_string()).or_default() += 1;
        }
        self.slowest = self.slowest.max(verdict.took);
        let failure = verdict.failure.as_deref().unwrap_or("told as a success");
        match verdict.lost {
            Some(_) if fault.undetectable => self.unseen += 1,
            Some(what) => self.silent_losses.push(format!("{cell}: {what}{failure}")),
            None if verdict.third.is_some() && fault.third_possible => self.wrong_and_told += 1,
            None => {}
        }
        if let Some(what) = verdict.third.filter(|_| !fault.third_possible) {
            self.third_states.push(format!("{cell}: {what}{failure}"));
        }
        match verdict.leaked {
            0 => {}
            _ if fault.leak_possible => self.leaks_named += 1,
            leaked => self.leaks.push(format!("{cell}: {leaked} uploads; {failure}")),
        }
        if fault.expected == Expected::Success && !verdict.succeeded {
            self.false_failures.push(format!("{cell}: {failure}"));
        }
    }

    /// What must not be.
    pub fn wrongs(&self) -> [(&'static str, &[String]); 5] {
        [
            ("silent losses", &self.silent_losses),
            ("third states", &self.third_states),
            ("leaked uploads", &self.leaks),
            ("hangs", &self.hangs),
            ("false failures", &self.false_failures),
        ]
    }
}
