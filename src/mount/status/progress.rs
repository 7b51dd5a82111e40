//! How fast files get into the bucket, and how long the rest takes. Pure: looks go in, lines come out.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::super::human::{printable, size, time};
use super::table::word;
use crate::fs::control::status::{FileState, FileStatus};

/// How long a rate remembers: long enough not to jump with each part, short enough to show a change of the line.
const MEMORY: Duration = Duration::from_secs(5);

/// One file, as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Path in the mount, without control characters.
    pub(crate) name: String,
    /// Bytes that the service has confirmed.
    pub(crate) stored: u64,
    /// Bytes that it will have, as far as it is known.
    pub(crate) total: u64,
    /// The state, in a word.
    word: &'static str,
    /// Parts confirmed, and parts handed over.
    parts: (u64, u64),
    /// Bytes a second.
    rate: Option<f64>,
    /// Until all bytes are stored.
    left: Option<Duration>,
}

impl fmt::Display for Line {
    /// What stands behind the bar.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", size(self.stored), size(self.total))?;
        if let (confirmed, 1..) = self.parts {
            write!(f, ", {confirmed}/{} parts", self.parts.1)?;
        }
        if let Some(rate) = self.rate {
            // Rates are far below 2^64, and never negative.
            write!(f, ", {}/s", size(rate as u64))?;
        }
        match self.left {
            Some(left) => write!(f, ", {} left", time(left)),
            None => write!(f, ", {}", self.word),
        }
    }
}

/// What was seen of one file.
#[derive(Debug)]
struct Seen {
    at: Duration,
    stored: u64,
    rate: Option<f64>,
    total: Option<u64>,
}

/// All files that were seen at the last look.
#[derive(Debug, Default)]
pub(crate) struct Progress(BTreeMap<String, Seen>);

impl Progress {
    /// A line for each file that lacks bytes, and the names of those that were here at the last look and lack
    /// none now. `at`: the time of the look. `guess` tells the final size of a file, where it can.
    pub(crate) fn look(
        &mut self,
        files: &[FileStatus],
        at: Duration,
        guess: impl Fn(&FileStatus) -> Option<u64>,
    ) -> (Vec<Line>, Vec<String>) {
        let mut now = BTreeMap::new();
        let mut lines = Vec::new();
        for file in files.iter().filter(|file| file.state != FileState::Attributes) {
            let before = self.0.remove(&file.path);
            let stored = file.bytes_confirmed;
            let rate = rate(before.as_ref(), at, stored);
            // A program that has read all of its source shows no size any more: the last guess stands.
            let guessed = guess(file).or_else(|| before.and_then(|before| before.total));
            let known = guessed.filter(|_| file.state == FileState::Open);
            let total = known.unwrap_or_default().max(file.size);
            // Below a byte a second nothing can be said.
            let fast = rate.filter(|rate| *rate >= 1.0);
            // Nor of a file that goes on growing, nobody knows how far.
            let ends = known.is_some() || file.state != FileState::Open;
            let left = fast.filter(|_| ends);
            let left = left.map(|rate| (total.saturating_sub(stored)) as f64 / rate);
            lines.push(Line {
                name: printable(&file.path),
                stored,
                total,
                word: word(file.state),
                parts: (file.parts_confirmed, file.parts),
                rate: fast,
                left: left.and_then(|left| Duration::try_from_secs_f64(left.ceil()).ok()),
            });
            now.insert(file.path.clone(), Seen { at, stored, rate, total: guessed });
        }
        // Their bytes are stored, but not all that belongs to them.
        files.iter().for_each(|file| {
            self.0.remove(&file.path);
        });
        let gone = std::mem::replace(&mut self.0, now).into_keys().collect();
        (lines, gone)
    }
}

/// Bytes a second: of the time between two looks, and the longer ago the less of what was before.
fn rate(before: Option<&Seen>, at: Duration, stored: u64) -> Option<f64> {
    let before = before?;
    let passed = at.saturating_sub(before.at).as_secs_f64();
    // Less than before: an upload began anew.
    let more = stored.checked_sub(before.stored).map(|more| more as f64);
    let (Some(more), true) = (more, passed > 0.0) else { return before.rate };
    let weight = 1.0 - (-passed / MEMORY.as_secs_f64()).exp();
    let now = more / passed;
    match before.rate {
        Some(rate) => Some(rate + (now - rate) * weight),
        None if more > 0.0 => Some(now),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64, stored: u64) -> FileStatus {
        FileStatus {
            path: path.into(),
            state: FileState::Open,
            size,
            parts: 4,
            bytes: size,
            parts_confirmed: 1,
            bytes_confirmed: stored,
            writers: Vec::new(),
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_steady_upload_tells_its_rate_and_the_time_left() {
        let mut progress = Progress::default();
        let mut look = |at: u64, total| {
            let (lines, gone) =
                progress
                    .look(&[file("f", at * (20 << 20), at * (10 << 20))], seconds(at), |_| total);
            assert!(gone.is_empty());
            lines[0].to_string()
        };
        assert_eq!(look(1, None), "10.0 MiB / 20.0 MiB, 1/4 parts, open");
        assert_eq!(look(2, None), "20.0 MiB / 40.0 MiB, 1/4 parts, 10.0 MiB/s, open");
        let whole = Some(1000 << 20);
        assert_eq!(look(3, whole), "30.0 MiB / 1000.0 MiB, 1/4 parts, 10.0 MiB/s, 1 min 37 s left");
        assert_eq!(
            look(4, None),
            "40.0 MiB / 1000.0 MiB, 1/4 parts, 10.0 MiB/s, 1 min 36 s left",
            "what was guessed once stands"
        );
    }

    #[test]
    fn a_rate_follows_what_happens() {
        let mut progress = Progress::default();
        let (mut stored, mut told) = (0, Vec::new());
        for at in 0..60 {
            stored += if at < 20 { 100 } else { 10 };
            let (lines, _) = progress.look(&[file("f", 1 << 30, stored)], seconds(at), |_| None);
            told.push(lines[0].rate.unwrap_or_default());
        }
        assert!((told[19] - 100.0).abs() < 1e-6);
        assert!(told[22] < 60.0 && told[22] > 20.0, "{}", told[22]);
        assert!((told[59] - 10.0).abs() < 0.1);
    }

    #[test]
    fn what_has_stopped_or_begun_anew_promises_nothing() {
        let mut progress = Progress::default();
        let mut look = |at, stored| {
            let closing = FileStatus { state: FileState::Closing, ..file("f", 1000, stored) };
            let (lines, _) = progress.look(&[closing], seconds(at), |_| None);
            lines[0].clone()
        };
        for at in 0..3 {
            assert_eq!((look(at, 500).rate, look(at, 500).left), (None, None));
        }
        assert!(look(4, 900).left.is_some());
        assert!(look(5, 0).left.is_some(), "the rate is remembered");
        for at in 6..100 {
            look(at, 0);
        }
        assert_eq!(look(100, 0).left, None);
    }

    #[test]
    fn files_that_are_stored_are_named_once() {
        let mut progress = Progress::default();
        let none = |_: &FileStatus| None;
        progress.look(&[file("a", 5, 0), file("b", 5, 0)], seconds(0), none);
        let attributes = FileStatus { state: FileState::Attributes, ..file("b", 5, 0) };
        let (lines, gone) = progress.look(&[attributes], seconds(1), none);
        assert!(lines.is_empty());
        assert_eq!(gone, ["a"]);
        assert_eq!(progress.look(&[], seconds(2), none).1, [""; 0]);
    }
}
