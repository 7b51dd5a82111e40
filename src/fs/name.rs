//! Names: one element of a key, and how paths and object keys correspond. The path below the mount point is
//! the key below the prefix; an element that cannot be a file's name is shown by another (`shown.rs`).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;

use crate::fs::attr::Kind;
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::InodeNo;
use crate::fs::shown::{self, Meant, NAME_BYTES};
use crate::store::{Key, Limits};

/// One component of a path, as the element of a key that it stands for: any UTF-8 without `/`, also what
/// no file can have as its name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// An element of a key as a name, or `None` for what is more than one element.
    pub fn from_key_component(text: &str) -> Option<Self> {
        (!text.contains('/')).then(|| Self(text.into()))
    }

    /// The name of the bytes that a directory's marker holds: the key of the marker is that of the directory,
    /// a slash, and this.
    pub fn of_marker() -> Self {
        Self("".into())
    }

    /// Whether it is [`of_marker`](Self::of_marker); or that of a directory, which has one more slash.
    pub fn is_marker(&self) -> bool {
        self.0.is_empty()
    }

    /// The element of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether something new can have this name in a directory: a name that is cut does not say what it
    /// stands for, and the key of a marker's bytes is the marker's.
    ///
    /// # Errors
    /// [`Meaning::Invalid`] and [`Meaning::NotPermitted`], in this order.
    pub fn check_new(&self, parent: InodeNo, kind: Kind) -> FsResult<()> {
        if shown::is_cut(&self.0, parent == InodeNo::ROOT) {
            return Err(Meaning::Invalid.into());
        }
        let refused = self.is_marker() && kind != Kind::Directory;
        if refused { Err(Meaning::NotPermitted.into()) } else { Ok(()) }
    }

    /// The name that users see in this directory.
    pub fn shown(&self, parent: InodeNo) -> Cow<'_, str> {
        shown::shown(&self.0, parent == InodeNo::ROOT)
    }
}

/// What the kernel means with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// This.
    Name(Name),
    /// What has a name that was cut, and begins so; the keys there are must tell.
    Cut(String),
    /// Nothing, and nothing can be made under it.
    Nothing,
}

impl Given {
    /// Checks what the kernel handed over as a name in this directory.
    ///
    /// Object keys are UTF-8 on all services, so other bytes are refused with `EILSEQ`, as file
    /// systems with a fixed character set do.
    pub fn from_kernel(parent: InodeNo, name: &OsStr) -> FsResult<Self> {
        if name.len() > NAME_BYTES {
            return Err(Meaning::NameTooLong.into());
        }
        let text = name.to_str().ok_or_else(|| {
            FsError::with_detail(Meaning::NotUtf8, format!("{name:?} is not UTF-8"))
        })?;
        Ok(match shown::meant(text, parent == InodeNo::ROOT) {
            Meant::Element(element) => {
                Name::from_key_component(&element).map_or(Self::Nothing, Self::Name)
            }
            Meant::Cut(beginning) => Self::Cut(beginning),
            Meant::Nothing => Self::Nothing,
        })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A path below the mount point: the elements of a key. Not the same: the root, and the empty element in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TreePath(Option<String>);

impl TreePath {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// From the components in order.
    pub fn from_names<'a>(names: impl DoubleEndedIterator<Item = &'a Name>) -> Self {
        let names: Vec<&str> = names.map(Name::as_str).collect();
        Self((!names.is_empty()).then(|| names.join("/")))
    }

    /// The path of an entry of this directory.
    pub fn child(&self, name: &Name) -> Self {
        Self(Some(format!("{}{}", self.key_prefix(), name.as_str())))
    }

    /// Whether a file here is the bytes of a marker.
    pub fn is_marker(&self) -> bool {
        self.0.as_ref().is_some_and(|text| text.is_empty() || text.ends_with('/'))
    }

    /// The key of the file at this path. A key longer than the service takes is `ENAMETOOLONG`.
    pub fn file_key(&self, limits: &Limits) -> FsResult<Key> {
        check_key(self.as_str().to_owned(), limits)
    }

    /// The key of the marker object of the directory at this path: with a trailing slash.
    pub fn marker_key(&self, limits: &Limits) -> FsResult<Key> {
        check_key(format!("{}/", self.as_str()), limits)
    }

    /// What all keys below this directory begin with: empty for the root.
    pub fn key_prefix(&self) -> String {
        self.0.as_ref().map_or_else(String::new, |text| format!("{text}/"))
    }

    /// For messages: as in the bucket.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
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
    fn kernel_names_get_the_errno_of_their_fault() {
        let given = |bytes: &[u8]| {
            Given::from_kernel(InodeNo::ROOT, OsStr::from_bytes(bytes))
                .map_err(|error| error.meaning())
        };
        assert_eq!(given(&[b'x'; 256]), Err(Meaning::NameTooLong));
        assert_eq!(given(b"\xff\xfe"), Err(Meaning::NotUtf8));
        assert_eq!(given(b"plain"), Ok(Given::Name(name("plain"))));
        assert_eq!(given(b"a/b"), Ok(Given::Nothing));
    }

    fn name(text: &str) -> Name {
        Name::from_key_component(text).unwrap()
    }

    #[test]
    fn paths_become_keys() {
        let path = TreePath::root().child(&name("a")).child(&name("b c"));
        assert_eq!(path.as_str(), "a/b c");
        assert_eq!(path.key_prefix(), "a/b c/");
        assert_eq!(TreePath::root().key_prefix(), "");
        assert_eq!(Name::from_key_component("a/b"), None);
    }

    #[test]
    fn empty_elements_are_elements() {
        let limits = crate::store::memory::SMALL_LIMITS;
        let key = |path: &TreePath| path.file_key(&limits).map(|key| key.as_str().to_owned());
        let (empty, x) = (Name::of_marker(), name("x"));
        let lead = TreePath::root().child(&empty);
        assert_eq!(lead.key_prefix(), "/");
        assert_eq!(key(&lead.child(&x)).unwrap(), "/x");
        assert_eq!(key(&lead.child(&empty)).unwrap(), "/");
        assert!(key(&lead).is_err(), "the empty key");
        assert_ne!(lead, TreePath::root());
        assert_eq!(TreePath::from_names([&empty].into_iter()), lead);
        assert_eq!(TreePath::from_names([&empty, &x].into_iter()), lead.child(&x));
        let marker = TreePath::root().child(&x).child(&empty);
        assert_eq!((key(&marker).unwrap().as_str(), marker.key_prefix().as_str()), ("x/", "x//"));
        assert!(marker.is_marker() && lead.is_marker() && !TreePath::root().is_marker());
        assert!(!lead.child(&x).is_marker());
    }
}
