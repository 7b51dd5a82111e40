//! partfs mounts an object-storage bucket as a directory. Files are uploaded in parallel parts while they
//! are being written, and `close()` tells whether the bucket has them.
//!
//! # The life of one write
//!
//! 1. The kernel sends WRITE to a dispatch thread, which [`fuse`] turns into
//!    [`FileSystem::try_write`](fs::FileSystem::try_write).
//! 2. [`fs`] finds the handle, its inode and the inode's one [`FileWriter`](struct@write::FileWriter).
//! 3. [`mod@write`] copies the bytes into the part that is being filled, with the CRC-64 on the way. If there is
//!    room, the answer goes back from here, without a task and without a wait.
//! 4. A part that is full goes to [`store::ObjectStore::put_part`], while the next one is filled.
//! 5. [`dialect`] makes a request of the service from it, signed anew for each attempt of [`http`], and checks the
//!    checksum that the service answers with (QingStor has none, and is sent the MD5).
//! 6. `close()` sends FLUSH: [`fs`] decides whether this close publishes, [`mod@write`] sends the rest and completes the
//!    upload, and the outcome is the result of `close()`.
//!
//! # The life of one read
//!
//! 1. READ becomes [`FileSystem::try_read`](fs::FileSystem::try_read): what is in memory is answered at once.
//! 2. The rest goes to the handle's [`FileReader`](read::FileReader), which guesses from the pattern of the reads what comes
//!    next, and keeps a window of ranged GETs in flight, all for one version of the object.
//! 3. [`store::ObjectStore::get`] is answered by [`dialect`] and [`http`] as for a write; the chunks are kept as they
//!    arrive.
//!
//! `docs/ARCHITECTURE.md` tells who may import whom, and what was decided for good.

pub mod blocking;
pub mod budget;
pub mod cli;
pub mod clock;
pub mod crash;
pub mod dialect;
pub mod fs;
pub mod fuse;
pub mod http;
pub mod metrics;
pub mod mock;
pub mod mount;
pub mod panics;
pub mod read;
pub mod store;
mod sync;
pub mod telemetry;
pub mod write;
