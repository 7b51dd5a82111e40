//! Access keys: where they come from, in which order, and how they are kept fresh. Knows no request of
//! an object store and no signature.
//!
//! [`Search`] says where is looked, [`CredentialCache`] holds what was found and renews it. The other
//! files are the places, one kind each.

mod aws;
mod cache;
mod cvm;
mod file;
mod flaw;
mod ini;
mod network;
mod own_file;
mod place;
mod role;
mod search;
mod tools;
mod variables;
mod yaml;

use std::fmt;
use std::time::SystemTime;

use thiserror::Error;

pub(crate) use cache::{CredentialCache, Rejection};
pub(crate) use own_file::read_secret;
pub use search::Search;
pub use variables::Variables;

/// A text that must not be seen: masked in `Debug`, without `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Only for a signature or a credential file; never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What requests are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The public half (COS: SecretId).
    pub access_key_id: String,
    /// The secret half (COS: SecretKey).
    pub secret_access_key: Secret,
    /// Token of temporary credentials.
    pub session_token: Option<Secret>,
    /// When they end, where that is known.
    pub expires: Option<SystemTime>,
}

impl Credentials {
    /// Keys that do not end.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<Secret>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            expires: None,
        }
    }

    /// The same with the token of temporary credentials.
    pub fn with_token(self, token: Option<impl Into<Secret>>) -> Self {
        Self { session_token: token.map(Into::into), ..self }
    }

    /// Whether requests signed with either are the same to the service.
    fn same_keys(&self, other: &Self) -> bool {
        self.access_key_id == other.access_key_id
            && self.secret_access_key == other.secret_access_key
            && self.session_token == other.session_token
    }

    /// Keys travel in headers; a stray newline would make every request fail obscurely.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let token = self.session_token.as_ref().map(Secret::expose);
        let texts = [Some(&*self.access_key_id), Some(self.secret_access_key.expose()), token];
        let good =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let all_good = texts.into_iter().flatten().all(good);
        let what = "the access key or its secret is empty or holds characters that no key has";
        all_good.then_some(()).ok_or(what)
    }
}

/// Where the credentials of a bucket come from. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// Nowhere: requests are not signed.
    Anonymous,
    /// These, for ever.
    Fixed(Credentials),
    /// The first place that has some, which is asked again before they end.
    Search(Box<Search>),
}

impl From<Credentials> for CredentialSource {
    fn from(credentials: Credentials) -> Self {
        Self::Fixed(credentials)
    }
}

/// Why there are no credentials. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// No place has any.
    #[error("no credentials found. They are looked for in {}", .0.join(", then in "))]
    NotFound(Vec<String>),
    /// One of two variables that belong together.
    #[error("{set} is set but {unset} is not")]
    HalfPair {
        /// The one that is set.
        set: &'static str,
        /// The other one.
        unset: &'static str,
    },
    /// A place has something that cannot be used.
    #[error("{place}: {what}")]
    Bad {
        /// The place in the user's words: a file, a variable.
        place: String,
        /// What is wrong, with the line.
        what: String,
    },
    /// A place did not answer; later it may.
    #[error("{place}: {what}")]
    Unavailable {
        /// The place in the user's words.
        place: String,
        /// What happened.
        what: String,
    },
}

impl CredentialError {
    fn bad(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Bad { place: place.into(), what: what.into() }
    }

    fn unavailable(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Unavailable { place: place.into(), what: what.into() }
    }
}

#[cfg(test)]
mod client_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        let credentials = Credentials {
            access_key_id: "AKID".into(),
            secret_access_key: "hush-key".into(),
            session_token: Some("hush-token".into()),
            expires: None,
        };
        let text = format!("{credentials:?} {credentials:#?}");
        assert!(text.contains("AKID") && text.contains("***"), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }
}
