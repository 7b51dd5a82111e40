//! How outcomes and refusals are worded: status and headers; the documents are in `documents`.

use std::collections::BTreeMap;

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LAST_MODIFIED,
};
use http::{HeaderMap, Method, StatusCode};

use super::documents::Documents;
use super::routes::DIGEST_TYPE;
use super::{ErrorText, Flavor};
use crate::mock::answer::{Answer, Content};
use crate::mock::base64;
use crate::mock::calls::Outcome;
use crate::mock::digests::DigestKind;
use crate::mock::refusal::Refusal;
use crate::mock::voice::Asked;
use crate::store::memory::{Object, Properties};
use crate::store::{Checksum, ETag};

/// The words of one service for one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wording<'a> {
    pub(super) flavor: &'a Flavor,
    pub(super) asked: &'a Asked<'a>,
}

impl Wording<'_> {
    pub(super) fn answer(&self, outcome: &Outcome) -> Answer {
        let documents = Documents { flavor: self.flavor, asked: self.asked };
        let ok = || Answer::new(StatusCode::OK);
        match outcome {
            Outcome::BucketThere if self.flavor.digests => {
                ok().with("x-amz-bucket-region", self.region())
            }
            Outcome::BucketThere | Outcome::AclStored => ok(),
            Outcome::Located => xml(documents.location(self.region())),
            Outcome::Acl(object) => xml(documents.acl(object)),
            Outcome::Restored { before: true } => ok(),
            Outcome::Restored { before: false } => Answer::new(StatusCode::ACCEPTED),
            Outcome::DeletedMany { quiet: true, results }
                if self.flavor.quiet_is_empty && results.iter().all(|(_, why)| why.is_none()) =>
            {
                ok()
            }
            Outcome::Listed(call, page) => xml(documents.listing(call, page)),
            Outcome::DeletedMany { quiet, results } => xml(documents.deletions(*quiet, results)),
            Outcome::UploadsListed(call, entries, more) => {
                xml(documents.uploads(call, entries, *more))
            }
            Outcome::PartsListed(call, found, more) => xml(documents.parts(call, found, *more)),
            Outcome::Described(object) if self.asked.request.query.has("objectMeta") => ok()
                .with_etag(&object.etag)
                .with(LAST_MODIFIED.as_str(), &httpdate::fmt_http_date(object.last_modified))
                .with(CONTENT_LENGTH.as_str(), &object.size().to_string()),
            Outcome::Described(object) => {
                let size = object.size().to_string();
                self.described(ok(), object).with(CONTENT_LENGTH.as_str(), &size)
            }
            Outcome::Content { object, range, overrides } => {
                self.content(object, *range, overrides)
            }
            Outcome::Stored(object) => self.stored(object),
            Outcome::Appended(object) => {
                self.stored(object).with(&self.next_position(), &object.size().to_string())
            }
            Outcome::Renamed => Answer::new(StatusCode::OK),
            Outcome::Copied(object) => {
                let answer = self.with_copied_etag(xml(documents.copied(object)), &object.etag);
                self.encrypted(answer, &object.properties)
            }
            Outcome::Deleted => Answer::new(StatusCode::NO_CONTENT),
            Outcome::UploadStarted(upload, properties) => {
                self.encrypted(xml(documents.started(upload)), properties)
            }
            Outcome::PartStored(part) => {
                let answer = self.with_crc(ok().with_etag(&part.etag), part.checksum);
                let mut stated = part.stated.iter();
                let answer =
                    stated.try_fold(answer, |answer, (name, value)| Some(answer.with(name, value)));
                self.with_crc64nvme(answer.unwrap_or_else(ok), part.crc64nvme, &part.stated)
            }
            Outcome::PartCopied { part, range, source } => {
                let answer = self.with_copied_etag(xml(documents.part_copied(part)), &part.etag);
                let answer = self.with_crc(answer, part.checksum);
                match range {
                    Some((start, end)) if self.flavor.part_copies_tell_range => {
                        let text = format!("bytes {start}-{}/{source}", end - 1);
                        answer.with(CONTENT_RANGE.as_str(), &text)
                    }
                    _ => answer,
                }
            }
            Outcome::Completed(object) => {
                let answer = self.with_crc(xml(documents.completed(object)), object.checksum);
                self.encrypted(answer, &object.properties)
            }
            Outcome::FailedLate(code) => xml((self.flavor.error)(&ErrorText {
                code,
                message: "Ordered by a fault rule.",
                asked: self.asked,
                refusal: None,
            })),
        }
    }

    fn region(&self) -> &str {
        self.asked.config.region.as_deref().unwrap_or(self.flavor.region)
    }

    fn with_crc(&self, answer: Answer, checksum: Checksum) -> Answer {
        if self.flavor.digests {
            return answer;
        }
        answer.with(&self.flavor.header("hash-crc64ecma"), &checksum.value.to_string())
    }

    fn with_copied_etag(&self, answer: Answer, etag: &ETag) -> Answer {
        if self.flavor.copies_have_etag_header { answer.with_etag(etag) } else { answer }
    }

    /// The checksum that S3 adds by itself, when the client gave no other.
    fn with_crc64nvme(
        &self,
        answer: Answer,
        checksum: Option<Checksum>,
        stated: &BTreeMap<String, String>,
    ) -> Answer {
        let other = DigestKind::ALL.iter().any(|kind| stated.contains_key(kind.header()));
        match checksum {
            Some(checksum) if self.flavor.digests && !other => answer.with(
                DigestKind::Crc64nvme.header(),
                &base64::encode(&checksum.value.to_be_bytes()),
            ),
            _ => answer,
        }
    }

    /// The header that says where the next append must begin.
    fn next_position(&self) -> String {
        self.flavor.header("next-append-position")
    }

    fn stored(&self, object: &Object) -> Answer {
        let answer = Answer::new(StatusCode::OK).with_etag(&object.etag);
        let answer = self.with_crc(answer, object.checksum);
        let answer = self.encrypted(answer, &object.properties);
        let answer = self.with_digests(answer, object);
        match object.properties.headers.get("content-md5") {
            Some(md5) => answer.with("content-md5", md5),
            None => answer,
        }
    }

    /// How the object is encrypted.
    fn encrypted(&self, answer: Answer, properties: &Properties) -> Answer {
        let prefix = self.flavor.header("server-side-encryption");
        let headers = properties.headers.iter().filter(|(name, _)| name.starts_with(&prefix));
        headers.fold(answer, |answer, (name, value)| answer.with(name, value))
    }

    /// The checksums of S3 that an object has.
    fn with_digests(&self, answer: Answer, object: &Object) -> Answer {
        let headers = &object.properties.headers;
        let known = DigestKind::ALL.iter().map(|kind| kind.header()).chain([DIGEST_TYPE]);
        let known = known.filter_map(|name| Some((name, headers.get(name)?)));
        let answer = known.fold(answer, |answer, (name, value)| answer.with(name, value));
        self.with_crc64nvme(answer, object.crc64nvme, headers)
    }

    fn described(&self, answer: Answer, object: &Object) -> Answer {
        let properties = &object.properties;
        let content_type = properties.content_type.as_deref().unwrap_or(self.flavor.content_type);
        let answer = answer
            .with(CONTENT_TYPE.as_str(), content_type)
            .with(LAST_MODIFIED.as_str(), &httpdate::fmt_http_date(object.last_modified))
            .with(ACCEPT_RANGES.as_str(), "bytes")
            .with_etag(&object.etag);
        let mut answer = self.with_crc(answer, object.checksum);
        for (name, value) in properties.metadata.iter() {
            answer = answer.with(&format!("{}meta-{name}", self.flavor.prefix), value);
        }
        let restored = self.flavor.header("restore");
        // What the service keeps for itself begins with `x-`: permissions, tags.
        let told = |name: &str| !name.starts_with("x-") || name == restored;
        for (name, value) in properties.headers.iter().filter(|(name, _)| told(name)) {
            answer = answer.with(name, value);
        }
        answer = self.encrypted(answer, properties);
        if properties.appendable {
            answer = answer.with(&self.next_position(), &object.size().to_string());
        }
        if let Some(kind) = self.flavor.object_type(object) {
            answer = answer.with(&self.flavor.header("object-type"), kind);
        }
        if self.asked.request.header("x-amz-checksum-mode").as_deref() == Some("ENABLED") {
            answer = self.with_digests(answer, object);
        }
        let usual = self.flavor.storage.classes.first().copied();
        match properties.storage_class.as_deref() {
            Some(class) if Some(class) != usual => {
                answer.with(&self.flavor.header("storage-class"), class)
            }
            _ if self.flavor.tells_usual_class => {
                answer.with(&self.flavor.header("storage-class"), usual.unwrap_or_default())
            }
            _ => answer,
        }
    }

    fn content(&self, object: &Object, range: Option<(u64, u64)>, overrides: &HeaderMap) -> Answer {
        let (status, (start, end)) = match range {
            None => (StatusCode::OK, (0, object.size())),
            Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        };
        let mut answer = self.described(Answer::new(status), object);
        // Those of the whole say nothing about a range.
        if range.is_some() {
            DigestKind::ALL.iter().for_each(|kind| drop(answer.headers.remove(kind.header())));
            answer.headers.remove("content-md5");
        }
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

    pub(super) fn refusal(&self, refusal: &Refusal) -> Answer {
        let (status, code, message) = words(self.flavor, refusal);
        let mut answer = Answer::new(status);
        if let Refusal::InvalidRange(size) = refusal {
            answer = answer.with(CONTENT_RANGE.as_str(), &format!("bytes */{size}"));
        }
        let text = ErrorText { code, message: &message, asked: self.asked, refusal: Some(refusal) };
        if status != StatusCode::NOT_MODIFIED && self.asked.request.method != Method::HEAD {
            answer.content = Content::Text((self.flavor.error)(&text));
            answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        (self.flavor.error_headers)(answer, &text)
    }
}

fn xml(text: String) -> Answer {
    Answer::document(StatusCode::OK, "application/xml", text)
}

/// Status, code and message of a refusal.
pub(super) fn words<'a>(flavor: &Flavor, refusal: &'a Refusal) -> (StatusCode, &'a str, String) {
    let (status, code, message) = match refusal {
        Refusal::AccessDenied(message) => (403, "AccessDenied", *message),
        Refusal::SignatureDoesNotMatch(text) => {
            let message = format!("The Signature you specified is invalid. StringToSign: {text:?}");
            return (StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message);
        }
        Refusal::UnknownAccessKey => {
            (403, "InvalidAccessKeyId", "The Access Key Id you provided does not exist.")
        }
        Refusal::ExpiredToken => (400, "ExpiredToken", "The provided token has expired."),
        Refusal::InvalidToken => {
            (403, "InvalidAccessKeyId", "The temporary token is not one of this mock.")
        }
        Refusal::MalformedAuthorization(message) => (403, "AccessDenied", *message),
        Refusal::WrongRegion { .. } => (403, "AccessDenied", "Signed for another region."),
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
        Refusal::AppendedSource => {
            (400, "OperationNotSupported", "An object made by append cannot be copied.")
        }
        Refusal::InvalidPart => {
            (400, "InvalidPart", "A specified part could not be found, or its ETag differs.")
        }
        Refusal::InvalidPartOrder => {
            (400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        }
        Refusal::InvalidPartNumber => (
            400,
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive.",
        ),
        Refusal::PartTooSmall => {
            (400, "EntityTooSmall", "A part is smaller than the minimum allowed size.")
        }
        Refusal::TooManyParts => (400, "InvalidArgument", "There are too many parts."),
        Refusal::TooManyKeys => (400, "MalformedXML", "There are too many keys."),
        Refusal::TooLarge => (400, "EntityTooLarge", "The body exceeds the maximum allowed size."),
        Refusal::MalformedDigest => (400, "InvalidDigest", "The Content-MD5 is not valid."),
        Refusal::WrongDigest => (400, "BadDigest", "The Content-MD5 did not match the body."),
        Refusal::WrongPayloadHash => (
            400,
            "XAmzContentSHA256Mismatch",
            "The SHA-256 of the body is not the one that was signed.",
        ),
        Refusal::IncompleteBody => {
            (400, "IncompleteBody", "The body has fewer bytes than the Content-Length says.")
        }
        Refusal::MalformedChunks(message) => (400, "InvalidRequest", *message),
        Refusal::NoLength => (411, "MissingContentLength", "A Content-Length is required."),
        Refusal::MalformedDocument => {
            (400, "MalformedXML", "The XML is not well-formed or not of the published schema.")
        }
        Refusal::DocumentTooLong => (400, "XMLSizeLimit", "The XML is too long."),
        Refusal::InvalidKey => (400, "InvalidObjectName", "The object name is not allowed."),
        Refusal::KeyTooLong => (400, "KeyTooLong", "The object name is too long."),
        Refusal::InvalidPath => (400, "InvalidURI", "The URI cannot be decoded."),
        Refusal::MetadataTooLarge => (400, "MetadataTooLarge", "The user metadata is too large."),
        Refusal::InvalidStorageClass => {
            (400, "NotSupportedStorageClass", "The service has no such storage class.")
        }
        Refusal::Frozen(_) => {
            (403, "InvalidObjectState", "The object is archived and has not been restored.")
        }
        Refusal::NotArchived => {
            (405, "RestoreNonArchiveObject", "The object is of a class that needs no restoring.")
        }
        Refusal::InvalidEncryption => {
            (400, "SSEContentNotSupported", "The service cannot encrypt like that.")
        }
        Refusal::EncryptionNotAllowed => {
            (400, "SSEHeaderNotAllowed", "The request cannot say how the object is encrypted.")
        }
        Refusal::BadCustomerKey(message) => (400, "SsecDecryptHeaderInvalid", *message),
        Refusal::WrongCustomerKey => {
            (400, "SsecDecryptHeaderInvalid", "The key is not the one of the object.")
        }
        Refusal::Contradiction(message) => (400, "InvalidRequest", *message),
        Refusal::UnexpectedCondition => {
            (501, "NotImplemented", "A header of the request implies what is not implemented.")
        }
        Refusal::InvalidArgument(message) => (400, "InvalidArgument", *message),
        Refusal::InvalidDelimiter => (400, "InvalidDelimiter", "A delimiter is one character."),
        Refusal::MethodNotAllowed => (405, "MethodNotAllowed", "The method is not allowed here."),
        Refusal::NotImplemented => (501, "NotImplemented", "The mock does not have this."),
        Refusal::Internal(message) => (500, "InternalError", message.as_str()),
        Refusal::Redirect(_) => (307, "TemporaryRedirect", "Ordered by a fault rule."),
        Refusal::Page { status, .. } => (*status, "", ""),
        Refusal::Injected { status, code } => (*status, code.as_str(), "Ordered by a fault rule."),
    };
    let (status, code) = (flavor.words)(refusal).unwrap_or((status, code));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, code, message.to_owned())
}
