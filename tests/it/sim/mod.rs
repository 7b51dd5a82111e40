//! The write pipeline over a bucket that goes wrong, in virtual time: one seed makes one plan of what files
//! are written, and of what fails, stalls, comes twice or too late. Hours pass in milliseconds.
//!
//! Every other seed has a journal, and a daemon that is killed and begins anew while what it had asked for is still
//! on its way.
//!
//! - `plan`: a seed as data. `files`: carries out what is planned for one file. `oracle`: what the bucket may
//!   hold at any moment. `records`: what is written down of uploads. `resumed`: what goes over the wire again.
//!   `harness`: one seed from beginning to end. `watchdog`: names a seed that has no end.
//!
//! All runs on one thread, file I/O, hashes and bodies from files too (`partfs::blocking` does that on such a
//! runtime; `FaultStore::with_bodies_in_place`), and a daemon dies with its runtime. So a seed makes the same events each
//! time.

mod files;
mod harness;
mod oracle;
mod plan;
mod records;
mod resumed;
mod watchdog;

use harness::Outcome;
use plan::Plan;
use watchdog::Watchdog;

/// Seeds of the usual run, from 0 on.
const SEEDS: u64 = 500;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?;
    Some(text.to_str().and_then(|text| text.parse().ok()).expect("a number in the environment"))
}

/// Runs a seed; a failure says how to see it again.
fn run(seed: u64) -> Outcome {
    let _watchdog = Watchdog::over(replay(seed));
    match harness::run(&Plan::of(seed)) {
        Ok(outcome) => outcome,
        Err(failure) => panic!("{failure}\n{}", replay(seed)),
    }
}

fn run_without_journal(seed: u64) {
    let _watchdog = Watchdog::over(format!("seed {seed} without a journal"));
    harness::run(&Plan::without_journal(seed)).expect("the seed keeps the promises");
}

fn replay(seed: u64) -> String {
    let command = format!("PARTFS_SIM_SEED={seed} cargo test --test it sim::one_seed");
    format!("seed {seed}; again, with everything that happened: {command} -- --nocapture")
}

/// A run shows something only if it went wrong often, and in every way, and well often, too.
fn check_reach(total: &Outcome) {
    let Outcome { commits, failed, reopened, late, compared, deaths, resumed_parts, .. } = total;
    assert!(
        [commits, failed, reopened, late, compared, deaths, resumed_parts]
            .iter()
            .all(|count| **count > 0),
        "something never happened: {total:?}"
    );
    let kinds = ["Fails", "Slow", "Twice", "Echo", "Wrong", "Aborted"];
    for kind in kinds {
        assert!(total.faults.get(kind).is_some_and(|count| *count > 0), "no {kind}: {total:?}");
    }
}

#[test]
fn any_seed_keeps_the_promises() {
    let mut total = Outcome::default();
    if number("PARTFS_SIM_SEED").is_some() {
        return;
    }
    let first = number("PARTFS_SIM_FIRST").unwrap_or(0);
    let count = number("PARTFS_SIM_SEEDS").unwrap_or(SEEDS);
    for seed in first..first + count {
        total += run(seed);
    }
    let fresh = getrandom_seed();
    eprintln!("a fresh seed: {fresh}");
    total += run(fresh);
    eprintln!("{} seeds: {total:?}", count + 1);
    if count >= SEEDS {
        check_reach(&total);
    }
}

/// Ran for ever: a gap over the end of the first part of an appendable object, which was published again and again.
#[test]
fn seed_602233_ends() {
    run_without_journal(602_233);
}

/// Were said to be wrong. Somebody else replaced what an abandoned commit had stored before it was answered; a late
/// Complete whose abort had failed, too, replaced what the next writer was opened over.
#[test]
fn seeds_in_which_others_were_at_the_object_keep_the_promises() {
    for seed in [604_104, 604_403] {
        run_without_journal(seed);
    }
}

/// Shows what happens with `PARTFS_SIM_SEED`, if that is set.
#[test]
fn one_seed() {
    let Some(seed) = number("PARTFS_SIM_SEED") else { return };
    let _watchdog = Watchdog::over(replay(seed));
    let plan = Plan::of(seed);
    let (events, outcome) = harness::run_logged(&plan);
    println!("{plan:#?}");
    events.iter().for_each(|event| println!("{event}"));
    println!("{outcome:?}");
    outcome.expect("the seed keeps the promises");
}

#[test]
fn a_seed_makes_the_same_events_each_time() {
    for seed in (0..60).chain([getrandom_seed()]) {
        let _watchdog = Watchdog::over(replay(seed));
        let plan = Plan::of(seed);
        let (first, _) = harness::run_logged(&plan);
        let (second, _) = harness::run_logged(&plan);
        assert!(first.len() > 2, "seed {seed}: {} events", first.len());
        for (at, (one, other)) in first.iter().zip(&second).enumerate() {
            assert_eq!(one, other, "seed {seed}, event {at}");
        }
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

fn getrandom_seed() -> u64 {
    let hasher = std::hash::RandomState::new();
    std::hash::BuildHasher::hash_one(&hasher, 0)
}
