//! The vocabulary of faults: what is done, to which requests, when and where. Values only.

use std::time::Duration;

use crate::store::Operation;
pub use crate::store::memory::Misassembly;

/// What is done to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answers with this status and error code.
    Status(u16, String),
    /// Closes the connection without an answer. In an answer's body: behind some of it.
    Reset,
    /// Never answers; the connection stays open.
    Stall,
    /// Of an answer: announces the whole body, sends half of it (or up to the rule's byte) and closes
    /// the connection. Of a request: the bytes up to the rule's byte are taken for all of it.
    Truncate,
    /// Flips a bit in the first byte (or the rule's byte) of the answer's body, or of the request's.
    Corrupt,
    /// Applies the request and closes the connection without an answer.
    DropResponse,
    /// Closes the connection without an answer and applies the request so much later.
    ApplyLate(Duration),
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
    /// Lets no more bytes per second through, in both directions.
    Rate(u64),
    /// States a wrong CRC-64 in the answer.
    WrongCrc,
    /// States a wrong ETag in the answer.
    WrongEtag,
    /// Leaves the header with the ETag out.
    MissingEtag,
    /// From this request on, the credentials are refused as expired, until others are set
    /// ([`set_credentials`](crate::mock::MockServer::set_credentials)).
    ExpireCredentials,
    /// To this request the server's clock is so many seconds ahead, or behind when negative: in the
    /// check of its signature and in the answer's `Date`.
    ClockOffset(i64),
    /// Answers 307 with this `Location`.
    RedirectTo(String),
    /// Answers with this status (200, 502 …) and a page of HTML, as a proxy in between does.
    ProxyPage(u16),
    /// Answers with this status and body, whatever they are.
    Answer {
        /// The status.
        status: u16,
        /// The `Content-Type`.
        content_type: String,
        /// The whole body.
        body: String,
    },
    /// The upload that the request names, or every upload of its key, is aborted as by a lifecycle rule.
    AbortUpload,
    /// A Complete makes another object of the parts than it was asked for.
    Misassemble(Misassembly),
}

/// Whether [`Action::Status`], [`Action::Reset`], [`Action::Stall`], [`Action::ErrorIn200`],
/// [`Action::RedirectTo`], [`Action::ProxyPage`], [`Action::Answer`] and [`Action::AbortUpload`] strike
/// before or after the request is applied. The other actions let it be applied always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// The request has no effect.
    #[default]
    Before,
    /// The request takes effect, but the client does not learn it.
    AfterApply,
}

/// A byte of a body, counted from 0, at which [`Action::Reset`], [`Action::Stall`], [`Action::Truncate`] and
/// [`Action::Corrupt`] strike. A body that ends before it is not struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Of the request, as it is on the wire.
    Request(u64),
    /// Of the answer.
    Answer(u64),
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
    /// So many are struck then; [`ALWAYS`](Self::ALWAYS) for all.
    pub count: u32,
    /// Before or after the request is applied.
    pub when: When,
    /// At which byte of which body, where the action has one; see [`Place`].
    pub at: Option<Place>,
    /// What is done.
    pub action: Action,
}

impl FaultRule {
    /// A count that does not end.
    pub const ALWAYS: u32 = u32::MAX;

    /// Strikes the first request to come, before it is applied.
    pub fn new(action: Action) -> Self {
        Self { operation: None, key: None, skip: 0, count: 1, when: When::Before, at: None, action }
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

    /// Strikes at this byte.
    pub fn at(mut self, place: Place) -> Self {
        self.at = Some(place);
        self
    }

    /// Whether the rule is for this request, of which the head announces so many bytes.
    pub(super) fn matches(
        &self,
        operation: Option<Operation>,
        key: &str,
        body_bytes: Option<u64>,
    ) -> bool {
        let reached = match (self.at, body_bytes) {
            (Some(Place::Request(byte)), Some(len)) => byte < len,
            _ => true,
        };
        (self.operation.is_none() || self.operation == operation)
            && self.key.as_ref().is_none_or(|pattern| pattern.matches(key))
            && reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_byte_that_is_not_in_the_body_is_waited_for() {
        let rule = FaultRule::new(Action::Corrupt).at(Place::Request(5));
        for (len, matches) in [(Some(5), false), (Some(6), true), (None, true)] {
            assert_eq!(rule.matches(None, "k", len), matches, "{len:?}");
        }
    }
}
