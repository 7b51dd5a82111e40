//! Bodies of answers: what is believed, and what is refused.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn garbled<T: std::fmt::Debug>(result: Result<T, Flaw>) -> bool {
    matches!(result, Err(Flaw::Garbled(_)))
}

fn object(key: &str) -> String {
    format!(
        "<Contents><Key>{key}</Key><LastModified>2020-12-10T03:37:30.000Z</LastModified>\
         <ETag>&quot;ABC&quot;</ETag><Size>5</Size><Owner><ID>1</ID></Owner>\
         <StorageClass>STANDARD</StorageClass><New/></Contents>"
    )
}

fn page(inside: &str) -> String {
    format!("<?xml version='1.0'?><ListBucketResult><Name>b</Name>{inside}</ListBucketResult>")
}

const LAST: &str = "<IsTruncated>false</IsTruncated>";

fn request(prefix: &str) -> ListRequest {
    ListRequest { prefix: prefix.into(), ..ListRequest::default() }
}

#[test]
fn a_page_is_read() {
    let body = page(&format!(
        "<EncodingType>url</EncodingType><Prefix>d/</Prefix><IsTruncated>true</IsTruncated>\
         <NextMarker>d/%E4%B8%AD/</NextMarker>{}{}<CommonPrefixes><Prefix>d/%E4%B8%AD/</Prefix></CommonPrefixes>",
        object("d/"),
        object("d/a%01%2B+b")
    ));
    let page = list(body.as_bytes(), &request("d/"), false).unwrap();
    let keys: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["d/", "d/a\u{1}+ b"]);
    assert_eq!((page.objects[0].size, page.objects[0].etag.as_str()), (5, "ABC"));
    assert_eq!(page.objects[0].last_modified, UNIX_EPOCH + Duration::from_secs(1_607_571_450));
    assert_eq!(page.prefixes, ["d/中/"]);
    assert_eq!(page.next.as_deref(), Some("d/中/"));

    let plain = self::page(&format!("{LAST}{}", object("100%25")));
    let page = list(plain.as_bytes(), &request(""), false).unwrap();
    assert_eq!(page.objects[0].key.as_str(), "100%25");
    assert_eq!(page.next, None);
}

#[test]
fn a_bad_page_is_an_error() {
    let bad_object =
        |from: &str, to: &str| page(&format!("{LAST}{}", object("d/a").replace(from, to)));
    for body in [
        page(""),
        page("<IsTruncated>true</IsTruncated>"),
        page("<IsTruncated>true</IsTruncated><NextMarker/>"),
        page("<IsTruncated>true</IsTruncated><NextMarker>d/m</NextMarker>"),
        page(&format!("{LAST}{LAST}")),
        page(&format!("{LAST}<EncodingType>rot13</EncodingType>")),
        page(&format!("{LAST}<EncodingType>url</EncodingType>{}", object("d/%FF"))),
        page(&format!("{LAST}{}", object("other/a"))),
        page(&format!("{LAST}{}", object(""))),
        page(&format!("{LAST}{}", object(&format!("d/{}", "a".repeat(1024))))),
        page(&format!("{LAST}<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>")),
        page(&format!("{LAST}<CommonPrefixes/>")),
        bad_object("<Size>5</Size>", ""),
        bad_object("<Size>5</Size>", "<Size>-5</Size>"),
        bad_object("<Size>5</Size>", "<Size>18446744073709551616</Size>"),
        bad_object("<Size>5</Size>", "<Size>5</Size><Size>5</Size>"),
        bad_object("<Size>5</Size>", "<Size><X/></Size>"),
        bad_object("<ETag>&quot;ABC&quot;</ETag>", ""),
        bad_object("&quot;ABC&quot;", "a&#10;b"),
        bad_object("2020-12-10T03:37:30.000Z", "yesterday"),
        bad_object("<Key>d/a</Key>", ""),
    ] {
        let request = ListRequest { after: Some("d/m".into()), ..request("d/") };
        assert!(garbled(list(body.as_bytes(), &request, false)), "{body}");
        // Cut anywhere, it is not a document.
        assert!(garbled(list(&body.as_bytes()[..body.len() - 1], &request, false)), "{body}");
    }
}

/// No service takes such keys; a page without one would say that there is none.
#[test]
fn a_key_that_is_not_utf_8_is_an_error_that_names_it() {
    let body = page(&format!("{LAST}<EncodingType>url</EncodingType>{}", object("d/a%FF")));
    match list(body.as_bytes(), &request("d/"), false) {
        Err(Flaw::Garbled(text)) => assert!(text.ends_with("not UTF-8: d/a%FF"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_document_cut_anywhere_is_an_error() {
    let whole = page(&format!("{}{LAST}", object("a")));
    assert!(list(whole.as_bytes(), &request(""), false).is_ok());
    for end in 0..whole.len() {
        assert!(garbled(list(&whole.as_bytes()[..end], &request(""), false)), "{end}");
    }
}

#[test]
fn an_error_where_a_result_was_due() {
    let body = b"\n \n<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>InternalError</Code><Message>m</Message><RequestId>r</RequestId></Error>";
    let error = ServiceError {
        code: "InternalError".into(),
        message: "m".into(),
        request_id: Some("r".into()),
    };
    assert_eq!(root(body, "CompleteMultipartUploadResult"), Err(Flaw::Error(error.clone())));
    assert_eq!(service_error(body), Some(error));
    assert_eq!(service_error(b"<html/>"), None);
}

fn part(number: u64) -> String {
    format!(
        "<Part><PartNumber>{number}</PartNumber><LastModified>2023-11-14T22:13:20.000Z</LastModified>\
         <ETag>\"e{number}\"</ETag><Size>6</Size></Part>"
    )
}

fn parts_page(inside: &str) -> String {
    format!("<ListPartsResult><Bucket>b</Bucket>{inside}</ListPartsResult>")
}

#[test]
fn parts_are_read() {
    let more = "<IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>";
    let body = parts_page(&format!("{}{}{more}", part(1), part(2)));
    let page = parts(body.as_bytes(), None, unstated).unwrap();
    assert!(page.more);
    assert_eq!((page.parts[1].number.get(), page.parts[1].size), (2, 6));
    assert_eq!(page.parts[1].etag, ETag::new("e2"));
    let after = PartNumber::new(1).ok();
    for bad in [
        body.clone(),
        parts_page(&format!("{}{}{LAST}", part(3), part(2))),
        parts_page(&format!("{}{LAST}", part(0))),
        parts_page(&format!("{}{LAST}", part(10_001))),
        parts_page(&format!("{}<IsTruncated>true</IsTruncated>", part(2))),
        parts_page(more),
        parts_page(&part(2)),
    ] {
        assert!(garbled(parts(bad.as_bytes(), after, unstated)), "{bad}");
    }
}

fn uploads_page(inside: &str) -> String {
    format!("<ListMultipartUploadsResult>{inside}</ListMultipartUploadsResult>")
}

#[test]
fn uploads_are_read() {
    let upload = "<Upload><Key>d/a+b</Key><UploadId>U</UploadId><Initiated>Tue Nov 14 22:13:20 2023</Initiated></Upload>";
    let more = "<IsTruncated>true</IsTruncated><NextKeyMarker>d/a%20b</NextKeyMarker><NextUploadIdMarker>U</NextUploadIdMarker>";
    for encoding in ["<Encoding-Type>url</Encoding-Type>", "<EncodingType>url</EncodingType>"] {
        let body = uploads_page(&format!("{encoding}{upload}{more}"));
        let page = uploads(body.as_bytes(), &asked("d/", None)).unwrap();
        assert_eq!(page.uploads[0].upload.key.as_str(), "d/a b");
        assert_eq!(page.uploads[0].upload.id.as_str(), "U");
        assert_eq!(page.uploads[0].initiated, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let next = UploadCursor { key: "d/a b".into(), upload_id: "U".into() };
        assert_eq!(page.next, Some(next.clone()));
        assert!(garbled(uploads(body.as_bytes(), &asked("d/", Some(next.clone())))));
        assert!(garbled(uploads(body.as_bytes(), &asked("e/", None))));
    }
    for bad in [
        uploads_page(""),
        uploads_page("<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"),
        uploads_page(&format!("{LAST}{}", upload.replace("<UploadId>U</UploadId>", "<UploadId/>"))),
        uploads_page(&format!("{LAST}{}", upload.replace("Tue Nov 14", ""))),
    ] {
        assert!(garbled(uploads(bad.as_bytes(), &asked("", None))), "{bad}");
    }
}

#[test]
fn the_others_need_their_root_and_field() {
    let initiated = b"<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>U</UploadId></InitiateMultipartUploadResult>";
    assert_eq!(upload_id(initiated).unwrap().as_str(), "U");
    assert!(garbled(upload_id(
        b"<InitiateMultipartUploadResult><UploadId> </UploadId></InitiateMultipartUploadResult>"
    )));
    let copied = |body: &[u8]| root(body, "CopyObjectResult").and_then(|root| etag_of(&root));
    assert_eq!(copied(b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"), Ok(ETag::new("e")));
    assert!(garbled(copied(b"<CopyPartResult><ETag>e</ETag></CopyPartResult>")));
    assert!(garbled(copied(b"<CopyObjectResult/>")));
    assert_eq!(not_deleted(b"<DeleteResult/>"), Ok(vec![]));
    let failed =
        not_deleted(b"<DeleteResult><Error><Key>k</Key><Code>c</Code></Error></DeleteResult>");
    assert_eq!(failed.unwrap()[0].0, "k");
    assert!(garbled(not_deleted(b"<DeleteResult><Error><Key>k</Key></Error></DeleteResult>")));
}

fn unstated(_: &Element) -> Result<Option<Checksum>, Failure> {
    Ok(None)
}

#[test]
fn a_page_without_a_cursor_goes_on_after_its_last_entry() {
    let body = "<ListBucketResult><IsTruncated>true</IsTruncated>\
        <Contents><Key>a</Key><ETag>e</ETag><Size>1</Size>\
        <LastModified>2023-11-14T22:13:20Z</LastModified></Contents>\
        <CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes></ListBucketResult>";
    let page = list(body.as_bytes(), &request(""), true).unwrap();
    assert_eq!(page.next.as_deref(), Some("b/"));
    assert!(garbled(list(body.as_bytes(), &request(""), false)));
    let empty = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    assert!(garbled(list(empty, &request(""), true)));
}

fn asked(prefix: &str, after: Option<UploadCursor>) -> UploadsRequest {
    UploadsRequest { after, ..UploadsRequest::below(prefix) }
}
