//! The signature of S3 (AWS Signature Version 4), by the `reqsign` crate. It covers the path, all
//! parameters and every header that is set when it is made, the token among them.
//!
//! The crate is shown the request as the signature means it: the slashes of the key as slashes, where the
//! wire has `%2F` (see `encode::path`), and one blank for every run of blanks in a header, which the crate
//! would sign as it is. AWS, MinIO and Ceph decode the path before they check; Garage does not, so keys
//! with segments `.` or `..` are out of reach there.
//!
//! Documents are covered by their SHA-256. Content is `UNSIGNED-PAYLOAD`, over https and plain http alike:
//! it is protected by its checksum or MD5, which are headers and so covered. Nothing is ever sent
//! `aws-chunked`, so servers that refuse that are fine.
//!
//! The signature stands in a header, or in the query of an address that is given away.

use std::fmt;
use std::time::Duration;

use http::request::Parts;
use http::uri::InvalidUri;
use http::{HeaderName, HeaderValue, Uri, header};
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::hash::hex_sha256;
use reqsign_core::{Context, SignRequest};

use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::request::with_query;
use crate::dialect::{Credentials, headers};
use crate::store::ErrorKind;

pub(super) const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
/// What the crate adds.
const ADDED: [HeaderName; 4] = [
    header::AUTHORIZATION,
    CONTENT_SHA256,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
];

/// Signs requests for one region.
pub(super) struct Signer {
    signer: RequestSigner,
    context: Context,
}

impl Signer {
    pub(super) fn new(region: &str) -> Self {
        // What a token is called must not depend on the name of a host.
        let signer = RequestSigner::new("s3", region).with_standard_session_token();
        Self { signer, context: Context::new() }
    }

    /// Signs for now.
    pub(super) async fn sign(
        &self,
        head: &mut Parts,
        credentials: &Credentials,
    ) -> Result<(), Failure> {
        let empty = head.headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
        if empty && !head.headers.contains_key(CONTENT_SHA256) {
            headers::set(&mut head.headers, CONTENT_SHA256, &hex_sha256(b""))?;
        }
        let mut meant = self.sign_for(head, credentials, None).await?;
        for name in ADDED {
            if let Some(value) = meant.headers.remove(&name) {
                head.headers.insert(name, value);
            }
        }
        Ok(())
    }

    /// The address of the request with a signature in its query, good from now on for so long.
    pub(super) async fn presign(
        &self,
        head: &Parts,
        credentials: &Credentials,
        valid: Duration,
    ) -> Result<Uri, Failure> {
        let meant = self.sign_for(head, credentials, Some(valid)).await?;
        let query = meant.uri.query().unwrap_or_default();
        with_query(&head.uri, query).map_err(|error| failed(error.to_string()))
    }

    /// The request as the signature means it, signed.
    async fn sign_for(
        &self,
        head: &Parts,
        credentials: &Credentials,
        valid: Option<Duration>,
    ) -> Result<Parts, Failure> {
        let Credentials { access_key_id, secret_access_key, session_token, .. } = credentials;
        let credential = Credential {
            access_key_id: access_key_id.clone(),
            secret_access_key: secret_access_key.expose().to_owned(),
            session_token: session_token.as_ref().map(|token| token.expose().to_owned()),
            expires_in: None,
        };
        let mut meant = head.clone();
        meant.uri = with_slashes(&head.uri).map_err(|error| failed(error.to_string()))?;
        meant.headers.values_mut().for_each(collapse);
        self.signer
            .sign_request(&self.context, &mut meant, Some(&credential), valid)
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(meant)
    }
}

fn failed(message: String) -> Failure {
    Failure::new(ErrorKind::BadCredentials, Repeat::Never, message)
}

fn with_slashes(uri: &Uri) -> Result<Uri, InvalidUri> {
    if !uri.path().contains("%2F") {
        return Ok(uri.clone());
    }
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let path = uri.path().replace("%2F", "/");
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}://{authority}{path}{query}", uri.scheme_str().unwrap_or("http")).parse()
}

/// One blank for every run.
fn collapse(value: &mut HeaderValue) {
    let Ok(text) = value.to_str() else { return };
    if text.contains("  ") {
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        if let Ok(collapsed) = HeaderValue::from_str(&words.join(" ")) {
            *value = collapsed;
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
