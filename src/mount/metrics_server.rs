//! `metrics_listen`: the numbers of `.partfs/metrics` over HTTP, for a monitor on this machine. One page, to read; no
//! names of files, no profile of the process, nothing that can be changed.
//!
//! A page in a browser on this machine can ask here as well, by a name of its own that it lets point to 127.0.0.1. So
//! a request must name this machine as its host.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle as Runtime;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::MountError;
use crate::fs::FileSystem;

/// Most connections at a time; others wait in the queue of the kernel.
const CONNECTIONS: usize = 8;
/// How long a connection may last, for one request and its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest head of a request.
const HEAD_BYTES: usize = 8 << 10;
/// The format of the text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An address that is taken, and answers when it is served.
pub(super) struct MetricsServer(TcpListener);

impl MetricsServer {
    /// Takes an address of this machine. One that others could reach is refused by `cli`.
    ///
    /// # Errors
    /// When somebody else has it.
    pub(super) fn bind(address: SocketAddr) -> Result<Self, MountError> {
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let failed =
            |error: io::Error| MountError::new(format!("metrics_listen {address}: {error}"));
        listener.map(Self).map_err(failed)
    }

    /// Serves the numbers of a mount as long as there is one.
    pub(super) fn serve(self, fs: &Arc<FileSystem>, runtime: &Runtime) {
        runtime.spawn(accept(self.0, Arc::downgrade(fs)));
    }
}

async fn accept(listener: TcpListener, fs: Weak<FileSystem>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "cannot serve metrics"),
    };
    if let Ok(address) = listener.local_addr() {
        info!("metrics are served at http://{address}/metrics");
    }
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let fs = Weak::clone(&fs);
                tokio::spawn(async move {
                    let _place = place;
                    if timeout(PATIENCE, answer(stream, fs)).await.is_err() {
                        debug!("who asked for metrics was too slow");
                    }
                });
            }
            Err(error) => {
                // Too many open files: some are closed in time.
                warn!(%error, "who asks for metrics cannot be answered");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, fs: Weak<FileSystem>) {
    let service = service_fn(|request| {
        let response = respond(&request, || fs.upgrade().map(|fs| fs.metrics()));
        async { Ok::<_, Infallible>(response) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(HEAD_BYTES);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        debug!(%error, "who asked for metrics has gone");
    }
}

/// What is answered to a request. Pure, but for the numbers.
fn respond<B>(
    request: &Request<B>,
    numbers: impl FnOnce() -> Option<Bytes>,
) -> Response<Full<Bytes>> {
    let plain = |status: StatusCode, text: &'static str| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    };
    if !names_this_machine(request.headers()) {
        return plain(StatusCode::MISDIRECTED_REQUEST, "ask by the address of this machine\n");
    }
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "there is only /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET\n");
        response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(text) = numbers() else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the mount has ended\n");
    };
    let mut response = Response::new(Full::from(text));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(OPEN_METRICS));
    response
}

/// Whether the one Host is an address or the name that only this machine can have.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(authority) = host.to_str().unwrap_or_default().parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &str, hosts: &[&str]) -> Response<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(path);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        respond(&request.body(()).unwrap(), || Some(Bytes::from_static(b"partfs_x 1\n")))
    }

    #[test]
    fn the_one_page_is_for_who_means_this_machine() {
        for host in ["127.0.0.1:9100", "127.0.0.1", "[::1]:9100", "localhost:9100", "LOCALHOST"] {
            let response = asked("GET", "/metrics", &[host]);
            assert_eq!(response.status(), 200, "{host}");
            assert_eq!(response.headers()[CONTENT_TYPE], OPEN_METRICS);
        }
        let others: [&[&str]; 8] = [
            &[],
            &["evil.example"],
            &["127.0.0.1.evil.example"],
            &["localhost.evil.example:9100"],
            &["user@127.0.0.1@evil.example"],
            &["10.0.0.1:9100"],
            &["127.0.0.1", "evil.example"],
            &[""],
        ];
        for hosts in others {
            assert_eq!(asked("GET", "/metrics", hosts).status(), 421, "{hosts:?}");
        }
    }

    #[test]
    fn there_is_nothing_else() {
        for (method, path, status) in [
            ("GET", "/", 404),
            ("GET", "/debug/pprof", 404),
            ("GET", "/metrics/", 404),
            ("POST", "/metrics", 405),
            ("DELETE", "/metrics", 405),
            ("HEAD", "/metrics", 200),
        ] {
            assert_eq!(asked(method, path, &["127.0.0.1"]).status(), status, "{method} {path}");
        }
        let request = Request::builder().uri("/metrics").header(HOST, "[::1]").body(()).unwrap();
        assert_eq!(respond(&request, || None).status(), 503);
    }
}
