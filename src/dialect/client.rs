//! The flow that all services share: check, send, check what came back, try again. Implements
//! [`ObjectStore`] over a [`Dialect`]. Which requests are made and what answers mean is the dialect's;
//! when to try again is `http`'s; what to do when an answer was lost is in `lost`.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, StatusCode, header};
use md5::{Digest, Md5};
use reqsign_core::hash::base64_encode;
use tokio::time::Instant;

use crate::clock::{Clock, SystemClock};
use crate::dialect::clock_skew;
use crate::dialect::credentials::{CredentialCache, Rejection};
use crate::dialect::failure::{Failure, Repeat, given_up};
use crate::dialect::lost::checksum_of;
use crate::dialect::request::{Draft, Site};
use crate::dialect::{ConnectError, Credentials, Dialect, Stored, Timing, headers};
use crate::http::{Answer, Patience, Request, RequestBody, Transport, Verdict, persist};
use crate::store::{
    Appended, ByteRange, Content, CopyOptions, ETag, ErrorKind, Expected, Key, Limits, ListPage,
    ListRequest, ObjectInfo, ObjectStore, ObjectVersion, Operation, PartNumber, PartReceipt,
    PartsPage, Payload, PayloadData, PutOptions, StoreError, StoreResult, Upload, UploadsPage,
    UploadsRequest,
};

/// Largest body of a listing; a page of 1000 keys of 850 bytes, all percent-encoded, needs 3 MB.
const LIST_BYTES: u64 = 16 << 20;
/// Largest body of any other document.
const DOCUMENT_BYTES: u64 = 1 << 20;
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// The slowest link that is not called dead, in bytes per second.
const SLOWEST_LINK: u64 = 64 * 1024;

/// A bucket of a service.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) dialect: Box<dyn Dialect>,
    credentials: CredentialCache,
    transport: Transport,
    pub(super) timing: Timing,
}

/// One operation: everything that is the same in all its attempts.
pub(super) struct Job<'a> {
    pub(super) operation: Operation,
    pub(super) key: Option<&'a Key>,
    pub(super) draft: Draft,
    /// See [`Dialect::success`].
    pub(super) success: &'static [StatusCode],
    /// Largest body of a good answer.
    pub(super) limit: u64,
    pub(super) patience: Patience,
    /// How long nothing may move in an attempt.
    idle: Duration,
    /// MD5 of the body, once it was needed.
    md5: OnceLock<[u8; 16]>,
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
        Ok(Self { dialect, credentials, transport, timing })
    }

    /// Time for an operation that moves `bytes` of content.
    pub(super) fn patience(&self, bytes: u64) -> Patience {
        let carrying = Duration::from_secs(bytes / SLOWEST_LINK);
        Patience {
            total: self.timing.total.saturating_add(carrying),
            max_attempts: self.timing.max_attempts,
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
        let patience = self.patience(draft.body.len());
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

    /// Repeats `attempt` as its failures allow.
    pub(super) async fn persist<T, R>(
        &self,
        job: &Job<'_>,
        attempt: impl FnMut(u32) -> R,
    ) -> StoreResult<T>
    where
        R: Future<Output = Verdict<T, Failure>>,
    {
        persist(job.patience, attempt)
            .await
            .map_err(|exhausted| given_up(exhausted, job.operation, job.key, job.patience.total))
    }

    /// An operation that is safe to repeat.
    async fn run<T>(
        &self,
        job: &Job<'_>,
        read: impl Fn(&Answer) -> Result<T, Failure> + Send + Sync,
    ) -> StoreResult<T> {
        let read = &read;
        self.persist(job, |number| async move {
            match self.once(job, number, read).await {
                Ok(value) => Verdict::Done(value),
                Err(failure) => failure.verdict(number),
            }
        })
        .await
    }

    /// One attempt: signed for now, sent, read.
    pub(super) async fn once<T>(
        &self,
        job: &Job<'_>,
        number: u32,
        read: impl Fn(&Answer) -> Result<T, Failure> + Send + Sync,
    ) -> Result<T, Failure> {
        let gate = |status: StatusCode, _: &HeaderMap| {
            Some(if job.success.contains(&status) { job.limit } else { DOCUMENT_BYTES })
        };
        self.once_gated(job, number, gate, read).await
    }

    /// [`once`](Self::once), with `gate` to bound the body when its head is there.
    ///
    /// Credentials that the service does not take are renewed and the request is made again at once,
    /// once: the service has done nothing, and it is nobody's fault.
    async fn once_gated<T>(
        &self,
        job: &Job<'_>,
        number: u32,
        gate: impl Fn(StatusCode, &HeaderMap) -> Option<u64> + Send + Sync,
        read: impl Fn(&Answer) -> Result<T, Failure> + Send + Sync,
    ) -> Result<T, Failure> {
        let credentials = self.credentials.current().await?;
        let (gate, read) = (&gate, &read);
        let failure = match self.send(job, number, credentials.as_deref(), gate, read).await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        let (Some(used), Some(rejection)) = (credentials, rejection(&failure)) else {
            return Err(failure);
        };
        if !self.credentials.rejected(&used, rejection).await {
            return Err(failure);
        }
        let credentials = self.credentials.current().await?;
        self.send(job, number, credentials.as_deref(), gate, read).await
    }

    /// One request, signed with these credentials; without any it is anonymous.
    async fn send<T>(
        &self,
        job: &Job<'_>,
        number: u32,
        credentials: Option<&Credentials>,
        gate: impl Fn(StatusCode, &HeaderMap) -> Option<u64> + Send + Sync,
        read: impl Fn(&Answer) -> Result<T, Failure> + Send + Sync,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let log = |failure: Option<&Failure>, status: Option<u16>, request_id: Option<&str>| {
            tracing::debug!(
                operation = %job.operation,
                key = job.key.map(Key::as_str),
                attempt = number,
                status,
                request_id,
                elapsed_ms = started.elapsed().as_millis() as u64,
                error = failure.map(|failure| &*failure.message),
                "request"
            );
        };
        let mut head = job.draft.head(self.dialect.site())?;
        let extended = !job.draft.extension.is_empty() && self.dialect.extends();
        if extended {
            head.headers.extend(job.draft.extension.clone());
        }
        let wants_md5 = !job.draft.body.is_empty() && self.dialect.wants_md5(job.operation);
        if wants_md5 && !head.headers.contains_key(CONTENT_MD5) {
            let md5 = md5_of(job).await?;
            headers::set(&mut head.headers, CONTENT_MD5, &base64_encode(&md5))?;
        }
        if let Some(credentials) = credentials {
            self.dialect.sign(&mut head, credentials).await?;
        }
        let request = Request { head, body: request_body(&job.draft.body) };
        let answer = match self.transport.exchange(request, job.idle, gate).await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = Failure::from(error);
                log(Some(&failure), failure.status, None);
                return Err(failure);
            }
        };
        let request_id = self.dialect.request_id(&answer.headers);
        let status = Some(answer.status.as_u16());
        let result = self.judge(job, &answer, read).map_err(|mut failure| {
            failure.status = status;
            failure.request_id = request_id.map(Into::into).or(failure.request_id);
            failure.after = self.dialect.asks_to_wait(&answer.headers);
            if credentials.is_none() {
                failure.kind = of_nobody(failure.kind);
            }
            if self.dialect.adapts(job.operation, extended, &failure) {
                (failure.repeat, failure.after) = (Repeat::Refused, Some(Duration::ZERO));
            }
            failure
        });
        if extended && result.is_ok() {
            self.dialect.learns(job.operation, &answer.headers);
        }
        log(result.as_ref().err(), status, request_id);
        result
    }

    fn judge<T>(
        &self,
        job: &Job<'_>,
        answer: &Answer,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if job.success.contains(&answer.status) {
            read(answer)
        } else if answer.status.is_redirection() {
            Err(redirected(answer, self.dialect.failure(answer)))
        } else if answer.status.is_client_error() || answer.status.is_server_error() {
            Err(self.refused(job, answer))
        } else {
            Err(Failure::garbled("an answer with a status that this operation does not have"))
        }
    }

    /// The meaning of a refusal, with what only the request or this machine can tell.
    fn refused(&self, job: &Job<'_>, answer: &Answer) -> Failure {
        let failure = self.dialect.failure(answer);
        let mut failure = self.dialect.refine(job.operation, failure);
        // The services say what it is that they do not find, but to HEAD. Else it is something in front of
        // them that does not find the service, and neither is an object absent nor was one deleted.
        let unsaid = failure.kind == ErrorKind::NotFound && failure.code.is_none();
        if unsaid && job.operation != Operation::Head {
            failure.kind = ErrorKind::InvalidAnswer;
            failure.repeat = Repeat::FateUnknown;
            failure.message = "not found, says something that is not the service".into();
        }
        if failure.kind == ErrorKind::ClockSkew
            && let Some(date) = answer.header("date")
        {
            let message = format!("{}; the service's clock says {date}", failure.message);
            failure.message = match clock_skew::in_words(date, SystemClock.now()) {
                Some(words) => format!("{message}: {words}").into(),
                None => message.into(),
            };
        }
        if creates_only(&job.draft) {
            if failure.kind == ErrorKind::PreconditionFailed {
                failure.kind = ErrorKind::AlreadyExists;
            } else if answer.status == StatusCode::NOT_IMPLEMENTED {
                let message = "the service has no writes that spare what exists (If-None-Match)";
                failure.message = format!("{message}: {}", failure.message).into();
            }
        }
        failure
    }

    /// Compares what the service stored with what was sent.
    fn intact(&self, job: &Job<'_>, payload: &Payload, stored: Stored) -> Result<Stored, Failure> {
        if let Some(md5) = job.md5.get()
            && self.dialect.etags_are_md5()
            && stored.etag != ETag::new(&hex(md5))
        {
            let message = format!("sent MD5 {}, the service stored {:?}", hex(md5), stored.etag);
            return Err(Failure::new(ErrorKind::Corrupt, Repeat::Refused, message));
        }
        if let (Some(ours), Some(theirs)) = (payload.checksum(), stored.checksum)
            && ours.kind == theirs.kind
            && ours != theirs
        {
            let message = format!("sent {ours:?}, the service stored {theirs:?}");
            return Err(Failure::new(ErrorKind::Corrupt, Repeat::Refused, message));
        }
        Ok(stored)
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
                for (name, failure) in self.dialect.read_delete_many(answer)? {
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

/// What a refusal means to a request without a signature: QingStor says of those that their signature
/// is wrong, and a secret that is not there cannot be.
fn of_nobody(kind: ErrorKind) -> ErrorKind {
    match kind {
        ErrorKind::WrongSignature | ErrorKind::UnknownAccessKey | ErrorKind::BadCredentials => {
            ErrorKind::AccessDenied
        }
        other => other,
    }
}

/// Whether a refusal is one of the credentials. An answer to HEAD says only that it is a refusal.
fn rejection(failure: &Failure) -> Option<Rejection> {
    use ErrorKind::{BadCredentials, UnknownAccessKey, WrongSignature};
    match (failure.kind, &failure.code, failure.status) {
        (BadCredentials | UnknownAccessKey | WrongSignature, Some(_), Some(_)) => {
            Some(Rejection::Certain)
        }
        (_, None, Some(400 | 401 | 403)) => Some(Rejection::Doubtful),
        _ => None,
    }
}

/// How many random bytes make a key that nobody else uses.
const NONCE_BYTES: usize = 8;

impl Client {
    /// Gives an object other properties where it cannot be copied onto itself: by a copy beside it
    /// that takes its name. Atomic at the key; a crash in between leaves the copy behind.
    async fn copy_by_rename(&self, key: &Key, options: &CopyOptions) -> StoreResult<ObjectVersion> {
        let failed = |message: String| {
            StoreError::new(ErrorKind::InvalidKey, Operation::Copy, message).with_key(key.as_str())
        };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| failed(error.to_string()))?;
        let beside = Key::new(format!("{}.partfs-{}", key.as_str(), hex(&nonce)))
            .map_err(|error| failed(error.to_string()))?;
        let copied = self.copy(key, &beside, options).await?;
        if let Err(error) = self.rename(&beside, key, None).await {
            // What stays behind is named in the log by `delete`'s own failure at most.
            drop(self.delete(&beside).await);
            return Err(error);
        }
        let info = self.head(key).await?;
        if info.version.size != copied.size {
            return Err(failed("another writer replaced the object meanwhile".to_owned()));
        }
        Ok(info.version)
    }
}

/// The MD5 of a job's body, computed once, off the async threads.
pub(super) async fn md5_of(job: &Job<'_>) -> Result<[u8; 16], Failure> {
    if let Some(md5) = job.md5.get() {
        return Ok(*md5);
    }
    let mut running = Md5::new();
    let mut pieces = job.draft.body.pieces();
    let unreadable = |error: std::io::Error| {
        Failure::new(ErrorKind::Unreadable, Repeat::Never, error.to_string())
    };
    while let Some(piece) = pieces.next().await.map_err(unreadable)? {
        let hashed = tokio::task::spawn_blocking(move || {
            running.update(&piece);
            running
        });
        running = hashed.await.map_err(|error| unreadable(std::io::Error::other(error)))?;
    }
    Ok(*job.md5.get_or_init(|| running.finalize().into()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The body of a draft as the transport takes it.
fn request_body(payload: &Payload) -> RequestBody {
    match payload.data() {
        PayloadData::Chunks(chunks) => RequestBody::Chunks(Arc::clone(chunks)),
        PayloadData::Source(source) => {
            let source = Arc::clone(source);
            RequestBody::Read {
                len: payload.len(),
                piece_bytes: Payload::PIECE_BYTES,
                read: Arc::new(move |offset, len| source.read_at(offset, len)),
            }
        }
    }
}

/// Whether the only condition of a request is that there is no object (RFC 9110 section 13.1.2).
fn creates_only(draft: &Draft) -> bool {
    let of_source = |name: &HeaderName| name.as_str().ends_with("-copy-source-if-match");
    draft.headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*")
        && !draft.headers.keys().any(of_source)
}

/// Redirects are not followed: the signature and the token are for one host. `told` is what the
/// service says about it.
fn redirected(answer: &Answer, told: Failure) -> Failure {
    let target = answer.header(header::LOCATION.as_str()).unwrap_or("an address it does not give");
    let target = target.split(['?', '#']).next().unwrap_or_default();
    let message = format!("the service sends us to {target:.200}; check endpoint and region");
    if told.kind == ErrorKind::WrongEndpoint {
        return Failure { message: format!("{}; {message}", told.message).into(), ..told };
    }
    Failure::new(ErrorKind::WrongEndpoint, Repeat::Never, message)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Client {
    fn limits(&self) -> &Limits {
        self.dialect.limits()
    }

    async fn head(&self, key: &Key) -> StoreResult<ObjectInfo> {
        self.check_key(Operation::Head, key)?;
        let job = self.job(Operation::Head, key, self.dialect.head(key))?;
        self.run(&job, |answer| self.dialect.read_head(answer)).await
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        if_match: Option<&ETag>,
    ) -> StoreResult<Content> {
        self.check_key(Operation::Get, key)?;
        let draft = self.dialect.get(key, range, if_match);
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
            if if_match.is_some_and(|etag| *etag != head.version.etag) {
                let message = "the object was replaced";
                return Err(Failure::new(ErrorKind::PreconditionFailed, Repeat::Never, message));
            }
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
        self.run(&job, |answer| self.dialect.read_list(answer, request)).await
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
        let draft = self.dialect.put(key, payload.clone(), options);
        let job = self.job(Operation::Put, key, draft)?;
        let read = |answer: &Answer| {
            let stored = self.intact(&job, &payload, self.dialect.read_stored(answer)?)?;
            Ok(ObjectVersion { etag: stored.etag, size: payload.len() })
        };
        if options.create_only && self.limits().create_only {
            return self.create(&job, key, &payload, read).await;
        }
        self.run(&job, read).await
    }

    async fn delete(&self, key: &Key) -> StoreResult<()> {
        self.check_key(Operation::Delete, key)?;
        let job = self.job(Operation::Delete, key, self.dialect.delete(key))?;
        absent_is_done(self.run(&job, |_| Ok(())).await, ErrorKind::NotFound)
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
        let copied = self.run(&job, |answer| self.dialect.read_copy(answer)).await?;
        if let (Some(source), Some(etag)) = (&options.if_match, &copied.etag) {
            return Ok(ObjectVersion { etag: etag.clone(), size: source.size });
        }
        // The answer has no size, or no ETag. Should somebody have replaced the copy meanwhile, then what is
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
        Ok(info.version)
    }

    async fn rename(&self, from: &Key, to: &Key, if_match: Option<&ETag>) -> StoreResult<()> {
        self.check_key(Operation::Rename, from)?;
        self.check_key(Operation::Rename, to)?;
        let mut job = self.job(Operation::Rename, to, self.dialect.rename(from, to, if_match))?;
        job.patience = self.long_patience();
        self.rename_once(&job, to, if_match).await
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

    async fn start_upload(&self, key: &Key, options: &PutOptions) -> StoreResult<Upload> {
        self.check_key(Operation::StartUpload, key)?;
        let draft = self.dialect.start_upload(key, options);
        let job = self.job(Operation::StartUpload, key, draft)?;
        // Repeated although a lost answer leaves an upload behind: it holds no parts, and a
        // listing of uploads shows it to whoever cleans up.
        let id = self.run(&job, |answer| self.dialect.read_upload_id(answer)).await?;
        Ok(Upload { key: key.clone(), id })
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
        if_match: Option<&ETag>,
    ) -> StoreResult<PartReceipt> {
        let operation = Operation::CopyPart;
        self.check_key(operation, from)?;
        // Without a range the size must be asked for, and is true of that version only.
        let (size, source_version) = match range {
            Some(range) => (range.len(), None),
            None => {
                let info = self.head(from).await.map_err(|e| StoreError { operation, ..e })?;
                (info.version.size, Some(info.version.etag))
            }
        };
        self.check_size(operation, &upload.key, size, self.limits().part_max_bytes)?;
        let if_match = if_match.or(source_version.as_ref());
        let draft = self.dialect.copy_part(upload, number, from, range, if_match);
        let mut job = self.job(operation, &upload.key, draft)?;
        (job.patience, job.idle) = (self.long_patience(), self.long_idle());
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
        self.complete(upload, parts, expected).await
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
