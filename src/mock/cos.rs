//! Tencent COS: what it does in its own way. Knows nothing of connections and of the bucket.

use super::answer::{Answer, Content};
use super::refusal::Refusal;
use super::voice::Rules;
use super::xml_family::{ErrorText, Flavor, Storage, WriteConditions, Xml, XmlVoice, asctime};
use crate::store::memory::EtagStyle;

/// How COS speaks.
pub(super) static VOICE: XmlVoice = XmlVoice(Flavor {
    prefix: "x-cos-",
    server: "tencent-cos",
    rules: Rules {
        put_bytes: 5 << 30,
        copy_bytes: 5 << 30,
        append_bytes: 5 << 30,
        part_min_bytes: 1 << 20,
        gaps_allowed: false,
        abort_repeatable: false,
        etag_style: EtagStyle::Unpredictable,
        crc64nvme: false,
        keeps_md5: false,
        archives: &["ARCHIVE", "DEEP_ARCHIVE"],
        restore_header: "x-cos-restore",
        key_for_head: true,
        copies_appended: false,
        ranges_of_large_only: false,
        bad_ranges_copy_all: false,
        copy_not_modified: false,
    },
    check_key,
    storage: Storage {
        classes: &[
            "STANDARD",
            "STANDARD_IA",
            "INTELLIGENT_TIERING",
            "ARCHIVE",
            "DEEP_ARCHIVE",
            "MAZ_STANDARD",
            "MAZ_STANDARD_IA",
            "MAZ_INTELLIGENT_TIERING",
        ],
        acl_header: "acl",
        acls: &["default", "private", "public-read"],
        grants: &["grant-read", "grant-read-acp", "grant-write-acp", "grant-full-control"],
        encryptions: &["AES256", "cos/kms"],
        customer_keys: true,
        traffic_limits: Some((819_200, 838_860_800)),
        metadata_characters: "",
        metadata_bytes: 2048,
    },
    content_type: "application/octet-stream",
    list_page: 1000,
    list_v2: false,
    next_marker_by_delimiter: false,
    encodes_results: false,
    quiet_is_empty: false,
    forbid_overwrite: true,
    mixed_part_conditions: false,
    write_conditions: WriteConditions::Ignored,
    digests: false,
    copy_has_crc: true,
    parts_have_crc: false,
    plain_acl: false,
    lists_types: false,
    object_types: Some(["normal", "normal", "appendable"]),
    lenient_ranges: false,
    region: "ap-guangzhou",
    tells_usual_class: false,
    short_delimiter: true,
    self_copy_replaces: true,
    directives: ["Copy", "Replaced"],
    not_here: &[
        "accelerate",
        "cors",
        "domain",
        "inventory",
        "lifecycle",
        "logging",
        "object-lock",
        "policy",
        "referer",
        "replication",
        "symlink",
        "tagging",
        "versionId",
        "versioning",
        "versions",
        "website",
    ],
    owner: ("qcs::cam::uin/100000000001:uin/100000000001", "100000000001"),
    blank_is_plus: false,
    uploads_encoding_element: "Encoding-Type",
    class_of_uploads: "Standard",
    initiated: asctime,
    xmlns: None,
    completed_xmlns: Some("http://www.qcloud.com/document/product/436/7751"),
    next_markers_always: false,
    copies_have_etag_header: false,
    part_copies_tell_range: false,
    everybody: "http://cam.qcloud.com/groups/global/AllUsers",
    words,
    error,
    error_headers,
});

/// At most 850 bytes, no control characters 24 to 27, no leading slash or backslash.
fn check_key(text: &str) -> Result<(), Refusal> {
    if text.len() > 850 {
        return Err(Refusal::KeyTooLong);
    }
    let forbidden = text.bytes().any(|byte| (24..=27).contains(&byte));
    if forbidden || text.starts_with(['/', '\\']) {
        return Err(Refusal::InvalidKey);
    }
    Ok(())
}

/// The common words were COS's before they were the family's.
fn words(_: &Refusal) -> Option<(u16, &'static str)> {
    None
}

fn error(text: &ErrorText<'_>) -> String {
    let asked = text.asked;
    let path = String::from_utf8_lossy(&asked.request.path);
    let mut xml = Xml::default();
    xml.raw("<?xml version='1.0' encoding='utf-8' ?>\n");
    xml.group("Error", |xml| {
        xml.raw("\n");
        for (name, value) in [
            ("Code", text.code),
            ("Message", text.message),
            ("Resource", &format!("{}{path}", asked.request.host)),
            ("RequestId", asked.id),
            ("TraceId", &trace_id(asked.id)),
        ] {
            xml.raw("\t");
            xml.element(name, value);
            xml.raw("\n");
        }
    });
    xml.raw("\n");
    xml.finish()
}

fn error_headers(answer: Answer, text: &ErrorText<'_>) -> Answer {
    match answer.content {
        Content::None => answer,
        _ => answer.with("x-cos-trace-id", &trace_id(text.asked.id)),
    }
}

fn trace_id(request_id: &str) -> String {
    format!("trace-{request_id}")
}
