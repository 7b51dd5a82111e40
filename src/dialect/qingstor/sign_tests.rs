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

    fn head(&self) -> Parts {
        let uri = format!("http://{}{}?{}", self.host, self.path, self.query);
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
    assert_eq!(vectors.len(), 17);
    // The one signature in a query is what the mock has to check; the client makes none.
    let in_headers: Vec<_> = vectors.into_iter().filter(|vector| vector.mode == "header").collect();
    assert_eq!(in_headers.len(), 16);
    for vector in in_headers {
        let mut head = vector.head();
        let credentials = Credentials::new(&*vector.access_key, &*vector.secret_key);
        let now = UNIX_EPOCH + Duration::from_secs(vector.time_unix);
        vector.signer().sign_at(&mut head, &credentials, now).unwrap();
        let text = vector.signer().string_to_sign(&head).unwrap();
        assert_eq!(text, vector.string_to_sign, "{}", vector.name);
        let authorization = &head.headers[AUTHORIZATION];
        assert_eq!(authorization, &*vector.authorization, "{}", vector.name);
        assert!(authorization.is_sensitive());
    }
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
    let mut head = vectors().vectors[0].head();
    let credentials = Credentials::new("AK", "hush");
    Signer::new("").sign(&mut head, &credentials).unwrap();
    let date = httpdate::parse_http_date(head.headers[DATE].to_str().unwrap()).unwrap();
    let age = SystemClock.now().duration_since(date).unwrap();
    assert!(age < Duration::from_secs(60), "{age:?}");
    assert!(!format!("{head:?}").contains("QS AK:"));
    let temporary = credentials.with_token(Some("token"));
    let refused = Signer::new("").sign(&mut head, &temporary).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadCredentials);
}
