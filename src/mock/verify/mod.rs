//! Who signed a request: one file per service, each with code of its own, so that a mistake shared
//! with the client's signer cannot go unseen. Knows nothing of operations.

mod cos;
pub(super) mod digests;
mod oss;
mod qingstor;
mod s3;
mod v4;
#[cfg(test)]
mod vectors;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use super::aws_chunked::Framing;
use super::refusal::Refusal;
use super::request::Request;
use super::{MockConfig, MockDialect};

/// How far a request's date may be from ours.
const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// Longest validity of a signature in a query (OSS V4, S3): seven days.
const MAX_EXPIRES: u64 = 604_800;

/// Everything is percent-encoded but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What stands before secrets in texts to sign.
const SECRETS: [&str; 3] = ["security-token:", "security-token=", "customer-key:"];

/// What a signature says about the body, which has not been read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyProof {
    /// Nothing.
    Unsigned,
    /// Its SHA-256.
    Sha256([u8; 32]),
    /// That it is framed, and the first link of the chain that signs the frames.
    AwsChunked(Framing),
}

/// Verifies that `request` was signed with the credentials of `config` and is timely.
pub(super) fn verify(
    request: &Request,
    config: &MockConfig,
    now: SystemTime,
) -> Result<BodyProof, Refusal> {
    let unsigned = |()| BodyProof::Unsigned;
    match config.dialect {
        MockDialect::Cos => cos::verify(request, config, now).map(unsigned),
        MockDialect::Oss => oss::verify(request, config, now).map(unsigned),
        MockDialect::Qingstor => qingstor::verify(request, config, now).map(unsigned),
        MockDialect::S3 => s3::verify(request, config, now),
    }
}

/// The headers that sign a request of tests for the next quarter of an hour: `Authorization`, and the
/// date that goes with it. What `headers` has must be sent too.
#[cfg(test)]
pub(super) fn sign_for_tests(
    method: &http::Method,
    target: &str,
    host: &str,
    headers: &[(String, String)],
    now: SystemTime,
    config: &MockConfig,
) -> Vec<(String, String)> {
    let mut builder = http::Request::builder().method(method).uri(target).header("host", host);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    let request = builder.body(()).map(|request| Request::new(request.into_parts().0));
    let mut request = request.expect("tests give valid requests");
    let mut added = match config.dialect {
        MockDialect::Cos => Vec::new(),
        MockDialect::Oss | MockDialect::Qingstor => vec![("date", httpdate::fmt_http_date(now))],
        MockDialect::S3 => s3::headers_for_tests(&request, now, config),
    };
    for (name, value) in &added {
        let value = value.parse().expect("tests give valid values");
        request.headers.insert(http::HeaderName::from_static(name), value);
    }
    let authorization = match config.dialect {
        MockDialect::Cos => cos::sign_for_tests(&request, now, config),
        MockDialect::Oss => oss::sign_for_tests(&request, config),
        MockDialect::Qingstor => qingstor::sign_for_tests(&request, config),
        MockDialect::S3 => s3::sign_for_tests(&request, now, config),
    };
    added.push(("authorization", authorization));
    added.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The `Authorization` header. More than one of them say nothing.
fn authorization(request: &Request) -> Result<Option<String>, Refusal> {
    if request.headers.get_all("authorization").iter().count() > 1 {
        return Err(Refusal::MalformedAuthorization("There is more than one Authorization."));
    }
    Ok(request.header("authorization").map(|text| text.trim().to_owned()))
}

/// The value of a header as signatures see it: several of one name are one list, without the blanks
/// around it; empty if there is none.
fn header_value(request: &Request, name: &str) -> String {
    let values = request.headers.get_all(name).iter();
    let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
    values.collect::<Vec<_>>().join(",")
}

/// The headers whose names begin with `prefix` (in lower case), sorted.
fn vendor_headers(request: &Request, prefix: &str) -> BTreeMap<String, String> {
    let names = request.headers.keys().map(|name| name.as_str());
    let names = names.filter(|name| name.starts_with(prefix));
    names.map(|name| (name.to_owned(), header_value(request, name))).collect()
}

fn lines(headers: &BTreeMap<String, String>) -> String {
    headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect()
}

fn check_skew(date: SystemTime, now: SystemTime) -> Result<(), Refusal> {
    let skew = now.duration_since(date).unwrap_or_else(|later| later.duration());
    if skew > MAX_SKEW { Err(Refusal::ClockSkew) } else { Ok(()) }
}

fn check_region(found: &str, config: &MockConfig) -> Result<(), Refusal> {
    match &config.region {
        Some(expected) if expected != found => {
            Err(Refusal::WrongRegion { expected: expected.clone() })
        }
        _ => Ok(()),
    }
}

/// A token must be there exactly when one is expected.
fn check_token(sent: Option<&str>, config: &MockConfig) -> Result<(), Refusal> {
    if sent == config.session_token.as_deref() { Ok(()) } else { Err(Refusal::InvalidToken) }
}

/// Refuses a signature, with the text that it should have signed. Answers repeat that text and clients
/// log them, so it has none of the secrets that are signed.
fn mismatch(string_to_sign: &str) -> Refusal {
    let shown = without_secrets(string_to_sign);
    tracing::debug!(string_to_sign = shown, "the signature does not match");
    Refusal::SignatureDoesNotMatch(shown)
}

/// The text without tokens and clients' keys, be they headers or parameters: what stands
/// behind them in their line goes, too.
fn without_secrets(string_to_sign: &str) -> String {
    let shown = |line: &str| {
        let ends = SECRETS.iter().filter_map(|name| Some(line.find(name)? + name.len()));
        match ends.min() {
            Some(end) => format!("{}(hidden)", &line[..end]),
            None => line.to_owned(),
        }
    };
    string_to_sign.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
