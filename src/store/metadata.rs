//! User metadata of an object: a small ordered map of text that every service can carry. What the
//! entries mean (mode, mtime …) is decided in `fs/attr.rs`.

use std::collections::BTreeMap;

/// User metadata. Names are lower case and of `[a-z0-9-]` (COS forbids `_`); values printable ASCII.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// No entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Value of an entry.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets an entry; the name is lower-cased.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_ascii_lowercase(), value.into());
    }

    /// Removes an entry.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// All entries, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all names and values, as services count them against their limit.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// What [`bytes`](Self::bytes) may become on its way: clients percent-encode what is not printable
    /// ASCII, with three bytes for each, and the `%` then too.
    pub fn bytes_at_most(&self) -> usize {
        let encoded = |byte: u8| if matches!(byte, b'!'..=b'~') && byte != b'%' { 1 } else { 3 };
        let value_bytes = |value: &String| value.bytes().map(encoded).sum::<usize>();
        self.0.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut metadata = Self::new();
        for (name, value) in entries {
            metadata.set(&name.into(), value);
        }
        metadata
    }
}
