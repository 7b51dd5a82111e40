//! What a client really sends: a relay between it and the mock that keeps the heads of all requests.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use partfs::mock::MockServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Everything that came over each connection.
type Streams = Arc<Mutex<Vec<Vec<u8>>>>;

/// A relay on a free port. Dropped, it takes no more connections.
pub struct Wire {
    address: SocketAddr,
    streams: Streams,
    accepting: JoinHandle<()>,
}

/// The head of a request.
#[derive(Debug, Clone)]
pub struct Sent {
    /// `PUT /key?query HTTP/1.1`.
    pub line: String,
    headers: Vec<(String, String)>,
}

impl Sent {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

impl Wire {
    /// A relay to a server.
    pub async fn to(server: &MockServer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (target, streams) = (server.address(), Streams::default());
        let kept = Arc::clone(&streams);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, target, Arc::clone(&kept)));
            }
        });
        Self { address, streams, accepting }
    }

    /// `http://HOST:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests since the last call, those of one connection in their order.
    pub fn take(&self) -> Vec<Sent> {
        let streams = self.streams.lock().iter_mut().map(std::mem::take).collect::<Vec<_>>();
        streams.iter().flat_map(|stream| requests(stream)).collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(client: TcpStream, target: SocketAddr, streams: Streams) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let number = {
        let mut streams = streams.lock();
        streams.push(Vec::new());
        streams.len() - 1
    };
    let answers =
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(len @ 1..) = from_client.read(&mut buffer).await {
        // Kept before it is passed on: who has an answer finds its request here.
        streams.lock()[number].extend_from_slice(&buffer[..len]);
        if to_server.write_all(&buffer[..len]).await.is_err() {
            break;
        }
    }
    answers.abort();
}

/// Takes a stream apart; bodies are skipped by their length.
fn requests(mut stream: &[u8]) -> Vec<Sent> {
    let mut found = Vec::new();
    while let Some(end) = stream.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = std::str::from_utf8(&stream[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        let sent = Sent { line, headers: headers.collect() };
        assert_eq!(sent.header("transfer-encoding"), None, "bodies have a length");
        let body = sent.header("content-length").map_or(0, |len| len.parse().unwrap());
        stream = stream.get(end + 4 + body..).unwrap_or_default();
        found.push(sent);
    }
    found
}
