//! JSON of answers: what is believed, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::store::ErrorKind;

const LISTING: &str = r#"{
  "name": "mybucket", "prefix": "d/", "delimiter": "/", "limit": 1000, "marker": "", "owner": {"id": "x"},
  "keys": [
    {"key": "d/a\u0001\u4e2d b", "size": 5, "etag": "\"ABC\"", "mime_type": "text/plain",
     "created": "2023-11-14T22:13:20.000Z", "modified": 1700000000, "encrypted": false, "storage_class": "STANDARD"},
    {"key": "d/", "size": 0, "etag": "\"d41d8cd98f00b204e9800998ecf8427e\"", "modified": 1, "storage_class": "STANDARD_IA"}
  ],
  "common_prefixes": ["d/z/", "d/e/"], "has_more": true, "next_marker": "opaque"
}"#;
const INITIATED: &str =
    r#"{"bucket": "mybucket", "key": "k", "upload_id": "4d26b37a469230619604ecdc0e314782"}"#;
const PARTS: &str = r#"{"count": 2, "object_parts": [
  {"part_number": 0, "size": 6, "created": "2023-11-14T22:13:20.000Z", "etag": "f814893777bcc2295fff05f00e508da6"},
  {"part_number": 2, "size": 5, "created": "2023-11-14T22:13:20.000Z", "etag": "\"7d793037a0760186574b0282f2f435e7\""}
]}"#;
const UPLOADS: &str = r#"{"name": "mybucket", "prefix": "", "delimiter": "", "limit": 200,
  "next_key_marker": "", "next_upload_id_marker": "", "common_prefixes": [],
  "uploads": [{"key": "k", "upload_id": "U", "created": "2023-11-14T22:13:20.000Z"}]}"#;
const DELETED: &str = r#"{"deleted": [{"key": "a"}], "errors": [{"key": "b\t", "code": "permission_denied", "message": "no"}]}"#;

fn by_directory(after: Option<&str>) -> ListRequest {
    let after = after.map(str::to_owned);
    ListRequest { prefix: "d/".into(), by_directory: true, after, max_entries: 0 }
}

fn part(number: u64) -> Option<PartNumber> {
    Some(PartNumber::new(number).unwrap())
}

#[test]
fn a_page_is_read() {
    let page = list(LISTING.as_bytes(), &by_directory(None)).unwrap();
    let keys: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["d/a\u{1}中 b", "d/"], "in the order of the service");
    assert_eq!((page.objects[0].size, &page.objects[0].etag), (5, &ETag::new("abc")));
    assert_eq!(page.objects[0].last_modified, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let classes = page.objects.iter().map(|object| object.storage_class.as_deref());
    assert_eq!(classes.collect::<Vec<_>>(), [None, Some("STANDARD_IA")]);
    assert_eq!(page.prefixes, ["d/z/", "d/e/"]);
    assert_eq!(page.next.as_deref(), Some("opaque"));

    let last = LISTING.replace("\"has_more\": true", "\"has_more\": false");
    assert_eq!(list(last.as_bytes(), &by_directory(None)).unwrap().next, None);
    let empty = br#"{"keys": [], "has_more": true, "next_marker": "m"}"#;
    let page = list(empty, &ListRequest::default()).unwrap();
    assert_eq!((page.objects.len(), page.next.as_deref()), (0, Some("m")));
}

#[test]
fn uploads_and_parts_are_read() {
    let id = upload_id(INITIATED.as_bytes()).unwrap();
    assert_eq!(id.as_str(), "4d26b37a469230619604ecdc0e314782");

    let page = parts(PARTS.as_bytes(), None).unwrap();
    let numbers: Vec<_> = page.parts.iter().map(|part| (part.number.get(), part.size)).collect();
    assert_eq!((numbers, page.more), (vec![(1, 6), (3, 5)], false));
    assert_eq!(page.parts[1].etag, ETag::new("7d793037a0760186574b0282f2f435e7"));
    // The marker may be listed again, and `count` may be of the whole upload.
    let page = parts(PARTS.as_bytes(), part(1)).unwrap();
    assert_eq!((page.parts.len(), page.more), (1, false));
    let more = PARTS.replace("\"count\": 2", "\"count\": 3");
    assert!(parts(more.as_bytes(), None).unwrap().more);
    let nothing = parts(br#"{"count": 7, "object_parts": []}"#, part(7)).unwrap();
    assert_eq!((nothing.parts.len(), nothing.more), (0, false));

    let page = uploads(UPLOADS.as_bytes(), &asked("", None)).unwrap();
    assert_eq!((page.uploads[0].upload.id.as_str(), page.next), ("U", None));
    let more = UPLOADS.replace("_marker\": \"\"", "_marker\": \"m\"");
    let cursor = UploadCursor { key: "m".into(), upload_id: "m".into() };
    assert_eq!(uploads(more.as_bytes(), &asked("", None)).unwrap().next, Some(cursor.clone()));
    assert!(
        uploads(more.as_bytes(), &asked("", Some(cursor.clone()))).is_err(),
        "it does not advance"
    );
    let end = br#"{"uploads": [], "next_key_marker": "m", "next_upload_id_marker": "m"}"#;
    assert_eq!(uploads(end, &asked("", Some(cursor.clone()))).unwrap().next, None);
}

#[test]
fn a_full_page_of_parts_may_have_another_behind_it() {
    let entries = (0..1000).map(|n| format!(r#"{{"part_number":{n},"size":1,"etag":"e"}}"#));
    let body = format!(r#"{{"object_parts":[{}]}}"#, entries.collect::<Vec<_>>().join(","));
    let page = parts(body.as_bytes(), None).unwrap();
    assert_eq!((page.parts.len(), page.more), (1000, true));
}

#[test]
fn keys_that_stay_are_told() {
    let Deletions { deleted, failed } = deletions(DELETED.as_bytes()).unwrap();
    assert_eq!(deleted, ["a"]);
    assert_eq!(failed.len(), 1);
    assert_eq!((&*failed[0].0, &*failed[0].1.code), ("b\t", "permission_denied"));
    let none = Deletions { deleted: vec![], failed: vec![] };
    assert_eq!(deletions(br#"{"deleted": []}"#).unwrap(), none);
    assert_eq!(deletions(br#"{"errors": []}"#).unwrap(), none);
}

#[test]
fn error_documents_are_recognised() {
    let error = service_error(
        br#"{"code": "upload_not_exists", "message": "m", "request_id": "r", "url": "u"}"#,
    );
    assert_eq!(error.unwrap().code, "upload_not_exists");
    assert!(service_error(br#"{"code": "c"}"#).is_some());
    for bad in ["", "{}", "<html>", r#"{"code": ""}"#, r#"{"code": 5}"#, r#"{"code": "c""#, "null"]
    {
        assert_eq!(service_error(bad.as_bytes()), None, "{bad}");
    }
}

type Reader = fn(&[u8]) -> Result<(), Failure>;

/// Every reader with a good body of its own.
const READERS: [(&str, Reader); 5] = [
    (LISTING, |body| list(body, &by_directory(Some("m"))).map(drop)),
    (INITIATED, |body| upload_id(body).map(drop)),
    (PARTS, |body| parts(body, None).map(drop)),
    (UPLOADS, |body| uploads(body, &asked("", None)).map(drop)),
    (DELETED, |body| deletions(body).map(drop)),
];

fn refused(read: Reader, body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    let failure = read(body).expect_err(&text);
    assert_eq!(failure.kind, ErrorKind::InvalidAnswer, "{text}");
}

#[test]
fn what_is_no_document_of_the_kind_is_an_error() {
    for (good, read) in READERS {
        read(good.as_bytes()).unwrap();
        for cut in 0..good.len() {
            refused(read, &good.as_bytes()[..cut]);
        }
        refused(read, format!("{good}{good}").as_bytes());
        refused(read, format!("{good} x").as_bytes());
        refused(read, good.replacen('"', "\u{0}\"", 1).as_bytes());
        refused(read, &[good.as_bytes(), b"\xff"].concat());
        let not_utf8: Vec<u8> = good.replace("\"key\": \"", "\"key\": \"~").into_bytes();
        let not_utf8: Vec<u8> =
            not_utf8.into_iter().map(|b| if b == b'~' { 0xff } else { b }).collect();
        // Keys are read by all but the lists of parts and the answer to Initiate.
        if good.contains("\"key\"") && good != INITIATED {
            refused(read, &not_utf8);
        }
        for body in [
            "",
            " ",
            "null",
            "true",
            "5",
            "[]",
            "[[]]",
            "{}",
            "\"{}\"",
            "<html>log in</html>",
            "<?xml version='1.0'?><Error><Code>InternalError</Code></Error>",
            r#"{"code": "internal_error", "message": "m"}"#,
        ] {
            refused(read, body.as_bytes());
        }
    }
}

#[test]
fn fields_are_there_once_in_their_type_and_range() {
    for (index, from, to) in [
        (0, "\"keys\"", "\"other\""),
        (0, "\"keys\": [", "\"keys\": [], \"keys\": ["),
        (0, "\"key\": \"d/\",", ""),
        (0, "\"key\": \"d/\"", "\"key\": \"\""),
        (0, "\"key\": \"d/\"", "\"key\": null"),
        (0, "\"key\": \"d/\"", "\"key\": \"elsewhere\""),
        (0, "\"key\": \"d/\"", "\"key\": \"d/\\ud800\""),
        (0, "\"key\": \"d/\"", "\"key\": \"d/\", \"key\": \"d/\""),
        (0, "\"size\": 5,", ""),
        (0, "\"size\": 5", "\"size\": \"5\""),
        (0, "\"size\": 5", "\"size\": -5"),
        (0, "\"size\": 5", "\"size\": 5.0"),
        (0, "\"size\": 5", "\"size\": 18446744073709551616"),
        (0, "\"size\": 5", "\"size\": 1e300"),
        (0, "\"etag\": \"\\\"ABC\\\"\",", ""),
        (0, "\\\"ABC\\\"", ""),
        (0, "\\\"ABC\\\"", "A\\\"C"),
        (0, "\\\"ABC\\\"", "A C"),
        (0, "\"modified\": 1,", "\"modified\": \"x\","),
        (0, "\"modified\": 1,", "\"modified\": 18446744073709551615,"),
        (0, "\"modified\": 1,", "\"modified\": 9223372036854775807,"),
        (0, ", \"modified\": 1,", ","),
        (0, "\"STANDARD_IA\"", "5"),
        (0, "\"d/z/\"", "\"z/\""),
        (0, "\"d/z/\"", "5"),
        (0, "\"common_prefixes\"", "\"other\""),
        (0, "[\"d/z/\", \"d/e/\"]", "null"),
        (0, "\"has_more\": true", "\"has_more\": \"true\""),
        (0, "\"has_more\": true,", ""),
        (0, "\"opaque\"", "\"\""),
        (0, "\"opaque\"", "null"),
        // The marker that was sent.
        (0, "\"opaque\"", "\"m\""),
        (1, "\"4d26b37a469230619604ecdc0e314782\"", "\"\""),
        (1, "\"4d26b37a469230619604ecdc0e314782\"", "\" \""),
        (1, "\"4d26b37a469230619604ecdc0e314782\"", "5"),
        (1, "upload_id", "uploadId"),
        (2, "object_parts", "parts"),
        (2, "\"count\": 2", "\"count\": 1"),
        (2, "\"count\": 2", "\"count\": \"2\""),
        (2, "\"part_number\": 2", "\"part_number\": 0"),
        (2, "\"part_number\": 2", "\"part_number\": -1"),
        (2, "\"part_number\": 2", "\"part_number\": 10000"),
        (2, "\"part_number\": 2", "\"part_number\": 18446744073709551615"),
        (2, "\"part_number\": 2", "\"part_number\": \"2\""),
        (2, "\"size\": 5", "\"size\": null"),
        (2, "\"etag\": \"f814893777bcc2295fff05f00e508da6\"", "\"etag\": \"\""),
        (3, "\"uploads\"", "\"other\""),
        (3, "\"upload_id\": \"U\"", "\"upload_id\": \"\""),
        (3, "\"upload_id\": \"U\",", ""),
        (3, "2023-11-14T22:13:20.000Z", "yesterday"),
        (3, "\"next_key_marker\": \"\"", "\"next_key_marker\": 5"),
        (3, "\"common_prefixes\"", "\"has_more\": true, \"common_prefixes\""),
        (4, "\"deleted\": [{\"key\": \"a\"}]", "\"deleted\": [{}]"),
        (4, "\"code\": \"permission_denied\",", ""),
        (4, "\"key\": \"b\\t\",", ""),
        (4, "\"errors\": [", "\"errors\": {\"x\": ["),
    ] {
        let (good, read) = READERS[index];
        assert!(good.contains(from), "{from}");
        refused(read, good.replacen(from, to, 1).as_bytes());
    }
    assert!(uploads(UPLOADS.as_bytes(), &asked("other", None)).is_err());
    assert!(parts(PARTS.as_bytes(), part(2)).is_err(), "a part before the marker");
}

#[test]
fn depth_is_bounded() {
    let deep = format!("{{\"x\": {}", "[".repeat(1 << 20));
    for (_, read) in READERS {
        refused(read, deep.as_bytes());
    }
}

proptest! {
    #[test]
    fn nothing_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
        for (_, read) in READERS {
            let _ = read(&body);
        }
        service_error(&body);
    }

    /// A good document with bytes exchanged is read or refused.
    #[test]
    fn damage_does_not_panic(
        index in 0..READERS.len(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (good, read) = READERS[index];
        let mut body = good.as_bytes().to_vec();
        for (place, byte) in places {
            let at = place.index(body.len());
            body[at] = byte;
        }
        let _ = read(&body);
    }

    #[test]
    fn numbers_go_to_the_wire_and_back(number in 1..=10_000_u64) {
        let number = PartNumber::new(number).unwrap();
        prop_assert_eq!(from_wire(on_wire(number)).unwrap(), number);
    }
}

fn asked(prefix: &str, after: Option<UploadCursor>) -> UploadsRequest {
    UploadsRequest { after, ..UploadsRequest::below(prefix) }
}
