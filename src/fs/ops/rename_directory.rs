//! rename of a directory: every object below it is copied, then the name moves, then the sources go. Not
//! atomic; an error leaves the source whole, and the same rename again finishes the work.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::warn;

use crate::fs::FileSystem;
use crate::fs::attr::Kind;
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::{Inode, InodeNo};
use crate::fs::ops::rename::{Move, ROUNDS};
use crate::store::{CopyOptions, Key, ListRequest, ListedObject, ObjectVersion, copy_object};

/// So many objects of a directory are copied at once.
const PARALLEL: usize = 16;

impl FileSystem {
    pub(super) async fn move_directory(
        self: &Arc<Self>,
        source: &Arc<Inode>,
        target: Option<Arc<Inode>>,
        place: &Move,
    ) -> FsResult<()> {
        for inode in self.inodes.descendants(source.ino) {
            self.repay(&inode).await;
        }
        let _turn = source.turn.lock().await;
        let old_path = self.inodes.path(source.ino).ok_or(Meaning::NotFound)?;
        let (old_prefix, new_prefix) = (old_path.key_prefix(), place.new_path.key_prefix());
        if new_prefix.starts_with(&old_prefix) {
            return Err(Meaning::Invalid.into());
        }
        place.new_path.marker_key(self.store.limits())?;
        for inode in self.inodes.descendants(source.ino) {
            if inode.kind == Kind::Directory {
                self.settle(&inode).await?;
            }
        }
        self.settle_in_turn(source).await?;
        self.keep_directory(source).await?;
        // Nothing below is published while its keys are copied: all files are held, with what is only
        // in memory published first. Files that appear meanwhile are held and copied one by one.
        let mut held: Vec<(Arc<Inode>, Key)> = Vec::new();
        let mut numbers = HashSet::new();
        let mut turns = Vec::new();
        let mut keys = None;
        for _ in 0..ROUNDS {
            let mut found = self.inodes.descendants(source.ino);
            found.retain(|inode| inode.kind != Kind::Directory && numbers.insert(inode.ino));
            found.sort_by_key(|inode| inode.ino);
            for inode in found {
                turns.push(Arc::clone(&inode.turn).lock_owned().await);
                if self.loans.lends(inode.ino) {
                    // What rests on it may need a turn that is held here, or wait for one.
                    let detail = "a file of the directory is being copied";
                    return Err(FsError::with_detail(Meaning::Busy, detail));
                }
                let Some(path) = self.inodes.path(inode.ino) else { continue };
                let old_key = path.file_key(self.store.limits())?;
                self.commit_in_turn(&inode).await?;
                self.settle_in_turn(&inode).await?;
                if let Some(keys) = &mut keys
                    && inode.state().object.is_some()
                {
                    let new_key = moved_key(&old_key, &old_prefix, &new_prefix)?;
                    self.copy_file(&inode, &old_key, &new_key).await?;
                    Vec::push(keys, old_key.clone());
                }
                held.push((inode, old_key));
            }
            if keys.is_none() {
                keys = Some(self.copy_tree(&old_prefix, &new_prefix).await?);
            }
            if self.move_tree(source, place, &numbers) {
                if let Some(target) = &target {
                    target.state().unlinked = true;
                }
                for (inode, old_key) in &held {
                    self.follow_directory(inode, old_key, &old_prefix, &new_prefix).await;
                }
                return self.delete_keys(keys.unwrap_or_default()).await;
            }
        }
        Err(FsError::with_detail(Meaning::Busy, "files appear faster than they can be moved"))
    }

    /// Copies every object below a prefix and returns the keys of the sources.
    async fn copy_tree(&self, old_prefix: &str, new_prefix: &str) -> FsResult<Vec<Key>> {
        let mut keys = Vec::new();
        let mut request = ListRequest { prefix: old_prefix.to_owned(), ..ListRequest::default() };
        loop {
            let page = self.store.list(&request).await?;
            // Collected first: a stream over a borrowing closure is not `Send` for all lifetimes.
            let copies: Vec<_> = page
                .objects
                .iter()
                .map(|object| self.copy_one(object, old_prefix, new_prefix))
                .collect();
            stream::iter(copies).buffer_unordered(PARALLEL).try_collect::<()>().await?;
            keys.extend(page.objects.into_iter().map(|object| object.key));
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(keys),
            }
        }
    }

    async fn copy_one(
        &self,
        object: &ListedObject,
        old_prefix: &str,
        new_prefix: &str,
    ) -> FsResult<()> {
        let new_key = moved_key(&object.key, old_prefix, new_prefix)?;
        if new_key.as_str().len() > self.store.limits().key_bytes {
            return Err(Meaning::NameTooLong.into());
        }
        let version = ObjectVersion { etag: object.etag.clone(), size: object.size };
        let options = CopyOptions {
            if_match: Some(version),
            replace: None,
            storage_class: object.storage_class.clone(),
            ..CopyOptions::default()
        };
        copy_object(&*self.store, &object.key, &new_key, object.size, &options).await?;
        Ok(())
    }

    /// A file below a renamed directory: its writer and readers learn the new key, and which version
    /// is there, because a copy may have another ETag than its source.
    async fn follow_directory(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
        old_key: &Key,
        old_prefix: &str,
        new_prefix: &str,
    ) {
        inode.state().checked = None;
        if !self.inodes.is_pinned(inode.ino) || !inode.state().is_stored() {
            return;
        }
        let found = match moved_key(old_key, old_prefix, new_prefix) {
            Ok(new_key) => self.ask_object(&new_key).await.map(|found| found.zip(Some(new_key))),
            Err(error) => Err(error),
        };
        match found {
            Ok(Some((object, new_key))) => {
                inode.state().object = Some(object);
                self.follow(inode, old_key, &new_key).await;
            }
            Ok(None) | Err(_) => {
                // It is not known what its handles would write to or read.
                let writer = inode.state().writer.clone();
                if let Some(writer) = writer {
                    warn!(key = old_key.as_str(), "what is being written cannot follow the rename");
                    writer.discard().await;
                }
            }
        }
    }

    async fn delete_keys(&self, keys: Vec<Key>) -> FsResult<()> {
        // The marker goes last: while anything is left, the directory can be seen and renamed again.
        let batches: Vec<Vec<Key>> = keys
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .chunks(self.store.limits().delete_batch.max(1))
            .map(<[Key]>::to_vec)
            .collect();
        for batch in batches {
            for key in &batch {
                self.known.forget(key.as_str());
            }
            if let Some((_, error)) = self.store.delete_many(&batch).await?.into_iter().next() {
                return Err(FsError::from(error));
            }
        }
        Ok(())
    }

    /// Moves the name of a directory, unless there are files below it that are not `held`.
    fn move_tree(&self, source: &Inode, place: &Move, held: &HashSet<InodeNo>) -> bool {
        let moved = self.inodes.rename_tree(place.from(), place.to(), held);
        if moved {
            self.name_moved(source, place);
        }
        moved
    }
}

/// The key that a key below one prefix gets below another.
fn moved_key(key: &Key, old_prefix: &str, new_prefix: &str) -> FsResult<Key> {
    let rest = key.as_str().strip_prefix(old_prefix).ok_or_else(|| {
        FsError::with_detail(Meaning::Io, "a listing held a key outside its prefix")
    })?;
    Key::new(format!("{new_prefix}{rest}"))
        .map_err(|invalid| FsError::with_detail(Meaning::Io, invalid.to_string()))
}
