//! The digests that S3 calls additional checksums: of bodies as they arrive, and of an object by the
//! digests of its parts. Knows their names, and nothing of requests.

use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::base64;

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DigestKind {
    Crc32,
    Crc32c,
    Crc64nvme,
    Sha1,
    Sha256,
}

/// A digest that a request states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatedDigest {
    pub(super) kind: DigestKind,
    /// In base64; `None` when it follows the body as a trailer.
    pub(super) value: Option<String>,
}

impl DigestKind {
    pub(super) const ALL: [Self; 5] =
        [Self::Crc32, Self::Crc32c, Self::Crc64nvme, Self::Sha1, Self::Sha256];

    /// The header that carries it.
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The name of the algorithm in headers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The element that carries it in documents.
    pub(super) fn element(self) -> String {
        format!("Checksum{}", self.name())
    }

    /// The one of a name, in any case.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// Whether the digest of a whole can be one over the digests of its parts.
    pub(super) fn can_be_composite(self) -> bool {
        self != Self::Crc64nvme
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// A CRC in base64, of as many bytes as it has.
    fn spell(self, crc: u64) -> String {
        let bytes = crc.to_be_bytes();
        let skipped = if self == Self::Crc64nvme { 0 } else { 4 };
        base64::encode(&bytes[skipped..])
    }

    /// The digest of these bytes, in base64.
    pub(super) fn of(self, bytes: &[u8]) -> String {
        let mut running = RunningDigest::new(self);
        running.update(bytes);
        running.finish()
    }

    /// The digest over the digests of parts, with their number behind it; `None` when one of them is
    /// no base64.
    pub(super) fn composite<'a>(self, parts: impl Iterator<Item = &'a str>) -> Option<String> {
        let parts: Vec<_> = parts.map(base64::decode).collect::<Option<_>>()?;
        Some(format!("{}-{}", self.of(&parts.concat()), parts.len()))
    }

    /// The digest of the whole, from those of its parts and their lengths; `None` when it cannot be
    /// told from them.
    pub(super) fn combined<'a>(
        self,
        parts: impl Iterator<Item = (&'a str, u64)>,
    ) -> Option<String> {
        let algorithm = self.crc()?;
        let mut whole = crc_fast::checksum(algorithm, &[]);
        for (digest, len) in parts {
            let bytes = base64::decode(digest)?;
            let part = bytes.iter().fold(0_u64, |crc, byte| crc << 8 | u64::from(*byte));
            whole = crc_fast::checksum_combine(algorithm, whole, part, len);
        }
        Some(self.spell(whole))
    }
}

/// A digest that is being computed.
#[derive(Debug)]
pub(super) enum RunningDigest {
    Crc(DigestKind, crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl RunningDigest {
    pub(super) fn new(kind: DigestKind) -> Self {
        match (kind, kind.crc()) {
            (_, Some(algorithm)) => Self::Crc(kind, crc_fast::Digest::new(algorithm)),
            (DigestKind::Sha1, _) => Self::Sha1(Sha1::new()),
            _ => Self::Sha256(Sha256::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(_, crc) => crc.update(bytes),
            Self::Sha1(sha) => sha.update(bytes),
            Self::Sha256(sha) => sha.update(bytes),
        }
    }

    /// In base64.
    pub(super) fn finish(self) -> String {
        match self {
            Self::Crc(kind, crc) => kind.spell(crc.finalize()),
            Self::Sha1(sha) => base64::encode(&sha.finalize()),
            Self::Sha256(sha) => base64::encode(&sha.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_s3() {
        for (kind, whole) in [
            (DigestKind::Crc32, "DUoRhQ=="),
            (DigestKind::Crc32c, "yZRlqg=="),
            (DigestKind::Crc64nvme, "jSnVw/bqjr4="),
            (DigestKind::Sha1, "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
            (DigestKind::Sha256, "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
        ] {
            assert_eq!(kind.of(b"hello world"), whole);
            let parts = [kind.of(b"hello "), kind.of(b"world")];
            let combined = kind.combined(parts.iter().map(String::as_str).zip([6, 5]));
            assert_eq!(combined, kind.crc().map(|_| whole.to_owned()));
        }
    }

    #[test]
    fn composites_are_those_of_s3() {
        for (kind, composite) in [
            (DigestKind::Crc32, "1Fu2mQ==-2"),
            (DigestKind::Crc32c, "vUZpoA==-2"),
            (DigestKind::Sha256, "Zhie15keHg/OBlOZxcoF/BXCgYZaeimRvdZnwUZqkaQ=-2"),
        ] {
            let parts = [kind.of(b"hello "), kind.of(b"world")];
            assert_eq!(
                kind.composite(parts.iter().map(String::as_str)).as_deref(),
                Some(composite)
            );
        }
    }
}
