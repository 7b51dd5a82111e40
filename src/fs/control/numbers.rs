//! `.partfs/metrics`: what the process did ([`metrics`]), and the mount as it is now, made when the file is opened.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::fs::FileSystem;
use crate::metrics::{self, Now};
use crate::panics;

impl FileSystem {
    /// The numbers of `.partfs/metrics`, as text in the format of OpenMetrics.
    pub fn metrics(&self) -> Bytes {
        text(self)
    }
}

/// The content of the file.
pub(super) fn text(fs: &FileSystem) -> Bytes {
    let (writes, reads) = (fs.writers.stats(), fs.readers.stats());
    let is = |name, help, value| Now { name, help, value, counts: false };
    let counts = |name, help, value| Now { name, help, value, counts: true };
    let now = [
        is("memory_limit_bytes", "Bytes that reads and writes may hold", fs.budget.limit_bytes()),
        is("memory_free_bytes", "Bytes of that which nobody holds", fs.budget.free_bytes()),
        is("open_handles", "Files and directories open", fs.handles.count() as u64),
        is("inodes", "Inodes in memory", fs.inodes.len() as u64),
        is("waiting_calls", "Calls that wait for an answer", fs.waiting.all().len() as u64),
        is("background_tasks", "Work without a caller", fs.background.count() as u64),
        is("uploads_open", "Multipart uploads being filled", writes.uploads_open as u64),
        is("uploads_left_over", "Uploads kept to be continued", writes.leftovers as u64),
        is("unconfirmed_bytes", "Bytes on their way to the service", writes.bytes_in_flight),
        is("read_held_bytes", "Bytes held for readers", reads.held_bytes),
        counts("reads_from_memory", "Reads answered at once", reads.reads_from_memory),
        counts("reads_waited", "Reads that waited for the service", reads.reads_waited),
        counts("cache_hits", "Pieces taken from the cache", reads.cache_hits),
        counts("files_verified", "Files read whole and found right", reads.files_verified),
        counts("files_corrupt", "Files read whole and found wrong", reads.files_corrupt),
        counts(
            "killed_writers",
            "Files not published because their writer was killed",
            fs.killed_writers.load(Ordering::Relaxed),
        ),
        counts("hidden_keys", "Keys not shown", fs.hidden_keys.load(Ordering::Relaxed)),
        counts("panics", "Panics, each of which cost one call", panics::count()),
    ];
    metrics::text(&now).into()
}
