//! One piece of work on a mount, and what it cost.

use std::time::Duration;

use super::Outcome;
use super::mock::Mock;
use super::mounted::Mounted;
use super::process::{Cpu, forget_peak, peak_bytes};

/// A piece of work and its cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watched {
    /// How long it took.
    pub(crate) took: Duration,
    /// What the daemon used for it.
    pub(crate) daemon: Cpu,
    /// What the mock used for it, on the same processors.
    pub(crate) mock: Cpu,
    /// Most memory that the daemon held meanwhile.
    pub(crate) peak_bytes: u64,
}

impl Watched {
    /// Does the work, which says itself how long it took.
    pub(crate) fn new(
        mounted: &Mounted,
        mock: &Mock,
        work: impl FnOnce() -> Outcome<Duration>,
    ) -> Outcome<Self> {
        forget_peak(mounted.pid());
        let before = (Cpu::of(mounted.pid())?, Cpu::of(mock.pid())?);
        let took = work()?;
        Ok(Self {
            took,
            daemon: Cpu::of(mounted.pid())? - before.0,
            mock: Cpu::of(mock.pid())? - before.1,
            peak_bytes: peak_bytes(mounted.pid())?,
        })
    }
}
