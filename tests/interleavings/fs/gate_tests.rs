//! The gate: while a directory is renamed nobody changes names below it, everybody else does, and nobody waits for
//! ever.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::sync::Mutex;
use shuttle::thread;

use super::gate::Gate;
use crate::explore::explore;

/// Directories, each in the one before it; 0 is the root.
type Number = usize;

fn is_within(number: Number, directory: Number) -> bool {
    number >= directory
}

/// What is going on, and at the same time must not.
#[derive(Debug, Default)]
struct Names {
    gate: Gate<Number>,
    changing: Mutex<Vec<Number>>,
    moving: Mutex<Vec<Number>>,
}

impl Names {
    /// Changes a name in a directory.
    fn change(&self, parent: Number) {
        let entered = block_on(self.gate.enter(&[parent], is_within));
        self.changing.lock().unwrap().push(parent);
        let moving = self.moving.lock().unwrap().clone();
        assert!(!moving.iter().any(|moving| is_within(parent, *moving)), "{parent} in {moving:?}");
        self.changing.lock().unwrap().retain(|changing| *changing != parent);
        drop(entered);
    }

    /// Renames a directory, as `rename_directory` does.
    fn rename(&self, directory: Number) {
        let entered = block_on(self.gate.enter(&[directory - 1], is_within));
        let closed = block_on(self.gate.close_below(directory, is_within));
        self.moving.lock().unwrap().push(directory);
        let changing = self.changing.lock().unwrap().clone();
        assert!(!changing.iter().any(|parent| is_within(*parent, directory)), "{changing:?}");
        self.moving.lock().unwrap().retain(|moving| *moving != directory);
        drop((closed, entered));
    }
}

/// What one thread does.
type Work = Box<dyn FnOnce(&Names) + Send>;

fn all(works: Vec<Work>) {
    let names = Arc::<Names>::default();
    let works = works.into_iter().map(|work| {
        let names = Arc::clone(&names);
        thread::spawn(move || work(&names))
    });
    let works: Vec<_> = works.collect();
    works.into_iter().for_each(|work| work.join().unwrap());
}

#[test]
fn names_below_stand_still_while_a_directory_moves() {
    explore(|| {
        all(vec![
            Box::new(|names| names.rename(2)),
            Box::new(|names| names.change(2)),
            Box::new(|names| names.change(3)),
            Box::new(|names| names.change(1)),
        ]);
    });
}

#[test]
fn directories_in_each_other_move_one_after_the_other() {
    explore(|| {
        all(vec![
            Box::new(|names| names.rename(1)),
            Box::new(|names| names.rename(2)),
            Box::new(|names| names.rename(3)),
            Box::new(|names| names.change(3)),
        ]);
    });
}

/// Who gave up waiting to rename a directory does not keep it closed.
#[test]
fn whoever_stops_waiting_leaves_the_gate_open() {
    explore(|| {
        all(vec![
            Box::new(|names| names.change(2)),
            Box::new(|names| {
                block_on(async {
                    tokio::select! {
                        biased;
                        closed = names.gate.close_below(2, is_within) => drop(closed),
                        () = shuttle::future::yield_now() => {}
                    }
                });
            }),
            Box::new(|names| names.change(2)),
        ]);
    });
}
