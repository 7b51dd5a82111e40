//! The JSON of QingStor, read into values of the store. A body is believed only when it is one whole
//! document with all required fields, each once, of its type and in range; unknown fields are
//! ignored. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::dialect::failure::Failure;
use crate::dialect::headers;
use crate::store::{
    ETag, Key, ListPage, ListRequest, ListedObject, ListedUpload, PartNumber, PartReceipt,
    PartsPage, Upload, UploadCursor, UploadId, UploadsPage, UploadsRequest,
};

/// Most parts of a page.
pub(super) const PARTS_PAGE: usize = 1000;

/// An error document, also the reason why a key was not deleted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ServiceError {
    pub(super) code: String,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
}

/// Reads an error document; `None` when it is none.
pub(super) fn service_error(body: &[u8]) -> Option<ServiceError> {
    serde_json::from_slice(body).ok().filter(|error: &ServiceError| !error.code.is_empty())
}

/// Number of a part on the wire, where they count from 0.
pub(super) fn on_wire(number: PartNumber) -> u64 {
    u64::from(number.get() - PartNumber::FIRST.get())
}

fn from_wire(number: u64) -> Result<PartNumber, Failure> {
    let counted = number.saturating_add(u64::from(PartNumber::FIRST.get()));
    PartNumber::new(counted).map_err(|_| Failure::garbled(format!("a part with number {number}")))
}

fn document<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    // serde takes an array for a struct, which no answer is.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::garbled("an answer that is no JSON object"));
    }
    serde_json::from_slice(body)
        .map_err(|error| Failure::garbled(format!("not the JSON that was due: {error}")))
}

fn key(text: String) -> Result<Key, Failure> {
    Key::new(text).map_err(|error| Failure::garbled(error.to_string()))
}

fn below(prefix: &str, text: String) -> Result<String, Failure> {
    if text.starts_with(prefix) {
        Ok(text)
    } else {
        Err(Failure::garbled("a key outside the prefix that was asked for"))
    }
}

/// Quoted in listings, bare in lists of parts.
fn etag(text: &str) -> Result<ETag, Failure> {
    headers::usable_etag(text).ok_or_else(|| Failure::garbled("an entry without a usable ETag"))
}

fn upload_id_of(text: &str) -> Result<UploadId, Failure> {
    match text.trim() {
        "" => Err(Failure::garbled("an empty upload id")),
        id => Ok(UploadId::new(id)),
    }
}

#[derive(Deserialize)]
struct Listing {
    keys: Vec<ListedKey>,
    common_prefixes: Option<Vec<String>>,
    has_more: bool,
    next_marker: Option<String>,
}

#[derive(Deserialize)]
struct ListedKey {
    key: String,
    size: u64,
    etag: String,
    /// Unix seconds.
    modified: u64,
    storage_class: Option<String>,
}

/// A page of objects. Their order is the service's own; the marker is opaque.
pub(super) fn list(body: &[u8], request: &ListRequest) -> Result<ListPage, Failure> {
    let listing: Listing = document(body)?;
    let mut page = ListPage::default();
    for listed in listing.keys {
        page.objects.push(ListedObject {
            key: key(below(&request.prefix, listed.key)?)?,
            etag: etag(&listed.etag)?,
            size: listed.size,
            last_modified: seconds(listed.modified)?,
            storage_class: listed
                .storage_class
                .filter(|class| !class.is_empty() && !class.eq_ignore_ascii_case("STANDARD")),
        });
    }
    match listing.common_prefixes {
        Some(prefixes) => {
            for prefix in prefixes {
                page.prefixes.push(below(&request.prefix, prefix)?);
            }
        }
        None if request.by_directory => {
            return Err(Failure::garbled("a listing by directory without directories"));
        }
        None => {}
    }
    if listing.has_more {
        let next = listing.next_marker.filter(|marker| !marker.is_empty());
        let next =
            next.ok_or_else(|| Failure::garbled("a truncated listing without a next marker"))?;
        if request.after.as_ref() == Some(&next) {
            return Err(Failure::garbled("a listing that does not advance"));
        }
        page.next = Some(next);
    }
    Ok(page)
}

/// A time that also the calendar knows.
fn seconds(unix: u64) -> Result<SystemTime, Failure> {
    let known = i64::try_from(unix).ok().and_then(|unix| jiff::Timestamp::from_second(unix).ok());
    let time = known.and_then(|_| UNIX_EPOCH.checked_add(Duration::from_secs(unix)));
    time.ok_or_else(|| Failure::garbled(format!("a time of {unix} seconds")))
}

#[derive(Deserialize)]
struct Initiated {
    upload_id: String,
}

/// The answer to Initiate.
pub(super) fn upload_id(body: &[u8]) -> Result<UploadId, Failure> {
    upload_id_of(&document::<Initiated>(body)?.upload_id)
}

#[derive(Deserialize)]
struct Parts {
    count: Option<u64>,
    object_parts: Vec<ListedPart>,
}

#[derive(Deserialize)]
struct ListedPart {
    part_number: u64,
    size: u64,
    etag: String,
}

/// The page of parts after part `after`. The answer does not say whether more follow: they may when the
/// page is full, or when `count` is more than it holds (whether it counts the page or the upload is
/// unverified). Then one page too many is asked for, which is empty.
pub(super) fn parts(body: &[u8], after: Option<PartNumber>) -> Result<PartsPage, Failure> {
    let Parts { count, object_parts: listed } = document(body)?;
    let held = listed.len();
    if count.is_some_and(|count| count < held as u64) {
        return Err(Failure::garbled("a list of more parts than it counts"));
    }
    let mut page = PartsPage::default();
    let mut last = after;
    for (index, part) in listed.into_iter().enumerate() {
        let number = from_wire(part.part_number)?;
        // Whether the marker itself is listed again is unverified.
        if index == 0 && Some(number) == after {
            continue;
        }
        if last.is_some_and(|last| number <= last) {
            return Err(Failure::garbled("parts that do not ascend"));
        }
        last = Some(number);
        let etag = etag(&part.etag)?;
        page.parts.push(PartReceipt { number, etag, size: part.size, checksum: None });
    }
    let cut = held >= PARTS_PAGE || count.is_some_and(|count| count > held as u64);
    page.more = cut && !page.parts.is_empty();
    Ok(page)
}

#[derive(Deserialize)]
struct Uploads {
    uploads: Vec<OpenUpload>,
    common_prefixes: Option<Vec<String>>,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
    has_more: Option<bool>,
}

#[derive(Deserialize)]
struct OpenUpload {
    key: String,
    upload_id: String,
    /// ISO 8601.
    created: String,
}

/// The page of uploads after `after`. More follow when there is a next marker (or the service says so).
pub(super) fn uploads(body: &[u8], request: &UploadsRequest) -> Result<UploadsPage, Failure> {
    let listed: Uploads = document(body)?;
    let mut page = UploadsPage::default();
    for upload in listed.uploads {
        let initiated = headers::date(&upload.created)
            .ok_or_else(|| Failure::garbled("an upload whose time is not a date"))?;
        let key = key(below(&request.prefix, upload.key)?)?;
        let upload = Upload { key, id: upload_id_of(&upload.upload_id)? };
        page.uploads.push(ListedUpload { upload, initiated });
    }
    if request.by_directory {
        for prefix in listed.common_prefixes.unwrap_or_default() {
            page.prefixes.push(below(&request.prefix, prefix)?);
        }
    }
    let next = listed.next_key_marker.filter(|marker| !marker.is_empty()).map(|key| UploadCursor {
        key,
        upload_id: listed.next_upload_id_marker.unwrap_or_default(),
    });
    page.next = match (listed.has_more, next) {
        (Some(false), _) | (None, None) => None,
        (Some(true), None) => {
            return Err(Failure::garbled("a truncated list of uploads without next markers"));
        }
        (_, Some(next)) if request.after.as_ref() == Some(&next) => {
            // Markers that stay where they were are no sign of more, unless it is said.
            if !page.uploads.is_empty() || !page.prefixes.is_empty() || listed.has_more.is_some() {
                return Err(Failure::garbled("a list of uploads that does not advance"));
            }
            None
        }
        (_, next) => next,
    };
    Ok(page)
}

#[derive(Deserialize)]
struct Deletion {
    deleted: Option<Vec<DeletedKey>>,
    errors: Option<Vec<NotDeleted>>,
}

#[derive(Deserialize)]
struct DeletedKey {
    key: String,
}

#[derive(Deserialize)]
struct NotDeleted {
    key: String,
    #[serde(flatten)]
    error: ServiceError,
}

/// What a multi-delete did, by key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Deletions {
    pub(super) deleted: Vec<String>,
    pub(super) failed: Vec<(String, ServiceError)>,
}

/// The answer to a multi-delete. One of the two lists must be there: it was not asked to be quiet.
pub(super) fn deletions(body: &[u8]) -> Result<Deletions, Failure> {
    let Deletion { deleted, errors } = document(body)?;
    if deleted.is_none() && errors.is_none() {
        return Err(Failure::garbled("an answer to a multi-delete that names no key"));
    }
    let deleted = deleted.unwrap_or_default().into_iter().map(|DeletedKey { key }| key);
    let errors = errors.unwrap_or_default().into_iter();
    Ok(Deletions {
        deleted: deleted.collect(),
        failed: errors.map(|NotDeleted { key, error }| (key, error)).collect(),
    })
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
