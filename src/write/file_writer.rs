//! The writer of one file: its public face, and what its operations share.
//!
//! # Locks
//! `content` (async) serialises everything that touches bytes; the short locks inside are taken after
//! it and never held while waiting. Work that must not stop half-way when a caller goes away runs in
//! a task that owns the guard of `content`, so whoever comes next waits for it.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;

use crate::store::{Checksum, Key, ObjectStore, ObjectVersion, PutOptions};
use crate::write::driver::Driver;
use crate::write::live::{Live, Taken};
use crate::write::shared::Shared;
use crate::write::staging::StagedFile;
use crate::write::{Base, Committed, WriteError};

/// The content of one open file. Shared by all its handles.
///
/// The first failure of an upload or commit is kept and returned by every later operation; a file
/// that is opened anew gets a new writer. Failures that lose nothing (no room in the temporary file,
/// a file that would be too large, a base object that cannot be read) are returned once.
///
/// Every method may be cancelled by dropping its future; a publication that has begun goes on in the
/// background, and the next operation waits for it.
pub struct FileWriter {
    inner: Arc<Inner>,
}

/// What the tasks of a writer share.
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) content: Arc<AsyncMutex<Content>>,
    size: AtomicU64,
    dirty: AtomicBool,
    orphan: AtomicBool,
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
    /// As `Live`, but the bytes of the part that is being filled are in a file, for want of memory.
    Spilled(Live, StagedFile),
    /// All in a file.
    Staged(StagedFile),
    /// All in an object.
    Remote(RemoteObject),
    /// Given up; the failure says why.
    Lost,
}

/// An object that holds exactly the content.
#[derive(Debug, Clone)]
pub(super) struct RemoteObject {
    pub(super) key: Key,
    pub(super) version: ObjectVersion,
    pub(super) checksum: Option<Checksum>,
}

/// The right to change the content.
pub(super) type Guard = OwnedMutexGuard<Content>;

impl FileWriter {
    pub(super) fn new(shared: Arc<Shared>, key: Key, base: Base, options: PutOptions) -> Self {
        let inner = Inner {
            content: Arc::new(AsyncMutex::new(Content { body: Body::Lost, last: None })),
            size: AtomicU64::new(0),
            dirty: AtomicBool::new(matches!(base, Base::Empty)),
            orphan: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failure: Mutex::default(),
            target: Mutex::new(Target { key, options, committed: false }),
            upload: Mutex::default(),
            shared,
        };
        if let Ok(mut content) = inner.content.try_lock() {
            content.body = match base {
                Base::Empty => Body::Live(Live::new(&inner)),
                Base::Object { key, version, checksum } => {
                    inner.size.store(version.size, Ordering::Release);
                    content.last = Some(Committed {
                        version: version.clone(),
                        checksum,
                        options_sent: PutOptions::default(),
                        by_upload: false,
                    });
                    Body::Remote(RemoteObject { key, version, checksum })
                }
            };
        }
        Self { inner: Arc::new(inner) }
    }

    /// Takes bytes from the front of `data` without waiting: possible when they belong at the end of
    /// what is being streamed, nobody else is at work on the file, and memory is free. The rest (all,
    /// when 0) goes to [`write`](Self::write), at its offset.
    ///
    /// # Errors
    /// The failure that the file has met before, or [`WriteError::TooLarge`].
    pub fn try_write(&self, offset: u64, data: &[u8]) -> Result<usize, WriteError> {
        self.inner.check()?;
        let Ok(mut content) = self.inner.content.try_lock() else { return Ok(0) };
        let Body::Live(live) = &mut content.body else { return Ok(0) };
        if offset != live.size() || data.is_empty() {
            return Ok(0);
        }
        if let Some(cause) = live.failure() {
            return Err(self.inner.fail(&mut content, cause));
        }
        self.inner.check_reach(offset, data.len(), live.reach_bytes(&self.inner))?;
        match live.append(&self.inner, data) {
            Taken::Bytes(taken) => {
                let size = live.size();
                self.inner.changed(size);
                Ok(taken)
            }
            Taken::NeedsBlock(_) | Taken::NeedsFile => Ok(0),
        }
    }

    /// Takes all of `data`, or fails. Waits for memory, for the temporary file, for a publication.
    /// After a failure bytes from the front of `data` may have been taken. A write past the end
    /// leaves zeros between.
    pub async fn write(&self, offset: u64, data: &[u8]) -> Result<(), WriteError> {
        let guard = self.inner.lock().await?;
        self.inner.write_all(guard, offset, data).await
    }

    /// Cuts the content, or grows it by zeros.
    pub async fn truncate(&self, size: u64) -> Result<(), WriteError> {
        let guard = self.inner.lock().await?;
        self.inner.truncate(guard, size).await
    }

    /// The bytes `offset..offset + len` as written so far, cut at the end of the content; empty past
    /// it. Bytes of an open upload are published first, because they cannot be read back otherwise.
    ///
    /// # Contract
    /// `len` is what a kernel asks for (at most a few MiB): the answer is not paid for by the budget.
    pub async fn read(&self, offset: u64, len: u64) -> Result<Vec<bytes::Bytes>, WriteError> {
        let guard = self.inner.lock().await?;
        self.inner.read(guard, offset, len).await
    }

    /// Size of the content as written so far. Never waits.
    pub fn size(&self) -> u64 {
        self.inner.size()
    }

    /// Whether the content differs from what the store confirmed last; a new file does until its
    /// first commit. Never waits.
    pub fn is_dirty(&self) -> bool {
        self.inner.dirty.load(Ordering::Acquire)
    }

    /// The failure that every operation returns, if there is one. Never waits.
    pub fn failure(&self) -> Option<WriteError> {
        self.inner.check().err()
    }

    /// Publishes the content: on success the object holds exactly these bytes, confirmed by the
    /// store. Content that is clean is not sent; the last result is returned again.
    ///
    /// Ends within `close_timeout`; goes on when the caller does not wait.
    ///
    /// # Errors
    /// Any of the upload, for good. [`WriteError::Discarded`] after [`discard`](Self::discard) and
    /// [`orphan`](Self::orphan). After [`WriteError::Timeout`] the key may hold the old or, if the
    /// request was on its way, the new content.
    pub async fn commit(&self, options: PutOptions) -> Result<Committed, WriteError> {
        let deadline = self.inner.deadline();
        let guard = match tokio::time::timeout_at(deadline, self.inner.lock()).await {
            Ok(guard) => guard?,
            Err(_) => return Err(WriteError::Timeout),
        };
        if !self.is_dirty()
            && let Some(last) = &guard.last
        {
            return Ok(last.clone());
        }
        self.inner.set_options(options);
        self.inner.publish(guard, deadline).await?.1
    }

    /// Metadata for a PUT or Initiate that was not sent yet; an open upload keeps its own.
    pub fn set_options(&self, options: PutOptions) {
        self.inner.set_options(options);
    }

    /// Gives the content up (its writer was killed, or the file is gone for everybody): nothing is
    /// published once this has returned, an open upload is aborted in the background, memory is
    /// freed. Waits for a PUT or Complete that is already on its way, because that cannot be called
    /// back. Every later operation is [`WriteError::Discarded`]. Safe to repeat.
    pub async fn discard(&self) {
        self.inner.set_failure(WriteError::Discarded);
        let driver = self.inner.upload().clone();
        if let Some(driver) = &driver {
            driver.give_up(WriteError::Discarded);
        }
        let mut content = self.inner.content.lock().await;
        self.inner.fail(&mut content, WriteError::Discarded);
        drop(content);
        if let Some(driver) = driver {
            driver.completed_or_never().await;
        }
    }

    /// The name was unlinked while handles are open: nothing is published from now on, but reads and
    /// writes go on as long as all bytes are here (in memory or in the temporary file). Bytes of an
    /// open upload cannot be read back without publishing, so then this is [`discard`](Self::discard).
    /// Waits as `discard` does.
    pub async fn orphan(&self) {
        self.inner.orphan.store(true, Ordering::Release);
        let parts_sent = {
            let content = self.inner.content.lock().await;
            matches!(&content.body, Body::Live(Live { driver: Some(_), .. }) | Body::Spilled(..))
        };
        if parts_sent {
            self.discard().await;
        }
    }

    /// The file was renamed: from now on it is published at `key`. `object` is the version that the
    /// rename made there, if there is one: content that rests on the object is read from it.
    ///
    /// # Errors
    /// [`WriteError::NeedsCommit`] when an upload is open under the old key: commit, rename the
    /// object, and call again.
    pub async fn retarget(
        &self,
        key: Key,
        object: Option<(ObjectVersion, Option<Checksum>)>,
    ) -> Result<(), WriteError> {
        let mut guard = self.inner.lock().await?;
        match (&mut guard.body, object) {
            (Body::Live(Live { driver: Some(_), .. }) | Body::Spilled(..), _) => {
                return Err(WriteError::NeedsCommit);
            }
            (Body::Remote(remote), Some((version, checksum))) => {
                *remote = RemoteObject { key: key.clone(), version, checksum };
            }
            _ => {}
        }
        self.inner.target().key = key;
        Ok(())
    }
}

impl Inner {
    /// The content, when it is this caller's turn and nothing failed.
    pub(super) async fn lock(&self) -> Result<Guard, WriteError> {
        self.check()?;
        let guard = Arc::clone(&self.content).lock_owned().await;
        self.check()?;
        Ok(guard)
    }

    /// Runs work that owns the content to its end, even when the caller goes away.
    pub(super) async fn detached<T, F>(self: &Arc<Self>, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let task = self.shared.tasks.spawn(work);
        task.await.map_err(|_| WriteError::Internal("a task was stopped"))
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

    pub(super) fn is_orphan(&self) -> bool {
        self.orphan.load(Ordering::Acquire)
    }

    /// The content has this size now and differs from the object.
    pub(super) fn changed(&self, size: u64) {
        self.size.store(size, Ordering::Release);
        self.dirty.store(true, Ordering::Release);
    }

    /// The store confirmed the content.
    pub(super) fn confirmed(&self) {
        self.dirty.store(false, Ordering::Release);
        self.target().committed = true;
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

    fn set_failure(&self, cause: WriteError) -> WriteError {
        let first = self.failure().get_or_insert(cause).clone();
        self.failed.store(true, Ordering::Release);
        first
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
        let create_only = target.options.create_only && !target.committed;
        (target.key, PutOptions { create_only, ..target.options })
    }

    /// The slot of the upload in progress.
    pub(super) fn upload(&self) -> MutexGuard<'_, Option<Arc<Driver>>> {
        self.upload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_options(&self, options: PutOptions) {
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

impl fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.inner.target().clone();
        write!(f, "FileWriter({}, {} bytes, dirty: {})", target.key, self.size(), self.is_dirty())
    }
}
