//! Real mounts, driven by real programs; the bucket is looked into without the mount.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod commit_rule;
mod limits;
mod programs;
mod reads;
mod tree;
mod writes;
