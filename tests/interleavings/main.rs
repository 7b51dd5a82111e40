//! The structures that many tasks share by means of their own, under a scheduler that decides at each of their
//! calls who goes on ([shuttle](https://docs.rs/shuttle)): schedules by chance, and such in which few threads are
//! stopped at the worst place (PCT). The files are those of `src`, built once more over the [`sync`] of this folder;
//! so nothing in them knows of it, and no second build of the program is needed.
//!
//! `PARTFS_SCHEDULES` says how many schedules of each kind, `PARTFS_SCHEDULE_SEED` from which seed. A failure prints
//! its schedule and how to see it again.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![expect(unreachable_pub, reason = "the files are those of a library")]
#![expect(dead_code, reason = "of which some is not used here")]

#[path = "../../src/blocking.rs"]
mod blocking;
#[path = "../../src/budget.rs"]
mod budget;
mod budget_tests;
mod explore;
mod fs;
mod sync;
mod write;
