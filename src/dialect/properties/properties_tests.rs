//! Properties against the rules of a made-up service: what is refused, what is sent, what comes first.

use super::*;
use crate::store::{Metadata, Replaces};

static RULES: PropertyRules = PropertyRules {
    service: "Some Service",
    prefix: "x-some-",
    metadata_bytes: 40,
    storage_classes: &["HOT", "COLD"],
    acl: Some(("x-some-acl", &["private", "public-read"])),
    grants: true,
    traffic_limit_bits: Some(100..=200),
    requester_pays: Some(("x-some-payer", "requester")),
    encryption: EncryptionNames {
        service_key: Some(("x-some-sse", &["AES256"])),
        kms: Some(("kms", "x-some-sse-kms-key-id")),
        kms_context: Some("x-some-sse-context"),
        customer: Some(("x-some-sse-customer", "x-some-source-sse-customer")),
    },
};

static POOR: PropertyRules = PropertyRules {
    service: "Poor Service",
    prefix: "x-poor-",
    metadata_bytes: 40,
    storage_classes: &[],
    acl: None,
    grants: false,
    traffic_limit_bits: None,
    requester_pays: None,
    encryption: EncryptionNames { service_key: None, kms: None, kms_context: None, customer: None },
};

fn everything() -> ObjectProperties {
    ObjectProperties {
        headers: StandardHeaders {
            cache_control: Some("max-age=60".into()),
            ..StandardHeaders::default()
        },
        content_types: ContentTypes::default(),
        metadata: [("owner", "me")].into_iter().collect(),
        storage_class: Some("COLD".into()),
        acl: Some("private".into()),
        grants: vec![Grant { right: Right::ReadAcp, grantees: "id=\"1\"".into() }],
        traffic_limit_bits: Some(150),
        content_md5: true,
        encryption: Encryption::Kms { key_id: Some("K".into()), context: Some("e30=".into()) },
        requester_pays: true,
    }
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &http::HeaderValue)| {
        format!("{name}: {}", value.to_str().unwrap())
    };
    let mut lines: Vec<String> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn new_objects_get_everything() {
    let applied = Applied::new(everything(), &RULES).unwrap();
    let headers = applied.new_object("dir/a.html", &PutOptions::default()).unwrap();
    assert_eq!(
        lines(&headers),
        [
            "cache-control: max-age=60",
            "content-type: text/html",
            "x-some-acl: private",
            "x-some-grant-read-acp: id=\"1\"",
            "x-some-meta-owner: me",
            "x-some-sse-context: e30=",
            "x-some-sse-kms-key-id: K",
            "x-some-sse: kms",
            "x-some-storage-class: COLD",
        ]
    );
}

#[test]
fn what_a_call_says_comes_first() {
    let applied = Applied::new(everything(), &RULES).unwrap();
    let options = PutOptions {
        headers: StandardHeaders {
            cache_control: Some("no-store".into()),
            ..StandardHeaders::of_type("text/x-poem")
        },
        storage_class: Some("HOT".into()),
        metadata: Metadata::from_iter([("owner", "you"), ("mode", "420")]),
        replaces: Replaces::Anything,
    };
    let headers = applied.new_object("a.html", &options).unwrap();
    let get = |name: &str| headers.get(name).unwrap().to_str().unwrap();
    assert_eq!(get("cache-control"), "no-store");
    assert_eq!(get("content-type"), "text/x-poem");
    assert_eq!(get("x-some-storage-class"), "HOT");
    assert_eq!(get("x-some-meta-owner"), "you");
    assert_eq!(get("x-some-meta-mode"), "420");
}

#[test]
fn copies_that_keep_their_properties_get_what_services_do_not_copy() {
    let applied = Applied::new(everything(), &RULES).unwrap();
    let headers = applied.copied_object(None).unwrap();
    assert_eq!(
        lines(&headers),
        [
            "x-some-acl: private",
            "x-some-grant-read-acp: id=\"1\"",
            "x-some-sse-context: e30=",
            "x-some-sse-kms-key-id: K",
            "x-some-sse: kms",
            "x-some-storage-class: COLD",
        ]
    );
}

#[test]
fn a_customer_key_goes_with_content_and_sources_and_is_never_shown() {
    let key = CustomerKey::new(b"01234567890123456789012345678901").unwrap();
    let encryption = Encryption::CustomerKey(key);
    let properties = ObjectProperties { encryption, ..ObjectProperties::default() };
    assert!(!format!("{properties:?}").contains("MDEyMzQ1"), "{properties:?}");
    let applied = Applied::new(properties, &RULES).unwrap();
    let trio = |prefix: &str| {
        vec![
            format!("{prefix}-algorithm: AES256"),
            // Values that the vendors' SDKs make of this key.
            format!("{prefix}-key-md5: KYvwGXoFFJ42a2u2GDWhwQ=="),
            format!("{prefix}-key: MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        ]
    };
    let mut headers = HeaderMap::new();
    applied.customer_key(&mut headers).unwrap();
    assert_eq!(lines(&headers), trio("x-some-sse-customer"));
    let mut headers = HeaderMap::new();
    applied.source_key(&mut headers).unwrap();
    assert_eq!(lines(&headers), trio("x-some-source-sse-customer"));
    assert_eq!(lines(&applied.copied_object(None).unwrap()), trio("x-some-sse-customer"));
    assert_eq!(CustomerKey::new(&[0; 31]), Err(InvalidCustomerKey(31)));
}

#[test]
fn what_a_service_lacks_is_refused_by_name() {
    let none = ObjectProperties::default;
    let key = CustomerKey::new(&[7; 32]).unwrap();
    let kms = |key_id: Option<&str>, context: Option<&str>| ObjectProperties {
        encryption: Encryption::Kms {
            key_id: key_id.map(Into::into),
            context: context.map(Into::into),
        },
        ..none()
    };
    for (properties, option) in [
        (ObjectProperties { acl: Some("private".into()), ..none() }, "acl"),
        (ObjectProperties { grants: everything().grants, ..none() }, "grant_read_acp"),
        (ObjectProperties { traffic_limit_bits: Some(150), ..none() }, "traffic_limit"),
        (ObjectProperties { requester_pays: true, ..none() }, "requester_pays"),
        (
            ObjectProperties {
                encryption: Encryption::ServiceKey { algorithm: "AES256".into() },
                ..none()
            },
            "sse",
        ),
        (kms(None, None), "sse"),
        (kms(Some("K"), None), "sse_kms_key_id"),
        (kms(Some("K"), Some("e30=")), "sse_kms_key_id"),
        (kms(None, Some("e30=")), "sse_kms_context"),
        (ObjectProperties { encryption: Encryption::CustomerKey(key), ..none() }, "sse_c_key_file"),
    ] {
        let refused = Applied::new(properties, &POOR).unwrap_err();
        let expected = ConnectError::LacksOption { service: "Poor Service", option };
        assert_eq!(refused, expected);
        assert!(refused.to_string().contains(option));
    }
}

#[test]
fn values_that_a_service_does_not_take_are_refused_by_name() {
    let none = ObjectProperties::default;
    let sm4 = Encryption::ServiceKey { algorithm: "SM4".into() };
    let long: Metadata = [("n", "x".repeat(40))].into_iter().collect();
    for (properties, words) in [
        (ObjectProperties { storage_class: Some("WARM".into()), ..none() }, "HOT, COLD"),
        (ObjectProperties { acl: Some("all".into()), ..none() }, "private, public-read"),
        (ObjectProperties { traffic_limit_bits: Some(99), ..none() }, "100 to 200 bits per second"),
        (
            ObjectProperties { traffic_limit_bits: Some(201), ..none() },
            "100 to 200 bits per second",
        ),
        (ObjectProperties { encryption: sm4, ..none() }, "AES256"),
        (ObjectProperties { metadata: long, ..none() }, "Some Service takes 40"),
        (ObjectProperties { metadata: [("a_b", "x")].into_iter().collect(), ..none() }, "a_b"),
        (
            ObjectProperties {
                headers: StandardHeaders { expires: Some("\n".into()), ..Default::default() },
                ..none()
            },
            "expires",
        ),
    ] {
        let refused = Applied::new(properties, &RULES).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}
