//! What can happen to a call, and when: as data.

use std::sync::Arc;
use std::time::Duration;

use crate::store::fault::Gate;
use crate::store::{ErrorKind, Key, Operation};

/// What happens to one call. Several can happen to the same one.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It ends with this error.
    Fails {
        /// The error.
        kind: ErrorKind,
        /// Whether the bucket carried it out.
        done: Done,
    },
    /// It takes time on the way there and on the way back.
    Slow {
        /// Before the bucket carries it out.
        before: Duration,
        /// After that.
        after: Duration,
    },
    /// Its answer waits for the gate.
    HeldAfter(Arc<Gate>),
    /// It waits for the gate before it reaches the bucket.
    HeldBefore(Arc<Gate>),
    /// It is carried out twice, and the second answer is told: what becomes of a lost answer when the
    /// client tries again.
    Twice,
    /// The same part arrives once more so much after the answer: an attempt that was given up, and was on its
    /// way all the same. Only of [`Operation::PutPart`].
    Echo(Duration),
    /// A bit of its body changes in the memory of whoever sends it, after the checksum was computed. The byte
    /// is counted from 0; a body that does not have it is spared.
    Damaged(u64),
    /// The answer says something else than is true.
    Wrong(Claim),
    /// Somebody aborts its upload just before. Only of calls that name one.
    Aborted,
    /// A listing by directory is answered with all keys, as by a server that knows no delimiter.
    Flat,
}

/// Whether, and when, a call was carried out whose error is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Never.
    No,
    /// Before the error was told: only the answer was lost.
    Yes,
    /// So much after the error was told.
    Later(Duration),
}

/// What an answer can be wrong about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The ETag.
    ETag,
    /// The checksum. Without effect where none is told.
    Checksum,
    /// The size.
    Size,
}

/// Which calls something happens to.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Only calls of this operation.
    pub operation: Option<Operation>,
    /// Only calls about this key. Of calls about two keys the one that changes counts.
    pub key: Option<Key>,
    /// So many such calls are let through first.
    pub skip: u32,
    /// It happens to so many after that.
    pub count: u32,
    /// What happens.
    pub fault: Fault,
}

impl Rule {
    /// Something that happens to the next call of an operation, once.
    pub fn next(operation: Operation, fault: Fault) -> Self {
        Self { operation: Some(operation), key: None, skip: 0, count: 1, fault }
    }

    /// Whether it is used up.
    pub(super) fn is_over(&self) -> bool {
        self.count == 0
    }

    /// What happens to a call, if anything. Counts the call.
    pub(super) fn strike(&mut self, operation: Operation, key: Option<&Key>) -> Option<Fault> {
        let named = self.operation.is_none_or(|named| named == operation)
            && self.key.as_ref().is_none_or(|named| Some(named) == key);
        if !named || self.is_over() {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.count = self.count.saturating_sub(1);
        Some(self.fault.clone())
    }
}
