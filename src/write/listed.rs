//! Parts whose ETag was told wrongly: an answer that was spoiled on its way. The list of the service has the right one.
//! Pure.

use std::collections::BTreeMap;

use crate::store::{ChecksumKind, PartReceipt};

/// The parts with the ETags under which the service lists them, where these are others than were told. `None`: nothing
/// is to be gained, or another ETag may be that of other bytes – unless the service has told of each part, when it
/// was sent, that it has the right bytes (of this `kind` of checksum), nobody knows.
///
/// # Contract
/// Only of parts whose numbers were sent with one content each: an older request that arrives late would be taken for
/// the right one.
pub(super) fn as_listed(
    told: &[PartReceipt],
    listed: &[PartReceipt],
    kind: Option<ChecksumKind>,
) -> Option<Vec<PartReceipt>> {
    let kind = kind?;
    let listed: BTreeMap<_, _> = listed.iter().map(|part| (part.number, part)).collect();
    let mut parts = Vec::with_capacity(told.len());
    for part in told {
        let held = listed.get(&part.number).filter(|held| held.size == part.size)?;
        part.checksum.filter(|checksum| checksum.kind == kind)?;
        parts.push(PartReceipt { etag: held.etag.clone(), ..part.clone() });
    }
    (parts != told).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ETag, PartNumber};

    const KIND: ChecksumKind = ChecksumKind::Crc64Xz;

    fn part(number: u64, etag: &str, size: u64) -> PartReceipt {
        let number = PartNumber::new(number).unwrap();
        let checksum = Some(KIND.of(etag.as_bytes()));
        PartReceipt { number, etag: ETag::new(etag), size, checksum }
    }

    #[test]
    fn another_etag_is_believed_where_the_service_has_told_of_the_bytes() {
        let told = [part(1, "a", 6), part(2, "wrong", 5)];
        let listed = [part(1, "a", 6), part(2, "b", 5), part(3, "unused", 9)];
        let parts = as_listed(&told, &listed, Some(KIND)).unwrap();
        assert_eq!(parts.iter().map(|part| part.etag.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(parts[1].checksum, told[1].checksum);
        assert_eq!(as_listed(&told, &told, Some(KIND)), None, "they are the same");
        assert_eq!(as_listed(&told, &listed[..1], Some(KIND)), None, "one is missing");
        let other = [part(1, "a", 6), part(2, "b", 4)];
        assert_eq!(as_listed(&told, &other, Some(KIND)), None, "another size");
        assert_eq!(as_listed(&told, &listed, None), None, "the service has no checksums");
        assert_eq!(as_listed(&told, &listed, Some(ChecksumKind::Crc64Nvme)), None);
        let unknown = [part(1, "a", 6), PartReceipt { checksum: None, ..part(2, "wrong", 5) }];
        assert_eq!(as_listed(&unknown, &listed, Some(KIND)), None, "it has told nothing of one");
    }
}
