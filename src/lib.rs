//! partfs mounts an object-storage bucket as a directory.
//!
//! **The life of a write.** The kernel sends WRITE to [`fuse`], which copies the bytes out of the
//! request and asks [`fs`]; that finds the open file and hands the bytes to its writer in [`write`](mod@write),
//! which fills a part. A full part goes through the trait of [`store`] to the client in [`dialect`],
//! which signs it and sends it over [`http`], while the next part is being filled. The flush that
//! `close()` causes completes the upload; its answer is the result of `close()`.
//!
//! **The life of a read.** READ goes the same way to the file's reader in [`read`], which answers from
//! blocks it has fetched ahead, or fetches them from the store.
//!
//! Calls go down this list, only values come up:
//!
//! - [`cli`]: what the user says; [`mount`]: builds all layers, life of the process
//! - [`fuse`]: the kernel's language; [`fs`]: names, inodes, handles
//! - [`write`](mod@write) and [`read`]: bytes to objects and back
//! - [`store`]: the object store as partfs sees it; [`dialect`]: the services; [`http`]: one request
//! - [`mock`]: the services, embedded
//! - [`budget`], [`clock`], [`telemetry`]: memory, time, logs

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
pub mod telemetry;
pub mod write;
