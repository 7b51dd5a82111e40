//! The file system without a kernel: names, content, attributes, and what each costs.

mod appendables;
mod attributes;
mod belief;
mod copies;
mod copies_model;
mod early;
mod exclusive;
mod failures;
mod names;
mod odd_names;
mod part_copies;
mod phases;
mod readdir;
mod reads;
mod rename;
mod rename_gate;
mod rename_native;
mod rename_open;
mod rename_progress;
mod space;
mod times;
mod truncation;
mod two_mounts;
mod unlinked;
mod writes;
mod xattr;
