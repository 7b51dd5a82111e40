//! The file system without a kernel: names, content, attributes, and what each costs.

mod attributes;
mod failures;
mod names;
mod readdir;
mod rename;
mod writes;
