//! Requests and answers of OSS, one by one, against the pages of the service; then over the wire.

use http::StatusCode;

use super::*;
use crate::dialect::scripted::*;
use crate::dialect::xml_service::XmlService;
use crate::dialect::{Dialect, DialectName, ObjectProperties};
use crate::store::{
    ByteRange, Conditions, CopyOptions, ETag, Expected, ListRequest, ObjectVersion, PartNumber,
    Payload, PutOptions, Replaces, Upload, UploadId,
};

fn here(endpoint: Option<&str>, region: Option<&str>) -> Connection {
    Connection {
        endpoint: endpoint.map(str::to_owned),
        region: region.map(str::to_owned),
        ..connection(DialectName::Oss, "photos")
    }
}

fn service() -> XmlService<Oss> {
    let oss = Oss::new(&here(None, Some("cn-hangzhou"))).unwrap();
    XmlService::new(oss, ObjectProperties::default()).unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[test]
fn the_bucket_goes_where_the_endpoint_says() {
    let place = |connection: Connection| {
        let Place { site, path_prefix, region, .. } = Place::new(&connection).unwrap();
        let scheme = if site.tls { "https" } else { "http" };
        let region = region.unwrap_or_default();
        format!("{scheme}://{}{path_prefix} {region}", site.authority)
    };
    let public = "https://photos.oss-cn-hangzhou.aliyuncs.com cn-hangzhou";
    assert_eq!(place(here(None, Some("cn-hangzhou"))), public);
    assert_eq!(place(here(None, Some("oss-cn-hangzhou"))), public);
    for (endpoint, expected) in [
        ("https://oss-cn-hangzhou.aliyuncs.com/", public),
        (
            "http://oss-us-west-1-internal.aliyuncs.com:80",
            "http://photos.oss-us-west-1-internal.aliyuncs.com:80 us-west-1",
        ),
        ("https://oss-accelerate.aliyuncs.com", "https://photos.oss-accelerate.aliyuncs.com "),
        (
            "https://cn-hangzhou.oss.aliyuncs.com",
            "https://photos.cn-hangzhou.oss.aliyuncs.com cn-hangzhou",
        ),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/photos "),
        ("http://[::1]:9000", "http://[::1]:9000/photos "),
        ("https://files.example.org", "https://files.example.org "),
        ("https://photos.example.org", "https://photos.example.org "),
    ] {
        assert_eq!(place(here(Some(endpoint), None)), expected, "{endpoint}");
    }
    let style = |path_style, endpoint| {
        let path_style = Some(path_style);
        place(Connection { path_style, ..here(Some(endpoint), Some("r")) })
    };
    assert_eq!(style(true, "http://oss.local"), "http://oss.local/photos r");
    assert_eq!(style(false, "http://127.0.0.1:9000"), "http://127.0.0.1:9000 r");
}

#[test]
fn mistakes_are_named() {
    let refused = |connection: Connection| Oss::new(&connection).unwrap_err();
    let missing = ConnectError::NoRegionNorEndpoint("photos".into());
    assert_eq!(refused(here(None, None)), missing);
    for bucket in ["ab", "Photos", "a.b", "a_b", "-ab", "ab-"] {
        let error =
            refused(Connection { bucket: bucket.into(), ..here(None, Some("cn-hangzhou")) });
        let told = error.to_string();
        assert!(told.contains("3 to 63") && told.contains(bucket), "{told}");
    }
    assert_eq!(refused(here(None, Some("a/b"))), ConnectError::BadRegion("a/b".into()));
    let endpoint = "https://photos.oss-cn-hangzhou.aliyuncs.com";
    assert_eq!(
        refused(here(Some(endpoint), None)),
        ConnectError::BucketInEndpoint {
            endpoint: endpoint.into(),
            without: "https://oss-cn-hangzhou.aliyuncs.com".into(),
        }
    );
    let public = here(Some("https://oss-cn-hangzhou.aliyuncs.com"), None);
    let error = refused(Connection { path_style: Some(true), ..public });
    assert!(error.to_string().contains("path_style"), "{error}");
    let error = refused(here(Some("https://files.example.org"), None)).to_string();
    assert!(error.contains("--region") && error.contains("signature_version=v1"), "{error}");
    let v1 = Some(SignatureVersion::V1);
    Oss::new(&Connection {
        signature_version: v1,
        ..here(Some("https://files.example.org"), None)
    })
    .unwrap();
}

/// As the SDKs do: OSS documents the header for Complete and not for Initiate.
#[test]
fn objects_in_parts_get_their_acl_when_they_are_completed() {
    let oss = Oss::new(&here(None, Some("cn-hangzhou"))).unwrap();
    let properties = ObjectProperties { acl: Some("private".into()), ..Default::default() };
    let oss = XmlService::new(oss, properties).unwrap();
    let upload = Upload { key: key("k"), id: UploadId::new("U") };
    let expected = Expected { size: 1, checksum: None, replaces: Replaces::Anything };
    let draft = oss.complete_upload(&upload, &[], &expected).unwrap();
    assert_eq!(draft.headers["x-oss-object-acl"], "private");
    let draft = service().complete_upload(&upload, &[], &expected).unwrap();
    assert!(!draft.headers.contains_key("x-oss-object-acl"));
}

#[test]
fn requests_have_the_words_of_oss() {
    let oss = service();
    let range = ByteRange::new(5, 10);
    let draft = oss.get(&key("k"), range, &Conditions::NONE).unwrap();
    assert_eq!(draft.headers["x-oss-range-behavior"], "standard");
    assert!(
        !oss.get(&key("k"), None, &Conditions::NONE)
            .unwrap()
            .headers
            .contains_key("x-oss-range-behavior")
    );

    let once = PutOptions { replaces: Replaces::Nothing, ..PutOptions::default() };
    let upload = Upload { key: key("k"), id: UploadId::new("U") };
    let expected = Expected { size: 1, checksum: None, replaces: Replaces::Nothing };
    let copy =
        CopyOptions { if_match: None, replace: Some(once.clone()), ..CopyOptions::default() };
    for draft in [
        oss.put(&key("k"), Payload::default(), &once),
        oss.start_upload(&key("k"), &once),
        oss.copy(&key("a b/+"), &key("k"), &copy),
        oss.complete_upload(&upload, &[], &expected),
    ] {
        assert_eq!(draft.unwrap().headers["x-oss-forbid-overwrite"], "true");
    }
    let if_match = Some(ObjectVersion { etag: ETag::new("E"), size: 1 });
    let draft = oss
        .copy(
            &key("a b/+"),
            &key("k"),
            &CopyOptions { if_match, replace: None, ..CopyOptions::default() },
        )
        .unwrap();
    assert_eq!(draft.headers["x-oss-copy-source"], "/photos/a%20b/%2B");
    assert_eq!(draft.headers["x-oss-copy-source-if-match"], "\"E\"");
    assert_eq!(draft.headers["x-oss-metadata-directive"], "COPY");
    let draft = oss.delete_many(&[&key("k")]).unwrap();
    assert_eq!(encode::query(&draft.query), "delete&encoding-type=url");
    let draft = oss.append(&key("k"), 7, Payload::from(vec![1]), &PutOptions::default()).unwrap();
    assert_eq!(encode::query(&draft.query), "append&position=7");
    let draft = oss.list(&ListRequest::default()).unwrap();
    assert_eq!(encode::query(&draft.query), "encoding-type=url&max-keys=1000");
    for bad in ["/a", "\\a"] {
        assert!(Dialect::check_key(&oss, &key(bad)).is_err());
    }
    assert!(Dialect::check_key(&oss, &key(&"a".repeat(1024))).is_err());
    assert!(Dialect::check_key(&oss, &key(&"a".repeat(1023))).is_ok());
}

fn an_upload() -> Upload {
    Upload { key: Key::new("k").unwrap(), id: UploadId::new("U1") }
}

/// The parts of the page CompleteMultipartUpload, and the ETag it prints for them.
#[test]
fn the_etag_of_a_multipart_object_is_foretold() {
    let part = |number, etag: &str| PartReceipt {
        number: PartNumber::new(number).unwrap(),
        etag: ETag::new(etag),
        size: 1,
        checksum: None,
    };
    let parts =
        [part(1, "f814893777bcc2295fff05f00e508da6"), part(2, "7D793037A0760186574B0282F2F435E7")];
    let etag = service().predicted_etag(&an_upload(), &parts).unwrap();
    assert_eq!(etag.as_str(), "7C57EA06D59F07CB942E39D26B13DD9A-2");
}

fn answer_of(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let body = if body.is_empty() { Vec::new() } else { vec![body.to_owned().into()] };
    Answer { status: StatusCode::from_u16(status).unwrap(), headers: map, body }
}

#[test]
fn parts_tell_their_checksum() {
    let body = "<ListPartsResult><IsTruncated>false</IsTruncated>\
        <Part><PartNumber>1</PartNumber><ETag>\"A\"</ETag><HashCrc64ecma>1796661072844795914</HashCrc64ecma><Size>6</Size></Part>\
        <Part><PartNumber>2</PartNumber><ETag>\"B\"</ETag><Size>5</Size></Part></ListPartsResult>";
    let page = service().read_parts(&answer_of(200, &[], body), None).unwrap();
    let kind = ChecksumKind::Crc64Xz;
    let expected = Checksum { kind, value: 1796661072844795914 };
    assert_eq!(page.parts[0].checksum, Some(expected));
    assert_eq!(page.parts[1].checksum, None);
    let bad = body.replace("1796661072844795914", "many");
    assert!(service().read_parts(&answer_of(200, &[], &bad), None).is_err());
}

#[test]
fn the_error_of_a_head_is_in_a_header() {
    // <Error><Code>SecurityTokenExpired</Code><Message>gone</Message></Error>
    let document = "PEVycm9yPjxDb2RlPlNlY3VyaXR5VG9rZW5FeHBpcmVkPC9Db2RlPjxNZXNzYWdlPmdvbmU8L01lc3NhZ2U+PC9FcnJvcj4=";
    let failure = Dialect::failure(&service(), &answer_of(403, &[("x-oss-err", document)], ""));
    assert_eq!(failure.kind, ErrorKind::BadCredentials);
    assert_eq!(failure.code.as_deref(), Some("SecurityTokenExpired"));
    assert_eq!(&*failure.message, "gone");
    for strange in ["", "%%%", "AAAA"] {
        let failure = Dialect::failure(&service(), &answer_of(403, &[("x-oss-err", strange)], ""));
        assert_eq!((failure.kind, failure.code), (ErrorKind::AccessDenied, None));
    }
}

#[test]
fn another_endpoint_is_named() {
    let body = "<Error><Code>AccessDenied</Code><Message>The bucket you are attempting to access must be addressed using the specified endpoint.</Message><Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint></Error>";
    let failure = Dialect::failure(&service(), &answer_of(403, &[], body));
    assert_eq!(failure.kind, ErrorKind::WrongEndpoint);
    assert!(failure.message.contains("oss-cn-beijing.aliyuncs.com"), "{}", failure.message);
}

#[test]
fn the_service_says_how_long_to_wait() {
    let wait = |headers: &[(&str, &str)]| {
        Dialect::asks_to_wait(&service(), &answer_of(503, headers, "").headers)
    };
    assert_eq!(wait(&[("x-oss-qos-delay-time", "250")]), Some(Duration::from_millis(250)));
    assert_eq!(
        wait(&[("x-oss-qos-delay-time", "soon"), ("retry-after", "1")]),
        Some(Duration::from_secs(1))
    );
    assert_eq!(wait(&[]), None);
}

fn over(server: &Scripted) -> std::sync::Arc<dyn crate::store::ObjectStore> {
    server.store_as(here(None, Some("cn-hangzhou")))
}

const LAST_MODIFIED: (&str, &str) = ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT");

#[tokio::test]
async fn an_address_has_the_bucket_in_its_paths() {
    let server = Scripted::start(vec![say(200, &[("ETag", "\"E\"")], "")]).await;
    over(&server).put(&key("a/../b"), Payload::default(), &PutOptions::default()).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!((&*seen.method, &*seen.target), ("PUT", "/photos/a/..%2Fb"));
    let authorization = seen.header("authorization").unwrap();
    assert!(authorization.starts_with("OSS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    assert!(authorization.contains("/cn-hangzhou/oss/aliyun_v4_request"));
    assert_eq!(seen.header("x-oss-security-token"), Some(TOKEN));
}

#[tokio::test]
async fn signatures_v1_by_option() {
    let server = Scripted::start(vec![say(204, &[], "")]).await;
    let connection =
        Connection { signature_version: Some(SignatureVersion::V1), ..here(None, None) };
    server.store_as(connection).delete(&key("k")).await.unwrap();
    let seen = &server.seen()[0];
    assert!(seen.header("authorization").unwrap().starts_with("OSS AKIDEXAMPLE:"));
    assert!(seen.header("date").is_some());
}

#[tokio::test]
async fn a_quiet_multi_delete_has_an_empty_answer() {
    let failed = "<DeleteResult><EncodingType>url</EncodingType><Error><Key>a%2Bb</Key><Code>AccessDenied</Code><Message>m</Message></Error></DeleteResult>";
    let server = Scripted::start(vec![say(200, &[], ""), say(200, &[], failed)]).await;
    let store = over(&server);
    assert!(store.delete_many(&[key("a")]).await.unwrap().is_empty());
    let failed = store.delete_many(&[key("a+b")]).await.unwrap();
    assert_eq!((failed[0].0.as_str(), failed[0].1.kind), ("a+b", ErrorKind::AccessDenied));
}

#[tokio::test]
async fn an_append_at_the_wrong_position_is_refused() {
    let refused = say(
        409,
        &[("x-oss-next-append-position", "5")],
        "<Error><Code>PositionNotEqualToLength</Code></Error>",
    );
    let done = say(
        200,
        &[("x-oss-next-append-position", "8"), ("ETag", "\"E\""), ("x-oss-hash-crc64ecma", "42")],
        "",
    );
    let server = Scripted::start(vec![refused, done]).await;
    let store = over(&server);
    let bytes = || Payload::from(vec![1, 2, 3]);
    let options = PutOptions::default();
    let error = store.append(&key("k"), 0, bytes(), &options).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PreconditionFailed);
    let appended = store.append(&key("k"), 5, bytes(), &options).await.unwrap();
    assert_eq!(appended.version.size, 8);
    assert_eq!(appended.checksum.unwrap().value, 42);
    let error = store.append(&key("k"), 5 * GIB, bytes(), &options).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert_eq!(server.seen().len(), 2);
}

/// The upload is gone, as it is after a Complete whose answer was lost. What is there decides.
#[tokio::test]
async fn a_lost_complete_is_resolved_by_checksum_or_etag() {
    const CRC: u64 = 5981764153023615706;
    const ETAG: &str = "\"7C57EA06D59F07CB942E39D26B13DD9A-2\"";
    let part = |number, etag: &str, size| PartReceipt {
        number: PartNumber::new(number).unwrap(),
        etag: ETag::new(etag),
        size,
        checksum: None,
    };
    let parts = [
        part(1, "F814893777BCC2295FFF05F00E508DA6", 6),
        part(2, "7D793037A0760186574B0282F2F435E7", 5),
    ];
    let crc = Checksum { kind: ChecksumKind::Crc64Xz, value: CRC };
    let upload = Upload { key: key("k"), id: UploadId::new("U") };
    let found = CRC.to_string();
    for (expected, headers, good) in [
        (Some(crc), [("ETag", "\"x\""), ("x-oss-hash-crc64ecma", &*found)], true),
        (Some(crc), [("ETag", ETAG), ("x-oss-hash-crc64ecma", "1")], false),
        (Some(crc), [("ETag", ETAG), LAST_MODIFIED], true),
        (None, [("ETag", ETAG), LAST_MODIFIED], true),
        (None, [("ETag", "\"x\""), LAST_MODIFIED], false),
    ] {
        let mut head = headers.to_vec();
        head.extend([("Content-Length", "11"), LAST_MODIFIED]);
        let server = Scripted::start(vec![refuse(404, "NoSuchUpload"), say(200, &head, "")]).await;
        let store = over(&server);
        let expected = Expected { size: 11, checksum: expected, replaces: Replaces::Anything };
        let result = store.complete_upload(&upload, &parts, &expected).await;
        assert_eq!(result.is_ok(), good, "{headers:?}: {result:?}");
    }
}
