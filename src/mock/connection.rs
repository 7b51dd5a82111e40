//! Connections: accepts them, runs HTTP/1.1 on them, and carries each request from its first byte to
//! its answer. Knows no dialect but by calling it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{CONTENT_LENGTH, DATE, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{Answer, Content};
use super::answer_body::{self, AnswerBody};
use super::arriving::Arriving;
use super::aws_chunked::Framing;
use super::calls::{Call, Outcome};
use super::execute::execute;
use super::faults::When;
use super::refusal::Refusal;
use super::request::Request;
use super::struck::{Broken, Named, Struck, ahead, page};
use super::verify::BodyProof;
use super::voice::Asked;
use super::wire::Wire;
use super::{Service, ledger, verify};
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

async fn respond(
    service: Arc<Service>,
    request: http::Request<Incoming>,
) -> Result<http::Response<AnswerBody>, Broken> {
    let (head, body) = request.into_parts();
    let request = Request::new(head);
    let config = service.config();
    let mut call = service.voice.route(&request, &config);
    let struck = Struck::new(&service, &call, &request);
    let mut body = Wire::new(body, &struck.0);
    if let Some(delay) = struck.delay() {
        return apply_late(&service, call, request, body, delay).await;
    }
    struck.misassemble(&mut call);
    let named = Named::by(&call);

    struck.abort_uploads(When::Before, &service.bucket, &named).await;
    let mut result = match struck.instead(When::Before).await? {
        Some(result) => result,
        None => admit(&service, call, &request, &mut body, struck.clock_offset()).await,
    };
    if body.is_broken() {
        return Err(Broken);
    }
    struck.abort_uploads(When::AfterApply, &service.bucket, &named).await;
    if let Some(instead) = struck.instead(When::AfterApply).await? {
        result = instead;
    }
    if result.is_err() {
        drain(&request, &mut body).await;
    }
    struck.falsify(&mut result);
    let id = service.next_request_id();
    let asked = Asked { request: &request, id: &id, config: &config };
    let mut answer = match result {
        Err(Refusal::Redirect(address)) => {
            Answer::new(StatusCode::TEMPORARY_REDIRECT).with(LOCATION.as_str(), &address)
        }
        Err(Refusal::Page { status, content_type, body }) => {
            let answer = page(status, &content_type, body);
            return Ok(service.dress(answer, &request.method, &struck));
        }
        Ok(outcome) => service.voice.answer(&outcome, &asked),
        Err(refusal) => service.voice.refusal(&refusal, &asked),
    };
    service.voice.add_common_headers(&mut answer.headers, &id);
    struck.strip(&mut answer.headers);
    Ok(service.dress(answer, &request.method, &struck))
}

/// Breaks the connection and applies the request later, whether the server has stopped by then or not.
async fn apply_late(
    service: &Arc<Service>,
    call: Result<Call, Refusal>,
    request: Request,
    body: Wire,
    delay: Duration,
) -> Result<http::Response<AnswerBody>, Broken> {
    // What does not come whole is never applied.
    if let Ok(mut body) = body.keep().await {
        let service = Arc::clone(service);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Err(refusal) = admit(&service, call, &request, &mut body, 0).await {
                tracing::debug!(?refusal, "a late request came to nothing");
            }
        });
    }
    Err(Broken)
}

/// Checks who asks before anything else is told, then carries the call out. To the check, the clock is
/// so many seconds ahead.
async fn admit(
    service: &Service,
    call: Result<Call, Refusal>,
    request: &Request,
    body: &mut Wire,
    clock_offset: i64,
) -> Result<Outcome, Refusal> {
    let config = service.config();
    ledger::shown(request);
    let proof = verify::verify(request, &config, ahead(service.clock.now(), clock_offset))?;
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

async fn drain(request: &Request, body: &mut Wire) {
    // Who asks for permission to send has not sent yet.
    if request.headers.contains_key("expect") || body.is_at_end() {
        return;
    }
    let mut drained = 0;
    while let Ok(Some(chunk)) = body.next().await {
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

    /// Makes an HTTP response of an answer, with the headers that every response has, spoiled as
    /// the rules say.
    fn dress(
        &self,
        mut answer: Answer,
        method: &Method,
        struck: &Struck,
    ) -> http::Response<AnswerBody> {
        let spoil = struck.spoil();
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
        let now = ahead(self.clock.now(), struck.clock_offset());
        let date = httpdate::fmt_http_date(now);
        headers.extend(HeaderValue::from_str(&date).ok().map(|date| (DATE, date)));
        let segments = if bodiless { Vec::new() } else { segments };
        let mut response = http::Response::new(answer_body::body(segments, &spoil));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        *response.extensions_mut() = self.spelling.clone();
        response
    }
}
