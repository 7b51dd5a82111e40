//! Checksums of S3 (CRC-64/NVME of the whole object), and what is learnt about a server that may not
//! have them. Knows requests and answers one by one, and the one fact in [`Checksums`].
//!
//! Three kinds of server are met. AWS takes the checksum, echoes it, and wants it repeated at
//! Complete. An old MinIO ignores it. Others refuse what they do not know: Garage with status 400, Ceph
//! with 501. So the first requests carry the checksum and the MD5; the answer decides, once for the life
//! of the connection, which of the two all others carry.

use std::sync::atomic::{AtomicU8, Ordering};

use http::{HeaderMap, HeaderName};
use reqsign_core::hash::{base64_decode, base64_encode};

use crate::dialect::failure::Failure;
use crate::dialect::headers;
use crate::dialect::xml_service::xml::Element;
use crate::store::{Checksum, ChecksumKind, ErrorKind, Expected, Operation, PartReceipt};

const VALUE: HeaderName = HeaderName::from_static("x-amz-checksum-crc64nvme");
const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");
const ELEMENT: &str = "ChecksumCRC64NVME";

const UNKNOWN: u8 = 0;
const OFFERED: u8 = 1;
const ABSENT: u8 = 2;

/// Whether the server has checksums. Decided once; shared by all requests of a connection.
#[derive(Debug, Default)]
pub(super) struct Checksums(AtomicU8);

impl Checksums {
    /// Known to be there.
    pub(super) fn offered(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OFFERED
    }

    /// Known not to be there.
    pub(super) fn absent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ABSENT
    }

    /// Decides, unless it was decided before; gives what holds now.
    fn decide(&self, state: u8) -> u8 {
        match self.0.compare_exchange(UNKNOWN, state, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => state,
            Err(decided) => decided,
        }
    }

    /// Learns from a good answer to a request that had a checksum. That Initiate says nothing about it
    /// proves nothing, but an upload for which it was confirmed must go on with it.
    pub(super) fn learn(&self, operation: Operation, headers: &HeaderMap) {
        match operation {
            Operation::Put | Operation::PutPart => {
                let echoed = headers.contains_key(VALUE);
                self.decide(if echoed { OFFERED } else { ABSENT });
            }
            Operation::StartUpload if headers.contains_key(ALGORITHM) => {
                self.decide(OFFERED);
            }
            _ => {}
        }
    }

    /// Learns from a refusal of a request that had a checksum; true when it is worth trying
    /// without. Only refusals that could be about the checksum: a header that is not known, or a
    /// digest that is not understood.
    pub(super) fn do_without(&self, operation: Operation, failure: &Failure) -> bool {
        let extended =
            matches!(operation, Operation::Put | Operation::PutPart | Operation::StartUpload);
        let possible = match (failure.status, failure.code.as_deref()) {
            (Some(400), Some("InvalidDigest")) => true,
            (Some(400 | 501), _) => failure.kind == ErrorKind::InvalidRequest,
            _ => false,
        };
        extended && possible && self.decide(ABSENT) == ABSENT
    }
}

fn text(checksum: Checksum) -> String {
    base64_encode(&checksum.value.to_be_bytes())
}

fn of_ours(checksum: Option<Checksum>) -> Option<Checksum> {
    checksum.filter(|checksum| checksum.kind == ChecksumKind::Crc64Nvme)
}

/// Headers of PUT and Upload Part.
pub(super) fn set(headers: &mut HeaderMap, checksum: Option<Checksum>) -> Result<(), Failure> {
    match of_ours(checksum) {
        Some(checksum) => headers::set(headers, VALUE, &text(checksum)),
        None => Ok(()),
    }
}

/// Headers of Initiate.
pub(super) fn announce(headers: &mut HeaderMap) -> Result<(), Failure> {
    headers::set(headers, ALGORITHM, "CRC64NVME")?;
    headers::set(headers, TYPE, "FULL_OBJECT")
}

/// Headers of Complete: only of uploads whose parts all were confirmed with one.
pub(super) fn set_whole(
    headers: &mut HeaderMap,
    parts: &[PartReceipt],
    expected: &Expected,
) -> Result<(), Failure> {
    let confirmed = parts.iter().all(|part| of_ours(part.checksum).is_some());
    match of_ours(expected.checksum) {
        Some(whole) if confirmed => {
            headers::set(headers, VALUE, &text(whole))?;
            headers::set(headers, TYPE, "FULL_OBJECT")
        }
        _ => Ok(()),
    }
}

/// The element of a part at Complete: exactly when the server confirmed one for it, as Garage demands.
pub(super) fn write_part(part: &PartReceipt, body: &mut String) {
    if let Some(checksum) = of_ours(part.checksum) {
        body.push_str(&format!("<{ELEMENT}>{}</{ELEMENT}>", text(checksum)));
    }
}

/// What the headers of an answer state.
pub(super) fn in_headers(headers: &HeaderMap) -> Result<Option<Checksum>, Failure> {
    headers::only(headers, VALUE.as_str())?.map(read).transpose()
}

/// What a document states: of a part, a copy, or a completed object.
pub(super) fn in_document(document: &Element) -> Result<Option<Checksum>, Failure> {
    let element = document.optional(ELEMENT).map_err(Failure::garbled)?;
    element.map(|element| element.text.trim()).filter(|text| !text.is_empty()).map(read).transpose()
}

fn read(text: &str) -> Result<Checksum, Failure> {
    let bytes = base64_decode(text).ok().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    let bytes =
        bytes.ok_or_else(|| Failure::garbled("a checksum that is not 8 bytes in base64"))?;
    Ok(Checksum { kind: ChecksumKind::Crc64Nvme, value: u64::from_be_bytes(bytes) })
}

#[cfg(test)]
#[path = "checksums_tests.rs"]
mod tests;
