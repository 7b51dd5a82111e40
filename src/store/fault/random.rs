//! Faults by chance, from a seed: the same seed and the same calls in the same order make the same faults.

use std::time::Duration;

use crate::store::fault::{Claim, Done, Fault};
use crate::store::{ErrorKind, Operation};

/// Errors that a client of a service tells when its patience is over. It has tried many times by then, and
/// each may have been carried out without an answer: so none of them tells whether the call was.
const TOLD: [ErrorKind; 6] = [
    ErrorKind::Timeout,
    ErrorKind::Network,
    ErrorKind::Unavailable,
    ErrorKind::Throttled,
    ErrorKind::AccessDenied,
    ErrorKind::InvalidAnswer,
];

/// How often something happens, in thousandths of the calls it can happen to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chances {
    /// [`Fault::Fails`], carried out or not.
    pub fails: u16,
    /// [`Fault::Fails`] with a timeout after minutes, and the bucket carries it out later still. Only what
    /// is bound to an upload, which can be aborted before that: nobody can call back a PUT.
    pub late: u16,
    /// [`Fault::Slow`] by milliseconds or seconds.
    pub slow: u16,
    /// [`Fault::Slow`] by minutes.
    pub stalls: u16,
    /// [`Fault::Twice`], of what clients repeat without a look.
    pub twice: u16,
    /// [`Fault::Echo`].
    pub echoes: u16,
    /// [`Fault::Wrong`], of answers to what changes something.
    pub wrong: u16,
    /// [`Fault::Aborted`].
    pub aborted: u16,
}

/// Numbers by chance, from a seed (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number().checked_rem(end).unwrap_or(0)
    }

    /// Whether something happens that does in so many of a thousand cases.
    pub fn hits(&mut self, thousandths: u16) -> bool {
        self.below(1000) < u64::from(thousandths)
    }

    /// One of these; the first of none is a defect of the caller.
    pub fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// Up to `most`, short times as often as long ones.
    pub fn time_up_to(&mut self, most: Duration) -> Duration {
        let bits = 64 - (most.as_millis() as u64).leading_zeros();
        let magnitude = 1u64 << self.below(u64::from(bits) + 1);
        Duration::from_millis(self.below(magnitude)).min(most)
    }
}

/// Faults by chance.
#[derive(Debug, Clone)]
pub struct RandomFaults {
    dice: Dice,
    chances: Chances,
}

impl RandomFaults {
    /// The faults of a seed.
    pub fn new(seed: u64, chances: Chances) -> Self {
        Self { dice: Dice::new(seed), chances }
    }

    /// What happens to the next call. Draws the same number of times for each operation's calls, whatever
    /// happens to them, is not promised: the order of calls must be the same, too.
    pub(super) fn strike(&mut self, operation: Operation) -> Vec<Fault> {
        use Operation::{
            AbortUpload, Append, CompleteUpload, Copy, CopyPart, Delete, ListParts, Put, PutPart,
            StartUpload,
        };
        let (dice, chances) = (&mut self.dice, self.chances);
        let mut faults = Vec::new();
        if dice.hits(chances.slow) {
            let most = Duration::from_secs(3);
            let (before, after) = (dice.time_up_to(most), dice.time_up_to(most));
            faults.push(Fault::Slow { before, after });
        }
        if dice.hits(chances.stalls) {
            let time = dice.time_up_to(Duration::from_secs(900));
            let (before, after) = dice.one_of(&[(time, Duration::ZERO), (Duration::ZERO, time)]);
            faults.push(Fault::Slow { before, after });
        }
        let of_upload = matches!(operation, PutPart | CopyPart | CompleteUpload | ListParts);
        if of_upload && dice.hits(chances.aborted) {
            faults.push(Fault::Aborted);
        }
        if matches!(operation, PutPart | CopyPart | CompleteUpload) && dice.hits(chances.late) {
            let before = dice.time_up_to(Duration::from_secs(600));
            faults.push(Fault::Slow { before, after: Duration::ZERO });
            let done = Done::Later(dice.time_up_to(Duration::from_secs(600)));
            faults.push(Fault::Fails { kind: ErrorKind::Timeout, done });
            return faults;
        }
        if dice.hits(chances.fails) {
            let kind = dice.one_of(&TOLD);
            let done = dice.one_of(&[Done::No, Done::Yes]);
            faults.push(Fault::Fails { kind, done });
            return faults;
        }
        let repeated =
            matches!(operation, Put | StartUpload | PutPart | CopyPart | AbortUpload | Delete);
        if repeated && dice.hits(chances.twice) {
            faults.push(Fault::Twice);
        }
        if operation == PutPart && dice.hits(chances.echoes) {
            faults.push(Fault::Echo(dice.time_up_to(Duration::from_secs(60))));
        }
        let confirms =
            matches!(operation, Put | Copy | PutPart | CopyPart | CompleteUpload | Append);
        if confirms && dice.hits(chances.wrong) {
            let claim = dice.one_of(&[Claim::ETag, Claim::Checksum, Claim::Size]);
            faults.push(Fault::Wrong(claim));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_faults() {
        let chances = Chances {
            fails: 200,
            late: 200,
            slow: 500,
            stalls: 100,
            twice: 300,
            echoes: 300,
            wrong: 300,
            aborted: 300,
        };
        let strike = |seed| {
            let mut faults = RandomFaults::new(seed, chances);
            (0..200).map(|_| format!("{:?}", faults.strike(Operation::PutPart))).collect::<Vec<_>>()
        };
        assert_eq!(strike(1), strike(1));
        assert_ne!(strike(1), strike(2));
        assert!(RandomFaults::new(1, Chances::default()).strike(Operation::Put).is_empty());
    }

    #[test]
    fn times_are_short_and_long() {
        let mut dice = Dice::new(7);
        let most = Duration::from_secs(600);
        let times: Vec<_> = (0..2000).map(|_| dice.time_up_to(most)).collect();
        assert!(times.iter().all(|time| *time <= most));
        assert!(times.iter().filter(|time| **time < Duration::from_millis(10)).count() > 200);
        assert!(times.iter().filter(|time| **time > Duration::from_secs(60)).count() > 200);
    }
}
