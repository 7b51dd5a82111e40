//! Checks signatures of S3 (`AWS4-HMAC-SHA256`), in the header and in the query, and says what they
//! state about the body.

use std::time::SystemTime;

use percent_encoding::{AsciiSet, percent_encode};

use super::digests::unhex_sha256;
use super::v4::{self, Credential, Family, Time};
use super::{BodyProof, ENCODED, authorization, check_region, check_token, header_value, mismatch};
use crate::mock::MockConfig;
use crate::mock::aws_chunked::{ChunkSigning, Framing};
use crate::mock::refusal::Refusal;
use crate::mock::request::Request;

const FAMILY: Family = Family {
    algorithm: "AWS4-HMAC-SHA256",
    key_prefix: "AWS4",
    service: "s3",
    terminator: "aws4_request",
};

/// States nothing about the body.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Paths keep their slashes, and are not normalised.
const PATH: &AsciiSet = &ENCODED.remove(b'/');

/// Verifies that `request` was signed with the credentials of `config` and is timely; says what its
/// body must be.
pub(super) fn verify(
    request: &Request,
    config: &MockConfig,
    now: SystemTime,
) -> Result<BodyProof, Refusal> {
    let claim = Claim::find(request)?;
    if claim.credential.access_key_id != config.access_key_id {
        return Err(Refusal::UnknownAccessKey);
    }
    check_token(claim.token.as_deref(), config)?;
    claim.time.check(claim.expires.as_deref(), now)?;
    check_region(&claim.credential.region, config)?;
    claim.check_signed_headers(request)?;
    let canonical = claim.canonical_request(request);
    let secret = &config.secret_access_key;
    let (text, signature) = claim.credential.sign(&canonical, &claim.time, secret, &FAMILY);
    if signature != claim.signature {
        return Err(mismatch(&text));
    }
    claim.body_proof(request, secret)
}

/// What a signature says.
#[derive(Debug)]
struct Claim {
    credential: Credential,
    time: Time,
    /// Seconds, in a query.
    expires: Option<String>,
    /// In lower case and in the order in which they are signed.
    signed_headers: Vec<String>,
    /// The statement about the body.
    payload: String,
    token: Option<String>,
    signature: String,
}

impl Claim {
    fn find(request: &Request) -> Result<Self, Refusal> {
        let malformed = Refusal::MalformedAuthorization("The authorization is malformed.");
        match (authorization(request)?, request.query.has("X-Amz-Signature")) {
            (Some(_), true) => Err(Refusal::InvalidArgument("Only one auth mechanism is allowed")),
            (Some(text), false) => Self::from_header(request, &text).ok_or(malformed),
            (None, true) => Self::from_query(request).ok_or(malformed),
            (None, false) => Err(Refusal::AccessDenied("Access Denied.")),
        }
    }

    fn from_header(request: &Request, text: &str) -> Option<Self> {
        let (algorithm, items) = text.split_once(' ')?;
        let items = v4::items(items)?;
        let time = Time::parse(&request.header("x-amz-date")?)?;
        (algorithm == FAMILY.algorithm).then_some(())?;
        Some(Self {
            credential: Credential::parse(items.get("Credential")?, &time, &FAMILY)?,
            time,
            expires: None,
            signed_headers: names(items.get("SignedHeaders")?),
            payload: request.header("x-amz-content-sha256").unwrap_or_default(),
            token: request.header("x-amz-security-token"),
            signature: (*items.get("Signature")?).to_owned(),
        })
    }

    fn from_query(request: &Request) -> Option<Self> {
        let get = |name| request.query.get(name);
        (get("X-Amz-Algorithm")? == FAMILY.algorithm).then_some(())?;
        let time = Time::parse(get("X-Amz-Date")?)?;
        let stated = request.header("x-amz-content-sha256");
        Some(Self {
            credential: Credential::parse(get("X-Amz-Credential")?, &time, &FAMILY)?,
            time,
            expires: Some(get("X-Amz-Expires")?.to_owned()),
            signed_headers: names(get("X-Amz-SignedHeaders")?),
            payload: stated.unwrap_or_else(|| UNSIGNED.to_owned()),
            token: get("X-Amz-Security-Token").map(str::to_owned),
            signature: get("X-Amz-Signature")?.to_owned(),
        })
    }

    /// The host and all headers of the service must be signed.
    fn check_signed_headers(&self, request: &Request) -> Result<(), Refusal> {
        let sent = request.headers.keys().map(|name| name.as_str());
        let mut needed = sent.filter(|name| name.starts_with("x-amz-")).chain(["host"]);
        if needed.all(|name| self.signed_headers.iter().any(|signed| signed == name)) {
            return Ok(());
        }
        Err(Refusal::AccessDenied(
            "There were headers present in the request which were not signed",
        ))
    }

    fn canonical_request(&self, request: &Request) -> String {
        let uri = percent_encode(&request.path, PATH);
        let query = v4::canonical_query(&request.query, "X-Amz-Signature", "=");
        let headers = self.signed_headers.iter().map(|name| match name.as_str() {
            "host" => format!("host:{}\n", request.host),
            name => format!("{name}:{}\n", collapsed(&header_value(request, name))),
        });
        let headers: String = headers.collect();
        let (signed, payload) = (self.signed_headers.join(";"), &self.payload);
        format!("{}\n{uri}\n{query}\n{headers}\n{signed}\n{payload}", request.method)
    }

    fn body_proof(&self, request: &Request, secret: &str) -> Result<BodyProof, Refusal> {
        let (signed, trailer) = match self.payload.as_str() {
            UNSIGNED => return Ok(BodyProof::Unsigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => (true, false),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => (true, true),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => (false, true),
            text => {
                let hash = unhex_sha256(text).ok_or(Refusal::InvalidArgument(
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-… or a SHA-256",
                ))?;
                return Ok(BodyProof::Sha256(hash));
            }
        };
        let len = request.header("x-amz-decoded-content-length").ok_or(Refusal::NoLength)?;
        let len = len.trim().parse().map_err(|_| {
            Refusal::InvalidArgument("x-amz-decoded-content-length is not a number")
        })?;
        let signing = signed.then(|| ChunkSigning {
            key: self.credential.signing_key(secret, &FAMILY),
            time: self.time.text.clone(),
            scope: self.credential.scope(&FAMILY),
            seed: self.signature.clone(),
        });
        let announced = header_value(request, "x-amz-trailer");
        let announced = announced.split(',').map(|name| name.trim().to_ascii_lowercase());
        let announced = announced.filter(|name| !name.is_empty()).collect();
        let trailers = trailer.then_some(announced);
        Ok(BodyProof::AwsChunked(Framing { decoded_bytes: len, signing, trailers }))
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(';').map(str::to_ascii_lowercase).collect()
}

/// With one blank for every run of them.
fn collapsed(text: &str) -> String {
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The headers that every signed request has, as far as it lacks them.
#[cfg(test)]
pub(super) fn headers_for_tests(
    request: &Request,
    now: SystemTime,
    config: &MockConfig,
) -> Vec<(&'static str, String)> {
    let token = config.session_token.clone();
    let mut headers = vec![("x-amz-date", Time::at(now).text)];
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    if request.header("x-amz-content-sha256").is_none() {
        headers.push(("x-amz-content-sha256", UNSIGNED.to_owned()));
    }
    headers
}

/// The `Authorization` for a request that has the headers of [`headers_for_tests`]: all are signed.
#[cfg(test)]
pub(super) fn sign_for_tests(request: &Request, now: SystemTime, config: &MockConfig) -> String {
    let time = Time::at(now);
    let (day, _) = time.text.split_once('T').unwrap_or_default();
    let (id, region) = (&config.access_key_id, config.region.as_deref().unwrap_or("us-east-1"));
    let credential = format!("{id}/{day}/{region}/s3/aws4_request");
    let mut signed: Vec<_> = request.headers.keys().map(|name| name.as_str()).collect();
    signed.sort_unstable();
    signed.dedup();
    let signed = signed.join(";");
    let unsigned =
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature=");
    let claim = Claim::from_header(request, &unsigned).expect("made just now");
    let canonical = claim.canonical_request(request);
    let secret = &config.secret_access_key;
    unsigned + &claim.credential.sign(&canonical, &time, secret, &FAMILY).1
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
