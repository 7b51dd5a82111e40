//! The signature of QingStor (`QS`, its page "Signature"): HMAC-SHA256 over method, `Content-MD5`,
//! `Content-Type`, `Date`, the headers of its own, the path as it is sent, and the parameters that
//! name sub-resources. It stands in a header, or in the query of an address that is given away. No
//! library has it. All but [`Signer::sign`] and [`Signer::presign`] is pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE};
use http::request::Parts;
use http::{HeaderMap, Uri};
use reqsign_core::hash::base64_encode;
use sha2::Sha256;

use crate::clock::{Clock, SystemClock};
use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::request::with_query;
use crate::dialect::{Credentials, encode, headers};
use crate::store::ErrorKind;

/// Prefix of the headers that are covered.
const OWN: &str = "x-qs-";
/// A date that is signed among the headers instead of in its line.
const OWN_DATE: &str = "x-qs-date";

/// Parameters that are covered, sorted (the Python SDK's list).
const SUB_RESOURCES: [&str; 23] = [
    "acl",
    "append",
    "cname",
    "cors",
    "delete",
    "image",
    "lifecycle",
    "logging",
    "mirror",
    "notification",
    "part_number",
    "policy",
    "position",
    "replication",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "stats",
    "upload_id",
    "uploads",
];

/// Signs the requests about one bucket.
#[derive(Debug)]
pub(super) struct Signer {
    /// What is put in front of a path that does not name the bucket: empty, or `/BUCKET`.
    before_path: String,
}

impl Signer {
    pub(super) fn new(before_path: impl Into<String>) -> Self {
        Self { before_path: before_path.into() }
    }

    /// Signs for now; the service takes it for a quarter of an hour.
    pub(super) fn sign(&self, head: &mut Parts, credentials: &Credentials) -> Result<(), Failure> {
        self.sign_at(head, credentials, SystemClock.now())
    }

    /// Sets `Date` and `Authorization`.
    pub(super) fn sign_at(
        &self,
        head: &mut Parts,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<(), Failure> {
        let date = httpdate::fmt_http_date(now);
        headers::set(&mut head.headers, DATE, &date)?;
        let line = if head.headers.contains_key(OWN_DATE) { "" } else { &date };
        let signature = signature(&self.string_to_sign(head, line)?, credentials)?;
        let value = format!("QS {}:{signature}", credentials.access_key_id);
        headers::set(&mut head.headers, AUTHORIZATION, &value)?;
        if let Some(value) = head.headers.get_mut(AUTHORIZATION) {
            value.set_sensitive(true);
        }
        Ok(())
    }

    /// The address of the request with a signature in its query, good from now on for so long.
    pub(super) fn presign(
        &self,
        head: &Parts,
        credentials: &Credentials,
        valid: Duration,
    ) -> Result<Uri, Failure> {
        self.presign_at(head, credentials, SystemClock.now(), valid)
    }

    /// Puts what signs behind the parameters, in the order of the Python SDK.
    pub(super) fn presign_at(
        &self,
        head: &Parts,
        credentials: &Credentials,
        now: SystemTime,
        valid: Duration,
    ) -> Result<Uri, Failure> {
        let end = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(valid);
        let expires = end.as_secs().to_string();
        let signature = signature(&self.string_to_sign(head, &expires)?, credentials)?;
        let added = encode::query(&[
            ("signature", Some(signature)),
            ("access_key_id", Some(credentials.access_key_id.clone())),
            ("expires", Some(expires)),
        ]);
        let query = match head.uri.query() {
            None | Some("") => added,
            Some(query) => format!("{query}&{added}"),
        };
        with_query(&head.uri, &query).map_err(|error| Failure::unsayable(error.to_string()))
    }

    /// What is signed; `date` is the line of the date, or of the end.
    fn string_to_sign(&self, head: &Parts, date: &str) -> Result<String, Failure> {
        let mut text = format!(
            "{}\n{}\n{}\n{date}\n",
            head.method,
            value(&head.headers, "content-md5")?,
            value(&head.headers, CONTENT_TYPE.as_str())?,
        );
        let mut names: Vec<&str> =
            head.headers.keys().map(|name| name.as_str()).filter(|n| n.starts_with(OWN)).collect();
        names.sort_unstable();
        for name in names {
            text.push_str(&format!("{name}:{}\n", value(&head.headers, name)?));
        }
        text.push_str(&self.before_path);
        text.push_str(head.uri.path());
        let mut covered: Vec<&str> =
            head.uri.query().unwrap_or_default().split('&').filter(|p| is_covered(p)).collect();
        covered.sort_unstable();
        for (index, parameter) in covered.into_iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(parameter);
        }
        Ok(text)
    }
}

/// The signature of a text.
fn signature(text: &str, credentials: &Credentials) -> Result<String, Failure> {
    let failed = |message: String| Failure::new(ErrorKind::BadCredentials, Repeat::Never, message);
    if credentials.session_token.is_some() {
        let message = "QingStor has no temporary credentials: leave the session token out";
        return Err(failed(message.to_owned()));
    }
    let secret = credentials.secret_access_key.expose();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|error| failed(error.to_string()))?;
    mac.update(text.as_bytes());
    Ok(base64_encode(&mac.finalize().into_bytes()))
}

/// The value of a header as it is signed; empty when there is none.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Failure> {
    let Some(value) = headers.get(name) else { return Ok("") };
    let text = value.to_str().map(str::trim);
    text.map_err(|_| Failure::unsayable(format!("a header {name} that cannot be signed")))
}

fn is_covered(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    SUB_RESOURCES.binary_search(&name).is_ok()
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
