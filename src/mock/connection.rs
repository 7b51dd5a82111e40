//! Connections: accepts them, runs HTTP/1.1 on them, and carries each request from its first byte to
//! its answer. Knows no dialect but by calling it.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{CONTENT_LENGTH, DATE, HeaderValue, LOCATION, SERVER};
use http::{Method, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{Answer, Content};
use super::answer_body::{self, AnswerBody, Spoil};
use super::arriving::{Arriving, next_chunk};
use super::aws_chunked::Framing;
use super::calls::{Call, Outcome};
use super::execute::execute;
use super::faults::{Action, When};
use super::refusal::Refusal;
use super::request::Request;
use super::verify::BodyProof;
use super::voice::Asked;
use super::{Service, verify};
use crate::store::memory::{Blob, Segment};

/// Most connections at a time; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 1024;

/// Largest request head. The services allow about this much.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Read buffer of a connection: large, so that big bodies cost few system calls.
const BUFFER_BYTES: usize = 1024 * 1024;

/// A refused request's body is read to its end up to here, because a client that is still sending
/// would see a broken connection instead of the answer.
const MAX_DRAIN_BYTES: u64 = 64 << 20;

/// Serves until `stopped` says so or its sender is gone; then breaks all connections off.
pub(super) async fn accept_until(
    listener: TcpListener,
    service: Arc<Service>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = until_stopped(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&service)));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: some will come free.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
        }
    }
    connections.shutdown().await;
}

async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // A sender that is gone stops the server as well.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

async fn serve(stream: TcpStream, service: Arc<Service>) {
    // Without it, small answers would wait for the client's delayed acknowledgement.
    drop(stream.set_nodelay(true));
    let respond = service_fn(|request| respond(Arc::clone(&service), request));
    // No timeout for heads: under a stopped clock it would strike at once, and clients of a mock
    // may sit idle as long as they like.
    let served = http1::Builder::new()
        .header_read_timeout(None)
        .max_headers(256)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), respond)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off on purpose")
    }
}

impl std::error::Error for Broken {}

async fn respond(
    service: Arc<Service>,
    request: http::Request<Incoming>,
) -> Result<http::Response<AnswerBody>, Broken> {
    let (head, mut body) = request.into_parts();
    let request = Request::new(head);
    let config = service.config();
    let call = service.voice.route(&request, &config);
    let struck = call.as_ref().map(|call| strike(&service, call)).unwrap_or_default();

    let mut result = match fault_at(When::Before, &struck).await? {
        Some(result) => result,
        None => admit(&service, call, &request, &mut body).await,
    };
    if let Some(instead) = fault_at(When::AfterApply, &struck).await? {
        result = instead;
    }
    if result.is_err() {
        drain(&request, &mut body).await;
    }
    falsify(&mut result, &struck);
    let id = service.next_request_id();
    let asked = Asked { request: &request, id: &id, config: &config };
    let mut answer = match &result {
        Err(Refusal::Redirect(address)) => {
            Answer::new(StatusCode::TEMPORARY_REDIRECT).with(LOCATION.as_str(), address)
        }
        Err(Refusal::ProxyPage(status)) => return Ok(service.proxy_page(*status, &request)),
        Ok(outcome) => service.voice.answer(outcome, &asked),
        Err(refusal) => service.voice.refusal(refusal, &asked),
    };
    service.voice.add_common_headers(&mut answer.headers, &id);
    Ok(service.dress(answer, &request.method, &struck))
}

type Struck = Vec<(When, Action)>;

fn strike(service: &Service, call: &Call) -> Struck {
    if let Some(operation) = call.operation() {
        service.bucket.count_request(operation);
    }
    let struck = service.faults.strike(call.operation(), call.key());
    if struck.iter().any(|(_, action)| *action == Action::ExpireCredentials) {
        service.expired.store(true, Ordering::SeqCst);
    }
    struck
}

/// What the rules put in the place of the result at this moment, if anything.
async fn fault_at(
    moment: When,
    struck: &Struck,
) -> Result<Option<Result<Outcome, Refusal>>, Broken> {
    for (when, action) in struck {
        match action {
            Action::DropResponse if moment == When::AfterApply => return Err(Broken),
            Action::Reset if *when == moment => return Err(Broken),
            Action::Stall if *when == moment => pending::<()>().await,
            Action::Status(status, code) if *when == moment => {
                let refusal = Refusal::Injected { status: *status, code: code.clone() };
                return Ok(Some(Err(refusal)));
            }
            Action::RedirectTo(address) if *when == moment => {
                return Ok(Some(Err(Refusal::Redirect(address.clone()))));
            }
            Action::ProxyPage(status) if *when == moment => {
                return Ok(Some(Err(Refusal::ProxyPage(*status))));
            }
            Action::ErrorIn200(code) if *when == moment => {
                return Ok(Some(Ok(Outcome::FailedLate(code.clone()))));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Makes the result a lie, where the rules say so.
fn falsify(result: &mut Result<Outcome, Refusal>, struck: &Struck) {
    let Ok(outcome) = result else { return };
    for (_, action) in struck {
        match action {
            Action::WrongCrc => outcome.falsify_checksum(),
            Action::WrongEtag => outcome.falsify_etag(),
            _ => {}
        }
    }
}

/// Checks who asks before anything else is told, then carries the call out.
async fn admit(
    service: &Service,
    call: Result<Call, Refusal>,
    request: &Request,
    body: &mut Incoming,
) -> Result<Outcome, Refusal> {
    let config = service.config();
    let proof = verify::verify(request, &config, service.clock.now())?;
    if let BodyProof::AwsChunked(Framing { trailers: Some(_), .. }) = &proof
        && !config.s3_checksums
    {
        return Err(Refusal::NotImplemented);
    }
    if service.expired.load(Ordering::SeqCst) {
        return Err(Refusal::ExpiredToken);
    }
    execute(service, call?, request, &mut Arriving::new(body, proof)).await
}

async fn drain(request: &Request, body: &mut Incoming) {
    // Who asks for permission to send has not sent yet.
    if request.headers.contains_key("expect") || body.is_end_stream() {
        return;
    }
    let mut drained = 0;
    while let Ok(Some(chunk)) = next_chunk(body).await {
        drained += chunk.len() as u64;
        if drained > MAX_DRAIN_BYTES {
            return;
        }
    }
}

impl Service {
    /// Looks like one of COS: base64 of time and counter there, hexadecimal here.
    fn next_request_id(&self) -> String {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        let time = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        format!("{time:08x}_{count:08x}")
    }

    /// What a proxy between client and service says: HTML, and none of the service's headers.
    fn proxy_page(&self, status: u16, request: &Request) -> http::Response<AnswerBody> {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let page = "<!DOCTYPE html>\n<html><body><h1>Please log in</h1></body></html>\n";
        let mut answer = Answer::document(status, "text/html", page.to_owned());
        answer.headers.insert(SERVER, HeaderValue::from_static("proxy"));
        self.dress(answer, &request.method, &Struck::new())
    }

    /// Makes an HTTP response of an answer, with the headers that every response has, spoiled as
    /// the rules say.
    fn dress(
        &self,
        mut answer: Answer,
        method: &Method,
        struck: &Struck,
    ) -> http::Response<AnswerBody> {
        let mut spoil = Spoil::default();
        for (_, action) in struck {
            match action {
                Action::TruncateBody => spoil.truncate = true,
                Action::CorruptBody => spoil.corrupt = true,
                Action::Blanks { count, interval } => spoil.blanks = Some((*count, *interval)),
                _ => {}
            }
        }
        let segments = match answer.content {
            Content::None => Vec::new(),
            Content::Text(text) => Blob::from_chunks([text.into()]).segments().cloned().collect(),
            Content::Bytes(segments) => segments,
        };
        let len: u64 = segments.iter().map(Segment::len).sum();
        let bodiless = answer.status == StatusCode::NO_CONTENT
            || answer.status == StatusCode::NOT_MODIFIED
            || *method == Method::HEAD;
        let headers = &mut answer.headers;
        // Blanks make the length unknown in advance: then the body is sent chunked.
        if spoil.blanks.is_none() && answer.status != StatusCode::NO_CONTENT {
            headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from(len));
        }
        let date = httpdate::fmt_http_date(self.clock.now());
        headers.extend(HeaderValue::from_str(&date).ok().map(|date| (DATE, date)));
        let segments = if bodiless { Vec::new() } else { segments };
        let mut response = http::Response::new(answer_body::body(segments, &spoil));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        *response.extensions_mut() = self.spelling.clone();
        response
    }
}
