//! The XML documents of COS's answers.

use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::MockConfig;
use super::answer_xml::words;
use super::calls::{ListCall, ListPartsCall, ListUploadsCall};
use super::refusal::Refusal;
use super::request::Request;
use crate::store::memory::{Entry, Object, OpenUpload, Page, Part};
use crate::store::{Key, Upload};

/// `encoding-type=url`: a blank is `%20`, a plus `%2B`, a slash stays.
const URL: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Who owns everything, as COS shows it.
const OWNER: &str = "<ID>qcs::cam::uin/100000000001:uin/100000000001</ID>\
                     <DisplayName>100000000001</DisplayName>";

pub(super) fn error(code: &str, message: &str, resource: &str, request_id: &str) -> String {
    format!(
        "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>{}</Code>\n\t<Message>{}</Message>\n\t\
         <Resource>{}</Resource>\n\t<RequestId>{request_id}</RequestId>\n\t\
         <TraceId>{}</TraceId>\n</Error>\n",
        escape(code),
        escape(message),
        escape(resource),
        trace_id(request_id)
    )
}

pub(super) fn trace_id(request_id: &str) -> String {
    format!("trace-{request_id}")
}

pub(super) fn listing(call: &ListCall, page: &Page<Arc<Object>>, config: &MockConfig) -> String {
    let mut xml = opening("ListBucketResult");
    let encode = |text: &str| carried(text, call.encoded);
    element(&mut xml, "Name", &config.bucket);
    if call.encoded {
        element(&mut xml, "EncodingType", "url");
    }
    element(&mut xml, "Prefix", &encode(&call.prefix));
    element(&mut xml, "Marker", &encode(&call.marker));
    element(&mut xml, "MaxKeys", &call.max.to_string());
    if let Some(delimiter) = &call.delimiter {
        element(&mut xml, "Delimiter", &encode(delimiter));
    }
    element(&mut xml, "IsTruncated", &page.next.is_some().to_string());
    if let Some(next) = &page.next {
        element(&mut xml, "NextMarker", &encode(next));
    }
    for entry in &page.entries {
        match entry {
            Entry::Prefix(prefix) => group(&mut xml, "CommonPrefixes", |xml| {
                element(xml, "Prefix", &encode(prefix));
            }),
            Entry::Item(object) => group(&mut xml, "Contents", |xml| {
                element(xml, "Key", &encode(object.key.as_str()));
                element(xml, "LastModified", &iso_time(object.last_modified));
                element(xml, "ETag", &escape(&object.etag.quoted()));
                element(xml, "Size", &object.size().to_string());
                element(xml, "Owner", OWNER);
                let class = object.properties.storage_class.as_deref().unwrap_or("STANDARD");
                element(xml, "StorageClass", &escape(class));
            }),
        }
    }
    xml + "</ListBucketResult>"
}

pub(super) fn uploads(
    call: &ListUploadsCall,
    entries: &[Entry<OpenUpload>],
    more: bool,
    config: &MockConfig,
) -> String {
    let mut xml = opening("ListMultipartUploadsResult");
    let encode = |text: &str| carried(text, call.encoded);
    element(&mut xml, "Bucket", &config.bucket);
    if call.encoded {
        element(&mut xml, "Encoding-Type", "url");
    }
    element(&mut xml, "KeyMarker", &encode(&call.key_marker));
    element(&mut xml, "UploadIdMarker", &escape(&call.upload_id_marker));
    if let Some(last) = entries.last().filter(|_| more) {
        let (key, id) = match last {
            Entry::Item(open) => (open.upload.key.as_str(), open.upload.id.as_str()),
            Entry::Prefix(prefix) => (prefix.as_str(), ""),
        };
        element(&mut xml, "NextKeyMarker", &encode(key));
        element(&mut xml, "NextUploadIdMarker", id);
    }
    element(&mut xml, "MaxUploads", &call.max.to_string());
    element(&mut xml, "IsTruncated", &more.to_string());
    element(&mut xml, "Prefix", &encode(&call.prefix));
    element(&mut xml, "Delimiter", &encode(call.delimiter.as_deref().unwrap_or_default()));
    for entry in entries {
        match entry {
            Entry::Prefix(prefix) => group(&mut xml, "CommonPrefixes", |xml| {
                element(xml, "Prefix", &encode(prefix));
            }),
            Entry::Item(open) => group(&mut xml, "Upload", |xml| {
                element(xml, "Key", &encode(open.upload.key.as_str()));
                element(xml, "UploadId", open.upload.id.as_str());
                element(xml, "Initiator", OWNER);
                element(xml, "Owner", OWNER);
                element(xml, "StorageClass", "Standard");
                element(xml, "Initiated", &asctime(open.initiated));
            }),
        }
    }
    xml + "</ListMultipartUploadsResult>"
}

pub(super) fn parts(
    call: &ListPartsCall,
    parts: &[Part],
    more: bool,
    config: &MockConfig,
) -> String {
    let mut xml = opening("ListPartsResult");
    element(&mut xml, "Bucket", &config.bucket);
    if call.encoded {
        element(&mut xml, "EncodingType", "url");
    }
    element(&mut xml, "Key", &carried(call.upload.key.as_str(), call.encoded));
    element(&mut xml, "UploadId", &escape(call.upload.id.as_str()));
    element(&mut xml, "Owner", OWNER);
    element(&mut xml, "Initiator", OWNER);
    element(&mut xml, "PartNumberMarker", &call.after.to_string());
    if let Some(last) = parts.last().filter(|_| more) {
        element(&mut xml, "NextPartNumberMarker", &last.number.to_string());
    }
    for part in parts {
        group(&mut xml, "Part", |xml| {
            element(xml, "PartNumber", &part.number.to_string());
            element(xml, "LastModified", &iso_time(part.last_modified));
            element(xml, "ETag", &escape(&part.etag.quoted()));
            element(xml, "Size", &part.blob.len().to_string());
        });
    }
    element(&mut xml, "StorageClass", "Standard");
    element(&mut xml, "MaxParts", &call.max.to_string());
    element(&mut xml, "IsTruncated", &more.to_string());
    xml + "</ListPartsResult>"
}

pub(super) fn deletions(quiet: bool, results: &[(Key, Option<Refusal>)]) -> String {
    let mut xml = opening("DeleteResult");
    for (key, failure) in results {
        match failure {
            None if quiet => {}
            None => group(&mut xml, "Deleted", |xml| element(xml, "Key", &escape(key.as_str()))),
            Some(failure) => group(&mut xml, "Error", |xml| {
                let (_, code, message) = words(failure);
                element(xml, "Key", &escape(key.as_str()));
                element(xml, "Code", code);
                element(xml, "Message", &escape(&message));
            }),
        }
    }
    xml + "</DeleteResult>"
}

pub(super) fn copied(object: &Object) -> String {
    let mut xml = opening("CopyObjectResult");
    element(&mut xml, "ETag", &escape(&object.etag.quoted()));
    element(&mut xml, "CRC64", &object.checksum.value.to_string());
    element(&mut xml, "LastModified", &iso_time(object.last_modified));
    xml + "</CopyObjectResult>"
}

pub(super) fn part_copied(part: &Part) -> String {
    let mut xml = opening("CopyPartResult");
    element(&mut xml, "ETag", &escape(&part.etag.quoted()));
    element(&mut xml, "LastModified", &iso_time(part.last_modified));
    xml + "</CopyPartResult>"
}

pub(super) fn started(upload: &Upload, config: &MockConfig) -> String {
    let mut xml = opening("InitiateMultipartUploadResult");
    element(&mut xml, "Bucket", &config.bucket);
    element(&mut xml, "Key", &escape(upload.key.as_str()));
    element(&mut xml, "UploadId", upload.id.as_str());
    xml + "</InitiateMultipartUploadResult>"
}

pub(super) fn completed(object: &Object, request: &Request, config: &MockConfig) -> String {
    let mut xml = String::from(DECLARATION);
    xml.push_str(
        "<CompleteMultipartUploadResult xmlns=\"http://www.qcloud.com/document/product/436/7751\">",
    );
    let path = utf8_percent_encode(object.key.as_str(), URL);
    element(&mut xml, "Location", &escape(&format!("http://{}/{path}", request.host)));
    element(&mut xml, "Bucket", &config.bucket);
    element(&mut xml, "Key", &escape(object.key.as_str()));
    element(&mut xml, "ETag", &escape(&object.etag.quoted()));
    xml + "</CompleteMultipartUploadResult>"
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn opening(root: &str) -> String {
    format!("{DECLARATION}<{root}>")
}

/// Appends an element whose content is escaped already.
fn element(xml: &mut String, name: &str, content: &str) {
    // Writing to a string cannot fail.
    let _ = write!(xml, "<{name}>{content}</{name}>");
}

fn group(xml: &mut String, name: &str, fill: impl FnOnce(&mut String)) {
    let _ = write!(xml, "<{name}>");
    fill(xml);
    let _ = write!(xml, "</{name}>");
}

/// A key as a listing carries it: percent-encoded, or escaped only. The latter is no XML when the
/// key has characters that XML lacks, as may happen to clients of the real service.
fn carried(text: &str, encoded: bool) -> String {
    if encoded { utf8_percent_encode(text, URL).to_string() } else { escape(text) }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_default()
}

fn iso_time(time: SystemTime) -> String {
    timestamp(time).strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// The form that List Multipart Uploads has in the documentation's samples.
fn asctime(time: SystemTime) -> String {
    timestamp(time).strftime("%a %b %e %H:%M:%S %Y").to_string()
}
