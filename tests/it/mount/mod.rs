//! Real mounts, driven by real programs; the bucket is looked into without the mount.

mod append_object;
mod archives;
mod calls;
mod commit_rule;
mod copies;
mod costs;
mod databases;
mod dialects;
mod editors;
mod git;
mod killed_callers;
mod killed_writers;
mod large;
mod limits;
mod mappings;
mod odd_names;
mod programs;
mod reads;
mod reopens;
mod scripts;
mod synchronizing;
mod tree;
mod trees;
mod users;
mod writes;
mod xattr;
