//! One stored object and the ETags that services would give it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::BucketOptions;
use super::blob::Blob;
use super::incoming::Body;
use crate::store::{
    Checksum, ETag, Key, Metadata, ObjectInfo, ObjectVersion, PutOptions, StandardHeaders, UploadId,
};

/// What the ETags of objects and parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EtagMode {
    /// Hex MD5 of the bytes, as services do for plain objects. Costs a core per 0.46 GiB/s.
    #[default]
    Md5,
    /// 32 hex characters made of CRC and length: looks like an MD5 and is none, which is what COS
    /// gives under SSE-KMS. For benchmarks, whose server must not be the bottleneck.
    Opaque,
}

/// How a bucket's ETags look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EtagStyle {
    /// Lower case; that of an upload is no function of its parts (COS).
    #[default]
    Unpredictable,
    /// Upper case; that of an upload is the MD5 of the ETags of its parts as text (OSS).
    UpperCase,
    /// Lower case; that of an upload is the MD5 of the ETags of its parts as bytes (S3).
    OfBytes,
}

/// What is stored beside the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// Content-Type, if one was given.
    pub content_type: Option<String>,
    /// User metadata.
    pub metadata: Metadata,
    /// Other standard headers to be given back (`cache-control` …), by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// Storage class, if one was given.
    pub storage_class: Option<String>,
    /// Whether it was made by append, so that more can be appended.
    pub appendable: bool,
}

impl Properties {
    /// The same with these headers, which replace others of their names.
    pub(super) fn with_headers(&self, headers: &BTreeMap<String, String>) -> Self {
        let mut properties = self.clone();
        properties.headers.extend(headers.clone());
        properties
    }
}

impl From<&PutOptions> for Properties {
    fn from(options: &PutOptions) -> Self {
        let named = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let others = options.headers.iter().filter(|(name, _)| *name != "content-type");
        Self {
            content_type: options.headers.content_type.clone(),
            metadata: options.metadata.clone(),
            headers: others.map(named).collect(),
            storage_class: options.storage_class.clone(),
            appendable: false,
        }
    }
}

/// One object. Never changes: a replaced object is another one.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its key.
    pub key: Key,
    /// Changes with every change.
    pub etag: ETag,
    /// CRC-64/XZ of all bytes.
    pub checksum: Checksum,
    /// CRC-64/NVME of all bytes, where the bucket computes it.
    pub crc64nvme: Option<Checksum>,
    /// When it was put here, in whole seconds.
    pub last_modified: SystemTime,
    /// What is stored beside the bytes.
    pub properties: Properties,
    /// The bytes.
    pub blob: Blob,
}

impl Object {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.blob.len()
    }

    /// ETag and size.
    pub fn version(&self) -> ObjectVersion {
        ObjectVersion { etag: self.etag.clone(), size: self.size() }
    }

    /// Everything HEAD tells.
    pub fn info(&self) -> ObjectInfo {
        ObjectInfo {
            version: self.version(),
            last_modified: self.last_modified,
            checksum: Some(self.checksum),
            metadata: self.properties.metadata.clone(),
            headers: StandardHeaders {
                content_type: self.properties.content_type.clone(),
                ..StandardHeaders::collect(|name| self.properties.headers.get(name).cloned())
            },
            storage_class: self.properties.storage_class.clone(),
            version_id: None,
            appendable: self.properties.appendable,
        }
    }
}

/// The ETag of a body that came in one piece.
pub(super) fn etag_of(options: &BucketOptions, body: &Body) -> ETag {
    let text = match (options.etags, body.md5) {
        (EtagMode::Md5, Some(md5)) => hex(&md5),
        _ => format!("{:016x}{:016x}", body.checksum.value, body.blob.len()),
    };
    options.etag_style.spell(&text)
}

/// The ETag of a copy. That of a single PUT is kept; that of a multipart object is not, as on the
/// services: nobody may carry an ETag over a copy.
pub(super) fn etag_of_copy(style: EtagStyle, source: &ETag) -> ETag {
    if source.as_str().contains('-') {
        style.spell(&hex(&Md5::digest(source.as_str())))
    } else {
        source.clone()
    }
}

/// The ETag after an append of bytes with this ETag of their own.
pub(super) fn etag_of_append(style: EtagStyle, old: &ETag, added: &ETag) -> ETag {
    style.spell(&hex(&Md5::digest(format!("{}{}", old.as_str(), added.as_str()))))
}

/// The ETag of a completed upload of these parts.
pub(super) fn etag_of_upload<'a>(
    style: EtagStyle,
    id: &UploadId,
    parts: impl Iterator<Item = &'a ETag>,
) -> ETag {
    let mut md5 = Md5::new();
    if style == EtagStyle::Unpredictable {
        // The real rule is not known: the id keeps anybody from predicting the ETag.
        md5.update(id.as_str());
    }
    let mut count = 0;
    for etag in parts {
        match style {
            EtagStyle::OfBytes => md5.update(bytes_of(etag)),
            EtagStyle::Unpredictable | EtagStyle::UpperCase => md5.update(etag.as_str()),
        }
        count += 1;
    }
    style.spell(&format!("{}-{count}", hex(&md5.finalize())))
}

impl EtagStyle {
    fn spell(self, lower_case: &str) -> ETag {
        match self {
            Self::UpperCase => ETag::new(&lower_case.to_ascii_uppercase()),
            Self::Unpredictable | Self::OfBytes => ETag::new(lower_case),
        }
    }
}

/// The bytes that an ETag of hexadecimal digits spells.
fn bytes_of(etag: &ETag) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0) as u8;
    etag.as_str()
        .as_bytes()
        .chunks(2)
        .map(|two| two.iter().fold(0, |n, d| n << 4 | digit(d)))
        .collect()
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// [`Properties`] as the folder writes them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredProperties {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    storage_class: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    appendable: bool,
}

impl From<&Properties> for StoredProperties {
    fn from(properties: &Properties) -> Self {
        let metadata = properties.metadata.iter();
        Self {
            content_type: properties.content_type.clone(),
            metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers: properties.headers.clone(),
            storage_class: properties.storage_class.clone(),
            appendable: properties.appendable,
        }
    }
}

impl From<StoredProperties> for Properties {
    fn from(stored: StoredProperties) -> Self {
        Self {
            content_type: stored.content_type,
            metadata: stored.metadata.into_iter().collect(),
            headers: stored.headers,
            storage_class: stored.storage_class,
            appendable: stored.appendable,
        }
    }
}
