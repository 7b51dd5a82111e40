//! Amazon S3 and what is compatible with it: what it does in its own way. Knows nothing of connections
//! and of the bucket.

use super::answer::Answer;
use super::refusal::Refusal;
use super::voice::Rules;
use super::xml_family::{ErrorText, Flavor, Storage, WriteConditions, Xml, XmlVoice, iso_time};
use crate::store::memory::EtagStyle;

const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// How S3 speaks.
pub(super) static VOICE: XmlVoice = XmlVoice(Flavor {
    prefix: "x-amz-",
    server: "AmazonS3",
    rules: Rules {
        put_bytes: 5 << 30,
        copy_bytes: 5 << 30,
        append_bytes: 5 << 30,
        part_min_bytes: 5 << 20,
        gaps_allowed: true,
        abort_repeatable: false,
        etag_style: EtagStyle::OfBytes,
        crc64nvme: true,
        keeps_md5: false,
        archives: &["GLACIER", "DEEP_ARCHIVE"],
        restore_header: "x-amz-restore",
        key_for_head: true,
        copies_appended: true,
        ranges_of_large_only: true,
        bad_ranges_copy_all: false,
        copy_not_modified: false,
    },
    check_key,
    storage: Storage {
        classes: &[
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
        acl_header: "acl",
        acls: &[
            "private",
            "public-read",
            "public-read-write",
            "authenticated-read",
            "aws-exec-read",
            "bucket-owner-read",
            "bucket-owner-full-control",
        ],
        grants: &["grant-read", "grant-read-acp", "grant-write-acp", "grant-full-control"],
        encryptions: &["AES256", "aws:kms", "aws:kms:dsse"],
        customer_keys: true,
        traffic_limits: None,
        metadata_characters: "_.",
        metadata_bytes: 2048,
    },
    content_type: "binary/octet-stream",
    list_page: 1000,
    list_v2: true,
    next_marker_by_delimiter: true,
    encodes_results: false,
    quiet_is_empty: false,
    forbid_overwrite: false,
    mixed_part_conditions: true,
    write_conditions: WriteConditions::Kept,
    digests: true,
    copy_has_crc: false,
    parts_have_crc: false,
    plain_acl: false,
    lists_types: false,
    object_types: None,
    lenient_ranges: false,
    region: "us-east-1",
    tells_usual_class: false,
    short_delimiter: false,
    self_copy_replaces: true,
    directives: ["COPY", "REPLACE"],
    not_here: &[
        "accelerate",
        "append",
        "attributes",
        "cors",
        "encryption",
        "inventory",
        "legal-hold",
        "lifecycle",
        "logging",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "retention",
        "select",
        "tagging",
        "torrent",
        "versionId",
        "versioning",
        "versions",
        "website",
    ],
    owner: ("75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a", "owner"),
    blank_is_plus: true,
    uploads_encoding_element: "EncodingType",
    class_of_uploads: "STANDARD",
    initiated: iso_time,
    xmlns: Some(XMLNS),
    completed_xmlns: Some(XMLNS),
    next_markers_always: true,
    copies_have_etag_header: false,
    part_copies_tell_range: false,
    everybody: "http://acs.amazonaws.com/groups/global/AllUsers",
    words,
    error,
    error_headers: |answer: Answer, text| {
        answer.with("x-amz-id-2", &format!("host-{}", text.asked.id))
    },
});

/// At most 1024 bytes, any characters.
fn check_key(text: &str) -> Result<(), Refusal> {
    if text.len() > 1024 { Err(Refusal::KeyTooLong) } else { Ok(()) }
}

fn words(refusal: &Refusal) -> Option<(u16, &'static str)> {
    Some(match refusal {
        Refusal::InvalidToken => (400, "InvalidToken"),
        Refusal::MalformedAuthorization(_) | Refusal::WrongRegion { .. } => {
            (400, "AuthorizationHeaderMalformed")
        }
        Refusal::NoSuchCopySource => (404, "NoSuchKey"),
        Refusal::AlreadyExists => (412, "PreconditionFailed"),
        Refusal::DocumentTooLong => (400, "MalformedXML"),
        Refusal::KeyTooLong => (400, "KeyTooLongError"),
        Refusal::InvalidStorageClass => (400, "InvalidStorageClass"),
        Refusal::NotArchived => (403, "InvalidObjectState"),
        Refusal::InvalidEncryption => (400, "InvalidEncryptionAlgorithmError"),
        Refusal::EncryptionNotAllowed => (400, "InvalidArgument"),
        Refusal::BadCustomerKey(_) => (400, "InvalidRequest"),
        Refusal::WrongCustomerKey => (403, "AccessDenied"),
        _ => return None,
    })
}

fn error(text: &ErrorText<'_>) -> String {
    let (request, config) = (text.asked.request, text.asked.config);
    let key = request.key_text(config).unwrap_or_default();
    let mut xml = Xml::declared();
    xml.group("Error", |xml| {
        xml.element("Code", text.code);
        xml.element("Message", text.message);
        if !key.is_empty() {
            xml.element("Key", key);
        }
        xml.element("BucketName", &config.bucket);
        xml.element("Resource", format!("/{}/{key}", config.bucket));
        if let Some(Refusal::WrongRegion { expected }) = text.refusal {
            xml.element("Region", expected);
        }
        xml.element("RequestId", text.asked.id);
        xml.element("HostId", format!("host-{}", text.asked.id));
    });
    xml.finish()
}
