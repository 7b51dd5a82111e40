//! Where a bucket of S3 is: names, endpoints, the region that endpoints tell, and whether the bucket is
//! named in the host or in the path. Checked before anything is sent.

use std::net::IpAddr;

use crate::dialect::connection::Endpoint;
use crate::dialect::request::Site;
use crate::dialect::{ConnectError, Connection};

/// Domains of AWS; the second is that of its partition in China.
const DOMAINS: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];
/// Signed where neither the user nor the endpoint says a region: AWS's first, and the one that MinIO and
/// Ceph have until they are told another.
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket's place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) site: Site,
    pub(super) bucket: String,
    /// Before the key in paths: empty, or `/BUCKET`.
    pub(super) path_prefix: String,
    /// For the signature.
    pub(super) region: String,
}

impl Place {
    pub(super) fn new(connection: &Connection) -> Result<Self, ConnectError> {
        let bucket = connection.bucket.clone();
        check_bucket(&bucket)?;
        let region = connection.region.as_deref();
        if let Some(region) = region {
            check_region(region)?;
        }
        let text = match (&connection.endpoint, region) {
            (Some(text), _) => text.clone(),
            (None, Some(region)) => public_endpoint(region),
            (None, None) => return Err(ConnectError::NoRegionNorEndpoint(bucket)),
        };
        let endpoint = Endpoint::parse(&text)?;
        endpoint.warn_if_plain();

        let aws = Aws::of(&endpoint.host);
        if let Some(without) = bucket_in(&endpoint, &bucket, aws.as_ref(), connection.path_style) {
            return Err(ConnectError::BucketInEndpoint { endpoint: text, without });
        }
        // The certificate of `*.s3.…` does not cover a name with further dots.
        let one_label = !endpoint.tls || !bucket.contains('.');
        let suggested = !(one_label && aws.as_ref().is_some_and(|aws| !aws.private));
        let in_path = connection.path_style.unwrap_or(suggested);
        if !in_path && endpoint.ip().is_some() {
            return Err(ConnectError::BadOption {
                service: "S3",
                option: "path_style",
                given: "false".to_owned(),
                allowed: "true for an endpoint that is an address".to_owned(),
            });
        }
        let told = aws.and_then(|aws| aws.region);
        let region = region.or(told.as_deref()).unwrap_or_else(|| {
            tracing::info!(endpoint = endpoint.url(), "no region is given; signing for us-east-1");
            DEFAULT_REGION
        });
        let (host, path_prefix) = match in_path {
            true => (endpoint.host.clone(), format!("/{bucket}")),
            false => (format!("{bucket}.{}", endpoint.host), String::new()),
        };
        let site = Site { tls: endpoint.tls, authority: endpoint.at(host).authority() };
        Ok(Self { site, bucket, path_prefix, region: region.to_owned() })
    }
}

fn public_endpoint(region: &str) -> String {
    let [world, china] = DOMAINS;
    let domain = if region.starts_with("cn-") { china } else { world };
    format!("https://s3.{region}{domain}")
}

/// An endpoint of AWS.
#[derive(Debug, PartialEq, Eq)]
struct Aws {
    /// The host from `s3` on, and whatever stands before it.
    service: String,
    before: String,
    region: Option<String>,
    /// An endpoint of a private network (`bucket.vpce-….s3.REGION.vpce`).
    private: bool,
}

impl Aws {
    /// `s3.REGION`, `s3.dualstack.REGION`, `s3-fips.REGION`, `s3-REGION`, `s3`, `s3-accelerate`, with more
    /// before it or not.
    fn of(host: &str) -> Option<Self> {
        let domain = DOMAINS.into_iter().find(|domain| host.ends_with(domain))?;
        let labels: Vec<&str> = host.strip_suffix(domain)?.split('.').collect();
        let at = labels.iter().rposition(|label| *label == "s3" || label.starts_with("s3-"))?;
        let behind = labels[at + 1..].iter().find(|label| !matches!(**label, "dualstack" | "vpce"));
        let region = match (behind, labels[at].strip_prefix("s3-")) {
            (Some(region), _) => Some(*region),
            (None, Some("accelerate" | "fips" | "external-1")) => None,
            (None, old) => old,
        };
        Some(Self {
            service: format!("{}{domain}", labels[at..].join(".")),
            before: labels[..at].join("."),
            region: region.map(str::to_owned),
            private: labels[..at].iter().any(|label| label.starts_with("vpce-")),
        })
    }
}

/// The endpoint without the bucket, when it has one in it. With path style asked for, the name of a
/// server may well be that of the bucket.
fn bucket_in(
    endpoint: &Endpoint,
    bucket: &str,
    aws: Option<&Aws>,
    path_style: Option<bool>,
) -> Option<String> {
    match aws {
        Some(aws) if aws.private || aws.before.is_empty() => None,
        Some(aws) => Some(endpoint.at(aws.service.as_str()).url()),
        None if path_style == Some(true) => None,
        None => {
            let rest = endpoint.host.strip_prefix(bucket)?.strip_prefix('.')?;
            Some(endpoint.at(rest).url())
        }
    }
}

fn check_bucket(bucket: &str) -> Result<(), ConnectError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let good = (3..=63).contains(&bucket.len())
        && bucket.split('.').all(is_label)
        && bucket.parse::<IpAddr>().is_err();
    good.then_some(()).ok_or_else(|| ConnectError::BadOption {
        service: "S3",
        option: "bucket",
        given: bucket.to_owned(),
        allowed: "3 to 63 lower-case letters, digits, \"-\" and \".\" between them, no address"
            .to_owned(),
    })
}

/// Servers of one's own may call their region anything.
fn check_region(region: &str) -> Result<(), ConnectError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let good = (1..=63).contains(&region.len()) && region.bytes().all(allowed);
    good.then_some(()).ok_or_else(|| ConnectError::BadRegion(region.to_owned()))
}
