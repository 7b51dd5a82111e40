//! One entry of a directory: what more must be asked of it, and what the kernel is told.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::fs::FileSystem;
use crate::fs::attr::{Attr, Kind, is_symlink};
use crate::fs::error::FsResult;
use crate::fs::inode::{Inode, InodeNo, Object};
use crate::fs::name::{Name, TreePath};
use crate::fs::ops::lookup::{Entry, Found};

/// So many objects are asked for their metadata ahead of the reader, at once.
const AHEAD: usize = 128;
/// … and so many of these requests are in flight.
const PARALLEL: usize = 32;
/// When nothing is answered any more, what the listing itself has told is passed on after so long: as long as one
/// question is tried, however many there are.
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest target of a symbolic link: an object larger than this is none, and need not be asked.
const SYMLINK_BYTES: std::ops::RangeInclusive<u64> = 1..=4095;
/// The number told by plain readdir for an entry that has no inode yet, as libfuse does: `d_ino` must
/// not be 0, or the C library skips the entry.
const UNKNOWN_INODE: InodeNo = InodeNo(0xffff_ffff);

#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) name: Name,
    pub(super) kind: Kind,
    /// From the listing, or remembered with metadata.
    object: Option<Object>,
    /// Attributes are as exact as HEAD tells.
    pub(super) exact: bool,
    /// When the bucket told; `None` for what an inode of ours knows by itself.
    told: Option<Instant>,
    /// When its metadata was asked for.
    asked: Option<Instant>,
    /// It vanished between listing and HEAD.
    pub(super) gone: bool,
}

impl Item {
    pub(super) fn new(name: Name, kind: Kind, object: Option<Object>, exact: bool) -> Self {
        let told = object.as_ref().map(|object| object.asked);
        Self { name, kind, object, exact, told, asked: told, gone: false }
    }

    /// A directory that only files of ours keep: at `asked` the bucket had nothing below it.
    pub(super) fn without_marker(name: Name, asked: Option<Instant>) -> Self {
        Self { told: asked, asked, ..Self::new(name, Kind::Directory, None, true) }
    }
}

impl FileSystem {
    /// Asks for the metadata of the entries from `skip` on that need it: all when attributes are
    /// wanted, else those that could be symbolic links, because the kind of an entry must be right.
    /// Says before which entry it stopped: those up to there can be told.
    pub(super) async fn make_exact(
        &self,
        path: &TreePath,
        page: &mut [Item],
        skip: usize,
        attributes: bool,
    ) -> usize {
        let end = page.len().min(skip.saturating_add(AHEAD));
        let needs = |item: &Item| {
            let size = item.object.as_ref().map_or(0, |object| object.version.size);
            !(item.exact || item.gone)
                && (attributes || (item.kind == Kind::File && SYMLINK_BYTES.contains(&size)))
        };
        // Ask only when the reader arrives at something unknown, then well ahead of it.
        let Some(window) = page.get_mut(skip..end) else { return end };
        match window.iter().position(needs) {
            None => return end,
            Some(known) if known >= AHEAD / 4 => return skip + known,
            Some(_) => {}
        }
        let asked = Instant::now();
        let questions: Vec<_> = window
            .iter()
            .enumerate()
            .filter(|(_, item)| needs(item))
            .map(|(at, item)| self.ask_item(at, path.child(&item.name), item.kind))
            .collect();
        let mut answers = stream::iter(questions).buffer_unordered(PARALLEL);
        while let Ok(Some((at, answer))) = timeout_at(asked + PATIENCE, answers.next()).await {
            // An answer that failed leaves the entry as the listing told it; a lookup asks again.
            let (Ok(answer), Some(item)) = (answer, window.get_mut(at)) else { continue };
            item.told = Some(Instant::now());
            item.asked = Some(asked);
            match answer {
                Some(object) => {
                    if object.metadata.as_ref().is_some_and(is_symlink) && item.kind == Kind::File {
                        item.kind = Kind::Symlink;
                    }
                    item.exact = true;
                    item.object = Some(object);
                }
                None if item.kind == Kind::Directory => item.exact = true,
                None => item.gone = true,
            }
        }
        end
    }

    async fn ask_item(
        &self,
        at: usize,
        path: TreePath,
        kind: Kind,
    ) -> (usize, FsResult<Option<Object>>) {
        let answer = match kind {
            Kind::File | Kind::Symlink => self.find_object(&path).await,
            Kind::Directory => self.find_marker(&path).await,
        };
        (at, answer)
    }

    /// What the kernel is told of an item. `undisturbed`: we have changed no name of the directory
    /// since the page was asked for.
    pub(super) fn item_entry(
        &self,
        parent: &Inode,
        item: &Item,
        count: bool,
        undisturbed: bool,
    ) -> Entry {
        let child = self.inodes.child(parent.ino, &item.name);
        // Inodes are made for the kernel only: it alone says when they are not needed any more.
        let may_take_in = child.is_some() || count && undisturbed;
        let known = match (item.told, self.found(item)) {
            (Some(told), Some(found)) if may_take_in => {
                self.take_in(parent, &item.name, found, told)
            }
            _ => child,
        };
        if let Some(inode) = known.as_ref().filter(|_| !count) {
            // It may be new: what had the name before was of another kind.
            self.forget_unused(inode);
        }
        if let Some(inode) = known
            && inode.kind == item.kind
            && (!count || self.inodes.remember(inode.ino))
        {
            let entry = self.entry(&inode);
            let ttl = if item.exact { entry.ttl } else { Duration::ZERO };
            return Entry { ttl, ..entry };
        }
        self.inexact_entry(parent, item, count)
    }

    /// What the bucket has told of an item, when that is all there is to know.
    fn found(&self, item: &Item) -> Option<Found> {
        match (&item.object, item.kind) {
            _ if !item.exact => None,
            (Some(object), Kind::File | Kind::Symlink) => Some(Found::File(object.clone())),
            (None, Kind::File | Kind::Symlink) => None,
            (marker, Kind::Directory) => {
                Some(Found::Directory { marker: marker.clone(), asked: item.asked? })
            }
        }
    }

    /// An entry whose attributes the kernel must ask for again before it believes them.
    fn inexact_entry(&self, parent: &Inode, item: &Item, count: bool) -> Entry {
        let nothing = crate::store::Metadata::new();
        let (size, time) = match &item.object {
            Some(object) => (object.version.size, object.last_modified),
            None => (0, None),
        };
        let time = time.unwrap_or_else(|| parent.state().attr.mtime);
        let attr = Attr::from_object(item.kind, size, time, &nothing, &self.defaults);
        let ino = if count {
            let make = || (attr.clone(), item.object.clone());
            self.inodes.obtain(parent.ino, &item.name, item.kind, true, make).ino
        } else {
            UNKNOWN_INODE
        };
        Entry { ino, kind: item.kind, attr, ttl: Duration::ZERO }
    }
}
