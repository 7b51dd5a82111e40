//! The signature of COS, by the `reqsign` crate. It covers the method, the decoded path, all
//! parameters and all headers that are set when it is made.
//!
//! The crate adds `Date`, `Authorization` and the token of temporary credentials afterwards, so those
//! are not covered. A bucket in strict-signature mode may want the token covered (unverified). It is
//! not covered here, because the crate writes what it signs into its debug log.
//!
//! The signature stands in a header, or in the query of an address that is given away.

use std::fmt;
use std::time::Duration;

use http::Uri;
use http::request::Parts;
use reqsign_core::{Context, SignRequest};
use reqsign_tencent_cos::{Credential, RequestSigner};

use crate::dialect::Credentials;
use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::request::with_query;
use crate::store::ErrorKind;

/// Signs requests.
pub(super) struct Signer {
    signer: RequestSigner,
    context: Context,
}

impl Signer {
    pub(super) fn new() -> Self {
        Self { signer: RequestSigner::new(), context: Context::new() }
    }

    /// Signs for now; the signature is good for an hour, or for as long as the credentials are.
    pub(super) async fn sign(
        &self,
        head: &mut Parts,
        credentials: &Credentials,
    ) -> Result<(), Failure> {
        self.sign_for(head, credentials, None).await
    }

    /// The address of the request with a signature in its query, good from now on for so long.
    pub(super) async fn presign(
        &self,
        mut head: Parts,
        credentials: &Credentials,
        valid: Duration,
    ) -> Result<Uri, Failure> {
        self.sign_for(&mut head, credentials, Some(valid)).await?;
        // Times and lists have `;` between their items, which the crate leaves as it is and the vendor's
        // SDK encodes. Some programs take it for a `&`.
        let query = head.uri.query().unwrap_or_default().replace(';', "%3B");
        with_query(&head.uri, &query).map_err(|error| failed(error.to_string()))
    }

    async fn sign_for(
        &self,
        head: &mut Parts,
        credentials: &Credentials,
        valid: Option<Duration>,
    ) -> Result<(), Failure> {
        let Credentials { access_key_id, secret_access_key, session_token, .. } = credentials;
        let credential = Credential {
            secret_id: access_key_id.clone(),
            secret_key: secret_access_key.expose().to_owned(),
            security_token: session_token.as_ref().map(|token| token.expose().to_owned()),
            // The crate refuses to sign when they end within the hour. Whoever holds them renews them.
            expires_in: None,
        };
        self.signer
            .sign_request(&self.context, head, Some(&credential), valid)
            .await
            .map_err(|error| failed(error.to_string()))
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
