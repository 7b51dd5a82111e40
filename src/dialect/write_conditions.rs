//! "Only when absent" and "only this version", for servers of others that do not know such a condition at
//! writes and say so (`NotImplemented`, as B2 says to `If-None-Match`): it is done without then, from that answer on.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::{Limits, Replaces, StoreError};

/// Which conditions may be sent.
#[derive(Debug, Default)]
pub(super) struct WriteConditions {
    no_create_only: AtomicBool,
    no_compare_and_swap: AtomicBool,
}

impl WriteConditions {
    /// Of what is asked, that which the service may know.
    pub(super) fn possible(&self, asked: &Replaces, limits: &Limits) -> Replaces {
        let known = match asked {
            Replaces::Anything => false,
            Replaces::Nothing => limits.create_only && !self.no_create_only.load(Ordering::Relaxed),
            Replaces::Version(_) => self.compares(limits),
        };
        if known { asked.clone() } else { Replaces::Anything }
    }

    /// Whether the service may know "only this version".
    pub(super) fn compares(&self, limits: &Limits) -> bool {
        limits.compare_and_swap && !self.no_compare_and_swap.load(Ordering::Relaxed)
    }

    /// Whether a request with the condition `sent` failed because the server does not know it: true when
    /// it is worth trying without.
    pub(super) fn is_missing(&self, sent: &Replaces, error: &StoreError) -> bool {
        // A 501 without a code is something in between, not the service.
        if error.code.as_deref() != Some("NotImplemented") {
            return false;
        }
        match sent {
            Replaces::Anything => return false,
            Replaces::Nothing => {
                if !self.no_create_only.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the server cannot create an object only when there is none: of two mounts that \
                         make the same file, the last to close it wins"
                    );
                }
            }
            Replaces::Version(_) => {
                if !self.no_compare_and_swap.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the server cannot replace or delete an object only when it is a certain version: \
                         what another mount writes in that moment may be lost"
                    );
                }
            }
        }
        true
    }
}
