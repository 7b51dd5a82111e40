//! Extended attributes and how they live in object metadata, as s3fs, cosfs and ossfs keep them: the entry
//! `xattr` is a JSON object of names and base64 values. Those tools percent-encode it, which is what
//! clients do with metadata anyhow where it is needed.
//!
//! Only `user.*` is shown and changed. Entries of other names, and values that are no base64, were written
//! by others for a reason that we do not know: they stay.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::store::Metadata;

/// The name of the metadata entry.
pub const ENTRY: &str = "xattr";

/// What the names begin with that belong to users.
const USER: &str = "user.";

/// Whether a name is one that programs may use as they like: `user.` and something.
pub fn is_user(name: &str) -> bool {
    name.strip_prefix(USER).is_some_and(|rest| !rest.is_empty() && !rest.contains('\0'))
}

/// The extended attributes of one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Xattrs(Map<String, Value>);

/// The metadata entry is not what s3fs and we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl Xattrs {
    /// Those in the metadata of an object; none where the entry is absent.
    ///
    /// # Errors
    /// [`Unreadable`] when the entry is no JSON object.
    pub fn read(metadata: &Metadata) -> Result<Self, Unreadable> {
        let Some(text) = metadata.get(ENTRY) else { return Ok(Self::default()) };
        let parse = |text: &str| serde_json::from_str(text).ok();
        // Decoded already, unless it was encoded twice.
        let decoded = || percent_decode_str(text).decode_utf8().ok().and_then(|text| parse(&text));
        parse(text).or_else(decoded).map(Self).ok_or(Unreadable)
    }

    /// Writes them into the metadata of an object.
    pub fn store(&self, metadata: &mut Metadata) {
        if self.0.is_empty() {
            metadata.remove(ENTRY);
        } else {
            metadata.set(ENTRY, Value::Object(self.0.clone()).to_string());
        }
    }

    /// The value of a user's attribute.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        if !is_user(name) {
            return None;
        }
        STANDARD.decode(self.0.get(name)?.as_str()?).ok()
    }

    /// The names of the user's attributes, ordered.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| self.get(name).is_some())
    }

    /// Bytes of the metadata entry.
    pub fn bytes(&self) -> usize {
        if self.0.is_empty() { 0 } else { Value::Object(self.0.clone()).to_string().len() }
    }

    /// Sets a value.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.0.insert(name.to_owned(), Value::String(STANDARD.encode(value)));
    }

    /// Removes an attribute.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Xattrs, Unreadable> {
        Xattrs::read(&[(ENTRY, text)].into_iter().collect())
    }

    #[test]
    fn what_s3fs_writes_is_read() {
        let plain = read(r#"{"user.colour":"Z3JlZW4=","user.empty":""}"#).unwrap();
        assert_eq!(plain.get("user.colour").unwrap(), b"green");
        assert_eq!(plain.get("user.empty").unwrap(), b"");
        assert_eq!(plain.names().collect::<Vec<_>>(), ["user.colour", "user.empty"]);
        let encoded = read("%7B%22user.colour%22%3A%22Z3JlZW4%3D%22%7D").unwrap();
        assert_eq!(encoded.get("user.colour").unwrap(), b"green");
    }

    #[test]
    fn what_is_written_is_what_s3fs_reads() {
        let (mut xattrs, mut metadata) = (Xattrs::default(), Metadata::new());
        xattrs.set("user.b", b"\xff\xfe\xfd");
        xattrs.set("user.a", b"");
        xattrs.store(&mut metadata);
        assert_eq!(metadata.get(ENTRY), Some(r#"{"user.a":"","user.b":"//79"}"#));
        xattrs.remove("user.a");
        xattrs.remove("user.b");
        xattrs.store(&mut metadata);
        assert_eq!(metadata.get(ENTRY), None, "nothing is left of the last one");
    }

    #[test]
    fn what_is_not_understood_is_hidden_and_stays() {
        let text =
            r#"{"security.x":"AA==","user.broken":"?","user.number":7,"trusted.y":{"z":[]}}"#;
        let mut xattrs = read(text).unwrap();
        assert_eq!(xattrs.names().count(), 0);
        assert_eq!(xattrs.get("security.x"), None);
        xattrs.set("user.a", b"");
        let mut metadata = Metadata::new();
        xattrs.store(&mut metadata);
        let stored: Value = serde_json::from_str(metadata.get(ENTRY).unwrap()).unwrap();
        let mut expected: Value = serde_json::from_str(text).unwrap();
        expected["user.a"] = "".into();
        assert_eq!(stored, expected);
    }

    #[test]
    fn only_the_names_of_users() {
        for name in ["user.a", "user.a.b", "user. ", "user.Ω"] {
            assert!(is_user(name), "{name:?}");
        }
        for name in
            ["", "user", "user.", "USER.a", "security.capability", "system.posix_acl_access"]
        {
            assert!(!is_user(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn values_survive(value: Vec<u8>, name in "user\\.\\PC{1,20}") {
            let (mut xattrs, mut metadata) = (Xattrs::default(), Metadata::new());
            xattrs.set(&name, &value);
            xattrs.store(&mut metadata);
            prop_assert_eq!(Xattrs::read(&metadata).unwrap().get(&name), Some(value));
        }

        #[test]
        fn no_metadata_panics(text in ".*") {
            if let Ok(xattrs) = read(&text) {
                let _ = xattrs.names().count();
            }
        }
    }
}
