//! The flow that all services share: check, send, check what came back, try again. Implements
//! [`ObjectStore`] over a [`Dialect`]. Which requests are made and what answers mean is the dialect's;
//! when to try again is `http`'s; what to do when an answer was lost is in `lost`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};

use crate::dialect::attempt::Job;
use crate::dialect::beside::Beside;
use crate::dialect::conditions::keep_to;
use crate::dialect::credentials::CredentialCache;
use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::lost::checksum_of;
use crate::dialect::request::{Draft, Site};
use crate::dialect::write_conditions::WriteConditions;
use crate::dialect::{ConnectError, Dialect, Stored, Timing};
use crate::http::{Answer, Patience, Transport, Verdict};
use crate::store::{
    Appended, ByteRange, Conditions, Content, CopyOptions, ETag, ErrorKind, Expected, Key, Limits,
    ListPage, ListRequest, ObjectInfo, ObjectStore, ObjectVersion, Operation, PartNumber,
    PartReceipt, PartsPage, Payload, PayloadData, PutOptions, RenameOptions, Replaces, Started,
    StoreError, StoreResult, Upload, UploadsPage, UploadsRequest,
};

/// Largest body of a listing; a page of 1000 keys of 850 bytes, all percent-encoded, needs 3 MB.
const LIST_BYTES: u64 = 16 << 20;
/// Largest body of any other document.
pub(super) const DOCUMENT_BYTES: u64 = 1 << 20;
/// The slowest link that is not called dead, in bytes per second.
const SLOWEST_LINK: u64 = 64 * 1024;

/// A bucket of a service.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) dialect: Box<dyn Dialect>,
    pub(super) credentials: CredentialCache,
    pub(super) transport: Transport,
    pub(super) timing: Timing,
    pub(super) beside: Beside,
    pub(super) write_conditions: WriteConditions,
}

impl Client {
    pub(crate) fn new(
        dialect: Box<dyn Dialect>,
        credentials: CredentialCache,
        timing: Timing,
    ) -> Result<Self, ConnectError> {
        let Site { tls, authority } = dialect.site();
        let host = authority.rsplit_once(':').map_or(&**authority, |(host, _)| host);
        let transport = Transport::to(*tls, timing.connect, host)?;
        let (beside, write_conditions) = (Beside::default(), WriteConditions::default());
        Ok(Self { dialect, credentials, transport, timing, beside, write_conditions })
    }

    /// Time for an operation that moves `bytes` of content.
    pub(super) fn patience(&self, bytes: u64) -> Patience {
        let carrying = Duration::from_secs(bytes / SLOWEST_LINK);
        Patience {
            total: self.timing.total.saturating_add(carrying),
            max_attempts: self.timing.max_attempts,
        }
    }

    /// The same, or more where bytes of a program would be lost (parts are listed before a Complete): then the time decides alone, because an
    /// outage fails attempts in no time.
    fn patience_of(&self, operation: Operation, usual: Patience) -> Patience {
        let writes = matches!(
            operation,
            Operation::Put
                | Operation::Append
                | Operation::StartUpload
                | Operation::PutPart
                | Operation::CopyPart
                | Operation::Copy
                | Operation::ListParts
        );
        match self.timing.writes.filter(|_| writes) {
            Some(time) => Patience { total: usual.total.max(time), max_attempts: u32::MAX },
            None => usual,
        }
    }

    /// Time for work on the server.
    fn long_patience(&self) -> Patience {
        Patience { total: self.timing.complete, max_attempts: self.timing.max_attempts }
    }

    /// How long nothing may move while the server copies bytes. Not all services send blanks meanwhile, and
    /// an attempt that is given up is work begun anew; half of the patience leaves time for a second one.
    fn long_idle(&self) -> Duration {
        self.timing.attempt.max(self.timing.complete / 2)
    }

    /// A job about `key` with the answer's usual limits.
    pub(super) fn job<'a>(
        &self,
        operation: Operation,
        key: &'a Key,
        draft: Result<Draft, Failure>,
    ) -> StoreResult<Job<'a>> {
        self.job_of(operation, Some(key), draft)
    }

    fn job_of<'a>(
        &self,
        operation: Operation,
        key: Option<&'a Key>,
        draft: Result<Draft, Failure>,
    ) -> StoreResult<Job<'a>> {
        let draft = draft.map_err(|failure| failure.into_error(operation, key, 1))?;
        let patience = self.patience_of(operation, self.patience(draft.body.len()));
        let success = self.dialect.success(operation);
        let limit = match operation {
            Operation::List
            | Operation::ListParts
            | Operation::ListUploads
            // QingStor names the keys of a multi-delete.
            | Operation::DeleteMany => LIST_BYTES,
            _ => DOCUMENT_BYTES,
        };
        let (idle, md5) = (self.timing.attempt, OnceLock::new());
        Ok(Job { operation, key, draft, success, limit, patience, idle, md5 })
    }

    /// Refuses keys that the service cannot store, before anything is sent.
    pub(super) fn check_key(&self, operation: Operation, key: &Key) -> StoreResult<()> {
        self.dialect.check_key(key).map_err(|reason| {
            StoreError::new(ErrorKind::InvalidKey, operation, reason).with_key(key.as_str())
        })
    }

    fn check_size(&self, operation: Operation, key: &Key, size: u64, most: u64) -> StoreResult<()> {
        if size <= most {
            return Ok(());
        }
        let message = format!("{size} bytes are more than the {most} that the service takes");
        Err(StoreError::new(ErrorKind::TooLarge, operation, message).with_key(key.as_str()))
    }

    /// Content in memory with the checksum of the service. Who makes directories and links computes none,
    /// and S3 takes nothing without into buckets that keep objects from being changed (Object Lock).
    async fn with_checksum(&self, payload: Payload) -> Payload {
        match (payload.checksum(), payload.data(), self.limits().checksum) {
            (None, PayloadData::Chunks(_), Some(kind)) => {
                let checksum = checksum_of(&payload, kind).await;
                payload.with_checksum(checksum)
            }
            _ => payload,
        }
    }

    async fn delete_batch(&self, keys: &[&Key]) -> StoreResult<Vec<(Key, StoreError)>> {
        let operation = Operation::DeleteMany;
        let job = self.job_of(operation, None, self.dialect.delete_many(keys))?;
        let refused = self
            .run(&job, |answer| {
                let mut refused = Vec::new();
                for (name, failure) in self.dialect.read_delete_many(answer, keys)? {
                    let key = keys.iter().find(|key| key.as_str() == name).ok_or_else(|| {
                        Failure::garbled("an error about a key that was not to be deleted")
                    })?;
                    refused.push((*key, failure));
                }
                Ok(refused)
            })
            .await?;
        let mut failed = Vec::new();
        for (key, failure) in refused {
            if failure.kind == ErrorKind::NotFound {
                continue;
            }
            let error = match failure.repeat {
                Repeat::Never => failure.into_error(operation, Some(key), 1),
                // A passing trouble with one key: alone it gets all the patience there is.
                Repeat::Refused | Repeat::FateUnknown => match self.delete(key).await {
                    Ok(()) => continue,
                    Err(error) => error,
                },
            };
            failed.push((key.clone(), error));
        }
        Ok(failed)
    }
}

impl Client {
    fn read_put(
        &self,
        job: &Job<'_>,
        payload: &Payload,
        answer: &Answer,
    ) -> Result<ObjectVersion, Failure> {
        let stored = self.intact(job, payload, self.dialect.read_stored(answer)?)?;
        Ok(ObjectVersion { etag: stored.etag, size: payload.len() })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Client {
    fn limits(&self) -> &Limits {
        self.dialect.limits()
    }

    async fn head(&self, key: &Key) -> StoreResult<ObjectInfo> {
        self.head_if(key, &Conditions::NONE).await
    }

    async fn head_if(&self, key: &Key, conditions: &Conditions) -> StoreResult<ObjectInfo> {
        self.check_key(Operation::Head, key)?;
        let job = self.job(Operation::Head, key, self.dialect.head(key, conditions))?;
        self.run(&job, |answer| {
            let info = self.dialect.read_head(answer)?;
            keep_to(conditions, &info.version.etag, &answer.headers)?;
            Ok(info)
        })
        .await
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<Content> {
        self.check_key(Operation::Get, key)?;
        let draft = self.dialect.get(key, range, conditions);
        let mut job = self.job(Operation::Get, key, draft)?;
        job.patience = match range {
            Some(range) => self.patience(range.len()),
            None => self.long_patience(),
        };
        let head = |status, headers: &HeaderMap| self.dialect.read_content(status, headers, range);
        let gate = |status: StatusCode, headers: &HeaderMap| {
            if job.success.contains(&status) {
                // What is not the content asked for is not worth reading.
                head(status, headers).ok().map(|head| head.len)
            } else {
                Some(DOCUMENT_BYTES)
            }
        };
        let read = |answer: &Answer| {
            let head = head(answer.status, &answer.headers)?;
            keep_to(conditions, &head.version.etag, &answer.headers)?;
            let content = Content {
                version: head.version,
                start: head.start,
                chunks: answer.body.clone(),
                checksum: head.checksum,
            };
            if content.len() != head.len {
                let message = format!("{} bytes of the {} announced", content.len(), head.len);
                return Err(Failure::garbled(message));
            }
            Ok(content)
        };
        let (job, gate, read) = (&job, &gate, &read);
        self.persist(job, |number| async move {
            match self.once_gated(job, number, gate, read).await {
                Ok(content) => Verdict::Done(content),
                Err(failure) => failure.verdict(number),
            }
        })
        .await
        .map_err(|mut error| {
            // A content that breaks off each time is an answer that is not what it said.
            if error.kind == ErrorKind::Network && error.status.is_some() {
                error.kind = ErrorKind::InvalidAnswer;
            }
            error
        })
    }

    async fn list(&self, request: &ListRequest) -> StoreResult<ListPage> {
        let job = self.job_of(Operation::List, None, self.dialect.list(request))?;
        let page = self.run(&job, |answer| self.dialect.read_list(answer, request)).await?;
        Ok(self.beside.hide(page))
    }

    async fn put(
        &self,
        key: &Key,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<ObjectVersion> {
        self.check_key(Operation::Put, key)?;
        self.check_size(Operation::Put, key, payload.len(), self.limits().put_bytes)?;
        let payload = self.with_checksum(payload).await;
        let replaces = self.write_conditions.possible(&options.replaces, self.limits());
        if replaces != Replaces::Anything {
            let draft = self.dialect.put(key, payload.clone(), options);
            let job = self.job(Operation::Put, key, draft)?;
            let read = |answer: &Answer| self.read_put(&job, &payload, answer);
            match self.put_once(&job, key, &payload, &options.metadata, read).await {
                Err(error) if self.write_conditions.is_missing(&replaces, &error) => {}
                put => return put,
            }
        }
        let options = PutOptions { replaces: Replaces::Anything, ..options.clone() };
        let draft = self.dialect.put(key, payload.clone(), &options);
        let job = self.job(Operation::Put, key, draft)?;
        self.run(&job, |answer| self.read_put(&job, &payload, answer)).await
    }

    async fn delete(&self, key: &Key) -> StoreResult<()> {
        self.check_key(Operation::Delete, key)?;
        let job = self.job(Operation::Delete, key, self.dialect.delete(key, None))?;
        absent_is_done(self.run(&job, |_| Ok(())).await, ErrorKind::NotFound)
    }

    async fn delete_if(&self, key: &Key, etag: &ETag) -> StoreResult<()> {
        let version = Replaces::Version(etag.clone());
        if self.write_conditions.possible(&version, self.limits()) == Replaces::Anything {
            return self.delete(key).await;
        }
        self.check_key(Operation::Delete, key)?;
        let job = self.job(Operation::Delete, key, self.dialect.delete(key, Some(etag)))?;
        // A repeat of one that worked finds nothing, and that is success.
        match self.run(&job, |_| Ok(())).await {
            Err(error) if self.write_conditions.is_missing(&version, &error) => {
                self.delete(key).await
            }
            done => absent_is_done(done, ErrorKind::NotFound),
        }
    }

    async fn delete_many(&self, keys: &[Key]) -> StoreResult<Vec<(Key, StoreError)>> {
        for key in keys {
            self.check_key(Operation::DeleteMany, key)?;
        }
        let (batched, single): (Vec<&Key>, Vec<&Key>) =
            keys.iter().partition(|key| self.dialect.deletes_in_batch(key));
        let mut failed = Vec::new();
        for batch in batched.chunks(self.limits().delete_batch.max(1)) {
            failed.extend(self.delete_batch(batch).await?);
        }
        for key in single {
            if let Err(error) = self.delete(key).await {
                failed.push((key.clone(), error));
            }
        }
        Ok(failed)
    }

    async fn copy(
        &self,
        from: &Key,
        to: &Key,
        options: &CopyOptions,
    ) -> StoreResult<ObjectVersion> {
        self.check_key(Operation::Copy, from)?;
        self.check_key(Operation::Copy, to)?;
        if from == to && options.replace.is_some() && !self.dialect.copies_onto_itself() {
            return self.copy_by_rename(from, options).await;
        }
        if from == to && options.replace.is_none() {
            let message = "a copy of an object onto itself must change its properties";
            let error = StoreError::new(ErrorKind::InvalidRequest, Operation::Copy, message);
            return Err(error.with_key(to.as_str()));
        }
        let mut job = self.job(Operation::Copy, to, self.dialect.copy(from, to, options))?;
        (job.patience, job.idle) = (self.long_patience(), self.long_idle());
        let copied = match (&options.if_match, &options.replace) {
            (Some(source), Some(replace)) if from == to => {
                self.copy_onto_itself(&job, to, source, &replace.metadata).await?
            }
            _ => self.run(&job, |answer| self.dialect.read_copy(answer)).await?,
        };
        if let Some(version) = self.told_of_copy(options.if_match.as_ref(), &copied) {
            return Ok(version);
        }
        // The answer has no size, or no ETag, or proves nothing. Should somebody have replaced the copy meanwhile, then what is
        // there now is what the caller has to know about.
        let info = self.head(to).await.map_err(|error| StoreError {
            operation: Operation::Copy,
            message: format!("copied, but then: {}", error.message).into(),
            ..error
        })?;
        if let (true, Some(said), Some(found)) =
            (copied.etag.as_ref() == Some(&info.version.etag), copied.checksum, info.checksum)
            && said != found
        {
            let message = format!("the copy is {found:?} where {said:?} was confirmed");
            let error = StoreError::new(ErrorKind::Corrupt, Operation::Copy, message);
            return Err(error.with_key(to.as_str()));
        }
        self.check_copy(from, to, options.if_match.as_ref(), &info.version).await?;
        Ok(info.version)
    }

    async fn rename(&self, from: &Key, to: &Key, options: &RenameOptions) -> StoreResult<()> {
        self.check_key(Operation::Rename, from)?;
        self.check_key(Operation::Rename, to)?;
        let draft = self.dialect.rename(from, to, &options.conditions());
        let mut job = self.job(Operation::Rename, to, draft)?;
        job.patience = self.long_patience();
        self.rename_once(&job, from, to, &options.source).await
    }

    async fn append(
        &self,
        key: &Key,
        position: u64,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<Appended> {
        let operation = Operation::Append;
        self.check_key(operation, key)?;
        let Some(limits) = self.limits().append else {
            let message = "nothing can be appended to objects of this service";
            let error = StoreError::new(ErrorKind::InvalidRequest, operation, message);
            return Err(error.with_key(key.as_str()));
        };
        self.check_size(operation, key, payload.len(), limits.call_bytes)?;
        let end = position.saturating_add(payload.len());
        self.check_size(operation, key, end, limits.object_bytes)?;
        let job = self.job(operation, key, self.dialect.append(key, position, payload, options))?;
        self.append_once(&job, key, position).await
    }

    async fn start_upload(&self, key: &Key, options: &PutOptions) -> StoreResult<Started> {
        self.check_key(Operation::StartUpload, key)?;
        let draft = self.dialect.start_upload(key, options);
        let job = &self.job(Operation::StartUpload, key, draft)?;
        let doubt = &AtomicBool::new(false);
        let attempt = |number| async move {
            match self.once(job, number, |answer| self.dialect.read_upload_id(answer)).await {
                Ok(id) => Verdict::Done(id),
                Err(failure) => {
                    doubt.fetch_or(failure.fate_unknown(), Ordering::Relaxed);
                    failure.verdict(number)
                }
            }
        };
        let id = self.persist(job, attempt).await?;
        let upload = Upload { key: key.clone(), id };
        Ok(Started { upload, strays: doubt.load(Ordering::Relaxed) })
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> StoreResult<PartReceipt> {
        let (operation, most) = (Operation::PutPart, self.limits().part_max_bytes);
        self.check_size(operation, &upload.key, payload.len(), most)?;
        let draft = self.dialect.put_part(upload, number, payload.clone());
        let job = self.job(operation, &upload.key, draft)?;
        let read = |answer: &Answer| self.intact(&job, &payload, self.dialect.read_stored(answer)?);
        let Stored { etag, checksum } = self.run(&job, read).await?;
        Ok(PartReceipt { number, etag, size: payload.len(), checksum })
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<PartReceipt> {
        let operation = Operation::CopyPart;
        self.check_key(operation, from)?;
        let refused = |kind, message: &str| {
            StoreError::new(kind, operation, message).with_key(upload.key.as_str())
        };
        // Without a range the size must be asked for, and is true of that version only; so are the conditions.
        let version;
        let (size, conditions) = match range {
            Some(_) if conditions.are_mixed() && !self.limits().mixed_part_conditions => {
                let message = "the service does not take these conditions together";
                return Err(refused(ErrorKind::InvalidRequest, message));
            }
            Some(range) => (range.len(), conditions),
            None => {
                let found = self.head_if(from, conditions).await;
                let info = found.map_err(|error| match error.kind {
                    ErrorKind::NotModified => {
                        refused(ErrorKind::PreconditionFailed, "the source was not changed")
                    }
                    _ => StoreError { operation, ..error },
                })?;
                version = Conditions::matching(&info.version.etag);
                (info.version.size, &version)
            }
        };
        self.check_size(operation, &upload.key, size, self.limits().part_max_bytes)?;
        let draft = self.dialect.copy_part(upload, number, from, range, conditions);
        let mut job = self.job(operation, &upload.key, draft)?;
        job.patience = self.patience_of(operation, self.long_patience());
        job.idle = self.long_idle();
        let Stored { etag, checksum } =
            self.run(&job, |answer| self.dialect.read_copy_part(answer)).await?;
        Ok(PartReceipt { number, etag, size, checksum })
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> StoreResult<ObjectVersion> {
        let ascending = parts.windows(2).all(|pair| pair[0].number < pair[1].number);
        if parts.is_empty() || !ascending {
            let message = "the parts must ascend by number, and there must be some";
            let error = StoreError::new(ErrorKind::InvalidPart, Operation::CompleteUpload, message);
            return Err(error.with_key(upload.key.as_str()));
        }
        let replaces = self.write_conditions.possible(&expected.replaces, self.limits());
        let sent = Expected { replaces, ..expected.clone() };
        match self.complete(upload, parts, &sent).await {
            Err(error) if self.write_conditions.is_missing(&sent.replaces, &error) => {
                let without = Expected { replaces: Replaces::Anything, ..sent };
                self.complete(upload, parts, &without).await
            }
            completed => completed,
        }
    }

    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()> {
        let draft = self.dialect.abort_upload(upload);
        let job = self.job(Operation::AbortUpload, &upload.key, draft)?;
        absent_is_done(self.run(&job, |_| Ok(())).await, ErrorKind::NoSuchUpload)
    }

    async fn list_parts(
        &self,
        upload: &Upload,
        after: Option<PartNumber>,
    ) -> StoreResult<PartsPage> {
        let draft = self.dialect.list_parts(upload, after);
        let job = self.job(Operation::ListParts, &upload.key, draft)?;
        self.run(&job, |answer| self.dialect.read_parts(answer, after)).await
    }

    async fn list_uploads(&self, request: &UploadsRequest) -> StoreResult<UploadsPage> {
        let draft = self.dialect.list_uploads(request);
        let job = self.job_of(Operation::ListUploads, None, draft)?;
        self.run(&job, |answer| self.dialect.read_uploads(answer, request)).await
    }
}

/// What was to be removed and is not there is removed.
fn absent_is_done(result: StoreResult<()>, absent: ErrorKind) -> StoreResult<()> {
    match result {
        Err(error) if error.kind == absent => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
