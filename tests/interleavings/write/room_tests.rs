//! Waiting for memory: a writer gets it, or is told to go on without, whatever the others do.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::sync::Mutex;
use shuttle::thread;

use super::flight::Flight;
use super::room::{LetsGo, Need, Room};
use crate::budget::{Budget, Permit};
use crate::explore::explore;

const UNIT: u64 = 4096;

/// Parts that were sent and are kept, the first ones apart.
#[derive(Debug, Default)]
struct Kept {
    firsts: Mutex<Vec<Permit>>,
    others: Mutex<Vec<Permit>>,
}

impl LetsGo for Kept {
    fn let_go(&self, bytes: u64, need: Need) -> u64 {
        let (mut freed, mut gone) = (0, Vec::new());
        let which: &[_] = match need {
            Need::Patient => &[&self.others],
            Need::Urgent => &[&self.others, &self.firsts],
        };
        for parts in which {
            let mut parts = parts.lock().unwrap();
            while freed < bytes
                && let Some(permit) = parts.pop()
            {
                freed += permit.bytes();
                gone.push(permit);
            }
        }
        drop(gone);
        freed
    }
}

/// What writers share.
#[derive(Debug)]
struct Memory {
    budget: Budget,
    flight: Arc<Flight>,
    keep: Kept,
}

impl Memory {
    fn of(units: u64) -> Arc<Self> {
        let (flight, keep) = (Arc::default(), Kept::default());
        Arc::new(Self { budget: Budget::new(units * UNIT), flight, keep })
    }

    fn take(&self, bytes: u64) -> Option<Permit> {
        let Self { budget, flight, keep } = self;
        block_on(Room { budget, flight, keep }.take(bytes))
    }

    /// Sends a part, and keeps it after that or not. Its memory goes before it has landed, as that of a body does.
    fn send(self: &Arc<Self>, permit: Permit, kept: Option<bool>) -> thread::JoinHandle<()> {
        let guard = self.flight.enter(permit.bytes());
        let me = Arc::clone(self);
        thread::spawn(move || {
            match kept {
                Some(true) => me.keep.firsts.lock().unwrap().push(permit),
                Some(false) => me.keep.others.lock().unwrap().push(permit),
                None => drop(permit),
            }
            drop(guard);
        })
    }
}

/// Each writer holds a part that is half full and asks for more; one that gets none sends what it has.
#[test]
fn no_writer_waits_for_ever() {
    explore(|| {
        let memory = Memory::of(3);
        let writers = [None, Some(true), Some(false)].map(|kept| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let mut filling = Vec::new();
                let mut sent = Vec::new();
                for _ in 0..3 {
                    match memory.take(UNIT) {
                        Some(permit) => filling.push(permit),
                        // It goes on in a file.
                        None => filling.clear(),
                    }
                    if filling.len() == 2 {
                        let parts = filling.drain(..);
                        sent.extend(parts.map(|part| memory.send(part, kept)));
                    }
                }
                sent.into_iter().for_each(|part| part.join().unwrap());
            })
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        while memory.keep.let_go(UNIT, Need::Urgent) > 0 {}
        assert_eq!(memory.budget.free_bytes(), 3 * UNIT, "all memory came back");
    });
}

/// As long as memory comes back by itself, or is kept, nobody is told that there is none.
#[test]
fn memory_that_comes_back_is_waited_for() {
    explore(|| {
        for kept in [None, Some(true), Some(false)] {
            let memory = Memory::of(2);
            let parts = [(); 2].map(|()| memory.budget.try_take_unheld(UNIT).unwrap());
            let sent = parts.map(|part| memory.send(part, kept));
            let taken = memory.take(2 * UNIT);
            assert!(taken.is_some(), "all is in flight, or kept ({kept:?}): {memory:?}");
            sent.into_iter().for_each(|part| part.join().unwrap());
        }
    });
}

/// A request may stall for minutes; what has landed meanwhile, and is kept, is not waited for as long.
#[test]
fn what_has_landed_goes_while_others_are_on_their_way() {
    explore(|| {
        let memory = Memory::of(1);
        let stalls = memory.flight.enter(1);
        let part = memory.budget.try_take_unheld(UNIT).unwrap();
        let sent = memory.send(part, Some(false));
        assert!(memory.take(UNIT).is_some());
        drop(stalls);
        sent.join().unwrap();
    });
}
