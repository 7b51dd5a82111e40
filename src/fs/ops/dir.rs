//! opendir, readdir: directories page by page. The first entries of a huge directory appear at once
//! and memory holds one page; a failed page is an error, never a short directory.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use tracing::debug;

use crate::fs::attr::{Attr, Kind, is_symlink};
use crate::fs::error::{FsResult, Meaning};
use crate::fs::handle::{DirHandle, Handle, HandleNo};
use crate::fs::inode::{Inode, InodeNo, Listing, Object};
use crate::fs::name::{Name, TreePath};
use crate::fs::ops::lookup::{Entry, Found};
use crate::fs::{FileSystem, control};
use crate::store::{ListPage, ListRequest};

/// So many objects are asked for their metadata ahead of the reader, at once.
const AHEAD: usize = 128;
/// … and so many of these requests are in flight.
const PARALLEL: usize = 32;
/// The largest target of a symbolic link: an object larger than this is none, and need not be asked.
const SYMLINK_BYTES: std::ops::RangeInclusive<u64> = 1..=4095;
/// A listing with more names is not kept as proof of absence.
const LISTING_NAMES: usize = 100_000;

/// One entry for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirItem {
    /// Its name.
    pub name: Box<str>,
    /// Where the stream goes on after it.
    pub next_offset: u64,
    /// What it is. With attributes asked for, one lookup is counted for each entry but `.` and `..`.
    pub entry: Entry,
    /// Whether a lookup was counted.
    pub counted: bool,
}

/// The position and the loaded page of an open directory.
#[derive(Debug)]
pub struct DirStream {
    /// Where each page seen so far begins: the offset of its first entry and the store's cursor.
    pages: Vec<(u64, Cursor)>,
    loaded: Option<Loaded>,
    /// Names of ours that the bucket may not have yet; told at the end, and only there.
    ours: BTreeSet<Name>,
    /// Names gathered while the stream is read once through, as proof of what is absent.
    names: Option<HashMap<Name, Kind>>,
    /// Our own changes of names when the stream began, and when that was.
    names_changed: u64,
    began: Instant,
    /// Objects of the last pages under which a directory of the same name may still follow.
    shadows: Vec<Name>,
}

/// The page in memory.
#[derive(Debug)]
struct Loaded {
    /// Its index in [`DirStream::pages`].
    index: usize,
    items: Vec<Item>,
    /// Our own changes of names before it was asked for.
    names_changed: u64,
}

/// The loaded page, with the offsets of its first entry and of the first one of the next page.
struct Page<'s> {
    first: u64,
    next: u64,
    loaded: &'s mut Loaded,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cursor {
    Start,
    After(String),
    /// The last page: files that are not in the bucket yet.
    Ours,
    End,
}

#[derive(Debug, Clone)]
struct Item {
    name: Name,
    kind: Kind,
    /// From the listing, or remembered with metadata.
    object: Option<Object>,
    /// Attributes are as exact as HEAD tells.
    exact: bool,
    /// When the bucket told; `None` for what an inode of ours knows by itself.
    told: Option<Instant>,
    /// It vanished between listing and HEAD.
    gone: bool,
    /// A directory of the same name may follow on the next page, so it is not believed yet.
    uncertain: bool,
}

impl Item {
    fn new(name: Name, kind: Kind, object: Option<Object>, exact: bool) -> Self {
        let told = object.as_ref().map(|object| object.asked);
        Self { name, kind, object, exact, told, gone: false, uncertain: false }
    }
}

/// `.` and `..`.
const DOTS: u64 = 2;

impl FileSystem {
    /// Opens a directory. Makes no request.
    pub fn opendir(&self, ino: InodeNo) -> FsResult<HandleNo> {
        if let Some(handle) = control::opendir(self, ino) {
            return Ok(handle);
        }
        let inode = self.directory(ino)?;
        let pin = self.inodes.pin(&inode);
        let stream = tokio::sync::Mutex::new(self.new_stream(&inode));
        Ok(self.handles.add(Handle::Directory(DirHandle { pin, stream })))
    }

    fn new_stream(&self, inode: &Inode) -> DirStream {
        let ours = self
            .inodes
            .children(inode.ino)
            .into_iter()
            .filter(|(_, child)| {
                let state = child.state();
                state.object.is_none() && state.writer.is_some()
            })
            .map(|(name, _)| name)
            .collect();
        DirStream {
            pages: vec![(DOTS, Cursor::Start)],
            loaded: None,
            ours,
            names: Some(HashMap::new()),
            names_changed: inode.state().names_changed,
            began: Instant::now(),
            shadows: Vec::new(),
        }
    }

    /// Closes a directory.
    pub fn releasedir(&self, handle: HandleNo) {
        self.handles.remove(handle);
    }

    /// Entries from `offset` on, some of them; empty at the end. With `attributes` each entry has
    /// exact attributes and its lookup is counted: one that is not passed on to the kernel must be
    /// [forgotten](Self::forget).
    pub async fn readdir(
        &self,
        handle: HandleNo,
        offset: u64,
        attributes: bool,
    ) -> FsResult<Vec<DirItem>> {
        let handle = self.handles.get(handle)?;
        if let Handle::Control(_) = &*handle {
            return Ok(control::readdir(self, offset));
        }
        let directory = handle.directory()?;
        let inode = directory.pin.inode();
        let mut stream = directory.stream.lock().await;
        if offset == 0 {
            *stream = self.new_stream(inode);
        }
        let mut items = Vec::new();
        let parent = self.inodes.place(inode.ino).map_or(InodeNo::ROOT, |(parent, _)| parent);
        for (index, (name, ino)) in [(".", inode.ino), ("..", parent)].into_iter().enumerate() {
            let index = index as u64;
            if offset <= index {
                let attr = inode.attr();
                let entry = Entry { ino, kind: Kind::Directory, attr, ttl: Duration::ZERO };
                let next_offset = index + 1;
                items.push(DirItem { name: name.into(), next_offset, entry, counted: false });
            }
        }
        let mut offset = offset.max(DOTS);
        let dots = items.len();
        // An answer without entries would be the end of the directory to the kernel.
        while items.len() == dots {
            let Some(page) = self.page_at(inode, &mut stream, offset).await? else { break };
            let path = self.inodes.path(inode.ino).ok_or(Meaning::NotFound)?;
            let skip = usize::try_from(offset - page.first).unwrap_or(usize::MAX);
            let end = self.make_exact(&path, &mut page.loaded.items, skip, attributes).await;
            // A page that was loaded again may have become longer; the rest is told by the next.
            let most = usize::try_from(page.next - page.first).unwrap_or(usize::MAX);
            let undisturbed = inode.state().names_changed == page.loaded.names_changed;
            let told = page.loaded.items.iter().enumerate().take(end.min(most)).skip(skip);
            for (position, item) in told.filter(|(_, item)| !item.gone) {
                let next_offset = page.first + position as u64 + 1;
                let entry = self.item_entry(inode, item, attributes, undisturbed);
                let name = item.name.as_str().into();
                items.push(DirItem { name, next_offset, entry, counted: attributes });
            }
            let done = end >= page.loaded.items.len().min(most);
            offset = if done { page.next } else { page.first + end as u64 };
        }
        Ok(items)
    }

    /// The page with the entry at `offset`, loaded; `None` past the end.
    async fn page_at<'s>(
        &self,
        inode: &Inode,
        stream: &'s mut DirStream,
        offset: u64,
    ) -> FsResult<Option<Page<'s>>> {
        loop {
            let index = stream.pages.iter().rposition(|(first, _)| *first <= offset).unwrap_or(0);
            let (first, cursor) = stream.pages[index].clone();
            if cursor == Cursor::End {
                return Ok(None);
            }
            if stream.loaded.as_ref().is_none_or(|loaded| loaded.index != index) {
                self.load(inode, stream, index, first, cursor).await?;
            }
            // After the first loading it is known where the next page begins.
            let Some((next, _)) = stream.pages.get(index + 1) else { return Ok(None) };
            if offset < *next {
                let next = *next;
                return Ok(stream.loaded.as_mut().map(|loaded| Page { first, next, loaded }));
            }
        }
    }

    async fn load(
        &self,
        inode: &Inode,
        stream: &mut DirStream,
        index: usize,
        first: u64,
        cursor: Cursor,
    ) -> FsResult<()> {
        let names_changed = inode.state().names_changed;
        let first_time = index + 1 == stream.pages.len();
        let (items, next) = match cursor {
            Cursor::Ours => {
                let items = self.own_items(inode, &stream.ours);
                if first_time {
                    self.keep_listing(inode, stream);
                }
                (items, Cursor::End)
            }
            Cursor::Start => self.list_page(inode, stream, None, first_time).await?,
            Cursor::After(after) => self.list_page(inode, stream, Some(after), first_time).await?,
            Cursor::End => (Vec::new(), Cursor::End),
        };
        if first_time {
            stream.pages.push((first + items.len() as u64, next));
        }
        stream.loaded = Some(Loaded { index, items, names_changed });
        Ok(())
    }

    async fn list_page(
        &self,
        inode: &Inode,
        stream: &mut DirStream,
        after: Option<String>,
        first_time: bool,
    ) -> FsResult<(Vec<Item>, Cursor)> {
        let path = self.inodes.path(inode.ino).ok_or(Meaning::NotFound)?;
        let prefix = path.key_prefix();
        let request = ListRequest {
            prefix: prefix.clone(),
            by_directory: true,
            after: after.clone(),
            max_entries: 0,
        };
        let asked = Instant::now();
        let page = self.store.list(&request).await?;
        if page.next.is_some() && page.next == after {
            let detail = "a listing does not move on: the service repeats its cursor";
            return Err(crate::fs::FsError::with_detail(Meaning::Io, detail));
        }
        let next = page.next.clone().map_or(Cursor::Ours, Cursor::After);
        let items = self.items_of(inode, stream, &prefix, (page, asked), first_time);
        Ok((items, next))
    }

    fn items_of(
        &self,
        inode: &Inode,
        stream: &mut DirStream,
        prefix: &str,
        (page, asked): (ListPage, Instant),
        first_time: bool,
    ) -> Vec<Item> {
        let more = page.next.is_some();
        let objects =
            page.objects.into_iter().map(|object| (object.key.as_str().to_owned(), Some(object)));
        let prefixes = page.prefixes.into_iter().map(|prefix| (prefix, None));
        let mut all: Vec<_> = objects.chain(prefixes).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut items = Vec::with_capacity(all.len());
        for (text, object) in all {
            let Some(rest) = text.strip_prefix(prefix) else { continue };
            if rest.is_empty() {
                inode.state().marker = Some(true);
                continue;
            }
            let (component, kind) = match rest.strip_suffix('/') {
                Some(component) => (component, Kind::Directory),
                None => (rest, Kind::File),
            };
            let name = Name::from_key_component(component);
            let Some(name) = name.filter(|name| !control::is_name(inode.ino, name)) else {
                self.hidden_keys.fetch_add(1, Ordering::Relaxed);
                debug!(key = text, "no file can have this name; the key is not shown");
                continue;
            };
            stream.shadows.retain(|shadow| name.as_str().starts_with(shadow.as_str()));
            if kind == Kind::Directory && stream.shadows.contains(&name) {
                if let Some(names) = &mut stream.names {
                    names.insert(name.clone(), kind);
                }
                // The object of the same name stands on this page, and the directory takes its
                // place; or it was told with an earlier one, and a lookup finds the directory.
                let hidden = items.iter_mut().rev().find(|item: &&mut Item| item.name == name);
                if let Some(hidden) = hidden {
                    *hidden = self.item_of(inode, name, kind, &text, None);
                }
                continue;
            }
            if kind == Kind::File {
                stream.shadows.push(name.clone());
            }
            if stream.ours.contains(&name) {
                continue;
            }
            let listed = object.map(|object| Object::from_listing(&object, asked));
            let item = self.item_of(inode, name, kind, &text, listed);
            if first_time && let Some(names) = &mut stream.names {
                names.insert(item.name.clone(), item.kind);
                if names.len() > LISTING_NAMES {
                    stream.names = None;
                }
            }
            items.push(item);
        }
        if more {
            for item in items.iter_mut().filter(|item| stream.shadows.contains(&item.name)) {
                (item.exact, item.uncertain) = (false, true);
            }
        }
        items
    }

    /// An entry with what is known of it without a request.
    fn item_of(
        &self,
        inode: &Inode,
        name: Name,
        kind: Kind,
        key: &str,
        listed: Option<Object>,
    ) -> Item {
        let child = self.inodes.child(inode.ino, &name);
        if let Some(child) = &child
            && child.state().is_ours()
        {
            return Item::new(name, child.kind, None, true);
        }
        if let Some(listed) = listed {
            let ttl = self.ttl();
            let known = child
                .and_then(|child| child.state().object.as_ref()?.still_holds(&listed, ttl))
                .or_else(|| self.known.recall(key, &listed, ttl));
            let exact = known.is_some();
            let object = known.unwrap_or(listed);
            let link = object.metadata.as_ref().is_some_and(is_symlink);
            let kind = if link { Kind::Symlink } else { kind };
            return Item::new(name, kind, Some(object), exact);
        }
        let exact = child
            .is_some_and(|child| child.kind == kind && child.state().is_fresh(kind, self.ttl()));
        Item::new(name, kind, None, exact)
    }

    fn own_items(&self, inode: &Inode, ours: &BTreeSet<Name>) -> Vec<Item> {
        let children = ours.iter().filter_map(|name| {
            let child = self.inodes.child(inode.ino, name)?;
            Some(Item::new(name.clone(), child.kind, None, true))
        });
        children.collect()
    }

    /// A stream that was read once through, with no change of ours meanwhile, proves what is absent.
    fn keep_listing(&self, inode: &Inode, stream: &mut DirStream) {
        let Some(mut names) = stream.names.take() else { return };
        let mut state = inode.state();
        if state.names_changed == stream.names_changed {
            names.extend(stream.ours.iter().map(|name| (name.clone(), Kind::File)));
            state.listing = Some(Listing { at: stream.began, names });
        }
    }

    /// Asks for the metadata of the entries from `skip` on that need it: all when attributes are
    /// wanted, else those that could be symbolic links, because the kind of an entry must be right.
    /// Says before which entry it stopped: those up to there can be told.
    async fn make_exact(
        &self,
        path: &TreePath,
        page: &mut [Item],
        skip: usize,
        attributes: bool,
    ) -> usize {
        let end = page.len().min(skip.saturating_add(AHEAD));
        let needs = |item: &Item| {
            let size = item.object.as_ref().map_or(0, |object| object.version.size);
            !(item.exact || item.gone || item.uncertain)
                && (attributes || (item.kind == Kind::File && SYMLINK_BYTES.contains(&size)))
        };
        // Ask only when the reader arrives at something unknown, then well ahead of it.
        let Some(window) = page.get_mut(skip..end) else { return end };
        match window.iter().position(needs) {
            None => return end,
            Some(known) if known >= AHEAD / 4 => return skip + known,
            Some(_) => {}
        }
        let questions: Vec<_> = window
            .iter()
            .enumerate()
            .filter(|(_, item)| needs(item))
            .map(|(at, item)| self.ask_item(at, path.child(&item.name), item.kind))
            .collect();
        let answers: Vec<_> = stream::iter(questions).buffer_unordered(PARALLEL).collect().await;
        for (at, answer) in answers {
            // An answer that failed leaves the entry as the listing told it; a lookup asks again.
            let (Ok(answer), Some(item)) = (answer, window.get_mut(at)) else { continue };
            item.told = Some(Instant::now());
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
    fn item_entry(&self, parent: &Inode, item: &Item, count: bool, undisturbed: bool) -> Entry {
        let child = self.inodes.child(parent.ino, &item.name);
        // Inodes are made for the kernel only: it alone says when they are not needed any more.
        let may_take_in = child.is_some() || count && undisturbed;
        let known = match (item.told, self.found(item)) {
            (Some(told), Some(found)) if may_take_in => {
                self.take_in(parent, &item.name, found, told)
            }
            _ => child,
        };
        if let Some(inode) = known
            && inode.kind == item.kind
            && (!count || self.inodes.remember(inode.ino))
        {
            let ttl = if item.exact { self.ttl() } else { Duration::ZERO };
            return Entry { ttl, ..self.entry(&inode) };
        }
        self.inexact_entry(parent, item, count)
    }

    /// What the bucket has told of an item, when that is all there is to know.
    fn found(&self, item: &Item) -> Option<Found> {
        match (&item.object, item.kind) {
            _ if !item.exact => None,
            (Some(object), Kind::File | Kind::Symlink) => Some(Found::File(object.clone())),
            (None, Kind::File | Kind::Symlink) => None,
            (marker, Kind::Directory) => Some(Found::Directory { marker: marker.clone() }),
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

/// The number told by plain readdir for an entry that has no inode yet, as libfuse does: `d_ino` must
/// not be 0, or the C library skips the entry.
const UNKNOWN_INODE: InodeNo = InodeNo(0xffff_ffff);

impl FileSystem {
    /// For handles of the control directory.
    pub(in crate::fs) fn add_control_handle(&self, content: bytes::Bytes) -> HandleNo {
        self.handles.add(Handle::Control(content))
    }

    /// The names of a directory as the kernel would be told, for tests and tools without a kernel.
    pub async fn list_names(self: &Arc<Self>, ino: InodeNo) -> FsResult<Vec<Box<str>>> {
        let handle = self.opendir(ino)?;
        let mut names = Vec::new();
        let mut offset = 0;
        let listed = loop {
            match self.readdir(handle, offset, false).await {
                Ok(items) => match items.last() {
                    None => break Ok(()),
                    Some(last) => {
                        offset = last.next_offset;
                        names.extend(items.into_iter().map(|item| item.name));
                    }
                },
                Err(error) => break Err(error),
            }
        };
        self.releasedir(handle);
        listed.map(|()| names.into_iter().filter(|name| !matches!(&**name, "." | "..")).collect())
    }
}
