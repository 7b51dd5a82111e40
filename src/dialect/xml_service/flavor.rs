//! What COS, OSS and S3 do each in their own way: words that are data, and a few functions.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderMap, Uri};

use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::properties::PropertyRules;
use crate::dialect::request::Site;
use crate::dialect::xml_service::xml::Element;
use crate::dialect::xml_service::{answers, codes};
use crate::dialect::{Credentials, headers};
use crate::http::Answer;
use crate::store::{
    Checksum, ChecksumKind, ETag, ErrorKind, Expected, Key, Limits, Operation, PartReceipt, Payload,
};

/// The words of a service. Everything here is constant.
#[derive(Debug)]
pub(crate) struct Words {
    /// Header of the request's id in answers.
    pub(crate) request_id: &'static str,
    /// Header of the CRC-64/XZ of an object or part in decimal, where the service has one.
    pub(crate) crc: Option<&'static str>,
    /// Values of the metadata directive: properties are kept; properties are replaced.
    pub(crate) directives: (&'static str, &'static str),
    /// Header and value that refuse an existing key.
    pub(crate) create_only: (&'static str, &'static str),
    /// Whether Initiate takes that header.
    pub(crate) create_only_at_start: bool,
    /// Whether Complete takes the canned ACL of the object.
    pub(crate) acl_at_complete: bool,
    /// Whether a truncated listing may lack its cursor: then the last key is the cursor.
    pub(crate) cursor_optional: bool,
    /// Whether keys in the answer to a multi-delete come encoded when asked for so, and a quiet
    /// answer may be empty.
    pub(crate) lenient_delete: bool,
    /// Header of the position of the next append in answers, where there is append.
    pub(crate) next_position: Option<&'static str>,
    /// Whether Complete and List Parts need the customer's key.
    pub(crate) customer_key_for_parts: bool,
}

/// One of the three services, for one bucket. Pure but for [`sign`](Self::sign) and [`presign`](Self::presign), which
/// read the clock.
#[async_trait]
pub(crate) trait Flavor: Send + Sync + Debug + 'static {
    fn limits(&self) -> &'static Limits;
    fn words(&self) -> &'static Words;
    fn rules(&self) -> &'static PropertyRules;
    fn site(&self) -> &Site;

    /// What stands before the key in paths, for buckets that are named there: empty, or `/BUCKET`.
    fn path_prefix(&self) -> &str {
        ""
    }

    /// Whether the service can store a key of a length it takes; the reason in words when not.
    fn check_key(&self, key: &str) -> Result<(), String>;

    /// The source of a copy as its header names it.
    fn copy_source(&self, from: &Key) -> String;

    /// What an error code means; `None` leaves it to the status.
    fn meaning(&self, code: &str) -> Option<(ErrorKind, Repeat)>;

    /// Adds the signature, made for now.
    async fn sign(&self, head: &mut Parts, credentials: &Credentials) -> Result<(), Failure>;

    /// See [`Dialect::presign`](crate::dialect::Dialect::presign).
    async fn presign(
        &self,
        head: Parts,
        credentials: &Credentials,
        valid: Duration,
    ) -> Result<Uri, Failure>;

    /// The extension of PUT and Upload Part; see [`Draft::extension`](crate::dialect::request::Draft).
    fn body_extension(&self, _headers: &mut HeaderMap, _body: &Payload) -> Result<(), Failure> {
        Ok(())
    }

    /// The extension of Initiate.
    fn start_extension(&self, _headers: &mut HeaderMap) -> Result<(), Failure> {
        Ok(())
    }

    /// Further headers of requests that carry a document.
    fn document_headers(&self, _headers: &mut HeaderMap, _document: &str) -> Result<(), Failure> {
        Ok(())
    }

    /// Further headers of Complete.
    fn complete_headers(
        &self,
        _headers: &mut HeaderMap,
        _parts: &[PartReceipt],
        _expected: &Expected,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// Further elements of a part in the body of Complete.
    fn complete_part(&self, _part: &PartReceipt, _body: &mut String) {}

    /// Further headers of GET and HEAD.
    fn read_headers(&self, _headers: &mut HeaderMap, _ranged: bool) -> Result<(), Failure> {
        Ok(())
    }

    /// The checksum that the headers of an answer state. Of the whole object, or of a part sent.
    fn checksum(&self, headers: &HeaderMap) -> Result<Option<Checksum>, Failure> {
        let Some(name) = self.words().crc else { return Ok(None) };
        let value = headers::decimal(headers, name)?;
        Ok(value.map(|value| Checksum { kind: ChecksumKind::Crc64Xz, value }))
    }

    /// The checksum that a document states about what it describes.
    fn stated(&self, _document: &Element) -> Result<Option<Checksum>, Failure> {
        Ok(None)
    }

    /// See [`Dialect::wants_md5`](crate::dialect::Dialect::wants_md5). What is published by the same request
    /// that brings it cannot be compared before: the service must refuse it.
    fn wants_md5(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Put | Operation::Append)
    }

    /// See [`Dialect::extends`](crate::dialect::Dialect::extends).
    fn extends(&self) -> bool {
        true
    }

    /// See [`Dialect::learns`](crate::dialect::Dialect::learns).
    fn learns(&self, _operation: Operation, _headers: &HeaderMap) {}

    /// See [`Dialect::adapts`](crate::dialect::Dialect::adapts).
    fn adapts(&self, _operation: Operation, _extended: bool, _failure: &Failure) -> bool {
        false
    }

    /// The meaning of an answer with a status of failure or of redirection.
    fn failure(&self, answer: &Answer) -> Failure {
        let error = answers::service_error(&answer.whole_body());
        codes::failure(answer.status.as_u16(), error, |code| self.meaning(code))
    }

    /// See [`Dialect::asks_to_wait`](crate::dialect::Dialect::asks_to_wait).
    fn asks_to_wait(&self, headers: &HeaderMap) -> Option<Duration> {
        crate::http::retry_after(headers)
    }

    /// See [`Dialect::predicted_etag`](crate::dialect::Dialect::predicted_etag).
    fn predicted_etag(&self, _parts: &[PartReceipt]) -> Option<ETag> {
        None
    }
}
