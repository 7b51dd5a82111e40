//! A server that says exactly what a test wrote down, byte by byte, whatever it is asked: for broken
//! and lying answers that no real server would make on demand.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::dialect::{
    Connection, CredentialSource, Credentials, DialectName, ObjectProperties, Timing, connect,
};
use crate::store::ObjectStore;

pub(crate) const SECRET: &str = "SECRETKEYEXAMPLE0123456789abcdef";
pub(crate) const TOKEN: &str = "TOKEN/EXAMPLE+token==";

/// What the server does about one request, after having read it whole.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Send(Vec<u8>),
    /// The slowness of the network, not a synchronisation.
    Wait(Duration),
    /// Nothing more, until the client hangs up.
    Stall,
}

/// A request as it was on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The server. Each entry of its script answers one request on a connection of its own.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    pub(crate) async fn start(script: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = seen.clone();
        tokio::spawn(async move {
            let mut script = script.into_iter();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(request) = read_request(&mut stream).await else { continue };
                log.lock().unwrap().push(request);
                let over =
                    vec![Act::Send(answer(400, &[], "<Error><Code>ScriptOver</Code></Error>"))];
                perform(stream, script.next().unwrap_or(over)).await;
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD target` of each request, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }

    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        self.store_with(TIMING)
    }

    pub(crate) fn store_with(&self, timing: Timing) -> Arc<dyn ObjectStore> {
        self.store_as(Connection {
            timing,
            ..connection(DialectName::Cos, "examplebucket-1250000000")
        })
    }

    pub(crate) fn store_of(
        &self,
        credentials: CredentialSource,
        timing: Timing,
    ) -> Arc<dyn ObjectStore> {
        self.store_as(Connection {
            timing,
            credentials,
            ..connection(DialectName::Cos, "examplebucket-1250000000")
        })
    }

    /// QingStor, the bucket in the path.
    pub(crate) fn qingstor(&self) -> Arc<dyn ObjectStore> {
        let credentials = Credentials::new("AKIDEXAMPLE", SECRET).into();
        self.store_as(Connection {
            credentials,
            ..connection(DialectName::Qingstor, "examplebucket")
        })
    }

    /// A client of this server, with everything but the endpoint as said.
    pub(crate) fn store_as(&self, connection: Connection) -> Arc<dyn ObjectStore> {
        let endpoint = Some(format!("http://{}", self.address));
        connect(Connection { endpoint, ..connection }).unwrap()
    }
}

/// A bucket with temporary credentials, without region and endpoint.
pub(crate) fn connection(dialect: DialectName, bucket: &str) -> Connection {
    Connection {
        dialect,
        bucket: bucket.into(),
        endpoint: None,
        region: None,
        path_style: None,
        signature_version: None,
        credentials: Credentials::new("AKIDEXAMPLE", SECRET).with_token(Some(TOKEN)).into(),
        properties: ObjectProperties::default(),
        timing: TIMING,
    }
}

pub(crate) const TIMING: Timing = Timing {
    connect: Duration::from_secs(5),
    attempt: Duration::from_millis(300),
    total: Duration::from_secs(10),
    max_attempts: 3,
    complete: Duration::from_secs(10),
    writes: None,
};

/// A whole answer with its length.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 {status} Status\r\nx-cos-request-id: id-{status}\r\nConnection: close\r\n"
    );
    let length = body.len().to_string();
    let own = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = (!own && status != 204).then_some(("Content-Length", &*length));
    for (name, value) in headers.iter().copied().chain(length) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// A script entry of one whole answer.
pub(crate) fn say(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<Act> {
    vec![Act::Send(answer(status, headers, body))]
}

/// A script entry of an error document.
pub(crate) fn refuse(status: u16, code: &str) -> Vec<Act> {
    say(status, &[], &format!("<?xml version='1.0'?><Error><Code>{code}</Code></Error>"))
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let mut request_line = lines.next().unwrap().split(' ').map(str::to_owned);
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut seen = Seen {
        method: request_line.next().unwrap(),
        target: request_line.next().unwrap(),
        headers,
        body: bytes.split_off(end),
    };
    let length: usize = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
    while seen.body.len() < length {
        if stream.read_buf(&mut seen.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(seen)
}

async fn perform(mut stream: TcpStream, acts: Vec<Act>) {
    for act in acts {
        let done = match act {
            Act::Send(bytes) => stream.write_all(&bytes).await,
            Act::Wait(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Act::Stall => stream.read_to_end(&mut Vec::new()).await.map(|_| ()),
        };
        if done.is_err() {
            return;
        }
    }
}
