//! The signature of QingStor (`QS`, its page "Signature"): HMAC-SHA256 over method, `Content-MD5`,
//! `Content-Type`, `Date`, the headers of its own, the path as it is sent, and the parameters that
//! name sub-resources. No library has it. All but [`Signer::sign`] is pure.

use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE};
use http::request::Parts;
use reqsign_core::hash::base64_encode;
use sha2::Sha256;

use crate::clock::{Clock, SystemClock};
use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::{Credentials, headers};
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
        if credentials.session_token.is_some() {
            let message = "QingStor has no temporary credentials: leave the session token out";
            return Err(Failure::new(ErrorKind::BadCredentials, Repeat::Never, message));
        }
        headers::set(&mut head.headers, DATE, &httpdate::fmt_http_date(now))?;
        let text = self.string_to_sign(head)?;
        let secret = credentials.secret_access_key.expose();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|error| {
            Failure::new(ErrorKind::BadCredentials, Repeat::Never, error.to_string())
        })?;
        mac.update(text.as_bytes());
        let signature = base64_encode(&mac.finalize().into_bytes());
        let value = format!("QS {}:{signature}", credentials.access_key_id);
        headers::set(&mut head.headers, AUTHORIZATION, &value)?;
        if let Some(value) = head.headers.get_mut(AUTHORIZATION) {
            value.set_sensitive(true);
        }
        Ok(())
    }

    fn string_to_sign(&self, head: &Parts) -> Result<String, Failure> {
        let own_date = head.headers.contains_key(OWN_DATE);
        let date = if own_date { "" } else { value(&head.headers, DATE.as_str())? };
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
