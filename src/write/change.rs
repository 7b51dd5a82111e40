//! Moves content to where it can be changed or read: from memory into the temporary file, from an object
//! into memory or the file. Each move either happens or leaves everything as it was.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use crate::budget::Permit;
use crate::crash;
use crate::store::{
    ByteRange, Checksum, Conditions, ErrorKind, ObjectStore, Operation, PayloadSource, StoreError,
};
use crate::write::WriteError;
use crate::write::content::{Body, Content, Guard, Inner, RemoteObject};
use crate::write::edit::{Edit, Slice};
use crate::write::live::Live;
use crate::write::shared::FETCHES;
use crate::write::staging::StagedFile;

impl Inner {
    /// Brings the content to where any byte of it can be changed: a small object into memory, else into
    /// extents of objects and of the temporary file. Of a small object only the first `keep` bytes
    /// are fetched, and the content is cut to them. Bytes of an open upload are published first.
    pub(super) async fn stage(
        self: &Arc<Self>,
        mut guard: Guard,
        keep: u64,
    ) -> Result<Guard, WriteError> {
        if let Body::Live(Live { driver: Some(_), .. }) | Body::Spilled(..) = &guard.body {
            guard = self.published(guard).await?;
        }
        match &guard.body {
            Body::Live(_) => self.change(guard, |me, content| me.unload(content)).await,
            Body::Edit(edit) if self.is_small(edit, keep) => {
                let object = edit.object().cloned();
                let keep = keep.min(edit.size());
                let Some(object) = object else { return Ok(guard) };
                let me = Arc::clone(self);
                let work = async move {
                    let result = me.fetch(&mut guard, &object, keep).await;
                    (guard, result)
                };
                let (guard, result) = self.detached(work).await?;
                result.map(|()| guard)
            }
            _ => Ok(guard),
        }
    }

    /// The bytes of a range that may lie in objects. What is fetched stays in the temporary file, as far
    /// as there is room, because who reads and changes a file in place reads again what is near.
    pub(super) async fn read_edit(
        self: &Arc<Self>,
        mut guard: Guard,
        range: ByteRange,
    ) -> Result<Vec<Bytes>, WriteError> {
        let range = range.start()..range.end();
        let me = Arc::clone(self);
        self.detached(async move {
            let Body::Edit(edit) = &mut guard.body else {
                return Err(WriteError::Internal("the content is gone"));
            };
            let most = me.shared.fetch_bytes();
            while let Some((missing, ..)) = edit.missing(range.clone()) {
                let brought = match edit.read_ahead(missing.start, missing.end, most) {
                    Some(end) => me.bring(edit, missing.start..end).await,
                    None => return me.read_through(edit, range).await,
                };
                match brought {
                    Ok(()) => {}
                    // No room on disk: without it then.
                    Err(WriteError::Staging { .. }) => return me.read_through(edit, range).await,
                    Err(error) => return Err(error),
                }
            }
            let slice = edit.slice(range, None);
            let read = me.shared.tasks.spawn_blocking(move || read_slice(&slice)).await;
            Ok(vec![read.map_err(|_| WriteError::Internal("a read was stopped"))??])
        })
        .await?
    }

    /// The bytes of a range, without leaving any of them in the temporary file.
    async fn read_through(&self, edit: &Edit, range: Range<u64>) -> Result<Vec<Bytes>, WriteError> {
        let mut chunks = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let missing = edit.missing(at..range.end);
            let here = missing.as_ref().map_or(range.end, |(missing, ..)| missing.start);
            if at < here {
                let slice = edit.slice(at..here, None);
                let read = self.shared.tasks.spawn_blocking(move || read_slice(&slice)).await;
                chunks.push(read.map_err(|_| WriteError::Internal("a read was stopped"))??);
            }
            at = here;
            let Some((missing, source, from)) = missing else { continue };
            let object = edit.source(source).ok_or(WriteError::Internal("no such object"))?;
            let Some(wanted) = ByteRange::at(from, missing.end - missing.start) else { break };
            chunks.extend(fetch_range(self.store().as_ref(), object, wanted).await?);
            at = missing.end;
        }
        Ok(chunks)
    }

    /// Fetches what is missing of a range into the temporary file. What has arrived stays there, also
    /// after a failure.
    ///
    /// # Contract
    /// Runs to its end before anybody changes the content.
    pub(super) async fn bring(&self, edit: &mut Edit, range: Range<u64>) -> Result<(), WriteError> {
        let step = self.shared.fetch_bytes();
        let mut wanted = Vec::new();
        let mut at = range.start;
        while let Some((missing, source, from)) = edit.missing(at..range.end) {
            let object = edit.source(source).ok_or(WriteError::Internal("no such object"))?.clone();
            let mut start = missing.start;
            while start < missing.end {
                let end = missing.end.min(start + step);
                wanted.push((start..end, object.clone(), from + (start - missing.start)));
                start = end;
            }
            at = missing.end;
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let file = self.file_for(edit).await?;
        let mut fetched = stream::iter(wanted.into_iter().map(|(range, object, from)| {
            let file = file.clone();
            async move {
                let len = range.end - range.start;
                let Some(wanted) = ByteRange::at(from, len) else { return Ok(range) };
                let transit = self.shared.transit(len).await;
                let chunks = fetch_range(self.store().as_ref(), &object, wanted).await?;
                crash::point("rmw.download");
                self.save(file, range.start, chunks, transit).await?;
                Ok::<_, WriteError>(range)
            }
        }))
        .buffered(FETCHES);
        while let Some(range) = fetched.next().await {
            edit.brought(range?);
        }
        Ok(())
    }

    /// Moves the part that is being filled into a file of its own; the upload stays open.
    pub(super) async fn spill(self: &Arc<Self>, guard: Guard) -> Result<Guard, WriteError> {
        self.change(guard, |me, content| {
            let Body::Live(live) = &content.body else { return Ok(()) };
            let file = me.copy_out(live)?;
            if let Body::Live(mut live) = std::mem::replace(&mut content.body, Body::Lost) {
                live.filling.truncate(0);
                content.body = Body::Spilled(live, file);
            }
            Ok(())
        })
        .await
    }

    /// Writes into the temporary file at an offset in it (of a part) or in the content. While the disk is full, waits for parts
    /// that are on their way: each takes its file with it.
    pub(super) async fn write_file(
        self: &Arc<Self>,
        mut guard: Guard,
        at: u64,
        data: &[u8],
    ) -> Result<Guard, WriteError> {
        let data: Arc<[u8]> = data.into();
        loop {
            let data = Arc::clone(&data);
            let write = move |me: &Self, content: &mut Content| {
                me.on_file(content, |change| change.write(at, &data))
            };
            let (back, result) = self.attempt(guard, write).await?;
            guard = back;
            let Err(error) = result else { return Ok(guard) };
            let landed = match &guard.body {
                Body::Spilled(Live { driver: Some(driver), .. }, _) if error.is_full() => {
                    driver.one_landed().await
                }
                _ => false,
            };
            if !landed {
                return Err(error);
            }
        }
    }

    /// Gives the temporary file of a part, or the content, another size.
    pub(super) async fn resize_file(
        self: &Arc<Self>,
        guard: Guard,
        size: u64,
    ) -> Result<Guard, WriteError> {
        self.change(guard, move |me, content| me.on_file(content, |change| change.resize(size)))
            .await
    }

    /// Runs file I/O on the content where it may block, to its end even when the caller goes away.
    async fn change(
        self: &Arc<Self>,
        guard: Guard,
        work: impl FnOnce(&Self, &mut Content) -> Result<(), WriteError> + Send + 'static,
    ) -> Result<Guard, WriteError> {
        let (guard, result) = self.attempt(guard, work).await?;
        result.map(|()| guard)
    }

    /// As [`change`](Self::change), for whoever goes on after a failure.
    async fn attempt(
        self: &Arc<Self>,
        mut guard: Guard,
        work: impl FnOnce(&Self, &mut Content) -> Result<(), WriteError> + Send + 'static,
    ) -> Result<(Guard, Result<(), WriteError>), WriteError> {
        let me = Arc::clone(self);
        let task = self.shared.tasks.spawn_blocking(move || {
            let result = work(&me, &mut guard);
            let result = result.map_err(|error| match &error {
                WriteError::Staging { action: "write" | "resize", .. } if !error.lost_nothing() => {
                    me.fail(&mut guard, error)
                }
                _ => error,
            });
            (guard, result)
        });
        task.await.map_err(|_| WriteError::Internal("file I/O was stopped"))
    }

    fn on_file(
        &self,
        content: &mut Content,
        work: impl FnOnce(Change<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let size = match &mut content.body {
            Body::Spilled(live, file) => {
                work(Change::Part(file))?;
                live.sent + file.size()
            }
            Body::Edit(edit) => {
                work(Change::Content(edit, &self.shared.config.staging_dir))?;
                edit.size()
            }
            _ => return Err(WriteError::Internal("there is no staging file")),
        };
        self.changed(size);
        Ok(())
    }

    /// Puts what is held into the temporary file, behind the object that was to be appended to.
    fn unload(&self, content: &mut Content) -> Result<(), WriteError> {
        let Body::Live(live) = &content.body else { return Ok(()) };
        content.body = Body::Edit(live.to_edit(&self.shared.config.staging_dir)?);
        Ok(())
    }

    /// The held bytes in a new file, which sums them and what follows.
    fn copy_out(&self, live: &Live) -> Result<StagedFile, WriteError> {
        let kind = self.shared.checksum_kind();
        let mut file = StagedFile::create(&self.shared.config.staging_dir, kind)?;
        for piece in live.filling.pieces() {
            file.write(file.size(), piece)?;
        }
        Ok(file)
    }

    /// Fetches the first `keep` bytes of an object, which is the content, into memory; into the temporary
    /// file where no memory is free.
    async fn fetch(
        &self,
        content: &mut Content,
        object: &RemoteObject,
        keep: u64,
    ) -> Result<(), WriteError> {
        let mut live = Live::new(self);
        if let Some(range) = ByteRange::new(0, keep) {
            let transit = self.shared.transit(keep).await;
            let chunks = fetch_range(self.store().as_ref(), object, range).await?;
            if !live.append_all(self, &chunks) {
                drop(live);
                let Body::Edit(edit) = &mut content.body else { return Ok(()) };
                let file = self.file_for(edit).await?;
                self.save(file, 0, chunks, transit).await?;
                edit.brought(0..keep);
                return Ok(());
            }
            let sum = live.filling.payload(&self.shared.flight).checksum();
            check_sum(object, keep, sum)?;
        }
        content.body = Body::Live(live);
        if keep < self.size() {
            self.changed(keep);
        }
        Ok(())
    }

    /// The temporary file of the content, as long as the content.
    async fn file_for(&self, edit: &mut Edit) -> Result<StagedFile, WriteError> {
        let dir = self.shared.config.staging_dir.clone();
        let mut taken = std::mem::take(edit);
        let made = self.shared.tasks.spawn_blocking(move || {
            let made = taken.file_for(&dir);
            (taken, made)
        });
        let (taken, made) = made.await.map_err(|_| WriteError::Internal("file I/O was stopped"))?;
        *edit = taken;
        made
    }

    /// Writes chunks into a file one after the other.
    async fn save(
        &self,
        mut file: StagedFile,
        offset: u64,
        chunks: Vec<Bytes>,
        transit: Permit,
    ) -> Result<StagedFile, WriteError> {
        let save = self.shared.tasks.spawn_blocking(move || {
            let mut at = offset;
            for chunk in chunks {
                file.write(at, &chunk)?;
                at += chunk.len() as u64;
            }
            drop(transit);
            Ok(file)
        });
        save.await.map_err(|_| WriteError::Internal("file I/O was stopped"))?
    }
}

/// What a change of bytes on disk is made to.
enum Change<'a> {
    /// The file of one part.
    Part(&'a mut StagedFile),
    /// The content, with its temporary file in this directory.
    Content(&'a mut Edit, &'a Path),
}

impl Change<'_> {
    fn write(self, at: u64, data: &[u8]) -> Result<(), WriteError> {
        match self {
            Self::Part(file) => file.write(at, data),
            Self::Content(edit, dir) => edit.write(dir, at, data),
        }
    }

    fn resize(self, size: u64) -> Result<(), WriteError> {
        match self {
            Self::Part(file) => file.resize(size),
            Self::Content(edit, _) => edit.resize(size),
        }
    }
}

fn read_slice(slice: &Slice) -> Result<Bytes, WriteError> {
    let len = usize::try_from(slice.len()).unwrap_or(usize::MAX);
    slice.read(0, len).map_err(|error| WriteError::staging("read", &error))
}

/// Compares what was fetched with what the object is known to be.
fn check_sum(remote: &RemoteObject, fetched: u64, sum: Option<Checksum>) -> Result<(), WriteError> {
    let whole = fetched == remote.version.size;
    let differs = |(known, sum): (Checksum, Checksum)| known.kind == sum.kind && known != sum;
    if whole && remote.checksum.zip(sum).is_some_and(differs) {
        let message = "the bytes that arrived are not the bytes of the object";
        return Err(StoreError::new(ErrorKind::Corrupt, Operation::Get, message)
            .with_key(remote.key.as_str())
            .into());
    }
    Ok(())
}

/// A range of exactly this version of an object.
pub(super) async fn fetch_range(
    store: &dyn ObjectStore,
    remote: &RemoteObject,
    range: ByteRange,
) -> Result<Vec<Bytes>, WriteError> {
    let content = store
        .get(&remote.key, Some(range), &Conditions::matching(&remote.version.etag))
        .await
        .map_err(WriteError::of_base)?;
    if content.version.etag != remote.version.etag {
        return Err(WriteError::Stale);
    }
    if content.start != range.start() || content.len() != range.len() {
        let message = "the answer has another length than was asked for";
        return Err(StoreError::new(ErrorKind::InvalidAnswer, Operation::Get, message)
            .with_key(remote.key.as_str())
            .into());
    }
    Ok(content.chunks)
}
