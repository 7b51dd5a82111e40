//! What the error codes of S3 mean that are its own, or mean something of its own: those of AWS (its page
//! "Error responses"), and those that MinIO, Garage and Ceph add. All others are in
//! `xml_service::codes`.

use crate::dialect::failure::Repeat;
use crate::store::ErrorKind;

pub(super) fn meaning(code: &str) -> Option<(ErrorKind, Repeat)> {
    use Repeat::{Never, Refused};
    Some(match code {
        "NoSuchVersion" => (ErrorKind::NotFound, Never),
        "InvalidSecurity" | "TokenRefreshRequired" | "NotSignedUp" | "InvalidTokenId" => {
            (ErrorKind::BadCredentials, Never)
        }
        "AllAccessDisabled" => (ErrorKind::AccessDenied, Never),
        "AccountProblem"
        | "QuotaExceeded"
        | "XMinioAdminBucketQuotaExceeded"
        | "XMinioStorageFull" => (ErrorKind::QuotaExceeded, Never),
        // Our header is well formed; what is wrong in it is the region.
        "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "InvalidRegion"
        | "Redirect" => (ErrorKind::WrongEndpoint, Never),
        // Another write of the same key at the same moment.
        "ConditionalRequestConflict" | "OperationAborted" => (ErrorKind::Unavailable, Refused),
        // Bytes were damaged on their way. `InvalidDigest` is Garage's word for it.
        "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => {
            (ErrorKind::Corrupt, Refused)
        }
        "SlowDownRead"
        | "SlowDownWrite"
        | "ServerBusy"
        | "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "RequestThrottled"
        | "BandwidthLimitExceeded"
        | "KMS.ThrottlingException" => (ErrorKind::Throttled, Refused),
        "XMinioServerNotInitialized" | "ServiceNotReady" => (ErrorKind::Unavailable, Refused),
        "InvalidURI"
        | "XMinioInvalidObjectName"
        | "XMinioObjectExistsAsDirectory"
        | "XMinioParentIsObject" => (ErrorKind::InvalidKey, Never),
        code if code.starts_with("KMS.") => (ErrorKind::AccessDenied, Never),
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
            (404, "NoSuchVersion", ErrorKind::NotFound, Never),
            (404, "NoSuchBucket", ErrorKind::BucketMissing, Never),
            (404, "NoSuchUpload", ErrorKind::NoSuchUpload, Never),
            (403, "RequestTimeTooSkewed", ErrorKind::ClockSkew, Never),
            (403, "SignatureDoesNotMatch", ErrorKind::WrongSignature, Never),
            (400, "ExpiredToken", ErrorKind::BadCredentials, Never),
            (400, "InvalidToken", ErrorKind::BadCredentials, Never),
            (403, "AccessDenied", ErrorKind::AccessDenied, Never),
            (403, "AccountProblem", ErrorKind::QuotaExceeded, Never),
            (403, "InvalidObjectState", ErrorKind::Archived, Never),
            (400, "AuthorizationHeaderMalformed", ErrorKind::WrongEndpoint, Never),
            (301, "PermanentRedirect", ErrorKind::WrongEndpoint, Never),
            (307, "TemporaryRedirect", ErrorKind::WrongEndpoint, Never),
            (400, "EntityTooLarge", ErrorKind::TooLarge, Never),
            (400, "EntityTooSmall", ErrorKind::InvalidPart, Never),
            (400, "InvalidPartOrder", ErrorKind::InvalidPart, Never),
            (400, "KeyTooLongError", ErrorKind::InvalidKey, Never),
            (400, "XMinioInvalidObjectName", ErrorKind::InvalidKey, Never),
            (400, "BadDigest", ErrorKind::Corrupt, Refused),
            (400, "InvalidDigest", ErrorKind::Corrupt, Refused),
            (400, "XAmzContentChecksumMismatch", ErrorKind::Corrupt, Refused),
            (400, "RequestTimeout", ErrorKind::Timeout, Refused),
            (503, "RequestTimeout", ErrorKind::Timeout, Refused),
            (400, "InvalidStorageClass", ErrorKind::InvalidRequest, Never),
            (400, "KMS.DisabledException", ErrorKind::AccessDenied, Never),
            (409, "ConditionalRequestConflict", ErrorKind::Unavailable, Refused),
            (412, "PreconditionFailed", ErrorKind::PreconditionFailed, Never),
            (416, "InvalidRange", ErrorKind::InvalidRange, Never),
            (429, "TooManyRequests", ErrorKind::Throttled, Refused),
            (503, "SlowDown", ErrorKind::Throttled, Refused),
            (503, "SlowDownWrite", ErrorKind::Throttled, Refused),
            (500, "InternalError", ErrorKind::Unavailable, FateUnknown),
            (200, "InternalError", ErrorKind::Unavailable, FateUnknown),
            (501, "NotImplemented", ErrorKind::InvalidRequest, Never),
        ] {
            let error =
                ServiceError { code: code.into(), message: String::new(), request_id: None };
            let failure = codes::failure(status, Some(error), meaning);
            assert_eq!((failure.kind, failure.repeat), (kind, repeat), "{status} {code}");
        }
    }
}
