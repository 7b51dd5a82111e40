//! Who signed a request: one file per service, each with code of its own, so that a mistake shared
//! with the client's signer cannot go unseen. Knows nothing of operations.

mod cos;

use std::time::SystemTime;

use super::refusal::Refusal;
use super::request::Request;
use super::{MockConfig, MockDialect};

#[cfg(test)]
pub(super) use cos::sign_for_tests;

/// Verifies that `request` was signed with the credentials of `config` and is timely.
pub(super) fn verify(
    request: &Request,
    config: &MockConfig,
    now: SystemTime,
) -> Result<(), Refusal> {
    match config.dialect {
        MockDialect::Cos => cos::verify(request, config, now),
        MockDialect::Oss | MockDialect::Qingstor | MockDialect::S3 => {
            Err(Refusal::AccessDenied("The mock cannot check signatures of this service yet."))
        }
    }
}
