//! Checks signatures of OSS: V1 (`OSS`) and V4 (`OSS4-HMAC-SHA256`), in the header and in the query.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::digests::hmac_sha1;
use super::v4::{self, Credential, Family, Time};
use super::{
    ENCODED, authorization, check_region, check_skew, check_token, header_value, lines, mismatch,
    vendor_headers,
};
use crate::mock::refusal::Refusal;
use crate::mock::request::{Request, host_name, is_bare, locate};
use crate::mock::{MockConfig, base64};

/// The words of V4.
const FAMILY: Family = Family {
    algorithm: "OSS4-HMAC-SHA256",
    key_prefix: "aliyun_v4",
    service: "oss",
    terminator: "aliyun_v4_request",
};

/// The only statement about the body that V4 makes.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Resources keep their slashes.
const PATH: &AsciiSet = &ENCODED.remove(b'/');

/// The parameters that V1 signs, as in OSS's own SDK.
const SUBRESOURCES: [&str; 86] = [
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "group",
    "httpsConfig",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "redundancyTransition",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
    "x-oss-ac-forward-allow",
    "x-oss-ac-source-ip",
    "x-oss-ac-subnet-mask",
    "x-oss-ac-vpc-id",
    "x-oss-access-point-name",
    "x-oss-async-process",
    "x-oss-process",
    "x-oss-redundancy-transition-taskid",
    "x-oss-request-payer",
    "x-oss-target-redundancy-type",
    "x-oss-traffic-limit",
    "x-oss-write-get-object-response",
];

/// Verifies that `request` was signed with the credentials of `config` and is timely.
pub(super) fn verify(
    request: &Request,
    config: &MockConfig,
    now: SystemTime,
) -> Result<(), Refusal> {
    let malformed = Refusal::MalformedAuthorization("The authorization is malformed.");
    let query = &request.query;
    match authorization(request)? {
        Some(text) => match text.split_once(' ') {
            Some(("OSS", text)) => {
                let (id, signature) = text.split_once(':').ok_or(malformed)?;
                verify_v1(request, config, now, &V1 { id, signature, expires: None })
            }
            Some(("OSS4-HMAC-SHA256", text)) => {
                let claim = V4::from_header(request, text).ok_or(malformed)?;
                verify_v4(request, config, now, &claim)
            }
            _ => Err(malformed),
        },
        None if query.has("x-oss-signature") => {
            let claim = V4::from_query(request).ok_or(malformed)?;
            verify_v4(request, config, now, &claim)
        }
        None => match (query.get("OSSAccessKeyId"), query.get("Signature"), query.get("Expires")) {
            (Some(id), Some(signature), expires @ Some(_)) => {
                verify_v1(request, config, now, &V1 { id, signature, expires })
            }
            (None, None, None) => Err(Refusal::AccessDenied("Anonymous access is forbidden.")),
            _ => Err(malformed),
        },
    }
}

/// What a signature of V1 says.
#[derive(Debug)]
struct V1<'a> {
    id: &'a str,
    signature: &'a str,
    /// Unix seconds, in a query.
    expires: Option<&'a str>,
}

fn verify_v1(
    request: &Request,
    config: &MockConfig,
    now: SystemTime,
    claim: &V1<'_>,
) -> Result<(), Refusal> {
    if claim.id != config.access_key_id {
        return Err(Refusal::UnknownAccessKey);
    }
    check_one_token(request, "security-token", config)?;
    let date = match claim.expires {
        Some(expires) => check_expires(expires, now)?,
        None => check_date(request, now)?,
    };
    // SDKs differ in whether all parameters of the service are signed, or those of the list only.
    let texts = [false, true].map(|all| string_to_sign_v1(request, config, &date, all));
    let signs = |text: &String| {
        base64::encode(&hmac_sha1(config.secret_access_key.as_bytes(), text)) == claim.signature
    };
    if texts.iter().any(signs) {
        return Ok(());
    }
    let [text, _] = texts;
    Err(mismatch(&text))
}

fn check_expires(expires: &str, now: SystemTime) -> Result<String, Refusal> {
    let seconds = expires.parse().map_err(|_| Refusal::AccessDenied("Invalid date in Expires"))?;
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    match end {
        Some(end) if now > end => Err(Refusal::AccessDenied("Request has expired.")),
        _ => Ok(expires.to_owned()),
    }
}

/// The date that is signed; `x-oss-date` stands in for the other.
fn check_date(request: &Request, now: SystemTime) -> Result<String, Refusal> {
    let text = request.header("x-oss-date").or_else(|| request.header("date"));
    let text = text.unwrap_or_default().trim().to_owned();
    let date = httpdate::parse_http_date(&text)
        .map_err(|_| Refusal::AccessDenied("OSS authentication requires a valid Date."))?;
    check_skew(date, now)?;
    Ok(text)
}

/// The token, which stands in the header or in the query.
fn check_one_token(request: &Request, name: &str, config: &MockConfig) -> Result<(), Refusal> {
    let header = request.header("x-oss-security-token");
    match (header.as_deref(), request.query.get(name)) {
        (Some(_), Some(_)) => Err(Refusal::InvalidArgument("There is more than one token.")),
        (header, query) => check_token(header.or(query), config),
    }
}

fn string_to_sign_v1(request: &Request, config: &MockConfig, date: &str, all: bool) -> String {
    let signed = |name: &str| {
        SUBRESOURCES.binary_search(&name).is_ok() || (all && name.starts_with("x-oss-"))
    };
    let mut parameters: Vec<_> = request.query.pairs().filter(|(name, _)| signed(name)).collect();
    parameters.sort_unstable();
    let parameters = parameters.into_iter().map(|(name, value)| match value {
        "" => name.to_owned(),
        value => format!("{name}={value}"),
    });
    let parameters = parameters.collect::<Vec<_>>().join("&");
    let mark = if parameters.is_empty() { "" } else { "?" };
    let (md5, kind) = (header_value(request, "content-md5"), header_value(request, "content-type"));
    let headers = lines(&vendor_headers(request, "x-oss-"));
    let resource = resource(request, config);
    format!("{}\n{md5}\n{kind}\n{date}\n{headers}{resource}{mark}{parameters}", request.method)
}

/// `/<bucket>/<key>`, decoded, however the bucket was named.
fn resource(request: &Request, config: &MockConfig) -> String {
    let path = String::from_utf8_lossy(&request.path);
    let path = path.strip_prefix('/').unwrap_or(&path);
    match locate(&request.host, path, config) {
        Ok(key) => format!("/{}/{key}", config.bucket),
        // A bucket that is not here: the signature may be right all the same.
        Err(_) => match host_name(&request.host) {
            name if is_bare(name) => format!("/{path}"),
            name => format!("/{}/{path}", name.split('.').next().unwrap_or_default()),
        },
    }
}

/// What a signature of V4 says.
#[derive(Debug)]
struct V4 {
    credential: Credential,
    time: Time,
    /// Seconds, in a query.
    expires: Option<String>,
    /// Headers that are signed besides those that always are; `;` between them.
    additional: String,
    signature: String,
}

impl V4 {
    fn from_header(request: &Request, text: &str) -> Option<Self> {
        let items = v4::items(text)?;
        let time = Time::parse(&request.header("x-oss-date")?)?;
        Some(Self {
            credential: Credential::parse(items.get("Credential")?, &time, &FAMILY)?,
            time,
            expires: None,
            additional: (*items.get("AdditionalHeaders").unwrap_or(&"")).to_owned(),
            signature: (*items.get("Signature")?).to_owned(),
        })
    }

    fn from_query(request: &Request) -> Option<Self> {
        let get = |name| request.query.get(name);
        if get("x-oss-signature-version")? != FAMILY.algorithm {
            return None;
        }
        let time = Time::parse(get("x-oss-date")?)?;
        Some(Self {
            credential: Credential::parse(get("x-oss-credential")?, &time, &FAMILY)?,
            time,
            expires: Some(get("x-oss-expires")?.to_owned()),
            additional: get("x-oss-additional-headers").unwrap_or_default().to_owned(),
            signature: get("x-oss-signature")?.to_owned(),
        })
    }

    fn canonical_request(&self, request: &Request, config: &MockConfig) -> String {
        let mut headers = vendor_headers(request, "x-oss-");
        let listed = self.additional.split(';').map(str::to_ascii_lowercase);
        let usual = ["content-type", "content-md5"].map(str::to_owned);
        for name in listed.chain(usual).filter(|name| request.headers.contains_key(name)) {
            let value = match name.as_str() {
                "host" => request.host.clone(),
                name => header_value(request, name),
            };
            headers.insert(name, value);
        }
        let resource = resource(request, config);
        let uri = utf8_percent_encode(&resource, PATH);
        let query = v4::canonical_query(&request.query, "x-oss-signature", "");
        let (headers, additional) = (lines(&headers), &self.additional);
        format!("{}\n{uri}\n{query}\n{headers}\n{additional}\n{UNSIGNED}", request.method)
    }
}

fn verify_v4(
    request: &Request,
    config: &MockConfig,
    now: SystemTime,
    claim: &V4,
) -> Result<(), Refusal> {
    if claim.credential.access_key_id != config.access_key_id {
        return Err(Refusal::UnknownAccessKey);
    }
    check_one_token(request, "x-oss-security-token", config)?;
    let stated = request.header("x-oss-content-sha256");
    if claim.expires.is_none() && stated.as_deref() != Some(UNSIGNED) {
        return Err(Refusal::InvalidArgument("x-oss-content-sha256 must be UNSIGNED-PAYLOAD"));
    }
    claim.time.check(claim.expires.as_deref(), now)?;
    check_region(&claim.credential.region, config)?;
    let canonical = claim.canonical_request(request, config);
    let secret = &config.secret_access_key;
    let (text, signature) = claim.credential.sign(&canonical, &claim.time, secret, &FAMILY);
    if signature == claim.signature { Ok(()) } else { Err(mismatch(&text)) }
}

/// The `Authorization` (V1) for a request that has its date.
#[cfg(test)]
pub(super) fn sign_for_tests(request: &Request, config: &MockConfig) -> String {
    let date = request.header("date").unwrap_or_default();
    let text = string_to_sign_v1(request, config, &date, false);
    let signature = base64::encode(&hmac_sha1(config.secret_access_key.as_bytes(), &text));
    format!("OSS {}:{signature}", config.access_key_id)
}

#[cfg(test)]
#[path = "oss_tests.rs"]
mod tests;
