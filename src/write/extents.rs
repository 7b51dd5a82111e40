//! What the content of a file consists of: stretches of objects, of the temporary file, and holes. Pure:
//! no I/O, no clock, no store.

use std::collections::BTreeMap;
use std::ops::Range;

/// Where a stretch of content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In an object.
    Remote {
        /// Which one, as an index into the list of the file's sources.
        source: usize,
        /// Offset in the object.
        at: u64,
        /// Whether the temporary file has the same bytes, at the offset they have in the content.
        local: bool,
    },
    /// In the temporary file, at the offset it has in the content.
    Staged,
    /// Nowhere: zeros that nobody wrote.
    Hole,
}

impl Place {
    /// The place `by` bytes further on.
    fn moved(self, by: u64) -> Self {
        match self {
            Self::Remote { source, at, local } => Self::Remote { source, at: at + by, local },
            other => other,
        }
    }

    /// Whether the temporary file can give the bytes.
    pub(super) fn is_local(self) -> bool {
        matches!(self, Self::Staged | Self::Remote { local: true, .. })
    }
}

/// A stretch of content in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extent {
    /// Offsets in the content; never empty.
    pub(super) range: Range<u64>,
    /// Where its first byte is; the others follow.
    pub(super) place: Place,
}

/// The whole content, without gaps: what was never set is a hole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extents {
    /// By first byte; each reaches to the next one, the last to `size`. The first begins at 0, and
    /// neighbours that could be one extent are one.
    starts: BTreeMap<u64, Place>,
    size: u64,
}

impl Extents {
    /// `size` bytes in one place.
    pub(super) fn whole(place: Place, size: u64) -> Self {
        let mut extents = Self::default();
        extents.set(0..size, place);
        extents
    }

    /// Length of the content in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Puts a range into a place; the content grows when the range ends behind it, with a hole in
    /// between if need be. An empty range changes nothing.
    pub(super) fn set(&mut self, range: Range<u64>, place: Place) {
        if range.is_empty() {
            return;
        }
        self.grow(range.end);
        self.split(range.start);
        self.split(range.end);
        let inside: Vec<u64> = self.starts.range(range.clone()).map(|(start, _)| *start).collect();
        for start in inside {
            self.starts.remove(&start);
        }
        self.starts.insert(range.start, place);
        self.join(range.end);
        self.join(range.start);
    }

    /// Cuts the content, or grows it by a hole.
    pub(super) fn resize(&mut self, size: u64) {
        if size >= self.size {
            self.grow(size);
            return;
        }
        self.starts.split_off(&size);
        self.size = size;
    }

    /// Says of every object byte inside `range` whether the temporary file has it too.
    pub(super) fn set_local(&mut self, range: Range<u64>, now: bool) {
        let extents: Vec<Extent> = self.within(range).collect();
        for Extent { range, place } in extents {
            if let Place::Remote { source, at, .. } = place {
                self.set(range, Place::Remote { source, at, local: now });
            }
        }
    }

    /// The extents of a range in order, cut at its borders and at the end of the content.
    pub(super) fn within(&self, range: Range<u64>) -> impl Iterator<Item = Extent> + '_ {
        let end = range.end.min(self.size);
        let first = self.starts.range(..=range.start).next_back().map_or(0, |(start, _)| *start);
        let from = if range.start < end { first } else { end };
        let mut starts = self.starts.range(from..end.max(from)).peekable();
        std::iter::from_fn(move || {
            let (start, place) = starts.next()?;
            let stop = starts.peek().map_or(end, |(next, _)| **next).min(end);
            let begin = (*start).max(range.start);
            Some(Extent { range: begin..stop, place: place.moved(begin - start) })
        })
    }

    /// All extents in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Extent> + '_ {
        self.within(0..self.size)
    }

    /// The first offset from `offset` on that is not in a hole; `None` behind the last one.
    pub(super) fn data_from(&self, offset: u64) -> Option<u64> {
        self.within(offset..self.size)
            .find(|extent| extent.place != Place::Hole)
            .map(|extent| extent.range.start)
    }

    /// The first offset from `offset` on that is in a hole; the end of the content is one. `None`
    /// when `offset` lies at the end or behind it.
    pub(super) fn hole_from(&self, offset: u64) -> Option<u64> {
        (offset < self.size).then(|| {
            self.within(offset..self.size)
                .find(|extent| extent.place == Place::Hole)
                .map_or(self.size, |extent| extent.range.start)
        })
    }

    fn grow(&mut self, size: u64) {
        if size > self.size {
            let end = std::mem::replace(&mut self.size, size);
            self.starts.insert(end, Place::Hole);
            self.join(end);
        }
    }

    /// Makes an extent begin at `offset`, when there is content at all.
    fn split(&mut self, offset: u64) {
        if offset >= self.size {
            return;
        }
        if let Some((start, place)) = self.starts.range(..=offset).next_back() {
            let place = place.moved(offset - start);
            self.starts.insert(offset, place);
        }
    }

    /// Joins the extent that begins at `offset` with the one before, if they go together.
    fn join(&mut self, offset: u64) {
        let Some(place) = self.starts.get(&offset).copied() else { return };
        let before = self.starts.range(..offset).next_back();
        if before.is_some_and(|(start, before)| before.moved(offset - start) == place) {
            self.starts.remove(&offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: u64 = 60;

    fn place() -> impl Strategy<Value = Place> {
        prop_oneof![
            Just(Place::Staged),
            Just(Place::Hole),
            (0usize..2, 0u64..5, any::<bool>()).prop_map(|(source, at, local)| Place::Remote {
                source,
                at,
                local
            }),
        ]
    }

    #[derive(Debug, Clone)]
    enum Op {
        Set(u64, u64, Place),
        Resize(u64),
        Local(u64, u64, bool),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..MOST, 0..MOST / 2, place()).prop_map(|(at, len, p)| Op::Set(at, len, p)),
            1 => (0..MOST).prop_map(Op::Resize),
            1 => (0..MOST, 0..MOST, any::<bool>()).prop_map(|(at, len, now)| Op::Local(at, len, now)),
        ]
    }

    fn apply(model: &mut Vec<Place>, op: &Op) {
        match *op {
            Op::Set(at, len, place) => {
                if len > 0 && model.len() < (at + len) as usize {
                    model.resize((at + len) as usize, Place::Hole);
                }
                for by in 0..len {
                    model[(at + by) as usize] = place.moved(by);
                }
            }
            Op::Resize(size) => model.resize(size as usize, Place::Hole),
            Op::Local(at, len, now) => {
                for byte in model.iter_mut().skip(at as usize).take(len as usize) {
                    if let Place::Remote { local, .. } = byte {
                        *local = now;
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn extents_say_of_every_byte_what_a_vector_says(
            ops in prop::collection::vec(op(), 0..40),
            (at, len) in (0..MOST, 0..MOST),
        ) {
            let (mut extents, mut model) = (Extents::default(), Vec::new());
            for op in &ops {
                match *op {
                    Op::Set(at, len, place) => extents.set(at..at + len, place),
                    Op::Resize(size) => extents.resize(size),
                    Op::Local(at, len, now) => extents.set_local(at..at + len, now),
                }
                apply(&mut model, op);
                prop_assert_eq!(extents.size(), model.len() as u64);
                let flat: Vec<Place> = extents.iter().flat_map(|extent| {
                    (0..extent.range.end - extent.range.start).map(move |by| extent.place.moved(by))
                }).collect();
                prop_assert_eq!(&flat, &model);
                let all: Vec<Extent> = extents.iter().collect();
                for pair in all.windows(2) {
                    let len = pair[0].range.end - pair[0].range.start;
                    prop_assert_eq!(pair[0].range.end, pair[1].range.start);
                    prop_assert_ne!(pair[0].place.moved(len), pair[1].place, "two that are one");
                }
            }
            let end = (at + len).min(model.len() as u64);
            let part: Vec<Place> = extents.within(at..at + len).flat_map(|extent| {
                assert!(extent.range.start < extent.range.end);
                (0..extent.range.end - extent.range.start).map(move |by| extent.place.moved(by))
            }).collect();
            let start = (at as usize).min(end as usize);
            prop_assert_eq!(part, &model[start..end as usize]);
            let from = |hole: bool| (at..model.len() as u64)
                .find(|offset| (model[*offset as usize] == Place::Hole) == hole);
            prop_assert_eq!(extents.data_from(at), from(false));
            let end_is_hole = (at < extents.size()).then_some(extents.size());
            prop_assert_eq!(extents.hole_from(at), from(true).or(end_is_hole));
        }
    }
}
