//! What is in a bucket, told from the bytes alone: each byte of a file is determined by its place and
//! version, so that old, new, mixed, shifted and lost bytes are told apart.

use crate::world::pattern;

/// Bytes that are told apart at once.
const CELL: usize = 64;

/// Every other place of a version, as a seed of its cell.
fn cell(version: u64, index: usize) -> Vec<u8> {
    pattern(version << 32 | (index as u64 + 1), CELL)
}

/// The bytes `start..end` of a version.
pub fn bytes(version: u64, start: usize, end: usize) -> Vec<u8> {
    let cells = (start / CELL..end.div_ceil(CELL)).flat_map(|index| cell(version, index));
    cells.skip(start % CELL).take(end - start).collect()
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    Old,
    New,
    /// Neither; says what.
    Other(String),
}

impl Holds {
    pub fn of(found: Option<&[u8]>, old: Option<&[u8]>, new: Option<&[u8]>) -> Self {
        if found == new {
            Self::New
        } else if found == old {
            Self::Old
        } else {
            Self::Other(found.map_or("nothing".to_owned(), describe))
        }
    }
}

/// Stretches of a file by where their cells come from.
fn describe(found: &[u8]) -> String {
    let mut stretches: Vec<(String, usize)> = Vec::new();
    for (index, part) in found.chunks(CELL).enumerate() {
        let origin = origin(index, part);
        match stretches.last_mut() {
            Some((last, count)) if *last == origin => *count += part.len(),
            _ => stretches.push((origin, part.len())),
        }
    }
    let stretches = stretches.iter().map(|(origin, count)| format!("{count} of {origin}"));
    format!("{} bytes: {}", found.len(), stretches.collect::<Vec<_>>().join(", "))
}

fn origin(index: usize, part: &[u8]) -> String {
    let is = |version, at| cell(version, at)[..part.len()] == *part;
    if part.iter().all(|byte| *byte == 0) {
        return "zeros".to_owned();
    }
    for version in 0..4 {
        if is(version, index) {
            return format!("version {version}");
        }
        // Shifted by whole cells, as swapped and dropped parts are.
        if let Some(at) = (0..4096).find(|at| is(version, *at)) {
            let shift = (index as i64 - at as i64) * CELL as i64;
            return format!("version {version} shifted by {shift}");
        }
    }
    "a mixture".to_owned()
}

#[test]
fn bytes_tell_where_they_are_from() {
    let (old, new) = (bytes(1, 0, 1000), bytes(2, 0, 900));
    let holds = |found: &[u8]| Holds::of(Some(found), Some(&old), Some(&new));
    assert_eq!(holds(&new), Holds::New);
    assert_eq!(holds(&old), Holds::Old);
    assert_eq!(bytes(1, 100, 300), old[100..300]);
    let mixed = [&old[..640], &new[640..]].concat();
    let told = "900 bytes: 640 of version 1, 260 of version 2";
    assert_eq!(holds(&mixed), Holds::Other(told.to_owned()));
    let shifted = [&old[..64], &old[128..192], &[0; 64]].concat();
    let told = "192 bytes: 64 of version 1, 64 of version 1 shifted by -64, 64 of zeros";
    assert_eq!(holds(&shifted), Holds::Other(told.to_owned()));
    assert_eq!(Holds::of(None, Some(&old), Some(&new)), Holds::Other("nothing".to_owned()));
}
