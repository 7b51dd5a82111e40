//! Signatures of all services: requests of the vendors' SDKs are accepted, whatever of them is signed
//! cannot be changed, and nothing that is sent as a signature does any harm.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::vectors::{Vector, read};
use super::*;

/// The ways to sign. Two of them belong to one service.
const SCHEMES: [Scheme; 5] = [
    Scheme {
        dialect: MockDialect::Cos,
        vectors: include_str!("../../../tests/data/signing_vectors_cos.json"),
        count: 18,
        signs: |part, vector| match part {
            Part::Header(name) => listed(vector, "q-header-list", name),
            Part::Parameter(name) => listed(vector, "q-url-param-list", name),
            Part::New => false,
        },
    },
    Scheme {
        dialect: MockDialect::Oss,
        vectors: include_str!("../../../tests/data/signing_vectors_oss_v1.json"),
        count: 15,
        signs: |part, _| match part {
            Part::Header(name) => {
                ["content-md5", "content-type", "date"].contains(&name)
                    || name.starts_with("x-oss-")
            }
            Part::Parameter(name) => {
                let signed = "append continuation-token delete position response-content-type \
                    security-token symlink uploadId OSSAccessKeyId Expires Signature";
                signed.split(' ').any(|signed| signed == name)
            }
            Part::New => false,
        },
    },
    Scheme {
        dialect: MockDialect::Oss,
        vectors: include_str!("../../../tests/data/signing_vectors_oss_v4.json"),
        count: 17,
        signs: |part, vector| match part {
            Part::Header(name) => {
                ["content-md5", "content-type"].contains(&name)
                    || name.starts_with("x-oss-")
                    || listed(vector, "AdditionalHeaders", name)
            }
            Part::Parameter(_) | Part::New => true,
        },
    },
    Scheme {
        dialect: MockDialect::Qingstor,
        vectors: include_str!("../../../tests/data/signing_vectors_qingstor.json"),
        count: 17,
        signs: |part, vector| match part {
            Part::Header("date") => vector.name != "qingstor/x-qs-date",
            Part::Header(name) => {
                ["content-md5", "content-type"].contains(&name) || name.starts_with("x-qs-")
            }
            Part::Parameter(name) => !["prefix", "marker", "delimiter", "limit"].contains(&name),
            Part::New => false,
        },
    },
    Scheme {
        dialect: MockDialect::S3,
        vectors: include_str!("../../../tests/data/signing_vectors_aws_sigv4.json"),
        count: 20,
        signs: |part, vector| match part {
            Part::Header(name) => listed(vector, "SignedHeaders", name),
            Part::Parameter(_) | Part::New => true,
        },
    },
];

/// A way to sign, and what it covers.
struct Scheme {
    dialect: MockDialect,
    vectors: &'static str,
    count: usize,
    signs: fn(Part<'_>, &Vector) -> bool,
}

/// A part of a request that may be signed or not.
enum Part<'a> {
    Header(&'a str),
    Parameter(&'a str),
    /// A parameter that was not there.
    New,
}

/// Whether the list of this name, anywhere in the signature, has an item.
fn listed(vector: &Vector, list: &str, item: &str) -> bool {
    let signature = vector.authorization.replace("%3B", ";").replace("%3b", ";");
    let Some((_, rest)) = signature.split_once(&format!("{list}=")) else { return false };
    let end = rest.find(['&', ',']).unwrap_or(rest.len());
    rest[..end].split(';').any(|found| found.eq_ignore_ascii_case(item))
}

impl Scheme {
    fn vectors(&self) -> Vec<Vector> {
        let vectors = read(self.vectors);
        assert_eq!(vectors.len(), self.count);
        vectors
    }

    fn config(&self, vector: &Vector) -> MockConfig {
        MockConfig { dialect: self.dialect, ..vector.config() }
    }

    fn verify(&self, vector: &Vector, offset: i64) -> Result<BodyProof, Refusal> {
        let request = vector.request().expect("a request");
        super::verify(&request, &self.config(vector), vector.at(offset))
    }

    /// Whether the request is refused, or none any more.
    fn refuses(&self, vector: &Vector) -> bool {
        let config = self.config(vector);
        let verified =
            vector.request().map(|request| super::verify(&request, &config, vector.at(0)));
        !matches!(verified, Some(Ok(_)))
    }
}

fn for_all(test: impl Fn(&Scheme, Vector)) {
    for scheme in &SCHEMES {
        for vector in scheme.vectors() {
            test(scheme, vector);
        }
    }
}

#[test]
fn every_request_of_the_sdks_verifies() {
    for_all(|scheme, vector| {
        let verified = scheme.verify(&vector, 0);
        assert!(verified.is_ok(), "{}: {verified:?}", vector.name);
    });
}

#[test]
fn the_string_to_sign_is_that_of_the_sdk() {
    for_all(|scheme, vector| {
        let config = MockConfig { secret_access_key: "other".to_owned(), ..scheme.config(&vector) };
        let request = vector.request().unwrap();
        let refusal = super::verify(&request, &config, vector.at(0)).unwrap_err();
        // Here the SDK leaves the port out of the host.
        if vector.name != "cos/custom-domain-with-port" {
            let shown = without_secrets(&vector.string_to_sign);
            assert_eq!(refusal, Refusal::SignatureDoesNotMatch(shown));
        }
    });
}

#[test]
fn method_and_path_cannot_be_changed() {
    for_all(|scheme, vector| {
        let changed = Vector { method: "OPTIONS".to_owned(), ..vector.clone() };
        assert!(scheme.refuses(&changed), "method of {}", vector.name);
        let changed = Vector { path: format!("{}x", vector.path), ..vector.clone() };
        assert!(scheme.refuses(&changed), "path of {}", vector.name);
    });
}

#[test]
fn headers_can_be_changed_exactly_when_they_are_not_signed() {
    for_all(|scheme, vector| {
        for (at, (name, _)) in vector.headers.iter().enumerate() {
            let name = name.to_ascii_lowercase();
            let mut changed = vector.clone();
            if name == "host" {
                // Where it is not signed as a header, it may still name the bucket.
                changed.host.insert(0, 'x');
                if !(scheme.signs)(Part::Header("host"), &vector) {
                    continue;
                }
            } else {
                changed.headers[at].1.push('x');
            }
            let signed = (scheme.signs)(Part::Header(&name), &vector);
            assert_eq!(scheme.refuses(&changed), signed, "header {name} of {}", vector.name);
        }
    });
}

#[test]
fn parameters_can_be_changed_exactly_when_they_are_signed() {
    for_all(|scheme, vector| {
        let with = |query: String| Vector { query, ..vector.clone() };
        let pairs: Vec<_> = vector.query.split('&').filter(|pair| !pair.is_empty()).collect();
        for (at, pair) in pairs.iter().enumerate() {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            let in_signature = name.starts_with("q-") || name == "x-cos-security-token";
            let signed = in_signature || (scheme.signs)(Part::Parameter(name), &vector);
            let mut changed = pairs.clone();
            let text = if *pair == name { format!("{name}=x") } else { format!("{pair}x") };
            changed[at] = &text;
            let changed = with(changed.join("&"));
            assert_eq!(scheme.refuses(&changed), signed, "{name} of {}", vector.name);
        }
        let more = with(format!("{}&surely-new=1", vector.query));
        let signed = (scheme.signs)(Part::New, &vector);
        assert_eq!(scheme.refuses(&more), signed, "one more in {}", vector.name);
    });
}

#[test]
fn a_host_that_names_the_bucket_cannot_name_another() {
    for_all(|scheme, mut vector| {
        let config = scheme.config(&vector);
        if vector.host.starts_with(&format!("{}.", config.bucket))
            && vector.name != "cos/host-not-signed"
        {
            vector.host.insert(0, 'x');
            assert!(scheme.refuses(&vector), "{}", vector.name);
        }
    });
}

#[test]
fn keys_must_be_the_known_ones() {
    for_all(|scheme, vector| {
        let config = MockConfig { access_key_id: "other".to_owned(), ..scheme.config(&vector) };
        let verified = super::verify(&vector.request().unwrap(), &config, vector.at(0));
        assert_eq!(verified, Err(Refusal::UnknownAccessKey));
    });
}

#[test]
fn tokens_must_be_the_known_ones() {
    for_all(|scheme, vector| {
        let expected = match scheme.dialect {
            MockDialect::Qingstor => return,
            MockDialect::Cos => Refusal::UnknownAccessKey,
            MockDialect::Oss | MockDialect::S3 => Refusal::InvalidToken,
        };
        for token in [None, Some("other".to_owned())] {
            // Nobody asks COS for a token; requests that have one must be right there by their signature.
            let unasked = scheme.dialect == MockDialect::Cos || vector.security_token.is_empty();
            if token.is_none() && unasked {
                continue;
            }
            let config = MockConfig { session_token: token, ..scheme.config(&vector) };
            let verified = super::verify(&vector.request().unwrap(), &config, vector.at(0));
            assert_eq!(verified, Err(expected.clone()), "{}", vector.name);
        }
    });
}

#[test]
fn regions_must_be_the_expected_one_where_they_are_signed() {
    for_all(|scheme, vector| {
        let request = vector.request().unwrap();
        let at = |region: Option<&str>| {
            let region = region.map(str::to_owned);
            let config = MockConfig { region, ..scheme.config(&vector) };
            super::verify(&request, &config, vector.at(0)).map(|_| ())
        };
        assert_eq!(at(None), Ok(()));
        let expected = match vector.string_to_sign.contains("4_request") {
            true => Err(Refusal::WrongRegion { expected: "elsewhere".to_owned() }),
            false => Ok(()),
        };
        assert_eq!(at(Some("elsewhere")), expected, "{}", vector.name);
    });
}

#[test]
fn dates_must_be_right_to_a_quarter_of_an_hour() {
    for_all(|scheme, vector| {
        if scheme.dialect == MockDialect::Cos || vector.in_query() {
            return;
        }
        for offset in [-900, 900] {
            assert!(scheme.verify(&vector, offset).is_ok(), "{}", vector.name);
        }
        for offset in [-901, 901] {
            assert_eq!(scheme.verify(&vector, offset), Err(Refusal::ClockSkew), "{}", vector.name);
        }
    });
}

#[test]
fn signatures_in_queries_expire() {
    for_all(|scheme, vector| {
        // All of these are good for five minutes.
        if scheme.dialect == MockDialect::Cos || !vector.in_query() {
            return;
        }
        assert!(scheme.verify(&vector, 300).is_ok(), "{}", vector.name);
        let refusal = scheme.verify(&vector, 301).unwrap_err();
        let expected = match scheme.dialect {
            MockDialect::Qingstor => matches!(refusal, Refusal::ClockSkew),
            _ => matches!(refusal, Refusal::AccessDenied(text) if text.contains("expired")),
        };
        assert!(expected, "{}: {refusal:?}", vector.name);
    });
}

#[test]
fn unsigned_and_malformed_requests_are_refused() {
    for_all(|scheme, vector| {
        if vector.in_query() {
            let unsigned = Vector { query: String::new(), ..vector };
            let refusal = scheme.verify(&unsigned, 0).unwrap_err();
            let expected =
                matches!(refusal, Refusal::MalformedAuthorization(_) | Refusal::AccessDenied(_));
            assert!(expected, "{}", unsigned.name);
            return;
        }
        let words: BTreeSet<_> =
            ["", " ", "OSS", "OSS x", "OSS4-HMAC-SHA256", "QS", "QS x", "AWS4-HMAC-SHA256 x=,x="]
                .into_iter()
                .chain(vector.authorization.split_inclusive([':', ',', ' ', '&']).take(1))
                .collect();
        for text in words {
            let wrong = Vector { authorization: text.to_owned(), ..vector.clone() };
            let refusal = scheme.verify(&wrong, 0).unwrap_err();
            let expected =
                matches!(refusal, Refusal::MalformedAuthorization(_) | Refusal::AccessDenied(_));
            // Only "<scheme> <id>:" is well-formed as far as it goes.
            let cut_off = matches!(refusal, Refusal::SignatureDoesNotMatch(_));
            assert!(expected || (cut_off && text.ends_with(':')), "{text:?}: {refusal:?}");
        }
    });
}

#[test]
fn two_authorizations_are_none() {
    for_all(|scheme, mut vector| {
        if vector.in_query() || scheme.dialect == MockDialect::Cos {
            return;
        }
        vector.headers.push(("Authorization".to_owned(), vector.authorization.clone()));
        let refusal = scheme.verify(&vector, 0).unwrap_err();
        assert!(matches!(refusal, Refusal::MalformedAuthorization(_)), "{}", vector.name);
    });
}

#[test]
fn what_tests_sign_verifies() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    use MockDialect::{Cos, Oss, Qingstor, S3};
    for dialect in [Cos, Oss, Qingstor, S3] {
        let config = MockConfig { dialect, ..MockConfig::default() };
        let prefix = ["x-cos-", "x-oss-", "x-qs-", "x-amz-"][dialect as usize];
        let sent = [
            (format!("{prefix}meta-a"), "b  c".to_owned()),
            ("content-type".to_owned(), "text/plain".to_owned()),
        ];
        for host in ["127.0.0.1:80".to_owned(), format!("{}.x.y", config.bucket)] {
            let target = "/a%20b/%E4%B8%AD?uploads&prefix=a+b%20c";
            let signed = sign_for_tests(&http::Method::PUT, target, &host, &sent, now, &config);
            let mut builder = http::Request::put(target).header("host", &host);
            for (name, value) in sent.iter().chain(&signed) {
                builder = builder.header(name, value);
            }
            let request = Request::new(builder.body(()).unwrap().into_parts().0);
            assert_eq!(verify(&request, &config, now), Ok(BodyProof::Unsigned), "{dialect:?}");
        }
    }
}

/// Keeps the marks that make parameters of a text.
const PARAMETERS: &AsciiSet = &ENCODED.remove(b'&').remove(b'=');

proptest! {
    /// Whatever comes as a signature, in a header or in a query, is refused and does no harm.
    #[test]
    fn no_signature_is_a_harm(
        scheme in 0..SCHEMES.len(),
        which in any::<prop::sample::Index>(),
        text in any::<String>(),
        long in 0_usize..3,
        cut in any::<prop::sample::Index>(),
    ) {
        let scheme = &SCHEMES[scheme];
        let vectors = scheme.vectors();
        let vector = which.get(&vectors);
        let text = text.repeat([1, 100, 10_000][long]);
        let authorization = &vector.authorization;
        let at = cut.index(authorization.len());
        let (before, behind) = (&authorization[..at], &authorization[at + 1..]);
        for text in [text.clone(), format!("{before}{text}{behind}x"), format!("{before}{text}")] {
            let mut changed = vector.clone();
            if vector.in_query() {
                let text = percent_encoding::utf8_percent_encode(&text, PARAMETERS);
                changed.query = text.to_string();
            } else {
                changed.authorization = text;
            }
            prop_assert!(scheme.refuses(&changed));
        }
    }
}
