//! Tencent Cloud COS: its limits, its words, its place. The XML API it shares with others is in
//! `xml_service`, the signature in `sign`, the meaning of error codes in `codes`, names and endpoint in
//! `place`.

mod codes;
mod place;
mod sign;

use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use http::request::Parts;

use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::properties::{EncryptionNames, PropertyRules};
use crate::dialect::request::Site;
use crate::dialect::xml_service::{Flavor, Words};
use crate::dialect::{ConnectError, Credentials, encode};
use crate::store::{AppendLimits, ChecksumKind, ErrorKind, Key, Limits};

use place::Place;
use sign::Signer;

const GIB: u64 = 1 << 30;

/// Limits of COS (its pages "Specifications and Limits", "Object Overview", PUT Object, Upload Part,
/// APPEND Object).
const LIMITS: Limits = Limits {
    part_min_bytes: 1 << 20,
    part_max_bytes: 5 * GIB,
    parts_max: 10_000,
    first_part_number: 1,
    put_bytes: 5 * GIB,
    object_bytes: 10_000 * 5 * GIB,
    copy_bytes: 5 * GIB,
    range_copy_min_source_bytes: 1,
    key_bytes: 850,
    metadata_bytes: 2048,
    delete_batch: 1000,
    list_page: 1000,
    checksum: Some(ChecksumKind::Crc64Xz),
    create_only: true,
    compare_and_swap: false,
    mixed_part_conditions: false,
    archive_classes: &["ARCHIVE", "DEEP_ARCHIVE"],
    rename: false,
    append: Some(AppendLimits { call_bytes: 5 * GIB, object_bytes: 5 * GIB, copied: false }),
};

const WORDS: Words = Words {
    request_id: "x-cos-request-id",
    crc: Some("x-cos-hash-crc64ecma"),
    // Not "Replace": COS has its own word.
    directives: ("Copy", "Replaced"),
    create_only: ("x-cos-forbid-overwrite", "true"),
    create_only_at_start: true,
    acl_at_complete: false,
    cursor_optional: false,
    lenient_delete: false,
    next_position: Some("x-cos-next-append-position"),
    customer_key_for_parts: false,
};

/// Properties of objects (COS, PUT Object, Common Request Headers, server-side encryption).
const RULES: PropertyRules = PropertyRules {
    service: "COS",
    prefix: "x-cos-",
    metadata_bytes: LIMITS.metadata_bytes,
    storage_classes: &[
        "STANDARD",
        "STANDARD_IA",
        "INTELLIGENT_TIERING",
        "ARCHIVE",
        "DEEP_ARCHIVE",
        "MAZ_STANDARD",
        "MAZ_STANDARD_IA",
        "MAZ_INTELLIGENT_TIERING",
    ],
    acl: Some(("x-cos-acl", &["default", "private", "public-read"])),
    grants: true,
    traffic_limit_bits: Some(819_200..=838_860_800),
    requester_pays: None,
    encryption: EncryptionNames {
        service_key: Some(("x-cos-server-side-encryption", &["AES256"])),
        kms: Some(("cos/kms", "x-cos-server-side-encryption-cos-kms-key-id")),
        kms_context: Some("x-cos-server-side-encryption-context"),
        customer: Some((
            "x-cos-server-side-encryption-customer",
            "x-cos-copy-source-server-side-encryption-customer",
        )),
    },
};

/// One bucket of COS.
#[derive(Debug)]
pub(crate) struct Cos {
    place: Place,
    signer: Signer,
}

impl Cos {
    pub(crate) fn new(
        bucket: String,
        endpoint: Option<&str>,
        region: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let place = Place::new(bucket, endpoint, region)?;
        Ok(Self { place, signer: Signer::new() })
    }
}

#[async_trait]
impl Flavor for Cos {
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

    fn check_key(&self, key: &str) -> Result<(), String> {
        if key.starts_with(['/', '\\']) {
            Err("COS takes no key that begins with / or \\".to_owned())
        } else if key.bytes().any(|byte| matches!(byte, 24..=27)) {
            Err("COS takes no key with the control characters 24 to 27".to_owned())
        } else {
            Ok(())
        }
    }

    fn copy_source(&self, from: &Key) -> String {
        format!("{}/{}", self.place.copy_source, encode::copy_source(from.as_str()))
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
        self.signer.presign(head, credentials, valid).await
    }
}

#[cfg(test)]
#[path = "cos_tests.rs"]
mod tests;
