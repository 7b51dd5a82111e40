//! The bodies that COS, OSS and S3 share, read into values of the store. Every body is believed only
//! when its root element is the expected one and all required fields are there and in range;
//! unknown fields are ignored. Pure.

use std::time::SystemTime;

use crate::dialect::failure::Failure;
use crate::dialect::xml_service::xml::{self, Element};
use crate::dialect::{encode, headers};
use crate::store::{
    Checksum, ETag, Key, ListPage, ListRequest, ListedObject, ListedUpload, PartNumber,
    PartReceipt, PartsPage, Upload, UploadCursor, UploadId, UploadsPage, UploadsRequest,
};

/// Why a body is not the expected answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Not the document it should be.
    Garbled(String),
    /// A well-formed error document where a result was due (services send these under status 200).
    Error(ServiceError),
}

impl From<Failure> for Flaw {
    fn from(failure: Failure) -> Self {
        Self::Garbled(failure.message.into_string())
    }
}

impl From<String> for Flaw {
    fn from(what: String) -> Self {
        Self::Garbled(what)
    }
}

/// An error document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
}

/// Reads an error document; `None` when it is none.
pub(crate) fn service_error(body: &[u8]) -> Option<ServiceError> {
    let root = xml::parse(body).ok()?;
    (root.name == "Error").then(|| error_of(&root)).flatten()
}

fn error_of(root: &Element) -> Option<ServiceError> {
    let text = |name| root.text_of(name).ok().map(|text| text.trim().to_owned());
    Some(ServiceError {
        code: text("Code").filter(|code| !code.is_empty())?,
        message: text("Message").unwrap_or_default(),
        request_id: text("RequestId").filter(|id| !id.is_empty()),
    })
}

/// The root of a document, when it is the expected one.
pub(crate) fn root(body: &[u8], expected: &str) -> Result<Element, Flaw> {
    let root = xml::parse(body)?;
    if root.name == expected {
        return Ok(root);
    }
    if root.name == "Error"
        && let Some(error) = error_of(&root)
    {
        return Err(Flaw::Error(error));
    }
    Err(Flaw::Garbled(format!("a document {:.40} where {expected} was due", root.name)))
}

/// The ETag that an element states, which must be usable.
pub(crate) fn etag_of(element: &Element) -> Result<ETag, Flaw> {
    Ok(headers::usable_etag(element.text_of("ETag")?)
        .ok_or_else(|| format!("{} has no usable ETag", element.name))?)
}

fn date_of(element: &Element, name: &str) -> Result<SystemTime, Flaw> {
    Ok(headers::date(element.text_of(name)?)
        .ok_or_else(|| format!("{name} of {} is not a date", element.name))?)
}

/// How the keys of a document are written: it says so itself, in either spelling.
fn decoder(root: &Element) -> Result<impl Fn(&str) -> Result<String, Flaw> + use<>, Flaw> {
    let encoding = match root.optional("EncodingType")? {
        Some(encoding) => Some(encoding),
        None => root.optional("Encoding-Type")?,
    };
    let encoded = match encoding.map(|encoding| encoding.text.trim()) {
        None | Some("") => false,
        Some("url") => true,
        Some(other) => return Err(Flaw::Garbled(format!("an unknown encoding {other:.20}"))),
    };
    Ok(move |text: &str| {
        if !encoded {
            return Ok(text.to_owned());
        }
        encode::listed(text)
            .ok_or_else(|| Flaw::Garbled(format!("a key that is not UTF-8: {text:.200}")))
    })
}

fn key(text: String) -> Result<Key, Flaw> {
    Key::new(text).map_err(|error| Flaw::Garbled(error.to_string()))
}

/// Text of an optional child; empty counts as absent.
fn optional_text<'a>(element: &'a Element, name: &str) -> Result<Option<&'a str>, Flaw> {
    Ok(element.optional(name)?.map(|child| child.text.as_str()).filter(|text| !text.is_empty()))
}

/// `ListBucketResult`, version 1. With `cursor_optional`, the last entry of a truncated page without a
/// next marker is the cursor (S3 gives one only when there is a delimiter).
pub(crate) fn list(
    body: &[u8],
    request: &ListRequest,
    cursor_optional: bool,
) -> Result<ListPage, Flaw> {
    let root = root(body, "ListBucketResult")?;
    let decode = decoder(&root)?;
    let below = |text: String| {
        if text.starts_with(&request.prefix) {
            Ok(text)
        } else {
            Err(Flaw::Garbled("a key outside the prefix that was asked for".to_owned()))
        }
    };
    let mut page = ListPage::default();
    for object in root.each("Contents") {
        page.objects.push(ListedObject {
            key: key(below(decode(object.text_of("Key")?)?)?)?,
            etag: etag_of(object)?,
            size: object.number_of("Size")?,
            last_modified: date_of(object, "LastModified")?,
            storage_class: optional_text(object, "StorageClass")?
                .filter(|class| !class.eq_ignore_ascii_case("STANDARD"))
                .map(str::to_owned),
        });
    }
    for prefix in root.each("CommonPrefixes") {
        page.prefixes.push(below(decode(prefix.text_of("Prefix")?)?)?);
    }
    if root.flag_of("IsTruncated")? {
        let next = match optional_text(&root, "NextMarker")? {
            Some(next) => decode(next)?,
            None if cursor_optional => last_entry(&page)?,
            None => return Err(Flaw::Garbled("a truncated listing without a next marker".into())),
        };
        if request.after.as_ref() == Some(&next) {
            return Err(Flaw::Garbled("a listing that does not advance".to_owned()));
        }
        page.next = Some(next);
    }
    Ok(page)
}

/// The greatest key or prefix of a page.
fn last_entry(page: &ListPage) -> Result<String, Flaw> {
    let object = page.objects.last().map(|object| object.key.as_str());
    let prefix = page.prefixes.last().map(String::as_str);
    let last = object.max(prefix);
    last.map(str::to_owned)
        .ok_or_else(|| Flaw::Garbled("a truncated listing without entries".to_owned()))
}

/// `InitiateMultipartUploadResult`.
pub(crate) fn upload_id(body: &[u8]) -> Result<UploadId, Flaw> {
    let root = root(body, "InitiateMultipartUploadResult")?;
    let id = root.text_of("UploadId")?.trim();
    if id.is_empty() {
        return Err(Flaw::Garbled("an empty upload id".to_owned()));
    }
    Ok(UploadId::new(id))
}

/// `ListPartsResult`, the page after part `after`. `checksum` reads what a part's element states.
pub(crate) fn parts(
    body: &[u8],
    after: Option<PartNumber>,
    checksum: impl Fn(&Element) -> Result<Option<Checksum>, Failure>,
) -> Result<PartsPage, Flaw> {
    let root = root(body, "ListPartsResult")?;
    let mut page = PartsPage { parts: Vec::new(), more: root.flag_of("IsTruncated")? };
    let mut last = after;
    for part in root.each("Part") {
        let number = PartNumber::new(part.number_of("PartNumber")?)
            .map_err(|error| Flaw::Garbled(error.to_string()))?;
        if last.is_some_and(|last| number <= last) {
            return Err(Flaw::Garbled("parts that do not ascend".to_owned()));
        }
        last = Some(number);
        page.parts.push(PartReceipt {
            number,
            etag: etag_of(part)?,
            size: part.number_of("Size")?,
            checksum: checksum(part)?,
        });
    }
    if page.more {
        let next = root.number_of("NextPartNumberMarker")?;
        if page.parts.is_empty() || last.is_none_or(|last| u64::from(last.get()) != next) {
            return Err(Flaw::Garbled("a list of parts that does not advance".to_owned()));
        }
    }
    Ok(page)
}

/// `ListMultipartUploadsResult`, the page that was asked for.
pub(crate) fn uploads(body: &[u8], request: &UploadsRequest) -> Result<UploadsPage, Flaw> {
    let root = root(body, "ListMultipartUploadsResult")?;
    let decode = decoder(&root)?;
    let mut page = UploadsPage::default();
    for upload in root.each("Upload") {
        let key = key(decode(upload.text_of("Key")?)?)?;
        if !key.as_str().starts_with(&request.prefix) {
            return Err(Flaw::Garbled("an upload outside the prefix asked for".to_owned()));
        }
        let id = upload.text_of("UploadId")?.trim();
        if id.is_empty() {
            return Err(Flaw::Garbled("an empty upload id".to_owned()));
        }
        page.uploads.push(ListedUpload {
            upload: Upload { key, id: UploadId::new(id) },
            initiated: date_of(upload, "Initiated")?,
        });
    }
    for prefix in root.each("CommonPrefixes") {
        let prefix = decode(prefix.text_of("Prefix")?)?;
        if !request.by_directory || !prefix.starts_with(&request.prefix) {
            return Err(Flaw::Garbled("a prefix outside of what was asked for".to_owned()));
        }
        page.prefixes.push(prefix);
    }
    if root.flag_of("IsTruncated")? {
        let missing = || "a truncated list of uploads without next markers".to_owned();
        let next = UploadCursor {
            key: decode(optional_text(&root, "NextKeyMarker")?.ok_or_else(missing)?)?,
            // OSS's documents have both spellings.
            upload_id: optional_text(&root, "NextUploadIdMarker")?
                .or(optional_text(&root, "NextUploadMarker")?)
                // A page that ends in a prefix has no id to go on from.
                .or((!page.prefixes.is_empty()).then_some(""))
                .ok_or_else(missing)?
                .to_owned(),
        };
        if request.after.as_ref() == Some(&next) {
            return Err(Flaw::Garbled("a list of uploads that does not advance".to_owned()));
        }
        page.next = Some(next);
    }
    Ok(page)
}

/// `DeleteResult`, quiet form: the keys that were not deleted, as the service names them.
pub(crate) fn not_deleted(body: &[u8]) -> Result<Vec<(String, ServiceError)>, Flaw> {
    let root = root(body, "DeleteResult")?;
    let decode = decoder(&root)?;
    let mut failed = Vec::new();
    for error in root.each("Error") {
        let key = decode(error.text_of("Key")?)?;
        let error = error_of(error).ok_or_else(|| "an error without a code".to_owned())?;
        failed.push((key, error));
    }
    Ok(failed)
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
