//! From error documents and statuses to meanings. Codes decide; the status decides where the code
//! says nothing. The codes here are those that COS, OSS and S3 share.

use crate::dialect::failure::{Failure, Repeat, in_few_words};
use crate::dialect::xml_service::answers::ServiceError;
use crate::store::ErrorKind;

/// The failure that an answer of `status` with this error document is; `own` knows the service's own
/// codes. Status 200 is an error document where a result was due.
pub(crate) fn failure(
    status: u16,
    error: Option<ServiceError>,
    own: impl Fn(&str) -> Option<(ErrorKind, Repeat)>,
) -> Failure {
    let by_code = |error: &ServiceError| own(&error.code).or_else(|| by_code(&error.code));
    let (kind, repeat) = error.as_ref().and_then(by_code).unwrap_or_else(|| by_status(status));
    let mut failure = Failure::new(kind, repeat, "");
    match error {
        Some(error) => {
            failure.message = match error.message.is_empty() {
                true => error.code.as_str().into(),
                false => in_few_words(&error.message),
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
        "NoSuchKey" => (ErrorKind::NotFound, Never),
        "NoSuchBucket" => (ErrorKind::BucketMissing, Never),
        "NoSuchUpload" => (ErrorKind::NoSuchUpload, Never),
        "PreconditionFailed" => (ErrorKind::PreconditionFailed, Never),
        "FileAlreadyExists" => (ErrorKind::AlreadyExists, Never),
        "AccessDenied" => (ErrorKind::AccessDenied, Never),
        "InvalidAccessKeyId" => (ErrorKind::UnknownAccessKey, Never),
        "SignatureDoesNotMatch" => (ErrorKind::WrongSignature, Never),
        "ExpiredToken" | "InvalidToken" => (ErrorKind::BadCredentials, Never),
        "RequestTimeTooSkewed" => (ErrorKind::ClockSkew, Never),
        "PermanentRedirect" | "TemporaryRedirect" => (ErrorKind::WrongEndpoint, Never),
        "EntityTooLarge" => (ErrorKind::TooLarge, Never),
        "EntityTooSmall" | "InvalidPart" | "InvalidPartOrder" => (ErrorKind::InvalidPart, Never),
        "InvalidRange" => (ErrorKind::InvalidRange, Never),
        "InvalidObjectState" => (ErrorKind::Archived, Never),
        "ObjectNotAppendable" => (ErrorKind::NotAppendable, Never),
        "InvalidObjectName" | "KeyTooLong" | "KeyTooLongError" => (ErrorKind::InvalidKey, Never),
        // The bytes were damaged or lost on their way; they are sent again.
        "BadDigest" => (ErrorKind::Corrupt, Refused),
        "IncompleteBody" => (ErrorKind::Network, Refused),
        "RequestTimeout" => (ErrorKind::Timeout, Refused),
        "SlowDown" | "TooManyRequests" => (ErrorKind::Throttled, Refused),
        "InternalError" | "ServiceUnavailable" => (ErrorKind::Unavailable, FateUnknown),
        "NotImplemented" | "MethodNotAllowed" => (ErrorKind::InvalidRequest, Never),
        _ => return None,
    })
}

/// The meaning of a status without a code that is known. Also of QingStor's.
pub(crate) fn by_status(status: u16) -> (ErrorKind, Repeat) {
    use Repeat::{FateUnknown, Never, Refused};
    match status {
        // An error under a status of success, of a code that is not known.
        200..=299 => (ErrorKind::InvalidAnswer, FateUnknown),
        401 => (ErrorKind::BadCredentials, Never),
        402 | 451 => (ErrorKind::QuotaExceeded, Never),
        403 => (ErrorKind::AccessDenied, Never),
        404 => (ErrorKind::NotFound, Never),
        408 => (ErrorKind::Timeout, FateUnknown),
        // A conflict that is not known, and no reason to wait: those that pass have codes. What it means to a
        // create-only write, `attempt` knows.
        409 => (ErrorKind::InvalidRequest, Never),
        412 => (ErrorKind::PreconditionFailed, Never),
        413 => (ErrorKind::TooLarge, Never),
        416 => (ErrorKind::InvalidRange, Never),
        429 => (ErrorKind::Throttled, Refused),
        501 | 505 => (ErrorKind::InvalidRequest, Never),
        500..=599 => (ErrorKind::Unavailable, FateUnknown),
        _ => (ErrorKind::InvalidRequest, Never),
    }
}
