//! Where a QingStor bucket is: names and endpoints, checked before anything is sent.

use crate::dialect::ConnectError;
use crate::dialect::connection::Endpoint;
use crate::dialect::request::Site;

/// Domains of the service itself: the first is the documents' and the SDKs', the second that of newer
/// pages. The zone stands before them, and the bucket before the zone.
const DOMAINS: [&str; 2] = ["qingstor.com", "qsstor.com"];
/// Lengths of a bucket's name.
const BUCKET_BYTES: std::ops::RangeInclusive<usize> = 6..=63;

/// A bucket's place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) site: Site,
    /// `/BUCKET`, which is a part of what is signed and of the sources of copies.
    pub(super) bucket_path: String,
    /// Whether that stands before the key in paths too, instead of the bucket in the host.
    pub(super) path_style: bool,
}

impl Place {
    /// `path_style` is as the user wishes; `None` is a bucket in the host at endpoints of the service
    /// and in the path at others.
    pub(super) fn new(
        bucket: &str,
        endpoint: Option<&str>,
        zone: Option<&str>,
        path_style: Option<bool>,
    ) -> Result<Self, ConnectError> {
        check_bucket(bucket)?;
        if let Some(zone) = zone {
            check_zone(zone)?;
        }
        let bucket_path = format!("/{bucket}");
        let (mut endpoint, own_domain) = match (endpoint, zone) {
            (Some(text), zone) => find(bucket, text, zone)?,
            (None, Some(zone)) => {
                let host = format!("{zone}.{}", DOMAINS[0]);
                (Endpoint { tls: true, host, port: None }, true)
            }
            (None, None) => return Err(ConnectError::NoRegionNorEndpoint(bucket.to_owned())),
        };
        let path_style = path_style.unwrap_or(!own_domain);
        if !path_style {
            if endpoint.ip().is_some() {
                let allowed = "true at an endpoint that is an IP address";
                return Err(bad("path_style", "false", allowed.to_owned()));
            }
            endpoint.host = format!("{bucket}.{}", endpoint.host);
        }
        let site = Site { tls: endpoint.tls, authority: endpoint.authority() };
        Ok(Self { site, bucket_path, path_style })
    }
}

/// The endpoint that `text` is, with its zone, and whether it is the service's own.
fn find(bucket: &str, text: &str, zone: Option<&str>) -> Result<(Endpoint, bool), ConnectError> {
    let mut endpoint = Endpoint::parse(text)?;
    endpoint.warn_if_plain();
    let named_in = |host: &str| host.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('.'));
    let without = |labels: usize| {
        let host = endpoint.host.splitn(labels + 1, '.').last().unwrap_or_default().to_owned();
        let without = endpoint.at(host).url();
        ConnectError::BucketInEndpoint { endpoint: text.to_owned(), without }
    };
    for domain in DOMAINS {
        let Some(before) = endpoint.host.strip_suffix(domain) else { continue };
        match (before.strip_suffix('.'), zone) {
            // Another domain with the same end.
            (None, _) if !before.is_empty() => continue,
            (None, None) => {
                let allowed = format!("https://ZONE.{domain}, or this one together with a region");
                return Err(bad("endpoint", text, allowed));
            }
            (None, Some(zone)) => endpoint.host = format!("{zone}.{domain}"),
            (Some(found), _) if found.contains('.') || found == bucket => return Err(without(1)),
            (Some(found), Some(zone)) if found != zone => {
                let allowed = format!("{found}, which is the zone of the endpoint");
                return Err(bad("region", zone, allowed));
            }
            (Some(_), _) => {}
        }
        return Ok((endpoint, true));
    }
    if named_in(&endpoint.host) {
        return Err(without(1));
    }
    Ok((endpoint, false))
}

fn bad(option: &'static str, given: &str, allowed: String) -> ConnectError {
    ConnectError::BadOption { service: "QingStor", option, given: given.to_owned(), allowed }
}

fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=*BUCKET_BYTES.end()).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn check_bucket(bucket: &str) -> Result<(), ConnectError> {
    if is_label(bucket) && BUCKET_BYTES.contains(&bucket.len()) {
        return Ok(());
    }
    let allowed = "6 to 63 lower-case letters, digits and \"-\", no \"-\" at the ends";
    Err(bad("bucket", bucket, allowed.to_owned()))
}

fn check_zone(zone: &str) -> Result<(), ConnectError> {
    let allowed = "the name of a zone, like pek3b";
    is_label(zone).then_some(()).ok_or_else(|| bad("region", zone, allowed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(
        endpoint: Option<&str>,
        zone: Option<&str>,
        path_style: Option<bool>,
    ) -> Result<(String, bool), ConnectError> {
        let place = Place::new("mybucket", endpoint, zone, path_style)?;
        assert_eq!(place.bucket_path, "/mybucket");
        let scheme = if place.site.tls { "https" } else { "http" };
        Ok((format!("{scheme}://{}", place.site.authority), place.path_style))
    }

    #[test]
    fn the_bucket_is_found() {
        for (endpoint, zone, path_style, url, in_path) in [
            (None, Some("pek3b"), None, "https://mybucket.pek3b.qingstor.com", false),
            (None, Some("pek3b"), Some(true), "https://pek3b.qingstor.com", true),
            (
                Some("https://pek3a.qingstor.com"),
                None,
                None,
                "https://mybucket.pek3a.qingstor.com",
                false,
            ),
            (
                Some("https://pek3a.qsstor.com"),
                Some("pek3a"),
                None,
                "https://mybucket.pek3a.qsstor.com",
                false,
            ),
            (
                Some("https://qingstor.com"),
                Some("sh1a"),
                None,
                "https://mybucket.sh1a.qingstor.com",
                false,
            ),
            (
                Some("http://QSStor.com:80/"),
                Some("sh1a"),
                Some(true),
                "http://sh1a.qsstor.com:80",
                true,
            ),
            (Some("http://127.0.0.1:9000"), None, None, "http://127.0.0.1:9000", true),
            (Some("http://[::1]:9000"), None, Some(true), "http://[::1]:9000", true),
            (Some("https://store.example.org"), None, None, "https://store.example.org", true),
            (
                Some("https://store.example.org"),
                Some("z"),
                Some(false),
                "https://mybucket.store.example.org",
                false,
            ),
            // Ends like the service's, and is another's.
            (Some("https://notqingstor.com"), None, None, "https://notqingstor.com", true),
        ] {
            let found = place(endpoint, zone, path_style).unwrap();
            assert_eq!(found, (url.to_owned(), in_path), "{endpoint:?} {zone:?} {path_style:?}");
        }
    }

    #[test]
    fn a_bucket_in_the_endpoint_is_left_out() {
        for (endpoint, without) in [
            ("https://mybucket.pek3a.qingstor.com", "https://pek3a.qingstor.com"),
            ("https://other-bucket.pek3a.qsstor.com", "https://pek3a.qsstor.com"),
            ("https://mybucket.qingstor.com", "https://qingstor.com"),
            ("http://mybucket.store.example.org:8080", "http://store.example.org:8080"),
        ] {
            let expected = ConnectError::BucketInEndpoint {
                endpoint: endpoint.to_owned(),
                without: without.to_owned(),
            };
            assert_eq!(place(Some(endpoint), None, None), Err(expected));
        }
    }

    #[test]
    fn mistakes_are_named() {
        fn option<T: std::fmt::Debug>(result: Result<T, ConnectError>) -> &'static str {
            match result {
                Err(ConnectError::BadOption { service: "QingStor", option, .. }) => option,
                other => panic!("{other:?}"),
            }
        }
        for bucket in
            ["", "short", "Upper-case", "a.b.c.d", "-edge-edge", "edge-edge-", "my_bucket"]
        {
            assert_eq!(option(Place::new(bucket, None, Some("pek3b"), None)), "bucket", "{bucket}");
        }
        let long = "a".repeat(64);
        assert_eq!(option(Place::new(&long, None, Some("pek3b"), None)), "bucket");
        assert_eq!(option(place(None, Some("pek/3b"), None)), "region");
        let other_zone = place(Some("https://pek3a.qingstor.com"), Some("pek3b"), None);
        assert_eq!(option(other_zone), "region");
        assert_eq!(option(place(Some("https://qingstor.com"), None, None)), "endpoint");
        let address = place(Some("http://127.0.0.1:1"), None, Some(false));
        assert_eq!(option(address), "path_style");
        assert_eq!(
            place(None, None, None),
            Err(ConnectError::NoRegionNorEndpoint("mybucket".into()))
        );
    }
}
