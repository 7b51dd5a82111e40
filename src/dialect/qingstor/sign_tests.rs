//! The signature against the vendor's SDK, byte by byte.

use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
    signed_subresources: Vec<String>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    mode: String,
    bucket: String,
    key: String,
    method: String,
    host: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    string_to_sign: String,
    authorization: String,
    access_key: String,
    secret_key: String,
    time_unix: u64,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../tests/data/signing_vectors_qingstor.json");
    serde_json::from_str(text).unwrap()
}

impl Vector {
    fn names_bucket_in_host(&self) -> bool {
        self.host.starts_with(&format!("{}.", self.bucket))
    }

    fn signer(&self) -> Signer {
        Signer::new(if self.names_bucket_in_host() {
            format!("/{}", self.bucket)
        } else {
            String::new()
        })
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.time_unix)
    }

    /// The request without its date, with this query.
    fn head(&self, query: &str) -> Parts {
        let uri = format!("http://{}{}?{query}", self.host, self.path);
        let mut request = http::Request::builder().method(&*self.method).uri(uri);
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "Date") {
            request = request.header(name, value);
        }
        request.body(()).unwrap().into_parts().0
    }
}

#[test]
fn the_vendors_signatures_come_out() {
    let Vectors { vectors, .. } = vectors();
    let (mut in_headers, mut in_queries) = (0, 0);
    for vector in &vectors {
        match &*vector.mode {
            "header" => {
                prove_in_header(vector);
                in_headers += 1;
            }
            "query" => {
                prove_in_query(vector);
                in_queries += 1;
            }
            other => panic!("{}: mode {other}", vector.name),
        }
    }
    assert_eq!((in_headers, in_queries, in_headers + in_queries), (16, 1, vectors.len()));
}

fn prove_in_header(vector: &Vector) {
    let mut head = vector.head(&vector.query);
    let credentials = Credentials::new(&*vector.access_key, &*vector.secret_key);
    vector.signer().sign_at(&mut head, &credentials, vector.now()).unwrap();
    let own_date = head.headers.contains_key(OWN_DATE);
    let date = if own_date { "" } else { head.headers[DATE].to_str().unwrap() };
    let text = vector.signer().string_to_sign(&head, date).unwrap();
    assert_eq!(text, vector.string_to_sign, "{}", vector.name);
    let authorization = &head.headers[AUTHORIZATION];
    assert_eq!(authorization, &*vector.authorization, "{}", vector.name);
    assert!(authorization.is_sensitive());
}

fn prove_in_query(vector: &Vector) {
    // The SDK's request before it was signed: it puts what signs behind.
    let (own, _) = vector.query.split_once("&signature=").unwrap();
    let (head, valid) = (vector.head(own), Duration::from_secs(300));
    let text = vector.signer().string_to_sign(&head, "1700000300").unwrap();
    assert_eq!(text, vector.string_to_sign, "{}", vector.name);
    let credentials = Credentials::new(&*vector.access_key, &*vector.secret_key);
    let uri = vector.signer().presign_at(&head, &credentials, vector.now(), valid).unwrap();
    let expected = format!("http://{}{}?{}", vector.host, vector.path, vector.authorization);
    assert_eq!(uri.to_string(), expected, "{}", vector.name);
}

#[test]
fn an_address_without_parameters_gets_those_of_the_signature_alone() {
    let head = vectors().vectors[0].head("");
    let credentials = Credentials::new("AK/+", "hush");
    let uri = Signer::new("").presign(&head, &credentials, Duration::from_secs(60)).unwrap();
    let query = uri.query().unwrap();
    assert!(query.starts_with("signature=") && query.contains("&access_key_id=AK%2F%2B&"));
    let end = query.split_once("&expires=").unwrap().1.parse().unwrap();
    let left = Duration::from_secs(end) - SystemClock.now().duration_since(UNIX_EPOCH).unwrap();
    assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(30), "{left:?}");
}

/// Our path of each key is the vendor's, in both styles.
#[test]
fn our_paths_are_the_vendors() {
    for vector in vectors().vectors.into_iter().filter(|vector| !vector.key.is_empty()) {
        let path = crate::dialect::encode::path(&vector.key).unwrap();
        let style = if vector.names_bucket_in_host() { "" } else { "/mybucket" };
        assert_eq!(format!("{style}{path}"), vector.path, "{}", vector.name);
    }
}

#[test]
fn every_sub_resource_of_the_sdk_is_covered() {
    assert!(SUB_RESOURCES.is_sorted());
    for name in vectors().signed_subresources {
        assert!(is_covered(&name) && is_covered(&format!("{name}=x")), "{name}");
    }
    for name in ["prefix=a", "marker", "limit=1", "uploadsx", "", "="] {
        assert!(!is_covered(name), "{name}");
    }
}

#[test]
fn the_present_is_signed_for() {
    let mut head = vectors().vectors[0].head("");
    let credentials = Credentials::new("AK", "hush");
    Signer::new("").sign(&mut head, &credentials).unwrap();
    let date = httpdate::parse_http_date(head.headers[DATE].to_str().unwrap()).unwrap();
    let age = SystemClock.now().duration_since(date).unwrap();
    assert!(age < Duration::from_secs(60), "{age:?}");
    assert!(!format!("{head:?}").contains("QS AK:"));
    let temporary = credentials.with_token(Some("token"));
    let refused = Signer::new("").sign(&mut head, &temporary).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadCredentials);
    let refused = Signer::new("").presign(&head, &temporary, Duration::from_secs(60)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadCredentials);
}
