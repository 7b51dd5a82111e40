//! The signature against the vendor's: an independent computation (the algorithm of the page "Request
//! Signature", written from its text) reproduces every signature that the vendor's SDK made, and
//! then every signature that our signer makes now.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use sha1::{Digest, Sha1};

use super::*;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    mode: String,
    method: String,
    host: String,
    key: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    authorization: String,
    http_string: String,
    access_key: String,
    secret_key: String,
    security_token: String,
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../../tests/data/signing_vectors_cos.json");
    serde_json::from_str::<Vectors>(text).unwrap().vectors
}

const SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac_hex(key: &str, message: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// What an `Authorization` value says.
fn field<'a>(authorization: &'a str, name: &str) -> &'a str {
    let found =
        authorization.split('&').find_map(|item| item.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name} in {authorization}"))
}

/// The pairs that `list` names, as the algorithm wants them: sorted, lower-cased, encoded.
fn named(list: &str, pairs: &[(String, String)]) -> String {
    let mut items = Vec::new();
    for name in list.split(';').filter(|name| !name.is_empty()) {
        let (_, value) = pairs.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).unwrap();
        items.push(format!("{name}={}", utf8_percent_encode(value, SET)));
    }
    items.join("&")
}

/// The signature that `authorization` should have, with the string it was made over.
fn recompute(
    secret: &str,
    authorization: &str,
    method: &str,
    path: &str,
    query: &str,
    headers: &[(String, String)],
) -> (String, String) {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().unwrap().into_owned()
    };
    let parameters: Vec<_> = query
        .split('&')
        .filter(|item| !item.is_empty())
        .map(|item| item.split_once('=').unwrap_or((item, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    let path = percent_decode_str(path).decode_utf8().unwrap();
    let http_string = format!(
        "{}\n{path}\n{}\n{}\n",
        method.to_lowercase(),
        named(field(authorization, "q-url-param-list"), &parameters),
        named(field(authorization, "q-header-list"), headers),
    );
    let key_time = field(authorization, "q-key-time");
    let digest = hex(&Sha1::digest(http_string.as_bytes()));
    let string_to_sign = format!("sha1\n{key_time}\n{digest}\n");
    (hmac_hex(&hmac_hex(secret, key_time), &string_to_sign), http_string)
}

#[test]
fn the_recomputation_reproduces_the_vendors_signatures() {
    let vectors: Vec<_> = vectors().into_iter().filter(|vector| vector.mode == "header").collect();
    assert_eq!(vectors.len(), 15);
    for vector in vectors {
        let mut headers = vector.headers.clone();
        if vector.name == "cos/custom-domain-with-port" {
            // The SDK sends the port in `Host` and signs without it.
            headers[0].1 = "127.0.0.1".into();
        }
        let (signature, http_string) = recompute(
            &vector.secret_key,
            &vector.authorization,
            &vector.method,
            &vector.path,
            &vector.query,
            &headers,
        );
        assert_eq!(http_string, vector.http_string, "{}", vector.name);
        assert_eq!(signature, field(&vector.authorization, "q-signature"), "{}", vector.name);
    }
}

#[tokio::test]
async fn our_signatures_are_what_the_recomputation_says() {
    for vector in vectors().into_iter().filter(|vector| vector.mode == "header") {
        // On the wire we write a blank as %20, never as the plus of forms.
        let query = vector.query.replace('+', "%20");
        let uri = format!("http://{}{}?{query}", vector.host, vector.path);
        let mut request = http::Request::builder().method(&*vector.method).uri(uri);
        for (name, value) in &vector.headers {
            request = request.header(name, value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let asked = head.headers.len();
        let token = Some(vector.security_token.as_str()).filter(|token| !token.is_empty());
        let credentials = Credentials::new(&*vector.access_key, &*vector.secret_key);
        let credentials = credentials.with_token(token);
        Signer::new().sign(&mut head, &credentials).await.unwrap();

        let authorization = head.headers["authorization"].to_str().unwrap().to_owned();
        assert!(head.headers["authorization"].is_sensitive());
        assert_eq!(field(&authorization, "q-ak"), vector.access_key);
        assert_eq!(field(&authorization, "q-sign-algorithm"), "sha1");
        assert_eq!(field(&authorization, "q-sign-time"), field(&authorization, "q-key-time"));
        let (start, end) = field(&authorization, "q-key-time").split_once(';').unwrap();
        assert_eq!(end.parse::<u64>().unwrap() - start.parse::<u64>().unwrap(), 3600);
        if let Some(token) = token {
            assert_eq!(head.headers["x-cos-security-token"], token);
        }
        // Everything that was there is covered, the host above all.
        let covered: Vec<_> = field(&authorization, "q-header-list").split(';').collect();
        assert_eq!(covered.len(), asked, "{}: {covered:?}", vector.name);
        assert!(covered.contains(&"host") && covered.is_sorted());

        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        let (signature, _) =
            recompute(&vector.secret_key, &authorization, &vector.method, path, query, &headers);
        assert_eq!(signature, field(&authorization, "q-signature"), "{}", vector.name);
    }
}

/// Our own path of each key decodes to what the vendor signed for it.
#[test]
fn our_paths_are_the_vendors_keys() {
    for vector in vectors().into_iter().filter(|vector| !vector.key.is_empty()) {
        let path = crate::dialect::encode::path(&vector.key).unwrap();
        let decoded = percent_decode_str(&path).decode_utf8().unwrap().into_owned();
        assert_eq!(Some(&*decoded), vector.http_string.split('\n').nth(1), "{}", vector.name);
    }
}
