//! `.partfs/status.json`: the state of a mount in numbers and names, made when the file is opened.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::Serialize;

use crate::fs::ops::rename_progress::RenameStatus;
use crate::fs::{FileSystem, WaitStatus};
use crate::panics;

/// What `status.json` says.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Process number of the daemon.
    pub pid: u32,
    /// Version of partfs.
    pub version: &'static str,
    /// What is mounted.
    pub source: String,
    /// Socket, in the abstract namespace, at which the daemon tells how the mount ends; `null` where there
    /// is none.
    pub last_words: Option<String>,
    /// Files and directories open.
    pub open_handles: usize,
    /// Inodes in memory.
    pub inodes: usize,
    /// Work that goes on after its caller was answered.
    pub background_tasks: usize,
    /// Multipart uploads that are being filled.
    pub uploads_open: usize,
    /// Uploads that were cut off and are kept to be continued.
    pub uploads_left_over: usize,
    /// Bytes that reads and writes may hold together.
    pub memory_limit_bytes: u64,
    /// Bytes of that which nobody holds now.
    pub memory_free_bytes: u64,
    /// Files that were not published because the process that wrote them was killed.
    pub killed_writers: u64,
    /// Keys met in listings that are not shown, because the listing has cut them at other places than it
    /// was asked to.
    pub hidden_keys: u64,
    /// Panics of the daemon, each of which has cost one request.
    pub panics: u64,
    /// Requests of programs that wait for an answer, the oldest first.
    pub waiting: Vec<WaitStatus>,
    /// Renames of directories that are under way, the oldest first.
    pub renames: Vec<RenameStatus>,
}

/// The content of `status.json` now.
pub(super) fn status(fs: &FileSystem) -> Bytes {
    let writes = fs.writers.stats();
    let status = Status {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        source: fs.config.source.clone(),
        last_words: fs.last_words.get().cloned(),
        open_handles: fs.handles.count(),
        inodes: fs.inodes.len(),
        background_tasks: fs.background.count(),
        uploads_open: writes.uploads_open,
        uploads_left_over: writes.leftovers,
        memory_limit_bytes: fs.budget.limit_bytes(),
        memory_free_bytes: fs.budget.free_bytes(),
        killed_writers: fs.killed_writers.load(Ordering::Relaxed),
        hidden_keys: fs.hidden_keys.load(Ordering::Relaxed),
        panics: panics::count(),
        waiting: fs.waiting.all(),
        renames: fs.renames.running(),
    };
    // Numbers and text only: cannot fail; an empty file would say so all the same.
    let mut text = serde_json::to_vec_pretty(&status).unwrap_or_default();
    text.push(b'\n');
    text.into()
}
