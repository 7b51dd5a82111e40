//! How COS words outcomes: status and headers; the XML documents are in `documents_xml`.

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    LAST_MODIFIED,
};
use http::{HeaderMap, Method, StatusCode};

use super::MockConfig;
use super::calls::Outcome;
use super::documents_xml::{
    completed, copied, deletions, error, listing, part_copied, parts, started, trace_id, uploads,
};
use super::refusal::Refusal;
use super::request::Request;
use crate::store::memory::{Object, Segment};
use crate::store::{Checksum, ETag};

/// Name of the CRC-64 header.
const CRC: HeaderName = HeaderName::from_static("x-cos-hash-crc64ecma");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-cos-request-id");

/// An answer before it is sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
}

/// What an answer's body is made of.
#[derive(Debug)]
pub(super) enum Content {
    None,
    Text(String),
    Bytes(Vec<Segment>),
}

impl Answer {
    fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), content: Content::None }
    }

    fn document(text: String) -> Self {
        let mut answer = Self::new(StatusCode::OK);
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        answer.content = Content::Text(text);
        answer
    }

    /// Sets a header; a value that HTTP cannot carry is left out.
    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    fn with_crc(self, checksum: Checksum) -> Self {
        self.with(CRC, &checksum.value.to_string())
    }

    fn with_etag(self, etag: &ETag) -> Self {
        self.with(ETAG, &etag.quoted())
    }

    /// Makes the CRC header wrong, if there is one.
    pub(super) fn falsify_crc(&mut self) {
        let stated = self.headers.get(CRC).and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(value) = stated {
            let wrong: u64 = value;
            self.headers.insert(CRC, HeaderValue::from(wrong ^ 1));
        }
    }
}

/// The headers of every response.
pub(super) fn add_common_headers(headers: &mut HeaderMap, request_id: &str) {
    headers.insert(http::header::SERVER, HeaderValue::from_static("tencent-cos"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
}

/// Words an outcome.
pub(super) fn answer(
    outcome: &Outcome,
    request: &Request,
    request_id: &str,
    config: &MockConfig,
) -> Answer {
    let ok = || Answer::new(StatusCode::OK);
    match outcome {
        Outcome::BucketThere => ok(),
        Outcome::Listed(call, page) => Answer::document(listing(call, page, config)),
        Outcome::DeletedMany { quiet, results } => Answer::document(deletions(*quiet, results)),
        Outcome::UploadsListed(call, entries, more) => {
            Answer::document(uploads(call, entries, *more, config))
        }
        Outcome::PartsListed(call, found, more) => {
            Answer::document(parts(call, found, *more, config))
        }
        Outcome::Described(object) => {
            described(ok(), object).with(CONTENT_LENGTH, &object.size().to_string())
        }
        Outcome::Content { object, range, overrides } => content(object, *range, overrides),
        Outcome::Stored(object) => ok().with_etag(&object.etag).with_crc(object.checksum),
        Outcome::Copied(object) => Answer::document(copied(object)),
        Outcome::Deleted => Answer::new(StatusCode::NO_CONTENT),
        Outcome::UploadStarted(upload) => Answer::document(started(upload, config)),
        Outcome::PartStored(part) => ok().with_etag(&part.etag).with_crc(part.checksum),
        Outcome::PartCopied(part) => Answer::document(part_copied(part)).with_crc(part.checksum),
        Outcome::Completed(object) => {
            Answer::document(completed(object, request, config)).with_crc(object.checksum)
        }
        Outcome::FailedLate(code) => {
            Answer::document(error(code, "Ordered by a fault rule.", "", request_id))
        }
    }
}

fn described(answer: Answer, object: &Object) -> Answer {
    let properties = &object.properties;
    let content_type = properties.content_type.as_deref().unwrap_or("application/octet-stream");
    let mut answer = answer
        .with(CONTENT_TYPE, content_type)
        .with(LAST_MODIFIED, &httpdate::fmt_http_date(object.last_modified))
        .with(ACCEPT_RANGES, "bytes")
        .with_etag(&object.etag)
        .with_crc(object.checksum);
    let metadata = properties.metadata.iter();
    let metadata = metadata.map(|(name, value)| (format!("x-cos-meta-{name}"), value));
    let stored = properties.headers.iter().map(|(name, value)| (name.clone(), value.as_str()));
    for (name, value) in metadata.chain(stored) {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            answer = answer.with(name, value);
        }
    }
    match properties.storage_class.as_deref() {
        None | Some("STANDARD") => answer,
        Some(class) => answer.with(HeaderName::from_static("x-cos-storage-class"), class),
    }
}

fn content(object: &Object, range: Option<(u64, u64)>, overrides: &HeaderMap) -> Answer {
    let (status, (start, end)) = match range {
        None => (StatusCode::OK, (0, object.size())),
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
    };
    let mut answer = described(Answer::new(status), object);
    if range.is_some() {
        let text = format!("bytes {start}-{}/{}", end - 1, object.size());
        answer = answer.with(CONTENT_RANGE, &text);
    }
    for (name, value) in overrides {
        answer.headers.insert(name, value.clone());
    }
    answer.content = Content::Bytes(object.blob.slice(start, end));
    answer
}

/// Words a refusal.
pub(super) fn refusal(refusal: &Refusal, request: &Request, request_id: &str) -> Answer {
    let (status, code, message) = words(refusal);
    let mut answer = Answer::new(status);
    if let Refusal::InvalidRange(size) = refusal {
        answer = answer.with(CONTENT_RANGE, &format!("bytes */{size}"));
    }
    if status == StatusCode::NOT_MODIFIED || request.method == Method::HEAD {
        return answer;
    }
    let path = String::from_utf8_lossy(&request.path);
    let resource = format!("{}{path}", request.host);
    answer.content = Content::Text(error(code, &message, &resource, request_id));
    answer
        .with(CONTENT_TYPE, "application/xml")
        .with(HeaderName::from_static("x-cos-trace-id"), &trace_id(request_id))
}

/// Status, code and message of a refusal.
pub(super) fn words(refusal: &Refusal) -> (StatusCode, &str, String) {
    let (status, code, message) = match refusal {
        Refusal::AccessDenied(message) => (403, "AccessDenied", *message),
        Refusal::SignatureDoesNotMatch(text) => {
            let message = format!("The Signature you specified is invalid. StringToSign: {text:?}");
            return (StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message);
        }
        Refusal::UnknownAccessKey => {
            (403, "InvalidAccessKeyId", "The Access Key Id you provided does not exist.")
        }
        Refusal::ClockSkew => {
            (403, "RequestTimeTooSkewed", "The request time differs too much from the server's.")
        }
        Refusal::NoSuchBucket => (404, "NoSuchBucket", "The specified bucket does not exist."),
        Refusal::NoSuchKey => (404, "NoSuchKey", "The specified key does not exist."),
        Refusal::NoSuchCopySource => {
            (404, "NoSuchCopySource", "The specified copy source does not exist.")
        }
        Refusal::NoSuchUpload => {
            (404, "NoSuchUpload", "The specified multipart upload does not exist.")
        }
        Refusal::AlreadyExists => (409, "FileAlreadyExists", "The object exists already."),
        Refusal::PreconditionFailed => {
            (412, "PreconditionFailed", "A precondition of the request does not hold.")
        }
        Refusal::NotModified => (304, "NotModified", ""),
        Refusal::InvalidRange(_) => {
            (416, "InvalidRange", "The requested range cannot be satisfied.")
        }
        Refusal::WrongPosition(_) => {
            (409, "AppendPositionErr", "The position is not the end of the object.")
        }
        Refusal::NotAppendable => (409, "ObjectNotAppendable", "The object is not appendable."),
        Refusal::InvalidPart => {
            (400, "InvalidPart", "A specified part could not be found, or its ETag differs.")
        }
        Refusal::InvalidPartOrder => {
            (400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        }
        Refusal::PartTooSmall => {
            (400, "EntityTooSmall", "A part is smaller than the minimum allowed size.")
        }
        Refusal::TooLarge => (400, "EntityTooLarge", "The body exceeds the maximum allowed size."),
        Refusal::MalformedDigest => (400, "InvalidDigest", "The Content-MD5 is not valid."),
        Refusal::WrongDigest => (400, "BadDigest", "The Content-MD5 did not match the body."),
        Refusal::IncompleteBody => {
            (400, "IncompleteBody", "The body has fewer bytes than the Content-Length says.")
        }
        Refusal::NoLength => (411, "MissingContentLength", "A Content-Length is required."),
        Refusal::MalformedDocument => {
            (400, "MalformedXML", "The XML is not well-formed or not of the published schema.")
        }
        Refusal::DocumentTooLong => (400, "XMLSizeLimit", "The XML is too long."),
        Refusal::InvalidKey => (400, "InvalidObjectName", "The object name is not allowed."),
        Refusal::KeyTooLong => (400, "KeyTooLong", "The object name is too long."),
        Refusal::InvalidPath => (400, "InvalidURI", "The URI cannot be decoded."),
        Refusal::MetadataTooLarge => (400, "MetadataTooLarge", "The user metadata is too large."),
        Refusal::InvalidArgument(message) => (400, "InvalidArgument", *message),
        Refusal::InvalidDelimiter => (400, "InvalidDelimiter", "A delimiter is one character."),
        Refusal::MethodNotAllowed => (405, "MethodNotAllowed", "The method is not allowed here."),
        Refusal::NotImplemented => (501, "NotImplemented", "The mock does not have this."),
        Refusal::Internal(message) => (500, "InternalError", message.as_str()),
        Refusal::Injected { status, code } => (*status, code.as_str(), "Ordered by a fault rule."),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, code, message.to_owned())
}
