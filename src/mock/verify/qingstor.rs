//! Checks signatures of QingStor (`QS`), in the header and in the query.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::percent_decode_str;

use super::digests::hmac_sha256;
use super::{authorization, check_skew, header_value, lines, mismatch, vendor_headers};
use crate::mock::refusal::Refusal;
use crate::mock::request::{Request, locate};
use crate::mock::{MockConfig, base64};

/// The parameters that are signed.
const SUBRESOURCES: [&str; 23] = [
    "acl",
    "append",
    "cname",
    "cors",
    "delete",
    "image",
    "lifecycle",
    "logging",
    "mirror",
    "notification",
    "part_number",
    "policy",
    "position",
    "replication",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "stats",
    "upload_id",
    "uploads",
];

/// What a signature says.
#[derive(Debug)]
struct Claim {
    id: String,
    signature: String,
    /// Unix seconds, in a query.
    expires: Option<String>,
}

/// Verifies that `request` was signed with the credentials of `config` and is timely. There are no
/// temporary tokens here.
pub(super) fn verify(
    request: &Request,
    config: &MockConfig,
    now: SystemTime,
) -> Result<(), Refusal> {
    let claim = Claim::find(request)?;
    if claim.id != config.access_key_id {
        return Err(Refusal::UnknownAccessKey);
    }
    let date = match &claim.expires {
        Some(expires) => check_expires(expires, now)?,
        None => check_date(request, now)?,
    };
    let kind = header_value(request, "content-type");
    // One SDK signs the values of parameters as sent, the other decoded; and in queries the type of
    // the content is left out by the SDK, against the documentation.
    let kinds = if claim.expires.is_some() { vec![kind, String::new()] } else { vec![kind] };
    let texts = kinds.iter().flat_map(|kind| {
        [false, true].map(|decoded| string_to_sign(request, config, &date, kind, decoded))
    });
    let texts = texts.collect::<Vec<_>>();
    if texts.iter().any(|text| sign(text, config) == claim.signature) {
        return Ok(());
    }
    Err(mismatch(&texts[0]))
}

impl Claim {
    fn find(request: &Request) -> Result<Self, Refusal> {
        let malformed = Refusal::MalformedAuthorization("The authorization is malformed.");
        let query = &request.query;
        if let Some(text) = authorization(request)? {
            let claim = text.strip_prefix("QS ").and_then(|text| text.split_once(':'));
            let (id, signature) = claim.ok_or(malformed)?;
            let (id, signature) = (id.to_owned(), signature.to_owned());
            return Ok(Self { id, signature, expires: None });
        }
        match (query.get("access_key_id"), query.get("signature"), query.get("expires")) {
            (Some(id), Some(signature), Some(expires)) => Ok(Self {
                id: id.to_owned(),
                signature: signature.to_owned(),
                expires: Some(expires.to_owned()),
            }),
            (None, None, None) => {
                Err(Refusal::MalformedAuthorization("The request is not signed."))
            }
            _ => Err(malformed),
        }
    }
}

fn check_expires(expires: &str, now: SystemTime) -> Result<String, Refusal> {
    let seconds = expires
        .parse()
        .map_err(|_| Refusal::MalformedAuthorization("expires is not a number of seconds"))?;
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        // The service has one word for both.
        Some(end) if now > end => Err(Refusal::ClockSkew),
        _ => Ok(expires.to_owned()),
    }
}

/// The line of the date: empty when `x-qs-date`, which is signed among the headers, stands in.
fn check_date(request: &Request, now: SystemTime) -> Result<String, Refusal> {
    let stand_in = request.header("x-qs-date");
    let line = if stand_in.is_some() { String::new() } else { header_value(request, "date") };
    let date = httpdate::parse_http_date(stand_in.as_deref().unwrap_or(&line).trim())
        .map_err(|_| Refusal::InvalidArgument("a valid Date is required"))?;
    check_skew(date, now)?;
    Ok(line)
}

fn string_to_sign(
    request: &Request,
    config: &MockConfig,
    date: &str,
    kind: &str,
    decoded: bool,
) -> String {
    let md5 = header_value(request, "content-md5");
    let headers = lines(&vendor_headers(request, "x-qs-"));
    let resource = resource(request, config);
    let parameters = parameters(&request.raw_query, decoded);
    let mark = if parameters.is_empty() { "" } else { "?" };
    format!("{}\n{md5}\n{kind}\n{date}\n{headers}{resource}{mark}{parameters}", request.method)
}

/// `/<bucket>` and the path as sent; where the path names the bucket already, the path alone.
fn resource(request: &Request, config: &MockConfig) -> String {
    let decoded = String::from_utf8_lossy(&request.path);
    let path = decoded.strip_prefix('/').unwrap_or(&decoded);
    match locate(&request.host, path, config) {
        Ok(key) if key.len() == path.len() => format!("/{}{}", config.bucket, request.raw_path),
        _ => request.raw_path.clone(),
    }
}

fn parameters(raw_query: &str, decoded: bool) -> String {
    let pairs = raw_query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<_> =
        pairs.filter(|(name, _)| SUBRESOURCES.binary_search(name).is_ok()).collect();
    pairs.sort_unstable();
    let written = pairs.into_iter().map(|(name, value)| match value {
        "" => name.to_owned(),
        value if decoded => {
            let blanks = value.replace('+', " ");
            format!("{name}={}", percent_decode_str(&blanks).decode_utf8_lossy())
        }
        value => format!("{name}={value}"),
    });
    written.collect::<Vec<_>>().join("&")
}

fn sign(text: &str, config: &MockConfig) -> String {
    base64::encode(&hmac_sha256(config.secret_access_key.as_bytes(), text))
}

/// The `Authorization` for a request that has its date.
#[cfg(test)]
pub(super) fn sign_for_tests(request: &Request, config: &MockConfig) -> String {
    let (date, kind) = (header_value(request, "date"), header_value(request, "content-type"));
    let text = string_to_sign(request, config, &date, &kind, false);
    format!("QS {}:{}", config.access_key_id, sign(&text, config))
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{Vector, read};
    use super::*;

    const VECTORS: &str = include_str!("../../../tests/data/signing_vectors_qingstor.json");

    fn vector(name: &str) -> Vector {
        let all = read(VECTORS);
        all.into_iter().find(|vector| vector.name == format!("qingstor/{name}")).unwrap()
    }

    #[test]
    fn the_names_are_those_of_the_sdk_in_the_order_that_searching_needs() {
        let file: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let names = file["signed_subresources"].as_array().unwrap();
        let mut names: Vec<_> = names.iter().filter_map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, SUBRESOURCES);
    }

    #[test]
    fn values_are_signed_as_sent_or_decoded() {
        let query = "response-content-type=text%2Fplain&uploads=&limit=1";
        let sent = "response-content-type=text%2Fplain&uploads";
        assert_eq!(parameters(query, false), sent);
        assert_eq!(parameters(query, true), "response-content-type=text/plain&uploads");
        let mut vector = vector("get-plain-vhost");
        vector.query = query.to_owned();
        let config = vector.config();
        for decoded in [false, true] {
            let request = vector.request().unwrap();
            let (date, kind) = (header_value(&request, "date"), "application/octet-stream");
            let text = string_to_sign(&request, &config, &date, kind, decoded);
            vector.authorization = format!("QS {}:{}", config.access_key_id, sign(&text, &config));
            assert_eq!(verify(&vector.request().unwrap(), &config, vector.at(0)), Ok(()));
        }
    }

    /// The SDK leaves the type of the content out of signatures in queries, the documentation has it.
    #[test]
    fn a_signed_query_binds_the_content_type_or_leaves_it_out() {
        let mut vector = vector("presign-get");
        vector.headers.push(("Content-Type".to_owned(), "text/plain".to_owned()));
        let (config, request) = (vector.config(), vector.request().unwrap());
        assert_eq!(verify(&request, &config, vector.at(0)), Ok(()));
        let text = string_to_sign(&request, &config, "1700000300", "text/plain", false);
        let query = "response-content-type=text/plain&access_key_id=AKIDEXAMPLE&expires=1700000300";
        let signature = sign(&text, &config).replace('+', "%2B").replace('/', "%2F");
        vector.query = format!("{query}&signature={signature}");
        assert_eq!(verify(&vector.request().unwrap(), &config, vector.at(0)), Ok(()));
    }
}
