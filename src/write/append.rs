//! Adding to objects where the service has ones that can be appended to: what is new goes out alone, in
//! one request, and the object keeps its properties. For files that ask for it (logs).

use std::sync::atomic::Ordering;

use crate::store::{Checksum, ErrorKind, Operation, Payload, StoreError};
use crate::write::content::{Body, Content, Inner, RemoteObject};
use crate::write::{Committed, WriteError};

impl Inner {
    /// Publishes content whose new bytes lie behind an object, or are all there is, by appending them.
    /// `None` when that cannot be: then the content is as it was, but where it can be published.
    pub(super) async fn append_alone(
        &self,
        content: &mut Content,
    ) -> Result<Option<Committed>, WriteError> {
        if !self.appends() || !self.is_dirty() {
            return Ok(None);
        }
        let Body::Live(live) = &mut content.body else { return Ok(None) };
        if live.driver.is_some() {
            return Ok(None);
        }
        let (base, payload) = (live.base.clone(), live.filling.payload(&self.shared.flight));
        match self.append(base.as_ref(), payload).await? {
            Some(committed) => {
                content.body = self.remote(&committed);
                Ok(Some(committed))
            }
            None => {
                self.set_appends(false);
                // Copies of a small object are no parts: it must be where it can be sent with the rest.
                let part_min = self.shared.plan.part_min_bytes();
                if base.is_some_and(|base| base.version.size < part_min || !self.is_copyable()) {
                    self.unload_later(content).await?;
                }
                Ok(None)
            }
        }
    }

    /// One append. `None`: this object, or this service, does not take it.
    async fn append(
        &self,
        base: Option<&RemoteObject>,
        payload: Payload,
    ) -> Result<Option<Committed>, WriteError> {
        let position = base.map_or(0, |base| base.version.size);
        let limits = self.store().limits().append;
        let fits = limits.is_some_and(|limits| {
            payload.len() <= limits.call_bytes && position + payload.len() <= limits.object_bytes
        });
        let (key, options_sent) = self.destination();
        if !fits || payload.is_empty() || options_sent.replaces.is_nothing() {
            return Ok(None);
        }
        let _request = self.shared.request().await;
        self.check()?;
        let (len, sum) = (payload.len(), payload.checksum());
        let appended = match self.store().append(&key, position, payload, &options_sent).await {
            Ok(appended) => appended,
            Err(error) => {
                return match (error.kind, base) {
                    (ErrorKind::NotAppendable, _) => Ok(None),
                    // There is an object, and it is to be replaced.
                    (ErrorKind::PreconditionFailed, None) => Ok(None),
                    _ => Err(WriteError::of_base(error)),
                };
            }
        };
        self.shared.confirmed.fetch_add(1, Ordering::Relaxed);
        let before = match base {
            Some(base) => base.checksum,
            None => self.shared.checksum_kind().map(|kind| kind.of_nothing()),
        };
        let expected: Option<Checksum> =
            before.zip(sum).and_then(|(before, sum)| before.followed_by(sum, len));
        let other = expected.zip(appended.checksum).is_some_and(|(ours, theirs)| ours != theirs);
        if other || appended.version.size != position + len {
            let message = "the object is not what it was with the new bytes behind it";
            return Err(StoreError::new(ErrorKind::Corrupt, Operation::Append, message)
                .with_key(key.as_str())
                .into());
        }
        Ok(Some(Committed {
            version: appended.version,
            checksum: appended.checksum.or(expected),
            options_sent,
            by_upload: false,
            appended: base.is_some(),
            appendable: true,
            publication: 0,
        }))
    }

    /// Puts what is held into the temporary file.
    async fn unload_later(&self, content: &mut Content) -> Result<(), WriteError> {
        let Body::Live(live) = std::mem::replace(&mut content.body, Body::Lost) else {
            return Ok(());
        };
        let dir = self.shared.config.staging_dir.clone();
        let unloaded = self.shared.tasks.spawn_blocking(move || {
            let edit = live.to_edit(&dir);
            (live, edit)
        });
        let (live, edit) =
            unloaded.await.map_err(|_| WriteError::Internal("file I/O was stopped"))?;
        match edit {
            Ok(edit) => {
                content.body = Body::Edit(edit);
                Ok(())
            }
            Err(error) => {
                content.body = Body::Live(live);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
#[path = "append_tests.rs"]
mod tests;
