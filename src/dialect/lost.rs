//! Lost answers: requests that must not be judged by their answer alone, because the answer may be
//! lost after the work was done. Then the object itself is looked at, and success is what it proves.
//!
//! Complete is repeatable in effect, but a repeat of one that worked meets "no such upload", the same
//! answer that an upload gets which somebody aborted. Which of the two it is, only the object tells.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::timeout;

use crate::dialect::attempt::{Job, hex, md5_of};
use crate::dialect::client::Client;
use crate::dialect::failure::{Failure, Repeat, given_up};
use crate::dialect::{Appending, Completed};
use crate::http::{Answer, Patience, Verdict, persist};
use crate::store::{
    Appended, ByteRange, Checksum, ChecksumKind, Conditions, ETag, ErrorKind, Expected, Key,
    Metadata, ObjectInfo, ObjectStore, ObjectVersion, Operation, PartReceipt, Payload, Replaces,
    RunningChecksum, StoreResult, Upload,
};

/// How often a Complete is tried whose bytes are refused: more, and the service would be asked for
/// minutes to take parts for what they are not.
const MAX_CORRUPT_ATTEMPTS: u32 = 3;

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

/// `predicted` is the ETag that the expected object has, where that is known.
fn proof(info: &ObjectInfo, expected: &Expected, predicted: Option<&ETag>) -> Proof {
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
        _ if predicted == Some(&info.version.etag) => Proof::Same,
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
        let draft = self.dialect.complete_upload(upload, parts, expected);
        let mut job = self.job(Operation::CompleteUpload, &upload.key, draft)?;
        let predicted = self.dialect.predicted_etag(upload, parts);
        let predicted = predicted.as_ref();
        // Ranges of other objects have no checksum that we know; the service may have told that of the parts.
        // It is that of the bytes it has: of how many, only the size of the object tells.
        let told = &Expected {
            checksum: expected.checksum.or_else(|| checksum_of_parts(parts)),
            ..expected.clone()
        };
        // Bounded by time alone: all parts are there, and giving up would throw them away.
        job.patience = Patience { total: self.timing.complete, max_attempts: u32::MAX };
        let doubt = AtomicBool::new(false);
        let (job, doubt) = (&job, &doubt);
        let attempt = |number| async move {
            let sent = self.once(job, number, |answer| self.dialect.read_complete(answer)).await;
            let failure = match sent {
                Ok(stored) => {
                    let known = expected.checksum;
                    return self.confirm(upload, stored, known, told, predicted).await;
                }
                Err(failure) => failure,
            };
            if failure.fate_unknown() {
                doubt.store(true, Ordering::Relaxed);
            }
            let doubt = doubt.load(Ordering::Relaxed);
            let gone = failure.kind == ErrorKind::NoSuchUpload;
            if (gone || doubt)
                && let Some(version) = self.holds(&upload.key, told, predicted).await
                // An older object may have the same bytes, and other properties.
                && (gone || self.has_ended(upload).await)
            {
                return Verdict::Done(version);
            }
            // Damage on the way passes; parts that are not what they should be stay so.
            if failure.kind == ErrorKind::Corrupt && number >= MAX_CORRUPT_ATTEMPTS {
                return Verdict::Final(failure);
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
                    && let Some(version) = self.holds(&upload.key, told, predicted).await
                    && self.has_ended(upload).await
                {
                    return Ok(version);
                }
                Err(given_up(exhausted, job.operation, job.key, job.patience.total))
            }
        }
    }

    /// The service says that the upload is complete; checks that the object is the expected one. A checksum
    /// that was `known` before is proof of the answer alone.
    async fn confirm(
        &self,
        upload: &Upload,
        completed: Completed,
        known: Option<Checksum>,
        expected: &Expected,
        predicted: Option<&ETag>,
    ) -> Verdict<ObjectVersion, Failure> {
        let key = &upload.key;
        let corrupt = |message: String| {
            Verdict::Final(Failure::new(ErrorKind::Corrupt, Repeat::Never, message))
        };
        if let (Some(ours), Some(theirs)) = (known, completed.checksum)
            && ours.kind == theirs.kind
            && (ours != theirs || completed.etag.is_some())
        {
            return if let (true, Some(etag)) = (ours == theirs, completed.etag) {
                Verdict::Done(ObjectVersion { etag, size: expected.size })
            } else {
                corrupt(format!("completed as {theirs:?}, but the parts are {ours:?}"))
            };
        }
        let silent = completed.etag.is_none() && completed.checksum.is_none();
        let found = self.head(key).await;
        let proved = found.as_ref().map(|info| proof(info, expected, predicted));
        // A status alone may be that of somebody in between, and an older object may have our size.
        if silent && !matches!(proved, Ok(Proof::Same)) && self.is_open(upload).await {
            let failure = Failure::garbled("completed by the status, but the upload is open");
            return Verdict::Again { error: failure, after: None };
        }
        match found {
            Ok(info) if proof(&info, expected, predicted) == Proof::Different => corrupt(format!(
                "completed with {} bytes, {:?}; the parts have {} bytes, {:?}",
                info.version.size, info.checksum, expected.size, expected.checksum
            )),
            Ok(info) => Verdict::Done(info.version),
            Err(error) if error.kind == ErrorKind::NotFound => {
                corrupt("completed, but there is no object".to_owned())
            }
            Err(error) => {
                Verdict::Final(Failure::unconfirmed("completed, but not confirmed", error))
            }
        }
    }

    /// Puts an object where there must be nothing, or a certain version. A repeat of an attempt that worked
    /// after all meets its own object.
    pub(super) async fn put_once(
        &self,
        job: &Job<'_>,
        key: &Key,
        payload: &Payload,
        metadata: &Metadata,
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
            if own_may_be_in_the_way(failure.kind) && doubt.load(Ordering::Relaxed) {
                let expected = self.expected(payload).await;
                // Where services state no checksum, an ETag that is the MD5 proves as much.
                let predicted = md5_of(job).await.ok().map(|md5| ETag::new(&hex(&md5)));
                // Others may have put the same bytes there, an empty lock most of all; but not with the
                // time of our change.
                if let Ok(info) = self.look(key).await
                    && proof(&info, &expected, predicted.as_ref()) == Proof::Same
                    && carries(&info, metadata)
                {
                    tracing::info!(
                        key = key.as_str(),
                        "the answer was lost, but the object is there"
                    );
                    return Verdict::Done(info.version);
                }
            }
            if failure.fate_unknown() {
                doubt.store(true, Ordering::Relaxed);
            }
            failure.verdict(number)
        })
        .await
    }

    /// Appends; an attempt of unknown fate is resolved by the size of the object and, where the service
    /// states no checksum of the whole, by what was appended. The same bytes that another writer appended
    /// at the same moment would be taken for ours.
    pub(super) async fn append_once(
        &self,
        job: &Job<'_>,
        key: &Key,
        position: u64,
    ) -> StoreResult<Appended> {
        let end = position + job.draft.body.len();
        let doubt = AtomicBool::new(false);
        let doubt = &doubt;
        let attempt = |number| async move {
            let sent = self.once(job, number, |answer| self.dialect.read_append(answer)).await;
            let failure = match sent {
                Ok(Appending { size, .. }) if size != end => {
                    let message = format!("appended up to {size} where {end} is the end");
                    return Verdict::Final(Failure::new(
                        ErrorKind::Corrupt,
                        Repeat::Never,
                        message,
                    ));
                }
                Ok(Appending { size, etag: Some(etag), checksum }) => {
                    let version = ObjectVersion { etag, size };
                    return Verdict::Done(Appended { version, checksum });
                }
                Ok(Appending { etag: None, .. }) => match self.head(key).await {
                    Ok(info) => return Verdict::Done(appended(info)),
                    Err(error) => {
                        let message = format!("appended, but not confirmed: {}", error.message);
                        let failure = Failure::new(error.kind, Repeat::Never, message);
                        return Verdict::Final(failure);
                    }
                },
                Err(failure) => failure,
            };
            if failure.fate_unknown() {
                doubt.store(true, Ordering::Relaxed);
            }
            if doubt.load(Ordering::Relaxed) {
                match self.look(key).await {
                    Ok(info)
                        if info.version.size == end
                            && (info.checksum.is_some() || self.ends_with(&info, job).await) =>
                    {
                        return Verdict::Done(appended(info));
                    }
                    Ok(info) if info.version.size != position => {
                        let message = "the object was changed by another writer";
                        let kind = ErrorKind::PreconditionFailed;
                        return Verdict::Final(Failure::new(kind, Repeat::Never, message));
                    }
                    // Not applied, or no telling yet: the position keeps a repeat from doubling.
                    _ => {}
                }
            }
            if self.dialect.refuses_appends_alike()
                && failure.kind == ErrorKind::PreconditionFailed
                && let Ok(info) = self.look(key).await
                && info.version.size == position
            {
                let message = "nothing can be appended to this object";
                let kind = ErrorKind::NotAppendable;
                return Verdict::Final(Failure { kind, message: message.into(), ..failure });
            }
            failure.verdict(number)
        };
        self.persist(job, attempt).await
    }

    /// Looks at an object once.
    pub(super) async fn look(&self, key: &Key) -> Result<ObjectInfo, Failure> {
        let head = self.job(Operation::Head, key, self.dialect.head(key, &Conditions::NONE));
        let job = head.map_err(|error| Failure::unsayable(error.message))?;
        let look = self.once(&job, 1, |answer| self.dialect.read_head(answer));
        timeout(self.timing.attempt, look).await.unwrap_or_else(|_| {
            Err(Failure::new(ErrorKind::Timeout, Repeat::FateUnknown, "no answer to a look"))
        })
    }

    /// Copies an object onto itself with other properties. A repeat of an attempt that worked after all
    /// meets its own copy, which may have another ETag than its source.
    pub(super) async fn copy_onto_itself(
        &self,
        job: &Job<'_>,
        key: &Key,
        source: &ObjectVersion,
        metadata: &Metadata,
    ) -> StoreResult<Completed> {
        let doubt = AtomicBool::new(false);
        let doubt = &doubt;
        self.persist(job, |number| async move {
            let sent = self.once(job, number, |answer| self.dialect.read_copy(answer)).await;
            let failure = match sent {
                Ok(copied) => return Verdict::Done(copied),
                Err(failure) => failure,
            };
            if failure.kind == ErrorKind::PreconditionFailed
                && doubt.load(Ordering::Relaxed)
                && let Ok(info) = self.look(key).await
                && info.version.size == source.size
                && carries(&info, metadata)
            {
                let (etag, checksum) = (Some(info.version.etag), info.checksum);
                return Verdict::Done(Completed { etag, checksum });
            }
            if failure.fate_unknown() {
                doubt.store(true, Ordering::Relaxed);
            }
            failure.verdict(number)
        })
        .await
    }

    /// Whether the object of a job is known to end with the job's body. Not knowing is no.
    async fn ends_with(&self, info: &ObjectInfo, job: &Job<'_>) -> bool {
        let (end, body) = (info.version.size, &job.draft.body);
        let range = ByteRange::new(end.saturating_sub(body.len()), end);
        let (Some(key), Some(range)) = (job.key, range) else { return false };
        let conditions = Conditions::matching(&info.version.etag);
        let Ok(content) = self.get(key, Some(range), &conditions).await else { return false };
        let mut found = RunningChecksum::new(ChecksumKind::Crc64Xz);
        content.chunks.iter().for_each(|chunk| found.update(chunk));
        checksum_of(body, ChecksumKind::Crc64Xz).await == Some(found.value())
    }

    /// Whether an upload is known to be no more. Not knowing is no.
    async fn has_ended(&self, upload: &Upload) -> bool {
        self.is_known_open(upload).await == Some(false)
    }

    /// Whether an upload is known to be there still. Not knowing is no.
    async fn is_open(&self, upload: &Upload) -> bool {
        self.is_known_open(upload).await == Some(true)
    }

    async fn is_known_open(&self, upload: &Upload) -> Option<bool> {
        let draft = self.dialect.list_parts(upload, None);
        let job = self.job(Operation::ListParts, &upload.key, draft).ok()?;
        let list = self.once(&job, 1, |answer| self.dialect.read_parts(answer, None));
        match timeout(self.timing.attempt, list).await {
            Ok(Ok(_)) => Some(true),
            Ok(Err(failure)) if failure.kind == ErrorKind::NoSuchUpload => Some(false),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    async fn expected(&self, payload: &Payload) -> Expected {
        let checksum = match (payload.checksum(), self.limits().checksum) {
            (None, Some(kind)) => checksum_of(payload, kind).await,
            (known, _) => known,
        };
        Expected { size: payload.len(), checksum, replaces: Replaces::Anything }
    }

    /// Looks once whether the object at `key` is proved to be `expected`. Not knowing is `None`.
    async fn holds(
        &self,
        key: &Key,
        expected: &Expected,
        predicted: Option<&ETag>,
    ) -> Option<ObjectVersion> {
        let info = self.look(key).await.ok()?;
        if proof(&info, expected, predicted) != Proof::Same {
            return None;
        }
        tracing::info!(key = key.as_str(), "the answer was lost, but the object is there");
        Some(info.version)
    }
}

/// Whether the object that a write with a condition has met may be its own.
fn own_may_be_in_the_way(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AlreadyExists | ErrorKind::PreconditionFailed)
}

/// The checksum of these parts together, if the service has told that of each.
fn checksum_of_parts(parts: &[PartReceipt]) -> Option<Checksum> {
    let nothing = parts.first()?.checksum?.kind.of_nothing();
    parts.iter().try_fold(nothing, |sum, part| sum.followed_by(part.checksum?, part.size))
}

/// Whether an object has this metadata, and perhaps more.
fn carries(info: &ObjectInfo, metadata: &Metadata) -> bool {
    metadata.iter().all(|(name, value)| info.metadata.get(name) == Some(value))
}

fn appended(info: ObjectInfo) -> Appended {
    Appended { version: info.version, checksum: info.checksum }
}

/// `None` when the bytes cannot be read any more: then nothing is proved by them.
pub(super) async fn checksum_of(payload: &Payload, kind: ChecksumKind) -> Option<Checksum> {
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
