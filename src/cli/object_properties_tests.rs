//! What the options about new objects become, and what is refused.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn given(flags: &[(&'static str, &str)]) -> Result<ObjectProperties, String> {
    let flags: BTreeMap<_, _> =
        flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    properties(&Settings { flags, ..Settings::default() }).map_err(|refusal| refusal.to_string())
}

#[test]
fn nothing_given_is_nothing_asked_for() {
    let properties = given(&[]).unwrap();
    assert_eq!(properties.headers, StandardHeaders::default());
    assert_eq!(properties.encryption, Encryption::None);
    assert!(!properties.content_md5 && !properties.requester_pays);
}

#[test]
fn everything_arrives() {
    let properties = given(&[
        ("storage_class", "STANDARD_IA"),
        ("acl", "public-read"),
        ("grant_read", "id=\"1\""),
        ("grant_full_control", "id=\"2\""),
        ("cache_control", "max-age=60"),
        ("content_type", "*.log=text/plain; charset=utf-8|none"),
        ("object_metadata", "team=ours|note= a=b "),
        ("traffic_limit", "100Mbit"),
        ("content_md5", "true"),
        ("requester_pays", "true"),
        ("sse", "AES256"),
    ])
    .unwrap();
    assert_eq!(properties.storage_class.as_deref(), Some("STANDARD_IA"));
    assert_eq!(properties.acl.as_deref(), Some("public-read"));
    let rights: Vec<_> =
        properties.grants.iter().map(|grant| (grant.right, &*grant.grantees)).collect();
    assert_eq!(rights, [(Right::Read, "id=\"1\""), (Right::FullControl, "id=\"2\"")]);
    assert_eq!(properties.headers.cache_control.as_deref(), Some("max-age=60"));
    assert_eq!(properties.content_types.of("d/x.log"), Some("text/plain; charset=utf-8"));
    assert_eq!(properties.content_types.of("x.html"), None);
    assert_eq!(properties.metadata.get("team"), Some("ours"));
    assert_eq!(properties.metadata.get("note"), Some("a=b"));
    assert_eq!(properties.traffic_limit_bits, Some(100_000_000));
    assert!(properties.content_md5 && properties.requester_pays);
    assert_eq!(properties.encryption, Encryption::ServiceKey { algorithm: "AES256".into() });
}

#[test]
fn encryption_is_of_one_kind() {
    let kms = |key_id: Option<&str>| {
        Ok(Encryption::Kms { key_id: key_id.map(str::to_owned), context: None })
    };
    let encryption = |flags: &[_]| given(flags).map(|properties| properties.encryption);
    assert_eq!(encryption(&[("sse", "KMS")]), kms(None));
    assert_eq!(encryption(&[("sse_kms_key_id", "K")]), kms(Some("K")));
    assert_eq!(encryption(&[("sse", "KMS"), ("sse_kms_key_id", "K")]), kms(Some("K")));
    for flags in [
        &[("sse", "AES256"), ("sse_kms_key_id", "K")][..],
        &[("sse", "AES256"), ("sse_c_key_file", "/k")],
        &[("sse_kms_key_id", "K"), ("sse_c_key_file", "/k")],
        &[("sse", "AES256"), ("sse_kms_context", "e30=")],
        &[("sse_kms_context", "e30="), ("sse_c_key_file", "/k")],
    ] {
        let refused = encryption(flags).unwrap_err();
        assert!(refused.contains("give one"), "{flags:?}");
        assert!(flags.iter().all(|(option, _)| refused.contains(option)), "{flags:?}: {refused}");
    }
}

#[test]
fn a_customer_key_is_raw_or_base64_and_nobody_else_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let name = path.to_str().unwrap();
    let encryption = || given(&[("sse_c_key_file", name)]).map(|properties| properties.encryption);
    let write = |bytes: &[u8], mode| {
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    let raw = b"01234567890123456789012345678901";
    let expected = Ok(Encryption::CustomerKey(CustomerKey::new(raw).unwrap()));
    write(raw, 0o600);
    assert_eq!(encryption(), expected);
    write(b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", 0o400);
    assert_eq!(encryption(), expected);
    write(&raw[..31], 0o600);
    assert!(encryption().unwrap_err().ends_with("or in base64; this has 31"));
    write(raw, 0o640);
    let refused = encryption().unwrap_err();
    assert!(refused.contains(name) && refused.contains("chmod 600"), "{refused}");
    std::fs::remove_file(&path).unwrap();
    assert!(encryption().unwrap_err().contains("there is no such file"));
}

#[test]
fn bad_values_are_named() {
    for (name, value, words) in [
        ("traffic_limit", "fast", "traffic_limit fast is no number of bits per second"),
        ("traffic_limit", "99999999999Gbit", "is no number of bits"),
        ("content_type", "*.x", "content_type *.x: in it, \"*.x\" is not a content type"),
        ("object_metadata", "x", "in it, \"x\" is not of the form name=value"),
        ("cache_control", "é", "has characters that no header carries"),
        ("storage_class", "", "storage_class  is empty"),
    ] {
        let refused = given(&[(name, value)]).unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
}
