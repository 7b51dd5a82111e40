//! Requests and answers of S3, one by one, against the pages of the service; then over the wire.

use http::StatusCode;

use super::*;
use crate::dialect::scripted::*;
use crate::dialect::xml_service::XmlService;
use crate::dialect::{CustomerKey, Dialect, DialectName, Encryption, ObjectProperties};
use crate::store::{
    ByteRange, Conditions, CopyOptions, ETag, ListRequest, PartNumber, PutOptions, Replaces,
    Upload, UploadId,
};

fn here(endpoint: Option<&str>, region: Option<&str>) -> Connection {
    Connection {
        endpoint: endpoint.map(str::to_owned),
        region: region.map(str::to_owned),
        ..connection(DialectName::S3, "photos")
    }
}

fn with(properties: ObjectProperties) -> XmlService<S3> {
    XmlService::new(S3::new(&here(None, Some("eu-west-1"))).unwrap(), properties).unwrap()
}

fn service() -> XmlService<S3> {
    with(ObjectProperties::default())
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn place(connection: Connection) -> String {
    let Place { site, path_prefix, region, .. } = Place::new(&connection).unwrap();
    let scheme = if site.tls { "https" } else { "http" };
    format!("{scheme}://{}{path_prefix} {region}", site.authority)
}

#[test]
fn the_bucket_goes_where_the_endpoint_says() {
    assert_eq!(
        place(here(None, Some("eu-west-1"))),
        "https://photos.s3.eu-west-1.amazonaws.com eu-west-1"
    );
    assert_eq!(
        place(here(None, Some("cn-north-1"))),
        "https://photos.s3.cn-north-1.amazonaws.com.cn cn-north-1"
    );
    for (endpoint, expected) in [
        (
            "https://s3.eu-west-1.amazonaws.com",
            "https://photos.s3.eu-west-1.amazonaws.com eu-west-1",
        ),
        ("https://s3.amazonaws.com", "https://photos.s3.amazonaws.com us-east-1"),
        (
            "https://s3.dualstack.eu-west-1.amazonaws.com",
            "https://photos.s3.dualstack.eu-west-1.amazonaws.com eu-west-1",
        ),
        (
            "https://s3-us-west-2.amazonaws.com",
            "https://photos.s3-us-west-2.amazonaws.com us-west-2",
        ),
        (
            "https://s3-fips.us-gov-west-1.amazonaws.com",
            "https://photos.s3-fips.us-gov-west-1.amazonaws.com us-gov-west-1",
        ),
        (
            "https://s3-accelerate.amazonaws.com",
            "https://photos.s3-accelerate.amazonaws.com us-east-1",
        ),
        (
            "https://bucket.vpce-1a.s3.us-east-2.vpce.amazonaws.com",
            "https://bucket.vpce-1a.s3.us-east-2.vpce.amazonaws.com/photos us-east-2",
        ),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/photos us-east-1"),
        ("https://minio.example.org", "https://minio.example.org/photos us-east-1"),
        ("http://photos:9000", "http://photos:9000/photos us-east-1"),
    ] {
        assert_eq!(place(here(Some(endpoint), None)), expected, "{endpoint}");
    }
    let garage = here(Some("http://[::1]:3900"), Some("garage"));
    assert_eq!(place(garage), "http://[::1]:3900/photos garage");
    let style = |path_style, endpoint, bucket: &str| {
        let (bucket, path_style) = (bucket.to_owned(), Some(path_style));
        place(Connection { bucket, path_style, ..here(Some(endpoint), Some("r")) })
    };
    assert_eq!(style(false, "http://minio.local:1", "ab1"), "http://ab1.minio.local:1 r");
    assert_eq!(style(true, "http://ab1.local", "ab1"), "http://ab1.local/ab1 r");
    let aws = "https://s3.r.amazonaws.com";
    assert_eq!(style(true, aws, "ab1"), "https://s3.r.amazonaws.com/ab1 r");
    // A certificate for one more label does not cover two.
    let dotted = Connection { bucket: "a.b".into(), ..here(Some(aws), None) };
    assert_eq!(place(dotted), "https://s3.r.amazonaws.com/a.b r");
    let dotted =
        Connection { bucket: "a.b".into(), ..here(Some("http://s3.r.amazonaws.com"), None) };
    assert_eq!(place(dotted), "http://a.b.s3.r.amazonaws.com r");
}

#[test]
fn mistakes_are_named() {
    let refused = |connection: Connection| Place::new(&connection).unwrap_err();
    let missing = ConnectError::NoRegionNorEndpoint("photos".into());
    assert_eq!(refused(here(None, None)), missing);
    for bucket in ["ab", "Photos", "a..b", ".ab", "a_b", "-ab", "192.168.0.1", "a.-b"] {
        let error = refused(Connection { bucket: bucket.into(), ..here(None, Some("r")) });
        assert!(error.to_string().contains("3 to 63"), "{error}");
    }
    assert_eq!(refused(here(None, Some("a/b"))), ConnectError::BadRegion("a/b".into()));
    for (endpoint, without) in [
        ("https://photos.s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("https://a.b.s3.amazonaws.com", "https://s3.amazonaws.com"),
        ("http://photos.minio.local:9000", "http://minio.local:9000"),
    ] {
        let error = refused(here(Some(endpoint), None));
        let without = without.to_owned();
        assert_eq!(error, ConnectError::BucketInEndpoint { endpoint: endpoint.into(), without });
    }
    let address = here(Some("http://127.0.0.1:9000"), None);
    let error = refused(Connection { path_style: Some(false), ..address });
    assert!(error.to_string().contains("path_style"), "{error}");
}

#[test]
fn requests_have_the_words_of_s3() {
    let s3 = service();
    let once = PutOptions { replaces: Replaces::Nothing, ..PutOptions::default() };
    let upload = Upload { key: key("k"), id: UploadId::new("U") };
    let expected = Expected { size: 1, checksum: None, replaces: Replaces::Nothing };
    let copy =
        CopyOptions { if_match: None, replace: Some(once.clone()), ..CopyOptions::default() };
    for draft in [
        s3.put(&key("k"), Payload::default(), &once),
        s3.copy(&key("a b/+"), &key("k"), &copy),
        s3.complete_upload(&upload, &[], &expected),
    ] {
        assert_eq!(draft.unwrap().headers["if-none-match"], "*");
    }
    let draft = s3.start_upload(&key("k"), &once).unwrap();
    assert!(!draft.headers.contains_key("if-none-match"));
    let old = Replaces::Version(ETag::new("old"));
    let swap = PutOptions { replaces: old.clone(), ..PutOptions::default() };
    let expected = Expected { replaces: old, ..expected };
    let copy = CopyOptions { replace: Some(swap.clone()), ..copy };
    for draft in [
        s3.put(&key("k"), Payload::default(), &swap),
        s3.copy(&key("a b/+"), &key("k"), &copy),
        s3.complete_upload(&upload, &[], &expected),
        s3.delete(&key("k"), Some(&ETag::new("old"))),
    ] {
        assert_eq!(draft.unwrap().headers["if-match"], "\"old\"");
    }
    for draft in [s3.start_upload(&key("k"), &swap), s3.delete(&key("k"), None)] {
        assert!(!draft.unwrap().headers.contains_key("if-match"));
    }
    assert_eq!(draft.extension["x-amz-checksum-algorithm"], "CRC64NVME");
    assert_eq!(draft.extension["x-amz-checksum-type"], "FULL_OBJECT");
    let draft = s3.copy(&key("a b/+"), &key("k"), &CopyOptions::default()).unwrap();
    assert_eq!(draft.headers["x-amz-copy-source"], "photos/a%20b/%2B");
    assert_eq!(draft.headers["x-amz-metadata-directive"], "COPY");
    let mode = "x-amz-checksum-mode";
    assert_eq!(s3.head(&key("k"), &Conditions::NONE).unwrap().headers[mode], "ENABLED");
    assert_eq!(s3.get(&key("k"), None, &Conditions::NONE).unwrap().headers[mode], "ENABLED");
    let ranged = s3.get(&key("k"), ByteRange::new(0, 1), &Conditions::NONE).unwrap();
    assert!(!ranged.headers.contains_key(mode));
    let draft = s3.delete_many(&[&key("k")]).unwrap();
    assert_eq!(encode::query(&draft.query), "delete");
    let body = b"<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>";
    assert_eq!(draft.headers["x-amz-content-sha256"], *hex_sha256(body));
    let draft = s3.list(&ListRequest::default()).unwrap();
    assert_eq!(encode::query(&draft.query), "encoding-type=url&max-keys=1000");
}

/// With the customer's key, every request about parts has it: checksums are kept under it.
#[test]
fn the_customers_key_goes_with_parts() {
    let customer = CustomerKey::new(b"01234567890123456789012345678901").unwrap();
    let encryption = Encryption::CustomerKey(customer);
    let s3 = with(ObjectProperties { encryption, ..ObjectProperties::default() });
    let upload = Upload { key: key("k"), id: UploadId::new("U") };
    let expected = Expected { size: 1, checksum: None, replaces: Replaces::Anything };
    for draft in [
        s3.put_part(&upload, PartNumber::FIRST, Payload::default()),
        s3.list_parts(&upload, None),
        s3.complete_upload(&upload, &[], &expected),
    ] {
        let name = "x-amz-server-side-encryption-customer-algorithm";
        assert_eq!(draft.unwrap().headers[name], "AES256");
    }
    assert!(s3.abort_upload(&upload).unwrap().headers.is_empty());
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
fn the_right_region_is_named() {
    let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>us-west-2</Region></Error>";
    let header = [("x-amz-bucket-region", "us-west-2")];
    for answer in [
        answer_of(400, &[], malformed),
        answer_of(400, &header, ""),
        answer_of(301, &header, "<Error><Code>PermanentRedirect</Code></Error>"),
        answer_of(307, &header, ""),
    ] {
        let failure = Dialect::failure(&service(), &answer);
        assert_eq!(failure.kind, ErrorKind::WrongEndpoint);
        let message = "the bucket is in region us-west-2, not in eu-west-1: give that region";
        assert_eq!(&*failure.message, message);
    }
    // Where the region is right, it is something else.
    let here = [("x-amz-bucket-region", "eu-west-1")];
    let failure = Dialect::failure(&service(), &answer_of(400, &here, ""));
    assert_eq!(failure.kind, ErrorKind::InvalidRequest);
    let denied = "<Error><Code>AccessDenied</Code><Message>m</Message></Error>";
    let failure = Dialect::failure(&service(), &answer_of(403, &header, denied));
    assert_eq!((failure.kind, &*failure.message), (ErrorKind::AccessDenied, "m"));
}

#[test]
fn a_head_that_is_refused_may_be_of_nothing() {
    let failure = Dialect::failure(&service(), &answer_of(403, &[], ""));
    assert_eq!(failure.kind, ErrorKind::AccessDenied);
    assert!(failure.message.contains("may not list"), "{}", failure.message);
}

fn an_upload() -> Upload {
    Upload { key: Key::new("k").unwrap(), id: UploadId::new("U1") }
}

#[test]
fn the_etag_of_a_multipart_object_is_foretold() {
    let part = |number, etag: &str| PartReceipt {
        number: PartNumber::new(number).unwrap(),
        etag: ETag::new(etag),
        size: 1,
        checksum: None,
    };
    let first = part(1, "f814893777bcc2295fff05f00e508da6");
    let parts = [first.clone(), part(2, "7D793037A0760186574B0282F2F435E7")];
    let etag = service().predicted_etag(&an_upload(), &parts).unwrap();
    assert_eq!(etag.as_str(), "e09e4fd6265b36115fe3db32df945d84-2");
    for opaque in ["x", "f814893777bcc2295fff05f00e508da6-1", "+814893777bcc2295fff05f00e508da6"] {
        assert_eq!(service().predicted_etag(&an_upload(), &[first.clone(), part(2, opaque)]), None);
    }
    let encryption = Encryption::Kms { key_id: None, context: None };
    let kms = with(ObjectProperties { encryption, ..ObjectProperties::default() });
    assert_eq!(kms.predicted_etag(&an_upload(), &parts), None);
}

#[tokio::test]
async fn redirects_name_the_region() {
    let moved = say(
        301,
        &[
            ("Location", "https://photos.s3.us-west-2.amazonaws.com/k"),
            ("x-amz-bucket-region", "us-west-2"),
        ],
        "<Error><Code>PermanentRedirect</Code><Message>m</Message></Error>",
    );
    let server = Scripted::start(vec![moved]).await;
    let error = server.store_as(here(None, None)).head(&key("k")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::WrongEndpoint);
    assert!(error.message.contains("region us-west-2, not in us-east-1"), "{error}");
}

#[tokio::test]
async fn a_condition_that_fails_means_what_was_asked() {
    let put = |create_only| async move {
        let server = Scripted::start(vec![refuse(412, "PreconditionFailed")]).await;
        let options =
            PutOptions { replaces: Replaces::nothing_if(create_only), ..PutOptions::default() };
        let store = server.store_as(here(None, None));
        store.put(&key("k"), Payload::default(), &options).await.unwrap_err().kind
    };
    assert_eq!(put(true).await, ErrorKind::AlreadyExists);
    assert_eq!(put(false).await, ErrorKind::PreconditionFailed);
    let server = Scripted::start(vec![refuse(412, "PreconditionFailed")]).await;
    let etag = ETag::new("old");
    let store = server.store_as(here(None, None));
    let error = store.get(&key("k"), None, &Conditions::matching(&etag)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PreconditionFailed);
}

#[tokio::test]
async fn a_conflict_of_two_writers_is_tried_again() {
    let conflict = refuse(409, "ConditionalRequestConflict");
    let server = Scripted::start(vec![conflict, refuse(412, "PreconditionFailed")]).await;
    let options = PutOptions { replaces: Replaces::Nothing, ..PutOptions::default() };
    let store = server.store_as(here(None, None));
    let error = store.put(&key("k"), Payload::default(), &options).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::AlreadyExists, 2));
}

/// It could be the checksum that is not implemented: one more attempt without. Then it is the condition, and
/// nobody asks again.
#[tokio::test]
async fn a_server_without_create_only_is_asked_once() {
    let stored = || say(200, &[("ETag", "\"d41d8cd98f00b204e9800998ecf8427e\"")], "");
    let refused = || refuse(501, "NotImplemented");
    let server = Scripted::start(vec![refused(), refused(), stored(), stored()]).await;
    let options = PutOptions { replaces: Replaces::Nothing, ..PutOptions::default() };
    let store = server.store_as(here(None, None));
    for _ in 0..2 {
        store.put(&key("k"), Payload::default(), &options).await.unwrap();
    }
    let asked: Vec<_> =
        server.seen().iter().map(|seen| seen.header("if-none-match").is_some()).collect();
    assert_eq!(asked, [true, true, false, false]);
}

#[tokio::test]
async fn a_server_without_create_only_completes_uploads() {
    let etag = "d41d8cd98f00b204e9800998ecf8427e-1";
    let done = format!(
        "<CompleteMultipartUploadResult><ETag>\"{etag}\"</ETag></CompleteMultipartUploadResult>"
    );
    let length = ("Content-Length", "5");
    let head =
        say(200, &[("ETag", etag), length, ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT")], "");
    let server =
        Scripted::start(vec![refuse(501, "NotImplemented"), say(200, &[], &done), head]).await;
    let store = server.store_as(here(None, None));
    let part =
        PartReceipt { number: PartNumber::FIRST, etag: ETag::new("a"), size: 5, checksum: None };
    let upload = Upload { key: key("k"), id: UploadId::new("U") };
    let expected = Expected { size: 5, checksum: None, replaces: Replaces::Nothing };
    store.complete_upload(&upload, &[part], &expected).await.unwrap();
    let asked: Vec<_> =
        server.seen().iter().map(|seen| seen.header("if-none-match").is_some()).collect();
    assert_eq!(asked, [true, false, false]);
}

/// A write with a condition whose first answer is lost and whose repeat is refused; then this is found.
async fn lost(replaces: Replaces, etag: &str) -> Result<(), ErrorKind> {
    let head = say(
        200,
        &[
            ("ETag", etag),
            ("Content-Length", "5"),
            ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ],
        "",
    );
    let server = Scripted::start(vec![vec![], refuse(412, "PreconditionFailed"), head]).await;
    let options = PutOptions { replaces, ..PutOptions::default() };
    let store = server.store_as(here(None, None));
    let put = store.put(&key("k"), Payload::from(b"hello".to_vec()), &options).await;
    put.map(drop).map_err(|error| error.kind)
}

/// The MD5 of what was sent, as an ETag.
const OURS: &str = "\"5d41402abc4b2a76b9719d911017c592\"";

/// A repeat meets the object of the first attempt; without checksums its MD5 tells.
#[tokio::test]
async fn a_lost_create_is_recognised_by_its_etag() {
    assert_eq!(lost(Replaces::Nothing, OURS).await, Ok(()));
    assert_eq!(lost(Replaces::Nothing, "\"0\"").await, Err(ErrorKind::AlreadyExists));
}

/// The repeat is refused because the object is another one by now: ours.
#[tokio::test]
async fn a_lost_swap_is_recognised_by_its_etag() {
    let old = || Replaces::Version(ETag::new("old"));
    assert_eq!(lost(old(), OURS).await, Ok(()));
    assert_eq!(lost(old(), "\"0\"").await, Err(ErrorKind::PreconditionFailed));
}

/// A page in between is not the service, and says nothing about what it knows.
#[tokio::test]
async fn a_501_without_a_code_takes_no_condition_away() {
    let server = Scripted::start(vec![say(501, &[], "<html>"), say(204, &[], "")]).await;
    let store = server.store_as(here(None, None));
    let old = ETag::new("old");
    store.delete_if(&key("k"), &old).await.unwrap_err();
    store.delete_if(&key("k"), &old).await.unwrap();
    assert!(server.seen().iter().all(|seen| seen.header("if-match") == Some("\"old\"")));
}

/// An answer that was lost: the repeat finds nothing.
#[tokio::test]
async fn a_version_that_was_deleted_meets_nothing_after_a_lost_answer() {
    let server = Scripted::start(vec![vec![], refuse(404, "NoSuchKey")]).await;
    let store = server.store_as(here(None, None));
    store.delete_if(&key("k"), &ETag::new("old")).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

/// Each condition is given up on its own.
#[tokio::test]
async fn a_server_without_compare_and_swap_is_asked_once() {
    let stored = || say(200, &[("ETag", "\"d41d8cd98f00b204e9800998ecf8427e\"")], "");
    let (refused, gone) = (|| refuse(501, "NotImplemented"), || say(204, &[], ""));
    let script = vec![refused(), gone(), gone(), stored(), stored()];
    let server = Scripted::start(script).await;
    let store = server.store_as(here(None, None));
    let old = ETag::new("old");
    for _ in 0..2 {
        store.delete_if(&key("k"), &old).await.unwrap();
    }
    for replaces in [Replaces::Version(old), Replaces::Nothing] {
        let options = PutOptions { replaces, ..PutOptions::default() };
        store.put(&key("k"), Payload::default(), &options).await.unwrap();
    }
    let asked: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| (seen.header("if-match").is_some(), seen.header("if-none-match").is_some()))
        .collect();
    let none = (false, false);
    assert_eq!(asked, [(true, false), none, none, none, (false, true)]);
}

#[tokio::test]
async fn an_error_under_status_200_is_an_error() {
    let error = "\n <Error><Code>SlowDown</Code></Error>";
    let done = "<CopyObjectResult><ETag>\"E\"</ETag><ChecksumCRC64NVME>jSnVw/bqjr4=</ChecksumCRC64NVME></CopyObjectResult>";
    let head = say(
        200,
        &[
            ("ETag", "\"E\""),
            ("Content-Length", "11"),
            ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ("x-amz-checksum-crc64nvme", "jSnVw/bqjr4="),
        ],
        "",
    );
    let script = vec![say(200, &[], error), say(200, &[], done), head];
    let server = Scripted::start(script).await;
    let store = server.store_as(here(None, None));
    let version = store.copy(&key("a"), &key("b"), &CopyOptions::default()).await.unwrap();
    assert_eq!(version.size, 11);
    assert_eq!(server.lines(), ["PUT /photos/b", "PUT /photos/b", "HEAD /photos/b"]);
}
