//! Moves content to where it can be changed: from memory into the temporary file, from an object
//! into memory or the file. Each move either happens or leaves everything as it was.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use crate::budget::Permit;
use crate::store::{
    ByteRange, Checksum, ChecksumKind, ErrorKind, ObjectStore, Operation, RunningChecksum,
    StoreError,
};
use crate::write::WriteError;
use crate::write::content::{Body, Content, Guard, Inner, RemoteObject};
use crate::write::live::{Live, Taken};
use crate::write::shared::FETCHES;
use crate::write::staging::StagedFile;

impl Inner {
    /// Brings the first `keep` bytes of the content (all of it, if less) to where any byte can be
    /// changed: into the temporary file, or into memory when it comes from a small object. Bytes of
    /// an open upload are published first.
    pub(super) async fn stage(
        self: &Arc<Self>,
        mut guard: Guard,
        keep: u64,
    ) -> Result<Guard, WriteError> {
        if let Body::Live(Live { driver: Some(_), .. }) | Body::Spilled(..) = &guard.body {
            let (published, result) = self.publish(guard, self.deadline()).await?;
            result?;
            guard = published;
        }
        let keep = keep.min(self.size());
        if matches!(guard.body, Body::Live(_)) {
            return self.change(guard, move |me, content| me.unload(content, keep)).await;
        }
        let Body::Remote(remote) = &guard.body else { return Ok(guard) };
        let (me, remote) = (Arc::clone(self), remote.clone());
        let (guard, result) = self
            .detached(async move {
                let fetched = me.fetch(&remote, keep).await;
                let result = fetched.map(|body| {
                    guard.body = body;
                    me.cut(keep);
                });
                (guard, result)
            })
            .await?;
        result.map(|()| guard)
    }

    /// Moves the part that is being filled into a file of its own; the upload stays open.
    pub(super) async fn spill(self: &Arc<Self>, guard: Guard) -> Result<Guard, WriteError> {
        self.change(guard, |me, content| {
            let Body::Live(live) = &content.body else { return Ok(()) };
            let file = me.copy_out(live, u64::MAX, me.shared.checksum_kind())?;
            if let Body::Live(mut live) = std::mem::replace(&mut content.body, Body::Lost) {
                live.filling.truncate(0);
                content.body = Body::Spilled(live, file);
            }
            Ok(())
        })
        .await
    }

    /// Writes into the temporary file at an offset in it. While the disk is full, waits for parts
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
                me.on_file(content, |file| file.write(at, &data))
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

    /// Gives the temporary file another size.
    pub(super) async fn resize_file(
        self: &Arc<Self>,
        guard: Guard,
        size: u64,
    ) -> Result<Guard, WriteError> {
        self.change(guard, move |me, content| me.on_file(content, |file| file.resize(size))).await
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
        work: impl FnOnce(&mut StagedFile) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let (before, file) = match &mut content.body {
            Body::Spilled(live, file) => (live.sent, file),
            Body::Staged(file) => (0, file),
            _ => return Err(WriteError::Internal("there is no staging file")),
        };
        work(file)?;
        let size = before + file.size();
        self.changed(size);
        Ok(())
    }

    fn unload(&self, content: &mut Content, keep: u64) -> Result<(), WriteError> {
        if let Body::Live(live) = &content.body {
            content.body = Body::Staged(self.copy_out(live, keep, None)?);
            self.cut(keep);
        }
        Ok(())
    }

    /// The held bytes, at most `keep`, in a new file, which sums them and what follows.
    fn copy_out(
        &self,
        live: &Live,
        keep: u64,
        kind: Option<ChecksumKind>,
    ) -> Result<StagedFile, WriteError> {
        let mut file = StagedFile::create(&self.shared.config.staging_dir, kind)?;
        for piece in live.filling.pieces() {
            let left = usize::try_from(keep - file.size()).unwrap_or(usize::MAX);
            file.write(file.size(), &piece[..piece.len().min(left)])?;
        }
        Ok(file)
    }

    /// The content was cut while it was moved.
    fn cut(&self, keep: u64) {
        if keep < self.size() {
            self.changed(keep);
        }
    }

    async fn fetch(&self, remote: &RemoteObject, keep: u64) -> Result<Body, WriteError> {
        if keep > self.shared.fetch_whole_bytes() {
            return self.fetch_to_file(remote, keep).await.map(Body::Staged);
        }
        let mut live = Live::new(self);
        let Some(range) = ByteRange::new(0, keep) else { return Ok(Body::Live(live)) };
        let transit = self.shared.transit(keep).await;
        let chunks = fetch_range(self.store().as_ref(), remote, range).await?;
        for chunk in &chunks {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                match live.append(self, rest) {
                    Taken::Bytes(taken) => rest = &rest[taken..],
                    // No memory: a file then. What was copied is dropped.
                    Taken::NeedsBlock(_) | Taken::NeedsSpill | Taken::NeedsFile => {
                        drop(live);
                        let file = self.create_file(keep).await?;
                        return self.save(file, 0, chunks, transit).await.map(Body::Staged);
                    }
                }
            }
        }
        let sum = live.filling.payload(&self.shared.flight).checksum();
        self.check_sum(remote, keep, sum)?;
        Ok(Body::Live(live))
    }

    async fn fetch_to_file(
        &self,
        remote: &RemoteObject,
        keep: u64,
    ) -> Result<StagedFile, WriteError> {
        let file = self.create_file(keep).await?;
        let step = self.shared.fetch_bytes();
        let kind = self.shared.checksum_kind();
        let starts = (0..keep.div_ceil(step)).map(|index| index * step);
        let ranges = starts.filter_map(|start| ByteRange::new(start, keep.min(start + step)));
        let mut fetched = stream::iter(ranges.map(|range| {
            let file = file.clone();
            async move {
                let transit = self.shared.transit(range.len()).await;
                let chunks = fetch_range(self.store().as_ref(), remote, range).await?;
                let sum = kind.map(|kind| sum_of(kind, &chunks));
                self.save(file, range.start(), chunks, transit).await?;
                Ok::<_, WriteError>((sum, range.len()))
            }
        }))
        .buffered(FETCHES);
        let mut whole = kind.map(|kind| kind.of_nothing());
        while let Some(range) = fetched.next().await {
            let (sum, len) = range?;
            whole = whole.zip(sum).and_then(|(whole, sum)| whole.followed_by(sum, len));
        }
        drop(fetched);
        self.check_sum(remote, keep, whole)?;
        Ok(file)
    }

    /// A file of `size` zeros, so that ranges may arrive in any order.
    async fn create_file(&self, size: u64) -> Result<StagedFile, WriteError> {
        let dir = self.shared.config.staging_dir.clone();
        let create = self.shared.tasks.spawn_blocking(move || {
            let mut file = StagedFile::create(&dir, None)?;
            file.resize(size)?;
            Ok(file)
        });
        create.await.map_err(|_| WriteError::Internal("file I/O was stopped"))?
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

    /// Compares what was fetched with what the object is known to be.
    fn check_sum(
        &self,
        remote: &RemoteObject,
        fetched: u64,
        sum: Option<Checksum>,
    ) -> Result<(), WriteError> {
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
}

fn sum_of(kind: ChecksumKind, chunks: &[Bytes]) -> Checksum {
    let mut running = RunningChecksum::new(kind);
    chunks.iter().for_each(|chunk| running.update(chunk));
    running.value()
}

/// A range of exactly this version of an object.
pub(super) async fn fetch_range(
    store: &dyn ObjectStore,
    remote: &RemoteObject,
    range: ByteRange,
) -> Result<Vec<Bytes>, WriteError> {
    let content = store
        .get(&remote.key, Some(range), Some(&remote.version.etag))
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
