//! The operations of the file system, one file per family.

pub mod attributes;
pub mod commit;
pub mod copy;
pub mod create;
pub mod dir;
pub mod drain;
pub mod io;
pub mod lookup;
pub(in crate::fs) mod marker;
pub(in crate::fs) mod names;
pub mod open;
pub mod remove;
pub mod rename;
pub(in crate::fs) mod rename_again;
mod rename_directory;
mod rename_native;
pub mod rename_progress;
pub mod settle;
pub mod space;
pub mod xattr;
