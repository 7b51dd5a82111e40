//! Requests and answers of COS, one by one, against the pages of the service.

use http::HeaderMap;

use super::*;
use crate::dialect::properties::read_metadata;
use crate::dialect::xml_service::XmlService;
use crate::dialect::{Dialect, ObjectProperties, encode};
use crate::store::{Conditions, ListRequest, Payload, PutOptions};

fn cos(endpoint: Option<&str>, region: Option<&str>) -> Cos {
    Cos::new("photos-1250000000".into(), endpoint, region).unwrap()
}

fn service() -> XmlService<Cos> {
    XmlService::new(cos(None, Some("r")), ObjectProperties::default()).unwrap()
}

#[test]
fn the_bucket_goes_where_the_endpoint_says() {
    let place = |endpoint, region| {
        let place = cos(endpoint, region).place;
        (place.site.tls, place.site.authority, place.copy_source)
    };
    let public = "photos-1250000000.cos.ap-guangzhou.myqcloud.com".to_owned();
    assert_eq!(place(None, Some("ap-guangzhou")), (true, public.clone(), public.clone()));
    assert_eq!(
        place(Some("https://cos.ap-guangzhou.myqcloud.com/"), None),
        (true, public.clone(), public.clone())
    );
    assert_eq!(
        place(Some("https://cos-internal.ap-guangzhou.tencentcos.cn"), None).1,
        "photos-1250000000.cos-internal.ap-guangzhou.tencentcos.cn"
    );
    assert_eq!(
        place(Some("http://127.0.0.1:9000"), None),
        (false, "127.0.0.1:9000".into(), "/photos-1250000000".into())
    );
    assert_eq!(
        place(Some("http://127.0.0.1:9000"), Some("ap-guangzhou")),
        (false, "127.0.0.1:9000".into(), public)
    );
}

#[test]
fn a_listing_asks_for_encoded_keys() {
    let request = ListRequest {
        prefix: "a b/".into(),
        by_directory: true,
        after: Some("a b/m".into()),
        max_entries: 5000,
    };
    let draft = service().list(&request).unwrap();
    assert_eq!(
        encode::query(&draft.query),
        "encoding-type=url&prefix=a%20b%2F&delimiter=%2F&marker=a%20b%2Fm&max-keys=1000"
    );
    let draft = service().list(&ListRequest::default()).unwrap();
    assert_eq!(encode::query(&draft.query), "encoding-type=url&max-keys=1000");
}

#[test]
fn the_head_of_a_request_says_host_and_length() {
    let cos = service();
    let key = Key::new("k").unwrap();
    let draft = cos.put(&key, Payload::from(vec![1, 2, 3]), &PutOptions::default()).unwrap();
    let head = draft.head(cos.site()).unwrap();
    assert_eq!(head.uri, "https://photos-1250000000.cos.r.myqcloud.com/k");
    assert_eq!(head.headers["host"], "photos-1250000000.cos.r.myqcloud.com");
    assert_eq!(head.headers["content-length"], "3");
    let head = cos.head(&key, &Conditions::NONE).unwrap().head(cos.site()).unwrap();
    assert!(!head.headers.contains_key("content-length"));
}

#[test]
fn strange_metadata_of_others_is_read() {
    let mut headers = HeaderMap::new();
    headers.insert("x-cos-meta-a", http::HeaderValue::from_bytes("é".as_bytes()).unwrap());
    headers.insert("x-cos-meta-b", http::HeaderValue::from_bytes(b"\xff%41").unwrap());
    headers.insert("x-cos-meta-", http::HeaderValue::from_static("nameless"));
    let metadata = read_metadata(&headers, "x-cos-");
    assert_eq!(metadata.get("a"), Some("é"));
    assert_eq!(metadata.get("b"), Some("\u{fffd}A"));
    assert_eq!(metadata.iter().count(), 2);
}
