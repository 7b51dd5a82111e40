//! The signature against the vendor's: an independent computation (the algorithm of the page "Request
//! Signature", written from its text) reproduces every signature that the vendor's SDK made, and
//! then every signature that our signer makes now, in a header and in a query.

use std::collections::BTreeMap;
use std::time::Duration;

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

impl Vector {
    fn in_query(&self) -> bool {
        match &*self.mode {
            "header" => false,
            "query" => true,
            other => panic!("{}: mode {other}", self.name),
        }
    }

    /// What the signature says, without the encoding that it has in a query.
    fn says(&self) -> String {
        self.authorization.replace("%3B", ";")
    }

    fn credentials(&self) -> Credentials {
        let token = Some(self.security_token.as_str()).filter(|token| !token.is_empty());
        Credentials::new(&*self.access_key, &*self.secret_key).with_token(token)
    }

    /// The request, with this query.
    fn head(&self, query: &str) -> Parts {
        let mark = if query.is_empty() { "" } else { "?" };
        let uri = format!("http://{}{}{mark}{query}", self.host, self.path);
        let mut request = http::Request::builder().method(&*self.method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(()).unwrap().into_parts().0
    }
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
    let vectors = vectors();
    assert_eq!(vectors.len(), 18);
    for vector in vectors {
        let mut headers = vector.headers.clone();
        if vector.name == "cos/custom-domain-with-port" {
            // The SDK sends the port in `Host` and signs without it.
            headers[0].1 = "127.0.0.1".into();
        }
        let (signature, http_string) = recompute(
            &vector.secret_key,
            &vector.says(),
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
    let vectors = vectors();
    let (mut in_headers, mut in_queries) = (0, 0);
    for vector in &vectors {
        if vector.in_query() {
            prove_in_query(vector).await;
            in_queries += 1;
        } else {
            prove_in_header(vector).await;
            in_headers += 1;
        }
    }
    assert_eq!((in_headers, in_queries, in_headers + in_queries), (15, 3, vectors.len()));
}

async fn prove_in_header(vector: &Vector) {
    // On the wire we write a blank as %20, never as the plus of forms.
    let mut head = vector.head(&vector.query.replace('+', "%20"));
    let asked = head.headers.len();
    let credentials = vector.credentials();
    Signer::new().sign(&mut head, &credentials).await.unwrap();

    let authorization = head.headers["authorization"].to_str().unwrap().to_owned();
    assert!(head.headers["authorization"].is_sensitive());
    assert_eq!(field(&authorization, "q-ak"), vector.access_key);
    assert_eq!(field(&authorization, "q-sign-algorithm"), "sha1");
    assert_eq!(field(&authorization, "q-sign-time"), field(&authorization, "q-key-time"));
    let (start, end) = field(&authorization, "q-key-time").split_once(';').unwrap();
    assert_eq!(end.parse::<u64>().unwrap() - start.parse::<u64>().unwrap(), 3600);
    if let Some(token) = &credentials.session_token {
        assert_eq!(head.headers["x-cos-security-token"], token.expose());
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

/// Parameters by name, decoded.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().unwrap().into_owned()
    };
    let pairs = query.split('&').map(|item| item.split_once('=').unwrap_or((item, "")));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

async fn prove_in_query(vector: &Vector) {
    let name = &vector.name;
    // The SDK's request before it was signed.
    let is_signature =
        |item: &&str| !item.starts_with("q-") && !item.starts_with("x-cos-security-token=");
    let own: Vec<_> = vector.query.split('&').filter(is_signature).collect();
    let own = own.join("&").replace('+', "%20");
    let valid = Duration::from_secs(300);
    let signer = Signer::new();
    let head = vector.head(&own);
    let uri = signer.presign(head, &vector.credentials(), valid).await.unwrap();
    assert_eq!((uri.path(), uri.host()), (&*vector.path, Some(&*vector.host)));
    let query = uri.query().unwrap();
    assert!(query.starts_with(&own) && !query.contains(';') && !query.contains('+'), "{query}");

    let says = query.replace("%3B", ";");
    let again = |says: &str| {
        let (secret, method) = (&vector.secret_key, &vector.method);
        recompute(secret, says, method, uri.path(), query, &vector.headers).0
    };
    assert_eq!(again(&says), field(&says, "q-signature"), "{name}");
    assert_eq!(field(&says, "q-sign-time"), field(&says, "q-key-time"));
    let (start, end) = field(&says, "q-key-time").split_once(';').unwrap();
    assert_eq!(end.parse::<u64>().unwrap() - start.parse::<u64>().unwrap(), 300);

    // All else is the SDK's: the same parameters, and at its time the same signature. The token is an
    // exception: the SDK covers it with the signature, the crate adds it behind.
    let (mut ours, mut vendors) = (parameters(query), parameters(&vector.query));
    for differs in ["q-sign-time", "q-key-time", "q-signature"] {
        assert!(ours.remove(differs).is_some() && vendors.remove(differs).is_some());
    }
    let at_their_time =
        says.replace(field(&says, "q-key-time"), field(&vector.says(), "q-key-time"));
    if vector.security_token.is_empty() {
        assert_eq!(again(&at_their_time), field(&vector.authorization, "q-signature"), "{name}");
    } else {
        let list = "q-url-param-list".to_owned();
        assert_eq!(vendors.insert(list, String::new()).unwrap(), "x-cos-security-token");
        let covering =
            at_their_time.replace("q-url-param-list=&", "q-url-param-list=x-cos-security-token&");
        assert_eq!(again(&covering), field(&vector.authorization, "q-signature"), "{name}");
    }
    assert_eq!(ours, vendors, "{name}");
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
