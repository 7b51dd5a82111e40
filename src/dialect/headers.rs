//! Headers of answers, believed only when they are well formed and unambiguous; headers of
//! requests, made only of visible ASCII. Pure.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::failure::Failure;
use crate::store::{ByteRange, ETag};

/// The value of a header that may come once. Several equal ones count as one.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(Failure::garbled(format!("two headers {name} that differ")));
    }
    let text = first.to_str();
    text.map(|text| Some(text.trim()))
        .map_err(|_| Failure::garbled(format!("a header {name} that is not ASCII")))
}

/// The ETag, which every answer that concerns an object must carry.
pub(crate) fn etag(headers: &HeaderMap) -> Result<ETag, Failure> {
    only(headers, "etag")?
        .and_then(usable_etag)
        .ok_or_else(|| Failure::garbled("an answer without a usable ETag"))
}

/// An ETag worth keeping: visible ASCII, without quotes inside. It goes into headers again.
pub(crate) fn usable_etag(text: &str) -> Option<ETag> {
    let etag = ETag::new(text);
    let valid = (1..=256).contains(&etag.as_str().len())
        && etag.as_str().bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'"');
    valid.then_some(etag)
}

/// An unsigned decimal number.
pub(crate) fn decimal(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = only(headers, name)? else { return Ok(None) };
    // `parse` takes a leading plus.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(Some(number)),
        _ => Err(Failure::garbled(format!("a header {name} that is not a number in range"))),
    }
}

/// The dates of the services: ISO 8601 in most documents, the form of C's `asctime` in some of
/// COS, that of HTTP in headers.
pub(crate) fn date(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(time.into()),
        Err(_) => httpdate::parse_http_date(text).ok(),
    }
}

/// `Last-Modified`, which every HEAD must carry.
pub(crate) fn last_modified(headers: &HeaderMap) -> Result<SystemTime, Failure> {
    only(headers, "last-modified")?
        .and_then(date)
        .ok_or_else(|| Failure::garbled("an answer without a usable Last-Modified"))
}

/// `Content-Range: bytes first-last/size`: the range and the size of the whole.
pub(crate) fn content_range(headers: &HeaderMap) -> Result<(ByteRange, u64), Failure> {
    let text = only(headers, "content-range")?
        .ok_or_else(|| Failure::garbled("a part of an object without Content-Range"))?;
    parse_content_range(text)
        .ok_or_else(|| Failure::garbled(format!("a malformed Content-Range {text:.60}")))
}

fn parse_content_range(text: &str) -> Option<(ByteRange, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?
    };
    let (first, last, size) = (number(first)?, number(last)?, number(size)?);
    let range = ByteRange::new(first, last.checked_add(1)?)?;
    (last < size).then_some((range, size))
}

/// Ends of the names of headers whose values are secret.
const SECRET_ENDS: [&str; 3] = ["authorization", "security-token", "customer-key"];

/// Sets a header of a request. A value that is secret is masked in `Debug` from here on.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), Failure> {
    // The signers take only visible ASCII, and anything else is not portable in HTTP.
    let mut value = HeaderValue::from_str(value)
        .ok()
        .filter(|value| value.to_str().is_ok())
        .ok_or_else(|| Failure::unsayable(format!("a value that no header {name} can carry")))?;
    value.set_sensitive(SECRET_ENDS.iter().any(|end| name.as_str().ends_with(end)));
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_strict() {
        let parse = parse_content_range;
        assert_eq!(parse("bytes 0-9/10"), Some((ByteRange::new(0, 10).unwrap(), 10)));
        assert_eq!(parse("bytes 5-5/10"), Some((ByteRange::new(5, 6).unwrap(), 10)));
        for bad in [
            "",
            "bytes */10",
            "bytes 0-9/*",
            "bytes 9-0/10",
            "bytes 0-10/10",
            "0-9/10",
            "bytes -1-9/10",
            "bytes 0-18446744073709551615/18446744073709551615",
            "bytes +0-9/10",
            "bytes 0-9",
            "bytes -/",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn headers_that_contradict_each_other_are_refused() {
        let mut headers = HeaderMap::new();
        assert!(etag(&headers).is_err());
        headers.append("etag", HeaderValue::from_static("\"a\""));
        headers.append("etag", HeaderValue::from_static("\"a\""));
        assert_eq!(etag(&headers).unwrap(), ETag::new("a"));
        headers.append("etag", HeaderValue::from_static("\"b\""));
        assert!(etag(&headers).is_err());
        for bad in ["", "-1", "+1", "1 2", "18446744073709551616", "0x1"] {
            headers.insert("n", HeaderValue::from_static(bad));
            assert!(decimal(&headers, "n").is_err(), "{bad}");
        }
    }

    #[test]
    fn only_visible_ascii_goes_out() {
        let mut headers = HeaderMap::new();
        assert!(set(&mut headers, http::header::CONTENT_TYPE, "text/plain").is_ok());
        for bad in ["a\nb", "é", "\u{7f}"] {
            assert!(set(&mut headers, http::header::CONTENT_TYPE, bad).is_err());
        }
    }

    #[test]
    fn secret_values_are_masked() {
        let mut headers = HeaderMap::new();
        for name in [
            "authorization",
            "x-cos-security-token",
            "x-oss-security-token",
            "x-amz-security-token",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-copy-source-server-side-encryption-customer-key",
            "x-cos-server-side-encryption-customer-key",
            "x-qs-encryption-customer-key",
            "x-qs-copy-source-encryption-customer-key",
        ] {
            set(&mut headers, name.parse().unwrap(), "hush").unwrap();
        }
        set(&mut headers, "x-amz-meta-a".parse().unwrap(), "shown").unwrap();
        let text = format!("{headers:?}");
        assert!(text.contains("shown") && !text.contains("hush"), "{text}");
    }

    #[test]
    fn dates_come_in_three_forms() {
        let seconds =
            |text| date(text).map(|t| t.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(seconds("2023-11-14T22:13:20.000Z"), Some(1_700_000_000));
        assert_eq!(seconds("2023-11-14T22:13:20Z"), Some(1_700_000_000));
        assert_eq!(seconds("Tue Nov 14 22:13:20 2023"), Some(1_700_000_000));
        assert_eq!(seconds("Wed Jan  4 16:04:17 2017"), Some(1_483_545_857));
        assert_eq!(seconds("Tue, 14 Nov 2023 22:13:20 GMT"), Some(1_700_000_000));
        for bad in ["", "now", "2023-11-14", "1700000000"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
