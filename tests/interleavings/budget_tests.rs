//! The account of memory: nobody holds more than there is, nothing is lost, and whoever waits is woken.

use std::sync::{Arc, Weak};

use shuttle::future::block_on;
use shuttle::sync::Mutex;
use shuttle::thread;

use crate::budget::{Budget, Permit, Spare};
use crate::explore::explore;

const UNIT: u64 = 4096;

/// Permits that can be spared.
#[derive(Debug, Default)]
struct Hoard(Mutex<Vec<Permit>>);

impl Spare for Hoard {
    fn bytes(&self) -> u64 {
        self.0.lock().unwrap().iter().map(Permit::bytes).sum()
    }

    fn give_up(&self, bytes: u64) {
        let mut left = bytes;
        let mut gone = Vec::new();
        let mut held = self.0.lock().unwrap();
        while left > 0
            && let Some(permit) = held.pop()
        {
            left = left.saturating_sub(permit.bytes());
            gone.push(permit);
        }
        drop(held);
    }
}

/// Counts what is held at a time.
#[derive(Debug, Default)]
struct Held(Mutex<u64>);

impl Held {
    fn during(&self, budget: &Budget, permit: Permit) {
        let mut held = self.0.lock().unwrap();
        *held += permit.bytes();
        assert!(*held <= budget.limit_bytes(), "{held} bytes are held");
        drop(held);
        thread::yield_now();
        *self.0.lock().unwrap() -= permit.bytes();
        drop(permit);
    }
}

#[test]
fn whoever_waits_for_memory_gets_it_and_nobody_gets_too_much() {
    explore(|| {
        let budget = Budget::new(4 * UNIT);
        let held = Arc::new(Held::default());
        let workers = [1, 2, 3, 4].map(|units| {
            let (budget, held) = (budget.clone(), Arc::clone(&held));
            thread::spawn(move || {
                for _ in 0..2 {
                    match budget.try_take(units * UNIT) {
                        Some(permit) => held.during(&budget, permit),
                        None => held.during(&budget, block_on(budget.take(units * UNIT))),
                    }
                }
            })
        });
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_eq!(budget.free_bytes(), 4 * UNIT);
    });
}

/// Waiters that go away leave nothing behind, and keep nobody from being woken.
#[test]
fn whoever_stops_waiting_takes_nothing_along() {
    explore(|| {
        let budget = Budget::new(2 * UNIT);
        let holder = {
            let budget = budget.clone();
            thread::spawn(move || drop(block_on(budget.take(2 * UNIT))))
        };
        let gone = {
            let budget = budget.clone();
            thread::spawn(move || {
                block_on(async {
                    tokio::select! {
                        biased;
                        permit = budget.take(2 * UNIT) => drop(permit),
                        () = shuttle::future::yield_now() => {}
                    }
                })
            })
        };
        drop(block_on(budget.take(UNIT)));
        holder.join().unwrap();
        gone.join().unwrap();
        assert_eq!(budget.free_bytes(), 2 * UNIT);
    });
}

#[test]
fn what_is_to_spare_is_there_for_whoever_needs_it() {
    explore(|| {
        let budget = Budget::new(4 * UNIT);
        let hoard = Arc::new(Hoard::default());
        let spare: Weak<dyn Spare> = Arc::<Hoard>::downgrade(&hoard);
        assert!(budget.set_spare(spare));
        for _ in 0..4 {
            hoard.0.lock().unwrap().push(budget.try_take_unheld(UNIT).unwrap());
        }
        // Two units each are there for both of them, whoever comes first.
        let takers = [(); 2].map(|()| {
            let budget = budget.clone();
            thread::spawn(move || budget.try_take(2 * UNIT))
        });
        let taken = takers.map(|taker| taker.join().unwrap());
        assert!(taken.iter().any(Option::is_some), "nobody got what was to spare");
        drop(taken);
        assert_eq!(budget.free_bytes(), 4 * UNIT);
        drop(hoard);
        assert_eq!(budget.free_bytes(), 4 * UNIT);
    });
}
