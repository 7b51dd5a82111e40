//! The stream of one open directory: where its pages begin, and which one is in memory.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use crate::fs::FileSystem;
use crate::fs::attr::Kind;
use crate::fs::error::FsResult;
use crate::fs::inode::{Inode, Listing};
use crate::fs::name::Name;
use crate::fs::ops::dir::DOTS;
use crate::fs::ops::dir::item::Item;

/// The position and the loaded page of an open directory.
#[derive(Debug)]
pub struct DirStream {
    /// Each page seen so far.
    pages: Vec<Begin>,
    loaded: Option<Loaded>,
    /// Names of ours that the bucket may not have yet; told at the end, and only there.
    pub(super) ours: BTreeSet<Name>,
    /// Names gathered while the stream is read once through, as proof of what is absent.
    pub(super) names: Option<HashMap<Name, Kind>>,
    /// Our own changes of names when the stream began, and when that was.
    names_changed: u64,
    began: Instant,
    /// Objects of the last pages under which a directory of the same name may still follow.
    pub(super) shadows: Vec<Name>,
}

/// The page in memory.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Its index in [`DirStream::pages`].
    index: usize,
    pub(super) items: Vec<Item>,
    /// Our own changes of names before it was asked for.
    pub(super) names_changed: u64,
}

/// Where a page begins.
#[derive(Debug, Clone)]
struct Begin {
    /// The offset of its first entry.
    offset: u64,
    /// The store's.
    cursor: Cursor,
    /// Entries of the page before which are told with this one: only it shows what they are.
    carried: Vec<Item>,
    /// Our own changes of names before that page was asked for.
    names_changed: u64,
    /// [`DirStream::shadows`] at that place.
    shadows: Vec<Name>,
}

impl Begin {
    const START: Self = Self {
        offset: DOTS,
        cursor: Cursor::Start,
        carried: Vec::new(),
        names_changed: 0,
        shadows: Vec::new(),
    };
}

/// The loaded page, with the offsets of its first entry and of the first one of the next page.
pub(super) struct Page<'s> {
    pub(super) first: u64,
    pub(super) next: u64,
    pub(super) loaded: &'s mut Loaded,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cursor {
    Start,
    After(String),
    /// The last page: files that are not in the bucket yet.
    Ours,
    End,
}

impl FileSystem {
    pub(super) fn new_stream(&self, inode: &Inode) -> DirStream {
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
            pages: vec![Begin::START],
            loaded: None,
            ours,
            names: Some(HashMap::new()),
            names_changed: inode.state().names_changed,
            began: Instant::now(),
            shadows: Vec::new(),
        }
    }

    /// Reads the names of a directory, for lookups to know what is there and what is not; gives up
    /// on one that is larger than a few pages. No object is asked for its metadata.
    pub(in crate::fs) async fn learn_names(&self, inode: &Inode) -> FsResult<()> {
        const PAGES: usize = 4;
        let mut stream = self.new_stream(inode);
        let mut offset = DOTS;
        while stream.pages.len() <= PAGES + 1 {
            match self.page_at(inode, &mut stream, offset).await? {
                Some(page) => offset = page.next,
                None => break,
            }
        }
        Ok(())
    }

    /// The page with the entry at `offset`, loaded; `None` past the end.
    pub(super) async fn page_at<'s>(
        &self,
        inode: &Inode,
        stream: &'s mut DirStream,
        offset: u64,
    ) -> FsResult<Option<Page<'s>>> {
        loop {
            let index = stream.pages.iter().rposition(|page| page.offset <= offset).unwrap_or(0);
            let begin = &stream.pages[index];
            let first = begin.offset;
            if begin.cursor == Cursor::End {
                return Ok(None);
            }
            if stream.loaded.as_ref().is_none_or(|loaded| loaded.index != index) {
                let begin = begin.clone();
                self.load(inode, stream, index, begin).await?;
            }
            // After the first loading it is known where the next page begins.
            let Some(next) = stream.pages.get(index + 1) else { return Ok(None) };
            if offset < next.offset {
                let next = next.offset;
                return Ok(stream.loaded.as_mut().map(|loaded| Page { first, next, loaded }));
            }
        }
    }

    async fn load(
        &self,
        inode: &Inode,
        stream: &mut DirStream,
        index: usize,
        mut begin: Begin,
    ) -> FsResult<()> {
        let names_changed = inode.state().names_changed;
        let first_time = index + 1 == stream.pages.len();
        if begin.names_changed != names_changed {
            // One of these may have gone since.
            begin.carried.iter_mut().for_each(|item| item.exact = false);
        }
        let told = (begin.carried, first_time);
        stream.shadows = begin.shadows;
        let (items, next, carried) = match begin.cursor {
            Cursor::Ours => {
                if first_time {
                    self.add_own_directories(inode, stream);
                }
                let items = self.own_items(inode, &stream.ours);
                if first_time {
                    self.keep_listing(inode, stream);
                }
                (items, Cursor::End, Vec::new())
            }
            Cursor::Start => self.list_page(inode, stream, None, told).await?,
            Cursor::After(after) => self.list_page(inode, stream, Some(after), told).await?,
            Cursor::End => (Vec::new(), Cursor::End, Vec::new()),
        };
        if first_time {
            let offset = begin.offset + items.len() as u64;
            let shadows = stream.shadows.clone();
            stream.pages.push(Begin { offset, cursor: next, carried, names_changed, shadows });
        }
        stream.loaded = Some(Loaded { index, items, names_changed });
        Ok(())
    }

    /// A directory that others have emptied and removed is still there for files of ours that are not
    /// stored yet. Only those that no page has told need a closer look.
    fn add_own_directories(&self, inode: &Inode, stream: &mut DirStream) {
        let Some(told) = &stream.names else { return };
        let children = self.inodes.children(inode.ino).into_iter();
        let silent: Vec<_> = children
            .filter(|(name, child)| {
                !told.contains_key(name)
                    && child.kind == Kind::Directory
                    && self.has_unpublished(child)
            })
            .collect();
        for (name, child) in silent {
            child.state().lost_marker(stream.began, &self.defaults);
            stream.ours.insert(name);
        }
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
            let kind =
                |name| self.inodes.child(inode.ino, name).map_or(Kind::File, |child| child.kind);
            names.extend(stream.ours.iter().map(|name| (name.clone(), kind(name))));
            state.listing = Some(Listing { at: stream.began, names });
            state.names_asked = 0;
        }
    }
}
