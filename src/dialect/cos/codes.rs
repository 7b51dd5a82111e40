//! What the error codes of COS mean that are its own, or mean something of its own (its page "Error
//! Codes", and what its SDKs retry). All others are in `xml_service::codes`.

use crate::dialect::failure::Repeat;
use crate::store::ErrorKind;

pub(super) fn meaning(code: &str) -> Option<(ErrorKind, Repeat)> {
    use Repeat::{Never, Refused};
    Some(match code {
        "NoSuchCopySource" => (ErrorKind::NotFound, Never),
        // How COS names the end of a signature's window; the window is an hour, so it is our clock.
        "Request has expired" => (ErrorKind::ClockSkew, Never),
        "PaymentRequired" | "UnavailableForLegalReasons" => (ErrorKind::QuotaExceeded, Never),
        "EntitySizeNotMatch" => (ErrorKind::Network, Refused),
        "UserNetworkTooSlow" => (ErrorKind::Timeout, Refused),
        // Another write of the same key within milliseconds.
        "PathConflict" | "UploadConflict" => (ErrorKind::Unavailable, Refused),
        "AppendPositionErr" => (ErrorKind::PreconditionFailed, Never),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::xml_service::answers::ServiceError;
    use crate::dialect::xml_service::codes;

    fn named(status: u16, code: &str) -> (ErrorKind, Repeat) {
        let error = ServiceError { code: code.into(), message: String::new(), request_id: None };
        let failure = codes::failure(status, Some(error), meaning);
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
            (403, "SignatureDoesNotMatch", ErrorKind::WrongSignature, Never),
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
