//! The services that descend from S3's protocol: COS, OSS and S3 itself. They share the shape of
//! requests and documents; what differs between them is data in a [`Flavor`] or a small function that
//! one of its fields names. Must not know a service but by its flavour.

mod answers;
mod documents;
mod properties;
mod read;
mod routes;
mod writer;

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::MockConfig;
use super::answer::Answer;
use super::calls::{Call, ListedPart, Outcome};
use super::refusal::Refusal;
use super::request::Request;
use super::voice::{Asked, ListedKeys, Rules, Voice};
use crate::store::memory::Object;

pub(super) use properties::Storage;
pub(super) use writer::{Xml, asctime, iso_time};

/// One service of the family.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flavor {
    /// What the names of its own headers begin with (`x-cos-`).
    pub(super) prefix: &'static str,
    /// Its `Server` header.
    pub(super) server: &'static str,
    /// What it allows.
    pub(super) rules: Rules,
    /// Refuses keys that it cannot have.
    pub(super) check_key: fn(&str) -> Result<(), Refusal>,
    /// What its objects have beside their bytes.
    pub(super) storage: Storage,
    /// Content-Type of objects that were given none.
    pub(super) content_type: &'static str,
    /// Entries of a page of objects, if no number is asked for.
    pub(super) list_page: usize,
    /// Whether it has the second version of listings.
    pub(super) list_v2: bool,
    /// Whether `NextMarker` is left out of listings without delimiter.
    pub(super) next_marker_by_delimiter: bool,
    /// Whether the result of Initiate and Complete carries the key as listings do.
    pub(super) encodes_results: bool,
    /// Whether a quiet multiple delete without failures is answered without a document.
    pub(super) quiet_is_empty: bool,
    /// Whether writes can be create-only by a header of its own.
    pub(super) forbid_overwrite: bool,
    /// Whether conditions of both kinds on the source of a part can be mixed.
    pub(super) mixed_part_conditions: bool,
    /// What becomes of `If-Match` and the like at writes.
    pub(super) write_conditions: WriteConditions,
    /// Whether it has the additional checksums of S3, instead of CRC-64/XZ in a header.
    pub(super) digests: bool,
    /// Whether listings tell the types of objects.
    pub(super) lists_types: bool,
    /// Whether a list of parts has the CRC-64 of each.
    pub(super) parts_have_crc: bool,
    /// Whether a list of permissions is the name of the canned ACL alone.
    pub(super) plain_acl: bool,
    /// Whether the result of a copy has the CRC-64 in it.
    pub(super) copy_has_crc: bool,
    /// How the header that tells the type of an object words it: one of a PUT, of an upload, of
    /// appending. No such header if `None`.
    pub(super) object_types: Option<[&'static str; 3]>,
    /// Whether a range that cannot be satisfied gives the whole object, unless the request asks for
    /// the standard behaviour.
    pub(super) lenient_ranges: bool,
    /// Whether a delimiter is one character at most.
    pub(super) short_delimiter: bool,
    /// Whether a copy onto itself must replace the metadata.
    pub(super) self_copy_replaces: bool,
    /// The values of the metadata directive: to copy, to replace.
    pub(super) directives: [&'static str; 2],
    /// Parameters of the real service that this mock does not have: better refused than taken for
    /// something else.
    pub(super) not_here: &'static [&'static str],
    /// Id and name of its owner, who also started all uploads.
    pub(super) owner: (&'static str, &'static str),
    /// Whether `encoding-type=url` writes a blank as `+`.
    pub(super) blank_is_plus: bool,
    /// The element that repeats the encoding in a list of uploads.
    pub(super) uploads_encoding_element: &'static str,
    /// The storage class that lists of uploads and parts show.
    pub(super) class_of_uploads: &'static str,
    /// The region of servers that were told none, as the service names regions of buckets.
    pub(super) region: &'static str,
    /// Whether an answer tells the storage class also where it is the usual one.
    pub(super) tells_usual_class: bool,
    /// How a list of uploads writes times.
    pub(super) initiated: fn(SystemTime) -> String,
    /// Whether lists of parts and uploads tell where the next page begins also when there is none.
    pub(super) next_markers_always: bool,
    /// Whether the ETag of a copy is in a header as well as in the document.
    pub(super) copies_have_etag_header: bool,
    /// Whether the answer to a part that copies a range repeats it in `Content-Range`.
    pub(super) part_copies_tell_range: bool,
    /// Name space of listings and results.
    pub(super) xmlns: Option<&'static str>,
    /// Everybody, as lists of permissions name them.
    pub(super) everybody: &'static str,
    /// Name space of the result of a Complete.
    pub(super) completed_xmlns: Option<&'static str>,
    /// Status and code of a refusal, where they are not those of the family.
    pub(super) words: fn(&Refusal) -> Option<(u16, &'static str)>,
    /// The body of an error answer.
    pub(super) error: fn(&ErrorText<'_>) -> String,
    /// Adds what an error answer has in its headers.
    pub(super) error_headers: fn(Answer, &ErrorText<'_>) -> Answer,
}

/// What becomes of preconditions at writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteConditions {
    /// They have no effect.
    Ignored,
    /// Refused as not implemented.
    Refused,
    /// `If-None-Match: *` and `If-Match` hold or refuse.
    Kept,
}

/// What an error answer says.
#[derive(Debug, Clone, Copy)]
pub(super) struct ErrorText<'a> {
    pub(super) code: &'a str,
    pub(super) message: &'a str,
    /// What was asked for: host and path.
    pub(super) asked: &'a Asked<'a>,
    /// What is refused; `None` for failures that a fault rule ordered inside a 200.
    pub(super) refusal: Option<&'a Refusal>,
}

impl Flavor {
    /// The name of one of its own headers.
    pub(super) fn header(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// How it names what an object was made by.
    fn object_type(&self, object: &Object) -> Option<&'static str> {
        let [put, upload, appended] = self.object_types?;
        if object.properties.appendable {
            return Some(appended);
        }
        Some(if object.etag.as_str().contains('-') { upload } else { put })
    }
}

/// A service of the family as the mock sees it.
#[derive(Debug)]
pub(super) struct XmlVoice(pub(super) Flavor);

impl Voice for XmlVoice {
    fn rules(&self) -> &Rules {
        &self.0.rules
    }

    fn route(&self, request: &Request, config: &MockConfig) -> Result<Call, Refusal> {
        routes::Routing { flavor: &self.0, request, config }.route()
    }

    fn part_list(&self, document: &[u8]) -> Result<Vec<ListedPart>, Refusal> {
        read::part_list(document)
    }

    fn key_list(&self, document: &[u8], config: &MockConfig) -> Result<ListedKeys, Refusal> {
        let etags = match self.0.write_conditions {
            WriteConditions::Kept if config.s3_conditional_writes => WriteConditions::Kept,
            WriteConditions::Kept => WriteConditions::Ignored,
            // Those have no such element.
            WriteConditions::Ignored | WriteConditions::Refused => WriteConditions::Refused,
        };
        read::key_list(document, etags)
    }

    fn answer(&self, outcome: &Outcome, asked: &Asked<'_>) -> Answer {
        answers::Wording { flavor: &self.0, asked }.answer(outcome)
    }

    fn refusal(&self, refusal: &Refusal, asked: &Asked<'_>) -> Answer {
        answers::Wording { flavor: &self.0, asked }.refusal(refusal)
    }

    fn ignores_bad_ranges(&self, request: &Request) -> bool {
        let behavior = request.header(&self.0.header("range-behavior"));
        self.0.lenient_ranges && behavior.as_deref() != Some("standard")
    }

    fn add_common_headers(&self, headers: &mut HeaderMap, request_id: &str) {
        headers.insert(http::header::SERVER, HeaderValue::from_static(self.0.server));
        let name = HeaderName::from_bytes(self.0.header("request-id").as_bytes());
        if let (Ok(name), Ok(id)) = (name, HeaderValue::from_str(request_id)) {
            headers.insert(name, id);
        }
    }
}
