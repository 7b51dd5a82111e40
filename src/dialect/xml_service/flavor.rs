//! What COS, OSS and S3 do each in their own way: words that are data, and a few functions.

use std::fmt::Debug;

use async_trait::async_trait;
use http::HeaderMap;
use http::request::Parts;

use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::properties::PropertyRules;
use crate::dialect::request::Site;
use crate::dialect::xml_service::xml::Element;
use crate::dialect::{Credentials, headers};
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
    /// Whether a truncated listing may lack its cursor: then the last key is the cursor.
    pub(crate) cursor_optional: bool,
    /// Whether keys in the answer to a multi-delete come encoded when asked for so, and a quiet
    /// answer may be empty.
    pub(crate) lenient_delete: bool,
    /// Header of the position of the next append in answers, where there is append.
    pub(crate) next_position: Option<&'static str>,
}

/// One of the three services, for one bucket. Pure but for [`sign`](Self::sign), which reads the clock.
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

    /// Further headers of PUT and Upload Part.
    fn body_headers(&self, _headers: &mut HeaderMap, _body: &Payload) -> Result<(), Failure> {
        Ok(())
    }

    /// Further headers of Initiate.
    fn start_headers(&self, _headers: &mut HeaderMap) -> Result<(), Failure> {
        Ok(())
    }

    /// Further headers of Complete.
    fn complete_headers(
        &self,
        _headers: &mut HeaderMap,
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

    /// See [`Dialect::wants_md5`](crate::dialect::Dialect::wants_md5).
    fn wants_md5(&self, _operation: Operation) -> bool {
        false
    }

    /// See [`Dialect::adapts`](crate::dialect::Dialect::adapts).
    fn adapts(&self, _operation: Operation, _failure: &Failure) -> bool {
        false
    }

    /// See [`Dialect::predicted_etag`](crate::dialect::Dialect::predicted_etag).
    fn predicted_etag(&self, _parts: &[PartReceipt]) -> Option<ETag> {
        None
    }
}
