//! The head of a request, decoded: path, query, headers, and which bucket and key it points at.
//! Knows no service.

use std::net::IpAddr;

use http::HeaderMap;
use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::refusal::Refusal;
use super::{Addressing, MockConfig, MockDialect};

/// Decoded query parameters in the order of the wire.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes; both `+` and `%20` are a blank, as form encoding and plain encoding have it.
    pub(super) fn parse(raw: &str) -> Self {
        let decode = |text: &str| {
            let blanks = text.replace('+', " ");
            percent_decode_str(&blanks).decode_utf8_lossy().into_owned()
        };
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// The value of a parameter; empty for one without value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// As [`get`](Self::get), without regard to case.
    pub(super) fn get_any_case(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// All parameters with their values.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The head of a request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Percent-decoded, with its leading `/`; may be no UTF-8.
    pub(super) path: Vec<u8>,
    /// As sent.
    pub(super) raw_path: String,
    pub(super) query: Query,
    /// As sent, without the question mark.
    pub(super) raw_query: String,
    pub(super) headers: HeaderMap,
    /// As sent, with a port if there is one.
    pub(super) host: String,
}

impl Request {
    pub(super) fn new(head: Parts) -> Self {
        let host = match head.uri.authority() {
            Some(authority) => authority.as_str().to_owned(),
            None => text_of(&head.headers, "host").unwrap_or_default(),
        };
        Self {
            method: head.method,
            path: percent_decode_str(head.uri.path()).collect(),
            raw_path: head.uri.path().to_owned(),
            query: Query::parse(head.uri.query().unwrap_or_default()),
            raw_query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            host,
        }
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        text_of(&self.headers, name)
    }

    /// The key as the path has it, unchecked; empty for the bucket itself.
    pub(super) fn key_text(&self, config: &MockConfig) -> Result<&str, Refusal> {
        let path = std::str::from_utf8(&self.path).map_err(|_| Refusal::InvalidPath)?;
        locate(&self.host, path.strip_prefix('/').unwrap_or(path), config)
    }
}

/// The text of a header; bytes that are no UTF-8 are replaced.
pub(super) fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Without the port.
pub(super) fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a host (without port) is an IP address or `localhost`, and so names no bucket.
pub(super) fn is_bare(name: &str) -> bool {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

/// The key of `path` (without leading slash) at `host`, by the rules of [`Addressing`].
pub(super) fn locate<'a>(
    host: &str,
    path: &'a str,
    config: &MockConfig,
) -> Result<&'a str, Refusal> {
    let bucket = config.bucket.as_str();
    let name = host_name(host);
    if name.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('.')) {
        return Ok(path);
    }
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if !is_bare(name) {
        // The host of the whole service: only these two still know paths that name the bucket.
        let path_style = matches!(config.dialect, MockDialect::Qingstor | MockDialect::S3);
        return if path_style && first == bucket { Ok(rest) } else { Err(Refusal::NoSuchBucket) };
    }
    match config.addressing {
        Addressing::Auto | Addressing::Path if first == bucket => Ok(rest),
        Addressing::Auto | Addressing::Root => Ok(path),
        Addressing::Path => Err(Refusal::NoSuchBucket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_at(host: &str, path: &str, addressing: Addressing) -> Result<String, Refusal> {
        let config = MockConfig { bucket: "b-1".to_owned(), addressing, ..MockConfig::default() };
        locate(host, path, &config).map(str::to_owned)
    }

    #[test]
    fn the_bucket_is_found_by_host_then_by_path() {
        use Addressing::{Auto, Path, Root};
        let missing = Err(Refusal::NoSuchBucket);
        for addressing in [Auto, Root, Path] {
            assert_eq!(key_at("b-1.cos.x", "b-1/k", addressing), Ok("b-1/k".into()));
            assert_eq!(key_at("b-1.localhost:80", "k", addressing), Ok("k".into()));
            assert_eq!(key_at("b-2.cos.x", "k", addressing), missing);
            assert_eq!(key_at("b-1", "k", addressing), missing);
        }
        assert_eq!(key_at("127.0.0.1:9", "b-1/k/l", Auto), Ok("k/l".into()));
        assert_eq!(key_at("[::1]:9", "b-1", Auto), Ok(String::new()));
        assert_eq!(key_at("localhost", "b-12/k", Auto), Ok("b-12/k".into()));
        assert_eq!(key_at("localhost", "b-1/k", Root), Ok("b-1/k".into()));
        assert_eq!(key_at("localhost", "b-2/k", Path), missing);
    }

    #[test]
    fn hosts_of_a_whole_service_take_the_bucket_from_the_path_where_the_service_does() {
        use MockDialect::{Cos, Oss, Qingstor, S3};
        for (dialect, path_style) in [(Cos, false), (Oss, false), (Qingstor, true), (S3, true)] {
            let config = MockConfig { bucket: "b-1".to_owned(), dialect, ..MockConfig::default() };
            let found = locate("zone.example.com", "b-1/k", &config);
            assert_eq!(found, if path_style { Ok("k") } else { Err(Refusal::NoSuchBucket) });
            assert_eq!(locate("zone.example.com", "b-2/k", &config), Err(Refusal::NoSuchBucket));
        }
    }

    #[test]
    fn a_blank_in_a_query_is_written_in_two_ways() {
        let query = Query::parse("prefix=a+b%20c%2B&uploads&x=");
        assert_eq!(query.get("prefix"), Some("a b c+"));
        assert_eq!(query.get("uploads"), Some(""));
        assert_eq!(query.get("UPLOADS"), None);
    }
}
