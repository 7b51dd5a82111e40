//! Lost answers: requests that must not be judged by their answer alone, because the answer may be
//! lost after the work was done. Then the object itself is looked at, and success is what it proves.
//!
//! Complete is repeatable in effect, but a repeat of one that worked meets "no such upload", the same
//! answer that an upload gets which somebody aborted. Which of the two it is, only the object tells.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::timeout;

use crate::dialect::Stored;
use crate::dialect::client::{Client, Job};
use crate::dialect::failure::{Failure, Repeat, given_up};
use crate::http::{Answer, Patience, Verdict, persist};
use crate::store::{
    Checksum, ChecksumKind, ErrorKind, Expected, Key, ObjectInfo, ObjectStore, ObjectVersion,
    Operation, PartReceipt, Payload, RunningChecksum, StoreResult, Upload,
};

const OK: &[http::StatusCode] = &[http::StatusCode::OK];

/// What an object proves about an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Size and checksum are the expected ones.
    Same,
    /// The size or the checksum differs.
    Different,
    /// The size is right, and one side has no checksum.
    SizeOnly,
}

fn proof(info: &ObjectInfo, expected: &Expected) -> Proof {
    if info.version.size != expected.size {
        return Proof::Different;
    }
    match (expected.checksum, info.checksum) {
        (Some(ours), Some(theirs)) if ours.kind == theirs.kind => {
            if ours == theirs {
                Proof::Same
            } else {
                Proof::Different
            }
        }
        _ => Proof::SizeOnly,
    }
}

impl Client {
    /// Completes an upload; goes on until it is proved done, proved impossible, or out of time.
    pub(super) async fn complete(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> StoreResult<ObjectVersion> {
        let draft = self.dialect.complete_upload(upload, parts);
        let mut job = self.job(Operation::CompleteUpload, &upload.key, draft, OK)?;
        // Bounded by time alone: all parts are there, and giving up would throw them away.
        job.patience = Patience { total: self.timing.complete, max_attempts: u32::MAX };
        let doubt = AtomicBool::new(false);
        let (job, doubt) = (&job, &doubt);
        let attempt = |number| async move {
            let sent = self.once(job, number, |answer| self.dialect.read_complete(answer)).await;
            let failure = match sent {
                Ok(stored) => return self.confirm(&upload.key, stored, expected).await,
                Err(failure) => failure,
            };
            if failure.fate_unknown() {
                doubt.store(true, Ordering::Relaxed);
            }
            let doubt = doubt.load(Ordering::Relaxed);
            let gone = failure.kind == ErrorKind::NoSuchUpload;
            if (gone || doubt)
                && let Some(version) = self.holds(&upload.key, expected).await
            {
                return Verdict::Done(version);
            }
            // After an attempt of unknown fate, an upload that is gone may be one that the service
            // is still putting together: look again until the time is over.
            if failure.repeat != Repeat::Never || (gone && doubt) {
                let after = failure.after;
                return Verdict::Again { error: failure, after };
            }
            Verdict::Final(failure)
        };
        match persist(job.patience, attempt).await {
            Ok(version) => Ok(version),
            Err(exhausted) => {
                // An attempt that was cut off has not been looked after yet.
                if exhausted.cut_off
                    && let Some(version) = self.holds(&upload.key, expected).await
                {
                    return Ok(version);
                }
                Err(given_up(exhausted, job.operation, job.key, job.patience.total))
            }
        }
    }

    /// The service says that the upload is complete; checks that the object is the expected one.
    async fn confirm(
        &self,
        key: &Key,
        stored: Stored,
        expected: &Expected,
    ) -> Verdict<ObjectVersion, Failure> {
        let corrupt = |message: String| {
            tracing::error!(key = key.as_str(), message, "a completed object is not what was sent");
            Verdict::Final(Failure::new(ErrorKind::Corrupt, Repeat::Never, message))
        };
        if let (Some(ours), Some(theirs)) = (expected.checksum, stored.checksum)
            && ours.kind == theirs.kind
        {
            return if ours == theirs {
                Verdict::Done(ObjectVersion { etag: stored.etag, size: expected.size })
            } else {
                corrupt(format!("completed as {theirs:?}, but the parts are {ours:?}"))
            };
        }
        match self.head(key).await {
            Ok(info) if proof(&info, expected) == Proof::Different => corrupt(format!(
                "completed with {} bytes, {:?}; the parts have {} bytes, {:?}",
                info.version.size, info.checksum, expected.size, expected.checksum
            )),
            Ok(info) => Verdict::Done(info.version),
            Err(error) if error.kind == ErrorKind::NotFound => {
                corrupt("completed, but there is no object".to_owned())
            }
            Err(error) => {
                let message = format!("completed, but not confirmed: {}", error.message);
                Verdict::Final(Failure::new(error.kind, Repeat::Never, message))
            }
        }
    }

    /// Creates an object that must not exist. A repeat of an attempt that worked after all meets
    /// its own object.
    pub(super) async fn create(
        &self,
        job: &Job<'_>,
        key: &Key,
        payload: &Payload,
        read: impl Fn(&Answer) -> Result<ObjectVersion, Failure> + Send + Sync,
    ) -> StoreResult<ObjectVersion> {
        let doubt = AtomicBool::new(false);
        let (doubt, read) = (&doubt, &read);
        self.persist(job, |number| async move {
            let failure = match self.once(job, number, read).await {
                Ok(version) => return Verdict::Done(version),
                Err(failure) => failure,
            };
            // Bytes that were damaged on their way are stored now, and a repeat could not replace
            // them: nothing but an error is left, and the object for the user to look at.
            if failure.kind == ErrorKind::Corrupt && failure.code.is_none() {
                return Verdict::Final(failure);
            }
            if failure.kind == ErrorKind::AlreadyExists && doubt.load(Ordering::Relaxed) {
                let expected = self.expected(payload).await;
                if let Some(version) = self.holds(key, &expected).await {
                    return Verdict::Done(version);
                }
            }
            if failure.fate_unknown() {
                doubt.store(true, Ordering::Relaxed);
            }
            failure.verdict(number)
        })
        .await
    }

    async fn expected(&self, payload: &Payload) -> Expected {
        let checksum = match (payload.checksum(), self.limits().checksum) {
            (None, Some(kind)) => checksum_of(payload, kind).await,
            (known, _) => known,
        };
        Expected { size: payload.len(), checksum }
    }

    /// Looks once whether the object at `key` is proved to be `expected`. Not knowing is `None`.
    async fn holds(&self, key: &Key, expected: &Expected) -> Option<ObjectVersion> {
        let job = self.job(Operation::Head, key, self.dialect.head(key), OK).ok()?;
        let look = self.once(&job, 1, |answer| self.dialect.read_head(answer));
        let info = timeout(self.timing.attempt, look).await.ok()?.ok()?;
        if proof(&info, expected) != Proof::Same {
            return None;
        }
        tracing::info!(key = key.as_str(), "the answer was lost, but the object is there");
        Some(info.version)
    }
}

/// `None` when the bytes cannot be read any more: then nothing is proved by them.
async fn checksum_of(payload: &Payload, kind: ChecksumKind) -> Option<Checksum> {
    let mut running = RunningChecksum::new(kind);
    let mut pieces = payload.pieces();
    while let Some(piece) = pieces.next().await.ok()? {
        running.update(&piece);
    }
    Some(running.value())
}

#[cfg(test)]
#[path = "lost_tests.rs"]
mod tests;
