//! Preconditions and ranges of HTTP (RFC 9110 sections 13 and 14). Pure.

use std::time::SystemTime;

use http::HeaderMap;

use super::refusal::Refusal;
use super::request::text_of;
use crate::store::ETag;
use crate::store::memory::Object;

/// The four preconditions of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
}

impl Conditions {
    /// From the headers `<prefix>if-match` and so on. Dates that are none are ignored, as HTTP says.
    pub(super) fn from_headers(headers: &HeaderMap, prefix: &str) -> Self {
        let text = |name: &str| text_of(headers, &format!("{prefix}{name}"));
        let time = |name: &str| httpdate::parse_http_date(&text(name)?).ok();
        Self {
            if_match: text("if-match"),
            if_none_match: text("if-none-match"),
            if_modified_since: time("if-modified-since"),
            if_unmodified_since: time("if-unmodified-since"),
        }
    }

    /// Whether there are conditions that want the object and conditions that want news of it.
    pub(super) fn are_mixed(&self) -> bool {
        let wants_object = self.if_match.is_some() || self.if_unmodified_since.is_some();
        let wants_news = self.if_none_match.is_some() || self.if_modified_since.is_some();
        wants_object && wants_news
    }

    /// Whether they hold for `object`: [`Refusal::PreconditionFailed`] or [`Refusal::NotModified`]
    /// when not. Evaluated in the order of RFC 9110 section 13.2.2.
    pub(super) fn check(&self, object: &Object) -> Result<(), Refusal> {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(wanted), _) if !names(wanted, &object.etag) => {
                return Err(Refusal::PreconditionFailed);
            }
            (None, Some(time)) if object.last_modified > time => {
                return Err(Refusal::PreconditionFailed);
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(known), _) if names(known, &object.etag) => Err(Refusal::NotModified),
            (None, Some(time)) if object.last_modified <= time => Err(Refusal::NotModified),
            _ => Ok(()),
        }
    }
}

/// Whether a list of ETags (or `*`) names this one.
fn names(list: &str, etag: &ETag) -> bool {
    list.split(',').any(|item| item.trim() == "*" || ETag::new(item) == *etag)
}

/// A range as a request words it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RangeWish {
    /// From this byte to that one, inclusive, or to the end.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

impl RangeWish {
    /// Reads `bytes=…`. What is no single range is `None` and to be ignored, as HTTP says.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
        if first.is_empty() {
            return last.parse().ok().map(Self::Last);
        }
        let first = first.parse().ok()?;
        if last.is_empty() {
            return Some(Self::From(first, None));
        }
        let last = last.parse().ok()?;
        (first <= last).then_some(Self::From(first, Some(last)))
    }

    /// The bytes `start..end` it means in an object of `size` bytes.
    pub(super) fn resolve(self, size: u64) -> Result<(u64, u64), Refusal> {
        let (start, end) = match self {
            Self::From(first, last) => {
                (first, last.map_or(size, |last| last.saturating_add(1).min(size)))
            }
            Self::Last(count) => (size.saturating_sub(count), size),
        };
        if start < end { Ok((start, end)) } else { Err(Refusal::InvalidRange(size)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_resolved() {
        let resolve = |text: &str, size| RangeWish::parse(text).map(|range| range.resolve(size));
        assert_eq!(resolve("bytes=0-0", 10), Some(Ok((0, 1))));
        assert_eq!(resolve("bytes=3-", 10), Some(Ok((3, 10))));
        assert_eq!(resolve("bytes=3-99", 10), Some(Ok((3, 10))));
        assert_eq!(resolve("bytes=-4", 10), Some(Ok((6, 10))));
        assert_eq!(resolve("bytes=-40", 10), Some(Ok((0, 10))));
        assert_eq!(resolve("bytes=10-", 10), Some(Err(Refusal::InvalidRange(10))));
        assert_eq!(resolve("bytes=-0", 10), Some(Err(Refusal::InvalidRange(10))));
        assert_eq!(resolve("bytes=0-", 0), Some(Err(Refusal::InvalidRange(0))));
        assert_eq!(resolve("bytes=0-18446744073709551615", 10), Some(Ok((0, 10))));
        for ignored in ["bytes=5-4", "bytes=0-1,3-4", "bytes", "items=0-1", "bytes=a-b"] {
            assert_eq!(RangeWish::parse(ignored), None, "{ignored}");
        }
    }

    #[test]
    fn lists_of_etags_name_one() {
        let etag = ETag::new("abc");
        assert!(names("\"abc\"", &etag));
        assert!(names("\"x\", \"ABC\"", &etag));
        assert!(names("*", &etag));
        assert!(!names("\"abcd\"", &etag));
    }
}
