//! The seam between the mock and the services it speaks like: everything that differs between them is
//! behind [`Voice`]. What requests mean and what they do is on this side; how they and their answers
//! are worded is on the other. Must not know any service but by its name.

use std::fmt;

use http::HeaderMap;

use super::answer::Answer;
use super::calls::{Call, ListedPart, Outcome, Removable};
use super::refusal::Refusal;
use super::request::Request;
use super::{MockConfig, MockDialect, cos, oss, qingstor, s3};
use crate::store::Key;
use crate::store::memory::EtagStyle;

/// One service's way to ask and to answer.
pub(super) trait Voice: fmt::Debug + Send + Sync {
    /// What the service allows.
    fn rules(&self) -> &Rules;

    /// Which operation a request is and with which parameters, from its head alone: the body is not
    /// read yet, the signature not checked.
    fn route(&self, request: &Request, config: &MockConfig) -> Result<Call, Refusal>;

    /// The parts that the body of a Complete lists, in its order.
    fn part_list(&self, document: &[u8]) -> Result<Vec<ListedPart>, Refusal>;

    /// The keys that the body of a multiple delete lists, and whether only failures are wanted.
    fn key_list(&self, document: &[u8], config: &MockConfig) -> Result<ListedKeys, Refusal>;

    /// Words an outcome.
    fn answer(&self, outcome: &Outcome, asked: &Asked<'_>) -> Answer;

    /// Words a refusal. Nothing in the answer to a HEAD may depend on a body.
    fn refusal(&self, refusal: &Refusal, asked: &Asked<'_>) -> Answer;

    /// Whether a GET of a range that cannot be satisfied is one of the whole object.
    fn ignores_bad_ranges(&self, _request: &Request) -> bool {
        false
    }

    /// Adds the headers of every response.
    fn add_common_headers(&self, headers: &mut HeaderMap, request_id: &str);
}

/// Keys with what may be removed of each, and whether only failures are wanted.
pub(super) type ListedKeys = (Vec<(Key, Removable)>, bool);

/// The request that is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    /// Under which the answer is given.
    pub(super) id: &'a str,
    pub(super) config: &'a MockConfig,
}

/// What a service allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Most bytes of a PUT or part.
    pub(super) put_bytes: u64,
    /// Most bytes of the source of a copy.
    pub(super) copy_bytes: u64,
    /// Most bytes of an object made by append.
    pub(super) append_bytes: u64,
    /// Fewest bytes of a part before the last, checked at Complete.
    pub(super) part_min_bytes: u64,
    /// Whether a Complete may leave numbers out.
    pub(super) gaps_allowed: bool,
    /// Whether giving up an upload that is not there succeeds.
    pub(super) abort_repeatable: bool,
    /// How its ETags look.
    pub(super) etag_style: EtagStyle,
    /// Whether it computes CRC-64/NVME.
    pub(super) crc64nvme: bool,
    /// Whether the MD5 of a body is kept and told again.
    pub(super) keeps_md5: bool,
    /// The storage classes of which objects must be restored before they can be read.
    pub(super) archives: &'static [&'static str],
    /// The header that tells that an archived object is restored.
    pub(super) restore_header: &'static str,
    /// Whether a HEAD must bring the key of the client with which the object is encrypted.
    pub(super) key_for_head: bool,
    /// Whether objects that were made by append can be copied, whole or in part.
    pub(super) copies_appended: bool,
    /// Whether the source of a part that copies a range must be larger than the smallest part.
    pub(super) ranges_of_large_only: bool,
    /// Whether a part that copies a range which is none, or is not in the source, copies all of it.
    pub(super) bad_ranges_copy_all: bool,
    /// Whether a failed `If-None-Match` or `If-Modified-Since` of a copy is "not modified".
    pub(super) copy_not_modified: bool,
}

/// The voice of a service.
pub(super) fn voice_of(dialect: MockDialect) -> &'static dyn Voice {
    match dialect {
        MockDialect::Cos => &cos::VOICE,
        MockDialect::Oss => &oss::VOICE,
        MockDialect::Qingstor => &qingstor::VOICE,
        MockDialect::S3 => &s3::VOICE,
    }
}
