//! Sends one request and reads its answer, once: no redirects, no proxy, no decoding, no retry.
//! Bounded in time without progress and in bytes of the answer.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use reqwest::ClientBuilder;
use tokio::time::timeout;

use super::body::{KnownLength, RequestBody};
use super::error::{TransportError, TransportErrorKind};

/// Pieces of an answer shorter than this are gathered, so that a server that dribbles single bytes
/// costs a byte each and not a buffer each; longer ones are kept as they came.
const GATHER_BELOW: usize = 4 * 1024;
/// Gathered pieces grow to about this.
const GATHER_BYTES: usize = 64 * 1024;

/// A request ready to be sent, signature and all. `Debug` shows neither headers nor query, where signatures are.
pub struct Request {
    /// Method, absolute URI and headers. A body's Content-Length is set by the transport.
    pub head: http::request::Parts,
    /// The body; may be empty.
    pub body: RequestBody,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.head.method, self.head.uri.path())
    }
}

/// A complete answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body in the pieces in which it arrived, none empty. Empty when it was not read.
    pub body: Vec<Bytes>,
}

impl Answer {
    /// The body in one piece; copies when it came in several.
    pub fn whole_body(&self) -> Cow<'_, [u8]> {
        match self.body.as_slice() {
            [] => Cow::Borrowed(&[]),
            [only] => Cow::Borrowed(only),
            many => Cow::Owned(many.concat()),
        }
    }

    /// A header as text; `None` when absent or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Connections to servers, kept and used again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Transport {
    client: reqwest::Client,
}

impl Transport {
    /// A transport for https URLs (`tls`) or for http URLs, never both: a https endpoint cannot be
    /// left for a plain one. `connect` bounds making a connection.
    ///
    /// Proxies are not used, whatever the environment says: the environment is read by `cli` only.
    pub fn new(tls: bool, connect: Duration) -> Result<Self, TransportError> {
        Self::to(tls, connect, "")
    }

    /// [`new`](Self::new), for requests to this host alone. A name below `localhost` is this machine
    /// (RFC 6761), also where no name server knows it: buckets stand in front of host names.
    pub fn to(tls: bool, connect: Duration, host: &str) -> Result<Self, TransportError> {
        Self::built(tls, connect, |builder| match host.ends_with(".localhost") {
            // The port is that of the URL.
            true => builder.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            false => builder,
        })
    }

    /// A transport whose way to find and to trust servers is changed by `adapt`.
    fn built(
        tls: bool,
        connect: Duration,
        adapt: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self, TransportError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = reqwest::Client::builder()
            .user_agent(concat!("partfs/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            // One connection per request in flight: parallel parts shall not share one congestion
            // window, and the services speak HTTP/1.1.
            .http1_only()
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .connect_timeout(connect);
        let builder = if tls {
            // A second call finds the first one's provider: the same one.
            let _ = rustls::crypto::CryptoProvider::install_default((*provider).clone());
            builder.https_only(true).tls_version_min(reqwest::tls::Version::TLS_1_2)
        } else {
            // Loading the machine's root certificates takes time and fails where there are none;
            // a plain endpoint needs none.
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| {
                    TransportError::new(TransportErrorKind::Unsendable, error.to_string())
                })?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            builder.tls_backend_preconfigured(config)
        };
        Ok(Self { client: adapt(builder).build()? })
    }

    /// Sends `request` and reads its answer.
    ///
    /// `idle` is how long nothing may move: neither bytes of the body going out nor bytes of the
    /// answer coming in. (While a body goes out it is looked at once per `idle`, so a stall is
    /// found after one to two times `idle`.) There is no other limit of time here.
    ///
    /// `limit` sees the head of the answer and says how many bytes of body it may have; a longer
    /// one is an error. `None` leaves the body unread.
    pub async fn exchange(
        &self,
        request: Request,
        idle: Duration,
        limit: impl FnOnce(StatusCode, &HeaderMap) -> Option<u64>,
    ) -> Result<Answer, TransportError> {
        let taken = Arc::new(AtomicU64::new(0));
        let request = outgoing(request, taken.clone())?;
        let mut response =
            watched(self.client.execute(request), idle, &taken).await.ok_or_else(|| {
                TransportError::new(
                    TransportErrorKind::Idle,
                    format!("no answer within {} s", idle.as_secs_f32()),
                )
            })??;

        let status = response.status();
        let Some(limit) = limit(status, response.headers()) else {
            return Ok(Answer {
                status,
                headers: std::mem::take(response.headers_mut()),
                body: Vec::new(),
            });
        };
        let mut pieces = Pieces::default();
        loop {
            let piece = match timeout(idle, response.chunk()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    let error = TransportError::from(error);
                    let message = format!(
                        "the answer broke off after {} bytes: {}",
                        pieces.bytes, error.message
                    );
                    return Err(TransportError::new(TransportErrorKind::Broken, message)
                        .with_status(status.as_u16()));
                }
                Err(_) => {
                    let message = format!(
                        "the answer stalled for {} s after {} bytes",
                        idle.as_secs_f32(),
                        pieces.bytes
                    );
                    return Err(TransportError::new(TransportErrorKind::Idle, message)
                        .with_status(status.as_u16()));
                }
            };
            pieces.push(piece);
            if pieces.bytes > limit {
                let message = format!("the answer is longer than {limit} bytes");
                return Err(TransportError::new(TransportErrorKind::TooLong, message)
                    .with_status(status.as_u16()));
            }
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { status, headers, body: pieces.finish() })
    }
}

/// Turns our request into reqwest's and proves that its path survived.
fn outgoing(request: Request, taken: Arc<AtomicU64>) -> Result<reqwest::Request, TransportError> {
    let path = request.head.uri.path().to_owned();
    let body = reqwest::Body::wrap(KnownLength::new(request.body, taken));
    let request = reqwest::Request::try_from(http::Request::from_parts(request.head, body))?;
    // The url crate resolves `.` and `..`, also as `%2E`. A request for one key must never become a
    // request for another, or for the bucket itself.
    if request.url().path() != path {
        return Err(TransportError::new(
            TransportErrorKind::Unsendable,
            "the path would be changed on its way out",
        ));
    }
    Ok(request)
}

/// Awaits `future` for as long as `taken` grows; `None` when it stood still for `idle`.
async fn watched<F: Future>(future: F, idle: Duration, taken: &AtomicU64) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut seen = taken.load(Ordering::Relaxed);
    loop {
        if let Ok(output) = timeout(idle, &mut future).await {
            return Some(output);
        }
        let now = taken.load(Ordering::Relaxed);
        if now == seen {
            return None;
        }
        seen = now;
    }
}

/// The body of an answer while it arrives.
#[derive(Default)]
struct Pieces {
    whole: Vec<Bytes>,
    gathered: BytesMut,
    bytes: u64,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        if piece.len() < GATHER_BELOW {
            self.gathered.extend_from_slice(&piece);
            if self.gathered.len() >= GATHER_BYTES {
                self.flush();
            }
        } else {
            self.flush();
            self.whole.push(piece);
        }
    }

    fn flush(&mut self) {
        if !self.gathered.is_empty() {
            self.whole.push(self.gathered.split().freeze());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.flush();
        self.whole
    }
}

#[cfg(test)]
#[path = "servers_tests.rs"]
mod servers_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_gathered_and_large_ones_kept() {
        let mut pieces = Pieces::default();
        let large = Bytes::from(vec![1u8; GATHER_BELOW]);
        for _ in 0..100 {
            pieces.push(Bytes::from_static(b" "));
        }
        pieces.push(large.clone());
        pieces.push(Bytes::from_static(b"end"));
        assert_eq!(pieces.bytes, 100 + GATHER_BELOW as u64 + 3);
        let body = pieces.finish();
        assert_eq!(body.len(), 3);
        assert_eq!(body[1].as_ptr(), large.as_ptr());
        assert_eq!(body[2], Bytes::from_static(b"end"));
    }

    #[test]
    fn a_path_that_would_change_is_not_sent() {
        for path in ["/a/../b", "/..", "/%2e%2E", "/a/%2e", "/a/./b"] {
            let (head, ()) = http::Request::delete(format!("http://127.0.0.1:1{path}"))
                .body(())
                .unwrap()
                .into_parts();
            let request = Request { head, body: RequestBody::Chunks(Arc::new([])) };
            let error = outgoing(request, Arc::default()).unwrap_err();
            assert_eq!(error.kind, TransportErrorKind::Unsendable, "{path}");
        }
    }

    #[test]
    fn a_signed_request_shows_no_signature() {
        let (mut head, ()) =
            http::Request::get("http://h/k?q-signature=hush").body(()).unwrap().into_parts();
        head.headers.insert("authorization", http::HeaderValue::from_static("hush"));
        let request = Request { head, body: RequestBody::Chunks(Arc::new([])) };
        assert_eq!(format!("{request:?}"), "GET /k");
    }

    #[test]
    fn both_kinds_of_transport_can_be_built() {
        Transport::new(false, Duration::from_secs(1)).unwrap();
        // Needs the machine's root certificates; without them the message says so.
        if let Err(error) = Transport::new(true, Duration::from_secs(1)) {
            assert!(error.message.contains("CA certificates"), "{error}");
        }
    }
}
