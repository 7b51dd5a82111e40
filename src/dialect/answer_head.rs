//! Answers that describe an object by their headers: HEAD, and GET, which is judged before its body is
//! read. All services word them alike (RFC 9110), but for the prefix of what is their own.

use http::{HeaderMap, StatusCode};

use crate::dialect::failure::{Failure, Repeat};
use crate::dialect::properties::{read_metadata, read_standard};
use crate::dialect::{ContentHead, headers};
use crate::store::{ByteRange, Checksum, ErrorKind, ObjectInfo, ObjectVersion};

/// Checks that the answer is what was asked for: the whole object, or the range as far as the object
/// goes. `checksum` is that of the whole object, if the answer has one.
pub(crate) fn content_head(
    status: StatusCode,
    headers: &HeaderMap,
    range: Option<ByteRange>,
    checksum: Option<Checksum>,
) -> Result<ContentHead, Failure> {
    let etag = headers::etag(headers)?;
    let announced = headers::decimal(headers, "content-length")?;
    let (start, len, size) = match (range, status) {
        (None, StatusCode::OK) => {
            let size =
                announced.ok_or_else(|| Failure::garbled("an object without Content-Length"))?;
            (0, size, size)
        }
        (Some(asked), StatusCode::PARTIAL_CONTENT) => {
            let (got, size) = headers::content_range(headers)?;
            if ByteRange::new(asked.start(), asked.end().min(size)) != Some(got) {
                return Err(Failure::garbled(format!(
                    "{got} of {size} bytes where {asked} was asked for"
                )));
            }
            (got.start(), got.len(), size)
        }
        // No range lies in an empty object; a service may say so with the empty object.
        (Some(_), StatusCode::OK) if announced == Some(0) => {
            let message = "the object is empty";
            return Err(Failure::new(ErrorKind::InvalidRange, Repeat::Never, message));
        }
        (Some(_), _) => {
            return Err(Failure::garbled("the whole object where a range was asked for"));
        }
        (None, _) => {
            return Err(Failure::garbled("a range where the whole object was asked for"));
        }
    };
    if announced.is_some_and(|announced| announced != len) {
        return Err(Failure::garbled("Content-Length and Content-Range differ"));
    }
    Ok(ContentHead { version: ObjectVersion { etag, size }, start, len, checksum })
}

/// What an answer to HEAD tells; the service's own headers begin with `prefix`.
pub(crate) fn object_info(
    headers: &HeaderMap,
    prefix: &str,
    checksum: Option<Checksum>,
) -> Result<ObjectInfo, Failure> {
    let size = headers::decimal(headers, "content-length")?
        .ok_or_else(|| Failure::garbled("an object without Content-Length"))?;
    Ok(ObjectInfo {
        version: ObjectVersion { etag: headers::etag(headers)?, size },
        last_modified: headers::last_modified(headers)?,
        checksum,
        metadata: read_metadata(headers, prefix),
        headers: read_standard(headers),
        storage_class: headers::only(headers, &format!("{prefix}storage-class"))?
            .filter(|class| !class.eq_ignore_ascii_case("STANDARD"))
            .map(str::to_owned),
        version_id: headers::only(headers, &format!("{prefix}version-id"))?.map(str::to_owned),
        appendable: headers::only(headers, &format!("{prefix}object-type"))?
            .is_some_and(|kind| kind.eq_ignore_ascii_case("appendable")),
    })
}
