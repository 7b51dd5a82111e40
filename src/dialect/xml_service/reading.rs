//! Answers of the XML services that are told by their headers, and the pieces that readers of
//! documents share.

use http::HeaderMap;

use super::answers::{self, Flaw};
use super::{Flavor, XmlService, codes};
use crate::dialect::answer_head::object_info;
use crate::dialect::failure::Failure;
use crate::dialect::{Appending, Stored, headers};
use crate::http::Answer;
use crate::store::{ETag, ObjectInfo};

impl<F: Flavor> XmlService<F> {
    pub(super) fn flaw(&self, flaw: Flaw) -> Failure {
        match flaw {
            Flaw::Garbled(what) => Failure::garbled(what),
            Flaw::Error(error) => {
                codes::failure(200, Some(error), |code| self.flavor.meaning(code))
            }
        }
    }

    /// The body of a good answer is empty. An error in it counts, whatever the status says, and a page for
    /// people is not the service's.
    pub(super) fn no_error(&self, answer: &Answer) -> Result<(), Failure> {
        let body = answer.whole_body();
        match answers::service_error(&body) {
            Some(error) => Err(self.flaw(Flaw::Error(error))),
            None if is_page(&body) => Err(Failure::garbled("a page of HTML")),
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
        let checksum = self.flavor.checksum(&answer.headers)?;
        object_info(&answer.headers, self.flavor.rules().prefix, checksum)
    }

    pub(super) fn appending(&self, headers: &HeaderMap) -> Result<Appending, Failure> {
        let name = self.flavor.words().next_position;
        let next = name.map(|name| headers::decimal(headers, name)).transpose()?.flatten();
        let size = next.ok_or_else(|| Failure::garbled("an append without its next position"))?;
        let checksum = self.flavor.checksum(headers)?;
        Ok(Appending { size, etag: headers::etag(headers).ok(), checksum })
    }
}

/// Whether it begins as HTML does.
fn is_page(body: &[u8]) -> bool {
    let text = body.trim_ascii_start();
    ["<!doctype html", "<html"].iter().any(|page| {
        text.get(..page.len()).is_some_and(|start| start.eq_ignore_ascii_case(page.as_bytes()))
    })
}
