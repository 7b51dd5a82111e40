//! Amazon S3 and its kin (MinIO, Garage, Ceph): limits, words, place. The XML API it shares with others is
//! in `xml_service`, the signature in `sign`, checksums and what servers do without them in `checksums`,
//! the meaning of error codes in `codes`, names and endpoint in `place`.

mod checksums;
mod codes;
mod place;
mod sign;

use std::time::Duration;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Uri};
use md5::{Digest, Md5};
use reqsign_core::hash::hex_sha256;

use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::properties::{EncryptionNames, PropertyRules};
use crate::dialect::request::Site;
use crate::dialect::xml_service::xml::{self, Element};
use crate::dialect::xml_service::{Flavor, Words, answers, codes as shared_codes};
use crate::dialect::{ConnectError, Connection, Credentials, encode, headers as header_values};
use crate::http::Answer;
use crate::store::{
    Checksum, ChecksumKind, ETag, ErrorKind, Expected, Key, Limits, Operation, PartReceipt, Payload,
};

use checksums::Checksums;
use place::Place;
use sign::{CONTENT_SHA256, Signer};

const GIB: u64 = 1 << 30;

/// Limits of S3 (its pages "Multipart upload limits", PutObject, CopyObject, "Object metadata").
///
/// The largest object is what all servers take: AWS itself takes 50 TB since 2025, of which our 10,000
/// parts would reach 48.8 TiB; MinIO, and AWS before, take 5 TiB, and say so only at Complete.
const LIMITS: Limits = Limits {
    part_min_bytes: 5 << 20,
    part_max_bytes: 5 * GIB,
    parts_max: 10_000,
    first_part_number: 1,
    put_bytes: 5 * GIB,
    object_bytes: 5 << 40,
    copy_bytes: 5 * GIB,
    // AWS wants more than 5 MiB; its kin take what it takes.
    range_copy_min_source_bytes: (5 << 20) + 1,
    key_bytes: 1024,
    metadata_bytes: 2048,
    delete_batch: 1000,
    list_page: 1000,
    checksum: Some(ChecksumKind::Crc64Nvme),
    create_only: true,
    compare_and_swap: true,
    mixed_part_conditions: true,
    archive_classes: &["GLACIER", "DEEP_ARCHIVE"],
    rename: false,
    append: None,
};

const WORDS: Words = Words {
    request_id: "x-amz-request-id",
    crc: None,
    directives: ("COPY", "REPLACE"),
    create_only: ("if-none-match", "*"),
    create_only_at_start: false,
    acl_at_complete: false,
    cursor_optional: true,
    lenient_delete: false,
    next_position: None,
    customer_key_for_parts: true,
};

/// Properties of objects (S3, PutObject, CreateMultipartUpload).
const RULES: PropertyRules = PropertyRules {
    service: "S3",
    prefix: "x-amz-",
    metadata_bytes: LIMITS.metadata_bytes,
    storage_classes: &[
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
        "OUTPOSTS",
        "SNOW",
        "EXPRESS_ONEZONE",
    ],
    acl: Some((
        "x-amz-acl",
        &[
            "private",
            "public-read",
            "public-read-write",
            "authenticated-read",
            "aws-exec-read",
            "bucket-owner-read",
            "bucket-owner-full-control",
        ],
    )),
    grants: true,
    traffic_limit_bits: None,
    requester_pays: Some(("x-amz-request-payer", "requester")),
    encryption: EncryptionNames {
        service_key: Some(("x-amz-server-side-encryption", &["AES256"])),
        kms: Some(("aws:kms", "x-amz-server-side-encryption-aws-kms-key-id")),
        kms_context: Some("x-amz-server-side-encryption-context"),
        customer: Some((
            "x-amz-server-side-encryption-customer",
            "x-amz-copy-source-server-side-encryption-customer",
        )),
    },
};

const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// Error codes with which a signature for another region is refused.
const OTHER_REGION: [&str; 3] =
    ["AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "InvalidRegion"];

/// One bucket of S3.
#[derive(Debug)]
pub(crate) struct S3 {
    place: Place,
    signer: Signer,
    checksums: Checksums,
}

impl S3 {
    pub(crate) fn new(connection: &Connection) -> Result<Self, ConnectError> {
        let place = Place::new(connection)?;
        let signer = Signer::new(&place.region);
        Ok(Self { place, signer, checksums: Checksums::default() })
    }

    /// The region that a refusal names because the bucket is not here.
    fn elsewhere(&self, answer: &Answer, body: &[u8], code: Option<&str>) -> Option<String> {
        let misplaced = match (answer.status.as_u16(), code) {
            (301 | 302 | 307 | 308, _) => true,
            (400 | 403, Some(code)) => OTHER_REGION.contains(&code),
            // HEAD has no document.
            (400, None) => true,
            _ => false,
        };
        let in_document = || {
            let root = xml::parse(body).ok()?;
            root.text_of("Region").ok().map(|region| region.trim().to_owned())
        };
        let named = answer.header("x-amz-bucket-region").map(str::to_owned).or_else(in_document)?;
        (misplaced && !named.is_empty() && named != self.place.region).then_some(named)
    }
}

#[async_trait]
impl Flavor for S3 {
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

    /// AWS takes every key; what other servers refuse comes back as an error of theirs.
    fn check_key(&self, _key: &str) -> Result<(), String> {
        Ok(())
    }

    fn copy_source(&self, from: &Key) -> String {
        format!("{}/{}", self.place.bucket, encode::copy_source(from.as_str()))
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

    fn body_extension(&self, headers: &mut HeaderMap, body: &Payload) -> Result<(), Failure> {
        checksums::set(headers, body.checksum())
    }

    fn start_extension(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        checksums::announce(headers)
    }

    fn document_headers(&self, headers: &mut HeaderMap, document: &str) -> Result<(), Failure> {
        header_values::set(headers, CONTENT_SHA256, &hex_sha256(document.as_bytes()))
    }

    fn complete_headers(
        &self,
        headers: &mut HeaderMap,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> Result<(), Failure> {
        checksums::set_whole(headers, parts, expected)
    }

    fn complete_part(&self, part: &PartReceipt, body: &mut String) {
        checksums::write_part(part, body);
    }

    /// Answers to ranges state no checksum of the whole.
    fn read_headers(&self, headers: &mut HeaderMap, ranged: bool) -> Result<(), Failure> {
        if ranged { Ok(()) } else { header_values::set(headers, CHECKSUM_MODE, "ENABLED") }
    }

    fn checksum(&self, headers: &HeaderMap) -> Result<Option<Checksum>, Failure> {
        checksums::in_headers(headers)
    }

    fn stated(&self, document: &Element) -> Result<Option<Checksum>, Failure> {
        checksums::in_document(document)
    }

    /// Without checksums the service checks the MD5; until it is known, it is given both.
    fn wants_md5(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Put | Operation::PutPart) && !self.checksums.offered()
    }

    fn extends(&self) -> bool {
        !self.checksums.absent()
    }

    fn learns(&self, operation: Operation, headers: &HeaderMap) {
        self.checksums.learn(operation, headers);
    }

    fn adapts(&self, operation: Operation, extended: bool, failure: &Failure) -> bool {
        extended && self.checksums.do_without(operation, failure)
    }

    /// The MD5 of the MD5s. Another ETag (of encrypted objects) proves nothing.
    fn predicted_etag(&self, parts: &[PartReceipt]) -> Option<ETag> {
        let mut digest = Md5::new();
        for part in parts {
            digest.update(md5_of(&part.etag)?);
        }
        let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(ETag::new(&format!("{hex}-{}", parts.len())))
    }

    fn failure(&self, answer: &Answer) -> Failure {
        let body = answer.whole_body();
        let error = answers::service_error(&body);
        let status = answer.status.as_u16();
        let mut failure = shared_codes::failure(status, error, |code| self.meaning(code));
        if let Some(region) = self.elsewhere(answer, &body, failure.code.as_deref()) {
            let ours = &self.place.region;
            failure.kind = ErrorKind::WrongEndpoint;
            failure.repeat = Repeat::Never;
            failure.message =
                format!("the bucket is in region {region:.60}, not in {ours}: give that region")
                    .into();
        } else if status == 403 && failure.code.is_none() {
            failure.message = "refused without a reason. S3 answers HEAD so also when there is no \
                               such object and these keys may not list the bucket"
                .into();
        }
        failure
    }
}

/// An ETag that is the MD5 of a part, as bytes.
fn md5_of(etag: &ETag) -> Option<[u8; 16]> {
    let text = etag.as_str();
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
