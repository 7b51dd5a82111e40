//! A file system without a kernel against a reference: whatever programs and other tools do, in whatever
//! order, both show the same tree, answer the same, and the bucket holds what the reference says.
//!
//! - `ops`: what can happen, as data. `reference`: what must come of it. `harness`: runs both and
//!   compares; `files`, `names` and `looks` are its parts. `paths`: which key is seen where.
//! - `regressions`: sequences that were wrong once, each by its name.

mod files;
mod harness;
mod looks;
mod names;
mod ops;
mod paths;
mod reference;
mod regressions;

use partfs::store::memory::SMALL_LIMITS;
use partfs::store::{AppendLimits, ChecksumKind, Limits};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use self::ops::Step;

/// How many sequences are run by each test, unless `PARTFS_MODEL_CASES` says otherwise.
const CASES: u32 = 2000;

fn cases() -> u32 {
    let set = std::env::var_os("PARTFS_MODEL_CASES");
    set.map_or(CASES, |text| {
        text.to_str().and_then(|text| text.parse().ok()).expect("PARTFS_MODEL_CASES is a number")
    })
}

/// The usual run is the same everywhere, so that a change is judged and not the luck of the day; a long one
/// looks elsewhere each time.
fn seed() -> RngSeed {
    match std::env::var_os("PARTFS_MODEL_CASES") {
        Some(_) => RngSeed::Random,
        None => RngSeed::Fixed(1),
    }
}

/// What the services can do (docs/DIALECTS.md), with parts and pages so small that a few bytes and names
/// are many.
fn services() -> [(&'static str, Limits); 4] {
    let append = Some(AppendLimits { call_bytes: 1 << 20, object_bytes: 1 << 20, copied: true });
    let small = Limits { part_min_bytes: 24, list_page: 3, ..SMALL_LIMITS };
    let cos = Limits { mixed_part_conditions: false, delete_batch: 2, ..small.clone() };
    let oss = Limits { key_bytes: 1023, metadata_bytes: 8192, copy_bytes: 150, ..small.clone() };
    let qingstor = Limits {
        first_part_number: 0,
        key_bytes: 1023,
        checksum: None,
        create_only: false,
        rename: true,
        append,
        ..small.clone()
    };
    let s3 =
        Limits { key_bytes: 1024, checksum: Some(ChecksumKind::Crc64Nvme), append: None, ..small };
    [("cos", cos), ("oss", oss), ("qingstor", qingstor), ("s3", s3)]
}

/// Runs one sequence; waiting costs no time.
fn check(steps: &[Step], limits: &Limits) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(harness::run(steps, limits))
}

/// Runs many; a failure is shown as a sequence that can be put into `regressions`.
fn explore(services: &[(&'static str, Limits)]) {
    // What was found is kept as a named regression, not as a seed.
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        rng_seed: seed(),
        ..Config::default()
    };
    let input = (ops::steps(), 0..services.len());
    let outcome = TestRunner::new(config).run(&input, |(steps, service)| {
        check(&steps, &services[service].1).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, (steps, service))) => {
            let steps: Vec<_> = steps.iter().map(|step| format!("    {step:?},")).collect();
            panic!("{reason}\non {}:\n{}", services[service].0, steps.join("\n"));
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

#[test]
fn any_sequence_agrees_with_the_reference() {
    explore(&[("memory", SMALL_LIMITS)]);
}

#[test]
fn any_sequence_agrees_with_the_reference_on_every_service() {
    explore(&services());
}
