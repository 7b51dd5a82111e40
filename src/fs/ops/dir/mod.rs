//! opendir, readdir: directories page by page. The first entries of a huge directory appear at once
//! and memory holds one page; a failed page is an error, never a short directory.
//!
//! - `pages`: the stream of one open directory, and where its pages begin.
//! - `page`: one page: what a listing says, item by item.
//! - `item`: one entry: what more must be asked, and what the kernel is told.

mod item;
mod page;
mod pages;

use std::sync::Arc;
use std::time::Duration;

use crate::crash;
use crate::fs::attr::Kind;
use crate::fs::control::uploads;
use crate::fs::error::{FsResult, Meaning};
use crate::fs::handle::{DirHandle, Handle, HandleNo};
use crate::fs::inode::InodeNo;
use crate::fs::ops::lookup::Entry;
use crate::fs::{FileSystem, control};

pub use self::pages::DirStream;

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

/// `.` and `..`.
const DOTS: u64 = 2;

impl FileSystem {
    /// Opens a directory. Makes no request.
    pub fn opendir(&self, ino: InodeNo) -> FsResult<HandleNo> {
        crash::point("opendir.begin");
        if let Some(handle) = control::opendir(self, ino) {
            return handle;
        }
        let inode = self.directory(ino)?;
        let pin = self.inodes.pin(&inode);
        let stream = tokio::sync::Mutex::new(self.new_stream(&inode));
        Ok(self.handles.add(Handle::Directory(DirHandle { pin, stream })))
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
        crash::point("readdir.begin");
        let handle = self.handles.get(handle)?;
        match &*handle {
            Handle::Control(_) => return Ok(control::readdir(self, offset)),
            Handle::Uploads(folder) => {
                return uploads::readdir(self, folder, offset, attributes).await;
            }
            Handle::Directory(_) | Handle::File(_) => {}
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
                let name = item.name.shown(inode.ino).into();
                items.push(DirItem { name, next_offset, entry, counted: attributes });
            }
            let done = end >= page.loaded.items.len().min(most);
            offset = if done { page.next } else { page.first + end as u64 };
        }
        Ok(items)
    }

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
