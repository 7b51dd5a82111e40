//! What is particular to signatures of COS; what all services share is tested beside `verify`.

use super::super::vectors::{Vector, read};
use super::*;

fn vector() -> Vector {
    read(include_str!("../../../tests/data/signing_vectors_cos.json")).remove(0)
}

/// Keys may end in line feeds, and so may prefixes.
#[test]
fn blanks_count_in_parameters_and_not_around_headers() {
    let signed = |query: &str, header: &str| {
        let builder = http::Request::builder().uri(format!("/?{query}")).header("host", "h");
        let request = builder.header("x-cos-a", header).body(()).unwrap();
        let vector = vector();
        let signature = Signature {
            headers: vec!["host".to_owned(), "x-cos-a".to_owned()],
            parameters: vec!["prefix".to_owned()],
            ..Signature::find(&vector.request().unwrap()).unwrap()
        };
        signature.compute(&Request::new(request.into_parts().0), "h", "secret").1
    };
    assert_ne!(signed("prefix=a", "b"), signed("prefix=a%0A", "b"));
    assert_ne!(signed("prefix=a", "b"), signed("prefix=+a", "b"));
    assert_eq!(signed("prefix=+a", "b"), signed("prefix=%20a", "b"));
    assert_eq!(signed("prefix=a", "b"), signed("prefix=a", " b\t"));
}

#[test]
fn the_window_of_time_is_kept() {
    let vector = vector();
    let at = |offset| verify(&vector.request().unwrap(), &vector.config(), vector.at(offset));
    assert_eq!(at(-60), Ok(()));
    assert_eq!(at(-61), Err(Refusal::ClockSkew));
    assert_eq!(at(10_000), Ok(()));
    assert_eq!(at(10_001), Err(Refusal::AccessDenied("Request has expired")));
}

#[test]
fn a_date_that_is_there_must_be_right() {
    let vector = vector();
    for (offset, expected) in [(0, Ok(())), (-900, Ok(())), (901, Err(Refusal::ClockSkew))] {
        let mut request = vector.request().unwrap();
        let date = httpdate::fmt_http_date(vector.at(offset));
        request.headers.insert("date", date.parse().unwrap());
        assert_eq!(verify(&request, &vector.config(), vector.at(0)), expected);
    }
}
