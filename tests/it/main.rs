//! The one integration-test binary. Every file below `tests/it` is part of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![expect(unreachable_pub, reason = "a test binary has no other crate to show anything to")]

mod cli;
mod conformance;
mod crash;
mod faults;
mod fs;
mod layering;
mod links;
mod logs;
mod model;
mod mount;
mod properties;
mod semantics;
mod sim;
mod world;
