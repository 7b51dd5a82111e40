//! What the error codes of COS mean and which are worth another attempt (its page "Error Codes", and
//! what its SDKs retry). Codes decide; the status decides where the code says nothing.

use crate::dialect::answers::ServiceError;
use crate::dialect::failure::{Failure, Repeat};
use crate::store::ErrorKind;

/// The failure that an answer of `status` with this error document is. Status 200 is an error
/// document where a result was due.
pub(super) fn failure(status: u16, error: Option<ServiceError>) -> Failure {
    let (kind, repeat) =
        error.as_ref().and_then(|error| by_code(&error.code)).unwrap_or_else(|| by_status(status));
    let mut failure = Failure::new(kind, repeat, "");
    match error {
        Some(error) => {
            failure.message = match error.message.is_empty() {
                true => error.code.as_str().into(),
                false => error.message.into(),
            };
            failure.request_id = error.request_id.map(Into::into);
            failure.code = Some(error.code.into());
        }
        None => failure.message = "the service refused without saying why".into(),
    }
    failure
}

fn by_code(code: &str) -> Option<(ErrorKind, Repeat)> {
    use Repeat::{FateUnknown, Never, Refused};
    Some(match code {
        "NoSuchKey" | "NoSuchCopySource" => (ErrorKind::NotFound, Never),
        "NoSuchBucket" => (ErrorKind::BucketMissing, Never),
        "NoSuchUpload" => (ErrorKind::NoSuchUpload, Never),
        "PreconditionFailed" => (ErrorKind::PreconditionFailed, Never),
        "FileAlreadyExists" => (ErrorKind::AlreadyExists, Never),
        "AccessDenied" => (ErrorKind::AccessDenied, Never),
        "SignatureDoesNotMatch" | "InvalidAccessKeyId" | "ExpiredToken" | "InvalidToken" => {
            (ErrorKind::BadCredentials, Never)
        }
        // The second is how COS names the end of a signature's window; the window is an hour, so
        // it is our clock.
        "RequestTimeTooSkewed" | "Request has expired" => (ErrorKind::ClockSkew, Never),
        "PermanentRedirect" | "TemporaryRedirect" => (ErrorKind::WrongEndpoint, Never),
        "PaymentRequired" | "UnavailableForLegalReasons" => (ErrorKind::QuotaExceeded, Never),
        "EntityTooLarge" => (ErrorKind::TooLarge, Never),
        "EntityTooSmall" | "InvalidPart" | "InvalidPartOrder" => (ErrorKind::InvalidPart, Never),
        "InvalidRange" => (ErrorKind::InvalidRange, Never),
        "InvalidObjectState" => (ErrorKind::Archived, Never),
        "InvalidObjectName" | "KeyTooLong" | "KeyTooLongError" => (ErrorKind::InvalidKey, Never),
        // The bytes were damaged or lost on their way; they are sent again.
        "BadDigest" => (ErrorKind::Corrupt, Refused),
        "IncompleteBody" | "EntitySizeNotMatch" => (ErrorKind::Network, Refused),
        "RequestTimeout" | "UserNetworkTooSlow" => (ErrorKind::Timeout, Refused),
        // Another write of the same key within milliseconds.
        "PathConflict" | "UploadConflict" => (ErrorKind::Unavailable, Refused),
        "SlowDown" | "TooManyRequests" => (ErrorKind::Throttled, Refused),
        "InternalError" | "ServiceUnavailable" => (ErrorKind::Unavailable, FateUnknown),
        "NotImplemented" | "MethodNotAllowed" => (ErrorKind::InvalidRequest, Never),
        _ => return None,
    })
}

fn by_status(status: u16) -> (ErrorKind, Repeat) {
    use Repeat::{FateUnknown, Never, Refused};
    match status {
        // An error under a status of success, of a code that is not known.
        200..=299 => (ErrorKind::InvalidAnswer, FateUnknown),
        401 => (ErrorKind::BadCredentials, Never),
        402 | 451 => (ErrorKind::QuotaExceeded, Never),
        403 => (ErrorKind::AccessDenied, Never),
        404 => (ErrorKind::NotFound, Never),
        408 => (ErrorKind::Timeout, FateUnknown),
        // The one conflict that partfs provokes is a create-only write; its code is unverified.
        409 => (ErrorKind::AlreadyExists, Never),
        412 => (ErrorKind::PreconditionFailed, Never),
        413 => (ErrorKind::TooLarge, Never),
        416 => (ErrorKind::InvalidRange, Never),
        429 => (ErrorKind::Throttled, Refused),
        501 | 505 => (ErrorKind::InvalidRequest, Never),
        500..=599 => (ErrorKind::Unavailable, FateUnknown),
        _ => (ErrorKind::InvalidRequest, Never),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(status: u16, code: &str) -> (ErrorKind, Repeat) {
        let error = ServiceError { code: code.into(), message: String::new(), request_id: None };
        let failure = failure(status, Some(error));
        assert_eq!(failure.code.as_deref(), Some(code));
        (failure.kind, failure.repeat)
    }

    #[test]
    fn codes_decide_before_status() {
        use Repeat::{FateUnknown, Never, Refused};
        for (status, code, kind, repeat) in [
            (404, "NoSuchKey", ErrorKind::NotFound, Never),
            (404, "NoSuchBucket", ErrorKind::BucketMissing, Never),
            (404, "NoSuchUpload", ErrorKind::NoSuchUpload, Never),
            (200, "NoSuchUpload", ErrorKind::NoSuchUpload, Never),
            (403, "RequestTimeTooSkewed", ErrorKind::ClockSkew, Never),
            (403, "Request has expired", ErrorKind::ClockSkew, Never),
            (403, "SignatureDoesNotMatch", ErrorKind::BadCredentials, Never),
            (403, "SomethingNew", ErrorKind::AccessDenied, Never),
            (400, "ExpiredToken", ErrorKind::BadCredentials, Never),
            (400, "EntityTooSmall", ErrorKind::InvalidPart, Never),
            (400, "RequestTimeout", ErrorKind::Timeout, Refused),
            (400, "SomethingNew", ErrorKind::InvalidRequest, Never),
            (409, "PathConflict", ErrorKind::Unavailable, Refused),
            (409, "FileAlreadyExists", ErrorKind::AlreadyExists, Never),
            (503, "SlowDown", ErrorKind::Throttled, Refused),
            (500, "InternalError", ErrorKind::Unavailable, FateUnknown),
            (200, "InternalError", ErrorKind::Unavailable, FateUnknown),
            (200, "SomethingNew", ErrorKind::InvalidAnswer, FateUnknown),
            (520, "SomethingNew", ErrorKind::Unavailable, FateUnknown),
        ] {
            assert_eq!(named(status, code), (kind, repeat), "{status} {code}");
        }
    }
}
