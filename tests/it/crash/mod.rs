//! The daemon is killed at every place that matters, started again, and asked for everything that it had
//! confirmed. docs/CONTRIBUTING.md says how to run all of it.

mod manager;
mod panics;
mod place;
mod resume;
mod runs;
mod stopped;
mod supervised;
mod workloads;
