//! What the error codes of OSS mean that are its own, or mean something of its own (its pages on
//! errors by status, "Error codes", and what its SDKs retry). All others are in `xml_service::codes`.

use crate::dialect::failure::Repeat;
use crate::store::ErrorKind;

pub(super) fn meaning(code: &str) -> Option<(ErrorKind, Repeat)> {
    use Repeat::{FateUnknown, Never, Refused};
    Some(match code {
        "SecurityTokenExpired" | "InvalidSecurityToken" => (ErrorKind::BadCredentials, Never),
        // Arrears.
        "UserDisable" => (ErrorKind::QuotaExceeded, Never),
        "SecondLevelDomainForbidden" => (ErrorKind::WrongEndpoint, Never),
        // With OSS this is Content-MD5 that differs from the body.
        "InvalidDigest" => (ErrorKind::Corrupt, Refused),
        "PositionNotEqualToLength" => (ErrorKind::PreconditionFailed, Never),
        "SymlinkTargetNotExist" => (ErrorKind::NotFound, Never),
        "FilePartNotExist" => (ErrorKind::InvalidPart, Never),
        // Retention of the bucket.
        "FileImmutable" | "KmsServiceNotEnabled" => (ErrorKind::AccessDenied, Never),
        "TotalQpsLimitExceeded"
        | "MetaOperationQpsLimitExceeded"
        | "ActiveRequestLimitExceeded"
        | "CpuLimitExceeded"
        | "UploadTrafficRateLimitExceeded"
        | "DownloadTrafficRateLimitExceeded" => (ErrorKind::Throttled, Refused),
        // The vendor's SDKs try it again.
        "BadRequest" => (ErrorKind::Network, Refused),
        "MirrorFailed" => (ErrorKind::Unavailable, FateUnknown),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::xml_service::answers::ServiceError;
    use crate::dialect::xml_service::codes;

    #[test]
    fn codes_decide_before_status() {
        use Repeat::{FateUnknown, Never, Refused};
        for (status, code, kind, repeat) in [
            (404, "NoSuchKey", ErrorKind::NotFound, Never),
            (404, "SymlinkTargetNotExist", ErrorKind::NotFound, Never),
            (404, "NoSuchBucket", ErrorKind::BucketMissing, Never),
            (404, "NoSuchUpload", ErrorKind::NoSuchUpload, Never),
            (403, "RequestTimeTooSkewed", ErrorKind::ClockSkew, Never),
            (403, "SignatureDoesNotMatch", ErrorKind::WrongSignature, Never),
            (403, "SecurityTokenExpired", ErrorKind::BadCredentials, Never),
            (403, "InvalidSecurityToken", ErrorKind::BadCredentials, Never),
            (403, "AccessDenied", ErrorKind::AccessDenied, Never),
            (403, "UserDisable", ErrorKind::QuotaExceeded, Never),
            (403, "SecondLevelDomainForbidden", ErrorKind::WrongEndpoint, Never),
            (403, "InvalidObjectState", ErrorKind::Archived, Never),
            (403, "KmsServiceNotEnabled", ErrorKind::AccessDenied, Never),
            (409, "FileAlreadyExists", ErrorKind::AlreadyExists, Never),
            (409, "FileImmutable", ErrorKind::AccessDenied, Never),
            (409, "PositionNotEqualToLength", ErrorKind::PreconditionFailed, Never),
            (409, "ObjectNotAppendable", ErrorKind::NotAppendable, Never),
            (411, "ObjectNotAppendable", ErrorKind::NotAppendable, Never),
            (412, "PreconditionFailed", ErrorKind::PreconditionFailed, Never),
            (400, "EntityTooSmall", ErrorKind::InvalidPart, Never),
            (400, "FilePartNotExist", ErrorKind::InvalidPart, Never),
            (400, "InvalidDigest", ErrorKind::Corrupt, Refused),
            (400, "RequestTimeout", ErrorKind::Timeout, Refused),
            (400, "BadRequest", ErrorKind::Network, Refused),
            (400, "OperationNotSupported", ErrorKind::InvalidRequest, Never),
            (400, "NotImplemented", ErrorKind::InvalidRequest, Never),
            (416, "InvalidRange", ErrorKind::InvalidRange, Never),
            (424, "MirrorFailed", ErrorKind::Unavailable, FateUnknown),
            (503, "TotalQpsLimitExceeded", ErrorKind::Throttled, Refused),
            (503, "UploadTrafficRateLimitExceeded", ErrorKind::Throttled, Refused),
            (500, "InternalError", ErrorKind::Unavailable, FateUnknown),
        ] {
            let error =
                ServiceError { code: code.into(), message: String::new(), request_id: None };
            let failure = codes::failure(status, Some(error), meaning);
            assert_eq!((failure.kind, failure.repeat), (kind, repeat), "{status} {code}");
        }
    }
}
