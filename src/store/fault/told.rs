//! Answers that can be made wrong.

use crate::store::fault::Claim;
use crate::store::{
    Appended, Checksum, Content, ETag, Key, ListPage, ObjectInfo, ObjectVersion, PartReceipt,
    PartsPage, Started, StoreError, Upload, UploadsPage,
};

/// What a store answers.
pub(super) trait Told: Send + 'static {
    /// Makes it wrong, if it says anything of the kind.
    fn distort(&mut self, _: Claim) {}

    /// It is the answer to a second attempt.
    fn was_asked_twice(&mut self) {}

    /// The upload that it tells of.
    fn upload(&self) -> Option<&Upload> {
        None
    }
}

impl Told for () {}
impl Told for ListPage {}
impl Told for PartsPage {}
impl Told for UploadsPage {}
impl Told for Content {}
impl Told for ObjectInfo {}
impl Told for Vec<(Key, StoreError)> {}

impl Told for Started {
    fn was_asked_twice(&mut self) {
        self.strays = true;
    }

    fn upload(&self) -> Option<&Upload> {
        Some(&self.upload)
    }
}

impl Told for ObjectVersion {
    fn distort(&mut self, claim: Claim) {
        match claim {
            Claim::ETag => self.etag = wrong_etag(),
            Claim::Size => self.size += 1,
            Claim::Checksum => {}
        }
    }
}

impl Told for PartReceipt {
    fn distort(&mut self, claim: Claim) {
        match claim {
            Claim::ETag => self.etag = wrong_etag(),
            Claim::Size => self.size += 1,
            Claim::Checksum => wrong_checksum(&mut self.checksum),
        }
    }
}

impl Told for Appended {
    fn distort(&mut self, claim: Claim) {
        match claim {
            Claim::Checksum => wrong_checksum(&mut self.checksum),
            claim => self.version.distort(claim),
        }
    }
}

fn wrong_etag() -> ETag {
    ETag::new("0123456789abcdef0123456789abcdef")
}

fn wrong_checksum(checksum: &mut Option<Checksum>) {
    if let Some(checksum) = checksum {
        checksum.value ^= 1;
    }
}
