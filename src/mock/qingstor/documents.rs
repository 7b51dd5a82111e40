//! The JSON documents of QingStor's answers.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::number_outside;
use super::routes::opaque;
use crate::mock::calls::{ListCall, ListUploadsCall};
use crate::mock::encryption;
use crate::mock::refusal::Refusal;
use crate::mock::voice::Asked;
use crate::store::memory::{Entry, Object, OpenUpload, Page, Part};
use crate::store::{Key, Upload};

/// Where errors are explained.
const URL: &str = "https://docs.qingcloud.com/qingstor/api/common/error_code.html";

pub(super) fn error(code: &str, message: &str, request_id: &str) -> Value {
    json!({"code": code, "message": message, "request_id": request_id, "url": URL})
}

pub(super) fn listing(call: &ListCall, page: &Page<Arc<Object>>, asked: &Asked<'_>) -> Value {
    json!({
        "name": asked.config.bucket,
        "prefix": call.prefix,
        "delimiter": call.delimiter.as_deref().unwrap_or_default(),
        "limit": call.max,
        "marker": opaque(&call.marker),
        "next_marker": page.next.as_deref().map(opaque).unwrap_or_default(),
        "has_more": page.next.is_some(),
        "owner": {"id": "usr-mock", "name": "mock"},
        "keys": items(&page.entries).map(|object| listed(object)).collect::<Value>(),
        "common_prefixes": prefixes(&page.entries),
    })
}

fn listed(object: &Object) -> Value {
    let properties = &object.properties;
    let modified = object.last_modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "key": object.key.as_str(),
        "size": object.size(),
        // With quotes, although JSON needs none.
        "etag": object.etag.quoted(),
        "mime_type": super::answers::content_type(properties),
        "created": iso_time(object.last_modified),
        "modified": modified.as_secs(),
        "encrypted": encryption::key_md5(properties).is_some(),
        "storage_class": super::answers::storage_class(properties),
    })
}

pub(super) fn uploads(
    call: &ListUploadsCall,
    entries: &[Entry<OpenUpload>],
    more: bool,
    asked: &Asked<'_>,
) -> Value {
    let next = match entries.last().filter(|_| more) {
        Some(Entry::Item(open)) => (open.upload.key.as_str(), open.upload.id.as_str()),
        Some(Entry::Prefix(prefix)) => (prefix.as_str(), ""),
        None => ("", ""),
    };
    let uploads = items(entries).map(|open| {
        json!({
            "key": open.upload.key.as_str(),
            "upload_id": open.upload.id.as_str(),
            "created": iso_time(open.initiated),
        })
    });
    json!({
        "name": asked.config.bucket,
        "prefix": call.prefix,
        "delimiter": call.delimiter.as_deref().unwrap_or_default(),
        "limit": call.max,
        "uploads": uploads.collect::<Value>(),
        "next_key_marker": next.0,
        "next_upload_id_marker": next.1,
        "common_prefixes": prefixes(entries),
    })
}

/// Neither tells whether more follow nor where to go on.
pub(super) fn parts(parts: &[Part]) -> Value {
    let listed = parts.iter().map(|part| {
        json!({
            "part_number": number_outside(part.number),
            "size": part.blob.len(),
            "created": iso_time(part.last_modified),
            "etag": part.etag.as_str(),
        })
    });
    json!({"count": parts.len(), "object_parts": listed.collect::<Value>()})
}

pub(super) fn deletions(quiet: bool, results: &[(Key, Option<Refusal>)]) -> Value {
    let failures = results.iter().filter_map(|(key, failure)| Some((key, failure.as_ref()?)));
    let errors = failures.map(|(key, failure)| {
        let (_, code, message) = super::answers::words(failure);
        json!({"key": key.as_str(), "code": code, "message": message})
    });
    let mut document = json!({"errors": errors.collect::<Value>()});
    if !quiet {
        let deleted = results.iter().filter(|(_, failure)| failure.is_none());
        let deleted = deleted.map(|(key, _)| json!({"key": key.as_str()}));
        document["deleted"] = deleted.collect();
    }
    document
}

pub(super) fn started(upload: &Upload, asked: &Asked<'_>) -> Value {
    let (key, id) = (upload.key.as_str(), upload.id.as_str());
    json!({"bucket": asked.config.bucket, "key": key, "upload_id": id})
}

fn items<T>(entries: &[Entry<T>]) -> impl Iterator<Item = &T> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Item(item) => Some(item),
        Entry::Prefix(_) => None,
    })
}

fn prefixes<T>(entries: &[Entry<T>]) -> Value {
    let prefixes = entries.iter().filter_map(|entry| match entry {
        Entry::Item(_) => None,
        Entry::Prefix(prefix) => Some(prefix.as_str()),
    });
    prefixes.collect()
}

fn iso_time(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}
