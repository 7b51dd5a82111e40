//! What can be said about a bucket before anything is sent, and in which words it is refused.

use super::*;
use crate::dialect::Credentials;

fn try_connect(
    bucket: &str,
    endpoint: Option<&str>,
    region: Option<&str>,
) -> Result<(), ConnectError> {
    connect(Connection {
        dialect: DialectName::Cos,
        bucket: bucket.into(),
        endpoint: endpoint.map(str::to_owned),
        region: region.map(str::to_owned),
        path_style: None,
        signature_version: None,
        credentials: Credentials::new("AKID", "hush").into(),
        properties: ObjectProperties::default(),
        timing: Timing::default(),
    })
    .map(drop)
}

const BUCKET: &str = "photos-1250000000";

#[test]
fn mistakes_are_named() {
    let refused = |bucket, endpoint, region| try_connect(bucket, endpoint, region).unwrap_err();
    let without_app_id = |name: &str| ConnectError::BucketWithoutAppId(name.into());
    assert_eq!(refused("photos", None, Some("ap-guangzhou")), without_app_id("photos"));
    assert_eq!(refused("photos-2024", None, None), without_app_id("photos-2024"));
    for bad in ["", "Photos-1250000000", "a_b-1250000000", "a.b-1250000000", "-a-1250000000"] {
        assert_eq!(refused(bad, None, None), ConnectError::BadBucket(bad.into()));
    }
    assert_eq!(refused(BUCKET, None, None), ConnectError::NoRegionNorEndpoint(BUCKET.into()));
    assert_eq!(refused(BUCKET, None, Some("x/y")), ConnectError::BadRegion("x/y".into()));
    for bad in [
        "cos.ap-guangzhou.myqcloud.com",
        "127.0.0.1:80",
        "ftp://host",
        "https://",
        "",
        "http://h:99999",
        "http://user@host",
        "http://a b",
    ] {
        assert_eq!(refused(BUCKET, Some(bad), None), ConnectError::MalformedEndpoint(bad.into()));
    }
    for bad in
        ["https://host/path", "https://host/?q", "https://cos.ap-guangzhou.myqcloud.com/photos"]
    {
        assert_eq!(refused(BUCKET, Some(bad), None), ConnectError::EndpointWithPath(bad.into()));
    }
    for endpoint in [
        "https://photos-1250000000.cos.ap-guangzhou.myqcloud.com",
        "https://other-1250000000.cos.ap-guangzhou.myqcloud.com",
    ] {
        let without = "https://cos.ap-guangzhou.myqcloud.com".to_owned();
        let error = refused(BUCKET, Some(endpoint), None);
        assert_eq!(error, ConnectError::BucketInEndpoint { endpoint: endpoint.into(), without });
    }
    let message = refused("photos", None, None).to_string();
    assert!(message.contains("\"photos-1250000000\""), "{message}");
}

#[test]
fn plain_endpoints_need_no_certificates() {
    for endpoint in
        ["http://127.0.0.1:9000", "http://localhost:1/", "http://[::1]:2", "http://example.org"]
    {
        try_connect(BUCKET, Some(endpoint), None).unwrap();
    }
}

#[test]
fn endpoints_are_taken_apart() {
    let parse = |text| Endpoint::parse(text).unwrap();
    let endpoint = parse("HTTP://LocalHost:80/");
    assert_eq!((endpoint.tls, &*endpoint.authority()), (false, "localhost:80"));
    assert!(endpoint.is_loopback());
    assert!(parse("http://127.1.2.3:80").is_loopback());
    assert!(parse("http://[::1]:80").is_loopback());
    assert!(!parse("http://10.0.0.1").is_loopback());
    assert!(!parse("http://localhost.example.org").is_loopback());
}

#[test]
fn keys_with_blanks_or_line_ends_are_refused() {
    let check = |text: &str| check_credentials(&Credentials::new("AKID", text).into());
    assert_eq!(check("ok+/="), Ok(()));
    for bad in ["", "a b", "a\n", "é"] {
        assert_eq!(check(bad), Err(ConnectError::BadCredentials));
    }
}

#[test]
fn names_go_both_ways() {
    for name in [DialectName::Cos, DialectName::Oss, DialectName::S3] {
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    assert!("ftp".parse::<DialectName>().is_err());
}

#[test]
fn what_a_service_lacks_is_refused_by_name() {
    use crate::dialect::scripted::connection;
    let refused = |connection: Connection| connect(connection).unwrap_err();
    let region = || Some("ap-guangzhou".to_owned());
    let lacks = |service, option| ConnectError::LacksOption { service, option };
    let cos = Connection { region: region(), ..connection(DialectName::Cos, BUCKET) };
    let path_style = Connection { path_style: Some(true), ..cos.clone() };
    assert_eq!(refused(path_style), lacks("COS", "path_style"));
    let v4 = Some(SignatureVersion::V4);
    let signed = Connection { signature_version: v4, ..cos.clone() };
    assert_eq!(refused(signed), lacks("COS", "signature_version"));
    let s3 = Connection { region: region(), ..connection(DialectName::S3, "photos") };
    let signed = Connection { signature_version: v4, ..s3 };
    assert_eq!(refused(signed), lacks("S3", "signature_version"));
    connect(Connection { path_style: Some(false), ..cos }).unwrap();
}
