//! Real mounts, driven by real programs; the bucket is looked into without the mount.

mod append_object;
mod calls;
mod commit_rule;
mod copies;
mod dialects;
mod limits;
mod mappings;
mod programs;
mod reads;
mod tree;
mod users;
mod writes;
mod xattr;
