//! The signature against the vendor's: an independent computation (the page "Signature Calculations for
//! the Authorization Header", written from its text) reproduces every signature that the vendor's SDK
//! made, and then every signature that our signer makes now, in a header and in a query.

use std::collections::BTreeMap;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::*;
use crate::dialect::encode;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    mode: String,
    method: String,
    scheme: String,
    host: String,
    path: String,
    query: String,
    region: String,
    headers: Vec<(String, String)>,
    #[serde(default)]
    authorization: String,
    canonical_request: String,
    string_to_sign: String,
    access_key: String,
    secret_key: String,
    security_token: String,
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../../tests/data/signing_vectors_aws_sigv4.json");
    serde_json::from_str::<Vectors>(text).unwrap().vectors
}

const SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &SET.remove(b'/');

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// A request as it is on the wire.
struct Wire {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
}

impl Wire {
    fn parameters(&self) -> Vec<(String, String)> {
        let items = self.query.split('&').filter(|item| !item.is_empty());
        items
            .map(|item| item.split_once('=').unwrap_or((item, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect()
    }

    fn parameter(&self, name: &str) -> String {
        self.parameters().into_iter().find(|(given, _)| given == name).unwrap().1
    }

    fn canonical(&self, signed: &str, payload: &str) -> String {
        let path = decode(&self.path);
        let uri = utf8_percent_encode(&path, PATH);
        let mut query: Vec<_> = self
            .parameters()
            .iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .map(|(name, value)| {
                (
                    utf8_percent_encode(name, SET).to_string(),
                    utf8_percent_encode(value, SET).to_string(),
                )
            })
            .collect();
        query.sort();
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let header = |name: &str| {
            let words: Vec<_> = self.headers[name].split(' ').filter(|w| !w.is_empty()).collect();
            format!("{name}:{}\n", words.join(" "))
        };
        let headers: String = signed.split(';').map(header).collect();
        let query = query.join("&");
        format!("{}\n{uri}\n{query}\n{headers}\n{signed}\n{payload}", self.method)
    }
}

fn lower(headers: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    headers.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}

/// String to sign and signature.
fn signature(secret: &str, time: &str, region: &str, canonical: &str) -> (String, String) {
    let day = &time[..8];
    let scope = format!("{day}/{region}/s3/aws4_request");
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for step in [day, region, "s3", "aws4_request"] {
        key = hmac(&key, step);
    }
    (text.clone(), hex(&hmac(&key, &text)))
}

fn field<'a>(authorization: &'a str, name: &str) -> &'a str {
    let items = authorization.split_once(' ').unwrap().1.split(", ");
    let mut found = items.filter_map(|item| item.strip_prefix(name)?.strip_prefix('='));
    found.next().unwrap_or_else(|| panic!("no {name} in {authorization}"))
}

#[test]
fn the_recomputation_reproduces_the_vendors_signatures() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 20);
    for vector in vectors {
        let wire = Wire {
            method: vector.method.clone(),
            path: vector.path.clone(),
            query: vector.query.clone(),
            headers: lower(vector.headers.iter().cloned()),
        };
        let (signed, payload, expected) = if vector.mode == "header" {
            let text = &vector.authorization;
            let payload = wire.headers["x-amz-content-sha256"].clone();
            (field(text, "SignedHeaders").into(), payload, field(text, "Signature").to_owned())
        } else {
            let signed = wire.parameter("X-Amz-SignedHeaders");
            (signed, "UNSIGNED-PAYLOAD".to_owned(), wire.parameter("X-Amz-Signature"))
        };
        let canonical = wire.canonical(&signed, &payload);
        assert_eq!(canonical, vector.canonical_request, "{}", vector.name);
        let time = "20231114T221320Z";
        let (text, found) = signature(&vector.secret_key, time, &vector.region, &canonical);
        assert_eq!(text, vector.string_to_sign, "{}", vector.name);
        assert_eq!(found, expected, "{}", vector.name);
    }
}

/// Requests for some keys of our own.
fn our_requests() -> Vec<Vector> {
    let mut requests = Vec::new();
    for key in ["a/../b", "./x", "a/..", "a//b", "+~* %2F%41?#&=", "中文/文件"] {
        requests.push(Vector {
            name: key.into(),
            mode: "header".into(),
            method: "PUT".into(),
            scheme: "http".into(),
            host: "b--x-s3.example.org:9000".into(),
            path: format!("/bucket{}", encode::path(key).unwrap()),
            query: "uploads&partNumber=1&empty=&uploadId=a%2Bb".into(),
            region: "garage".into(),
            headers: vec![
                ("host".into(), "b--x-s3.example.org:9000".into()),
                ("content-length".into(), "5".into()),
                ("x-amz-meta-a".into(), "two  blanks   three".into()),
                ("x-amz-copy-source".into(), "bucket/%E4%B8%AD%2B".into()),
            ],
            authorization: String::new(),
            canonical_request: String::new(),
            string_to_sign: String::new(),
            access_key: "AKIDEXAMPLE".into(),
            secret_key: "SECRET".into(),
            security_token: "TOKEN/EXAMPLE+token==".into(),
        });
    }
    requests
}

impl Vector {
    fn token(&self) -> Option<&str> {
        Some(self.security_token.as_str()).filter(|token| !token.is_empty())
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(&*self.access_key, &*self.secret_key).with_token(self.token())
    }
}

#[tokio::test]
async fn our_signatures_are_what_the_recomputation_says() {
    let vectors = vectors();
    let (mut in_headers, mut in_queries) = (0, 0);
    for vector in &vectors {
        match &*vector.mode {
            "header" => {
                prove_in_header(vector).await;
                in_headers += 1;
            }
            "query" => {
                prove_in_query_as_the_sdk(vector).await;
                in_queries += 1;
            }
            other => panic!("{}: mode {other}", vector.name),
        }
    }
    assert_eq!((in_headers, in_queries, in_headers + in_queries), (18, 2, vectors.len()));
    for vector in our_requests() {
        prove_in_header(&vector).await;
        prove_in_query(&vector, &vector.query).await;
    }
}

async fn prove_in_header(vector: &Vector) {
    let uri = format!("{}://{}{}?{}", vector.scheme, vector.host, vector.path, vector.query);
    let mut request = http::Request::builder().method(&*vector.method).uri(uri);
    for (name, value) in &vector.headers {
        let name = name.to_ascii_lowercase();
        if !matches!(&*name, "x-amz-date" | "x-amz-security-token") {
            request = request.header(name, value);
        }
    }
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let before = head.clone();
    let (token, credentials) = (vector.token(), vector.credentials());
    Signer::new(&vector.region).sign(&mut head, &credentials).await.unwrap();

    // What was there goes out as it was.
    assert_eq!(head.uri, before.uri);
    assert!(before.headers.iter().all(|(name, value)| head.headers[name] == value));
    assert!(head.headers["authorization"].is_sensitive());
    if let Some(token) = token {
        assert_eq!(head.headers["x-amz-security-token"], token);
        assert!(head.headers["x-amz-security-token"].is_sensitive());
    }
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let wire = Wire {
        method: vector.method.clone(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: lower(head.headers.iter().map(pair)),
    };
    let authorization = &wire.headers["authorization"];
    let signed = field(authorization, "SignedHeaders");
    // Everything is covered.
    let names = wire.headers.keys().filter(|name| *name != "authorization");
    assert_eq!(names.map(String::as_str).collect::<Vec<_>>().join(";"), signed);
    let canonical = wire.canonical(signed, &wire.headers["x-amz-content-sha256"]);
    let time = &wire.headers["x-amz-date"];
    let (_, expected) = signature(&vector.secret_key, time, &vector.region, &canonical);
    assert_eq!(field(authorization, "Signature"), expected, "{}", vector.name);
    let scope = format!("{}/{}/s3/aws4_request", &time[..8], vector.region);
    let credential = format!("{}/{scope}", vector.access_key);
    assert_eq!(field(authorization, "Credential"), credential);
}

/// Proves a link to the object of a vector; gives it as it is on the wire.
async fn prove_in_query(vector: &Vector, query: &str) -> Wire {
    let uri = format!("{}://{}{}?{query}", vector.scheme, vector.host, vector.path);
    let request = http::Request::builder().method("GET").uri(&uri).header("host", &vector.host);
    let (head, ()) = request.body(()).unwrap().into_parts();
    let (signer, valid) = (Signer::new(&vector.region), Duration::from_secs(300));
    let link = signer.presign(&head, &vector.credentials(), valid).await.unwrap();
    // What was there is there as it was.
    assert!(link.to_string().starts_with(&uri), "{link}");
    let wire = Wire {
        method: "GET".into(),
        path: link.path().to_owned(),
        query: link.query().unwrap().to_owned(),
        headers: lower([("host".to_owned(), vector.host.clone())].into_iter()),
    };
    assert_eq!(wire.parameter("X-Amz-Algorithm"), "AWS4-HMAC-SHA256");
    assert_eq!(wire.parameter("X-Amz-Expires"), "300");
    assert_eq!(wire.parameter("X-Amz-SignedHeaders"), "host");
    let time = wire.parameter("X-Amz-Date");
    let scope = format!("{}/{}/s3/aws4_request", &time[..8], vector.region);
    assert_eq!(wire.parameter("X-Amz-Credential"), format!("{}/{scope}", vector.access_key));
    let tokens = wire.parameters().into_iter().filter(|(name, _)| name == "X-Amz-Security-Token");
    let tokens: Vec<String> = tokens.map(|(_, value)| value).collect();
    assert_eq!(tokens, Vec::from_iter(vector.token()), "{}", vector.name);
    let canonical = wire.canonical("host", "UNSIGNED-PAYLOAD");
    let (_, expected) = signature(&vector.secret_key, &time, &vector.region, &canonical);
    assert_eq!(wire.parameter("X-Amz-Signature"), expected, "{}", vector.name);
    wire
}

/// At the time of the SDK our link would be the SDK's, but for the order of its parameters.
async fn prove_in_query_as_the_sdk(vector: &Vector) {
    assert_eq!(vector.method, "GET");
    let (own, _) = vector.query.split_once("&X-Amz-").unwrap();
    let mut ours = prove_in_query(vector, own).await;
    let (now, then) = (ours.parameter("X-Amz-Date"), "20231114T221320Z");
    ours.query = ours.query.replace(&now, then).replace(&now[..8], &then[..8]);
    let canonical = ours.canonical("host", "UNSIGNED-PAYLOAD");
    assert_eq!(canonical, vector.canonical_request, "{}", vector.name);
    let (_, found) = signature(&vector.secret_key, then, &vector.region, &canonical);
    assert_eq!(vector.authorization.split_once("&X-Amz-Signature=").unwrap().1, found);
}

/// Bodies of content are not hashed; requests without a body are.
#[tokio::test]
async fn what_is_said_about_the_body() {
    for (length, expected) in [
        (None, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (Some("0"), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (Some("5"), "UNSIGNED-PAYLOAD"),
    ] {
        let mut request = http::Request::builder().uri("http://h/k").header("host", "h");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let credentials = Credentials::new("A", "S");
        Signer::new("r").sign(&mut head, &credentials).await.unwrap();
        assert_eq!(head.headers["x-amz-content-sha256"], expected);
    }
}
