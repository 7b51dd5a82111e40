//! The file system without a kernel: names, content, attributes, and what each costs.

mod attributes;
mod belief;
mod early;
mod exclusive;
mod failures;
mod names;
mod readdir;
mod rename;
mod rename_native;
mod rename_open;
mod truncation;
mod writes;
mod xattr;
