//! What is particular to signatures of OSS.

use super::super::vectors::{Vector, read};
use super::*;

fn vectors() -> Vec<Vector> {
    let mut all = read(include_str!("../../../tests/data/signing_vectors_oss_v1.json"));
    all.extend(read(include_str!("../../../tests/data/signing_vectors_oss_v4.json")));
    all
}

fn vector(name: &str) -> Vector {
    vectors().into_iter().find(|vector| vector.name == name).unwrap()
}

fn refusal_of(vector: &Vector) -> Refusal {
    verify(&vector.request().unwrap(), &vector.config(), vector.at(0)).unwrap_err()
}

#[test]
fn the_names_are_in_the_order_that_searching_needs() {
    assert!(SUBRESOURCES.is_sorted());
    let text = include_str!("../../../tests/data/signing_vectors_oss_v1.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut names: Vec<_> = file["signed_subresources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, SUBRESOURCES);
}

#[test]
fn a_token_stands_in_one_place() {
    for (name, parameter) in
        [("oss-v1/temp-token", "security-token"), ("oss-v4/temp-token", "x-oss-security-token")]
    {
        let mut vector = vector(name);
        vector.query = format!("{parameter}=TOKEN%2FEXAMPLE%2Btoken%3D%3D");
        assert!(matches!(refusal_of(&vector), Refusal::InvalidArgument(_)), "{name}");
    }
}

#[test]
fn a_date_is_required() {
    for (name, header) in [("oss-v1/get-plain", "date"), ("oss-v4/get-plain", "x-oss-date")] {
        let mut vector = vector(name);
        vector.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
        let refusal = refusal_of(&vector);
        let expected =
            matches!(refusal, Refusal::AccessDenied(_) | Refusal::MalformedAuthorization(_));
        assert!(expected, "{name}: {refusal:?}");
    }
}

#[test]
fn the_body_must_be_declared_as_unsigned() {
    let mut vector = vector("oss-v4/get-plain");
    vector.headers.retain(|(name, _)| name != "x-oss-content-sha256");
    assert!(matches!(refusal_of(&vector), Refusal::InvalidArgument(_)));
}

/// One SDK signs every parameter that begins with `x-oss-`, the other those it knows.
#[test]
fn either_choice_of_signed_parameters_is_right() {
    let vector = vector("oss-v1/get-plain");
    let config = vector.config();
    for all in [false, true] {
        let mut changed = vector.clone();
        changed.query = "x-oss-new=1&acl".to_owned();
        let request = changed.request().unwrap();
        let date = request.header("date").unwrap();
        let text = string_to_sign_v1(&request, &config, &date, all);
        assert!(text.ends_with(if all { "?acl&x-oss-new=1" } else { "?acl" }));
        let signature = base64::encode(&hmac_sha1(config.secret_access_key.as_bytes(), &text));
        changed.authorization = format!("OSS {}:{signature}", config.access_key_id);
        assert_eq!(verify(&changed.request().unwrap(), &config, vector.at(0)), Ok(()));
    }
}

/// The resource of a custom domain has the bucket too, and a bucket of others is not taken for ours.
#[test]
fn the_resource_names_the_bucket_however_it_was_found() {
    let mut vector = vector("oss-v1/path-style-ip-endpoint");
    let config = MockConfig { bucket: "b".to_owned(), ..vector.config() };
    for (host, path, expected) in [
        ("127.0.0.1:9000", "/b/k", "/b/k"),
        ("127.0.0.1:9000", "/k", "/b/k"),
        ("b.oss-x.aliyuncs.com", "/b/k", "/b/b/k"),
        ("c.oss-x.aliyuncs.com", "/k", "/c/k"),
        ("b.oss-x.aliyuncs.com", "/", "/b/"),
    ] {
        (vector.host, vector.path) = (host.to_owned(), path.to_owned());
        vector.headers.retain(|(name, _)| name != "Host");
        assert_eq!(resource(&vector.request().unwrap(), &config), expected);
    }
}
