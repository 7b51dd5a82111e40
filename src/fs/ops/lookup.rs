//! Names to inodes, and what we believe of them: lookup, getattr, forget.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::fs::attr::{Attr, Kind, is_symlink};
use crate::fs::control::uploads;
use crate::fs::error::{FsResult, Meaning};
use crate::fs::inode::{Inode, InodeNo, Object};
use crate::fs::name::{Name, TreePath};
use crate::fs::{FileSystem, control};
use crate::store::{ErrorKind, Key, ListRequest};

/// Changes of our own that overtake an answer make it worthless; so often we ask again.
const ROUNDS: usize = 4;

/// What the kernel is told of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number.
    pub ino: InodeNo,
    /// Kind.
    pub kind: Kind,
    /// Attributes.
    pub attr: Attr,
    /// How long the kernel may believe name and attributes.
    pub ttl: Duration,
}

/// What the bucket has at a path.
#[derive(Debug)]
pub(in crate::fs) enum Found {
    /// An object.
    File(Object),
    /// A marker object, or keys below; asked for then.
    Directory { marker: Option<Object>, asked: Instant },
    /// Nothing; asked for then.
    Absent { asked: Instant },
}

impl FileSystem {
    /// [`lookup`](Self::lookup), when memory has the answer.
    pub fn try_lookup(&self, parent: InodeNo, name: &OsStr) -> Option<FsResult<Entry>> {
        if let Some(entry) = control::lookup(self, parent, name) {
            return Some(entry);
        }
        if uploads::is_node(parent) {
            return None;
        }
        let answer = (|| {
            let parent = self.directory(parent)?;
            let known = self.recall_name(&parent, name)?;
            Ok(known.and_then(|name| name.map_or(Some(None), |name| self.recall(&parent, &name))))
        })();
        match answer {
            Ok(None) => None,
            Ok(Some(found)) => self.counted(found).transpose(),
            Err(error) => Some(Err(error)),
        }
    }

    /// Finds a name in a directory and counts one lookup, to be paid back by
    /// [`forget`](Self::forget). An absent name is [`Meaning::NotFound`].
    pub async fn lookup(&self, parent: InodeNo, name: &OsStr) -> FsResult<Entry> {
        if uploads::is_node(parent) {
            return uploads::lookup(self, parent, name).await;
        }
        let parent = self.directory(parent)?;
        let name = self.name(&parent, name).await?.ok_or(Meaning::NotFound)?;
        for _ in 0..ROUNDS {
            let found = self.resolve(&parent, &name).await?;
            if let Some(entry) = self.counted(found)? {
                return Ok(entry);
            }
        }
        Err(Meaning::Stale.into())
    }

    /// An entry with one lookup counted; `None` when the kernel forgot the inode just now.
    fn counted(&self, found: Option<Arc<Inode>>) -> FsResult<Option<Entry>> {
        let inode = found.ok_or(Meaning::NotFound)?;
        Ok(self.inodes.remember(inode.ino).then(|| self.entry(&inode)))
    }

    /// An entry for the kernel; the caller counts the lookup. What was written and is not published may
    /// never be, so the kernel asks for the size of such a file each time.
    pub(in crate::fs) fn entry(&self, inode: &Inode) -> Entry {
        let state = inode.state();
        let dirty = state.writer.as_ref().is_some_and(|writer| writer.is_dirty());
        let ttl = if dirty { Duration::ZERO } else { self.ttl() };
        Entry { ino: inode.ino, kind: inode.kind, attr: state.current_attr(), ttl }
    }

    /// Pays lookups back.
    pub fn forget(&self, ino: InodeNo, count: u64) {
        if uploads::is_node(ino) {
            return self.upload_nodes.forget(ino, count);
        }
        self.inodes.forget(ino, count);
    }

    /// An inode that was met on the way and is not told to the kernel: nobody would ever forget it.
    pub(in crate::fs) fn forget_unused(&self, inode: &Inode) {
        self.inodes.forget(inode.ino, 0);
    }

    /// [`getattr`](Self::getattr), when memory has the answer.
    pub fn try_getattr(&self, ino: InodeNo) -> Option<FsResult<Entry>> {
        if let Some(entry) = control::entry(self, ino) {
            return Some(Ok(entry));
        }
        if uploads::is_node(ino) {
            return uploads::try_getattr(self, ino);
        }
        let inode = match self.inode(ino) {
            Ok(inode) => inode,
            Err(error) => return Some(Err(error)),
        };
        let fresh = ino == InodeNo::ROOT || inode.state().is_fresh(inode.kind, self.ttl());
        fresh.then(|| Ok(self.entry(&inode)))
    }

    /// Attributes of an inode. One whose object is gone is [`Meaning::NotFound`]… unless it is open,
    /// then the last known attributes are told, as for an unlinked file on a local disk.
    pub async fn getattr(&self, ino: InodeNo) -> FsResult<Entry> {
        if uploads::is_node(ino) {
            return uploads::getattr(self, ino).await;
        }
        let inode = self.inode(ino)?;
        self.revalidate(&inode, self.ttl()).await?;
        Ok(self.entry(&inode))
    }

    /// Asks the bucket about an inode whose last answer is older than `ttl`.
    pub(in crate::fs) async fn revalidate(&self, inode: &Inode, ttl: Duration) -> FsResult<()> {
        if inode.ino == InodeNo::ROOT || inode.state().is_fresh(inode.kind, ttl) {
            return Ok(());
        }
        let Some((parent, name)) = self.inodes.place(inode.ino) else {
            return Err(Meaning::Stale.into());
        };
        let parent = self.directory(parent)?;
        match self.ask(&parent, &name, Some(inode.kind)).await? {
            Some(now) if now.ino == inode.ino => Ok(()),
            Some(now) => {
                self.forget_unused(&now);
                Err(Meaning::Stale.into())
            }
            None => Err(Meaning::NotFound.into()),
        }
    }

    /// The inode of a name, from memory or the bucket; no lookup is counted.
    pub(in crate::fs) async fn resolve(
        &self,
        parent: &Inode,
        name: &Name,
    ) -> FsResult<Option<Arc<Inode>>> {
        match self.recall(parent, name) {
            Some(found) => Ok(found),
            None => {
                let hint = match self.listed_kind(parent, name) {
                    Some(kind) => Some(kind),
                    None if self.is_worth_listing(parent) => {
                        self.learn_names(parent).await?;
                        if let Some(found) = self.recall(parent, name) {
                            return Ok(found);
                        }
                        self.listed_kind(parent, name)
                    }
                    None => self.inodes.child(parent.ino, name).map(|child| child.kind),
                };
                self.ask(parent, name, hint).await
            }
        }
    }

    /// Whether so many names of a directory were asked for one by one, at two requests each, that
    /// its listing is the cheaper way to go on (`rsync` asks for every name and lists nothing).
    fn is_worth_listing(&self, parent: &Inode) -> bool {
        /// At the 8th name, and if the directory was too large then, at the 64th, 512th …
        const NAMES: u32 = 8;
        let mut state = parent.state();
        if state.listing.as_ref().is_some_and(|listing| listing.at.elapsed() < self.ttl()) {
            return false;
        }
        state.names_asked = state.names_asked.saturating_add(1);
        let asked = state.names_asked;
        asked >= NAMES
            && asked.is_power_of_two()
            && asked.trailing_zeros().is_multiple_of(NAMES.trailing_zeros())
    }

    /// What memory says of a name: `None` when it does not know.
    pub(in crate::fs) fn recall(&self, parent: &Inode, name: &Name) -> Option<Option<Arc<Inode>>> {
        if let Some(child) = self.inodes.child(parent.ino, name) {
            let fresh = child.state().is_fresh(child.kind, self.ttl());
            return fresh.then_some(Some(child));
        }
        let state = parent.state();
        let listing = state.listing.as_ref().filter(|listing| listing.at.elapsed() < self.ttl())?;
        (!listing.names.contains_key(name)).then_some(None)
    }

    /// What a complete and fresh listing says a name is.
    fn listed_kind(&self, parent: &Inode, name: &Name) -> Option<Kind> {
        let state = parent.state();
        let listing = state.listing.as_ref().filter(|listing| listing.at.elapsed() < self.ttl())?;
        listing.names.get(name).copied()
    }

    /// Asks the bucket what a name is and takes the answer in.
    ///
    /// `hint` is the kind it had; only that is asked for first, and the other when it is gone.
    async fn ask(
        &self,
        parent: &Inode,
        name: &Name,
        hint: Option<Kind>,
    ) -> FsResult<Option<Arc<Inode>>> {
        let mut round = 0;
        loop {
            round += 1;
            let before = parent.state().names_changed;
            let directory = self.inodes.path(parent.ino).ok_or(Meaning::NotFound)?;
            let commits = self.inodes.child(parent.ino, name).map(|child| child.state().commits);
            let found = self.find(&directory.child(name), hint).await?;
            let now = self.inodes.child(parent.ino, name).map(|child| child.state().commits);
            if round >= ROUNDS || (before == parent.state().names_changed && commits == now) {
                return Ok(self.take_in(parent, name, found, Instant::now()));
            }
        }
    }

    /// Records what the bucket has under a name, told at `told`.
    pub(in crate::fs) fn take_in(
        &self,
        parent: &Inode,
        name: &Name,
        found: Found,
        told: Instant,
    ) -> Option<Arc<Inode>> {
        let child = self.inodes.child(parent.ino, name);
        if let Some(child) = &child
            && child.state().is_ours()
        {
            return Some(Arc::clone(child));
        }
        // What only we know below a directory keeps it one, whatever others do with its name.
        if let Found::File(Object { asked, .. }) | Found::Absent { asked } = found
            && let Some(directory) = child.clone().filter(|child| self.has_unpublished(child))
        {
            let mut state = directory.state();
            state.lost_marker(asked, &self.defaults);
            state.checked = Some(told);
            drop(state);
            return Some(directory);
        }
        match found {
            Found::File(object) => {
                let kind = match &object.metadata {
                    Some(metadata) if is_symlink(metadata) => Kind::Symlink,
                    _ => Kind::File,
                };
                let replaced = |child: &Arc<Inode>| {
                    let state = child.state();
                    let newer = state.checked.is_none_or(|checked| checked <= object.asked);
                    newer && state.object.as_ref().is_some_and(|o| o.version != object.version)
                };
                // The kernel keeps the target of a link for as long as it knows the inode.
                if kind == Kind::Symlink && child.as_ref().is_some_and(replaced) {
                    self.inodes.detach(parent.ino, name);
                }
                let inode = self.obtain(parent, name, kind);
                inode.state().confirm(kind, object, told, &self.defaults, self.ttl());
                Some(inode)
            }
            Found::Directory { marker, asked } => {
                let inode = self.obtain(parent, name, Kind::Directory);
                let mut state = inode.state();
                state.marker = Some(marker.is_some());
                match marker {
                    Some(object) => {
                        state.confirm(Kind::Directory, object, told, &self.defaults, self.ttl());
                    }
                    None => {
                        state.lost_marker(asked, &self.defaults);
                        state.checked = state.checked.max(Some(told));
                    }
                }
                state.attr.size = 0;
                drop(state);
                Some(inode)
            }
            Found::Absent { .. } => {
                self.inodes.detach(parent.ino, name);
                None
            }
        }
    }

    /// Whether there are files below a directory that only we know.
    pub(in crate::fs) fn has_unpublished(&self, inode: &Inode) -> bool {
        inode.kind == Kind::Directory
            && self.inodes.descendants(inode.ino).iter().any(|below| below.state().writer.is_some())
    }

    fn obtain(&self, parent: &Inode, name: &Name, kind: Kind) -> Arc<Inode> {
        self.inodes.obtain(parent.ino, name, kind, false, || {
            let mode = match kind {
                Kind::File => self.defaults.file_mode,
                Kind::Directory => self.defaults.dir_mode,
                Kind::Symlink => 0o777,
            };
            (Attr::new(kind, mode, self.defaults.uid, self.defaults.gid, self.clock.now()), None)
        })
    }

    /// What the bucket has at a path. A directory hides an object of the same name: more can be
    /// reached that way.
    async fn find(&self, path: &TreePath, hint: Option<Kind>) -> FsResult<Found> {
        let absent = Found::Absent { asked: Instant::now() };
        match hint {
            Some(Kind::File | Kind::Symlink) => {
                if let Some(object) = self.find_object(path).await? {
                    return Ok(Found::File(object));
                }
                self.find_directory(path).await.map(|found| found.unwrap_or(absent))
            }
            Some(Kind::Directory) => {
                if let Some(found) = self.find_directory(path).await? {
                    return Ok(found);
                }
                let object = self.find_object(path).await?;
                Ok(object.map_or(absent, Found::File))
            }
            None => {
                let (object, directory) =
                    tokio::join!(self.find_object(path), self.find_directory(path));
                match (object, directory?) {
                    // Also where no request can say the key of the object, as with `.`.
                    (Err(error), Some(directory)) if error.meaning() == Meaning::NameTooLong => {
                        Ok(directory)
                    }
                    (Err(error), _) => Err(error),
                    (Ok(_), Some(directory)) => Ok(directory),
                    (Ok(Some(object)), None) => Ok(Found::File(object)),
                    (Ok(None), None) => Ok(absent),
                }
            }
        }
    }

    /// The object of a file, if there is one. A marker is a file only where it holds bytes.
    pub(in crate::fs) async fn find_object(&self, path: &TreePath) -> FsResult<Option<Object>> {
        if path.as_str().is_empty() {
            return Ok(None);
        }
        let key = path.file_key(self.store.limits())?;
        let found = self.ask_object(&key).await?;
        Ok(found.filter(|object| object.version.size > 0 || !path.is_marker()))
    }

    async fn find_directory(&self, path: &TreePath) -> FsResult<Option<Found>> {
        let prefix = path.key_prefix();
        let mut request =
            ListRequest { prefix: prefix.clone(), max_entries: 1, ..ListRequest::default() };
        let asked = Instant::now();
        let first = loop {
            let page = self.store.list(&request).await?;
            match (page.objects.into_iter().next(), page.next) {
                (Some(object), _) => break Some(object),
                (None, None) => break None,
                // A page may be empty and still not be the last.
                (None, next) => request.after = next,
            }
        };
        let Some(first) = first else { return Ok(None) };
        if first.key.as_str() != prefix {
            return Ok(Some(Found::Directory { marker: None, asked }));
        }
        let listed = Object::from_listing(&first, asked);
        if let Some(known) = self.known.recall(&prefix, &listed, self.ttl()) {
            return Ok(Some(Found::Directory { marker: Some(known), asked }));
        }
        Ok(Some(Found::Directory { marker: self.find_marker(path).await?, asked }))
    }

    /// The marker object of a directory, if it has one.
    pub(in crate::fs) async fn find_marker(&self, path: &TreePath) -> FsResult<Option<Object>> {
        let key = path.marker_key(self.store.limits())?;
        self.ask_object(&key).await
    }

    /// Asks for one object.
    pub(in crate::fs) async fn ask_object(&self, key: &Key) -> FsResult<Option<Object>> {
        let asked = Instant::now();
        match self.store.head(key).await {
            Ok(info) => {
                let object = Object::from_info(info, asked);
                self.known.put(key.as_str(), &object);
                Ok(Some(object))
            }
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.known.forget(key.as_str());
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The inode of a number the kernel sent.
    pub(in crate::fs) fn inode(&self, ino: InodeNo) -> FsResult<Arc<Inode>> {
        self.inodes.get(ino).ok_or_else(|| Meaning::Stale.into())
    }

    /// The inode of a directory.
    pub(in crate::fs) fn directory(&self, ino: InodeNo) -> FsResult<Arc<Inode>> {
        if control::is_control(ino) {
            return Err(Meaning::NotPermitted.into());
        }
        let inode = self.inode(ino)?;
        match inode.kind {
            Kind::Directory => Ok(inode),
            Kind::File | Kind::Symlink => Err(Meaning::NotDirectory.into()),
        }
    }
}
