//! A seed as data: the service, the memory, the files and what is done to them, and how often what goes wrong.

use std::time::Duration;

use partfs::store::fault::{Chances, Dice};
use partfs::store::memory::SMALL_LIMITS;
use partfs::store::{AppendLimits, ChecksumKind, Limits};
use partfs::write::OnLeftover;

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
    /// `None`: uploads are not written down, and the daemon does not die.
    pub journal: Option<JournalPlan>,
}

/// Uploads are written down.
#[derive(Debug, Clone)]
pub struct JournalPlan {
    /// What becomes of leftovers in the first life of the daemon.
    pub on_leftover: OnLeftover,
    /// How its lives end but the last.
    pub deaths: Vec<Death>,
}

/// The daemon is killed, and another one begins.
#[derive(Debug, Clone)]
pub struct Death {
    /// So many calls are let through by the daemon before, or fewer when it has no more to do.
    pub calls: u32,
    /// At the next one: whether the bucket has carried it out.
    pub after: bool,
    /// Decides which of the calls on their way arrive.
    pub seed: u64,
    /// What becomes of leftovers in the next life.
    pub on_leftover: OnLeftover,
    /// For each file, what is done to it in the next life.
    pub steps: Vec<Vec<Step>>,
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
    /// Its writer was killed, and what it had sent is kept; the same is written again from the start.
    Abandon {
        again: Again,
    },
    /// The first in a life of the daemon: what the dead one was writing is written again from the start.
    Again(Again),
}

/// Content is written from the start that was being written before.
#[derive(Debug, Clone, Copy)]
pub struct Again {
    /// So many bytes at a time.
    pub len: usize,
    /// Which of a thousand equal pieces has another byte.
    pub differs: Option<u64>,
    /// How many bytes are added behind.
    pub more: usize,
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
    /// Every other seed has a journal.
    pub fn of(seed: u64) -> Self {
        let plan = Self::without_journal(seed);
        if seed.is_multiple_of(2) {
            return plan;
        }
        let dice = &mut Dice::new(!seed);
        let most = plan.most();
        let deaths = (0..dice.one_of(&[0, 1, 1, 2, 3])).map(|_| Death::draw(dice, &plan, most));
        let deaths = deaths.collect();
        let mut plan =
            Self { journal: Some(JournalPlan { on_leftover: on_leftover(dice), deaths }), ..plan };
        // Without a journal this is a discard.
        for step in plan.files.iter_mut().flat_map(|file| &mut file.steps) {
            if matches!(step.op, Op::Discard) && dice.hits(700) {
                step.op = Op::Abandon { again: Again::draw(dice, most) };
            }
        }
        plan
    }

    /// The plan of a seed with all but the journal, and what only happens with it.
    pub fn without_journal(seed: u64) -> Self {
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
        let most = most(part_bytes);
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
            journal: None,
        }
    }

    fn most(&self) -> u64 {
        most(self.part_bytes)
    }
}

/// About how long files become.
fn most(part_bytes: u64) -> u64 {
    if part_bytes < 4096 { 9000 } else { 60_000 }
}

fn on_leftover(dice: &mut Dice) -> OnLeftover {
    let usual = OnLeftover::Resume;
    dice.one_of(&[usual, usual, usual, usual, OnLeftover::Abort, OnLeftover::Keep])
}

impl Death {
    fn draw(dice: &mut Dice, plan: &Plan, most: u64) -> Self {
        let steps = plan.files.iter().map(|_| {
            let mut steps: Vec<_> = (0..dice.below(8)).map(|_| Step::draw(dice, most)).collect();
            if dice.hits(800) {
                let pause = dice.time_up_to(Duration::from_secs(60));
                steps.insert(0, Step { pause, op: Op::Again(Again::draw(dice, most)) });
            }
            steps
        });
        let steps = steps.collect();
        // Early calls as often as late ones.
        let magnitude = 1 << dice.below(8);
        Self {
            calls: dice.below(magnitude) as u32,
            after: dice.hits(500),
            seed: dice.number(),
            on_leftover: on_leftover(dice),
            steps,
        }
    }
}

impl Again {
    fn draw(dice: &mut Dice, most: u64) -> Self {
        let differs = dice.hits(300).then(|| dice.below(1000));
        let more = if dice.hits(500) { 1 + dice.below(most / 2) as usize } else { 0 };
        Self { len: 1 + dice.below(most / 4) as usize, differs, more }
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
