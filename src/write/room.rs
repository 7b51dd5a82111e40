//! Waiting for memory without waiting for ever: memory that is in flight comes back by itself, what is kept goes when
//! it is needed, and all the rest may be held by files that nobody goes on with for hours.

use std::pin::pin;

use crate::budget::{Budget, Permit};
use crate::write::flight::Flight;

/// Who asks for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Somebody who can wait for what is in flight: the first parts stay.
    Patient,
    /// Somebody who has nothing to wait for.
    Urgent,
}

/// Memory that is only good to have.
pub(super) trait LetsGo {
    /// Makes room of `bytes`, as far as `need` and what is kept allow. Returns how many bytes are free now or
    /// were sent again and are free when they have landed.
    fn let_go(&self, bytes: u64, need: Need) -> u64;
}

/// Where memory comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room<'a, K> {
    pub(super) budget: &'a Budget,
    pub(super) flight: &'a Flight,
    pub(super) keep: &'a K,
}

impl<K: LetsGo> Room<'_, K> {
    /// Memory, if it is free now or kept and can go.
    pub(super) fn try_take(&self, bytes: u64) -> Option<Permit> {
        let permit = self.budget.try_take_unheld(bytes);
        if permit.is_some() || self.keep.let_go(bytes, Need::Patient) == 0 {
            return permit;
        }
        self.budget.try_take_unheld(bytes)
    }

    /// Memory; waits while some is on its way back. `None`: nothing is in flight, nothing is kept and nothing is
    /// free, so waiting could last for ever.
    pub(super) async fn take(&self, bytes: u64) -> Option<Permit> {
        if let Some(permit) = self.try_take(bytes) {
            return Some(permit);
        }
        loop {
            tokio::select! {
                biased;
                permit = self.take_what_lands(bytes) => return Some(permit),
                () = self.flight.all_landed() => {}
            }
            // Nothing comes back by itself any more, so all that is kept goes.
            let permit = self.budget.try_take_unheld(bytes);
            if permit.is_some() || self.keep.let_go(bytes, Need::Urgent) == 0 {
                return permit;
            }
        }
    }

    /// Waits for memory; what has landed and is kept goes meanwhile.
    async fn take_what_lands(&self, bytes: u64) -> Permit {
        let mut taken = pin!(self.budget.take(bytes));
        loop {
            let mut landing = pin!(self.flight.next_landing());
            landing.as_mut().enable();
            tokio::select! {
                biased;
                permit = &mut taken => return permit,
                () = std::future::ready(()) => {}
            }
            if self.keep.let_go(bytes, Need::Patient) > 0 {
                continue;
            }
            tokio::select! {
                biased;
                permit = &mut taken => return permit,
                () = landing => {}
            }
        }
    }
}
