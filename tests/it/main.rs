//! The one integration-test binary. Every file below `tests/it` is part of it.

mod cli;
mod conformance;
mod fs;
mod layering;
mod mount;
mod world;
