//! Crash runs: each kills the daemon at one place of one workload, looks into the bucket, starts the daemon
//! again, reads everything back through it, and does the work again.
//!
//! Where to kill is found by a run without a crash: at the named points that it passes (`partfs::crash`),
//! the first, second and last time, and while a request is on its way, before and after the service has
//! carried it out. A run that is not killed where it should be fails.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::place::{Bucket, DIALECTS, Daemon};
use super::workloads::{self, Promises, Workload};
use partfs::mock::{Action, FaultRule, MockDialect, When};
use partfs::store::Operation;

/// Requests during which the daemon is killed.
const OPERATIONS: [Operation; 8] = [
    Operation::Put,
    Operation::StartUpload,
    Operation::PutPart,
    Operation::CopyPart,
    Operation::CompleteUpload,
    Operation::Copy,
    Operation::Delete,
    Operation::AbortUpload,
];

/// Where the daemon dies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kill {
    /// At a point, passed so many times.
    Point(String, u64),
    /// While a request is on its way, after so many others of its kind.
    Request { operation: &'static str, after_apply: bool, skip: u32 },
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Point(name, occurrence) => write!(f, "{name}:{occurrence}"),
            Self::Request { operation, after_apply, skip } => {
                let when = if *after_apply { "after" } else { "before" };
                write!(f, "{operation}:{} {when} it is applied", skip + 1)
            }
        }
    }
}

/// SplitMix64: the same numbers for the same seed, for ever.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.next() % (last as u64 + 1)).unwrap();
            items.swap(last, other);
        }
    }
}

fn part_bytes(dialect: MockDialect) -> usize {
    // The smallest part of each service.
    match dialect {
        MockDialect::Cos | MockDialect::Oss => 1 << 20,
        MockDialect::Qingstor => 4 << 20,
        MockDialect::S3 => 5 << 20,
    }
}

/// The first, the second and the last of `count`.
fn occurrences(count: u64) -> Vec<u64> {
    let mut wanted = vec![1, 2, count];
    wanted.retain(|number| (1..=count).contains(number));
    wanted.dedup();
    wanted
}

/// Where a workload can be interrupted.
fn places(dialect: MockDialect, workload: &Workload, sources: &std::path::Path) -> Vec<Kill> {
    let bucket = Bucket::new(dialect).unwrap();
    let mut promises = Promises::default();
    prepare(&bucket, workload, sources, &mut promises);
    let before: Vec<u64> = OPERATIONS.iter().map(|one| bucket.bucket.requests_of(*one)).collect();
    let log = bucket.dir().join("points");
    let mut daemon = bucket.mount(Some(&format!("log={}", log.display())), &[]);
    assert!(workload.run(bucket.root(), sources, &mut promises), "{}", workload.name);
    assert!(daemon.stop());
    let mut points: BTreeMap<String, u64> = BTreeMap::new();
    for line in fs::read_to_string(&log).unwrap_or_default().lines() {
        *points.entry(line.to_owned()).or_default() += 1;
    }
    let mut places = Vec::new();
    for (name, count) in points {
        places.extend(occurrences(count).into_iter().map(|n| Kill::Point(name.clone(), n)));
    }
    for (operation, before) in OPERATIONS.into_iter().zip(before) {
        for number in occurrences(bucket.bucket.requests_of(operation) - before) {
            let skip = u32::try_from(number - 1).unwrap();
            for after_apply in [false, true] {
                places.push(Kill::Request { operation: name_of(operation), after_apply, skip });
            }
        }
    }
    places
}

fn name_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Put => "PUT",
        Operation::StartUpload => "Initiate",
        Operation::PutPart => "Upload Part",
        Operation::CopyPart => "Upload Part Copy",
        Operation::CompleteUpload => "Complete",
        Operation::Copy => "COPY",
        Operation::Delete => "DELETE",
        _ => "Abort",
    }
}

fn named(name: &str) -> Operation {
    OPERATIONS.into_iter().find(|operation| name_of(*operation) == name).unwrap()
}

/// What the daemon finds that is to die.
fn prepare(
    bucket: &Bucket,
    workload: &Workload,
    sources: &std::path::Path,
    promises: &mut Promises,
) {
    let mut daemon = bucket.mount(None, &[]);
    workload.prepare(bucket.root(), sources, promises);
    assert!(daemon.stop());
    bucket.clear();
    if let Some(cut) = workload.cut {
        let daemon = bucket.mount(Some(cut), &[]);
        workload.run(bucket.root(), sources, promises);
        assert!(daemon.was_killed(), "{}: not cut off at {cut}", workload.name);
        bucket.clear();
    }
}

/// Runs a workload against a daemon that dies at `kill`. Returns whether it did.
fn interrupted(
    bucket: &Bucket,
    workload: &Workload,
    sources: &std::path::Path,
    promises: &mut Promises,
    kill: &Kill,
) -> bool {
    let (crash, fault) = match kill {
        Kill::Point(..) => (Some(kill.to_string()), None),
        Kill::Request { operation, after_apply, skip } => {
            let when = if *after_apply { When::AfterApply } else { When::Before };
            let rule = FaultRule { when, ..FaultRule::new(Action::Stall) };
            (None, Some(rule.on(named(operation)).skip(*skip)))
        }
    };
    let daemon = bucket.mount(crash.as_deref(), &[]);
    let fault = fault.map(|rule| bucket.server.faults().add(rule));
    let daemon = Mutex::new(Some(daemon));
    let done = AtomicBool::new(false);
    let mut struck = false;
    std::thread::scope(|scope| {
        if let Some(fault) = fault {
            let (daemon, done) = (&daemon, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    if bucket.server.faults().fired(fault) > 0 {
                        let daemon = daemon.lock().unwrap().take();
                        return daemon.into_iter().for_each(Daemon::kill);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        // One that died before it had mounted leaves a folder of this disk.
        if daemon.lock().unwrap().as_mut().is_some_and(|daemon| daemon.ended().is_none()) {
            workload.run(bucket.root(), sources, promises);
        }
        // The kernel tells of a release when the program has gone on already.
        if matches!(kill, Kill::Point(name, _) if name == "release.begin") {
            let mut daemon = daemon.lock().unwrap();
            let daemon = daemon.as_mut().unwrap();
            for _ in 0..10_000 {
                if daemon.ended().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // Some points are passed when it ends.
        let left = daemon.lock().unwrap().as_mut().is_some_and(|daemon| daemon.ended().is_none());
        if left && fault.is_none() {
            daemon.lock().unwrap().as_mut().unwrap().stop();
        }
        done.store(true, Ordering::Release);
    });
    if let Some(fault) = fault {
        struck = bucket.server.faults().fired(fault) > 0;
        bucket.server.faults().disarm();
    }
    if let Some(daemon) = daemon.lock().unwrap().take() {
        if fault.is_none() {
            struck = daemon.was_killed();
        } else {
            daemon.kill();
        }
    }
    bucket.clear();
    struck
}

/// What is wrong with the bucket.
fn faults_of(bucket: &Bucket, promises: &Promises) -> Vec<String> {
    let mut wrong = promises.broken(|key| bucket.object(key));
    let journal = bucket.journal();
    for upload in bucket.uploads() {
        let known = journal.ids.contains(upload.id.as_str());
        let stray = journal.keys.contains(upload.key.as_str())
            && bucket.bucket.list_parts(&upload, 0, 1).is_ok_and(|(parts, _)| parts.is_empty());
        if !known && !stray {
            wrong.push(format!("upload {} of {} is forgotten", upload.id, upload.key));
        }
    }
    wrong
}

/// One run: everything that went wrong.
fn run(
    dialect: MockDialect,
    workload: &Workload,
    sources: &std::path::Path,
    kill: &Kill,
) -> Vec<String> {
    let bucket = Bucket::new(dialect).unwrap();
    let mut promises = Promises::default();
    prepare(&bucket, workload, sources, &mut promises);
    let mut wrong = Vec::new();
    if !interrupted(&bucket, workload, sources, &mut promises, kill) {
        wrong.push("the daemon was not killed there".to_owned());
    }
    wrong.extend(faults_of(&bucket, &promises));
    // Again, with nothing in memory: what the mount shows is what the bucket has.
    let mut daemon = bucket.mount(None, &[]);
    for key in promises.keys() {
        let shown = fs::read(bucket.root().join(key)).ok();
        if shown != bucket.object(key) {
            wrong.push(format!("{key} is shown with other bytes than it has"));
        }
    }
    if workload.again && !workload.run(bucket.root(), sources, &mut promises) {
        wrong.push("the second attempt failed".to_owned());
    }
    if !daemon.stop() {
        wrong.push("the second daemon lost something".to_owned());
    }
    wrong.extend(faults_of(&bucket, &promises));
    // What was cut off was gone on with, where the same was written again.
    let left = bucket.uploads().into_iter().filter(|upload| {
        bucket.bucket.list_parts(upload, 0, 1).is_ok_and(|(parts, _)| !parts.is_empty())
    });
    if workload.again && workload.cut.is_none() {
        wrong.extend(left.map(|upload| format!("the parts of {} are left over", upload.key)));
    }
    wrong
}

/// PARTFS_CRASH_RUNS is how many, PARTFS_CRASH_SEED which of all possible ones.
#[test]
fn what_was_confirmed_outlives_the_daemon() {
    if Bucket::new(MockDialect::Cos).is_none() {
        return;
    }
    let number = |name: &str| std::env::var_os(name)?.to_str()?.parse::<u64>().ok();
    let runs = usize::try_from(number("PARTFS_CRASH_RUNS").unwrap_or(12)).unwrap();
    let seed = number("PARTFS_CRASH_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    println!("PARTFS_CRASH_SEED={seed} PARTFS_CRASH_RUNS={runs}");
    let mut dice = Dice(seed);
    let sources = tempfile::tempdir().unwrap();
    let mut scenes = Vec::new();
    for (dialect, name) in DIALECTS {
        let dir = sources.path().join(name);
        fs::create_dir(&dir).unwrap();
        for workload in workloads::all(&dir, part_bytes(dialect)) {
            scenes.push((dialect, name, workload, dir.clone()));
        }
    }
    dice.shuffle(&mut scenes);
    scenes.truncate(runs);
    let each = runs.div_ceil(scenes.len());
    let seeds: Vec<u64> = scenes.iter().map(|_| dice.next()).collect();
    let work = Mutex::new(scenes.into_iter().zip(seeds).collect::<Vec<_>>());
    let (done, failed) = (Mutex::new(BTreeMap::<String, u64>::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(((dialect, name, workload, dir), seed)) = work.lock().unwrap().pop()
                    else {
                        return;
                    };
                    let mut places = places(dialect, &workload, &dir);
                    Dice(seed).shuffle(&mut places);
                    for kill in places.into_iter().take(each) {
                        let wrong = run(dialect, &workload, &dir, &kill);
                        let place = match &kill {
                            Kill::Point(name, _) => name.clone(),
                            Kill::Request { operation, after_apply, .. } => {
                                format!("{operation} {after_apply}")
                            }
                        };
                        *done.lock().unwrap().entry(place).or_default() += 1;
                        for what in wrong {
                            let what = format!("{name}, {}, {kill}: {what}", workload.name);
                            println!("FAILED {what}");
                            failed.lock().unwrap().push(what);
                        }
                    }
                }
            });
        }
    });
    let (done, failed) = (done.into_inner().unwrap(), failed.into_inner().unwrap());
    println!("crash runs: {}, at {} places: {done:?}", done.values().sum::<u64>(), done.len());
    println!("failed: {}", failed.len());
    assert!(failed.is_empty(), "PARTFS_CRASH_SEED={seed}: {failed:#?}");
}
