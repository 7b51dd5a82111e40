//! Where an OSS bucket is: names, endpoints and the region that endpoints tell, checked before
//! anything is sent.

use crate::dialect::connection::Endpoint;
use crate::dialect::request::Site;
use crate::dialect::{ConnectError, Connection};

/// The service's own domain.
const DOMAIN: &str = ".aliyuncs.com";

/// A bucket's place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) site: Site,
    pub(super) bucket: String,
    /// Before the key in paths: empty, or `/BUCKET`.
    pub(super) path_prefix: String,
    /// As signatures name it: `cn-hangzhou`.
    pub(super) region: Option<String>,
}

impl Place {
    pub(super) fn new(connection: &Connection) -> Result<Self, ConnectError> {
        let bucket = connection.bucket.clone();
        check_bucket(&bucket)?;
        let region = match &connection.region {
            None => None,
            Some(text) => {
                let region = text.strip_prefix("oss-").unwrap_or(text);
                if !is_label(region) {
                    return Err(ConnectError::BadRegion(text.clone()));
                }
                Some(region.to_owned())
            }
        };
        let (endpoint, text) = match (&connection.endpoint, &region) {
            (Some(text), _) => (Endpoint::parse(text)?, text.clone()),
            (None, Some(region)) => {
                let url = format!("https://oss-{region}{DOMAIN}");
                (Endpoint::parse(&url)?, url)
            }
            (None, None) => return Err(ConnectError::NoRegionNorEndpoint(bucket)),
        };
        endpoint.warn_if_plain();

        let asked = connection.path_style;
        if let Some(front) = endpoint.host.strip_suffix(DOMAIN) {
            let told = region_of(front);
            if told.is_none() {
                return Err(bucket_in_endpoint(&endpoint, &text));
            }
            if asked == Some(true) {
                return Err(ConnectError::BadOption {
                    service: "OSS",
                    option: "path_style",
                    given: "true".to_owned(),
                    allowed: format!("false at its own domain {DOMAIN}, where it refuses that"),
                });
            }
            let site = Site {
                tls: endpoint.tls,
                authority: endpoint.at(format!("{bucket}.{}", endpoint.host)).authority(),
            };
            let region = region.or(told.flatten().map(str::to_owned));
            return Ok(Self { site, bucket, path_prefix: String::new(), region });
        }
        // A name that is not the service's stands for this one bucket (CNAME). An address cannot.
        let in_path = asked.unwrap_or(endpoint.ip().is_some());
        let path_prefix = if in_path { format!("/{bucket}") } else { String::new() };
        let site = Site { tls: endpoint.tls, authority: endpoint.authority() };
        Ok(Self { site, bucket, path_prefix, region })
    }
}

/// The region that an endpoint of the service tells by what stands before its domain, `Some(None)`
/// where it tells none; `None` when that is no endpoint, so has a bucket in front of it.
fn region_of(front: &str) -> Option<Option<&str>> {
    match front.split_once('.') {
        // The first endpoint there was.
        None if front == "oss" => Some(None),
        None => {
            let label = front.strip_prefix("oss-")?;
            let region = label.strip_suffix("-internal").unwrap_or(label);
            // The accelerated endpoints serve all regions.
            Some((!region.starts_with("accelerate")).then_some(region))
        }
        // Dual-stack endpoints: `cn-hangzhou.oss.aliyuncs.com`. Regions have a `-`.
        Some((region, "oss")) if region.contains('-') && !region.starts_with("oss-") => {
            Some(Some(region))
        }
        Some(_) => None,
    }
}

fn bucket_in_endpoint(endpoint: &Endpoint, text: &str) -> ConnectError {
    let rest = endpoint.host.split_once('.').map_or("", |(_, rest)| rest);
    ConnectError::BucketInEndpoint { endpoint: text.to_owned(), without: endpoint.at(rest).url() }
}

fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn check_bucket(bucket: &str) -> Result<(), ConnectError> {
    if is_label(bucket) && bucket.len() >= 3 {
        return Ok(());
    }
    Err(ConnectError::BadOption {
        service: "OSS",
        option: "bucket",
        given: bucket.to_owned(),
        allowed: "3 to 63 lower-case letters, digits and \"-\", no \"-\" at the ends".to_owned(),
    })
}
