//! The XML documents of answers.

use std::sync::Arc;

use super::Flavor;
use super::answers::words;
use super::routes::{DIGEST_TYPE, token_of};
use super::writer::{Xml, iso_time, url_encoded};
use crate::mock::base64;
use crate::mock::calls::{ListCall, ListPartsCall, ListUploadsCall};
use crate::mock::digests::DigestKind;
use crate::mock::refusal::Refusal;
use crate::mock::voice::Asked;
use crate::store::memory::{Entry, Object, OpenUpload, Page, Part};
use crate::store::{Checksum, Key, Upload};

/// The documents of one service's answers to one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Documents<'a> {
    pub(super) flavor: &'a Flavor,
    pub(super) asked: &'a Asked<'a>,
}

impl Documents<'_> {
    pub(super) fn listing(&self, call: &ListCall, page: &Page<Arc<Object>>) -> String {
        let encode = |text: &str| self.carried(text, call.encoded);
        self.document("ListBucketResult", |xml| {
            xml.element("Name", &self.asked.config.bucket);
            if call.encoded {
                xml.element("EncodingType", "url");
            }
            xml.element("Prefix", encode(&call.prefix));
            self.cursor(xml, call, page);
            xml.element("MaxKeys", call.max.to_string());
            if let Some(delimiter) = &call.delimiter {
                xml.element("Delimiter", encode(delimiter));
            }
            xml.element("IsTruncated", page.next.is_some().to_string());
            for entry in &page.entries {
                match entry {
                    Entry::Prefix(prefix) => xml.group("CommonPrefixes", |xml| {
                        xml.element("Prefix", encode(prefix));
                    }),
                    Entry::Item(object) => xml.group("Contents", |xml| {
                        self.listed(xml, object, call.encoded);
                    }),
                }
            }
        })
    }

    /// Where the page began, and where the next one begins.
    fn cursor(&self, xml: &mut Xml, call: &ListCall, page: &Page<Arc<Object>>) {
        let query = &self.asked.request.query;
        if self.second_version() {
            for (element, parameter) in
                [("StartAfter", "start-after"), ("ContinuationToken", "continuation-token")]
            {
                if let Some(value) = query.get(parameter) {
                    let encoded = call.encoded && element == "StartAfter";
                    xml.element(element, self.carried(value, encoded));
                }
            }
            xml.element("KeyCount", page.entries.len().to_string());
            if let Some(next) = &page.next {
                xml.element("NextContinuationToken", token_of(next));
            }
            return;
        }
        xml.element("Marker", self.carried(&call.marker, call.encoded));
        let told = call.delimiter.is_some() || !self.flavor.next_marker_by_delimiter;
        if let Some(next) = page.next.as_ref().filter(|_| told) {
            xml.element("NextMarker", self.carried(next, call.encoded));
        }
    }

    fn second_version(&self) -> bool {
        self.flavor.list_v2 && self.asked.request.query.get("list-type") == Some("2")
    }

    fn listed(&self, xml: &mut Xml, object: &Object, encoded: bool) {
        xml.element("Key", self.carried(object.key.as_str(), encoded));
        xml.element("LastModified", iso_time(object.last_modified));
        xml.element("ETag", object.etag.quoted());
        xml.element("Size", object.size().to_string());
        if self.flavor.lists_types {
            xml.element("Type", self.flavor.object_type(object).unwrap_or_default());
        }
        if !self.second_version() || self.asked.request.query.get("fetch-owner") == Some("true") {
            self.person(xml, "Owner");
        }
        let usual = self.flavor.storage.classes.first().copied().unwrap_or_default();
        xml.element("StorageClass", object.properties.storage_class.as_deref().unwrap_or(usual));
    }

    pub(super) fn uploads(
        &self,
        call: &ListUploadsCall,
        entries: &[Entry<OpenUpload>],
        more: bool,
    ) -> String {
        let encode = |text: &str| self.carried(text, call.encoded);
        self.document("ListMultipartUploadsResult", |xml| {
            xml.element("Bucket", &self.asked.config.bucket);
            if call.encoded {
                xml.element(self.flavor.uploads_encoding_element, "url");
            }
            xml.element("KeyMarker", encode(&call.key_marker));
            xml.element("UploadIdMarker", &call.upload_id_marker);
            if more || self.flavor.next_markers_always {
                let (key, id) = match entries.last().filter(|_| more) {
                    Some(Entry::Item(open)) => (open.upload.key.as_str(), open.upload.id.as_str()),
                    Some(Entry::Prefix(prefix)) => (prefix.as_str(), ""),
                    None => ("", ""),
                };
                xml.element("NextKeyMarker", encode(key));
                xml.element("NextUploadIdMarker", id);
            }
            xml.element("MaxUploads", call.max.to_string());
            xml.element("IsTruncated", more.to_string());
            xml.element("Prefix", encode(&call.prefix));
            xml.element("Delimiter", encode(call.delimiter.as_deref().unwrap_or_default()));
            for entry in entries {
                match entry {
                    Entry::Prefix(prefix) => xml.group("CommonPrefixes", |xml| {
                        xml.element("Prefix", encode(prefix));
                    }),
                    Entry::Item(open) => xml.group("Upload", |xml| {
                        xml.element("Key", encode(open.upload.key.as_str()));
                        xml.element("UploadId", open.upload.id.as_str());
                        self.person(xml, "Initiator");
                        self.person(xml, "Owner");
                        xml.element("StorageClass", self.flavor.class_of_uploads);
                        xml.element("Initiated", (self.flavor.initiated)(open.initiated));
                    }),
                }
            }
        })
    }

    pub(super) fn parts(&self, call: &ListPartsCall, parts: &[Part], more: bool) -> String {
        self.document("ListPartsResult", |xml| {
            xml.element("Bucket", &self.asked.config.bucket);
            if call.encoded {
                xml.element("EncodingType", "url");
            }
            xml.element("Key", self.carried(call.upload.key.as_str(), call.encoded));
            xml.element("UploadId", call.upload.id.as_str());
            self.person(xml, "Owner");
            self.person(xml, "Initiator");
            xml.element("PartNumberMarker", call.after.to_string());
            if more || self.flavor.next_markers_always {
                let last = parts.last().map_or(call.after, |last| last.number.get().into());
                xml.element("NextPartNumberMarker", last.to_string());
            }
            for part in parts {
                xml.group("Part", |xml| {
                    xml.element("PartNumber", part.number.to_string());
                    xml.element("LastModified", iso_time(part.last_modified));
                    xml.element("ETag", part.etag.quoted());
                    xml.element("Size", part.blob.len().to_string());
                    if self.flavor.parts_have_crc {
                        xml.element("HashCrc64ecma", part.checksum.value.to_string());
                    }
                    for kind in DigestKind::ALL {
                        if let Some(value) = part.stated.get(kind.header()) {
                            xml.element(&kind.element(), value);
                        }
                    }
                });
            }
            xml.element("StorageClass", self.flavor.class_of_uploads);
            xml.element("MaxParts", call.max.to_string());
            xml.element("IsTruncated", more.to_string());
        })
    }

    pub(super) fn deletions(&self, quiet: bool, results: &[(Key, Option<Refusal>)]) -> String {
        self.document("DeleteResult", |xml| {
            let encoded = self.result_encoded(xml);
            for (key, failure) in results {
                match failure {
                    None if quiet => {}
                    None => xml.group("Deleted", |xml| {
                        xml.element("Key", self.carried(key.as_str(), encoded))
                    }),
                    Some(failure) => xml.group("Error", |xml| {
                        let (_, code, message) = words(self.flavor, failure);
                        xml.element("Key", self.carried(key.as_str(), encoded));
                        xml.element("Code", code);
                        xml.element("Message", message);
                    }),
                }
            }
        })
    }

    pub(super) fn copied(&self, object: &Object) -> String {
        self.document("CopyObjectResult", |xml| {
            xml.element("ETag", object.etag.quoted());
            if self.flavor.copy_has_crc {
                xml.element("CRC64", object.checksum.value.to_string());
            }
            self.crc64nvme(xml, object.crc64nvme);
            xml.element("LastModified", iso_time(object.last_modified));
        })
    }

    pub(super) fn part_copied(&self, part: &Part) -> String {
        self.document("CopyPartResult", |xml| {
            xml.element("ETag", part.etag.quoted());
            xml.element("LastModified", iso_time(part.last_modified));
            self.crc64nvme(xml, part.crc64nvme);
        })
    }

    pub(super) fn started(&self, upload: &Upload) -> String {
        self.document("InitiateMultipartUploadResult", |xml| {
            let encoded = self.result_encoded(xml);
            xml.element("Bucket", &self.asked.config.bucket);
            xml.element("Key", self.carried(upload.key.as_str(), encoded));
            xml.element("UploadId", upload.id.as_str());
        })
    }

    pub(super) fn completed(&self, object: &Object) -> String {
        let path = url_encoded(object.key.as_str(), false);
        let name = "CompleteMultipartUploadResult";
        document(name, self.flavor.completed_xmlns, |xml| {
            let encoded = self.result_encoded(xml);
            xml.element("Location", format!("http://{}/{path}", self.asked.request.host));
            xml.element("Bucket", &self.asked.config.bucket);
            xml.element("Key", self.carried(object.key.as_str(), encoded));
            xml.element("ETag", object.etag.quoted());
            self.digests(xml, object);
        })
    }

    /// The checksums of S3 that a completed object has.
    fn digests(&self, xml: &mut Xml, object: &Object) {
        if !self.flavor.digests {
            return;
        }
        let headers = &object.properties.headers;
        let stated =
            DigestKind::ALL.iter().find_map(|kind| Some((kind, headers.get(kind.header())?)));
        match stated {
            Some((kind, value)) => xml.element(&kind.element(), value),
            None => self.crc64nvme(xml, object.crc64nvme),
        }
        if object.crc64nvme.is_some() {
            let form = headers.get(DIGEST_TYPE).map_or("FULL_OBJECT", String::as_str);
            xml.element("ChecksumType", form);
        }
    }

    fn crc64nvme(&self, xml: &mut Xml, checksum: Option<Checksum>) {
        if let Some(checksum) = checksum.filter(|_| self.flavor.digests) {
            let value = base64::encode(&checksum.value.to_be_bytes());
            xml.element(&DigestKind::Crc64nvme.element(), value);
        }
    }

    /// Whether the result of an operation carries its key encoded; says so then.
    fn result_encoded(&self, xml: &mut Xml) -> bool {
        let encoded = self.flavor.encodes_results
            && self.asked.request.query.get("encoding-type") == Some("url");
        if encoded {
            xml.element("EncodingType", "url");
        }
        encoded
    }

    pub(super) fn location(&self, region: &str) -> String {
        self.document("LocationConstraint", |xml| xml.raw(region))
    }

    /// Who may do what: the owner everything, and the world what the canned ACL says.
    pub(super) fn acl(&self, object: &Object) -> String {
        let name = self.flavor.header(self.flavor.storage.acl_header);
        let acl = object.properties.headers.get(&name).map_or("default", String::as_str);
        self.document("AccessControlPolicy", |xml| {
            self.person(xml, "Owner");
            xml.group("AccessControlList", |xml| {
                if self.flavor.plain_acl {
                    return xml.element("Grant", acl);
                }
                grant(xml, "CanonicalUser", ("ID", self.flavor.owner.0), "FULL_CONTROL");
                let permissions: &[_] = match acl {
                    "public-read" => &["READ"],
                    "public-read-write" => &["READ", "WRITE"],
                    _ => &[],
                };
                for permission in permissions {
                    grant(xml, "Group", ("URI", self.flavor.everybody), permission);
                }
            });
        })
    }

    fn document(&self, root: &str, fill: impl FnOnce(&mut Xml)) -> String {
        document(root, self.flavor.xmlns, fill)
    }

    fn person(&self, xml: &mut Xml, role: &str) {
        let (id, name) = self.flavor.owner;
        xml.group(role, |xml| {
            xml.element("ID", id);
            xml.element("DisplayName", name);
        });
    }

    /// A key as a listing carries it: percent-encoded or as it is. The latter is no XML when the key
    /// has characters that XML lacks, as may happen to clients of the real service.
    fn carried(&self, text: &str, encoded: bool) -> String {
        if encoded { url_encoded(text, self.flavor.blank_is_plus) } else { text.to_owned() }
    }
}

fn document(root: &str, xmlns: Option<&str>, fill: impl FnOnce(&mut Xml)) -> String {
    let mut xml = Xml::declared();
    match xmlns {
        None => xml.group(root, fill),
        Some(xmlns) => xml.group(&format!("{root} xmlns=\"{xmlns}\""), fill),
    }
    xml.finish()
}

fn grant(xml: &mut Xml, kind: &str, (element, grantee): (&str, &str), permission: &str) {
    xml.group("Grant", |xml| {
        let name = format!(
            "Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\""
        );
        xml.group(&name, |xml| xml.element(element, grantee));
        xml.element("Permission", permission);
    });
}
