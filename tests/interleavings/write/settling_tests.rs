//! Uploads that failed: who writes to their key waits for all of them, and for no other.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::sync::Mutex;
use shuttle::thread;

use super::settling::Settlings;
use crate::explore::explore;

#[test]
fn whoever_writes_next_finds_what_was_left() {
    explore(|| {
        let settlings = Arc::<Settlings<&str>>::default();
        let left = Arc::new(Mutex::new(0));
        let failed = [(); 2].map(|()| settlings.begin(&"key"));
        let failing = failed.map(|settling| {
            let left = Arc::clone(&left);
            thread::spawn(move || {
                *left.lock().unwrap() += 1;
                drop(settling);
            })
        });
        // Of another key, and for longer than all this takes.
        let other = settlings.begin(&"other");
        let writers = [(); 2].map(|()| {
            let (settlings, left) = (Arc::clone(&settlings), Arc::clone(&left));
            thread::spawn(move || {
                block_on(settlings.over(&"key"));
                assert_eq!(*left.lock().unwrap(), 2);
            })
        });
        failing.into_iter().for_each(|failing| failing.join().unwrap());
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        drop(other);
        block_on(settlings.over(&"other"));
    });
}
