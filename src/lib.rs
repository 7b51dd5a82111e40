//! partfs mounts an object-storage bucket as a directory.

pub mod budget;
pub mod cli;
pub mod clock;
pub mod dialect;
pub mod fs;
pub mod fuse;
pub mod http;
pub mod mock;
pub mod mount;
pub mod read;
pub mod store;
pub mod write;
