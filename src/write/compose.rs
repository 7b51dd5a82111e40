//! How content that rests on objects becomes parts: what is copied on the server and what is sent. Pure.
//!
//! Services want every part but the last to have a smallest size, at most so many parts, and numbers
//! without gaps. So a change that is smaller than a part takes bytes of its neighbours along, and
//! stretches that are too short for a part are sent, too. Where the parts would be too many (an object near
//! the service's largest size, or changes all over it), the content is cut by an even grid instead, and
//! a cell is copied when it comes from one stretch of one object.

use std::ops::Range;

use crate::store::{ByteRange, Limits};
use crate::write::extents::{Extents, Place};
use crate::write::plan::Plan;

/// Copies are cut to this many bytes where that is allowed, so that they run in parallel.
const COPY_BYTES: u64 = 1 << 30;

/// One part, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A range of an object, copied on the server.
    Copy {
        /// Index of the object in the file's sources.
        source: usize,
        /// Which of its bytes.
        range: Range<u64>,
    },
    /// A range of the content, sent.
    Data(Range<u64>),
}

impl Piece {
    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        let (Self::Copy { range, .. } | Self::Data(range)) = self;
        range.end - range.start
    }
}

/// A stretch that is either copied from one place or sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    len: u64,
    /// Object and offset in it; `None`: sent.
    from: Option<(usize, u64)>,
}

/// The parts of an object with this content. `None` when the service can hold no object so large.
/// `source_bytes` tells how large a source is: of one that is too small for it nothing is copied.
///
/// Together they are the content, byte by byte. All but the last have at least the service's smallest
/// part, none more than its largest, and there are not more than it takes. Empty content has no parts.
pub(super) fn pieces(
    extents: &Extents,
    source_bytes: impl Fn(usize) -> u64,
    plan: &Plan,
    limits: &Limits,
) -> Option<Vec<Piece>> {
    let even_bytes = plan.part_bytes_for(extents.size())?;
    let runs = runs(extents, |source| source_bytes(source) >= limits.range_copy_min_source_bytes);
    let sizes = Sizes::new(plan, limits, &runs);
    let pieces = cut(&widen(&runs, &sizes), &sizes);
    let legal = |piece: &Piece| match piece {
        Piece::Copy { .. } => piece.len() <= sizes.copy_max,
        Piece::Data(_) => piece.len() <= sizes.part_max,
    };
    if pieces.len() as u64 <= sizes.parts_max && pieces.iter().all(legal) {
        return Some(pieces);
    }
    Some(grid(&runs, even_bytes, &sizes))
}

/// The parts that copy a whole object of `size` bytes, at least a smallest part. One part where the
/// service copies no ranges of an object so small.
pub(super) fn copies(size: u64, plan: &Plan, limits: &Limits) -> Vec<Range<u64>> {
    if size < limits.range_copy_min_source_bytes {
        return std::iter::once(0..size).collect();
    }
    let sizes = Sizes::new(plan, limits, &[]);
    even_ranges(size, sizes.copy, sizes.part_min).collect()
}

/// The range that a request to copy it names, of a source of `source_bytes`: an object of which no ranges
/// are copied can be copied whole all the same, without naming one.
pub(super) fn named(range: ByteRange, source_bytes: u64, limits: &Limits) -> Option<ByteRange> {
    let small = source_bytes < limits.range_copy_min_source_bytes;
    (!small || range.len() < source_bytes).then_some(range)
}

/// The sizes that parts may have, in bytes.
#[derive(Debug)]
struct Sizes {
    part_min: u64,
    part_max: u64,
    parts_max: u64,
    /// The largest part that can be copied, and the usual one.
    copy_max: u64,
    copy: u64,
    /// The usual part that is sent.
    data: u64,
}

impl Sizes {
    fn new(plan: &Plan, limits: &Limits, runs: &[Run]) -> Self {
        let part_max = limits.part_max_bytes.max(1);
        let part_min = plan.part_min_bytes();
        let parts_max = plan.parts_max();
        // Half of the numbers are enough for what is sent.
        let sent: u64 = runs.iter().filter(|run| run.from.is_none()).map(|run| run.len).sum();
        let even = sent.div_ceil((parts_max / 2).max(1));
        let copy_max = part_max.min(limits.copy_bytes).max(1);
        Self {
            part_min,
            part_max,
            parts_max,
            copy_max,
            copy: copy_max.min(COPY_BYTES.max(part_min)),
            data: plan.first_part_bytes().max(even).clamp(part_min, part_max),
        }
    }
}

/// The content as runs, copied of the sources that can be; neighbours that go together are one.
fn runs(extents: &Extents, can_copy: impl Fn(usize) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for extent in extents.iter() {
        let from = match extent.place {
            Place::Remote { source, at, .. } if can_copy(source) => Some((source, at)),
            Place::Remote { .. } | Place::Staged | Place::Hole => None,
        };
        push(&mut runs, Run { len: extent.range.end - extent.range.start, from });
    }
    runs
}

/// Adds a run at the end, to the last one where they go together.
fn push(runs: &mut Vec<Run>, run: Run) {
    if run.len == 0 {
        return;
    }
    if let Some(last) = runs.last_mut() {
        let follows = match (last.from, run.from) {
            (Some((source, at)), Some(next)) => (source, at + last.len) == next,
            (None, None) => true,
            _ => false,
        };
        if follows {
            last.len += run.len;
            return;
        }
    }
    runs.push(run);
}

/// Makes every run but the last long enough for a part: short copies are sent, short changes take what
/// follows along.
fn widen(runs: &[Run], sizes: &Sizes) -> Vec<Run> {
    let mut wide: Vec<Run> = Vec::new();
    for run in runs {
        let mut run = *run;
        if let Some(before) = wide.last_mut()
            && before.from.is_none()
            && before.len < sizes.part_min
        {
            // What is left of a copy must be worth a part of its own.
            let missing = sizes.part_min - before.len;
            let take = if run.len < missing + sizes.part_min { run.len } else { missing };
            before.len += take;
            run.len -= take;
            run.from = run.from.map(|(source, at)| (source, at + take));
        }
        // Also the last one, which might be short: so few bytes can as well be sent.
        if run.len < sizes.part_min {
            run.from = None;
        }
        push(&mut wide, run);
    }
    wide
}

fn cut(runs: &[Run], sizes: &Sizes) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut offset = 0;
    for run in runs {
        let most = if run.from.is_some() { sizes.copy } else { sizes.data };
        for range in even_ranges(run.len, most, sizes.part_min) {
            pieces.push(match run.from {
                Some((source, at)) => {
                    Piece::Copy { source, range: at + range.start..at + range.end }
                }
                None => Piece::Data(offset + range.start..offset + range.end),
            });
        }
        offset += run.len;
    }
    pieces
}

/// Cuts `len` bytes into ranges of about the same size, at most `most` each where the smallest part
/// allows it, and none below that, unless `len` itself is.
fn even_ranges(len: u64, most: u64, part_min: u64) -> impl Iterator<Item = Range<u64>> {
    let count = len.div_ceil(most).min(len / part_min.max(1)).max(1);
    let (each, longer) = (len / count, len % count);
    let start = move |index: u64| index * each + index.min(longer);
    (0..count).map(move |index| start(index)..start(index + 1)).filter(|range| !range.is_empty())
}

/// Cells of `even_bytes`, copied where one run has all of it; neighbours that are copied from one run go
/// together as far as a part may be large.
fn grid(runs: &[Run], even_bytes: u64, sizes: &Sizes) -> Vec<Piece> {
    let size: u64 = runs.iter().map(|run| run.len).sum();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut runs = runs.iter();
    let (mut run, mut run_start) = (runs.next(), 0);
    let mut offset = 0;
    while offset < size {
        let end = size.min(offset + even_bytes);
        while let Some(now) = run.filter(|now| run_start + now.len <= offset) {
            run_start += now.len;
            run = runs.next();
        }
        let copied = run
            .filter(|now| end <= run_start + now.len)
            .and_then(|now| now.from)
            .filter(|_| end - offset <= sizes.copy_max)
            .map(|(source, at)| (source, at + (offset - run_start)));
        match copied {
            None => pieces.push(Piece::Data(offset..end)),
            Some((source, at)) => {
                let len = end - offset;
                match pieces.last_mut() {
                    Some(Piece::Copy { source: before, range })
                        if *before == source
                            && range.end == at
                            && range.end - range.start + len <= sizes.copy_max =>
                    {
                        range.end += len;
                    }
                    _ => pieces.push(Piece::Copy { source, range: at..at + len }),
                }
            }
        }
        offset = end;
    }
    pieces
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
