//! `.partfs/status.json`: the state of a mount in numbers and names, made when the file is opened. `partfs status` and
//! `partfs umount` read it back.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fs::failures::FailureStatus;
use crate::fs::handle::Handle;
use crate::fs::ops::rename_progress::RenameStatus;
use crate::fs::{FileSystem, InodeNo, Lacks, WaitStatus};
use crate::write::UploadProgress;
use crate::{metrics, panics};

/// Most files that are named; the others are counted.
const FILES: usize = 1000;

/// What `status.json` says. Fields may be added; none changes its meaning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Process number of the daemon.
    pub pid: u32,
    /// Version of partfs.
    pub version: String,
    /// What is mounted.
    pub source: String,
    /// Since when.
    pub mounted: Option<Timestamp>,
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
    /// Attempts at requests to the service.
    pub requests: u64,
    /// Those that tried again what had failed.
    pub retries: u64,
    /// Bytes in bodies of requests.
    pub bytes_sent: u64,
    /// Bytes in bodies of answers.
    pub bytes_received: u64,
    /// Reads answered from memory at once.
    pub reads_from_memory: u64,
    /// Reads that waited for the service.
    pub reads_waited: u64,
    /// Calls of programs that failed, expected ones too.
    pub failed_calls: u64,
    /// Files that were not published because the process that wrote them was killed.
    pub killed_writers: u64,
    /// Keys met in listings that are not shown, because the listing has cut them at other places than it
    /// was asked to.
    pub hidden_keys: u64,
    /// Panics of the daemon, each of which has cost one request.
    pub panics: u64,
    /// Files that were changed and are not, or not all, in the bucket; those that were opened first come first.
    pub files: Vec<FileStatus>,
    /// Such files that are not named.
    pub files_more: usize,
    /// The last operations that failed for a reason worth a line in the log, the oldest first.
    pub failures: Vec<FailureStatus>,
    /// Requests of programs that wait for an answer, the oldest first.
    pub waiting: Vec<WaitStatus>,
    /// Renames of directories that are under way, the oldest first.
    pub renames: Vec<RenameStatus>,
}

/// A file that was changed and is not, or not all, in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// Path in the mount.
    pub path: String,
    /// What is lacking.
    pub state: FileState,
    /// Bytes of the file as it is now.
    pub size: u64,
    /// Parts of its upload that were handed over; 0 while there is none.
    pub parts: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Parts that the service has confirmed.
    pub parts_confirmed: u64,
    /// Bytes of these.
    pub bytes_confirmed: u64,
    /// Processes that have it open for writing.
    pub writers: Vec<u32>,
}

/// What a file lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Somebody has it open for writing.
    Open,
    /// It was closed, or is being closed: the rest of its bytes is on its way.
    Closing,
    /// All bytes are stored; a changed mode, owner, time or attribute is not.
    Attributes,
}

/// The content of `status.json` now.
pub(super) fn status(fs: &FileSystem) -> Bytes {
    let (writes, reads, totals) = (fs.writers.stats(), fs.readers.stats(), metrics::totals());
    let (bytes_sent, bytes_received) = metrics::bytes();
    let mut files = fs.changed_files();
    let files_more = files.len().saturating_sub(FILES);
    files.truncate(FILES);
    let status = Status {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: fs.config.source.clone(),
        mounted: Timestamp::try_from(fs.began).ok(),
        last_words: fs.last_words.get().cloned(),
        open_handles: fs.handles.count(),
        inodes: fs.inodes.len(),
        background_tasks: fs.background.count(),
        uploads_open: writes.uploads_open,
        uploads_left_over: writes.leftovers,
        memory_limit_bytes: fs.budget.limit_bytes(),
        memory_free_bytes: fs.budget.free_bytes(),
        requests: totals.requests,
        retries: totals.retries,
        bytes_sent,
        bytes_received,
        reads_from_memory: reads.reads_from_memory,
        reads_waited: reads.reads_waited,
        failed_calls: totals.failed_calls,
        killed_writers: fs.killed_writers.load(Ordering::Relaxed),
        hidden_keys: fs.hidden_keys.load(Ordering::Relaxed),
        panics: panics::count(),
        files,
        files_more,
        failures: fs.failures.all(),
        waiting: fs.waiting.all(),
        renames: fs.renames.running(),
    };
    // Numbers and text only: cannot fail; an empty file would say so all the same.
    let mut text = serde_json::to_vec_pretty(&status).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

impl FileSystem {
    /// Renames of directories that are under way, the oldest first.
    pub fn running_renames(&self) -> Vec<RenameStatus> {
        self.renames.running()
    }

    /// What was changed and is not, or not all, in the bucket, by number of the inode.
    pub fn changed_files(&self) -> Vec<FileStatus> {
        let unsaved = self.unsaved();
        if unsaved.is_empty() {
            return Vec::new();
        }
        let mut writers = BTreeMap::<InodeNo, Vec<u32>>::new();
        for (_, handle) in self.handles.all() {
            if let Handle::File(file) = &*handle
                && file.writes
            {
                writers.entry(file.inode().ino).or_default().push(file.opener);
            }
        }
        let uploads = self.writers.uploads();
        let uploads: BTreeMap<_, _> = uploads.iter().map(|it| (it.key.as_str(), it)).collect();
        let files = unsaved.into_iter().filter_map(|file| {
            let state = match file.lacks {
                Lacks::Close => FileState::Open,
                Lacks::Content => FileState::Closing,
                Lacks::Attributes => FileState::Attributes,
                // Told of by itself.
                Lacks::Rename => return None,
            };
            let inode = self.inodes.get(file.ino);
            let key = self.inodes.path(file.ino);
            let key = key.and_then(|path| path.file_key(self.store.limits()).ok());
            let upload = key.as_ref().and_then(|key| uploads.get(key.as_str()));
            let upload = upload.filter(|_| state != FileState::Attributes);
            let of_upload = |part: fn(&UploadProgress) -> u64| upload.map_or(0, |it| part(it));
            Some(FileStatus {
                path: file.path,
                state,
                size: inode.map_or(0, |inode| inode.attr().size),
                parts: of_upload(|it| it.parts as u64),
                bytes: of_upload(|it| it.bytes),
                parts_confirmed: of_upload(|it| it.parts_confirmed as u64),
                bytes_confirmed: of_upload(|it| it.bytes_confirmed),
                writers: writers.remove(&file.ino).unwrap_or_default(),
            })
        });
        files.collect()
    }
}
