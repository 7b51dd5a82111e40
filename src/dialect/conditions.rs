//! Conditions of reads and of the sources of copies: their headers, and whether an answer keeps to them.
//! All services word them as HTTP does (RFC 9110 section 13.1), with a prefix for the source of a copy.

use http::{HeaderMap, HeaderName, Method};

use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::headers;
use crate::dialect::request::Draft;
use crate::store::{Conditions, ETag, ErrorKind};

/// Sets the headers `<prefix>if-match` and so on. Dates are in whole seconds.
pub(crate) fn set(
    headers: &mut HeaderMap,
    prefix: &str,
    conditions: &Conditions,
) -> Result<(), Failure> {
    if !conditions.can_be_said() {
        return Err(Failure::unsayable("HTTP has dates from 1970 to 9999"));
    }
    let quoted = |etag: &Option<ETag>| etag.as_ref().map(ETag::quoted);
    for (name, value) in [
        ("if-match", quoted(&conditions.if_match)),
        ("if-none-match", quoted(&conditions.if_none_match)),
        ("if-modified-since", conditions.if_modified_since.map(httpdate::fmt_http_date)),
        ("if-unmodified-since", conditions.if_unmodified_since.map(httpdate::fmt_http_date)),
    ] {
        let Some(value) = value else { continue };
        let name = HeaderName::try_from(format!("{prefix}{name}"))
            .map_err(|_| Failure::unsayable("a condition that has no name"))?;
        headers::set(headers, name, &value)?;
    }
    Ok(())
}

/// Refuses an answer that describes an object which was not to be answered with. There are servers
/// that do not look at conditions.
pub(crate) fn keep_to(
    conditions: &Conditions,
    etag: &ETag,
    headers: &HeaderMap,
) -> Result<(), Failure> {
    let last_modified = match conditions.has_dates() {
        true => headers::last_modified(headers)?,
        false => std::time::UNIX_EPOCH,
    };
    conditions.check(etag, last_modified).map_err(|unmet| {
        let message = match unmet.of_read() {
            ErrorKind::NotModified => "the object was not changed",
            _ => "the object was replaced",
        };
        Failure::new(unmet.of_read(), Repeat::Never, message)
    })
}

/// The answer that an object has not changed (304), if that was asked. OSS says it of sources of copies, too,
/// and what is said of those of moves is written nowhere.
pub(crate) fn not_modified(asked: &Draft) -> Failure {
    let names = || asked.headers.keys().map(HeaderName::as_str);
    let reads = matches!(asked.method, Method::GET | Method::HEAD);
    if reads && names().any(|name| name == "if-none-match" || name == "if-modified-since") {
        let message = "the object was not changed";
        return Failure::new(ErrorKind::NotModified, Repeat::Never, message);
    }
    if names().any(|name| name.contains("-source-if-")) {
        let message = "the source was not changed";
        return Failure::new(ErrorKind::PreconditionFailed, Repeat::Never, message);
    }
    Failure::garbled("not modified, says an answer to a request without conditions")
}
