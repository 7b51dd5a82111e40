//! Operations as data, and how they are generated. The alphabet is tiny, so that names collide; numbers of
//! handles and keys wrap, so that every sequence means something.

use proptest::prelude::*;

use super::paths::long_name;

/// First part of a file, in bytes.
pub const PART: u64 = 64;

/// One thing that a program, another tool, the kernel or time does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Leaves a handle open.
    Create {
        path: &'static str,
        exclusive: bool,
        truncate: bool,
    },
    /// Leaves a handle open.
    Open {
        path: &'static str,
        write: bool,
        truncate: bool,
    },
    Write {
        handle: u8,
        at: u64,
        len: usize,
    },
    /// At the end of the content.
    Append {
        handle: u8,
        len: usize,
    },
    Read {
        handle: u8,
        at: u64,
        len: u32,
    },
    /// ftruncate.
    Cut {
        handle: u8,
        size: u64,
    },
    /// truncate(2).
    CutPath {
        path: &'static str,
        size: u64,
    },
    /// The close of a duplicate of the descriptor.
    Flush {
        handle: u8,
    },
    Fsync {
        handle: u8,
    },
    Close {
        handle: u8,
    },
    /// The end of a mapping, or of a killed process: nobody hears a result.
    Release {
        handle: u8,
    },
    Mkdir {
        path: &'static str,
    },
    Rmdir {
        path: &'static str,
    },
    Unlink {
        path: &'static str,
    },
    Symlink {
        path: &'static str,
    },
    Rename {
        from: &'static str,
        to: &'static str,
        no_replace: bool,
    },
    Chmod {
        path: &'static str,
        mode: u32,
    },
    SetTime {
        path: &'static str,
        seconds: u64,
    },
    /// Another tool stores an object, and so much time passes that nothing older is believed.
    RemotePut {
        key: &'static str,
        len: usize,
    },
    /// Likewise; which of the keys there are.
    RemoteDelete {
        which: u8,
    },
    /// The kernel forgets every inode.
    Forget,
    /// Everything the mount believes of the bucket becomes too old.
    Wait,
    /// All handles are closed, the mount ends, and another begins.
    Remount,
}

/// How closely the tree is looked at after an operation. Looking asks the bucket, so that what is believed
/// is renewed: the less is looked, the more is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// At the bucket only.
    Away,
    /// readdir.
    Names,
    /// readdirplus.
    Attributes,
    /// Lookups, also of names that are not there.
    Lookups,
    /// readdir, and the bytes of all files.
    Contents,
}

/// What happens, and how the result is looked at.
pub type Step = (Op, Look);

/// The paths of operations.
pub static PATHS: [&str; 14] = [
    "a", "b", "c", "a/a", "a/b", "a/c", "b/a", "b/b", "b/c", "c/a", "a/a/a", "a/a/b", "a/b/c",
    "b/a/b",
];

/// The path of [`LONG`].
pub const LONG_PATH: &str = concat!("a/", long_name!());

/// Paths of what no file can have as its name, of the bytes of markers, and of what nothing can be.
pub static ODD_PATHS: [&str; 16] = [
    "@partfs:",
    "@partfs:/a",
    "@partfs:.partfs",
    "@partfs:.partfs/x",
    "a/@partfs:",
    "a/@partfs:/b",
    "a/@partfs:%2E",
    "a/@partfs:%2E/b",
    "a/@partfs:@partfs:",
    "a/b/@partfs:%00",
    "a/b/@partfs:",
    "b/@partfs:",
    "b/@partfs:/@partfs:",
    "b/@partfs:a",
    LONG_PATH,
    concat!("b/", long_name!(), "/a"),
];

/// A key with a component of 256 bytes, one more than a name may have.
pub const LONG: &str = concat!(
    "a/",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
);

/// Keys that other tools store beside those of [`PATHS`]: markers, and what cannot be a name.
static KEYS: [&str; 17] = [
    "a/",
    "b/",
    "a/a/",
    "a/b/",
    "c/",
    "a//b",
    "a/./b",
    "b/../b",
    "/a",
    "b//",
    ".partfs",
    ".partfs/x",
    "a/\u{1}",
    "a-b",
    "a/b/\0",
    "a/@partfs:",
    LONG,
];

fn path() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => prop::sample::select(&PATHS[..3]),
        8 => prop::sample::select(&PATHS[3..]),
        3 => prop::sample::select(&ODD_PATHS[..]),
    ]
}

fn key() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => prop::sample::select(&PATHS[..]), 2 => prop::sample::select(&KEYS[..])]
}

fn op() -> impl Strategy<Value = Op> {
    let most = 5 * PART;
    let handle = any::<u8>;
    let len = || prop_oneof![1usize..=20, 1usize..=(4 * PART as usize)];
    prop_oneof![
        8 => (path(), any::<bool>(), any::<bool>())
            .prop_map(|(path, exclusive, truncate)| Op::Create { path, exclusive, truncate }),
        6 => (path(), any::<bool>(), any::<bool>()).prop_map(|(path, write, truncate)| Op::Open {
            path,
            write,
            truncate: write && truncate,
        }),
        5 => (handle(), 0..most, len()).prop_map(|(handle, at, len)| Op::Write { handle, at, len }),
        6 => (handle(), len()).prop_map(|(handle, len)| Op::Append { handle, len }),
        5 => (handle(), 0..most, 1..200u32).prop_map(|(handle, at, len)| Op::Read { handle, at, len }),
        2 => (handle(), 0..most).prop_map(|(handle, size)| Op::Cut { handle, size }),
        2 => (path(), 0..most).prop_map(|(path, size)| Op::CutPath { path, size }),
        2 => handle().prop_map(|handle| Op::Flush { handle }),
        2 => handle().prop_map(|handle| Op::Fsync { handle }),
        8 => handle().prop_map(|handle| Op::Close { handle }),
        1 => handle().prop_map(|handle| Op::Release { handle }),
        6 => path().prop_map(|path| Op::Mkdir { path }),
        4 => path().prop_map(|path| Op::Rmdir { path }),
        4 => path().prop_map(|path| Op::Unlink { path }),
        1 => path().prop_map(|path| Op::Symlink { path }),
        10 => (path(), path(), prop::bool::weighted(0.2))
            .prop_map(|(from, to, no_replace)| Op::Rename { from, to, no_replace }),
        2 => (path(), prop::sample::select(vec![0o600, 0o711, 0o755]))
            .prop_map(|(path, mode)| Op::Chmod { path, mode }),
        1 => (path(), 1_000_000_000u64..1_000_000_009)
            .prop_map(|(path, seconds)| Op::SetTime { path, seconds }),
        5 => (key(), prop_oneof![Just(0usize), 1usize..200])
            .prop_map(|(key, len)| Op::RemotePut { key, len }),
        2 => any::<u8>().prop_map(|which| Op::RemoteDelete { which }),
        2 => Just(Op::Forget),
        1 => Just(Op::Wait),
        1 => Just(Op::Remount),
    ]
}

fn look() -> impl Strategy<Value = Look> {
    prop_oneof![
        6 => Just(Look::Away),
        1 => Just(Look::Names),
        1 => Just(Look::Attributes),
        2 => Just(Look::Lookups),
        1 => Just(Look::Contents),
    ]
}

/// Sequences of operations.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((op(), look()), 1..40)
}
