//! Where a COS bucket is: names and endpoints, checked before anything is sent.

use crate::dialect::ConnectError;
use crate::dialect::connection::Endpoint;
use crate::dialect::request::Site;

/// Domains of the service itself; the bucket goes in front of its endpoints there.
const DOMAINS: [&str; 2] = [".myqcloud.com", ".tencentcos.cn"];
/// First labels of endpoints without a bucket.
const SERVICE_LABELS: [&str; 2] = ["cos", "cos-internal"];
/// Fewest digits taken for an APPID; real ones have 8 to 10, and `photos-2024` has none.
const APPID_DIGITS: usize = 5;
/// Longest label of a host name (RFC 1035).
const BUCKET_BYTES: usize = 63;

/// A bucket's place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) site: Site,
    /// What stands before `/KEY` in the source of a copy.
    pub(super) copy_source: String,
}

impl Place {
    pub(super) fn new(
        bucket: String,
        endpoint: Option<&str>,
        region: Option<&str>,
    ) -> Result<Self, ConnectError> {
        check_bucket(&bucket)?;
        if let Some(region) = region {
            check_region(region)?;
        }
        let Some(text) = endpoint else {
            let region = region.ok_or_else(|| ConnectError::NoRegionNorEndpoint(bucket.clone()))?;
            let authority = public_host(&bucket, region);
            return Ok(Self {
                copy_source: authority.clone(),
                site: Site { tls: true, authority },
            });
        };

        let mut endpoint = Endpoint::parse(text)?;
        endpoint.warn_if_plain();
        let own_domain = DOMAINS.iter().any(|domain| endpoint.host.ends_with(domain));
        let (label, rest) = endpoint.host.split_once('.').unwrap_or((&endpoint.host, ""));
        if label == bucket || (own_domain && !SERVICE_LABELS.contains(&label)) {
            let without = Endpoint { host: rest.to_owned(), ..endpoint }.url();
            return Err(ConnectError::BucketInEndpoint { endpoint: text.to_owned(), without });
        }
        let copy_source = if own_domain {
            endpoint.host = format!("{bucket}.{}", endpoint.host);
            endpoint.host.clone()
        } else {
            // A custom endpoint's own name means nothing to the service as a source. Where the
            // region is known the bucket's public name is; else `/BUCKET/KEY`, which opendal uses.
            match region {
                Some(region) => public_host(&bucket, region),
                None => format!("/{bucket}"),
            }
        };
        let site = Site { tls: endpoint.tls, authority: endpoint.authority() };
        Ok(Self { site, copy_source })
    }
}

fn public_host(bucket: &str, region: &str) -> String {
    format!("{bucket}.cos.{region}.myqcloud.com")
}

fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=BUCKET_BYTES).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn check_bucket(bucket: &str) -> Result<(), ConnectError> {
    if !is_label(bucket) {
        return Err(ConnectError::BadBucket(bucket.to_owned()));
    }
    let digits =
        |text: &str| text.len() >= APPID_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
    match bucket.rsplit_once('-') {
        Some((_, appid)) if digits(appid) => Ok(()),
        _ => Err(ConnectError::BucketWithoutAppId(bucket.to_owned())),
    }
}

fn check_region(region: &str) -> Result<(), ConnectError> {
    is_label(region).then_some(()).ok_or_else(|| ConnectError::BadRegion(region.to_owned()))
}
