//! rename of a directory: every object below it is copied, then the name moves, then the sources go. Not
//! atomic; an error before the name moved leaves the source whole and takes the copies back. What could
//! not be removed is in `rename_again.rs`.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tracing::warn;

use crate::fs::FileSystem;
use crate::fs::attr::Kind;
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::{Inode, InodeNo, Object};
use crate::fs::ops::rename::{Move, ROUNDS};
use crate::fs::ops::rename_again::{Rest, Versions};
use crate::fs::ops::rename_progress::{Phase, Progress};
use crate::store::{CopyOptions, Key, ListRequest, ListedObject, ObjectVersion, copy_object};

/// So many objects of a directory are copied at once.
const PARALLEL: usize = 16;

/// Files whose object is the copy by now, with what it was before: it is that again if the rename fails.
#[derive(Default)]
struct Copied(Vec<(Arc<Inode>, Object)>);

impl Drop for Copied {
    fn drop(&mut self) {
        for (inode, object) in self.0.drain(..) {
            let mut state = inode.state();
            state.object = Some(object);
            state.checked = None;
        }
    }
}

impl FileSystem {
    /// Whether the rename of a directory is done, because it has failed before in its last steps, and
    /// these are done now.
    pub(super) async fn is_finished(
        &self,
        source: &Inode,
        target: &Inode,
        place: &Move,
    ) -> FsResult<bool> {
        if (source.kind, target.kind) != (Kind::Directory, Kind::Directory) {
            return Ok(false);
        }
        if self.inodes.is_within(place.old_parent.ino, target.ino) {
            return Ok(false);
        }
        let _closed = (self.close_below(source.ino).await, self.close_below(target.ino).await);
        let _turn = source.turn.lock().await;
        let Some(old_path) = self.inodes.path(source.ino) else { return Ok(false) };
        let (old, new) = (old_path.key_prefix(), place.new_path.key_prefix());
        let finished = self.finish_earlier((source, &old), (target, &new)).await?;
        if finished {
            source.state().unlinked = true;
            source.state().attr_pending = false;
            self.inodes.detach(place.old_parent.ino, &place.old_name);
            place.old_parent.state().name_vacated(&place.old_name, self.clock.now());
        }
        Ok(finished)
    }

    pub(super) async fn move_directory(
        self: &Arc<Self>,
        source: &Arc<Inode>,
        target: Option<Arc<Inode>>,
        place: &Move,
    ) -> FsResult<()> {
        let _closed = self.close_below(source.ino).await;
        for inode in self.inodes.descendants(source.ino) {
            self.repay(&inode).await;
        }
        let _turn = source.turn.lock().await;
        let old_path = self.inodes.path(source.ino).ok_or(Meaning::NotFound)?;
        let (old_prefix, new_prefix) = (old_path.key_prefix(), place.new_path.key_prefix());
        if new_prefix.starts_with(&old_prefix) {
            return Err(Meaning::Invalid.into());
        }
        let progress = self.renames.begin(old_path.as_str(), place.new_path.as_str());
        let tree = Tree { old_prefix, new_prefix, copies: Mutex::default(), progress };
        let moved = self.move_whole(source, target.as_deref(), place, &tree).await;
        let Tree { old_prefix, new_prefix, copies, progress } = tree;
        match moved {
            Ok(mut sources) => {
                // The marker goes last: while anything is left, the directory can be seen and renamed
                // again.
                let mut keys: Vec<Key> = sources.keys().cloned().collect();
                keys.sort_by(|a, b| b.cmp(a));
                progress.removing(keys.len(), Phase::Deleting);
                let (failure, left) = self.delete_keys(keys, Some(&progress)).await;
                let Some(error) = failure else { return Ok(()) };
                sources.retain(|key, _| left.contains(key));
                self.unfinished.add(&old_prefix, &new_prefix, Rest::Sources(sources));
                Err(error)
            }
            Err(error) => {
                let mut copies = copies.into_inner();
                if target.is_some() {
                    // The directory that was to be replaced was there before.
                    copies.retain(|key, _| key.as_str() != new_prefix);
                }
                progress.removing(copies.len(), Phase::Undoing);
                let keys = copies.keys().cloned().collect();
                let (failure, left) = self.delete_keys(keys, Some(&progress)).await;
                if let Some(failure) = failure {
                    let (path, errno) = (&new_prefix, failure.meaning().errno());
                    let (code, status) = (failure.code(), failure.status());
                    let (request_id, error) = (failure.request_id(), failure.words());
                    warn!(
                        path,
                        errno,
                        code,
                        status,
                        request_id,
                        error,
                        "copies of a rename that failed are left"
                    );
                    copies.retain(|key, _| left.contains(key));
                    self.unfinished.add(&old_prefix, &new_prefix, Rest::Copies(copies));
                }
                Err(error)
            }
        }
    }

    /// Copies everything and moves the name. Says what must be removed then.
    async fn move_whole(
        self: &Arc<Self>,
        source: &Arc<Inode>,
        target: Option<&Inode>,
        place: &Move,
        tree: &Tree<'_>,
    ) -> FsResult<Versions> {
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
        let mut sources = None;
        let mut copied = Copied::default();
        'rounds: for _ in 0..ROUNDS {
            let mut found = self.inodes.descendants(source.ino);
            found.retain(|inode| inode.kind != Kind::Directory && numbers.insert(inode.ino));
            found.sort_by_key(|inode| inode.ino);
            for inode in found {
                turns.push(Arc::clone(&inode.turn).lock_owned().await);
                if self.loans.lends(inode.ino) {
                    // What rests on it may need a turn that is held here, or wait for one. As long as
                    // nothing is copied, all can be given back.
                    if sources.is_none() {
                        (held, turns) = (Vec::new(), Vec::new());
                        numbers.clear();
                        self.repay(&inode).await;
                        continue 'rounds;
                    }
                    let detail = "a file of the directory is being copied";
                    return Err(FsError::with_detail(Meaning::Busy, detail));
                }
                let Some(path) = self.inodes.path(inode.ino) else { continue };
                let old_key = path.file_key(self.store.limits())?;
                self.commit_in_turn(&inode).await?;
                self.settle_in_turn(&inode).await?;
                let object = inode.state().object.clone();
                if let Some(sources) = &mut sources
                    && let Some(object) = object
                {
                    let new_key = tree.moved(&old_key)?;
                    tree.copies.lock().insert(new_key.clone(), None);
                    tree.progress.copying(1, object.version.size, true);
                    copied.0.push((Arc::clone(&inode), object.clone()));
                    self.copy_file(&inode, &old_key, &new_key).await?;
                    tree.progress.copied(object.version.size);
                    Versions::insert(sources, old_key.clone(), Some(object.version));
                }
                held.push((inode, old_key));
            }
            if sources.is_none() {
                sources = Some(self.copy_tree(tree).await?);
            }
            if self.move_tree(source, place, &numbers) {
                copied.0.clear();
                if let Some(target) = target {
                    target.state().unlinked = true;
                }
                for (inode, old_key) in &held {
                    self.follow_directory(inode, old_key, tree).await;
                }
                return Ok(sources.unwrap_or_default());
            }
        }
        Err(FsError::with_detail(Meaning::Busy, "files appear faster than they can be moved"))
    }

    /// Copies every object of a tree and returns the sources.
    async fn copy_tree(&self, tree: &Tree<'_>) -> FsResult<Versions> {
        let mut sources = Versions::new();
        let mut request = ListRequest { prefix: tree.old_prefix.clone(), ..ListRequest::default() };
        loop {
            tree.progress.listing();
            let page = self.store.list(&request).await?;
            let bytes = page.objects.iter().map(|object| object.size).sum();
            tree.progress.copying(page.objects.len() as u64, bytes, page.next.is_none());
            // Collected first: a stream over a borrowing closure is not `Send` for all lifetimes.
            let copies: Vec<_> =
                page.objects.iter().map(|object| self.copy_one(object, tree)).collect();
            all_or_no_more(copies).await?;
            sources.extend(page.objects.into_iter().map(|object| {
                (object.key, Some(ObjectVersion { etag: object.etag, size: object.size }))
            }));
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(sources),
            }
        }
    }

    async fn copy_one(&self, object: &ListedObject, tree: &Tree<'_>) -> FsResult<()> {
        let new_key = tree.moved(&object.key)?;
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
        tree.copies.lock().insert(new_key.clone(), None);
        // Its metadata changes, and neither ETag nor time need tell.
        self.known.forget(new_key.as_str());
        let copy = copy_object(&*self.store, &object.key, &new_key, object.size, &options).await?;
        tree.copies.lock().insert(new_key, Some(copy));
        tree.progress.copied(object.size);
        Ok(())
    }

    /// A file below a renamed directory: its writer and readers learn the new key, and which version
    /// is there, because a copy may have another ETag than its source.
    async fn follow_directory(
        self: &Arc<Self>,
        inode: &Arc<Inode>,
        old_key: &Key,
        tree: &Tree<'_>,
    ) {
        inode.state().checked = None;
        if !self.inodes.is_pinned(inode.ino) || !inode.state().is_stored() {
            return;
        }
        let found = match tree.moved(old_key) {
            Ok(new_key) => self.ask_object(&new_key).await.map(|found| found.zip(Some(new_key))),
            Err(error) => Err(error),
        };
        match found {
            Ok(Some((object, new_key))) => {
                inode.state().object = Some(object);
                self.follow(inode, old_key, &new_key).await;
            }
            found @ (Ok(None) | Err(_)) => {
                // It is not known what its handles would write to or read.
                let writer = inode.state().writer.clone();
                if let Some(writer) = writer {
                    let (path, failure) = (old_key.as_str(), found.as_ref().err());
                    warn!(
                        path,
                        errno = failure.map(|failure| failure.meaning().errno()),
                        code = failure.and_then(FsError::code),
                        status = failure.and_then(FsError::status),
                        request_id = failure.and_then(FsError::request_id),
                        error = failure.map(FsError::words),
                        "what is being written cannot follow the rename"
                    );
                    writer.discard().await;
                }
            }
        }
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

/// Some at a time. After a failure no other begins, because each may take its whole patience to fail; those that
/// are on their way end, because a copy on its way cannot be taken back.
async fn all_or_no_more(copies: Vec<impl Future<Output = FsResult<()>>>) -> FsResult<()> {
    let mut waiting = copies.into_iter();
    let mut running: FuturesUnordered<_> = waiting.by_ref().take(PARALLEL).collect();
    let mut all = Ok(());
    while let Some(copied) = running.next().await {
        all = all.and(copied);
        if all.is_ok() {
            running.extend(waiting.next());
        }
    }
    all
}

/// What moves from where to where.
struct Tree<'a> {
    old_prefix: String,
    new_prefix: String,
    /// What may exist at the target because of us.
    copies: Mutex<Versions>,
    progress: Progress<'a>,
}

impl Tree<'_> {
    fn moved(&self, key: &Key) -> FsResult<Key> {
        moved_key(key, &self.old_prefix, &self.new_prefix)
    }
}

/// The key that a key below one prefix gets below another.
pub(super) fn moved_key(key: &Key, old_prefix: &str, new_prefix: &str) -> FsResult<Key> {
    let rest = key.as_str().strip_prefix(old_prefix).ok_or_else(|| {
        FsError::with_detail(Meaning::Io, "a listing held a key outside its prefix")
    })?;
    Key::new(format!("{new_prefix}{rest}"))
        .map_err(|invalid| FsError::with_detail(Meaning::Io, invalid.to_string()))
}
