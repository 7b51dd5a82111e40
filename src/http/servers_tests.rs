//! How servers are found and trusted while a mount lives: addresses that change or are dead (F71), certificates
//! that end or are of another name (F73).

use std::collections::VecDeque;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Mutex;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const NAME: &str = "bucket.store.test";
const CANARY: &str = "a-signature-that-nobody-else-may-see";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

async fn get(transport: &Transport, url: String) -> Result<StatusCode, TransportErrorKind> {
    let request = http::Request::get(url).header("authorization", CANARY).body(()).unwrap();
    let (head, ()) = request.into_parts();
    let request = Request { head, body: RequestBody::Chunks(Arc::new([])) };
    let answer = transport.exchange(request, Duration::from_secs(10), |_, _| Some(100)).await;
    answer.map(|answer| answer.status).map_err(|error| error.kind)
}

/// Answers one request on a connection.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap() == 0 {
            return;
        }
    }
    stream.write_all(ANSWER).await.unwrap();
    stream.shutdown().await.ok();
}

/// A name server that says one thing after another, and nothing of a name that is not known.
#[derive(Debug)]
struct Names(Mutex<VecDeque<Option<Vec<IpAddr>>>>);

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        assert_eq!(name.as_str(), NAME);
        let said = self.0.lock().unwrap().pop_front().expect("not asked again");
        Box::pin(async move {
            let Some(addresses) = said else { return Err("no such name".into()) };
            let addresses: Vec<_> =
                addresses.into_iter().map(|address| SocketAddr::from((address, 0))).collect();
            let addresses: Result<Addrs, Box<dyn Error + Send + Sync>> =
                Ok(Box::new(addresses.into_iter()));
            addresses
        })
    }
}

#[tokio::test]
async fn addresses_are_asked_for_again_and_dead_ones_are_passed_over() {
    let [first, second, dead] = [1, 2, 3].map(|last| IpAddr::from([127, 0, 0, last]));
    let listener = TcpListener::bind((first, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let moved = TcpListener::bind((second, port)).await.unwrap();
    for listener in [listener, moved] {
        tokio::spawn(async move {
            // Each serves one request and is gone.
            let (stream, _) = listener.accept().await.unwrap();
            drop(listener);
            answer(stream).await;
        });
    }
    let said = [Some(vec![dead, first]), Some(vec![first]), None, Some(vec![dead, first, second])];
    let names = Arc::new(Names(Mutex::new(said.into())));
    let transport = Transport::built(false, Duration::from_secs(5), |builder| {
        builder.dns_resolver(Arc::clone(&names))
    })
    .unwrap();
    let get = || get(&transport, format!("http://{NAME}:{port}/"));
    assert_eq!(get().await, Ok(StatusCode::OK), "the other address is alive");
    assert_eq!(get().await, Err(TransportErrorKind::Connect), "the server has gone");
    assert_eq!(get().await, Err(TransportErrorKind::Connect), "and now its name");
    assert_eq!(get().await, Ok(StatusCode::OK), "it is elsewhere");
}

/// What a server shows at its door.
enum Door {
    Certificate { name: &'static str, last_year: i32 },
    NoTls,
}

#[tokio::test]
async fn a_server_is_trusted_anew_at_each_connection_and_nothing_is_told_without() {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let trusted = reqwest::Certificate::from_der(root.der()).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let transport = Transport::built(true, Duration::from_secs(5), |builder| {
        builder.tls_certs_only([trusted]).resolve(NAME, address)
    })
    .unwrap();
    let good = || Door::Certificate { name: NAME, last_year: 2120 };
    let untrusted = Err(TransportErrorKind::Untrusted);
    for (door, expected) in [
        (good(), Ok(StatusCode::OK)),
        (Door::Certificate { name: NAME, last_year: 2025 }, untrusted),
        (Door::Certificate { name: "other.store.test", last_year: 2120 }, untrusted),
        (Door::NoTls, untrusted),
        (good(), Ok(StatusCode::OK)),
    ] {
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let Door::Certificate { name, last_year } = door else {
                let mut seen = Vec::new();
                stream.read_buf(&mut seen).await.unwrap();
                stream.write_all(ANSWER).await.unwrap();
                stream.read_to_end(&mut seen).await.ok();
                return !String::from_utf8_lossy(&seen).contains(CANARY);
            };
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.not_after = date_time_ymd(last_year, 1, 1);
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateDer::from(params.signed_by(&key, &root).unwrap());
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key)
                .unwrap();
            let accepted = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
            // Whoever does not trust the certificate ends here, and has said nothing.
            if let Ok(stream) = accepted {
                answer(stream).await;
            }
            true
        };
        let (told, kept_secret) =
            tokio::join!(get(&transport, format!("https://{NAME}:{}/", address.port())), serve);
        assert_eq!(told, expected);
        assert!(kept_secret);
    }
}
