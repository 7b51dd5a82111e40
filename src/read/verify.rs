//! The check of a whole object against the CRC-64 that the service states: folds the checksums of
//! the pieces in the order of the file, whichever order they arrive in. Pure.

use std::collections::BTreeMap;

use crate::store::{ByteRange, Checksum};

/// Pieces that may wait for the ones before them; far more than are ever in flight. A reader that
/// leaves more behind does not read in order, and there is nothing to check.
const MAX_WAITING: usize = 256;

/// What is known after one more piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Pieces are missing, or the object cannot be checked.
    Open,
    /// All bytes were seen and they are the object's.
    Good,
    /// All bytes were seen and they are not the object's.
    Bad,
}

/// The folding of one file.
#[derive(Debug)]
pub(crate) struct WholeCheck {
    size: u64,
    position: u64,
    folded: Option<Checksum>,
    /// By start: end and checksum.
    waiting: BTreeMap<u64, (u64, Checksum)>,
    over: bool,
}

impl WholeCheck {
    pub(crate) fn new(size: u64) -> Self {
        Self { size, position: 0, folded: None, waiting: BTreeMap::new(), over: false }
    }

    /// Takes in a piece that was fetched. The first piece of the file starts over, so that a file
    /// that was looked into before it is read through is checked as well.
    pub(crate) fn add(&mut self, range: ByteRange, piece: Checksum, whole: Checksum) -> Verdict {
        if self.over || (range.start() != 0 && range.start() < self.position) {
            return Verdict::Open;
        }
        if range.start() == 0 && self.position > 0 {
            self.position = 0;
            self.folded = None;
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.clear();
        }
        self.waiting.insert(range.start(), (range.end(), piece));
        while let Some((end, next)) = self.waiting.remove(&self.position) {
            let len = end - self.position;
            let folded = match self.folded {
                None => Some(next),
                Some(before) => before.followed_by(next, len),
            };
            if folded.is_none() {
                self.over = true; // two kinds of checksum: nothing to compare
                return Verdict::Open;
            }
            self.folded = folded;
            self.position = end;
        }
        match self.folded {
            Some(folded) if self.position == self.size => {
                self.over = true;
                if folded == whole { Verdict::Good } else { Verdict::Bad }
            }
            _ => Verdict::Open,
        }
    }

    /// The starts of the pieces that must still arrive before `until` for the check to be complete
    /// up to there, if all of them are on their way: `in_flight` gives the end of a piece in flight
    /// by its start. Empty when the check is over or cannot succeed.
    pub(crate) fn missing_before(
        &self,
        until: u64,
        in_flight: impl Fn(u64) -> Option<u64>,
    ) -> Vec<u64> {
        let mut missing = Vec::new();
        let mut at = self.position;
        while !self.over && at < until {
            if let Some(&(end, _)) = self.waiting.get(&at) {
                at = end;
            } else if let Some(end) = in_flight(at) {
                missing.push(at);
                at = end;
            } else {
                return Vec::new();
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ChecksumKind::Crc64Xz;

    const DATA: &[u8] = b"hello world";

    fn add(check: &mut WholeCheck, start: usize, end: usize) -> Verdict {
        let range = ByteRange::new(start as u64, end as u64).unwrap();
        check.add(range, Crc64Xz.of(&DATA[start..end]), Crc64Xz.of(DATA))
    }

    #[test]
    fn pieces_in_any_order_make_the_whole() {
        let mut check = WholeCheck::new(11);
        assert_eq!(add(&mut check, 6, 11), Verdict::Open);
        assert_eq!(add(&mut check, 0, 3), Verdict::Open);
        assert_eq!(add(&mut check, 3, 6), Verdict::Good);
    }

    #[test]
    fn a_changed_piece_is_found() {
        let mut check = WholeCheck::new(11);
        add(&mut check, 0, 6);
        let range = ByteRange::new(6, 11).unwrap();
        assert_eq!(check.add(range, Crc64Xz.of(b"wOrld"), Crc64Xz.of(DATA)), Verdict::Bad);
    }

    #[test]
    fn a_gap_leaves_it_open_and_reading_from_the_start_begins_anew() {
        let mut check = WholeCheck::new(11);
        add(&mut check, 0, 3);
        assert_eq!(add(&mut check, 5, 11), Verdict::Open);
        assert_eq!(check.missing_before(11, |_| None), Vec::<u64>::new());
        assert_eq!(add(&mut check, 0, 2), Verdict::Open);
        assert_eq!(add(&mut check, 2, 5), Verdict::Good);
    }

    #[test]
    fn names_the_pieces_it_still_needs() {
        let mut check = WholeCheck::new(11);
        add(&mut check, 0, 2);
        add(&mut check, 4, 6);
        let in_flight = |start| match start {
            2 => Some(4),
            6 => Some(9),
            _ => None,
        };
        assert_eq!(check.missing_before(9, in_flight), vec![2, 6]);
        assert_eq!(check.missing_before(11, in_flight), Vec::<u64>::new(), "9 is not on its way");
    }
}
