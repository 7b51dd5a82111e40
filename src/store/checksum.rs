//! CRC-64 of bytes on their way: computed as they arrive, kept per part, combined for the object.
//! Values of the two polynomials that services use; must not know who uses which.

use std::fmt;

use crc_fast::CrcAlgorithm;

/// Which CRC-64 a service computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumKind {
    /// CRC-64/XZ, which COS and OSS call "crc64ecma" (reflected, init and xor-out all ones).
    Crc64Xz,
    /// CRC-64/NVME (S3).
    Crc64Nvme,
}

impl ChecksumKind {
    fn algorithm(self) -> CrcAlgorithm {
        match self {
            Self::Crc64Xz => CrcAlgorithm::Crc64Xz,
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
        }
    }

    /// The checksum of `bytes`.
    pub fn of(self, bytes: &[u8]) -> Checksum {
        Checksum { kind: self, value: crc_fast::checksum(self.algorithm(), bytes) }
    }

    /// The checksum of no bytes.
    pub fn of_nothing(self) -> Checksum {
        self.of(&[])
    }
}

/// A finished CRC-64 with its kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// Which polynomial.
    pub kind: ChecksumKind,
    /// The value, as services print it in decimal.
    pub value: u64,
}

impl Checksum {
    /// The checksum of the concatenation `self ‖ next`, where `next` covers `next_len` bytes.
    ///
    /// # Contract
    /// Both must be of one kind; a mixed pair is a programming error and yields `None`.
    pub fn followed_by(self, next: Self, next_len: u64) -> Option<Self> {
        (self.kind == next.kind).then(|| Self {
            kind: self.kind,
            value: crc_fast::checksum_combine(
                self.kind.algorithm(),
                self.value,
                next.value,
                next_len,
            ),
        })
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:016x}", self.kind, self.value)
    }
}

/// A CRC-64 that is being computed.
#[derive(Debug, Clone)]
pub struct RunningChecksum {
    kind: ChecksumKind,
    digest: crc_fast::Digest,
}

impl RunningChecksum {
    /// Starts over no bytes.
    pub fn new(kind: ChecksumKind) -> Self {
        Self { kind, digest: crc_fast::Digest::new(kind.algorithm()) }
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The checksum of all bytes so far; more may follow.
    pub fn value(&self) -> Checksum {
        Checksum { kind: self.kind, value: self.digest.finalize() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from the vendors' SDKs.
    #[test]
    fn crc64_xz_matches_the_published_values() {
        let of = |bytes: &[u8]| ChecksumKind::Crc64Xz.of(bytes).value;
        assert_eq!(of(b""), 0);
        assert_eq!(of(b"123456789"), 11051210869376104954);
        assert_eq!(of(b"hello "), 1796661072844795914);
        assert_eq!(of(b"world"), 4472352582074980600);
        assert_eq!(of(&vec![b'a'; 1 << 20]), 6701094182323390671);
    }

    #[test]
    fn parts_combine_to_the_whole() {
        for kind in [ChecksumKind::Crc64Xz, ChecksumKind::Crc64Nvme] {
            let (a, b) = (kind.of(b"hello "), kind.of(b"world"));
            assert_eq!(a.followed_by(b, 5), Some(kind.of(b"hello world")));
            assert_eq!(kind.of_nothing().followed_by(b, 5), Some(b));
            assert_eq!(b.followed_by(kind.of_nothing(), 0), Some(b));
        }
        let mixed = ChecksumKind::Crc64Xz.of(b"a").followed_by(ChecksumKind::Crc64Nvme.of(b"b"), 1);
        assert_eq!(mixed, None);
    }

    #[test]
    fn running_equals_at_once() {
        let mut running = RunningChecksum::new(ChecksumKind::Crc64Xz);
        for chunk in b"hello world".chunks(3) {
            running.update(chunk);
        }
        assert_eq!(running.value(), ChecksumKind::Crc64Xz.of(b"hello world"));
    }
}
