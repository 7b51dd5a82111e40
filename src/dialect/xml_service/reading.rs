//! Answers of the XML services that are told by their headers, and the pieces that readers of
//! documents share.

use http::HeaderMap;

use super::answers::{self, Flaw};
use super::{Flavor, XmlService, codes, read_metadata, read_standard};
use crate::dialect::failure::Failure;
use crate::dialect::{Appending, Stored, headers};
use crate::http::Answer;
use crate::store::{ETag, ObjectInfo, ObjectVersion};

impl<F: Flavor> XmlService<F> {
    pub(super) fn flaw(&self, flaw: Flaw) -> Failure {
        match flaw {
            Flaw::Garbled(what) => Failure::garbled(what),
            Flaw::Error(error) => {
                codes::failure(200, Some(error), |code| self.flavor.meaning(code))
            }
        }
    }

    /// The body of a good answer is empty. An error in it counts, whatever the status says.
    pub(super) fn no_error(&self, answer: &Answer) -> Result<(), Failure> {
        match answers::service_error(&answer.whole_body()) {
            Some(error) => Err(self.flaw(Flaw::Error(error))),
            None => Ok(()),
        }
    }

    pub(super) fn stored(&self, etag: ETag, answer: &Answer) -> Result<Stored, Failure> {
        Ok(Stored { etag, checksum: self.flavor.checksum(&answer.headers)? })
    }

    /// The ETag of a document with this root, and the checksum that it or the headers state.
    pub(super) fn copied(&self, answer: &Answer, root: &str) -> Result<Stored, Failure> {
        let document = answers::root(&answer.whole_body(), root).map_err(|flaw| self.flaw(flaw))?;
        let etag = answers::etag_of(&document).map_err(|flaw| self.flaw(flaw))?;
        let stored = self.stored(etag, answer)?;
        let stated = self.flavor.stated(&document)?;
        Ok(Stored { checksum: stated.or(stored.checksum), ..stored })
    }

    pub(super) fn info(&self, answer: &Answer) -> Result<ObjectInfo, Failure> {
        let (headers, prefix) = (&answer.headers, self.flavor.rules().prefix);
        let size = headers::decimal(headers, "content-length")?
            .ok_or_else(|| Failure::garbled("an object without Content-Length"))?;
        Ok(ObjectInfo {
            version: ObjectVersion { etag: headers::etag(headers)?, size },
            last_modified: headers::last_modified(headers)?,
            checksum: self.flavor.checksum(headers)?,
            metadata: read_metadata(headers, prefix),
            headers: read_standard(headers),
            storage_class: headers::only(headers, &format!("{prefix}storage-class"))?
                .filter(|class| !class.eq_ignore_ascii_case("STANDARD"))
                .map(str::to_owned),
        })
    }

    pub(super) fn appending(&self, headers: &HeaderMap) -> Result<Appending, Failure> {
        let name = self.flavor.words().next_position;
        let next = name.map(|name| headers::decimal(headers, name)).transpose()?.flatten();
        let size = next.ok_or_else(|| Failure::garbled("an append without its next position"))?;
        let checksum = self.flavor.checksum(headers)?;
        Ok(Appending { size, etag: headers::etag(headers).ok(), checksum })
    }
}
