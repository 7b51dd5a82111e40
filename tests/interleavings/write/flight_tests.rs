//! What is in flight: whoever waits for it is woken, whenever it lands.

use std::pin::pin;
use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;

use super::flight::Flight;
use crate::explore::explore;

#[test]
fn whoever_waits_until_all_has_landed_is_woken() {
    explore(|| {
        let flight = Arc::new(Flight::default());
        let guards = [1, 20, 300].map(|bytes| flight.enter(bytes));
        let landings = guards.map(|guard| thread::spawn(move || drop(guard)));
        let waiters = [(); 2].map(|()| {
            let flight = Arc::clone(&flight);
            thread::spawn(move || {
                block_on(flight.all_landed());
                assert_eq!(flight.bytes(), 0);
            })
        });
        landings.into_iter().for_each(|landing| landing.join().unwrap());
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

#[test]
fn each_landing_after_the_enabling_is_seen() {
    explore(|| {
        let flight = Arc::new(Flight::default());
        let guard = flight.enter(1);
        block_on(async {
            let mut landing = pin!(flight.next_landing());
            landing.as_mut().enable();
            let landed = thread::spawn(move || drop(guard));
            landing.await;
            assert_eq!(flight.bytes(), 0);
            landed.join().unwrap();
        });
    });
}

/// What landed before somebody began to wait is not taken for what he waits for.
#[test]
fn nobody_is_told_that_all_has_landed_while_something_flies() {
    explore(|| {
        let flight = Arc::new(Flight::default());
        let early = flight.enter(1);
        let early = thread::spawn(move || drop(early));
        let guard = flight.enter(2);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let late = thread::spawn(move || {
            over.store(true, Ordering::SeqCst);
            drop(guard);
        });
        block_on(flight.all_landed());
        assert!(is_over.load(Ordering::SeqCst), "something was on its way all the time");
        early.join().unwrap();
        late.join().unwrap();
    });
}
