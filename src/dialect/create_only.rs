//! "Only when absent", for servers of others that do not know the condition and say so (501 to
//! `If-None-Match`, as B2 does): it is done without then, from that answer on.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::StoreError;

/// Whether the condition may be sent.
#[derive(Debug, Default)]
pub(super) struct CreateOnly {
    missing: AtomicBool,
}

impl CreateOnly {
    /// Whether the server may know the condition.
    pub(super) fn is_possible(&self) -> bool {
        !self.missing.load(Ordering::Relaxed)
    }

    /// Whether a request failed because the server does not know the condition: true when it is worth
    /// trying without.
    pub(super) fn is_missing(&self, error: &StoreError) -> bool {
        let missing = error.status == Some(501);
        if missing && !self.missing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the server cannot create an object only when there is none: of two mounts that make the \
                 same file, the last to close it wins"
            );
        }
        missing
    }
}
