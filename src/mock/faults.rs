//! What the mock breaks on purpose: rules as data, each firing on some of the requests it matches.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::store::Operation;

/// What is done to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answers with this status and error code.
    Status(u16, String),
    /// Closes the connection without an answer.
    Reset,
    /// Never answers; the connection stays open.
    Stall,
    /// Announces the whole body of the answer, sends half of it and closes the connection.
    TruncateBody,
    /// Flips a bit in the first byte of the answer's body.
    CorruptBody,
    /// Applies the request and closes the connection without an answer.
    DropResponse,
    /// Answers 200 with an `<Error>` of this code as its body.
    ErrorIn200(String),
    /// Sends so many blanks, one per interval, before the body of the answer: what COS does while
    /// it completes an upload.
    Blanks {
        /// How many.
        count: u32,
        /// Time before each.
        interval: Duration,
    },
    /// States a wrong CRC-64 in the answer.
    WrongCrc,
    /// States a wrong ETag in the answer.
    WrongEtag,
    /// From this request on, the credentials are refused as expired, until others are set
    /// ([`set_credentials`](super::MockServer::set_credentials)).
    ExpireCredentials,
    /// Answers 307 with this `Location`.
    RedirectTo(String),
    /// Answers with this status (200, 502 …) and a page of HTML, as a proxy in between does.
    ProxyPage(u16),
}

/// Whether [`Action::Status`], [`Action::Reset`], [`Action::Stall`], [`Action::ErrorIn200`],
/// [`Action::RedirectTo`] and [`Action::ProxyPage`] strike before or after the request is applied. The other actions let it be applied always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// The request has no effect.
    #[default]
    Before,
    /// The request takes effect, but the client does not learn it.
    AfterApply,
}

/// Which keys a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPattern {
    /// This key.
    Exact(String),
    /// Keys in which each `*` stands for any text.
    Glob(String),
}

impl KeyPattern {
    fn matches(&self, key: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == key,
            Self::Glob(pattern) => glob(pattern, key),
        }
    }
}

fn glob(pattern: &str, key: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == key };
    let Some(rest) = key.strip_prefix(head) else { return false };
    let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.filter_map(|at| rest.get(at..)).any(|rest| glob(tail, rest))
}

/// When what goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// Only for this operation; for all if `None`.
    pub operation: Option<Operation>,
    /// Only for these keys (of listings: prefixes); for all if `None`.
    pub key: Option<KeyPattern>,
    /// So many matching requests are spared first.
    pub skip: u32,
    /// So many are struck then.
    pub count: u32,
    /// Before or after the request is applied.
    pub when: When,
    /// What is done.
    pub action: Action,
}

impl FaultRule {
    /// Strikes the first request to come, before it is applied.
    pub fn new(action: Action) -> Self {
        Self { operation: None, key: None, skip: 0, count: 1, when: When::Before, action }
    }

    /// Only this operation.
    pub fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only keys of this pattern, in which `*` stands for any text.
    pub fn key(mut self, pattern: &str) -> Self {
        self.key = Some(KeyPattern::Glob(pattern.to_owned()));
        self
    }

    /// Spares so many matching requests first.
    pub fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes so many matching requests.
    pub fn times(mut self, requests: u32) -> Self {
        self.count = requests;
        self
    }

    /// Strikes after the request was applied.
    pub fn after_apply(mut self) -> Self {
        self.when = When::AfterApply;
        self
    }

    fn matches(&self, operation: Option<Operation>, key: &str) -> bool {
        (self.operation.is_none() || self.operation == operation)
            && self.key.as_ref().is_none_or(|pattern| pattern.matches(key))
    }
}

/// A rule that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultId(usize);

/// The rules of one server. Rules may be added while it runs.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<(FaultRule, u64)>>);

impl Faults {
    /// Adds a rule. Every rule counts for itself: a request may be struck by several.
    pub fn add(&self, rule: FaultRule) -> FaultId {
        let mut rules = self.rules();
        rules.push((rule, 0));
        FaultId(rules.len() - 1)
    }

    /// How often a rule has struck.
    pub fn fired(&self, id: FaultId) -> u64 {
        self.rules().get(id.0).map_or(0, |(_, fired)| *fired)
    }

    /// No rule strikes any more; the counts stay.
    pub fn disarm(&self) {
        self.rules().iter_mut().for_each(|(rule, _)| rule.count = 0);
    }

    /// What strikes this request, in the order of the rules. Counts it.
    pub(super) fn strike(&self, operation: Option<Operation>, key: &str) -> Vec<(When, Action)> {
        let mut struck = Vec::new();
        for (rule, fired) in self.rules().iter_mut() {
            if rule.count == 0 || !rule.matches(operation, key) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.count -= 1;
            *fired += 1;
            struck.push((rule.when, rule.action.clone()));
        }
        struck
    }

    fn rules(&self) -> MutexGuard<'_, Vec<(FaultRule, u64)>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_spare_then_strike_then_rest() {
        let faults = Faults::default();
        let id = faults
            .add(FaultRule::new(Action::Reset).on(Operation::Put).key("a/*").skip(1).times(2));
        let put = |key| !faults.strike(Some(Operation::Put), key).is_empty();
        assert!(!put("b"));
        assert_eq!([put("a/1"), put("a/2"), put("a/3"), put("a/4")], [false, true, true, false]);
        assert_eq!(faults.fired(id), 2);
        assert!(faults.strike(Some(Operation::Get), "a/1").is_empty());
    }

    #[test]
    fn globs_match_any_text() {
        for (pattern, key, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*.txt", "dir/中.txt", true),
            ("a*b*c", "aXbXbc", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(glob(pattern, key), expected, "{pattern} {key}");
        }
    }
}
