//! One attempt of an operation and its repetitions: signed for now, sent, judged, and tried again as
//! its failures allow. Which operation it is does not matter here; that is `client`'s.

use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, header};
use reqsign_core::hash::base64_encode;
use tokio::time::Instant;

use crate::clock::{Clock, SystemClock};
use crate::dialect::client::{Client, DOCUMENT_BYTES};
use crate::dialect::clock_skew;
use crate::dialect::conditions;
use crate::dialect::credentials::Rejection;
use crate::dialect::failure::{Failure, Repeat, given_up};
use crate::dialect::request::Draft;
use crate::dialect::{Credentials, Stored, headers};
use crate::http::{Answer, Patience, Request, RequestBody, Verdict, persist};
use crate::metrics::{self, Attempt};
use crate::store::{ETag, ErrorKind, Key, Operation, Payload, PayloadData, StoreResult};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

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
    pub(super) idle: Duration,
    /// MD5 of the body, once it was needed.
    pub(super) md5: OnceLock<[u8; 16]>,
}

impl Client {
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
    pub(super) async fn run<T>(
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
    pub(super) async fn once_gated<T>(
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
        let count = |status: Option<u16>, received: u64| {
            let (took, sent) = (started.elapsed(), job.draft.body.len());
            metrics::attempt(job.operation, &Attempt { number, status, took, sent, received });
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
                count(failure.status, 0);
                log(Some(&failure), failure.status, None);
                return Err(failure);
            }
        };
        let request_id = self.dialect.request_id(&answer.headers);
        let status = Some(answer.status.as_u16());
        count(status, answer.body.iter().map(|chunk| chunk.len() as u64).sum());
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
        // What has changed in this machine, and not on its way, stays so however often it is sent.
        if let Err(Failure { kind: ErrorKind::Corrupt, .. }) = &result
            && let Err(error) = job.draft.body.md5().await
        {
            return Err(unreadable(&error));
        }
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
        } else if answer.status == StatusCode::NOT_MODIFIED {
            Err(conditions::not_modified(&job.draft))
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
        match creates_only(&job.draft) {
            Some(CreateOnly::IfNoneMatch) if failure.kind == ErrorKind::PreconditionFailed => {
                failure.kind = ErrorKind::AlreadyExists;
            }
            Some(CreateOnly::IfNoneMatch) if answer.status == StatusCode::NOT_IMPLEMENTED => {
                let message = "the service has no writes that spare what exists (If-None-Match)";
                failure.message = format!("{message}: {}", failure.message).into();
            }
            // A conflict without a code that is known: it is the one that was asked for.
            Some(_)
                if answer.status == StatusCode::CONFLICT
                    && failure.kind == ErrorKind::InvalidRequest =>
            {
                failure.kind = ErrorKind::AlreadyExists;
            }
            _ => {}
        }
        failure
    }

    /// Compares what the service stored with what was sent.
    pub(super) fn intact(
        &self,
        job: &Job<'_>,
        payload: &Payload,
        stored: Stored,
    ) -> Result<Stored, Failure> {
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

/// The MD5 of a job's body, computed once, off the async threads.
pub(super) async fn md5_of(job: &Job<'_>) -> Result<[u8; 16], Failure> {
    if let Some(md5) = job.md5.get() {
        return Ok(*md5);
    }
    let md5 = job.draft.body.md5().await.map_err(|error| unreadable(&error))?;
    Ok(*job.md5.get_or_init(|| md5))
}

/// A body that this machine cannot give any more as it was.
fn unreadable(error: &io::Error) -> Failure {
    Failure::new(ErrorKind::Unreadable, Repeat::Never, error.to_string())
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

/// How a request asks for a write that spares what exists.
enum CreateOnly {
    /// By the only condition of the request (RFC 9110 section 13.1.2): one that fails is this one.
    IfNoneMatch,
    /// In another way, or beside conditions on the source of a copy.
    Otherwise,
}

/// Whether a request is to make an object only where there is none.
fn creates_only(draft: &Draft) -> Option<CreateOnly> {
    let any = |is: fn(&str) -> bool| draft.headers.keys().any(|name| is(name.as_str()));
    if draft.headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*") {
        let conditional = any(|name| name.contains("-copy-source-if-"));
        return Some(if conditional { CreateOnly::Otherwise } else { CreateOnly::IfNoneMatch });
    }
    any(|name| name.ends_with("-forbid-overwrite")).then_some(CreateOnly::Otherwise)
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
