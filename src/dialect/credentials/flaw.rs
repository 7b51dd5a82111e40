//! What is wrong in a file of keys. Never repeats what is in it.

use std::fmt;

/// A mistake, and the line it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    line: Option<usize>,
    what: String,
}

impl Flaw {
    /// Lines are counted from 1.
    pub(super) fn at(line: usize, what: impl Into<String>) -> Self {
        Self { line: Some(line), what: what.into() }
    }

    /// Something that is missing is in no line.
    pub(super) fn of_file(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}
