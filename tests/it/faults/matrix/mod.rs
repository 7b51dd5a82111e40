//! The fault matrix: every fault that the wire can show, at every request where it can strike, in what
//! programs do, on each of the four services. The client, the protocol and the server are real; what was
//! told is compared with what the bucket itself holds.
//!
//! - `faults`: what goes wrong, as data, with what must come of it. `workloads`: what programs do.
//! - `oracle`: bytes that tell which version they are of. `runner`: runs a cell and sums up.
//!
//! `PARTFS_MATRIX=all` runs every cell, `PARTFS_MATRIX=500` so many others each time (or those of
//! `PARTFS_MATRIX_SEED`), and `PARTFS_MATRIX_CELLS=TEXT` those that have the text in their names.

mod faults;
mod oracle;
mod runner;
mod workloads;

use std::sync::Arc;

use partfs::mock::MockDialect;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::faults::faults_at;
use self::runner::{Cell, Tally};

/// Cells of the usual run.
const SAMPLE: usize = 160;

/// Cells at a time: they wait most of the time.
const AT_A_TIME: usize = 24;

const DIALECTS: [MockDialect; 4] =
    [MockDialect::Cos, MockDialect::Oss, MockDialect::Qingstor, MockDialect::S3];

/// Which cells are run.
enum Choice {
    All,
    Sample { cells: usize, seed: u64 },
    Named(String),
}

fn variable(name: &str) -> Option<String> {
    let text = std::env::var_os(name)?.into_string().expect("text");
    (!text.is_empty()).then_some(text)
}

fn choice() -> Choice {
    if let Some(text) = variable("PARTFS_MATRIX_CELLS") {
        return Choice::Named(text);
    }
    let seed = variable("PARTFS_MATRIX_SEED").map(|text| text.parse().expect("a number"));
    match variable("PARTFS_MATRIX").as_deref() {
        Some("all") => Choice::All,
        Some(cells) => Choice::Sample {
            cells: cells.parse().expect("PARTFS_MATRIX is `all` or a number"),
            seed: seed.unwrap_or_else(|| getrandom::u64().expect("randomness")),
        },
        // The usual run is the same everywhere, so that a change is judged and not the luck of the day.
        None => Choice::Sample { cells: SAMPLE, seed: seed.unwrap_or(1) },
    }
}

async fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for dialect in DIALECTS {
        for workload in workloads::ALL {
            for spot in runner::record(dialect, workload).await {
                let faults = faults_at(&spot).into_iter();
                cells.extend(faults.map(|fault| Cell { dialect, workload, spot, fault }));
            }
        }
    }
    cells
}

/// So many of them, by chance.
fn sample(mut cells: Vec<Cell>, wanted: usize, seed: u64) -> Vec<Cell> {
    let mut state = seed;
    for index in 0..wanted.min(cells.len()) {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut chance = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        chance = (chance ^ (chance >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let left = (cells.len() - index) as u64;
        cells.swap(index, index + ((chance ^ (chance >> 31)) % left) as usize);
    }
    cells.truncate(wanted);
    cells
}

async fn run_all(cells: Vec<Cell>) -> Tally {
    let mut running = JoinSet::new();
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    for cell in cells {
        let room = Arc::clone(&room);
        running.spawn(async move {
            let _permit = room.acquire_owned().await.unwrap();
            let verdict = runner::run(&cell).await;
            (cell, verdict)
        });
    }
    let mut tally = Tally::default();
    let mut again = Vec::new();
    while let Some(done) = running.join_next().await {
        let (cell, verdict) = done.unwrap();
        match Tally::is_doubtful(&cell, &verdict) {
            true => again.push(cell),
            false => tally.count(&cell, verdict),
        }
    }
    println!("{} cells ran out of time and are run again, alone", again.len());
    for cell in again {
        let verdict = runner::run(&cell).await;
        tally.count(&cell, verdict);
    }
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_leaves_the_old_or_the_new_and_is_told() {
    let every = cells().await;
    let (of, choice) = (every.len(), choice());
    let chosen = match &choice {
        Choice::All => every,
        Choice::Sample { cells, seed } => sample(every, *cells, *seed),
        Choice::Named(text) => {
            every.into_iter().filter(|cell| cell.to_string().contains(text)).collect()
        }
    };
    let tally = run_all(chosen).await;
    let how = match &choice {
        Choice::All => "all".to_owned(),
        Choice::Sample { seed, .. } => format!("PARTFS_MATRIX_SEED={seed}"),
        Choice::Named(text) => format!("named {text}"),
    };
    let Tally { run, fired, succeeded, slowest, .. } = &tally;
    println!(
        "fault matrix: {run} of {of} cells ({how}), {fired} fired, {succeeded} of them told as successes"
    );
    println!("slowest cell: {slowest:?}");
    println!(
        "besides: {} wrong objects made by the service and told as failures, {} that nothing shows, \
         {} uploads left whose id was lost or whose Abort was struck",
        tally.wrong_and_told, tally.unseen, tally.leaks_named
    );
    if matches!(choice, Choice::All) {
        for (name, (fired, succeeded)) in &tally.by_fault {
            println!("  {name}: {fired} fired, {succeeded} successes");
        }
        for (name, fired) in &tally.by_operation {
            println!("  at {name}: {fired} fired");
        }
    }
    for (name, cells) in tally.wrongs() {
        println!("{name}: {}", cells.len());
        cells.iter().for_each(|cell| println!("  {cell}"));
    }
    let wrong = tally.wrongs().iter().any(|(_, cells)| !cells.is_empty());
    assert!(!wrong, "see above; PARTFS_MATRIX_CELLS=NAME repeats a cell");
    assert!(
        matches!(choice, Choice::Named(_)) || tally.fired * 10 >= tally.run * 9,
        "most must fire"
    );
}
