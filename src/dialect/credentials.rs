//! Access keys as the signers need them. Where they come from is decided elsewhere.

use std::fmt;

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        let credentials = Credentials {
            access_key_id: "AKID".into(),
            secret_access_key: "hush-key".into(),
            session_token: Some("hush-token".into()),
        };
        let text = format!("{credentials:?} {credentials:#?}");
        assert!(text.contains("AKID") && text.contains("***"), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }
}
