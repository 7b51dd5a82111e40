//! What the providers of the signing crates need from the outside: files, variables, and requests to
//! the services that give out credentials. Knows no provider. Requests and answers hold secrets, so
//! nothing of them is logged or put into an error.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http::header::CONTENT_LENGTH;
use reqsign_core::{Context, Env, Error, FileRead, HttpSend};
use tokio::time::timeout;

use super::file::{self, Links};
use super::variables::Variables;
use crate::http::{Request, RequestBody, Transport};

/// Largest answer.
const MAX_BYTES: u64 = 64 << 10;

/// How long is waited.
#[derive(Debug, Clone, Copy)]
struct Limits {
    connect: Duration,
    total: Duration,
}

/// The metadata service is on the same machine; where there is none, nobody shall wait for it long.
const METADATA: Limits = Limits { connect: Duration::from_secs(1), total: Duration::from_secs(5) };

/// The token services are across the network.
const TOKENS: Limits = Limits { connect: Duration::from_secs(5), total: Duration::from_secs(15) };

/// Everything from this machine, and requests to wherever `door` leads.
pub(super) fn context(variables: &Variables, door: Door) -> Context {
    Context::new()
        .with_file_read(TokenFiles)
        .with_http_send(door)
        .with_env(Snapshot(variables.clone()))
}

/// The way out: over plain HTTP or TLS as the URL says, without proxy and without redirects.
#[derive(Clone, Default)]
pub(super) struct Door {
    /// Where every request goes instead; for tests.
    to: Option<Uri>,
}

impl Door {
    /// Sends everything to this server, whatever its URL says.
    #[cfg(test)]
    pub(super) fn to(server: std::net::SocketAddr) -> Self {
        Self { to: Some(format!("http://{server}").parse().unwrap()) }
    }

    fn target(&self, asked: &Uri) -> Result<Uri, http::Error> {
        let base = self.to.as_ref().unwrap_or(asked);
        let path = asked.path_and_query().map_or("/", |path| path.as_str());
        let authority = base.authority().map_or("", |authority| authority.as_str());
        Uri::builder()
            .scheme(base.scheme_str().unwrap_or("https"))
            .authority(authority)
            .path_and_query(path)
            .build()
    }

    /// One request. The error names the server and what went wrong on the way, no more.
    pub(super) async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, String> {
        let (mut head, body) = request.into_parts();
        head.uri = self.target(&head.uri).map_err(|_| "the URL is none".to_owned())?;
        // The transport sets it, and twice is once too often.
        head.headers.remove(CONTENT_LENGTH);
        let tls = head.uri.scheme_str() == Some("https");
        let server = format!(
            "{}://{}",
            if tls { "https" } else { "http" },
            head.uri.authority().map_or("", |authority| authority.as_str())
        );
        let limits = if tls { TOKENS } else { METADATA };
        let failed = |what: &str| format!("{server}: {what}");
        // Asked once in many minutes: connections are not kept.
        let transport =
            Transport::new(tls, limits.connect).map_err(|error| failed(&error.message))?;
        let request = Request { head, body: RequestBody::Chunks(Arc::from([body])) };
        let exchange = transport.exchange(request, limits.total, |_, _| Some(MAX_BYTES));
        let answer = match timeout(limits.total, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(failed(&error.message)),
            Err(_) => return Err(failed("no answer in time")),
        };
        let mut response = http::Response::new(Bytes::from(answer.whole_body().into_owned()));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

impl HttpSend for Door {
    async fn http_send(
        &self,
        request: http::Request<Bytes>,
    ) -> reqsign_core::Result<http::Response<Bytes>> {
        self.send(request).await.map_err(Error::unexpected)
    }
}

/// Reads the files that hold tokens of identity.
#[derive(Debug)]
struct TokenFiles;

impl FileRead for TokenFiles {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let path = PathBuf::from(path);
        let read = tokio::task::spawn_blocking(move || token(&path)).await;
        read.map_err(|_| Error::unexpected("reading was interrupted"))?
            .map_err(Error::config_invalid)
    }
}

/// Without blanks at its ends: an editor's newline is no part of a token.
fn token(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    match file::read(path, Links::Follow, |_| Ok(())) {
        Ok(Some(contents)) => Ok(contents.text.trim().as_bytes().to_vec()),
        Ok(None) => Err(format!("{shown}: there is no such file")),
        Err(what) => Err(format!("{shown}: {what}")),
    }
}

/// The environment as it was.
struct Snapshot(Variables);

impl Env for Snapshot {
    fn var(&self, key: &str) -> Option<String> {
        self.0.get(key).map(str::to_owned)
    }

    fn vars(&self) -> HashMap<String, String> {
        self.0.to_map()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        self.0.home()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An error of a provider in words: its message, and the way that failed. Long runs of the letters
/// that keys and tokens are made of are taken out: a service may repeat what it was sent.
pub(super) fn words(error: &Error) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    // Other sources are parsers', which repeat what they do not understand.
    if let Some(below) = error.source().and_then(|below| below.downcast_ref::<Error>()) {
        text = format!("{text}: {below}");
    }
    masked(&text)
}

/// Words this long are no words.
const LONG: usize = 28;
/// Longest text that is passed on.
const MAX_WORDS: usize = 400;

pub(super) fn masked(text: &str) -> String {
    let of_secret = |c: char| c.is_ascii_alphanumeric() || "+/=_-.%".contains(c);
    let mut out = String::new();
    let mut rest: String =
        text.chars().take(MAX_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    while !rest.is_empty() {
        let end = rest.find(|c| !of_secret(c)).unwrap_or(rest.len());
        out.push_str(if end >= LONG { "***" } else { &rest[..end] });
        let next = rest[end..].find(of_secret).map_or(rest.len(), |found| end + found);
        out.push_str(&rest[end..next]);
        rest.drain(..next);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_secret_is_masked() {
        let text =
            masked("refused: eyJhbGciOiJSUzI1NiIsImtpZCI6Ijk.abc/def== for role\n7, code 403");
        assert_eq!(text, "refused: *** for role 7, code 403");
        assert_eq!(masked(&"x ".repeat(1000)).len(), MAX_WORDS);
        assert_eq!(masked(""), "");
    }
}
