//! The signatures of OSS, V1 and V4, by the `reqsign` crate.
//!
//! The crate is shown the request as the signature means it: `/BUCKET/KEY`, whatever the host, and the
//! slashes of the key as slashes. Of the request as it is sent it would sign a custom domain without
//! the bucket, and with V4 a slash that is written `%2F` (see `encode::path`) as part of a name. V4 covers
//! every header that is set when it is made; V1 covers Content-MD5, Content-Type, the date and `x-oss-*`.
//!
//! The signature stands in a header, or in the query of an address that is given away.

use std::fmt;
use std::time::Duration;

use http::Uri;
use http::request::Parts;
use reqsign_aliyun_oss::{Credential, RequestSigner, SigningVersion};
use reqsign_core::{Context, SignRequest};

use super::place::Place;
use crate::dialect::Credentials;
use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::request::with_query;
use crate::store::ErrorKind;

/// Signs requests for one bucket.
pub(super) struct Signer {
    signer: RequestSigner,
    context: Context,
    /// What has to be put before the path: `/BUCKET`, or nothing where it is there already.
    missing: String,
}

impl Signer {
    pub(super) fn v1(place: &Place) -> Self {
        Self::new(place, RequestSigner::new(&place.bucket).with_signing_version(SigningVersion::V1))
    }

    pub(super) fn v4(place: &Place, region: &str) -> Self {
        let signer = RequestSigner::new(&place.bucket).with_region(region);
        Self::new(place, signer.with_signing_version(SigningVersion::V4))
    }

    fn new(place: &Place, signer: RequestSigner) -> Self {
        let missing = match place.path_prefix.is_empty() {
            true => format!("/{}", place.bucket),
            false => String::new(),
        };
        Self { signer, context: Context::new(), missing }
    }

    /// Signs for now.
    pub(super) async fn sign(
        &self,
        head: &mut Parts,
        credentials: &Credentials,
    ) -> Result<(), Failure> {
        let meant = self.sign_for(head, credentials, None).await?;
        head.headers = meant.headers;
        if let Some(token) = head.headers.get_mut("x-oss-security-token") {
            token.set_sensitive(true);
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
            access_key_secret: secret_access_key.expose().to_owned(),
            security_token: session_token.as_ref().map(|token| token.expose().to_owned()),
            expires_in: None,
        };
        let mut meant = head.clone();
        meant.uri = self.meant(&head.uri).map_err(|error| failed(error.to_string()))?;
        self.signer
            .sign_request(&self.context, &mut meant, Some(&credential), valid)
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(meant)
    }

    /// The request's address with the bucket in its path. The host is one that no bucket is named in.
    fn meant(&self, uri: &Uri) -> Result<Uri, http::uri::InvalidUri> {
        let path = uri.path().replace("%2F", "/");
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("http://oss{}{path}{query}", self.missing).parse()
    }
}

fn failed(message: String) -> Failure {
    Failure::new(ErrorKind::BadCredentials, Repeat::Never, message)
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
