//! `user.partfs.*`: extended attributes of files that nobody has stored. They tell what the bucket has for a
//! file, and whether it has it. Made from what is known: none costs a request of its own.
//!
//! Programs that copy attributes bring them along (`cp -a`, `rsync -X`). Setting one succeeds and changes nothing:
//! an error would make every such copy fail, and what is told must stay true.

use crate::fs::inode::{Object, State};
use crate::write::UploadProgress;

/// What their names begin with; nobody can set others that do.
pub(super) const PREFIX: &str = "user.partfs.";

/// One of them, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The object's ETag, as the service spells it.
    Etag,
    /// Its version, in buckets that keep versions.
    Version,
    /// CRC-64 of the content, in decimal.
    Crc64,
    /// Its storage class.
    StorageClass,
    /// Whether what was written is in the bucket: [`state_of`].
    State,
}

/// All, in the order in which they are listed.
const ALL: [(&str, Told); 5] = [
    ("user.partfs.crc64", Told::Crc64),
    ("user.partfs.etag", Told::Etag),
    ("user.partfs.state", Told::State),
    ("user.partfs.storage_class", Told::StorageClass),
    ("user.partfs.version", Told::Version),
];

impl Told {
    /// By its whole name.
    pub(super) fn of(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, told)| *told)
    }

    /// Those that this file has, by name.
    pub(super) fn names(state: &State) -> impl Iterator<Item = &'static str> {
        let has = |told: &Told| match told {
            // Always, and without looking how far an upload is.
            Self::State => true,
            _ => told.of_object(state).is_some(),
        };
        ALL.iter().filter(move |(_, told)| has(told)).map(|(name, _)| *name)
    }

    /// Its value. `upload`: the one of this file that is under way.
    pub(super) fn value(self, state: &State, upload: Option<&UploadProgress>) -> Option<String> {
        match self {
            Self::State => Some(state_of(state, upload)),
            _ => self.of_object(state),
        }
    }

    /// What the object says. Nothing while other bytes were written: those of the object are not the file's.
    fn of_object(self, state: &State) -> Option<String> {
        let object = state.object.as_ref().filter(|_| !is_dirty(state) && !state.has_news())?;
        let Object { version, version_id, checksum, storage_class, last_modified, .. } = object;
        match self {
            Self::Etag => Some(version.etag.as_str().to_owned()),
            Self::Version => version_id.clone(),
            Self::Crc64 => checksum.map(|checksum| checksum.value.to_string()),
            // Of what was just written here only the service knows it: a mount may have a class for new objects.
            Self::StorageClass => match (storage_class, last_modified) {
                (Some(class), _) => Some(class.clone()),
                (None, Some(_)) => Some("STANDARD".to_owned()),
                (None, None) => None,
            },
            Self::State => None,
        }
    }
}

/// Whether programs have written what is not published.
pub(super) fn is_dirty(state: &State) -> bool {
    state.writer.as_ref().is_some_and(|writer| writer.is_dirty())
}

/// `durable` where the bucket has everything; else what is lacking, or `failed: ` and why.
fn state_of(state: &State, upload: Option<&UploadProgress>) -> String {
    if state.unlinked {
        return "removed".to_owned();
    }
    let failure = state.writer.as_ref().and_then(|writer| writer.failure());
    if let Some(failure) = failure {
        return failed(&failure.to_string());
    }
    if is_dirty(state) {
        return match upload {
            Some(UploadProgress { parts, parts_confirmed, .. }) => {
                format!("uploading {parts_confirmed}/{parts} parts")
            }
            None => "written, not uploaded yet".to_owned(),
        };
    }
    if let Some(failure) = &state.not_stored {
        return failed(&failure.to_string());
    }
    if state.attr_pending {
        return "durable, but for attributes".to_owned();
    }
    "durable".to_owned()
}

/// In one line, without what would move a cursor: some of the words are those of the service.
fn failed(why: &str) -> String {
    let why: String = why.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("failed: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_begin_alike() {
        assert!(ALL.is_sorted_by_key(|(name, _)| *name));
        for (name, told) in ALL {
            assert!(name.starts_with(PREFIX));
            assert_eq!(Told::of(name), Some(told));
        }
        assert_eq!(Told::of("user.partfs."), None);
        assert_eq!(Told::of("user.colour"), None);
    }
}
