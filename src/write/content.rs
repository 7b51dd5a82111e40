//! What a file consists of, and what the operations of one writer share.
//!
//! # Locks
//! `content` (async) serialises everything that touches bytes; the short locks beside it are taken
//! after it and never held while waiting. Work that must not stop half-way when a caller goes away
//! runs in a task that owns the guard of `content`, so whoever comes next waits for it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;

use crate::store::{Checksum, Key, ObjectStore, ObjectVersion, PutOptions, Replaces};
use crate::write::driver::Driver;
use crate::write::edit::Edit;
use crate::write::live::Live;
use crate::write::shared::Shared;
use crate::write::staging::StagedFile;
use crate::write::{Base, Committed, WriteError};

/// What the tasks of a writer share.
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) content: Arc<AsyncMutex<Content>>,
    size: AtomicU64,
    dirty: AtomicBool,
    publications: AtomicU64,
    orphan: AtomicBool,
    appends: AtomicBool,
    /// See [`is_copyable`](Self::is_copyable).
    copyable: AtomicBool,
    /// See [`in_doubt`](Self::in_doubt).
    doubt: AtomicBool,
    failed: AtomicBool,
    failure: Mutex<Option<WriteError>>,
    target: Mutex<Target>,
    /// The upload in progress, reachable while somebody else holds `content`.
    upload: Mutex<Option<Arc<Driver>>>,
}

/// Where the content goes.
#[derive(Debug, Clone)]
struct Target {
    key: Key,
    options: PutOptions,
    /// The object at `key` is ours: "create only" was for the first time.
    committed: bool,
}

/// The bytes and the result of the last commit.
pub(super) struct Content {
    pub(super) body: Body,
    pub(super) last: Option<Committed>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Body {
    /// Parts sent, and a part in memory.
    Live(Live),
    /// As `Live`, but the bytes of the part that is being filled are in a file of its own, because
    /// the part is too large for memory or no memory was free. The upload is open.
    Spilled(Live, StagedFile),
    /// Objects, and a file with what differs from them.
    Edit(Edit),
    /// Given up; the failure says why.
    Lost,
}

/// A version of an object: content, or what content is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteObject {
    /// Where it is.
    pub key: Key,
    /// Which version; another one found there is [`WriteError::Stale`].
    pub version: ObjectVersion,
    /// CRC-64 of the whole object, if known.
    pub checksum: Option<Checksum>,
}

/// The right to change the content.
pub(super) type Guard = OwnedMutexGuard<Content>;

impl Inner {
    pub(super) fn new(shared: Arc<Shared>, key: Key, base: Base, options: PutOptions) -> Self {
        let inner = Inner {
            content: Arc::new(AsyncMutex::new(Content { body: Body::Lost, last: None })),
            size: AtomicU64::new(0),
            dirty: AtomicBool::new(matches!(base, Base::Empty)),
            publications: AtomicU64::new(0),
            orphan: AtomicBool::new(false),
            appends: AtomicBool::new(false),
            copyable: AtomicBool::new(true),
            doubt: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failure: Mutex::default(),
            target: Mutex::new(Target { key, options, committed: false }),
            upload: Mutex::default(),
            shared,
        };
        if let Ok(mut content) = inner.content.try_lock() {
            content.body = match base {
                Base::Empty => Body::Live(Live::new(&inner)),
                Base::Object { key, version, checksum, copyable } => {
                    inner.set_copyable(copyable);
                    inner.size.store(version.size, Ordering::Release);
                    content.last = Some(Committed {
                        version: version.clone(),
                        checksum,
                        options_sent: PutOptions::default(),
                        by_upload: false,
                        appended: false,
                        appendable: false,
                        publication: 0,
                    });
                    Body::Edit(Edit::of_object(RemoteObject { key, version, checksum }))
                }
            };
        }
        inner
    }

    /// The content, when it is this caller's turn and nothing failed.
    pub(super) async fn lock(&self) -> Result<Guard, WriteError> {
        self.check()?;
        let guard = Arc::clone(&self.content).lock_owned().await;
        self.check()?;
        Ok(guard)
    }

    /// Runs work that owns the content to its end, even when the caller goes away. After a panic nobody knows
    /// what the content is, or what was published: the file has failed.
    pub(super) async fn detached<T, F>(self: &Arc<Self>, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let task = self.shared.tasks.spawn(work);
        task.await.map_err(|_| {
            self.doubt();
            self.set_failure(WriteError::Internal("a task was stopped"))
        })
    }

    /// When a publication that begins now must have ended.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.shared.config.close_timeout
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.shared.store
    }

    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    pub(super) fn set_orphan(&self) {
        self.orphan.store(true, Ordering::Release);
    }

    pub(super) fn is_orphan(&self) -> bool {
        self.orphan.load(Ordering::Acquire)
    }

    pub(super) fn set_appends(&self, appends: bool) {
        self.appends.store(appends, Ordering::Release);
    }

    /// Says whether the service can copy the object that the content is or rests on.
    pub(super) fn set_copyable(&self, copyable: bool) {
        self.copyable.store(copyable, Ordering::Release);
    }

    /// Whether the service can copy the object that the content is or rests on.
    pub(super) fn is_copyable(&self) -> bool {
        self.copyable.load(Ordering::Acquire)
    }

    /// Whether what is added to the object goes out alone.
    pub(super) fn appends(&self) -> bool {
        self.appends.load(Ordering::Acquire)
    }

    /// The content has this size now and differs from the object.
    pub(super) fn changed(&self, size: u64) {
        self.size.store(size, Ordering::Release);
        self.dirty.store(true, Ordering::Release);
    }

    /// The store confirmed the content; says for the how manieth time.
    pub(super) fn confirmed(&self) -> u64 {
        self.dirty.store(false, Ordering::Release);
        self.target().committed = true;
        self.publications.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn publications(&self) -> u64 {
        self.publications.load(Ordering::Acquire)
    }

    /// The failure that was met before, if any. Cheap while there is none.
    pub(super) fn check(&self) -> Result<(), WriteError> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.failure().clone().map_or(Ok(()), Err)
    }

    /// Refuses bytes that would pass `limit_bytes`.
    pub(super) fn check_reach(
        &self,
        offset: u64,
        len: usize,
        limit_bytes: u64,
    ) -> Result<(), WriteError> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= limit_bytes => Ok(()),
            _ => Err(WriteError::TooLarge { limit_bytes }),
        }
    }

    /// Keeps the first failure and returns it; frees everything and aborts the upload.
    pub(super) fn fail(&self, content: &mut Content, cause: WriteError) -> WriteError {
        let first = self.set_failure(cause);
        content.body = Body::Lost;
        // It stays in its slot: `discard` waits for a Complete that is on its way.
        if let Some(driver) = &*self.upload() {
            driver.give_up(first.clone());
        }
        first
    }

    pub(super) fn set_failure(&self, cause: WriteError) -> WriteError {
        let first = self.failure().get_or_insert(cause).clone();
        self.failed.store(true, Ordering::Release);
        first
    }

    /// A publication has failed.
    pub(super) fn doubt(&self) {
        self.doubt.store(true, Ordering::Release);
    }

    /// Whether a publication has failed: no error tells that it was not carried out.
    pub(super) fn in_doubt(&self) -> bool {
        self.doubt.load(Ordering::Acquire)
    }

    /// An upload for the key and options as they are now.
    pub(super) fn open_upload(&self) -> Arc<Driver> {
        let (key, options) = self.destination();
        let driver = Driver::new(Arc::clone(&self.shared), key, options);
        *self.upload() = Some(Arc::clone(&driver));
        driver
    }

    /// The key and the options that a request begun now is sent with.
    pub(super) fn destination(&self) -> (Key, PutOptions) {
        let target = self.target().clone();
        let mut options = target.options;
        if target.committed {
            options.replaces = Replaces::Anything;
        }
        (target.key, options)
    }

    /// The slot of the upload in progress.
    pub(super) fn upload(&self) -> MutexGuard<'_, Option<Arc<Driver>>> {
        self.upload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_key(&self, key: Key) {
        self.target().key = key;
    }

    pub(super) fn set_options(&self, options: PutOptions) {
        self.target().options = options;
    }

    fn target(&self) -> MutexGuard<'_, Target> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> MutexGuard<'_, Option<WriteError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody can commit any more.
impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(driver) = self.upload().take() {
            driver.give_up(WriteError::Discarded);
        }
    }
}
