//! The environment of the process, read once. Nothing outside this folder asks for it; tests bring
//! their own.

use std::collections::BTreeMap;
use std::fmt;

/// The variables that are text. Holds secrets: its `Debug` shows names only.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 are left out: no name or value
    /// of ours can be among them.
    pub(crate) fn of_process() -> Self {
        let texts = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self(texts.collect())
    }

    /// An environment of one variable, or of none.
    pub(crate) fn with(variable: Option<(&str, &str)>) -> Self {
        Self(variable.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    /// An environment of these variables.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    /// The value of a variable; one that is set to nothing counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl Environment {
    /// All variables.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
