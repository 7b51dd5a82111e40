//! Alibaba Cloud OSS: its limits, its words, its place. The XML API it shares with others is in
//! `xml_service`, the signatures in `sign`, the meaning of error codes in `codes`, names and endpoint in
//! `place`.

mod codes;
mod place;
mod sign;

use std::time::Duration;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Uri};
use md5::{Digest, Md5};
use reqsign_core::hash::base64_decode;

use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::properties::{EncryptionNames, PropertyRules};
use crate::dialect::request::Site;
use crate::dialect::xml_service::xml::Element;
use crate::dialect::xml_service::{Flavor, Words, answers, codes as shared_codes};
use crate::dialect::{
    ConnectError, Connection, Credentials, SignatureVersion, encode, headers as header_values,
};
use crate::http::Answer;
use crate::store::{
    AppendLimits, Checksum, ChecksumKind, ETag, ErrorKind, Key, Limits, PartReceipt,
};

use place::Place;
use sign::Signer;

const GIB: u64 = 1 << 30;

/// Limits of OSS (its pages "Limits", PutObject, UploadPart, CopyObject, AppendObject).
const LIMITS: Limits = Limits {
    part_min_bytes: 100 << 10,
    part_max_bytes: 5 * GIB,
    parts_max: 10_000,
    first_part_number: 1,
    put_bytes: 5 * GIB,
    object_bytes: 10_000 * 5 * GIB,
    copy_bytes: GIB,
    range_copy_min_source_bytes: 1,
    key_bytes: 1023,
    metadata_bytes: 8192,
    delete_batch: 1000,
    list_page: 1000,
    checksum: Some(ChecksumKind::Crc64Xz),
    create_only: true,
    compare_and_swap: false,
    mixed_part_conditions: true,
    archive_classes: &["Archive", "ColdArchive", "DeepColdArchive"],
    rename: false,
    append: Some(AppendLimits { call_bytes: 5 * GIB, object_bytes: 5 * GIB, copied: false }),
};

const WORDS: Words = Words {
    request_id: "x-oss-request-id",
    crc: Some("x-oss-hash-crc64ecma"),
    directives: ("COPY", "REPLACE"),
    create_only: ("x-oss-forbid-overwrite", "true"),
    create_only_at_start: true,
    // The SDKs send it with Complete, and have none for Initiate. An object without is open to whom the
    // bucket is open to.
    acl_at_complete: true,
    cursor_optional: false,
    lenient_delete: true,
    next_position: Some("x-oss-next-append-position"),
    customer_key_for_parts: false,
};

/// Properties of objects (OSS, PutObject, InitiateMultipartUpload, server-side encryption).
const RULES: PropertyRules = PropertyRules {
    service: "OSS",
    prefix: "x-oss-",
    metadata_bytes: LIMITS.metadata_bytes,
    storage_classes: &["Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"],
    acl: Some(("x-oss-object-acl", &["default", "private", "public-read", "public-read-write"])),
    grants: false,
    traffic_limit_bits: Some(819_200..=838_860_800),
    requester_pays: Some(("x-oss-request-payer", "requester")),
    encryption: EncryptionNames {
        service_key: Some(("x-oss-server-side-encryption", &["AES256", "SM4"])),
        kms: Some(("KMS", "x-oss-server-side-encryption-key-id")),
        kms_context: None,
        customer: None,
    },
};

/// Without it a range that cannot be satisfied brings the whole object.
const RANGE_BEHAVIOR: HeaderName = HeaderName::from_static("x-oss-range-behavior");

/// One bucket of OSS.
#[derive(Debug)]
pub(crate) struct Oss {
    place: Place,
    signer: Signer,
}

impl Oss {
    pub(crate) fn new(connection: &Connection) -> Result<Self, ConnectError> {
        let place = Place::new(connection)?;
        let signer = match (connection.signature_version, &place.region, &connection.endpoint) {
            (Some(SignatureVersion::V1), ..) => Signer::v1(&place),
            (_, Some(region), _) => Signer::v4(&place, region),
            (_, None, endpoint) => {
                let endpoint = endpoint.clone().unwrap_or_default();
                return Err(ConnectError::SigningNeedsRegion { endpoint });
            }
        };
        Ok(Self { place, signer })
    }
}

#[async_trait]
impl Flavor for Oss {
    fn limits(&self) -> &'static Limits {
        &LIMITS
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn rules(&self) -> &'static PropertyRules {
        &RULES
    }

    fn site(&self) -> &Site {
        &self.place.site
    }

    fn path_prefix(&self) -> &str {
        &self.place.path_prefix
    }

    fn check_key(&self, key: &str) -> Result<(), String> {
        if key.starts_with(['/', '\\']) {
            Err("OSS takes no key that begins with / or \\".to_owned())
        } else {
            Ok(())
        }
    }

    fn copy_source(&self, from: &Key) -> String {
        format!("/{}/{}", self.place.bucket, encode::copy_source(from.as_str()))
    }

    fn meaning(&self, code: &str) -> Option<(ErrorKind, Repeat)> {
        codes::meaning(code)
    }

    async fn sign(&self, head: &mut Parts, credentials: &Credentials) -> Result<(), Failure> {
        self.signer.sign(head, credentials).await
    }

    async fn presign(
        &self,
        head: Parts,
        credentials: &Credentials,
        valid: Duration,
    ) -> Result<Uri, Failure> {
        self.signer.presign(&head, credentials, valid).await
    }

    fn read_headers(&self, headers: &mut HeaderMap, ranged: bool) -> Result<(), Failure> {
        if ranged { header_values::set(headers, RANGE_BEHAVIOR, "standard") } else { Ok(()) }
    }

    /// Parts in List Parts tell theirs.
    fn stated(&self, document: &Element) -> Result<Option<Checksum>, Failure> {
        let Some(element) = document.optional("HashCrc64ecma").map_err(Failure::garbled)? else {
            return Ok(None);
        };
        if element.text.trim().is_empty() {
            return Ok(None);
        }
        let value = document.number_of("HashCrc64ecma").map_err(Failure::garbled)?;
        Ok(Some(Checksum { kind: ChecksumKind::Crc64Xz, value }))
    }

    /// In no document, but the sample of the page CompleteMultipartUpload has it: the MD5 of the ETags in
    /// upper case. Another one proves nothing.
    fn predicted_etag(&self, parts: &[PartReceipt]) -> Option<ETag> {
        let joined: String = parts.iter().map(|part| part.etag.as_str()).collect();
        let digest = Md5::digest(joined.to_ascii_uppercase().as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        Some(ETag::new(&format!("{hex}-{}", parts.len())))
    }

    /// Answers to HEAD have no body; the error document is in a header.
    fn failure(&self, answer: &Answer) -> Failure {
        let mut body = answer.whole_body();
        if body.is_empty()
            && let Some(text) = answer.header("x-oss-err")
            && let Ok(document) = base64_decode(text.trim())
        {
            body = document.into();
        }
        let error = answers::service_error(&body);
        let status = answer.status.as_u16();
        let failure = shared_codes::failure(status, error, |code| self.meaning(code));
        match elsewhere(&body) {
            Some(endpoint) => {
                let message = format!(
                    "{}: this bucket is reached at {endpoint:.200}, give that as endpoint",
                    failure.message
                );
                let kind = ErrorKind::WrongEndpoint;
                Failure { kind, repeat: Repeat::Never, message: message.into(), ..failure }
            }
            None => failure,
        }
    }

    fn asks_to_wait(&self, headers: &HeaderMap) -> Option<Duration> {
        match header_values::decimal(headers, "x-oss-qos-delay-time") {
            Ok(Some(milliseconds)) => Some(Duration::from_millis(milliseconds)),
            _ => crate::http::retry_after(headers),
        }
    }
}

/// The endpoint that a refusal names because the bucket is not here (403 `AccessDenied`, "must be
/// addressed using the specified endpoint").
fn elsewhere(body: &[u8]) -> Option<String> {
    let root = crate::dialect::xml_service::xml::parse(body).ok()?;
    let endpoint = root.text_of("Endpoint").ok()?.trim();
    (root.name == "Error" && !endpoint.is_empty()).then(|| endpoint.to_owned())
}

#[cfg(test)]
#[path = "oss_tests.rs"]
mod tests;
