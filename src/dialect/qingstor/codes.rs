//! What the error codes of QingStor mean (its page "Error Codes" and the pages of the operations).
//! Codes decide; the status decides where the code says nothing.

use super::answers::ServiceError;
use crate::dialect::failure::{Failure, Repeat, in_few_words};
use crate::dialect::xml_service::codes::by_status;
use crate::store::{ErrorKind, Operation};

/// The failure that an answer of `status` with this error document is. Status 200 is an error
/// about one of several keys.
pub(super) fn failure(status: u16, error: Option<ServiceError>) -> Failure {
    let by_code = error.as_ref().and_then(|error| meaning(&error.code));
    let (kind, repeat) = by_code.unwrap_or_else(|| by_status(status));
    let mut failure = Failure::new(kind, repeat, "the service refused without saying why");
    if let Some(error) = error {
        let message = error.message.filter(|message| !message.is_empty());
        failure.message = in_few_words(message.as_deref().unwrap_or(&error.code));
        failure.request_id = error.request_id.filter(|id| !id.is_empty()).map(Into::into);
        failure.code = Some(error.code.into());
    }
    failure
}

/// The code of whatever is wrong with a request.
const INVALID_ARGUMENT: &str = "invalid_argument";

/// What that can be in our requests.
pub(super) fn refine(operation: Operation, failure: Failure) -> Failure {
    if failure.code.as_deref() != Some(INVALID_ARGUMENT) {
        return failure;
    }
    let kind = match operation {
        Operation::CompleteUpload => ErrorKind::InvalidPart,
        Operation::Append => ErrorKind::PreconditionFailed,
        _ => failure.kind,
    };
    Failure { kind, ..failure }
}

fn meaning(code: &str) -> Option<(ErrorKind, Repeat)> {
    use Repeat::{FateUnknown, Never, Refused};
    Some(match code {
        "object_not_exists" => (ErrorKind::NotFound, Never),
        "bucket_not_exists" => (ErrorKind::BucketMissing, Never),
        // 404 on the pages of the operations, 400 in the table.
        "upload_not_exists" => (ErrorKind::NoSuchUpload, Never),
        "precondition_failed" => (ErrorKind::PreconditionFailed, Never),
        "permission_denied" | "access_denied" => (ErrorKind::AccessDenied, Never),
        "signature_not_matched" => (ErrorKind::WrongSignature, Never),
        "invalid_access_key_id" => (ErrorKind::UnknownAccessKey, Never),
        "request_expired" => (ErrorKind::ClockSkew, Never),
        "delinquent_account" => (ErrorKind::QuotaExceeded, Never),
        "entity_too_large" => (ErrorKind::TooLarge, Never),
        "entity_too_small" | "max_parts_exceeded" => (ErrorKind::InvalidPart, Never),
        "invalid_range" => (ErrorKind::InvalidRange, Never),
        "invalid_object_state" => (ErrorKind::Archived, Never),
        "invalid_object_name" => (ErrorKind::InvalidKey, Never),
        // The bytes were damaged or lost on their way; they are sent again.
        "bad_digest" => (ErrorKind::Corrupt, Refused),
        "incomplete_body" => (ErrorKind::Network, Refused),
        "max_requests_exceeded" | "fetch_throttled" => (ErrorKind::Throttled, Refused),
        "internal_error" | "service_unavailable" | "upstream_failed" => {
            (ErrorKind::Unavailable, FateUnknown)
        }
        INVALID_ARGUMENT | "invalid_request" | "invalid_json" | "metadata_too_large"
        | "too_many_objects" | "method_not_allowed" => (ErrorKind::InvalidRequest, Never),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> Option<ServiceError> {
        let (message, request_id) = (Some("words".to_owned()), Some("id".to_owned()));
        Some(ServiceError { code: code.to_owned(), message, request_id })
    }

    #[test]
    fn codes_mean_this() {
        use ErrorKind::*;
        use Repeat::{FateUnknown, Never, Refused};
        for (status, code, kind, repeat) in [
            (404, "object_not_exists", NotFound, Never),
            (404, "bucket_not_exists", BucketMissing, Never),
            (404, "upload_not_exists", NoSuchUpload, Never),
            (400, "upload_not_exists", NoSuchUpload, Never),
            (412, "precondition_failed", PreconditionFailed, Never),
            (403, "permission_denied", AccessDenied, Never),
            (400, "access_denied", AccessDenied, Never),
            (401, "signature_not_matched", WrongSignature, Never),
            (401, "invalid_access_key_id", UnknownAccessKey, Never),
            (403, "request_expired", ClockSkew, Never),
            (402, "delinquent_account", QuotaExceeded, Never),
            (400, "entity_too_large", TooLarge, Never),
            (400, "entity_too_small", InvalidPart, Never),
            (400, "max_parts_exceeded", InvalidPart, Never),
            (416, "invalid_range", InvalidRange, Never),
            (400, "invalid_object_state", Archived, Never),
            (400, "invalid_object_name", InvalidKey, Never),
            (400, "bad_digest", Corrupt, Refused),
            (400, "incomplete_body", Network, Refused),
            (429, "fetch_throttled", Throttled, Refused),
            (400, "max_requests_exceeded", Throttled, Refused),
            (500, "internal_error", Unavailable, FateUnknown),
            (503, "service_unavailable", Unavailable, FateUnknown),
            (503, "upstream_failed", Unavailable, FateUnknown),
            (400, "invalid_argument", InvalidRequest, Never),
            (400, "invalid_request", InvalidRequest, Never),
            (400, "invalid_json", InvalidRequest, Never),
            (400, "metadata_too_large", InvalidRequest, Never),
            (400, "too_many_objects", InvalidRequest, Never),
            (405, "method_not_allowed", InvalidRequest, Never),
            // Of a code that is not known the status decides.
            (500, "new_code", Unavailable, FateUnknown),
            (403, "new_code", AccessDenied, Never),
            (400, "new_code", InvalidRequest, Never),
            (200, "new_code", InvalidAnswer, FateUnknown),
        ] {
            let failure = failure(status, error(code));
            assert_eq!((failure.kind, failure.repeat), (kind, repeat), "{status} {code}");
            assert_eq!(failure.code.as_deref(), Some(code));
            assert_eq!(&*failure.message, "words");
            assert_eq!(failure.request_id.as_deref(), Some("id"));
        }
    }

    #[test]
    fn one_code_means_what_the_operation_can_mean_by_it() {
        let kind = |operation| refine(operation, failure(400, error("invalid_argument"))).kind;
        assert_eq!(kind(Operation::CompleteUpload), ErrorKind::InvalidPart);
        assert_eq!(kind(Operation::Append), ErrorKind::PreconditionFailed);
        assert_eq!(kind(Operation::PutPart), ErrorKind::InvalidRequest);
    }

    #[test]
    fn without_a_document_the_status_decides() {
        let kind = |status| failure(status, None).kind;
        assert_eq!(kind(404), ErrorKind::NotFound);
        assert_eq!(kind(401), ErrorKind::BadCredentials);
        assert_eq!(kind(412), ErrorKind::PreconditionFailed);
        assert_eq!(kind(503), ErrorKind::Unavailable);
    }
}
