//! Header names as the services spell them: `ETag`, not `etag`. HTTP does not care, but official SDKs
//! hand the headers on as a plain dictionary, and their own code looks them up by these names. Knows
//! no dialect: names that begin with `x-` are lower case at all of them, but for `MD5`.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Extensions, Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;

/// A request that carries every name once.
const SPELLED: &[u8] = b"GET / HTTP/1.1\r\n\
    Host: x\r\n\
    Accept-Ranges: x\r\n\
    Cache-Control: x\r\n\
    Connection: close\r\n\
    Content-Disposition: x\r\n\
    Content-Encoding: x\r\n\
    Content-Language: x\r\n\
    Content-Length: 0\r\n\
    Content-MD5: x\r\n\
    Content-Range: x\r\n\
    Content-Type: x\r\n\
    Date: x\r\n\
    ETag: x\r\n\
    Expires: x\r\n\
    Last-Modified: x\r\n\
    Location: x\r\n\
    Server: x\r\n\
    x-amz-server-side-encryption-customer-key-MD5: x\r\n\
    x-cos-server-side-encryption-customer-key-MD5: x\r\n\
    x-qs-encryption-customer-key-MD5: x\r\n\
    \r\n";

/// What makes hyper spell the headers of a response, to be put into its extensions. hyper remembers
/// the spelling of a request for proxies that hand it on, and gives no other way to set it: so it is
/// made to read a request that is spelled like our answers.
pub(super) async fn of_the_services() -> Extensions {
    let (mut client, server) = tokio::io::duplex(SPELLED.len());
    let heard = Arc::new(Mutex::new(Extensions::new()));
    let hear = service_fn(|request: Request<Incoming>| {
        *heard.lock() = request.into_parts().0.extensions;
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    let served = http1::Builder::new()
        .header_read_timeout(None)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(server), hear);
    let (written, served) = tokio::join!(client.write_all(SPELLED), served);
    // Without it the names are lower case, which HTTP allows.
    if let Err(error) = written.and(served.map_err(std::io::Error::other)) {
        tracing::warn!(%error, "headers are spelled in lower case");
    }
    let mut heard = heard.lock();
    std::mem::take(&mut *heard)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::super::raw_client::{Raw, connect};
    use super::super::{MockConfig, MockServer};
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn names_are_written_as_the_services_write_them() {
        let clock = Arc::new(SystemClock);
        let server = MockServer::start(MockConfig::default(), clock).await.unwrap();
        let put = Raw::new("PUT", "/k").header("Content-Type", "text/plain");
        put.body("hello").send(&server).await.unwrap();
        let mut stream = connect(server.address()).await.unwrap();
        let head = Raw::new("HEAD", "/k").head(&server);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let names = ["Content-Length", "Content-Type", "Date", "ETag", "Last-Modified", "Server"];
        for name in names.into_iter().chain(["x-cos-request-id"]) {
            assert!(answer.contains(&format!("\r\n{name}: ")), "no {name} in {answer}");
        }
    }
}
