//! How far renames of directories are, for whoever waits for one: it shows in the status file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fs::ordered::{LEAF, Ordered};

/// What a rename of a directory does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It prepares, or asks for the next objects.
    Listing,
    /// It copies objects.
    Copying,
    /// Everything is at the target; it removes the sources.
    Deleting,
    /// A copy has failed; it takes the others back.
    Undoing,
}

/// How far a rename of a directory is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameStatus {
    /// Path in the mount that the directory has, or had.
    pub from: String,
    /// Path that it gets.
    pub to: String,
    /// What it does now.
    pub phase: Phase,
    /// Objects copied; from the phase `deleting` on, objects removed.
    pub objects_done: u64,
    /// Objects met so far, pages being copied as they are listed; or to be removed.
    pub objects_total: u64,
    /// Bytes of the objects copied.
    pub bytes_done: u64,
    /// Bytes of the objects met so far.
    pub bytes_total: u64,
    /// Whether nothing more will be met: the totals are those of the whole directory.
    pub listed: bool,
}

/// Renames of directories that are under way, in the order in which they began.
#[derive(Debug, Default)]
pub(in crate::fs) struct Renames(Ordered<Running, LEAF>);

#[derive(Debug, Default)]
struct Running {
    next: u64,
    by_number: BTreeMap<u64, RenameStatus>,
}

/// One rename. It is under way while this lives.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    renames: &'a Renames,
    number: u64,
}

impl Renames {
    /// All that are under way.
    pub(in crate::fs) fn running(&self) -> Vec<RenameStatus> {
        self.0.lock().by_number.values().cloned().collect()
    }

    pub(super) fn begin(&self, from: &str, to: &str) -> Progress<'_> {
        let status = RenameStatus {
            from: from.to_owned(),
            to: to.to_owned(),
            phase: Phase::Listing,
            objects_done: 0,
            objects_total: 0,
            bytes_done: 0,
            bytes_total: 0,
            listed: false,
        };
        let mut running = self.0.lock();
        let number = running.next;
        running.next += 1;
        running.by_number.insert(number, status);
        Progress { renames: self, number }
    }
}

impl Progress<'_> {
    fn change(&self, change: impl FnOnce(&mut RenameStatus)) {
        if let Some(status) = self.renames.0.lock().by_number.get_mut(&self.number) {
            change(status);
        }
    }

    /// The next page is asked for.
    pub(super) fn listing(&self) {
        self.change(|status| status.phase = Phase::Listing);
    }

    /// So many objects with so many bytes will be copied now; `last`: there are no more.
    pub(super) fn copying(&self, objects: u64, bytes: u64, last: bool) {
        self.change(|status| {
            status.phase = Phase::Copying;
            status.objects_total += objects;
            status.bytes_total += bytes;
            status.listed |= last;
        });
    }

    /// An object was copied.
    pub(super) fn copied(&self, bytes: u64) {
        self.change(|status| {
            status.objects_done += 1;
            status.bytes_done += bytes;
        });
    }

    /// So many objects will be removed now.
    pub(super) fn removing(&self, objects: usize, phase: Phase) {
        self.change(|status| {
            (status.phase, status.listed) = (phase, true);
            (status.objects_done, status.objects_total) = (0, objects as u64);
        });
    }

    /// So many objects were removed, or could not be.
    pub(super) fn removed(&self, objects: usize) {
        self.change(|status| status.objects_done += objects as u64);
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.renames.0.lock().by_number.remove(&self.number);
    }
}
