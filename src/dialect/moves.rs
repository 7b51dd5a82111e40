//! Moves and copies whose good answer proves little: it is that of a PUT, and one that does not know the
//! header of the source has made an empty object and says that all went well. So what is at the target is
//! compared with the source before anybody relies on it, and nothing that may be the last of the bytes
//! is removed.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::dialect::Completed;
use crate::dialect::attempt::Job;
use crate::dialect::client::Client;
use crate::dialect::failure::{Failure, Repeat};
use crate::http::Verdict;
use crate::store::{
    CopyOptions, ErrorKind, Key, ObjectStore, ObjectVersion, Operation, RenameOptions, StoreError,
    StoreResult,
};

impl Client {
    /// Renames; after an attempt of unknown fate a source that is gone means success when the
    /// target is the same version.
    pub(super) async fn rename_once(
        &self,
        job: &Job<'_>,
        from: &Key,
        to: &Key,
        source: &ObjectVersion,
    ) -> StoreResult<()> {
        let doubt = AtomicBool::new(false);
        let doubt = &doubt;
        let attempt = |number| async move {
            let sent = self.once(job, number, |answer| self.dialect.read_copy(answer)).await;
            let failure = match sent {
                Ok(answer) => match self.check_move(from, to, source, &answer).await {
                    Ok(()) => return Verdict::Done(()),
                    Err(failure) => return Verdict::Final(failure),
                },
                Err(failure) => failure,
            };
            if failure.kind == ErrorKind::NotFound
                && doubt.load(Ordering::Relaxed)
                && let Ok(info) = self.look(to).await
                && info.version == *source
            {
                return Verdict::Done(());
            }
            if failure.fate_unknown() {
                doubt.store(true, Ordering::Relaxed);
            }
            failure.verdict(number)
        };
        self.persist(job, attempt).await
    }

    /// The service says that `source` is at `to` now.
    async fn check_move(
        &self,
        from: &Key,
        to: &Key,
        source: &ObjectVersion,
        answer: &Completed,
    ) -> Result<(), Failure> {
        let unconfirmed =
            |error: StoreError| Failure::unconfirmed("moved, but not confirmed", error);
        let other =
            |message: String| Failure::new(ErrorKind::InvalidAnswer, Repeat::Never, message);
        if source.size > 0 && answer.etag.as_ref() == Some(&source.etag) {
            return Ok(());
        }
        match self.head(to).await {
            Ok(info) if info.version == *source => {}
            Ok(info) => return Err(other(differs("moved", to, &info.version, source))),
            Err(error) if error.kind == ErrorKind::NotFound => {
                return Err(other(format!("moved, but there is no {:?}", to.as_str())));
            }
            Err(error) => return Err(unconfirmed(error)),
        }
        if source.size > 0 {
            return Ok(());
        }
        // An empty object is what an ignored header makes, too.
        match self.head(from).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unconfirmed(error)),
            Ok(_) => Err(other(format!("moved, but {:?} is still there", from.as_str()))),
        }
    }

    /// The version of a copy of `source`, where the answer alone proves it.
    pub(super) fn told_of_copy(
        &self,
        source: Option<&ObjectVersion>,
        answer: &Completed,
    ) -> Option<ObjectVersion> {
        let (source, etag) = (source?, answer.etag.as_ref()?);
        let proved = self.dialect.tells_of_copies() || (source.size > 0 && *etag == source.etag);
        proved.then(|| ObjectVersion { etag: etag.clone(), size: source.size })
    }

    /// Refuses what was found at `to` after a copy when it cannot be one: the services may give a copy
    /// another but none gives it another size.
    pub(super) async fn check_copy(
        &self,
        from: &Key,
        to: &Key,
        source: Option<&ObjectVersion>,
        found: &ObjectVersion,
    ) -> StoreResult<()> {
        let looked;
        let source = match source {
            Some(source) => source,
            // Only an empty object can be the work of an ignored header.
            None if found.size == 0 && !self.dialect.tells_of_copies() => {
                looked = self.head(from).await.map_err(|error| StoreError {
                    operation: Operation::Copy,
                    message: format!("copied, but not confirmed: {}", error.message).into(),
                    ..error
                })?;
                &looked.version
            }
            None => return Ok(()),
        };
        if found.size == source.size {
            return Ok(());
        }
        let message = differs("copied", to, found, source);
        let error = StoreError::new(ErrorKind::InvalidAnswer, Operation::Copy, message);
        Err(error.with_key(to.as_str()))
    }

    /// Gives an object other properties where it cannot be copied onto itself: by a copy beside it
    /// that takes its name. Atomic at the key; a crash in between leaves the copy behind.
    pub(super) async fn copy_by_rename(
        &self,
        key: &Key,
        options: &CopyOptions,
    ) -> StoreResult<ObjectVersion> {
        let beside = self.beside.key(key)?;
        // What an attempt without an answer has made is seen by who looks for it.
        let copied =
            self.copy(key, &beside, options).await.inspect_err(|_| self.beside.show(&beside))?;
        let Err(error) = self.rename(&beside, key, &RenameOptions::of(&copied)).await else {
            return Ok(copied);
        };
        // A move that was none may have left nothing at the key: then the copy is the last of the bytes.
        let whole = self.head(key).await.is_ok_and(|info| match &options.if_match {
            Some(source) => info.version == *source,
            None => info.version.size == copied.size,
        });
        if whole {
            // What stays behind is named in the log by `delete`'s own failure at most.
            if self.delete(&beside).await.is_err() {
                self.beside.show(&beside);
            }
            return Err(error);
        }
        self.beside.show(&beside);
        let message = format!("{}; the content may be at {:?}", error.message, beside.as_str());
        Err(StoreError { message: message.into(), ..error })
    }
}

/// What is said of a target that is not the source.
fn differs(done: &str, to: &Key, found: &ObjectVersion, source: &ObjectVersion) -> String {
    format!(
        "{done}, but {:?} has {} bytes, ETag {:?}; the source has {} bytes, ETag {:?}",
        to.as_str(),
        found.size,
        found.etag,
        source.size,
        source.etag
    )
}
