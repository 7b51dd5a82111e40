//! Bytes → parts → object: the write pipeline of a mount.
//!
//! One [`FileWriter`] per file takes bytes in any order and publishes them as one object. Bytes that
//! arrive in order fill a part in memory; when the first part is full an upload is opened and parts
//! go out in parallel while the file is being written. A part that is too large for memory (in a file
//! above 19 GiB, by default) fills a temporary file of its own and is sent from there. Parts that were
//! sent are kept while nobody needs their memory, and a kept part that changes is sent again. Anything
//! else – a write in the middle of what was sent, a change of an existing object – makes the content a
//! list of extents: ranges of objects, bytes in an unlinked temporary file, holes. Of these the object
//! is composed, by copies on the server and by what has to be sent. Knows no inodes, handles, kernel,
//! HTTP or services; only [`store::ObjectStore`](crate::store::ObjectStore).
//!
//! - `plan`: part sizes, pure. `upload`: one multipart upload as a state machine, pure.
//!   `driver`: runs its commands. `under_way`: those that are open. `sum`: what the object must be, pure.
//! - `extents`: what content consists of, pure. `compose`: extents to parts, pure. `edit`: extents and
//!   the temporary file.
//! - `room`: waiting for memory. `part`: blocks of it. `keep`: parts that were sent and are still here. `staging`: the temporary
//!   file. `flight`: what is on its way.
//! - `file_writer`: the public face; `content`: what a file consists of; `live`: content in
//!   memory and parts; `slow_path`: whatever may wait; `change`: moves content to where it can be
//!   changed or read; `publish`: commits; `append`: where the service can add to an object.
//!
//! # Contract
//! A store must not keep the chunks of a [`Payload`](crate::store::Payload) after it has answered: they
//! are the memory of the mount. A store that remembers bytes copies them.
//!
//! # Memory
//! Whoever holds a block holds its permit of the budget. A writer waits for memory only while bytes
//! are in flight to the store, because those come back by themselves; if nothing is in flight, all
//! memory is held by half-filled parts of files that may stay so for hours, and the writer sends its
//! part early or goes on in a temporary file. Parts that are kept after they were sent go before any
//! of this, and as soon as a reader needs the room. What is on its way between disk and store has a small
//! account of its own (`shared`), so it moves even then. So no writer waits for another one's user.
//!
//! # Disk
//! A part in a file is held until it is confirmed, and a file has at most `max_requests` of them on
//! their way while it fills one more. When the disk is full, a file that is being streamed waits for
//! its own parts.

mod abort;
mod append;
mod change;
mod compose;
mod content;
mod driver;
mod edit;
mod error;
mod extents;
mod file_writer;
mod flight;
mod journal;
mod keep;
mod leftovers;
mod listed;
mod live;
mod part;
mod plan;
mod publish;
mod resume;
mod room;
mod settling;
mod shared;
mod slow_path;
mod staging;
mod sum;
mod under_way;
mod upload;

#[cfg(test)]
mod fake_tests;
#[cfg(test)]
mod keep_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod tight_tests;
#[cfg(test)]
mod writer_tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use content::RemoteObject;
pub use error::WriteError;
pub use file_writer::{FileWriter, Held};
pub use leftovers::{JournalConfig, OnLeftover};

use crate::budget::Budget;
use crate::clock::Clock;
use crate::store::{Checksum, Key, ObjectStore, ObjectVersion, PutOptions, UploadId};
use shared::Shared;

/// How a mount writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteConfig {
    /// Size of the first part, and of the largest file that is sent by one PUT, in bytes. Bent to the
    /// service's limits and to a quarter of the budget. Later parts grow beyond.
    pub part_bytes: u64,
    /// Size of a block of memory, in bytes; at least 1.
    pub block_bytes: usize,
    /// Most bodies (parts and PUTs) in flight at a time for the whole mount; at least 1.
    pub max_requests: usize,
    /// Where temporary files are made. They have no name and mode 0600.
    pub staging_dir: PathBuf,
    /// How long a commit may take.
    pub close_timeout: Duration,
    /// Where uploads are written down; `None`: nowhere, and those that fail are aborted.
    pub journal: Option<JournalConfig>,
}

impl WriteConfig {
    /// The defaults, with temporary files in `staging_dir`.
    pub fn new(staging_dir: PathBuf) -> Self {
        Self {
            part_bytes: 8 << 20,
            block_bytes: 1 << 20,
            max_requests: 8,
            staging_dir,
            close_timeout: Duration::from_secs(600),
            journal: None,
        }
    }
}

/// What is on its way in a mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteStats {
    /// Bytes of parts and PUTs handed over and not confirmed yet (sent, or waiting for their turn).
    pub bytes_in_flight: u64,
    /// Parts and PUTs that are being sent now.
    pub requests_in_flight: usize,
    /// Multipart uploads that were opened and are neither completed nor cleaned up.
    pub uploads_open: usize,
    /// Uploads that were cut off and are kept to be continued.
    pub leftovers: usize,
}

/// A multipart upload of this mount that is neither completed nor cleaned up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadProgress {
    /// Where the object will appear.
    pub key: Key,
    /// The service's name for it; `None` while Initiate is on its way.
    pub id: Option<UploadId>,
    /// Parts handed over so far.
    pub parts: usize,
    /// Bytes of these.
    pub bytes: u64,
    /// Parts that the service has confirmed. 0 after a failure.
    pub parts_confirmed: usize,
    /// Bytes of these.
    pub bytes_confirmed: u64,
}

/// Content of a file before its first change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// None: a new file, or one that was opened with O_TRUNC. It is dirty from the start, so that an
    /// empty file is published too.
    Empty,
    /// An object.
    Object {
        /// Where it is.
        key: Key,
        /// Which version; another one found there is [`WriteError::Stale`].
        version: ObjectVersion,
        /// CRC-64 of the whole object, if known.
        checksum: Option<Checksum>,
        /// Whether the service can copy it ([`Limits::can_copy`](crate::store::Limits::can_copy)).
        copyable: bool,
    },
}

/// What a commit published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The new version.
    pub version: ObjectVersion,
    /// CRC-64 of the object, of the service's kind where it has one; `None` where not all bytes are known.
    pub checksum: Option<Checksum>,
    /// What really went with the PUT or Initiate: compare to know whether newer metadata still must
    /// be copied on. For an object that was never changed: the default.
    pub options_sent: PutOptions,
    /// Whether it was a multipart upload, not a PUT.
    pub by_upload: bool,
    /// Whether bytes were only added: then the object keeps the properties it had, and `options_sent`
    /// were not sent.
    pub appended: bool,
    /// Whether the object was made by append.
    pub appendable: bool,
    /// Which publication of its writer this was, from 1; 0 is the object that the writer began with.
    pub publication: u64,
}

/// All writers of a mount: they share memory, requests and the store.
#[derive(Debug)]
pub struct Writers {
    shared: Arc<Shared>,
}

impl Writers {
    /// Writers over `store`, with memory from `budget` and tasks on `runtime`.
    ///
    /// Takes a small part of the budget for good (an eighth, at most 16 MiB): the memory for bytes on
    /// their way between disk and store. With a journal, takes over what dead mounts have left in it:
    /// reads its folder at once, and asks the store for it in the background.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        budget: Budget,
        config: WriteConfig,
        clock: &Arc<dyn Clock>,
        runtime: tokio::runtime::Handle,
    ) -> Arc<Self> {
        let shared = Shared::new(store, budget, config, clock, runtime.clone());
        if let Some(leftovers) = &shared.leftovers {
            let store = Arc::downgrade(&shared.store);
            runtime.spawn(leftovers::tend(Arc::downgrade(leftovers), store));
        }
        Arc::new(Self { shared })
    }

    /// A writer for the object `key`. Sends nothing yet. Never waits.
    pub fn create(self: &Arc<Self>, key: Key, base: Base, options: PutOptions) -> Arc<FileWriter> {
        Arc::new(FileWriter::new(Arc::clone(&self.shared), key, base, options))
    }

    /// A writer that adds what comes behind the end of an object by itself, where the service has objects
    /// that can be appended to, and creates such an object where there is none. What is added is
    /// visible as soon as it fills a part. An object that cannot be appended to, and changes of what
    /// is there, are published as [`create`](Self::create) does.
    pub fn create_appendable(
        self: &Arc<Self>,
        key: Key,
        base: Base,
        options: PutOptions,
    ) -> Arc<FileWriter> {
        let file = FileWriter::new(Arc::clone(&self.shared), key, base, options);
        Arc::new(file.appending(self.shared.store.limits().append.is_some()))
    }

    /// What is on its way now.
    pub fn stats(&self) -> WriteStats {
        self.shared.stats()
    }

    /// The uploads that are open, ordered by key.
    pub fn uploads(&self) -> Vec<UploadProgress> {
        self.shared.under_way.progress()
    }

    /// Parts, PUTs and appends that the store has confirmed since the mount began: whether this number grows
    /// tells whether the work of the mount goes on. Never waits.
    pub fn confirmed(&self) -> u64 {
        self.shared.confirmed.load(Ordering::Relaxed)
    }

    /// The largest file that can be written in order, in bytes: the sum of the part schedule, bounded
    /// by the service. Less than a hundredth less where memory was so short that parts had to go
    /// before they were full.
    pub fn reach_bytes(&self) -> u64 {
        self.shared.plan.reach_bytes(1, 0)
    }

    /// Waits until nothing runs in the background: parts, commits whose caller went away, aborts.
    pub async fn idle(&self) {
        self.shared.tasks.idle().await;
    }
}
