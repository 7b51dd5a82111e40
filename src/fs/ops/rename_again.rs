//! rename of a directory that failed in the middle: what it has left behind, and how it goes on.
//!
//! A copy that fails takes the copies before it back, so that the files are under their old names only. Where
//! that fails too, or where sources could not be removed, some files are under both names. What these are
//! is remembered, so that the same rename can finish its work where another one would meet a directory that
//! is not empty. Nothing is removed that has changed since, or whose other name is gone.

use std::collections::{HashMap, VecDeque};

use crate::fs::FileSystem;
use crate::fs::error::{FsError, FsResult};
use crate::fs::inode::Inode;
use crate::fs::ops::rename_directory::moved_key;
use crate::fs::ops::rename_progress::Progress;
use crate::fs::ordered::{LEAF, Ordered};
use crate::store::{Key, ListRequest, ObjectVersion};

/// So many renames are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 16;

/// Objects with their versions; `None` where the answer that would have told it was lost.
pub(super) type Versions = HashMap<Key, Option<ObjectVersion>>;

/// What renames have left behind.
#[derive(Debug, Default)]
pub(in crate::fs) struct Unfinished(Ordered<VecDeque<Leftover>, LEAF>);

#[derive(Debug)]
struct Leftover {
    old_prefix: String,
    new_prefix: String,
    rest: Rest,
}

#[derive(Debug)]
pub(super) enum Rest {
    /// Copies at the target, all sources are whole.
    Copies(Versions),
    /// Sources that were copied and should be gone.
    Sources(Versions),
}

impl Unfinished {
    pub(super) fn add(&self, old_prefix: &str, new_prefix: &str, rest: Rest) {
        let (old_prefix, new_prefix) = (old_prefix.to_owned(), new_prefix.to_owned());
        let mut all = self.0.lock();
        if all.len() >= REMEMBERED {
            all.pop_front();
        }
        all.push_back(Leftover { old_prefix, new_prefix, rest });
    }

    fn take(&self, old_prefix: &str, new_prefix: &str) -> Option<Rest> {
        let mut all = self.0.lock();
        let same = |left: &Leftover| left.old_prefix == old_prefix && left.new_prefix == new_prefix;
        let at = all.iter().position(same)?;
        all.remove(at).map(|left| left.rest)
    }
}

impl FileSystem {
    /// Removes what the same rename has left behind, if it failed before. True: there is nothing else to
    /// do. What others have changed meanwhile stays, and so does everything else then.
    pub(super) async fn finish_earlier(
        &self,
        (source, old_prefix): (&Inode, &str),
        (target, new_prefix): (&Inode, &str),
    ) -> FsResult<bool> {
        let Some(rest) = self.unfinished.take(old_prefix, new_prefix) else { return Ok(false) };
        if self.has_unpublished(source) || self.has_unpublished(target) {
            return Ok(false);
        }
        let removed = async {
            let (old, new) = (self.versions(old_prefix).await?, self.versions(new_prefix).await?);
            let (there, others, versions, prefix, other_prefix) = match &rest {
                Rest::Copies(copies) => (&new, &old, copies, new_prefix, old_prefix),
                Rest::Sources(sources) => (&old, &new, sources, old_prefix, new_prefix),
            };
            for (key, version) in there {
                let ours = match versions.get(key) {
                    Some(Some(known)) => known == version,
                    Some(None) => true,
                    // The marker of the directory that was to be replaced.
                    None => key.as_str() == prefix && version.size == 0,
                };
                if !ours || !others.contains_key(&moved_key(key, prefix, other_prefix)?) {
                    return Ok(None);
                }
            }
            let keys = there.keys().filter(|key| versions.contains_key(*key)).cloned().collect();
            let left = self.delete_keys(keys, None).await;
            left.0.map_or(Ok(Some(matches!(rest, Rest::Sources(_)))), Err)
        }
        .await;
        match removed {
            Ok(finished) => Ok(finished.unwrap_or(false)),
            Err(error) => {
                self.unfinished.add(old_prefix, new_prefix, rest);
                Err(error)
            }
        }
    }

    /// Every object below a prefix, and the marker.
    async fn versions(&self, prefix: &str) -> FsResult<HashMap<Key, ObjectVersion>> {
        let mut found = HashMap::new();
        let mut request = ListRequest { prefix: prefix.to_owned(), ..ListRequest::default() };
        loop {
            let page = self.store.list(&request).await?;
            for object in page.objects {
                found.insert(object.key, ObjectVersion { etag: object.etag, size: object.size });
            }
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// Removes objects, as many as possible. Says what went wrong first, and what is left. A request that
    /// fails has taken its whole patience, so it is the last.
    pub(super) async fn delete_keys(
        &self,
        keys: Vec<Key>,
        progress: Option<&Progress<'_>>,
    ) -> (Option<FsError>, Vec<Key>) {
        let (mut failure, mut left) = (None, Vec::new());
        let mut batches = keys.chunks(self.store.limits().delete_batch.max(1));
        while let Some(batch) = batches.next() {
            for key in batch {
                self.known.forget(key.as_str());
            }
            match self.store.delete_many(batch).await {
                Ok(failed) => {
                    for (key, error) in failed {
                        failure.get_or_insert(FsError::from(error));
                        left.push(key);
                    }
                }
                Err(error) => {
                    failure.get_or_insert(FsError::from(error));
                    left.extend_from_slice(batch);
                    left.extend(batches.by_ref().flatten().cloned());
                }
            }
            if let Some(progress) = progress {
                progress.removed(batch.len());
            }
        }
        (failure, left)
    }
}
