//! QingStor: requests in a form of its own, answers in JSON. Knows nothing of connections and of the
//! bucket.

mod answers;
mod documents;
mod read;
mod routes;

use http::{HeaderMap, HeaderValue};

use super::MockConfig;
use super::answer::Answer;
use super::calls::{Call, ListedPart, Outcome};
use super::refusal::Refusal;
use super::request::Request;
use super::voice::{Asked, ListedKeys, Rules, Voice};
use crate::store::PartNumber;
use crate::store::memory::EtagStyle;

/// How QingStor speaks.
pub(super) static VOICE: QingstorVoice = QingstorVoice;

const RULES: Rules = Rules {
    put_bytes: 5 << 30,
    copy_bytes: 5 << 30,
    append_bytes: 50 << 40,
    part_min_bytes: 4 << 20,
    gaps_allowed: true,
    abort_repeatable: true,
    // Only those of uploads differ between the styles, and here clients choose them.
    etag_style: EtagStyle::Unpredictable,
    crc64nvme: false,
    keeps_md5: false,
    archives: &[],
    restore_header: "",
    key_for_head: false,
    copies_appended: true,
    ranges_of_large_only: false,
    bad_ranges_copy_all: false,
    copy_not_modified: false,
};

/// What the names of the headers of a client's key begin with.
const CUSTOMER: &str = "encryption-customer-";

/// QingStor as the mock sees it.
#[derive(Debug)]
pub(super) struct QingstorVoice;

impl Voice for QingstorVoice {
    fn rules(&self) -> &Rules {
        &RULES
    }

    fn route(&self, request: &Request, config: &MockConfig) -> Result<Call, Refusal> {
        routes::Routing { request, config }.route()
    }

    fn part_list(&self, document: &[u8]) -> Result<Vec<ListedPart>, Refusal> {
        read::part_list(document)
    }

    fn key_list(&self, document: &[u8], _: &MockConfig) -> Result<ListedKeys, Refusal> {
        read::key_list(document)
    }

    fn answer(&self, outcome: &Outcome, asked: &Asked<'_>) -> Answer {
        answers::answer(outcome, asked)
    }

    fn refusal(&self, refusal: &Refusal, asked: &Asked<'_>) -> Answer {
        answers::refusal(refusal, asked)
    }

    fn add_common_headers(&self, headers: &mut HeaderMap, request_id: &str) {
        headers.insert(http::header::SERVER, HeaderValue::from_static("QingStor"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-qs-request-id", id);
        }
    }
}

/// The bucket's number of a part. Parts are counted from 0 here and from 1 there.
///
/// The service takes 0 to 10000, so 10,001 numbers, but no more than 10,000 parts. The last number has
/// no place in the bucket.
fn number_inside(number: u64) -> Result<PartNumber, Refusal> {
    match number {
        0..10_000 => PartNumber::new(number + 1).map_err(|_| Refusal::TooManyParts),
        10_000 => Err(Refusal::TooManyParts),
        _ => Err(Refusal::InvalidArgument("part_number must be between 0 and 10000")),
    }
}

/// The service's number of a part.
fn number_outside(number: PartNumber) -> u16 {
    number.get() - 1
}

#[cfg(test)]
#[path = "qingstor_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "upload_tests.rs"]
mod upload_tests;
