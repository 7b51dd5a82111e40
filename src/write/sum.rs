//! What an object must be that is made of parts: its size, and its checksum where that is known of all
//! parts. Pure.

use std::ops::Range;

use crate::store::{Checksum, ChecksumKind, Expected, Replaces};
use crate::write::content::RemoteObject;

/// What is known of one part.
#[derive(Debug, Clone)]
pub(super) enum PartSum {
    /// Bytes that were sent: how many, and their checksum.
    Sent(u64, Option<Checksum>),
    /// A range of an object.
    Copied(RemoteObject, Range<u64>),
}

impl PartSum {
    /// How many bytes it is.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Sent(len, _) => *len,
            Self::Copied(_, range) => range.end - range.start,
        }
    }
}

/// The object of these parts in order. The checksum of ranges is known where together they are a whole
/// object whose checksum is known.
pub(super) fn expected<'a>(
    parts: impl Iterator<Item = &'a PartSum>,
    kind: Option<ChecksumKind>,
) -> Expected {
    let mut size = 0;
    let mut whole = kind.map(|kind| kind.of_nothing());
    // An object of which only the first bytes have come, and how many.
    let mut begun: Option<(&RemoteObject, u64)> = None;
    for part in parts {
        match part {
            PartSum::Sent(len, sum) => {
                size += len;
                let known = whole.filter(|_| begun.is_none()).zip(*sum);
                whole = known.and_then(|(before, sum)| before.followed_by(sum, *len));
            }
            PartSum::Copied(object, range) => {
                size += range.end - range.start;
                let follows = match begun {
                    None => range.start == 0,
                    Some((before, end)) => end == range.start && before == object,
                };
                let ends = range.end == object.version.size;
                begun = (!ends).then_some((object, range.end));
                whole = match (follows, ends) {
                    (false, _) => None,
                    (true, false) => whole,
                    (true, true) => whole
                        .zip(object.checksum)
                        .and_then(|(before, sum)| before.followed_by(sum, object.version.size)),
                };
            }
        }
    }
    Expected { size, checksum: whole.filter(|_| begun.is_none()), replaces: Replaces::Anything }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ETag, Key, ObjectVersion};

    const KIND: ChecksumKind = ChecksumKind::Crc64Xz;

    fn sent(bytes: &[u8]) -> PartSum {
        PartSum::Sent(bytes.len() as u64, Some(KIND.of(bytes)))
    }

    fn copied(bytes: &[u8], range: Range<u64>) -> PartSum {
        let version = ObjectVersion { etag: ETag::new("e"), size: bytes.len() as u64 };
        let checksum = Some(KIND.of(bytes));
        PartSum::Copied(RemoteObject { key: Key::new("k").unwrap(), version, checksum }, range)
    }

    #[test]
    fn the_checksum_is_known_where_whole_objects_were_copied() {
        let of = |parts: &[PartSum]| expected(parts.iter(), Some(KIND));
        let object = b"an object";
        let parts = [sent(b"one "), copied(object, 0..4), copied(object, 4..9), sent(b" more")];
        let all = of(&parts);
        assert_eq!((all.size, all.checksum), (18, Some(KIND.of(b"one an object more"))));
        for unknown in [
            vec![copied(object, 0..4)],
            vec![copied(object, 0..4), sent(b"x")],
            vec![copied(object, 4..9)],
            vec![copied(object, 0..4), copied(b"other obj", 4..9)],
            vec![PartSum::Sent(3, None), sent(b"x")],
        ] {
            assert_eq!(of(&unknown).checksum, None, "{unknown:?}");
        }
        assert_eq!(expected(parts.iter(), None).checksum, None);
        assert_eq!(of(&[]).checksum, Some(KIND.of_nothing()));
    }
}
