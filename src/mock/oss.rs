//! Alibaba OSS: what it does in its own way. Knows nothing of connections and of the bucket.

use super::answer::{Answer, Content};
use super::base64;
use super::refusal::Refusal;
use super::request::host_name;
use super::voice::Rules;
use super::xml_family::{ErrorText, Flavor, Storage, WriteConditions, Xml, XmlVoice, iso_time};
use crate::store::memory::EtagStyle;

/// How OSS speaks.
pub(super) static VOICE: XmlVoice = XmlVoice(Flavor {
    prefix: "x-oss-",
    server: "AliyunOSS",
    rules: Rules {
        put_bytes: 5 << 30,
        copy_bytes: 1 << 30,
        append_bytes: 5 << 30,
        part_min_bytes: 100 << 10,
        gaps_allowed: true,
        abort_repeatable: false,
        etag_style: EtagStyle::UpperCase,
        crc64nvme: false,
        keeps_md5: true,
        archives: &["Archive", "ColdArchive", "DeepColdArchive"],
        restore_header: "x-oss-restore",
        key_for_head: true,
        copies_appended: false,
        ranges_of_large_only: false,
        bad_ranges_copy_all: true,
        copy_not_modified: true,
    },
    check_key,
    storage: Storage {
        classes: &["Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"],
        acl_header: "object-acl",
        acls: &["default", "private", "public-read", "public-read-write"],
        grants: &[],
        encryptions: &["AES256", "SM4", "KMS"],
        customer_keys: false,
        traffic_limits: Some((819_200, 838_860_800)),
        metadata_characters: "",
        metadata_bytes: 8192,
    },
    content_type: "application/octet-stream",
    list_page: 100,
    list_v2: true,
    next_marker_by_delimiter: false,
    encodes_results: true,
    quiet_is_empty: true,
    forbid_overwrite: true,
    mixed_part_conditions: true,
    write_conditions: WriteConditions::Refused,
    digests: false,
    copy_has_crc: false,
    parts_have_crc: true,
    plain_acl: true,
    lists_types: true,
    object_types: Some(["Normal", "Multipart", "Appendable"]),
    lenient_ranges: true,
    region: "oss-cn-hangzhou",
    tells_usual_class: true,
    short_delimiter: false,
    self_copy_replaces: false,
    directives: ["COPY", "REPLACE"],
    not_here: &[
        "bucketInfo",
        "cors",
        "encryption",
        "inventory",
        "lifecycle",
        "logging",
        "policy",
        "referer",
        "replication",
        "stat",
        "symlink",
        "tagging",
        "versionId",
        "versioning",
        "versions",
        "website",
        "worm",
        "x-oss-process",
    ],
    owner: ("1000000000000000", "1000000000000000"),
    blank_is_plus: false,
    uploads_encoding_element: "EncodingType",
    class_of_uploads: "Standard",
    initiated: iso_time,
    // The documentation prints one, but the official SDKs would find nothing below it.
    xmlns: None,
    completed_xmlns: None,
    next_markers_always: true,
    copies_have_etag_header: true,
    part_copies_tell_range: true,
    everybody: "",
    words,
    error,
    error_headers,
});

/// At most 1023 bytes, no leading slash or backslash.
fn check_key(text: &str) -> Result<(), Refusal> {
    if text.len() > 1023 || text.starts_with(['/', '\\']) {
        return Err(Refusal::InvalidKey);
    }
    Ok(())
}

fn words(refusal: &Refusal) -> Option<(u16, &'static str)> {
    Some(match refusal {
        Refusal::ExpiredToken => (403, "SecurityTokenExpired"),
        Refusal::InvalidToken => (403, "InvalidSecurityToken"),
        Refusal::MalformedAuthorization(_) => (400, "InvalidArgument"),
        Refusal::WrongPosition(_) => (409, "PositionNotEqualToLength"),
        Refusal::NoSuchCopySource => (404, "NoSuchKey"),
        Refusal::WrongDigest => (400, "InvalidDigest"),
        Refusal::DocumentTooLong => (400, "MalformedXML"),
        Refusal::InvalidPartNumber => (400, "InvalidPartOrder"),
        Refusal::InvalidStorageClass
        | Refusal::EncryptionNotAllowed
        | Refusal::BadCustomerKey(_)
        | Refusal::WrongCustomerKey => (400, "InvalidArgument"),
        Refusal::InvalidEncryption => (400, "InvalidEncryptionAlgorithmError"),
        Refusal::NotArchived => (400, "OperationNotSupported"),
        Refusal::UnexpectedCondition => (400, "NotImplemented"),
        _ => return None,
    })
}

fn error(text: &ErrorText<'_>) -> String {
    let mut xml = Xml::declared();
    xml.group("Error", |xml| {
        xml.element("Code", text.code);
        xml.element("Message", text.message);
        xml.element("RequestId", text.asked.id);
        xml.element("HostId", host_name(&text.asked.request.host));
        if let Some(Refusal::SignatureDoesNotMatch(signed)) = text.refusal {
            // What helps whoever writes a signer most.
            let bytes: Vec<_> = signed.bytes().map(|byte| format!("{byte:02X}")).collect();
            xml.element("OSSAccessKeyId", &text.asked.config.access_key_id);
            xml.element("StringToSign", signed);
            xml.element("StringToSignBytes", bytes.join(" "));
        }
    });
    xml.finish()
}

/// A HEAD has no body: the document stands in a header. So does the position of an append.
fn error_headers(answer: Answer, text: &ErrorText<'_>) -> Answer {
    let answer = match text.refusal {
        Some(Refusal::WrongPosition(size)) => {
            answer.with("x-oss-next-append-position", &size.to_string())
        }
        _ => answer,
    };
    match answer.content {
        Content::None if answer.status.is_client_error() || answer.status.is_server_error() => {
            answer.with("x-oss-err", &base64::encode(error(text).as_bytes()))
        }
        _ => answer,
    }
}
