//! The environment as it was when the program began, as far as credentials are concerned, and the
//! places there that hold keys. Reads no environment itself.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;

use super::place::{Local, Look};
use super::{CredentialError, Credentials, Secret};

/// Variables of a process. Holds secrets: its `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The value of a variable; one that is set to nothing counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a variable that is a switch is on.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The directory of the user, in which tools keep their files.
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// All that are set to something.
    pub(super) fn to_map(&self) -> HashMap<String, String> {
        let set = self.0.iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Three variables that belong together.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) variables: Variables,
    pub(super) id: &'static str,
    pub(super) secret: &'static str,
    /// Names for the token of temporary credentials; the first that is set counts.
    pub(super) tokens: &'static [&'static str],
}

impl Local for Pair {
    fn name(&self) -> String {
        format!("{} and {}", self.id, self.secret)
    }

    fn look(&self) -> Result<Look, CredentialError> {
        match (self.variables.get(self.id), self.variables.get(self.secret)) {
            (Some(id), Some(secret)) => {
                let token = self.tokens.iter().find_map(|name| self.variables.get(name));
                Ok(Look::found(Credentials {
                    access_key_id: id.to_owned(),
                    secret_access_key: Secret::new(secret),
                    session_token: token.map(Secret::new),
                    expires: None,
                }))
            }
            (Some(_), None) => Err(CredentialError::HalfPair { set: self.id, unset: self.secret }),
            (None, Some(_)) => Err(CredentialError::HalfPair { set: self.secret, unset: self.id }),
            (None, None) => Ok(Look::nothing()),
        }
    }
}
