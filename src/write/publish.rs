//! Publishes content: one PUT when it fits into the first part, else the multipart upload. All of it
//! runs in a task of its own and within `close_timeout`.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::crash;
use crate::store::{ByteRange, CopyOptions, ErrorKind, Operation, Payload, StoreError};
use crate::write::compose::{self, Piece};
use crate::write::content::{Body, Content, Guard, Inner, RemoteObject};
use crate::write::driver::Driver;
use crate::write::edit::Edit;
use crate::write::live::Live;
use crate::write::staging::StagedFile;
use crate::write::{Committed, WriteError};

impl Inner {
    /// Makes the object hold exactly the content, and the content clean. A failure is kept for good,
    /// also that it did not end before `deadline`.
    pub(super) async fn publish(
        self: &Arc<Self>,
        mut guard: Guard,
        deadline: Instant,
    ) -> Result<(Guard, Result<Committed, WriteError>), WriteError> {
        if self.is_orphan() {
            return Err(WriteError::Discarded);
        }
        let me = Arc::clone(self);
        self.detached(async move {
            let result = me.publish_in_time(&mut guard, deadline).await;
            (guard, result)
        })
        .await
    }

    /// Publishes what there is, to go on with.
    pub(super) async fn published(self: &Arc<Self>, guard: Guard) -> Result<Guard, WriteError> {
        let (guard, result) = self.publish(guard, self.deadline()).await?;
        result.map(|_| guard)
    }

    /// Hands the part in the file to the upload, when no more parts are waiting on disk than can be
    /// sent.
    pub(super) async fn seal_file(self: &Arc<Self>, mut guard: Guard) -> Result<Guard, WriteError> {
        let me = Arc::clone(self);
        let (guard, result) = self
            .detached(async move {
                if let Body::Spilled(Live { driver: Some(driver), .. }, _) = &guard.body {
                    driver.room(me.parts_max()).await;
                }
                let result = me.seal_spilled(&mut guard).await;
                let result = result.map_err(|cause| me.fail(&mut guard, cause));
                (guard, result)
            })
            .await?;
        result.map(|()| guard)
    }

    async fn publish_in_time(
        &self,
        content: &mut Content,
        deadline: Instant,
    ) -> Result<Committed, WriteError> {
        let result = match tokio::time::timeout_at(deadline, self.send(content)).await {
            Ok(result) => result,
            Err(_) => Err(WriteError::Timeout),
        };
        match result {
            Ok(committed) => {
                *self.upload() = None;
                self.set_copyable(self.store().limits().can_copy(committed.appendable));
                let committed = Committed { publication: self.confirmed(), ..committed };
                content.last = Some(committed.clone());
                Ok(committed)
            }
            Err(cause) => {
                self.doubt();
                Err(self.fail(content, cause))
            }
        }
    }

    async fn send(&self, content: &mut Content) -> Result<Committed, WriteError> {
        self.seal_spilled(content).await?;
        if let Some(committed) = self.append_alone(content).await? {
            return Ok(committed);
        }
        match &mut content.body {
            Body::Live(live) => match live.driver.clone() {
                None if live.base.is_none() => {
                    let committed = self.put(live.filling.payload(&self.shared.flight)).await?;
                    // The bytes stay for whoever reads or writes on, while nobody needs the room.
                    if !self.shared.has_plenty() {
                        content.body = self.remote(&committed);
                    }
                    Ok(committed)
                }
                _ => {
                    let driver = Arc::clone(live.upload(self));
                    let committed = self.finish(live, &driver).await?;
                    let (key, _) = self.destination();
                    debug_assert_eq!(&key, driver.key(), "a rename waits for the upload");
                    content.body = self.remote(&committed);
                    Ok(committed)
                }
            },
            Body::Edit(_) if !self.is_dirty() => {
                content.last.clone().ok_or(WriteError::Internal("no last commit"))
            }
            Body::Edit(edit) => {
                let committed = self.send_edit(edit).await?;
                edit.published(self.object(&committed));
                Ok(committed)
            }
            Body::Spilled(..) | Body::Lost => Err(WriteError::Internal("the content is gone")),
        }
    }

    async fn put(&self, payload: Payload) -> Result<Committed, WriteError> {
        let _request = self.shared.request().await;
        let _memory = self.shared.sending(&payload).await;
        self.check()?;
        let (key, options_sent) = self.destination();
        let (size, checksum) = (payload.len(), payload.checksum());
        crash::point("put.before");
        let version = self.store().put(&key, payload, &options_sent).await?;
        self.shared.confirmed.fetch_add(1, Ordering::Relaxed);
        crash::point("put.acked");
        if version.size != size {
            let message = "the object has another size than was sent";
            return Err(StoreError::new(ErrorKind::Corrupt, Operation::Put, message)
                .with_key(key.as_str())
                .into());
        }
        Ok(Committed {
            version,
            checksum,
            options_sent,
            by_upload: false,
            appended: false,
            appendable: false,
            publication: 0,
        })
    }

    async fn finish(&self, live: &mut Live, driver: &Arc<Driver>) -> Result<Committed, WriteError> {
        live.seal_last(self);
        complete(driver).await
    }

    /// Makes an object of content that rests on objects: by a copy, one PUT, or parts that are copied
    /// and sent.
    async fn send_edit(&self, edit: &mut Edit) -> Result<Committed, WriteError> {
        let size = edit.size();
        if !self.is_copyable() {
            self.bring(edit, 0..size).await?;
            edit.take_over();
        }
        if let Some(object) = edit.object().cloned().filter(|_| self.is_copyable())
            && let Some(committed) = self.copy(&object).await?
        {
            return Ok(committed);
        }
        if size <= self.shared.plan.first_part_bytes() && !self.is_worth_parts(edit) {
            self.bring(edit, 0..size).await?;
            let body = self.body_of_edit(edit, 0..size).await?;
            return self.put(body).await;
        }
        let (plan, limits) = (&self.shared.plan, self.store().limits());
        let limit_bytes = plan.known_reach_bytes();
        let source_bytes = |index| edit.source(index).map_or(0, |object| object.version.size);
        let pieces = compose::pieces(edit.extents(), source_bytes, plan, limits);
        let pieces = pieces.ok_or(WriteError::TooLarge { limit_bytes })?;
        let driver = self.open_upload();
        for piece in pieces {
            // Checksums are computed no further ahead than parts are sent, while the bytes are in
            // the page cache.
            driver.room(self.parts_max()).await;
            if let Some(cause) = driver.failure() {
                return Err(cause);
            }
            match piece {
                Piece::Copy { source, range } => {
                    let object = edit.source(source).ok_or(WriteError::Internal("no object"))?;
                    if let Some(range) = ByteRange::new(range.start, range.end) {
                        driver.copy(object.clone(), range);
                    }
                }
                Piece::Data(range) => {
                    self.bring(edit, range.clone()).await?;
                    let body = self.body_of_edit(edit, range).await?;
                    driver.seal(body);
                }
            }
        }
        complete(&driver).await
    }

    /// Whether content that fits into one PUT is rather made of parts: an object that cannot be copied in
    /// one request, so that its bytes stay where they are.
    fn is_worth_parts(&self, edit: &Edit) -> bool {
        edit.object().is_some() && edit.size() > self.shared.plan.part_min_bytes()
    }

    /// Copies an object that is the content in one request. `None` where that cannot be.
    async fn copy(&self, object: &RemoteObject) -> Result<Option<Committed>, WriteError> {
        let (key, options_sent) = self.destination();
        let limits = self.store().limits();
        // That a copy replaces nothing is not proven of all services; it is of PUT and Complete.
        let create_only = options_sent.replaces.is_nothing() && limits.create_only;
        if create_only || object.version.size > limits.copy_bytes {
            return Ok(None);
        }
        let options = CopyOptions {
            if_match: Some(object.version.clone()),
            replace: Some(options_sent.clone()),
            ..CopyOptions::default()
        };
        let copied = self.store().copy(&object.key, &key, &options).await;
        let version = copied.map_err(WriteError::of_base)?;
        if version.size != object.version.size {
            let message = "the copy has another size than the object";
            return Err(StoreError::new(ErrorKind::Corrupt, Operation::Copy, message)
                .with_key(key.as_str())
                .into());
        }
        Ok(Some(Committed {
            version,
            checksum: object.checksum,
            options_sent,
            by_upload: false,
            appended: false,
            appendable: false,
            publication: 0,
        }))
    }

    async fn body_of_edit(&self, edit: &Edit, range: Range<u64>) -> Result<Payload, WriteError> {
        let flying = self.shared.file_flight.enter(range.end - range.start);
        let (slice, kind) = (edit.slice(range, Some(flying)), self.shared.checksum_kind());
        let body = self.shared.tasks.spawn_blocking(move || slice.into_payload(kind)).await;
        body.map_err(|_| WriteError::Internal("a read was stopped"))?
    }

    async fn seal_spilled(&self, content: &mut Content) -> Result<(), WriteError> {
        let Body::Spilled(_, file) = &content.body else { return Ok(()) };
        let file = file.clone();
        let body = match file.size() {
            0 => None,
            size => Some(self.body_of(&file, 0, size).await?),
        };
        if let Body::Spilled(mut live, _) = std::mem::replace(&mut content.body, Body::Lost) {
            if let Some(body) = body {
                live.seal_payload(self, body);
            }
            content.body = Body::Live(live);
        }
        Ok(())
    }

    async fn body_of(&self, file: &StagedFile, at: u64, len: u64) -> Result<Payload, WriteError> {
        let (file, kind) = (file.clone(), self.shared.checksum_kind());
        let flight = Arc::clone(&self.shared.file_flight);
        let body =
            self.shared.tasks.spawn_blocking(move || file.body(at, len, kind, &flight)).await;
        body.map_err(|_| WriteError::Internal("a read was stopped"))?
    }

    /// Most parts in files that one upload has on their way.
    fn parts_max(&self) -> usize {
        self.shared.config.max_requests.max(1)
    }

    pub(super) fn remote(&self, committed: &Committed) -> Body {
        Body::Edit(Edit::of_object(self.object(committed)))
    }

    fn object(&self, committed: &Committed) -> RemoteObject {
        RemoteObject {
            key: self.destination().0,
            version: committed.version.clone(),
            checksum: committed.checksum,
        }
    }
}

async fn complete(driver: &Arc<Driver>) -> Result<Committed, WriteError> {
    let expected = driver.expected();
    let checksum = expected.checksum;
    let version = driver.finish(expected).await?;
    Ok(Committed {
        version,
        checksum,
        options_sent: driver.options().clone(),
        by_upload: true,
        appended: false,
        appendable: false,
        publication: 0,
    })
}
