//! Sequential or random, and how far to read ahead: decided from nothing but the reads seen so far.
//! Pure: no clock, no memory, no store.
//!
//! The kernel's read-ahead sends several requests of 128 KiB to 1 MiB at a time and they arrive in
//! any order, so "sequential" means that reads stay near the highest offset seen and that, over
//! some distance, most bytes are read.

use std::time::Duration;

/// A request that takes longer was one of too many for the link: whoever waits for its first byte
/// waits for all that were sent with it.
const SLOW: Duration = Duration::from_secs(2);
/// After requests that took no longer, more may be in flight.
const QUICK: Duration = Duration::from_secs(1);

/// Sizes by which reads are planned, in bytes; `1 ≤ first ≤ request ≤ window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// What the first read of a file fetches at least; also the smallest sequential request.
    pub(crate) first: u64,
    /// Largest single request.
    pub(crate) request: u64,
    /// Furthest that is read ahead.
    pub(crate) window: u64,
}

impl Sizes {
    /// How far out of order reads may arrive (2 MiB with the usual 256 KiB): the kernel has at most
    /// a dozen read-ahead requests of a file under way.
    pub(crate) fn reorder(self) -> u64 {
        self.first.saturating_mul(8)
    }

    /// Small random reads are rounded outward to blocks of this (64 KiB with the usual 256 KiB): on
    /// a link of 20 ms it costs nothing to bring the neighbours along.
    pub(crate) fn block(self) -> u64 {
        (self.first / 4).max(1)
    }
}

/// What to fetch for one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Only `from..to`, which covers the read.
    Random {
        /// First byte.
        from: u64,
        /// One past the last byte.
        to: u64,
    },
    /// The read, then `high..ahead_to` in requests of `request` bytes.
    Sequential {
        /// Nothing below this is likely to be read again.
        keep_from: u64,
        /// Highest end of a read so far.
        high: u64,
        /// Read ahead up to here, at most the end of the file.
        ahead_to: u64,
        /// Size of one request.
        request: u64,
    },
}

/// Reads that belong together.
#[derive(Debug)]
struct Run {
    start: u64,
    high: u64,
    /// Bytes asked for, in whatever order.
    seen: u64,
    reads: u64,
    /// Whether it is known to go forward.
    forward: bool,
}

/// The reads of one file so far.
#[derive(Debug)]
pub(crate) struct Pattern {
    sizes: Sizes,
    run: Option<Run>,
    /// Most that the link carries in good time, as far as is known.
    link_bytes: u64,
    /// Counts the times `link_bytes` was lowered.
    lowered: u64,
}

impl Pattern {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Self { sizes, run: None, link_bytes: sizes.window, lowered: 0 }
    }

    /// What a request remembers from its start for [`took`](Self::took).
    pub(crate) fn lowered(&self) -> u64 {
        self.lowered
    }

    /// A request of `bytes` took this long. On a slow link the window shrinks, once for all the
    /// requests that were in flight together, so that a read never waits for minutes behind data
    /// that is wanted later; on a quick one it grows back.
    pub(crate) fn took(&mut self, time: Duration, bytes: u64, lowered_at_start: u64) {
        if time > SLOW && lowered_at_start == self.lowered {
            let window = self.run.as_ref().map_or(self.sizes.first, |run| run.window(self.sizes));
            self.link_bytes = (window.min(self.link_bytes) / 2).max(self.sizes.first);
            self.lowered += 1;
        } else if time <= QUICK {
            self.link_bytes = self.link_bytes.saturating_add(bytes).min(self.sizes.window);
        }
    }

    /// Takes note of a read of `from..to` (not empty, inside the file) and says what to fetch.
    /// `most_ahead` lowers the window when memory is short.
    pub(crate) fn observe(&mut self, from: u64, to: u64, size: u64, most_ahead: u64) -> Plan {
        let sizes = self.sizes;
        let mut run = match self.run.take().filter(|run| run.goes_on_with(from, to, sizes)) {
            // A reader that begins at the start of a file mostly reads on.
            None => Run { start: from, high: to, seen: 0, reads: 0, forward: from == 0 },
            Some(mut run) => {
                run.forward |= to > run.high;
                run
            }
        };
        run.start = run.start.min(from);
        run.high = run.high.max(to);
        run.seen = run.seen.saturating_add(to - from);
        run.reads += 1;
        let most_ahead = most_ahead.min(self.link_bytes);
        let plan = if run.forward {
            run.ahead(sizes, size, most_ahead)
        } else {
            alone(from, to, sizes, size)
        };
        self.run = Some(run);
        plan
    }

    /// A request failed: begin again with a small window.
    pub(crate) fn slow_down(&mut self) {
        if let Some(run) = &mut self.run {
            run.start = run.high;
            run.seen = 0;
        }
    }
}

impl Run {
    fn goes_on_with(&self, from: u64, to: u64, sizes: Sizes) -> bool {
        let len = to - from;
        let (back, forth) = if self.forward {
            (sizes.reorder(), sizes.reorder().max(self.window(sizes)))
        } else {
            // Two reads make a direction only when they are neighbours.
            let near = len.saturating_mul(2).min(sizes.reorder());
            (near, near)
        };
        let near = to.saturating_add(back) >= self.high && from <= self.high.saturating_add(forth);
        // Leaps that leave most bytes out are not sequential, however small each leap is.
        let distance = self.high.max(to) - self.start.min(from);
        let dense = distance <= (self.seen + len).saturating_mul(2).saturating_add(sizes.reorder());
        near && dense
    }

    /// Twice what was read so far: the window doubles each time it was read through.
    fn window(&self, sizes: Sizes) -> u64 {
        self.seen.saturating_mul(2).clamp(sizes.first, sizes.window)
    }

    fn ahead(&self, sizes: Sizes, size: u64, most_ahead: u64) -> Plan {
        let window = self.window(sizes).min(most_ahead.max(sizes.first));
        let ahead_to = if self.reads == 1 {
            self.high.max(self.start.saturating_add(sizes.first))
        } else {
            self.high.saturating_add(window)
        };
        // A quarter of the window each: four requests in flight, and still few for large windows.
        let quarter = (window / 4).max(1);
        let request = (1 << quarter.ilog2()).clamp(sizes.first, sizes.request);
        Plan::Sequential {
            keep_from: self.high.saturating_sub(sizes.reorder()),
            high: self.high,
            ahead_to: ahead_to.min(size),
            request,
        }
    }
}

/// The plan of a read that has no neighbours.
fn alone(from: u64, to: u64, sizes: Sizes, size: u64) -> Plan {
    let block = sizes.block();
    if to - from >= block {
        return Plan::Random { from, to };
    }
    let to = to.div_ceil(block).saturating_mul(block).min(size);
    Plan::Random { from: from - from % block, to }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
