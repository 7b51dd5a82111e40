//! What the bucket may hold at a key, at every moment: what it held, or what a whole number of changes made of
//! it. Asked after each change of the object, before anybody else can change it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use partfs::store::fault::Change;
use partfs::store::memory::{Blob, MemoryBucket, Segment};
use partfs::store::{Key, Operation};

/// A change of content that is under way, or was.
#[derive(Debug, Clone)]
pub enum Edit {
    Nothing,
    Write { at: u64, data: Arc<[u8]> },
    Truncate { size: u64 },
    Zero { at: u64, len: u64 },
}

/// Content and what was done to it.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Which writer of the file.
    pub writer: u64,
    pub before: Arc<[u8]>,
    pub edit: Edit,
}

/// What is known of a key.
#[derive(Debug, Default)]
struct Known {
    /// What its writer is at. `None`: nobody writes, so nothing may change.
    now: Option<Moment>,
    /// All that its writers were at.
    past: Vec<Moment>,
    /// Of which writer the store has confirmed something last.
    confirmed: Option<u64>,
    may_delete: bool,
    /// A daemon died while it might have removed it.
    may_have_deleted: bool,
    /// Writers so far.
    writers: u64,
    /// Somebody else changed it so often.
    foreign: u64,
    late: u64,
}

/// Watches the objects.
#[derive(Debug, Default)]
pub struct Oracle {
    known: Mutex<BTreeMap<Key, Known>>,
    wrong: Mutex<Vec<String>>,
    overtaken: Mutex<Vec<(Key, String)>>,
}

impl Edit {
    /// The content when all of it was done.
    pub fn done(&self, before: &[u8]) -> Vec<u8> {
        let mut content = before.to_vec();
        match self {
            Self::Nothing => {}
            Self::Write { at, data } => {
                let (at, end) = (*at as usize, *at as usize + data.len());
                content.resize(content.len().max(end), 0);
                content[at..end].copy_from_slice(data);
            }
            Self::Truncate { size } => content.resize(*size as usize, 0),
            Self::Zero { at, len } => {
                let end = content.len().min((at + len) as usize);
                let at = end.min(*at as usize);
                content[at..end].fill(0);
            }
        }
        content
    }
}

impl Moment {
    /// Whether these bytes are the content before the change, after it, or after the front of it: growth goes
    /// byte by byte from the end.
    pub fn allows(&self, found: &[u8]) -> bool {
        if found == &*self.before {
            return true;
        }
        let (before, len) = (&*self.before, found.len());
        match &self.edit {
            Edit::Write { at, data } => {
                let at = *at as usize;
                if len < before.len() || len > before.len().max(at + data.len()) {
                    return false;
                }
                // As many as there are, or as are not what was there before.
                let written = &found[at.min(len)..len.min(at + data.len())];
                let taken = written.iter().zip(&**data).take_while(|(found, new)| found == new);
                let taken = taken.count();
                // Old bytes that equal new ones belong to either.
                let mut expected = before.to_vec();
                expected.resize(len, 0);
                let end = len.min(at + taken);
                if at < end {
                    expected[at..end].copy_from_slice(&data[..end - at]);
                }
                found == expected
            }
            Edit::Truncate { size } => {
                let grows = len >= before.len() && len <= *size as usize;
                let whole = len == *size as usize || grows;
                whole
                    && found.iter().copied().eq(before
                        .iter()
                        .copied()
                        .chain(std::iter::repeat(0))
                        .take(len))
            }
            Edit::Zero { .. } | Edit::Nothing => found == self.edit.done(before),
        }
    }
}

impl Oracle {
    /// Looks at a change by way of the store.
    pub fn changed(&self, bucket: &MemoryBucket, change: &Change<'_>) {
        let found = content(bucket, change.key);
        let mut known = self.known.lock().unwrap();
        let Some(known) = known.get_mut(change.key) else {
            return self.wrong(format!("{} changed", change.key));
        };
        let what = format!("{:?} of {}", change.operation, change.key);
        if change.operation == Operation::Delete {
            if change.late && known.may_have_deleted {
                known.late += 1;
            } else if !known.may_delete {
                self.wrong(format!("{what}: nobody removed it"));
            }
            return;
        }
        let Some(found) = found else {
            return self.wrong(format!("{what}: there is no object"));
        };
        if change.late {
            known.late += 1;
            let made = known.past.iter().chain(&known.now).rev().find(|then| then.allows(&found));
            match (made, known.confirmed) {
                (None, _) => {
                    self.wrong(format!("late {what}: {} bytes that never were", found.len()))
                }
                (Some(then), Some(confirmed)) if then.writer < confirmed => {
                    let what = format!(
                        "late {what}: writer {} takes the place of {confirmed}, which was confirmed",
                        then.writer
                    );
                    self.overtaken.lock().unwrap().push((change.key.clone(), what));
                }
                _ => {}
            }
            return;
        }
        match &known.now {
            None => self.wrong(format!("{what}: nobody writes it any more")),
            Some(now) if now.allows(&found) => {}
            Some(now) => self.wrong(format!(
                "{what}: a third state of {} bytes; before {} bytes, and then {}",
                found.len(),
                now.before.len(),
                short(&now.edit)
            )),
        }
    }

    /// From now on the writer is at this.
    pub fn now(&self, key: &Key, now: Option<Moment>) {
        let mut known = self.known.lock().unwrap();
        let known = known.entry(key.clone()).or_default();
        known.past.extend(known.now.take());
        known.now = now;
    }

    /// The number of a new writer.
    pub fn next_writer(&self, key: &Key) -> u64 {
        let mut known = self.known.lock().unwrap();
        let known = known.entry(key.clone()).or_default();
        known.writers += 1;
        known.writers
    }

    /// The daemon has died: nobody writes any more.
    pub fn all_died(&self) {
        for known in self.known.lock().unwrap().values_mut() {
            known.past.extend(known.now.take());
            known.may_have_deleted |= std::mem::take(&mut known.may_delete);
        }
    }

    /// What the writer is at.
    pub fn at(&self, key: &Key) -> Option<Moment> {
        self.known.lock().unwrap().get(key)?.now.clone()
    }

    /// Whether the object may be removed.
    pub fn may_delete(&self, key: &Key, may: bool) {
        self.known.lock().unwrap().entry(key.clone()).or_default().may_delete = may;
    }

    /// A commit of the writer was confirmed.
    pub fn confirmed(&self, key: &Key, writer: u64) {
        self.known.lock().unwrap().entry(key.clone()).or_default().confirmed = Some(writer);
    }

    /// Somebody else changes the object now.
    pub fn foreign(&self, key: &Key) {
        let mut known = self.known.lock().unwrap();
        let known = known.entry(key.clone()).or_default();
        known.foreign += 1;
        known.confirmed = None;
    }

    /// How often somebody else has.
    pub fn foreigners(&self, key: &Key) -> u64 {
        self.known.lock().unwrap().get(key).map_or(0, |known| known.foreign)
    }

    /// How often an object appeared after the call had been answered.
    pub fn late(&self) -> u64 {
        self.known.lock().unwrap().values().map(|known| known.late).sum()
    }

    /// How often the object at a key did.
    pub fn late_at(&self, key: &Key) -> u64 {
        self.known.lock().unwrap().get(key).map_or(0, |known| known.late)
    }

    pub fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// What was confirmed and then replaced by what had failed before. Nobody can help it where an abort failed, too.
    pub fn overtaken(&self, is_excused: impl Fn(&Key) -> bool) {
        for (key, what) in self.overtaken.lock().unwrap().drain(..) {
            if !is_excused(&key) {
                self.wrong(what);
            }
        }
    }

    /// What must not have been, in its order.
    pub fn verdict(&self) -> Result<(), String> {
        let wrong = self.wrong.lock().unwrap();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

/// The bytes of an object, at once.
pub fn content(bucket: &MemoryBucket, key: &Key) -> Option<Vec<u8>> {
    bucket.head(key).ok().map(|object| bytes_of(&object.blob))
}

/// The bytes that the bucket holds, at once.
pub fn bytes_of(blob: &Blob) -> Vec<u8> {
    let mut bytes = Vec::new();
    for segment in blob.slice(0, blob.len()) {
        match segment {
            Segment::Memory(piece) => bytes.extend_from_slice(&piece),
            Segment::File { .. } => panic!("a bucket in memory has no files"),
        }
    }
    bytes
}

pub fn short(edit: &Edit) -> String {
    match edit {
        Edit::Write { at, data } => format!("{} bytes at {at}", data.len()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(before: &[u8], edit: Edit) -> Moment {
        Moment { writer: 1, before: before.into(), edit }
    }

    #[test]
    fn a_write_shows_from_its_front() {
        let edit = Edit::Write { at: 2, data: b"xyz"[..].into() };
        let now = moment(b"abcd", edit);
        for state in ["abcd", "abxd", "abxy", "abxyz"] {
            assert!(now.allows(state.as_bytes()), "{state}");
        }
        for state in ["", "abc", "abyd", "abcy", "xbxyz", "abxyzz", "ab\0\0"] {
            assert!(!now.allows(state.as_bytes()), "{state}");
        }
        let gap = moment(b"a", Edit::Write { at: 3, data: b"xy"[..].into() });
        for state in [&b"a"[..], b"a\0", b"a\0\0", b"a\0\0x", b"a\0\0xy"] {
            assert!(gap.allows(state), "{state:?}");
        }
        assert!(!gap.allows(b"axy") && !gap.allows(b"a\0x"));
    }

    #[test]
    fn a_cut_is_all_or_nothing_and_growth_is_zeros() {
        let cut = moment(b"abcd", Edit::Truncate { size: 2 });
        assert!(cut.allows(b"abcd") && cut.allows(b"ab"));
        assert!(!cut.allows(b"abc") && !cut.allows(b"a"));
        let grown = moment(b"ab", Edit::Truncate { size: 4 });
        assert!(grown.allows(b"ab") && grown.allows(b"ab\0") && grown.allows(b"ab\0\0"));
        assert!(!grown.allows(b"a") && !grown.allows(b"ab\0\0\0") && !grown.allows(b"abc"));
        let zeros = moment(b"abcd", Edit::Zero { at: 1, len: 9 });
        assert!(zeros.allows(b"abcd") && zeros.allows(b"a\0\0\0") && !zeros.allows(b"a\0cd"));
    }
}
