//! How outcomes and refusals are worded: status and headers; the documents are in `documents`.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LAST_MODIFIED};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::{CUSTOMER, documents};
use crate::mock::answer::{Answer, Content};
use crate::mock::calls::Outcome;
use crate::mock::refusal::Refusal;
use crate::mock::voice::Asked;
use crate::store::memory::{Object, Properties};

/// Where the next append has to begin.
const NEXT_POSITION: &str = "x-qs-next-append-position";

pub(super) fn answer(outcome: &Outcome, asked: &Asked<'_>) -> Answer {
    let created = || Answer::new(StatusCode::CREATED);
    match outcome {
        Outcome::BucketThere => Answer::new(StatusCode::OK),
        Outcome::Listed(call, page) => json(&documents::listing(call, page, asked)),
        Outcome::DeletedMany { quiet, results } => json(&documents::deletions(*quiet, results)),
        Outcome::UploadsListed(call, entries, more) => {
            json(&documents::uploads(call, entries, *more, asked))
        }
        Outcome::PartsListed(_, parts, _) => json(&documents::parts(parts)),
        Outcome::Described(object) => {
            let size = object.size().to_string();
            described(Answer::new(StatusCode::OK), object).with(CONTENT_LENGTH.as_str(), &size)
        }
        Outcome::Content { object, range, overrides } => content(object, *range, overrides),
        Outcome::Stored(object) | Outcome::Copied(object) => {
            with_encryption(created().with_etag(&object.etag), &object.properties)
        }
        Outcome::Deleted => Answer::new(StatusCode::NO_CONTENT),
        Outcome::UploadStarted(upload, properties) => {
            with_encryption(json(&documents::started(upload, asked)), properties)
        }
        Outcome::PartStored(part) => created().with_etag(&part.etag),
        Outcome::PartCopied { part, range, source } => {
            let answer = created().with_etag(&part.etag);
            match range {
                None => answer,
                Some((start, end)) => {
                    let text = format!("bytes {start}-{}/{source}", end - 1);
                    answer.with("x-qs-content-copy-range", &text)
                }
            }
        }
        Outcome::Appended(object) => {
            let answer = Answer::new(StatusCode::OK).with_etag(&object.etag);
            answer.with(NEXT_POSITION, &object.size().to_string())
        }
        Outcome::Completed(_) | Outcome::Renamed => created(),
        // Nobody can ask for these here.
        Outcome::Located | Outcome::Acl(_) | Outcome::AclStored | Outcome::Restored { .. } => {
            Answer::new(StatusCode::OK)
        }
        // The service never does so; a client that believes a status must be seen through.
        Outcome::FailedLate(code) => {
            json(&documents::error(code, "Ordered by a fault rule.", asked.id))
        }
    }
}

fn json(document: &Value) -> Answer {
    Answer::document(StatusCode::OK, "application/json", document.to_string())
}

pub(super) fn content_type(properties: &Properties) -> &str {
    properties.content_type.as_deref().unwrap_or("application/octet-stream")
}

pub(super) fn storage_class(properties: &Properties) -> &str {
    properties.storage_class.as_deref().unwrap_or("STANDARD")
}

/// Tells how an object is encrypted.
fn with_encryption(answer: Answer, properties: &Properties) -> Answer {
    let headers = properties.headers.iter().filter(|(name, _)| name.contains(CUSTOMER));
    headers.fold(answer, |answer, (name, value)| answer.with(name, value))
}

fn described(answer: Answer, object: &Object) -> Answer {
    let properties = &object.properties;
    let mut answer = answer
        .with(CONTENT_TYPE.as_str(), content_type(properties))
        .with(LAST_MODIFIED.as_str(), &httpdate::fmt_http_date(object.last_modified))
        .with("x-qs-storage-class", storage_class(properties))
        .with_etag(&object.etag);
    for (name, value) in properties.metadata.iter() {
        answer = answer.with(&format!("x-qs-meta-{name}"), value);
    }
    for (name, value) in &properties.headers {
        answer = answer.with(name, value);
    }
    if properties.appendable {
        answer = answer.with("x-qs-object-type", "appendable");
        answer = answer.with(NEXT_POSITION, &object.size().to_string());
    }
    answer
}

fn content(object: &Object, range: Option<(u64, u64)>, overrides: &HeaderMap) -> Answer {
    let (status, (start, end)) = match range {
        None => (StatusCode::OK, (0, object.size())),
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
    };
    let mut answer = described(Answer::new(status), object);
    if range.is_some() {
        let text = format!("bytes {start}-{}/{}", end - 1, object.size());
        answer = answer.with(CONTENT_RANGE.as_str(), &text);
    }
    for (name, value) in overrides {
        answer.headers.insert(name, value.clone());
    }
    answer.content = Content::Bytes(object.blob.slice(start, end));
    answer
}

pub(super) fn refusal(refusal: &Refusal, asked: &Asked<'_>) -> Answer {
    let (status, code, message) = words(refusal);
    let bodiless = status == StatusCode::NOT_MODIFIED || asked.request.method == Method::HEAD;
    let answer = if bodiless {
        Answer::new(status)
    } else {
        let text = documents::error(code, &message, asked.id).to_string();
        Answer::document(status, "application/json", text)
    };
    match refusal {
        Refusal::InvalidRange(size) => {
            answer.with(CONTENT_RANGE.as_str(), &format!("bytes */{size}"))
        }
        _ => answer,
    }
}

/// Status, code and message of a refusal.
pub(super) fn words(refusal: &Refusal) -> (StatusCode, &str, String) {
    let (status, code, message) = match refusal {
        Refusal::AccessDenied(message) => (403, "permission_denied", *message),
        Refusal::SignatureDoesNotMatch(text) => {
            let message = format!("The signature does not match. StringToSign: {text:?}");
            return (StatusCode::UNAUTHORIZED, "signature_not_matched", message);
        }
        Refusal::MalformedAuthorization(message) => (401, "signature_not_matched", *message),
        // Nor are there tokens.
        Refusal::UnknownAccessKey | Refusal::InvalidToken | Refusal::ExpiredToken => {
            (401, "invalid_access_key_id", "The access key does not exist.")
        }
        // Signatures name no region here.
        Refusal::WrongRegion { .. } => (403, "permission_denied", "Signed for another region."),
        Refusal::ClockSkew => (403, "request_expired", "The request has expired."),
        Refusal::NoSuchBucket => (404, "bucket_not_exists", "The bucket does not exist."),
        Refusal::NoSuchKey => (404, "object_not_exists", "The object does not exist."),
        Refusal::NoSuchCopySource => (404, "object_not_exists", "The source does not exist."),
        // 400 in the table of codes, 404 on the pages of the operations.
        Refusal::NoSuchUpload => {
            (404, "upload_not_exists", "The upload you specified does not exist")
        }
        // Nothing here is create-only.
        Refusal::AlreadyExists | Refusal::PreconditionFailed => {
            (412, "precondition_failed", "A precondition of the request does not hold.")
        }
        Refusal::NotModified => (304, "not_modified", ""),
        Refusal::InvalidRange(_) => (416, "invalid_range", "The range cannot be satisfied."),
        Refusal::WrongPosition(_) => {
            (400, "invalid_argument", "The position is not the end of the object.")
        }
        Refusal::AppendedSource => (400, "invalid_request", "The source cannot be copied."),
        Refusal::NotAppendable => (400, "invalid_argument", "The object is not appendable."),
        Refusal::InvalidPart => {
            (400, "invalid_argument", "A listed part could not be found, or its etag differs.")
        }
        Refusal::InvalidPartNumber => (400, "invalid_argument", "A part has no such number."),
        Refusal::InvalidPartOrder => {
            (400, "invalid_argument", "The parts are not in ascending order.")
        }
        Refusal::PartTooSmall => (400, "entity_too_small", "A part is smaller than 4 MB."),
        Refusal::TooManyParts => (400, "max_parts_exceeded", "There are too many parts."),
        Refusal::TooManyKeys => (400, "too_many_objects", "There are more than 1000 keys."),
        Refusal::TooLarge => (400, "entity_too_large", "The body is too large."),
        Refusal::MalformedDigest => (400, "invalid_argument", "The Content-MD5 is not valid."),
        Refusal::WrongDigest | Refusal::WrongPayloadHash => {
            (400, "bad_digest", "The Content-MD5 did not match the body.")
        }
        Refusal::IncompleteBody => (400, "incomplete_body", "The body is shorter than announced."),
        Refusal::MalformedChunks(message) => (400, "invalid_request", *message),
        Refusal::NoLength => (411, "missing_content_length", "A Content-Length is required."),
        Refusal::MalformedDocument => (400, "invalid_json", "The body is not the JSON expected."),
        Refusal::DocumentTooLong => (400, "invalid_request", "The body is too long."),
        Refusal::InvalidKey | Refusal::KeyTooLong | Refusal::InvalidPath => {
            (400, "invalid_object_name", "The name of the object is not allowed.")
        }
        Refusal::MetadataTooLarge => (400, "metadata_too_large", "The metadata is too large."),
        Refusal::InvalidStorageClass => (400, "invalid_argument", "There is no such class."),
        Refusal::Frozen(_) | Refusal::NotArchived => {
            (400, "invalid_object_state", "The state of the object does not allow this.")
        }
        Refusal::InvalidEncryption => (400, "invalid_argument", "There is no such encryption."),
        Refusal::EncryptionNotAllowed => {
            (400, "invalid_argument", "There is no encryption with this operation.")
        }
        Refusal::BadCustomerKey(message) => (400, "invalid_argument", *message),
        Refusal::WrongCustomerKey => (400, "invalid_argument", "It is another key."),
        Refusal::Contradiction(message) => (400, "invalid_argument", *message),
        Refusal::UnexpectedCondition => (400, "invalid_argument", "There is no such condition."),
        Refusal::InvalidArgument(message) => (400, "invalid_argument", *message),
        Refusal::InvalidDelimiter => (400, "invalid_argument", "A delimiter is one character."),
        Refusal::MethodNotAllowed => (405, "method_not_allowed", "The method is not allowed."),
        Refusal::NotImplemented => (501, "not_implemented", "The mock does not have this."),
        Refusal::Internal(message) => (500, "internal_error", message.as_str()),
        Refusal::Redirect(_) => (302, "redirect", "Ordered by a fault rule."),
        Refusal::Page { status, .. } => (*status, "", ""),
        Refusal::Injected { status, code } => (*status, code.as_str(), "Ordered by a fault rule."),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, code, message.to_owned())
}
