//! What goes over the wire when a file is written again from the start: no part that the service holds already, as
//! long as all before it are the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use partfs::store::fault::What;
use partfs::store::memory::{Effect, Entry, UploadsQuery};
use partfs::store::{Key, Operation, Upload, UploadId};
use partfs::write::OnLeftover;

use super::harness::World;
use super::oracle::bytes_of;

/// Bytes of the parts of an upload, by number.
type Parts = BTreeMap<u16, Vec<u8>>;

/// What the service holds of a file before it is written again.
pub struct Watch {
    world: Arc<World>,
    key: Key,
    /// Of uploads with a record.
    held: BTreeMap<UploadId, Parts>,
    effects: usize,
    events: usize,
    calls: u64,
}

impl Watch {
    pub fn begin(world: &Arc<World>, key: &Key) -> Self {
        let held = match world.is_journalled() {
            true => held(world, key),
            false => BTreeMap::new(),
        };
        Self {
            world: Arc::clone(world),
            key: key.clone(),
            held,
            effects: world.bucket.effects().len(),
            events: world.store.events().len(),
            calls: world.store.calls(),
        }
    }

    /// The file was published with this content.
    pub fn end(self, content: &[u8]) -> Result<(), String> {
        if self.held.is_empty() || self.is_disturbed() {
            return Ok(());
        }
        let effects = self.world.bucket.effects().split_off(self.effects);
        let of_key = |effect: &&Effect| effect.key == self.key;
        let sent = effects.iter().filter(of_key).filter_map(|effect| match effect.operation {
            Operation::PutPart => {
                Some((effect.upload.clone()?, effect.part?.get(), effect.size as usize))
            }
            _ => None,
        });
        let sent: Vec<_> = sent.collect();
        let aborted = |id: &UploadId| {
            let of_id = |effect: &Effect| effect.upload.as_ref() == Some(id);
            effects.iter().any(|effect| effect.operation == Operation::AbortUpload && of_id(effect))
        };
        let completed = effects.iter().filter(of_key).rev().find_map(|effect| {
            (effect.operation == Operation::CompleteUpload).then(|| effect.upload.clone())?
        });
        for (id, parts) in self.held.iter().filter(|(id, _)| !aborted(id)) {
            // Parts that are the same, as all before them are.
            let mut at = 0;
            for (number, (held, bytes)) in (1..).zip(parts) {
                if *held != number || !content[at..].starts_with(bytes) {
                    break;
                }
                // Memory was short, and the part was closed earlier than the one that is there.
                if sent
                    .iter()
                    .any(|(upload, sent, len)| upload == id && sent == held && *len != bytes.len())
                {
                    break;
                }
                let again = sent
                    .iter()
                    .any(|(upload, sent, len)| upload == id && sent == held && *len == bytes.len());
                let elsewhere = number == 1
                    && sent.iter().any(|(upload, sent, len)| {
                        !self.held.contains_key(upload) && *sent == 1 && *len == bytes.len()
                    });
                if again || elsewhere {
                    return Err(format!("part {number} of {id:?} is there and is sent again"));
                }
                at += bytes.len();
                if completed.as_ref() == Some(id) {
                    self.world.count(|outcome| outcome.resumed_parts += 1);
                }
            }
        }
        Ok(())
    }

    /// Whether something happened that is a reason to send everything.
    fn is_disturbed(&self) -> bool {
        let late = |what: &What| matches!(what, What::Late(_));
        let is_late = |event: &partfs::store::fault::Event| {
            event.key.as_deref() == Some(self.key.as_str()) && late(&event.what)
        };
        self.world.on_leftover == OnLeftover::Abort
            || self.world.has_failed_to_abort(&self.key)
            || self.world.has_been_in_trouble(&self.key, self.calls)
            || self.world.store.events()[self.events..].iter().any(is_late)
    }
}

fn held(world: &World, key: &Key) -> BTreeMap<UploadId, Parts> {
    let ids = world.records().ids;
    let uploads = open_uploads(world).into_iter().filter(|upload| upload.key == *key);
    let uploads = uploads.filter(|upload| ids.contains(upload.id.as_str()));
    let parts = |upload: &Upload| {
        let (parts, _) = world.bucket.list_parts(upload, 0, usize::MAX).unwrap_or_default();
        parts.iter().map(|part| (part.number.get(), bytes_of(&part.blob))).collect()
    };
    uploads.map(|upload| (upload.id.clone(), parts(&upload))).collect()
}

/// The uploads of the bucket.
pub fn open_uploads(world: &World) -> Vec<Upload> {
    let query = UploadsQuery { max: usize::MAX, ..UploadsQuery::default() };
    let listed = world.bucket.list_uploads(query).0.into_iter();
    let uploads = listed.filter_map(|entry| match entry {
        Entry::Item(open) => Some(open.upload),
        Entry::Prefix(_) => None,
    });
    uploads.collect()
}
