//! Publishes content: one PUT when it fits into the first part, else the multipart upload. All of it
//! runs in a task of its own and within `close_timeout`.

use std::sync::Arc;

use tokio::time::Instant;

use crate::store::{ErrorKind, Expected, Operation, Payload, StoreError};
use crate::write::content::{Body, Content, Guard, Inner, RemoteObject};
use crate::write::driver::Driver;
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
                let committed = Committed { publication: self.confirmed(), ..committed };
                content.last = Some(committed.clone());
                Ok(committed)
            }
            Err(cause) => Err(self.fail(content, cause)),
        }
    }

    async fn send(&self, content: &mut Content) -> Result<Committed, WriteError> {
        self.seal_spilled(content).await?;
        match &mut content.body {
            Body::Live(live) => match live.driver.clone() {
                None => {
                    let committed = self.put(live.filling.payload(&self.shared.flight)).await?;
                    // The bytes stay for whoever reads or writes on, while nobody needs the room.
                    if !self.shared.has_plenty() {
                        content.body = self.remote(&committed);
                    }
                    Ok(committed)
                }
                Some(driver) => {
                    let committed = self.finish(live, &driver).await?;
                    let (key, _) = self.destination();
                    debug_assert_eq!(&key, driver.key(), "a rename waits for the upload");
                    content.body = self.remote(&committed);
                    Ok(committed)
                }
            },
            Body::Staged(file) if file.size() <= self.shared.plan.first_part_bytes() => {
                let body = self.body_of(file, 0, file.size()).await?;
                self.put(body).await
            }
            Body::Staged(file) => self.upload_file(file).await,
            Body::Remote(_) => content.last.clone().ok_or(WriteError::Internal("no last commit")),
            Body::Spilled(..) | Body::Lost => Err(WriteError::Internal("the content is gone")),
        }
    }

    async fn put(&self, payload: Payload) -> Result<Committed, WriteError> {
        let _request = self.shared.request().await;
        let _memory = self.shared.sending(&payload).await;
        self.check()?;
        let (key, options_sent) = self.destination();
        let (size, checksum) = (payload.len(), payload.checksum());
        let version = self.store().put(&key, payload, &options_sent).await?;
        if version.size != size {
            let message = "the object has another size than was sent";
            return Err(StoreError::new(ErrorKind::Corrupt, Operation::Put, message)
                .with_key(key.as_str())
                .into());
        }
        Ok(Committed { version, checksum, options_sent, by_upload: false, publication: 0 })
    }

    async fn finish(&self, live: &mut Live, driver: &Arc<Driver>) -> Result<Committed, WriteError> {
        if live.filling.len() > 0 {
            live.seal(self);
        }
        complete(driver, live.expected()).await
    }

    async fn upload_file(&self, file: &StagedFile) -> Result<Committed, WriteError> {
        let size = file.size();
        let limit_bytes = self.shared.plan.known_reach_bytes();
        let part_bytes =
            self.shared.plan.part_bytes_for(size).ok_or(WriteError::TooLarge { limit_bytes })?;
        let driver = self.open_upload();
        let mut checksum = self.shared.checksum_kind().map(|kind| kind.of_nothing());
        let mut at = 0;
        while at < size {
            // Checksums are computed no further ahead than parts are sent, while the bytes are in
            // the page cache.
            driver.room(self.parts_max()).await;
            if let Some(cause) = driver.failure() {
                return Err(cause);
            }
            let len = part_bytes.min(size - at);
            let part = self.body_of(file, at, len).await?;
            checksum = checksum
                .zip(part.checksum())
                .and_then(|(checksum, next)| checksum.followed_by(next, len));
            driver.seal(part);
            at += len;
        }
        complete(&driver, Expected { size, checksum, create_only: false }).await
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

    fn remote(&self, committed: &Committed) -> Body {
        Body::Remote(RemoteObject {
            key: self.destination().0,
            version: committed.version.clone(),
            checksum: committed.checksum,
        })
    }
}

async fn complete(driver: &Arc<Driver>, expected: Expected) -> Result<Committed, WriteError> {
    let version = driver.finish(expected).await?;
    Ok(Committed {
        version,
        checksum: expected.checksum,
        options_sent: driver.options().clone(),
        by_upload: true,
        publication: 0,
    })
}
