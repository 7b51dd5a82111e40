//! Runs a test under many schedules.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Schedules of each kind in the usual run.
const SCHEDULES: usize = 300;

/// How many changes of priority PCT makes in a schedule: most faults of order need three at most.
const DEPTH: usize = 3;

thread_local! {
    /// Whether a scheduler decides on this thread. The unit tests of the same files run without.
    static EXPLORING: Cell<bool> = const { Cell::new(false) };
}

/// Whether a scheduler decides.
pub fn is_exploring() -> bool {
    EXPLORING.get()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?;
    Some(text.to_str().and_then(|text| text.parse().ok()).expect("a number in the environment"))
}

/// Runs `test` under schedules by chance and by PCT. All threads waiting for each other is a failure, too.
pub fn explore(test: impl Fn() + Send + Sync + Copy + 'static) {
    let schedules = number("PARTFS_SCHEDULES").map_or(SCHEDULES, |count| count as usize);
    let seed = number("PARTFS_SCHEDULE_SEED").unwrap_or_else(|| {
        #[expect(clippy::disallowed_methods, reason = "only a seed, which is printed")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_nanos() as u64)
    });
    eprintln!("again with PARTFS_SCHEDULES={schedules} PARTFS_SCHEDULE_SEED={seed}");
    run(RandomScheduler::new_from_seed(seed, schedules), test);
    run(PctScheduler::new_from_seed(seed, DEPTH, schedules), test);
}

fn run(scheduler: impl Scheduler + 'static, test: impl Fn() + Send + Sync + 'static) {
    EXPLORING.set(true);
    Runner::new(scheduler, Config::new()).run(test);
    EXPLORING.set(false);
}
