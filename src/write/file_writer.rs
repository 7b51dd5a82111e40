//! The writer of one file: its public face. The work is done in `slow_path`, `change` and `publish`.

use std::fmt;
use std::sync::Arc;

use crate::store::{Checksum, Key, ObjectVersion, PutOptions};
use crate::write::content::{Body, Guard, Inner, RemoteObject};
use crate::write::live::{Live, Taken};
use crate::write::shared::Shared;
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

impl FileWriter {
    pub(super) fn new(shared: Arc<Shared>, key: Key, base: Base, options: PutOptions) -> Self {
        Self { inner: Arc::new(Inner::new(shared, key, base, options)) }
    }

    /// Whether what is added to the object goes out alone.
    pub(super) fn appending(self, appends: bool) -> Self {
        self.inner.set_appends(appends);
        self
    }

    /// Whether what is added to the object goes out alone; not any more once the service has refused.
    pub fn is_appending(&self) -> bool {
        self.inner.appends()
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
            Taken::NeedsBlock(_) | Taken::NeedsSpill | Taken::NeedsEdit | Taken::NeedsPublish => {
                Ok(0)
            }
        }
    }

    /// Takes all of `data`, or fails. Waits for memory, for the temporary file, for a publication.
    /// After a failure bytes from the front of `data` may have been taken. A write past the end
    /// leaves zeros between.
    pub async fn write(&self, offset: u64, data: &[u8]) -> Result<(), WriteError> {
        let guard = self.inner.lock().await?;
        self.inner.write_all(guard, offset, data).await
    }

    /// [`try_write`](Self::try_write) of bytes that belong at the end, wherever that is.
    ///
    /// # Errors
    /// As there.
    pub fn try_append(&self, data: &[u8]) -> Result<usize, WriteError> {
        // Who is faster moves the end, and then nothing is taken.
        self.try_write(self.size(), data)
    }

    /// [`write`](Self::write) of bytes that belong at the end. Those of one call lie together.
    pub async fn append(&self, data: &[u8]) -> Result<(), WriteError> {
        let guard = self.inner.lock().await?;
        let end = self.inner.size();
        self.inner.write_all(guard, end, data).await
    }

    /// Cuts the content, or grows it by zeros.
    pub async fn truncate(&self, size: u64) -> Result<(), WriteError> {
        let guard = self.inner.lock().await?;
        self.inner.truncate(guard, size).await
    }

    /// Makes `len` bytes from `offset` zeros, as far as they lie in the content. Nothing is sent for it
    /// before the next commit, and no disk is needed.
    pub async fn punch_hole(&self, offset: u64, len: u64) -> Result<(), WriteError> {
        let guard = self.inner.lock().await?;
        self.inner.punch(guard, offset..offset.saturating_add(len)).await
    }

    /// Makes `len` bytes from `offset` those of an object from `at` on; they must lie inside it. The
    /// bytes do not move: the commit copies them on the server, and reads fetch them.
    ///
    /// # Contract
    /// The version must be there until the commit: one that is not is [`WriteError::Stale`] then.
    pub async fn copy_from(
        &self,
        object: RemoteObject,
        at: u64,
        len: u64,
        offset: u64,
    ) -> Result<(), WriteError> {
        let guard = self.inner.lock().await?;
        self.inner.copy_from(guard, object, at, len, offset).await
    }

    /// The first offset from `offset` on that was written; `None` when there is none (ENXIO). What
    /// came from an object counts as written.
    pub async fn seek_data(&self, offset: u64) -> Result<Option<u64>, WriteError> {
        let guard = self.inner.lock().await?;
        Ok(self.inner.seek(&guard, offset, false))
    }

    /// The first offset from `offset` on that nobody wrote, at the latest the end of the content;
    /// `None` at or behind the end (ENXIO).
    pub async fn seek_hole(&self, offset: u64) -> Result<Option<u64>, WriteError> {
        let guard = self.inner.lock().await?;
        Ok(self.inner.seek(&guard, offset, true))
    }

    /// The bytes `offset..offset + len` as written so far, cut at the end of the content; empty past
    /// it. Bytes of an open upload that are no longer in memory are published first, because they cannot
    /// be read back otherwise.
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
        self.inner.is_dirty()
    }

    /// How often the content was published. More often than it was committed, where bytes had to be
    /// published to be read back or changed. Never waits.
    pub fn publications(&self) -> u64 {
        self.inner.publications()
    }

    /// Whether a publication has failed of which nobody knows whether the store has carried it out. After
    /// [`discard`](Self::discard) it has, or never will. Never waits.
    pub fn may_have_published(&self) -> bool {
        self.inner.in_doubt()
    }

    /// The failure that every operation returns, if there is one. Never waits.
    pub fn failure(&self) -> Option<WriteError> {
        self.inner.check().err()
    }

    /// A request about the file has panicked, so nobody knows what the content is: it is never published. Never
    /// waits; a publication that has begun goes on. Without effect after a failure.
    pub fn distrust(&self) {
        self.inner.set_failure(WriteError::Internal("a request about the file has panicked"));
    }

    /// Publishes the content: on success the object holds exactly these bytes, confirmed by the
    /// store. Content that is clean is not sent; the last result is returned again.
    ///
    /// Ends within `close_timeout`; goes on when the caller does not wait.
    ///
    /// # Errors
    /// Any of the upload, for good. [`WriteError::Discarded`] after [`discard`](Self::discard) and
    /// [`orphan`](Self::orphan). After [`WriteError::Timeout`] the key may hold the old or, if the
    /// request was on its way, the new content. It is for good, too, unless the time was over before the
    /// turn of this commit came: then it has sent nothing, [`failure`](Self::failure) is `None`, and it may be
    /// tried again.
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

    /// Gives the content up (the file is gone for everybody): nothing is
    /// published once this has returned, an open upload is aborted in the background, memory is
    /// freed. Waits for a PUT or Complete that is already on its way, because that cannot be called
    /// back, and for the abort after a Complete that failed: no error tells that the service is not still
    /// at it. Every later operation is [`WriteError::Discarded`]. Safe to repeat.
    pub async fn discard(&self) {
        self.end(WriteError::Discarded).await;
    }

    /// The writer was killed before it had closed the file: as [`discard`](Self::discard), but where the
    /// mount has a journal the parts that were sent are kept, for whoever writes the same file again.
    /// Every later operation is [`WriteError::Abandoned`].
    pub async fn abandon(&self) {
        self.end(WriteError::Abandoned).await;
    }

    async fn end(&self, cause: WriteError) {
        let cause = self.inner.set_failure(cause);
        let driver = self.inner.upload().clone();
        if let Some(driver) = &driver {
            driver.give_up(cause.clone());
        }
        let mut content = self.inner.content.lock().await;
        self.inner.fail(&mut content, cause);
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
        self.inner.set_orphan();
        let parts_sent = {
            let content = self.inner.content.lock().await;
            // Of what is lost an upload may be on its way still.
            matches!(
                &content.body,
                Body::Live(Live { driver: Some(_), .. }) | Body::Spilled(..) | Body::Lost
            )
        };
        if parts_sent {
            self.discard().await;
        }
    }

    /// Waits for what is being published, and keeps everybody from publishing, reading and writing until the
    /// hold is dropped or [ended](Held::end_publishing).
    pub async fn hold(&self) -> Held {
        let guard = Arc::clone(&self.inner.content).lock_owned().await;
        let driver = self.inner.upload().clone();
        if let Some(driver) = driver {
            driver.completed_or_never().await;
        }
        Held { inner: Arc::clone(&self.inner), _guard: guard }
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
            (body, Some((version, checksum))) => {
                let object = RemoteObject { key: key.clone(), version, checksum };
                match body {
                    Body::Edit(edit) => edit.moved(object),
                    Body::Live(live) if live.base.is_some() => live.base = Some(object),
                    _ => {}
                }
            }
            _ => {}
        }
        self.inner.set_key(key);
        Ok(())
    }
}

/// While this lives the content stands still.
pub struct Held {
    inner: Arc<Inner>,
    _guard: Guard,
}

impl Held {
    /// The content goes on, but is never published any more: for whoever calls [`FileWriter::orphan`] or
    /// [`FileWriter::discard`] next.
    pub fn end_publishing(self) {
        self.inner.set_orphan();
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, _) = self.inner.destination();
        write!(f, "FileWriter({}, {} bytes, dirty: {})", key, self.size(), self.is_dirty())
    }
}
