//! Signatures: the vectors of the vendor's SDK are accepted, and everything that was changed is refused.

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::*;

/// Requests signed by the vendor's own SDK with a fixed clock.
#[derive(Debug, Clone, Deserialize)]
struct Vector {
    name: String,
    method: String,
    host: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    authorization: String,
    access_key: String,
    secret_key: String,
    security_token: String,
    time_unix: u64,
    string_to_sign: String,
}

fn vectors() -> Vec<Vector> {
    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }
    let text = include_str!("../../../tests/data/signing_vectors_cos.json");
    let all = serde_json::from_str::<Vectors>(text).unwrap().vectors;
    assert_eq!(all.len(), 18);
    all
}

impl Vector {
    fn request(&self) -> Request {
        let target = format!("{}?{}", self.path, self.query);
        let mut builder = http::Request::builder().method(self.method.as_str()).uri(target);
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        if !self.query.contains("q-signature") {
            builder = builder.header("authorization", &self.authorization);
        }
        let request = Request::new(builder.body(()).unwrap().into_parts().0);
        assert_eq!(request.host, self.host);
        request
    }

    fn config(&self) -> MockConfig {
        let token = &self.security_token;
        MockConfig {
            access_key_id: self.access_key.clone(),
            secret_access_key: self.secret_key.clone(),
            session_token: (!token.is_empty()).then(|| token.clone()),
            ..MockConfig::default()
        }
    }

    fn at(&self, offset: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.time_unix.checked_add_signed(offset).unwrap())
    }

    fn verify(&self) -> Result<(), Refusal> {
        verify(&self.request(), &self.config(), self.at(0))
    }

    fn mismatches(&self, request: &Request) -> bool {
        let result = verify(request, &self.config(), self.at(0));
        matches!(result, Err(Refusal::SignatureDoesNotMatch(_)))
    }
}

#[test]
fn every_request_of_the_sdk_verifies() {
    for vector in vectors() {
        assert_eq!(vector.verify(), Ok(()), "{}", vector.name);
    }
}

#[test]
fn the_string_to_sign_is_that_of_the_sdk() {
    for vector in vectors() {
        let config = MockConfig { secret_access_key: "other".to_owned(), ..vector.config() };
        let refusal = verify(&vector.request(), &config, vector.at(0)).unwrap_err();
        if vector.name != "cos/custom-domain-with-port" {
            assert_eq!(refusal, Refusal::SignatureDoesNotMatch(vector.string_to_sign.clone()));
        }
    }
}

#[test]
fn whatever_is_signed_cannot_be_changed() {
    for vector in vectors() {
        let original = vector.request();
        let signature = Signature::find(&original).unwrap();

        let mut request = original.clone();
        request.method = http::Method::OPTIONS;
        assert!(vector.mismatches(&request), "method of {}", vector.name);

        let mut request = original.clone();
        *request.path.last_mut().unwrap() ^= 1;
        assert!(vector.mismatches(&request), "path of {}", vector.name);

        for name in &signature.headers {
            let mut request = original.clone();
            if name == "host" {
                request.host.insert(0, 'x');
            } else {
                let name: HeaderName = name.parse().unwrap();
                let mut value = request.headers[&name].as_bytes().to_vec();
                value[0] ^= 1;
                request.headers.insert(name, HeaderValue::from_bytes(&value).unwrap());
            }
            let refused = verify(&request, &vector.config(), vector.at(0)).is_err();
            assert!(refused, "header {name} of {}", vector.name);
        }
        for name in &signature.parameters {
            let raw = format!("{name}=x&{}", vector.query);
            let mut request = original.clone();
            request.query = Query::parse(&raw);
            let refused = verify(&request, &vector.config(), vector.at(0)).is_err();
            assert!(refused, "parameter {name} of {}", vector.name);
        }
    }
}

/// Keys may end in line feeds, and so may prefixes.
#[test]
fn blanks_count_in_parameters_and_not_around_headers() {
    let signed = |query: &str, header: &str| {
        let builder = http::Request::builder().uri(format!("/?{query}")).header("host", "h");
        let request = builder.header("x-cos-a", header).body(()).unwrap();
        let vector = vectors().remove(0);
        let signature = Signature {
            headers: vec!["host".to_owned(), "x-cos-a".to_owned()],
            parameters: vec!["prefix".to_owned()],
            ..Signature::find(&vector.request()).unwrap()
        };
        signature.compute(&Request::new(request.into_parts().0), "h", "secret").1
    };
    assert_ne!(signed("prefix=a", "b"), signed("prefix=a%0A", "b"));
    assert_ne!(signed("prefix=a", "b"), signed("prefix=+a", "b"));
    assert_eq!(signed("prefix=+a", "b"), signed("prefix=%20a", "b"));
    assert_eq!(signed("prefix=a", "b"), signed("prefix=a", " b\t"));
}

#[test]
fn keys_and_tokens_must_be_the_known_ones() {
    for vector in vectors() {
        let config = MockConfig { access_key_id: "other".to_owned(), ..vector.config() };
        let result = verify(&vector.request(), &config, vector.at(0));
        assert_eq!(result, Err(Refusal::UnknownAccessKey));
        let config = MockConfig { session_token: Some("other".to_owned()), ..vector.config() };
        let result = verify(&vector.request(), &config, vector.at(0));
        assert_eq!(result, Err(Refusal::UnknownAccessKey));
    }
}

#[test]
fn the_window_of_time_is_kept() {
    let vector = vectors().remove(0);
    let at = |offset| verify(&vector.request(), &vector.config(), vector.at(offset));
    assert_eq!(at(-60), Ok(()));
    assert_eq!(at(-61), Err(Refusal::ClockSkew));
    assert_eq!(at(10_000), Ok(()));
    assert_eq!(at(10_001), Err(Refusal::AccessDenied("Request has expired")));
}

#[test]
fn a_date_that_is_there_must_be_right() {
    let vector = vectors().remove(0);
    for (offset, expected) in [(0, Ok(())), (-900, Ok(())), (901, Err(Refusal::ClockSkew))] {
        let mut request = vector.request();
        let date = httpdate::fmt_http_date(vector.at(offset));
        request.headers.insert("date", date.parse().unwrap());
        assert_eq!(verify(&request, &vector.config(), vector.at(0)), expected);
    }
}

#[test]
fn unsigned_and_malformed_requests_are_denied() {
    let vector = vectors().remove(0);
    for authorization in [None, Some(""), Some("AWS4-HMAC-SHA256 x"), Some("q-sign-algorithm=sha1")]
    {
        let mut request = vector.request();
        request.headers.remove("authorization");
        if let Some(text) = authorization {
            request.headers.insert("authorization", text.parse().unwrap());
        }
        let result = verify(&request, &vector.config(), vector.at(0));
        assert!(matches!(result, Err(Refusal::AccessDenied(_))), "{authorization:?}");
    }
}
