//! Bodies that are no answers, on every operation of every service that reads a body: what a proxy
//! says, what a broken connection leaves, what belongs to another operation, what is malicious. None
//! of them ever becomes data, an empty listing or a success.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::*;
use crate::dialect::connection::dialect_of;

const NAMES: [DialectName; 4] =
    [DialectName::Cos, DialectName::Oss, DialectName::Qingstor, DialectName::S3];

fn dialect(name: DialectName) -> Box<dyn Dialect> {
    let bucket = if name == DialectName::Cos { "photos-1250000000" } else { "photos" };
    dialect_of(&Connection {
        dialect: name,
        bucket: bucket.to_owned(),
        endpoint: None,
        region: Some("region-1".to_owned()),
        path_style: None,
        signature_version: None,
        credentials: CredentialSource::Anonymous,
        properties: ObjectProperties::default(),
        timing: Timing::default(),
    })
    .unwrap()
}

fn answer(body: &[u8]) -> Answer {
    let body = if body.is_empty() { Vec::new() } else { vec![Bytes::copy_from_slice(body)] };
    Answer { status: StatusCode::OK, headers: HeaderMap::new(), body }
}

/// Well-formed answers of each operation, XML and JSON: what is right for one is wrong for all others.
const DOCUMENTS: &[(&str, &str)] = &[
    ("list", "<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>"),
    (
        "parts",
        "<ListPartsResult><UploadId>u</UploadId><IsTruncated>false</IsTruncated></ListPartsResult>",
    ),
    (
        "uploads",
        "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
    ),
    (
        "start",
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
    ),
    ("copy", "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>"),
    ("copy part", "<CopyPartResult><ETag>\"e\"</ETag></CopyPartResult>"),
    (
        "complete",
        "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>",
    ),
    ("delete", "<DeleteResult></DeleteResult>"),
    ("list", r#"{"name":"b","keys":[],"common_prefixes":[],"has_more":false,"next_marker":""}"#),
    ("parts", r#"{"count":0,"object_parts":[]}"#),
    (
        "uploads",
        r#"{"uploads":[],"common_prefixes":[],"next_key_marker":"","next_upload_id_marker":""}"#,
    ),
    ("start", r#"{"bucket":"b","key":"k","upload_id":"u"}"#),
    ("delete", r#"{"deleted":[],"errors":[]}"#),
];

/// What is wrong for every operation.
fn never_right() -> Vec<(&'static str, Vec<u8>)> {
    let text = |name, text: &str| (name, text.as_bytes().to_vec());
    let deep_xml = "<ListBucketResult>".repeat(5000);
    let deep_json = "[".repeat(100_000);
    let wide = format!("<ListBucketResult>{}</ListBucketResult>", "<a/>".repeat(200_000));
    let bomb = "<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]>\
                <ListBucketResult><Name>&b;</Name></ListBucketResult>";
    let external = "<!DOCTYPE l [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\
                    <ListBucketResult><Name>&x;</Name></ListBucketResult>";
    let error = "<Error><Code>InternalError</Code><Message>m</Message></Error>";
    vec![
        text("blanks", "   \r\n \t "),
        text("a byte order mark alone", "\u{feff}"),
        text("a word", "OK"),
        text("a number", "0"),
        text("null", "null"),
        text("true", "true"),
        text("an empty string of JSON", "\"\""),
        text("an empty array", "[]"),
        text("an empty object", "{}"),
        text("an array of objects", "[{}]"),
        text("JSON of something else", r#"{"status":"ok","result":[]}"#),
        text("JSON cut off", r#"{"keys":[{"key":"a""#),
        text("two JSON documents", "{}{}"),
        text("JSON with a comma at the end", r#"{"keys":[],}"#),
        text("JSON with a comment", "/* x */ {}"),
        text("JSON with keys that are no list", r#"{"keys":{},"has_more":false}"#),
        text("JSON with null for the list", r#"{"keys":null,"has_more":false}"#),
        text("JSON with a word for the end", r#"{"keys":[],"has_more":"no"}"#),
        text("JSON without end", r#"{"keys":[]}"#),
        text("an error of QingStor", r#"{"code":"internal_error","message":"m","request_id":"r"}"#),
        text("nested arrays", &deep_json),
        text("HTML", "<html><head><title>Login</title></head><body>Sign in</body></html>"),
        text("HTML with a document type", "<!DOCTYPE html><html><body>proxy</body></html>"),
        text("HTML that is no XML", "<html><body><p>Bad<br>Gateway</body></html>"),
        text("a page of an older proxy", "<HTML><H1>502 Bad Gateway</H1></HTML>"),
        text("another server's XML", "<?xml version=\"1.0\"?><feed><entry/></feed>"),
        text("SOAP", "<s:Envelope xmlns:s=\"u\"><s:Body/></s:Envelope>"),
        text("a declaration alone", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"),
        text("a comment alone", "<!-- nothing -->"),
        text("an error under success", error),
        text("an error after blanks", &format!("  \n\n {error}")),
        text("an error without a code", "<Error><Message>m</Message></Error>"),
        text("an empty root of listings", "<ListBucketResult/>"),
        text("an empty root of parts", "<ListPartsResult/>"),
        text("an empty root of uploads", "<ListMultipartUploadsResult/>"),
        text("an empty root of Initiate", "<InitiateMultipartUploadResult/>"),
        text("an empty root of copies", "<CopyObjectResult/>"),
        text("an empty root of copied parts", "<CopyPartResult/>"),
        text("an empty root of Complete", "<CompleteMultipartUploadResult/>"),
        text(
            "a root in lower case",
            "<listbucketresult><IsTruncated>false</IsTruncated></listbucketresult>",
        ),
        text("two roots", "<DeleteResult/><DeleteResult/>"),
        text("text behind the root", "<DeleteResult></DeleteResult>junk"),
        text("text before the root", "junk<DeleteResult></DeleteResult>"),
        text("a root that is not closed", "<DeleteResult>"),
        text("a root closed by another name", "<DeleteResult></deleteResult>"),
        text("an unknown entity", "<DeleteResult>&nbsp;</DeleteResult>"),
        text("a character that XML forbids", "<DeleteResult>&#1;</DeleteResult>\u{0}"),
        text("entities that multiply", bomb),
        text("an external entity", external),
        text("too deep", &deep_xml),
        text("too wide", &wide),
        ("bytes that are no UTF-8", b"<DeleteResult>\xff\xfe</DeleteResult>".to_vec()),
        ("UTF-16", "\u{feff}<DeleteResult/>".encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("compressed bytes", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00".to_vec()),
        ("zeros", vec![0; 4096]),
    ]
}

/// Reads a body as the answer to each operation whose answer is a document; `true` is success.
fn accepted(dialect: &dyn Dialect, body: &[u8]) -> Vec<(&'static str, bool)> {
    let answer = answer(body);
    let request = ListRequest::default();
    let mut read = vec![
        ("list", dialect.read_list(&answer, &request).is_ok()),
        ("parts", dialect.read_parts(&answer, None).is_ok()),
        ("uploads", dialect.read_uploads(&answer, &UploadsRequest::default()).is_ok()),
        ("start", dialect.read_upload_id(&answer).is_ok()),
        ("delete", dialect.read_delete_many(&answer, &[]).is_ok()),
        // Told by headers, of which there are none here.
        ("head", dialect.read_head(&answer).is_ok()),
        ("put", dialect.read_stored(&answer).is_ok()),
        ("append", dialect.read_append(&answer).is_ok()),
        ("get", dialect.read_content(answer.status, &answer.headers, None).is_ok()),
    ];
    // QingStor answers these with a status and no body.
    if dialect.limits().first_part_number == 1 {
        read.extend([
            ("copy", dialect.read_copy(&answer).is_ok()),
            ("copy part", dialect.read_copy_part(&answer).is_ok()),
            ("complete", dialect.read_complete(&answer).is_ok()),
        ]);
    }
    read
}

#[test]
fn no_bad_body_is_ever_an_answer() {
    let bodies = never_right();
    assert!(bodies.len() >= 40);
    for name in NAMES {
        let dialect = dialect(name);
        for (what, body) in &bodies {
            for (operation, accepted) in accepted(&*dialect, body) {
                assert!(!accepted, "{name}: {what} was taken for the answer to {operation}");
            }
        }
    }
}

#[test]
fn an_empty_body_is_an_answer_only_where_the_service_says_so() {
    for name in NAMES {
        for (operation, accepted) in accepted(&*dialect(name), b"") {
            let quiet = name == DialectName::Oss && operation == "delete";
            assert_eq!(accepted, quiet, "{name}: {operation}");
        }
    }
}

/// The good head of a page for people is the work of something in between.
#[test]
fn a_page_is_no_answer_to_put_whatever_its_head_says() {
    for name in NAMES {
        let dialect = dialect(name);
        let mut good = answer(b"");
        good.headers.insert(header::ETAG, HeaderValue::from_static("\"e\""));
        assert!(dialect.read_stored(&good).is_ok(), "{name}");
        let pages = never_right().into_iter().filter(|(_, body)| {
            let text = String::from_utf8_lossy(body).to_lowercase();
            text.starts_with("<html") || text.starts_with("<!doctype html")
        });
        let mut pages_seen = 0;
        for (what, body) in pages {
            let mut answer = answer(&body);
            answer.headers.insert(header::ETAG, HeaderValue::from_static("\"e\""));
            assert!(dialect.read_stored(&answer).is_err(), "{name}: {what}");
            pages_seen += 1;
        }
        assert!(pages_seen >= 4, "{pages_seen}");
    }
}

#[test]
fn the_answer_to_one_operation_is_none_to_another() {
    for name in NAMES {
        let dialect = dialect(name);
        let mut right = 0;
        for (of, document) in DOCUMENTS {
            for (operation, accepted) in accepted(&*dialect, document.as_bytes()) {
                assert!(!accepted || operation == *of, "{name}: {of} as {operation}: {document}");
                right += u32::from(accepted);
            }
        }
        // The documents are good ones: otherwise nothing was shown.
        assert_eq!(right, if name == DialectName::Qingstor { 5 } else { 8 }, "{name}");
    }
}

#[test]
fn no_part_of_a_document_is_the_document() {
    for name in NAMES {
        let dialect = dialect(name);
        for (of, document) in DOCUMENTS {
            for end in 1..document.len() {
                for (operation, accepted) in accepted(&*dialect, &document.as_bytes()[..end]) {
                    assert!(!accepted, "{name}: {of} cut at {end} as {operation}");
                }
            }
        }
    }
}

/// An answer with a status of failure is a failure whatever its body is, with words.
#[test]
fn a_refusal_is_a_refusal_whatever_it_says() {
    let documents = DOCUMENTS.iter().map(|(what, text)| (*what, text.as_bytes().to_vec()));
    let bodies: Vec<_> = never_right().into_iter().chain(documents).collect();
    for name in NAMES {
        let dialect = dialect(name);
        for status in [400, 401, 403, 404, 409, 412, 416, 429, 500, 502, 503, 520] {
            for (what, body) in &bodies {
                let answer =
                    Answer { status: StatusCode::from_u16(status).unwrap(), ..answer(body) };
                let failure = dialect.failure(&answer);
                assert!(!failure.message.is_empty(), "{name}: {status} with {what}");
            }
        }
    }
}

/// Headers that contradict each other or themselves are no content.
#[test]
fn content_with_contradicting_headers_is_refused() {
    let good = [("etag", "\"e\""), ("content-length", "5")];
    let ranged = [("etag", "\"e\""), ("content-length", "5"), ("content-range", "bytes 0-4/9")];
    let headers = |pairs: &[(&'static str, &str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    };
    let range = ByteRange::new(0, 5);
    for name in NAMES {
        let dialect = dialect(name);
        let read = |status: u16, pairs: &[(&'static str, &str)], range| {
            let status = StatusCode::from_u16(status).unwrap();
            dialect.read_content(status, &headers(pairs), range).is_ok()
        };
        assert!(read(200, &good, None) && read(206, &ranged, range), "{name}");
        assert!(!read(200, &good, range), "{name}: the whole for a range");
        assert!(!read(206, &ranged, None), "{name}: a range for the whole");
        assert!(!read(206, &good, range), "{name}: a range without its place");
        for bad in ["bytes 1-5/9", "bytes 0-3/9", "bytes 0-4/*", "bytes 0-4", "bytes 4-0/9", "x"] {
            let pairs = [("etag", "\"e\""), ("content-length", "5"), ("content-range", bad)];
            assert!(!read(206, &pairs, range), "{name}: {bad}");
        }
        let two = [("etag", "\"e\""), ("etag", "\"f\""), ("content-length", "5")];
        assert!(!read(200, &two, None), "{name}: two versions");
        assert!(!read(200, &good[1..], None), "{name}: no version");
        assert!(!read(200, &good[..1], None), "{name}: no length");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_end_in_a_result(body: Vec<u8>, of in 0..DOCUMENTS.len(), at: usize, with: u8) {
        let mut document = DOCUMENTS[of].1.as_bytes().to_vec();
        let at = at % document.len();
        document[at] = with;
        for name in NAMES {
            let dialect = dialect(name);
            let _ = accepted(&*dialect, &body);
            let _ = accepted(&*dialect, &document);
            let _ = dialect.failure(&answer(&body));
        }
    }
}
