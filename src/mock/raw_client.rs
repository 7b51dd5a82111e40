//! A client for the mock's own tests: writes requests byte by byte, so that they can be wrong.

use std::io;
use std::net::SocketAddr;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::verify::sign_for_tests;
use super::{MockConfig, MockServer};

/// A request to be sent.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) method: &'static str,
    /// Path and query as on the wire.
    pub(super) target: String,
    pub(super) host: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) signed: bool,
}

impl Raw {
    pub(super) fn new(method: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            host: "127.0.0.1".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            signed: true,
        }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn host(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    pub(super) fn unsigned(mut self) -> Self {
        self.signed = false;
        self
    }

    /// The head as sent, up to and including the empty line.
    pub(super) fn head(&self, server: &MockServer) -> String {
        let config: &MockConfig = &server.service.config();
        let now = server.service.clock.now();
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        if self.signed {
            let method: Method = self.method.parse().unwrap();
            let (target, host) = (&self.target, &self.host);
            for (name, value) in sign_for_tests(&method, target, host, &self.headers, now, config) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let has_length = self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("content-length")
                || name.eq_ignore_ascii_case("transfer-encoding")
        });
        if !has_length {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head + "Connection: close\r\n\r\n"
    }

    /// Sends it and reads the answer to its end.
    pub(super) async fn send(&self, server: &MockServer) -> io::Result<Reply> {
        let mut stream = connect(server.address()).await?;
        stream.write_all(self.head(server).as_bytes()).await?;
        // A server that answers early may close while the body is being sent.
        let sent = stream.write_all(&self.body).await;
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes).await;
        if bytes.is_empty() {
            sent?;
            read?;
        }
        Reply::parse(&bytes, self.method == "HEAD")
    }
}

pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(address).await
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    /// Without chunk headers.
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn parse(bytes: &[u8], bodiless: bool) -> io::Result<Self> {
        let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(broken)?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let mut reply = Self {
            status: status.ok_or_else(broken)?,
            headers: headers.collect(),
            body: bytes[end + 4..].to_vec(),
        };
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = unchunk(&reply.body).ok_or_else(broken)?;
        } else if let Some(length) = reply.header("content-length") {
            let announced: usize = length.parse().map_err(|_| broken())?;
            if !bodiless && reply.status != 304 && reply.body.len() != announced {
                return Err(broken());
            }
        }
        Ok(reply)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The text of the first element of this name, with entities as they are.
    pub(super) fn element(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    }

    /// The texts of all elements of this name.
    pub(super) fn elements(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let opening = format!("<{name}>");
        let parts = text.split(&opening).skip(1).map(str::to_owned);
        parts
            .filter_map(|rest| Some(rest.split_once(&format!("</{name}>"))?.0.to_owned()))
            .collect()
    }

    pub(super) fn code(&self) -> String {
        self.element("Code").unwrap_or_default()
    }
}

fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        bytes = &bytes[end + 2..];
        if len == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(..len)?);
        bytes = bytes.get(len + 2..)?;
    }
}
