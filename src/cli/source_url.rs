//! What `partfs mount` can be pointed at, as typed. Pure: no path is looked at, nothing is asked.

use std::path::PathBuf;

use super::Refusal;
use crate::dialect::DialectName;
use crate::mock::MockDialect;
use crate::store::Key;

/// The URLs that are understood, for messages and documentation.
pub(crate) const SCHEMES: &str = "cos://BUCKET-APPID[/PREFIX], oss://BUCKET[/PREFIX], \
    qingstor://BUCKET[/PREFIX], s3://BUCKET[/PREFIX], mock: and mock:/FOLDER";

/// A mount source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceUrl {
    /// The server inside this process.
    Mock {
        /// Which service it speaks like.
        dialect: MockDialect,
        /// Where its objects are kept; memory when `None`.
        dir: Option<PathBuf>,
    },
    /// A bucket of a service.
    Bucket {
        /// Which one.
        service: DialectName,
        /// Its name (COS: with APPID).
        bucket: String,
        /// Empty, or ends in `/`.
        prefix: String,
    },
}

impl SourceUrl {
    /// Understands a URL or says why not.
    pub(crate) fn parse(url: &str) -> Result<Self, Refusal> {
        let refuse = |what: String| Err(Refusal::new(format!("{url}: {what}")));
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        if scheme == "mock" {
            return mock(rest).or_else(refuse);
        }
        match (scheme.parse::<DialectName>(), rest.strip_prefix("//")) {
            (Ok(service), Some(rest)) => bucket(service, rest).or_else(refuse),
            (Ok(DialectName::Cos), None) => refuse("write cos://BUCKET-APPID[/PREFIX]".into()),
            (Ok(service), None) => refuse(format!("write {service}://BUCKET[/PREFIX]")),
            (Err(_), _) => refuse(format!("this cannot be mounted; partfs mounts {SCHEMES}")),
        }
    }
}

/// Whether somebody who types this means a URL, right or wrong, and not a command.
pub(crate) fn looks_like_url(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme == "mock" || scheme.parse::<DialectName>().is_ok())
}

/// One object of a bucket, as `partfs link` takes it: service, bucket and key. The key is taken as it is
/// typed; nothing is decoded and no slash is trimmed.
pub(crate) fn object(url: &str) -> Result<(DialectName, String, Key), Refusal> {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    let (place, key) = (&url[..end], url.get(end + 1..).unwrap_or_default());
    match SourceUrl::parse(place)? {
        SourceUrl::Mock { .. } => Err(Refusal::new(format!(
            "{url}: a link to the built-in mock would end with this command; start partfs mock and give \
             its address as --endpoint"
        ))),
        SourceUrl::Bucket { .. } if key.is_empty() => {
            Err(Refusal::new(format!("{place}: which object? Write {place}/KEY")))
        }
        SourceUrl::Bucket { service, bucket, .. } => match Key::new(key) {
            Ok(key) => Ok((service, bucket, key)),
            Err(error) => Err(Refusal::new(format!("{place}: {error}"))),
        },
    }
}

fn mock(rest: &str) -> Result<SourceUrl, String> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut dialect = MockDialect::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("dialect", name)) => dialect = name.parse().map_err(described)?,
            _ => return Err(format!("{pair} is not understood; mock:?dialect=oss is")),
        }
    }
    if path.starts_with("//") {
        return Err("write mock: or mock:/FOLDER, without //".into());
    }
    Ok(SourceUrl::Mock { dialect, dir: (!path.is_empty()).then(|| PathBuf::from(path)) })
}

fn described(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn bucket(service: DialectName, rest: &str) -> Result<SourceUrl, String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    match service {
        DialectName::Cos => check_cos_bucket(bucket)?,
        _ if bucket.is_empty() => {
            return Err(format!("the name of the bucket is missing: {service}://BUCKET"));
        }
        DialectName::Oss | DialectName::Qingstor | DialectName::S3 => check_bucket(bucket)?,
    }
    Ok(SourceUrl::Bucket { service, bucket: bucket.to_owned(), prefix: prefix_of(prefix)? })
}

/// Whether a name can be that of a COS bucket: lower-case letters, digits and hyphens, with the
/// number of the account at its end.
pub(crate) fn check_cos_bucket(bucket: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if bucket.is_empty() {
        return Err("the name of the bucket is missing: cos://BUCKET-APPID".into());
    }
    if bucket.len() > 60 || !bucket.bytes().all(legal) {
        return Err(
            "bucket names of COS have at most 60 lower-case letters, digits and hyphens".into()
        );
    }
    match bucket.rsplit_once('-') {
        Some((name, id))
            if !name.is_empty() && id.len() >= 5 && id.bytes().all(|b| b.is_ascii_digit()) =>
        {
            Ok(())
        }
        _ => Err("bucket names of COS end in -APPID, e.g. bucket-1250000000".into()),
    }
}

/// Whether a name can be that of a bucket of the other services: 3 to 63 lower-case letters, digits,
/// hyphens and, on S3, dots.
pub(crate) fn check_bucket(bucket: &str) -> Result<(), String> {
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if (3..=63).contains(&bucket.len()) && bucket.bytes().all(legal) {
        Ok(())
    } else {
        Err("bucket names have 3 to 63 lower-case letters, digits, hyphens and dots".into())
    }
}

/// A prefix as the store wants it: empty, or with one `/` at its end. Parts that are empty, `.` or `..` are
/// refused: they are slips, and a mount above them shows such keys.
pub(crate) fn prefix_of(text: &str) -> Result<String, String> {
    let text = text.trim_matches('/');
    if text.is_empty() {
        return Ok(String::new());
    }
    if text.len() > 800 {
        return Err("the prefix is longer than 800 bytes".into());
    }
    if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("the prefix {text} has an empty part, . or .. in it"));
    }
    Ok(format!("{text}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        SourceUrl::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn the_mock_needs_nothing() {
        let mock =
            |dialect, dir: Option<&str>| SourceUrl::Mock { dialect, dir: dir.map(Into::into) };
        let parse = |url| SourceUrl::parse(url).unwrap();
        assert_eq!(parse("mock:"), mock(MockDialect::Cos, None));
        assert_eq!(parse("mock:?dialect=cos"), mock(MockDialect::Cos, None));
        assert_eq!(parse("mock:/srv/x"), mock(MockDialect::Cos, Some("/srv/x")));
        assert_eq!(parse("mock:?dialect=oss"), mock(MockDialect::Oss, None));
        assert_eq!(parse("mock:?dialect=qingstor"), mock(MockDialect::Qingstor, None));
        assert_eq!(parse("mock:/srv/x?dialect=s3"), mock(MockDialect::S3, Some("/srv/x")));
        assert!(refused("mock:?dialect=gcs").contains("it speaks cos, oss, qingstor and s3"));
        assert!(refused("mock:?size=3").contains("size=3 is not understood"));
    }

    #[test]
    fn the_other_services_have_plain_buckets() {
        for (scheme, service) in [
            ("oss", DialectName::Oss),
            ("qingstor", DialectName::Qingstor),
            ("s3", DialectName::S3),
        ] {
            let parsed = SourceUrl::parse(&format!("{scheme}://photos/a/b")).unwrap();
            let (bucket, prefix) = ("photos".into(), "a/b/".into());
            assert_eq!(parsed, SourceUrl::Bucket { service, bucket, prefix });
            assert!(refused(&format!("{scheme}://")).contains(&format!("{scheme}://BUCKET")));
            assert!(refused(&format!("{scheme}:photos")).contains(&format!("{scheme}://BUCKET")));
            assert!(refused(&format!("{scheme}://Photos")).contains("lower-case"));
            assert!(refused(&format!("{scheme}://photos/../x")).contains(".."));
        }
    }

    #[test]
    fn a_bucket_has_an_appid_and_perhaps_a_prefix() {
        let (service, bucket) = (DialectName::Cos, "b-1250000000");
        let cos = |prefix: &str| SourceUrl::Bucket {
            service,
            bucket: bucket.into(),
            prefix: prefix.into(),
        };
        assert_eq!(SourceUrl::parse("cos://b-1250000000").unwrap(), cos(""));
        assert_eq!(SourceUrl::parse("cos://b-1250000000/").unwrap(), cos(""));
        assert_eq!(SourceUrl::parse("cos://b-1250000000/a/b").unwrap(), cos("a/b/"));
        assert_eq!(SourceUrl::parse("cos://b-1250000000/a/b/").unwrap(), cos("a/b/"));
        let without = "bucket names of COS end in -APPID, e.g. bucket-1250000000";
        assert_eq!(refused("cos://bucket"), format!("cos://bucket: {without}"));
        assert_eq!(refused("cos://my-bucket"), format!("cos://my-bucket: {without}"));
        assert!(refused("cos://B-1250000000").contains("lower-case"));
        assert!(refused("cos://b-1250000000/a/../b").contains(".."));
        assert!(refused("cos://").contains("missing"));
    }

    #[test]
    fn an_object_has_a_key_as_it_is_typed() {
        for (url, bucket, key) in [
            ("oss://photos/a", "photos", "a"),
            ("s3://photos/a//b/../ %41?x#y/", "photos", "a//b/../ %41?x#y/"),
            ("cos://b-1250000000//a", "b-1250000000", "/a"),
            ("qingstor://photos/s3://x", "photos", "s3://x"),
        ] {
            let (service, found, found_key) = object(url).unwrap();
            assert!(url.starts_with(&format!("{service}://")));
            assert_eq!((&*found, found_key.as_str()), (bucket, key), "{url}");
        }
        let long = format!("s3://photos/{}", "k".repeat(1025));
        for (url, words) in [
            ("s3://photos", "s3://photos: which object? Write s3://photos/KEY"),
            ("s3://photos/", "which object"),
            ("s3://Photos/a", "lower-case"),
            ("cos://photos/a", "end in -APPID"),
            ("mock:/srv/a", "partfs mock"),
            ("mock:", "partfs mock"),
            ("photos/a", "partfs mounts"),
            ("", "partfs mounts"),
            (&long, "longer than 1024"),
        ] {
            let refusal = object(url).unwrap_err().to_string();
            assert!(refusal.contains(words), "{url}: {refusal}");
        }
    }

    #[test]
    fn other_schemes_are_told_what_there_is() {
        for url in ["gs://b", "bucket", "/dev/sda1", ""] {
            assert!(refused(url).contains("cos://BUCKET-APPID[/PREFIX]"), "{url}");
        }
    }
}
