//! Which element of a key a name from the kernel stands for. Nearly always the name says it alone; one that
//! was cut (`shown.rs`) is compared with the names that are known, and with the keys of the bucket.

use std::ffi::OsStr;

use crate::fs::FileSystem;
use crate::fs::error::{FsResult, Meaning};
use crate::fs::inode::Inode;
use crate::fs::name::{Given, Name};
use crate::store::ListRequest;

impl FileSystem {
    /// The element that a name stands for; `Some(None)` when nothing has that name and nothing can get it,
    /// `None` when only the bucket can tell.
    pub(in crate::fs) fn recall_name(
        &self,
        parent: &Inode,
        name: &OsStr,
    ) -> FsResult<Option<Option<Name>>> {
        match Given::from_kernel(parent.ino, name)? {
            Given::Name(name) => Ok(Some(Some(name))),
            Given::Nothing => Ok(Some(None)),
            Given::Cut(_) => {
                let is_this = |known: &Name| name == OsStr::new(&*known.shown(parent.ino));
                let children = self.inodes.children(parent.ino);
                if let Some((known, _)) = children.into_iter().find(|(known, _)| is_this(known)) {
                    return Ok(Some(Some(known)));
                }
                let state = parent.state();
                let listing = state.listing.as_ref();
                let fresh = listing.filter(|listing| listing.at.elapsed() < self.ttl());
                Ok(fresh.map(|listing| listing.names.keys().find(|known| is_this(known)).cloned()))
            }
        }
    }

    /// The element that a name stands for; `None` when nothing has that name and nothing can get it.
    pub(in crate::fs) async fn name(&self, parent: &Inode, name: &OsStr) -> FsResult<Option<Name>> {
        if let Some(known) = self.recall_name(parent, name)? {
            return Ok(known);
        }
        match Given::from_kernel(parent.ino, name)? {
            Given::Cut(beginning) => self.ask_name(parent, name, &beginning).await,
            Given::Name(name) => Ok(Some(name)),
            Given::Nothing => Ok(None),
        }
    }

    /// [`name`](Self::name) of something that may be new: [`Meaning::Invalid`] for a name that nothing can
    /// get.
    pub(in crate::fs) async fn new_name(&self, parent: &Inode, name: &OsStr) -> FsResult<Name> {
        self.name(parent, name).await?.ok_or_else(|| Meaning::Invalid.into())
    }

    /// The first element that begins so and has this name.
    async fn ask_name(
        &self,
        parent: &Inode,
        name: &OsStr,
        beginning: &str,
    ) -> FsResult<Option<Name>> {
        let directory = self.inodes.path(parent.ino).ok_or(Meaning::NotFound)?.key_prefix();
        let mut request = ListRequest {
            prefix: format!("{directory}{beginning}"),
            by_directory: true,
            ..ListRequest::default()
        };
        loop {
            let page = self.store.list(&request).await?;
            let keys = page.objects.iter().map(|object| object.key.as_str());
            let found = keys.chain(page.prefixes.iter().map(String::as_str)).find_map(|key| {
                let rest = key.strip_prefix(&directory)?;
                let element = Name::from_key_component(rest.strip_suffix('/').unwrap_or(rest))?;
                (name == OsStr::new(&*element.shown(parent.ino))).then_some(element)
            });
            match (found, page.next) {
                (Some(found), _) => return Ok(Some(found)),
                (None, None) => return Ok(None),
                (None, next) => request.after = next,
            }
        }
    }
}
