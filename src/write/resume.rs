//! Goes on with an upload that was cut off: when the file is written again from the start, a part that the
//! service holds already, by size and MD5, is not sent again. From the first part on that differs
//! everything is sent.
//!
//! The ETag of a part is the MD5 of its bytes on all services, except where the service encrypts with a key
//! that is not its own. Then no part is recognised, and everything is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{
    ETag, ErrorKind, ObjectStore, PartNumber, PartReceipt, Payload, PutOptions, Upload, all_parts,
};
use crate::write::journal::Entry;
use crate::write::leftovers::Leftovers;

/// The parts of an upload that was cut off, as the service holds them.
#[derive(Debug, Default)]
pub(super) struct HeldParts(Mutex<BTreeMap<PartNumber, PartReceipt>>);

impl HeldParts {
    /// The receipt of a part that need not be sent, because the service has these bytes under this
    /// number. Each number is answered once: what is sent later is sent again.
    pub(super) async fn recognise(
        &self,
        number: PartNumber,
        part: &Payload,
    ) -> Option<PartReceipt> {
        let held = self.lock().remove(&number)?;
        if is_same(&held, part).await {
            return Some(held);
        }
        self.differs(number);
        None
    }

    /// The bytes under this number are others; so are those behind it, as far as anybody knows.
    pub(super) fn differs(&self, number: PartNumber) {
        self.lock().retain(|held, _| *held < number);
    }

    fn set(&self, parts: BTreeMap<PartNumber, PartReceipt>) {
        *self.lock() = parts;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartNumber, PartReceipt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was cut off at a key that is written anew.
pub(super) struct Candidates {
    /// The one to go on with.
    pub(super) found: Option<(Upload, Entry)>,
    /// Those of another content: nobody will go on with them.
    pub(super) unwanted: Vec<Entry>,
}

/// The upload to go on with when an object begins with `first` and gets `options`: one of those that were cut
/// off at this key, whose first part is the same. `held` then has its parts. Without a `first`, as when
/// the object begins with a range of another one, there is none.
pub(super) async fn find(
    store: &dyn ObjectStore,
    leftovers: &Arc<Leftovers>,
    options: &PutOptions,
    first: Option<&Payload>,
    key: &crate::store::Key,
    held: &HeldParts,
) -> Candidates {
    let (mut found, mut unwanted) = (None, Vec::new());
    for entry in leftovers.take(key).await {
        let Some(upload) = entry.upload() else { continue };
        if found.is_some() {
            leftovers.keep(entry);
            continue;
        }
        let parts: BTreeMap<_, _> = match all_parts(store, &upload).await {
            Ok(parts) => parts.into_iter().map(|part| (part.number, part)).collect(),
            Err(error) if error.kind == ErrorKind::NoSuchUpload => {
                leftovers.forget(entry);
                continue;
            }
            Err(_) => {
                leftovers.keep(entry);
                continue;
            }
        };
        let begins_alike = match parts.get(&PartNumber::FIRST).zip(first) {
            Some((part, first)) => is_same(part, first).await,
            None => false,
        };
        if begins_alike && entry.suits(options, leftovers.properties()) {
            tracing::info!(
                path = key.as_str(),
                upload = upload.id.as_str(),
                parts = parts.len(),
                "goes on with an upload"
            );
            held.set(parts);
            found = Some((upload, entry));
        } else if leftovers.removes() {
            unwanted.push(entry);
        } else {
            leftovers.keep(entry);
        }
    }
    Candidates { found, unwanted }
}

/// Whether a part that the service holds has these bytes.
async fn is_same(held: &PartReceipt, part: &Payload) -> bool {
    if held.size != part.len() {
        return false;
    }
    match part.md5().await {
        Ok(md5) => {
            let hex: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
            held.etag == ETag::new(&hex)
        }
        // Sending it will tell what is wrong.
        Err(_) => false,
    }
}
