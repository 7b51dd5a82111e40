//! The last operations that failed for a reason worth a line in the log, for whoever looks at the status: most people
//! see an error number first, and do not know where the log is.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fs::FileSystem;
use crate::fs::error::FsError;
use crate::fs::ordered::{LEAF, Ordered};

/// So many are remembered.
const REMEMBERED: usize = 20;

/// An operation that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureStatus {
    /// When it failed.
    pub at: Option<Timestamp>,
    /// What was asked for: `close`, `read` …
    pub operation: String,
    /// Of which file, or of which name.
    pub path: String,
    /// What the program was told: `EIO` …; `None` where nobody was there to be told.
    pub errno: Option<String>,
    /// The service's own code: `AccessDenied` …
    pub code: Option<String>,
    /// HTTP status of the service's answer.
    pub status: Option<u16>,
    /// The service's id of the request, for its support desk.
    pub request_id: Option<String>,
    /// What happened.
    pub error: String,
}

/// The last ones, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Failures(Ordered<VecDeque<FailureStatus>, LEAF>);

impl Failures {
    pub(super) fn all(&self) -> Vec<FailureStatus> {
        self.0.lock().iter().cloned().collect()
    }

    fn add(&self, failure: FailureStatus) {
        let mut last = self.0.lock();
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back(failure);
    }
}

impl FileSystem {
    /// Shows a failure in the status. `errno`: what the program is told, if there is one.
    pub fn show_failure(
        &self,
        operation: &str,
        path: &str,
        errno: Option<&str>,
        failure: &FsError,
    ) {
        self.failures.add(FailureStatus {
            at: Timestamp::try_from(self.clock.now()).ok(),
            operation: operation.to_owned(),
            path: path.to_owned(),
            errno: errno.map(str::to_owned),
            code: failure.code().map(str::to_owned),
            status: failure.status(),
            request_id: failure.request_id().map(str::to_owned),
            error: failure.words(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let failures = Failures::default();
        for number in 0..50 {
            failures.add(FailureStatus {
                at: None,
                operation: "close".into(),
                path: number.to_string(),
                errno: None,
                code: None,
                status: None,
                request_id: None,
                error: String::new(),
            });
        }
        let paths: Vec<String> = failures.all().into_iter().map(|failure| failure.path).collect();
        assert_eq!(paths, (30..50).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}
