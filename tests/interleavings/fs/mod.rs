//! Of `src/fs`: the gate of renamed directories.

#[path = "../../../src/fs/gate.rs"]
mod gate;
mod ordered;

mod gate_tests;
