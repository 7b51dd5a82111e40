//! Checks COS signatures (`q-sign-algorithm=sha1`), with code of its own: a mistake shared with the
//! client's signer would go unseen. Knows nothing of operations.

use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::utf8_percent_encode;
use sha1::{Digest, Sha1};

use super::digests::{hex, hmac_sha1};
use super::{ENCODED, check_skew, mismatch};
use crate::mock::MockConfig;
use crate::mock::refusal::Refusal;
use crate::mock::request::{Query, Request, host_name};

/// Verifies that `request` was signed with the credentials of `config` and is timely.
pub(super) fn verify(
    request: &Request,
    config: &MockConfig,
    now: SystemTime,
) -> Result<(), Refusal> {
    let signature = Signature::find(request)?;
    if signature.access_key_id != config.access_key_id {
        return Err(Refusal::UnknownAccessKey);
    }
    check_token(request, config)?;
    check_date(request, now)?;
    signature.sign_time.check(now)?;
    signature.key_time.check(now)?;
    // SDKs differ in whether the port is part of the signed host.
    let hosts = [request.host.as_str(), host_name(&request.host)];
    let computed = hosts.map(|host| signature.compute(request, host, &config.secret_access_key));
    if computed.iter().any(|(_, computed)| *computed == signature.signature) {
        return Ok(());
    }
    let [(string_to_sign, _), _] = computed;
    Err(mismatch(&string_to_sign))
}

fn check_token(request: &Request, config: &MockConfig) -> Result<(), Refusal> {
    let Some(wanted) = &config.session_token else { return Ok(()) };
    let name = "x-cos-security-token";
    let sent = request.header(name);
    let sent = sent.as_deref().or_else(|| request.query.get_any_case(name));
    if sent == Some(wanted) { Ok(()) } else { Err(Refusal::UnknownAccessKey) }
}

/// A `Date` is optional; one that is there must be about right.
fn check_date(request: &Request, now: SystemTime) -> Result<(), Refusal> {
    let Some(date) = request.header("date") else { return Ok(()) };
    let date = httpdate::parse_http_date(&date)
        .map_err(|_| Refusal::InvalidArgument("the Date header is not a date"))?;
    check_skew(date, now)
}

/// A window of time as it stands in a signature: `start;end` in Unix seconds.
#[derive(Debug)]
struct Window {
    text: String,
    start: u64,
    end: u64,
}

impl Window {
    fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once(';')?;
        Some(Self { start: start.parse().ok()?, end: end.parse().ok()?, text: text.to_owned() })
    }

    fn check(&self, now: SystemTime) -> Result<(), Refusal> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now < self.start {
            return Err(Refusal::ClockSkew);
        }
        if now > self.end {
            return Err(Refusal::AccessDenied("Request has expired"));
        }
        Ok(())
    }
}

/// The seven items of a signature.
#[derive(Debug)]
struct Signature {
    access_key_id: String,
    sign_time: Window,
    key_time: Window,
    headers: Vec<String>,
    parameters: Vec<String>,
    signature: String,
}

impl Signature {
    /// From the `Authorization` header, or from the query.
    fn find(request: &Request) -> Result<Self, Refusal> {
        let items = match request.header("authorization") {
            // Its values are not encoded, and a `+` is a `+`.
            Some(header) => Query::parse(&header.trim().replace('%', "%25").replace('+', "%2B")),
            None if request.query.has("q-signature") => request.query.clone(),
            None => return Err(Refusal::AccessDenied("Access Denied.")),
        };
        Self::parse(&items).ok_or(Refusal::AccessDenied("The authorization is malformed."))
    }

    fn parse(items: &Query) -> Option<Self> {
        if items.get("q-sign-algorithm")? != "sha1" {
            return None;
        }
        let list = |text: &str| {
            let names = text.split(';').filter(|name| !name.is_empty());
            names.map(str::to_ascii_lowercase).collect()
        };
        Some(Self {
            access_key_id: items.get("q-ak")?.to_owned(),
            sign_time: Window::parse(items.get("q-sign-time")?)?,
            key_time: Window::parse(items.get("q-key-time")?)?,
            headers: list(items.get("q-header-list")?),
            parameters: list(items.get("q-url-param-list")?),
            signature: items.get("q-signature")?.to_owned(),
        })
    }

    /// The string to sign and its signature, with `host` as the value of a signed host.
    fn compute(&self, request: &Request, host: &str, secret: &str) -> (String, String) {
        let headers = canonical(&self.headers, |name| match name {
            "host" => host.to_owned(),
            // Blanks around a header's value are no part of it; those of a parameter are.
            name => request.header(name).unwrap_or_default().trim().to_owned(),
        });
        let parameters = canonical(&self.parameters, |name| {
            request.query.get_any_case(name).unwrap_or_default().to_owned()
        });
        let mut http_string = Sha1::new();
        http_string.update(request.method.as_str().to_ascii_lowercase());
        http_string.update("\n");
        http_string.update(&request.path);
        http_string.update(format!("\n{parameters}\n{headers}\n"));
        let http_string = hex(&http_string.finalize());
        let string_to_sign = format!("sha1\n{}\n{http_string}\n", self.sign_time.text);
        let sign_key = hex(&hmac_sha1(secret.as_bytes(), &self.key_time.text));
        let signature = hex(&hmac_sha1(sign_key.as_bytes(), &string_to_sign));
        (string_to_sign, signature)
    }
}

/// `name=value` pairs, encoded, sorted by name, joined.
fn canonical(names: &[String], value_of: impl Fn(&str) -> String) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let mut pairs: Vec<_> = names
        .iter()
        .map(|name| (encode(name).to_ascii_lowercase(), encode(&value_of(name))))
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The `Authorization` that signs method, path and host for an hour.
#[cfg(test)]
pub(super) fn sign_for_tests(request: &Request, now: SystemTime, config: &MockConfig) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let window = || Window { text: format!("{now};{}", now + 3600), start: now, end: now + 3600 };
    let unsigned = Signature {
        access_key_id: config.access_key_id.clone(),
        sign_time: window(),
        key_time: window(),
        headers: vec!["host".to_owned()],
        parameters: Vec::new(),
        signature: String::new(),
    };
    let (_, signature) = unsigned.compute(request, &request.host, &config.secret_access_key);
    let (id, window) = (&unsigned.access_key_id, &unsigned.sign_time.text);
    format!(
        "q-sign-algorithm=sha1&q-ak={id}&q-sign-time={window}&q-key-time={window}\
         &q-header-list=host&q-url-param-list=&q-signature={signature}"
    )
}

#[cfg(test)]
#[path = "cos_tests.rs"]
mod tests;
