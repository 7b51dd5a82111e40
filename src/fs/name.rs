//! Names: one valid component of a path, and how paths and object keys correspond. The mapping is
//! the identity: the path below the mount point is the key below the prefix.

use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;

use crate::fs::error::{FsError, FsResult, Meaning};
use crate::store::{Key, Limits};

/// The longest component that Linux accepts (`NAME_MAX`), in bytes.
pub const NAME_BYTES: usize = 255;

/// One component of a path that is also a component of a key: 1 to 255 bytes of UTF-8, without `/`
/// and NUL, not `.` or `..`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks what the kernel handed over.
    ///
    /// Object keys are UTF-8 on all services, so other bytes are refused with `EILSEQ`, as file
    /// systems with a fixed character set do.
    pub fn from_kernel(name: &OsStr) -> FsResult<Self> {
        if name.len() > NAME_BYTES {
            return Err(Meaning::NameTooLong.into());
        }
        let text = name.to_str().ok_or_else(|| {
            FsError::with_detail(Meaning::NotUtf8, format!("{name:?} is not UTF-8"))
        })?;
        Self::from_key_component(text).ok_or_else(|| Meaning::Invalid.into())
    }

    /// A component of a key as a name, or `None` when no file can have that name. Such keys are
    /// hidden from listings and counted; a name with `/` or of length 0 would make the kernel drop
    /// the rest of the directory silently.
    pub fn from_key_component(text: &str) -> Option<Self> {
        let valid = !text.is_empty()
            && text.len() <= NAME_BYTES
            && text != "."
            && text != ".."
            && !text.contains(['/', '\0']);
        valid.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For replies to the kernel.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::new(&*self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A path below the mount point, without a leading slash; empty for the root.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TreePath(String);

impl TreePath {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// From the components in order.
    pub fn from_names<'a>(names: impl DoubleEndedIterator<Item = &'a Name>) -> Self {
        let names: Vec<&str> = names.map(Name::as_str).collect();
        Self(names.join("/"))
    }

    /// Whether it is the mount point itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of an entry of this directory.
    pub fn child(&self, name: &Name) -> Self {
        if self.is_root() {
            Self(name.as_str().to_owned())
        } else {
            Self(format!("{}/{}", self.0, name.as_str()))
        }
    }

    /// The key of the file at this path. A key longer than the service takes is `ENAMETOOLONG`.
    pub fn file_key(&self, limits: &Limits) -> FsResult<Key> {
        check_key(self.0.clone(), limits)
    }

    /// The key of the marker object of the directory at this path: with a trailing slash.
    pub fn marker_key(&self, limits: &Limits) -> FsResult<Key> {
        check_key(format!("{}/", self.0), limits)
    }

    /// What all keys below this directory begin with: empty for the root.
    pub fn key_prefix(&self) -> String {
        if self.is_root() { String::new() } else { format!("{}/", self.0) }
    }

    /// For messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_key(text: String, limits: &Limits) -> FsResult<Key> {
    if text.len() > limits.key_bytes {
        return Err(Meaning::NameTooLong.into());
    }
    Key::new(text).map_err(|invalid| FsError::with_detail(Meaning::Invalid, invalid.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn only_names_that_a_directory_can_show() {
        for bad in ["", ".", "..", "a/b", "a\0b", &"x".repeat(256)] {
            assert_eq!(Name::from_key_component(bad), None, "{bad:?}");
        }
        for good in ["a", "...", " ", "\u{1}", "Ω", &"x".repeat(255)] {
            assert!(Name::from_key_component(good).is_some(), "{good:?}");
        }
    }

    #[test]
    fn kernel_names_get_the_errno_of_their_fault() {
        let meaning = |bytes: &[u8]| {
            Name::from_kernel(OsStr::from_bytes(bytes)).map_err(|error| error.meaning())
        };
        assert_eq!(meaning(&[b'x'; 256]), Err(Meaning::NameTooLong));
        assert_eq!(meaning(b"\xff\xfe"), Err(Meaning::NotUtf8));
        assert!(meaning(b"plain").is_ok());
    }

    #[test]
    fn paths_become_keys() {
        let name = |text| Name::from_key_component(text).unwrap();
        let path = TreePath::root().child(&name("a")).child(&name("b c"));
        assert_eq!(path.as_str(), "a/b c");
        assert_eq!(path.key_prefix(), "a/b c/");
        assert_eq!(TreePath::root().key_prefix(), "");
    }
}
