//! A seed as data: the service, the memory, the files and what is done to them, and how often what goes wrong.

use std::time::Duration;

use partfs::store::fault::{Chances, Dice};
use partfs::store::memory::SMALL_LIMITS;
use partfs::store::{AppendLimits, ChecksumKind, Limits};

/// All that happens in a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub limits: Limits,
    pub part_bytes: u64,
    pub block_bytes: usize,
    pub max_requests: usize,
    pub budget_bytes: u64,
    pub chances: Chances,
    /// From which seed faults are drawn.
    pub faults: u64,
    pub files: Vec<FilePlan>,
    /// Somebody who takes memory now and then.
    pub squeezes: Vec<Squeeze>,
}

/// What happens to one file.
#[derive(Debug, Clone)]
pub struct FilePlan {
    /// Bytes of the object at its key before all.
    pub before: Option<usize>,
    /// Whether it is written as an appendable object.
    pub appends: bool,
    pub steps: Vec<Step>,
    /// Somebody else who changes the object.
    pub foreign: Vec<Foreign>,
}

/// After a pause, something.
#[derive(Debug, Clone)]
pub struct Step {
    pub pause: Duration,
    pub op: Op,
}

#[derive(Debug, Clone)]
pub enum Op {
    Append {
        len: usize,
    },
    Write {
        at: u64,
        len: usize,
    },
    Truncate {
        size: u64,
    },
    Read {
        at: u64,
        len: u64,
    },
    Punch {
        at: u64,
        len: u64,
    },
    /// Bytes of another object.
    CopyFrom {
        at: u64,
        len: u64,
        to: u64,
    },
    Commit,
    /// A commit whose caller does not wait any longer than this.
    AbandonedCommit {
        patience: Duration,
    },
    /// A commit by somebody else with the file open, beside what comes next.
    CommitAside,
    /// The last close: published, and the file is opened anew. Cut to nothing then, or not.
    Reopen {
        empty: bool,
    },
    /// The name is removed while the file is open; then it is written on, and made anew.
    Unlink {
        len: usize,
    },
    /// Its writer was killed: given up, and opened anew.
    Discard,
}

/// Memory that is taken from a moment on, for a while.
#[derive(Debug, Clone, Copy)]
pub struct Squeeze {
    pub pause: Duration,
    pub blocks: u64,
    pub time: Duration,
}

/// After a pause, somebody else replaces the object, or removes it.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    pub pause: Duration,
    pub put: Option<usize>,
}

/// Length of the object that is copied from.
pub const OTHER_LEN: u64 = 3000;

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let dice = &mut dice;
        let part_bytes = dice.one_of(&[64, 100, 1000, 4096, 8192]);
        let append = AppendLimits { call_bytes: 1 << 20, object_bytes: 1 << 20, copied: true };
        let limits = Limits {
            part_min_bytes: dice.one_of(&[1, 16, 150]),
            list_page: dice.one_of(&[2, 5, 1000]),
            checksum: dice.one_of(&[Some(ChecksumKind::Crc64Xz), None]),
            append: dice.one_of(&[None, Some(append)]),
            ..SMALL_LIMITS
        };
        let chances = chances(dice);
        let most = if part_bytes < 4096 { 9000 } else { 60_000 };
        let files = (0..1 + dice.below(3)).map(|_| FilePlan::draw(dice, most)).collect();
        let squeezes = (0..dice.below(4)).map(|_| Squeeze {
            pause: dice.time_up_to(HALF_A_MINUTE),
            blocks: 1 + dice.below(12),
            time: dice.time_up_to(HALF_A_MINUTE),
        });
        let squeezes = squeezes.collect();
        Self {
            part_bytes,
            block_bytes: dice.one_of(&[16, 64, 1000, 4096]),
            max_requests: dice.one_of(&[1, 2, 4]),
            budget_bytes: 4096 * (1 + dice.below(32)),
            squeezes,
            faults: dice.number(),
            limits,
            chances,
            files,
        }
    }
}

/// A quarter of the plans has only what a client outlives without its caller noticing; the others have a little
/// of everything, much of one thing, or much of everything.
fn chances(dice: &mut Dice) -> Chances {
    let calm = Chances { slow: 500, twice: 100, ..Chances::default() };
    let little =
        Chances { fails: 10, late: 20, stalls: 5, echoes: 20, wrong: 5, aborted: 5, ..calm };
    match dice.below(8) {
        0 | 1 => calm,
        2 => Chances { fails: 60, ..calm },
        3 => Chances { late: 250, ..calm },
        4 => Chances { echoes: 300, ..calm },
        5 => {
            Chances { fails: 80, late: 40, stalls: 60, echoes: 80, wrong: 40, aborted: 40, ..calm }
        }
        _ => little,
    }
}

impl FilePlan {
    fn draw(dice: &mut Dice, most: u64) -> Self {
        let before = dice.hits(500).then(|| dice.below(most) as usize);
        let steps = (0..3 + dice.below(14)).map(|_| Step::draw(dice, most)).collect();
        let foreign = match dice.below(6) {
            0 => (0..1 + dice.below(2)).map(|_| Foreign::draw(dice, most)).collect(),
            _ => Vec::new(),
        };
        Self { before, appends: dice.hits(200), steps, foreign }
    }
}

impl Foreign {
    fn draw(dice: &mut Dice, most: u64) -> Self {
        let pause = dice.time_up_to(Duration::from_secs(60));
        Self { pause, put: dice.hits(700).then(|| dice.below(most) as usize) }
    }
}

impl Step {
    fn draw(dice: &mut Dice, most: u64) -> Self {
        let pause = match dice.below(3) {
            0 => dice.time_up_to(Duration::from_secs(10)),
            _ => Duration::ZERO,
        };
        let len = |dice: &mut Dice, most: u64| 1 + dice.below(most) as usize;
        let op = match dice.below(36) {
            0..=9 => Op::Append { len: len(dice, most / 2) },
            10..=13 => Op::Write { at: dice.below(most), len: len(dice, most / 4) },
            // Headers that are rewritten.
            14..=17 => Op::Write { at: dice.below(50), len: len(dice, 60) },
            18 => Op::Truncate { size: 0 },
            19..=20 => Op::Truncate { size: dice.below(most) },
            21..=22 => Op::Read { at: dice.below(most), len: dice.below(most) },
            23 => Op::Punch { at: dice.below(most), len: dice.below(most) },
            24 => {
                let at = dice.below(OTHER_LEN);
                let len = dice.below(OTHER_LEN - at);
                Op::CopyFrom { at, len, to: dice.below(most) }
            }
            25..=28 => Op::Commit,
            29 => Op::AbandonedCommit { patience: dice.time_up_to(Duration::from_secs(20)) },
            30..=31 => Op::CommitAside,
            32 => Op::Discard,
            33 => Op::Unlink { len: len(dice, most / 4) },
            _ => Op::Reopen { empty: dice.hits(300) },
        };
        Self { pause, op }
    }
}
