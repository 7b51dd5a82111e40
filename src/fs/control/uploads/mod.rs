//! `.partfs/uploads`: every multipart upload in progress in the bucket, whoever started it, as a file.
//!
//! `KEY@UPLOADID` in folders like the keys. Its size is what it holds, its time when it was initiated; reading it shows
//! its parts. Removing it aborts the upload, moving it onto its key completes it. What is shown is what the service
//! tells when it is asked; nothing is kept but for the second between a listing and the `lstat`s after it.
//!
//! - `name`: names, pure. `nodes`: numbers. `listing`: what there is. `change`: abort and complete.

mod change;
mod listing;
mod name;
mod nodes;

use std::ffi::OsStr;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use self::listing::Listed;
pub(in crate::fs) use self::nodes::Nodes;
use self::nodes::{Facts, Node};
use crate::fs::FileSystem;
use crate::fs::attr::{Attr, Kind};
use crate::fs::error::{FsResult, Meaning};
use crate::fs::handle::{Handle, HandleNo};
use crate::fs::inode::InodeNo;
use crate::fs::ops::dir::DirItem;
use crate::fs::ops::lookup::Entry;
use crate::fs::ops::open::{OpenMode, Opened};
use crate::fs::shown::{self, Meant};
use crate::store::{ErrorKind, Upload, UploadCursor, all_parts};

/// Entries of one answer to readdir whose sizes are asked for together.
const ENTRIES: usize = 64;
/// `.` and `..`.
const DOTS: usize = 2;

/// An open folder of uploads.
#[derive(Debug)]
pub struct UploadsHandle {
    ino: InodeNo,
    folder: String,
    stream: tokio::sync::Mutex<Stream>,
}

/// What was listed so far.
#[derive(Debug, Default)]
struct Stream {
    listed: Vec<Listed>,
    goes_on: GoesOn,
}

#[derive(Debug, Default)]
enum GoesOn {
    #[default]
    FromTheStart,
    After(UploadCursor),
    No,
}

/// Whether a number is that of a folder or file of uploads.
pub(in crate::fs) fn is_node(ino: InodeNo) -> bool {
    Nodes::has(ino)
}

fn node(fs: &FileSystem, ino: InodeNo) -> FsResult<Node> {
    fs.upload_nodes.get(ino).ok_or_else(|| Meaning::Stale.into())
}

fn folder(fs: &FileSystem, ino: InodeNo) -> FsResult<String> {
    match node(fs, ino)? {
        Node::Directory(folder) => Ok(folder),
        Node::Upload(_) => Err(Meaning::NotDirectory.into()),
    }
}

/// The entry with this name in a folder, which is what the kernel means.
async fn named(fs: &FileSystem, parent: InodeNo, name: &OsStr) -> FsResult<Listed> {
    let folder = folder(fs, parent)?;
    let name = name.to_str().ok_or(Meaning::NotFound)?;
    Ok(listing::find(fs, &folder, name).await?.ok_or(Meaning::NotFound)?)
}

/// Finds a name; one lookup is counted.
pub(in crate::fs) async fn lookup(
    fs: &FileSystem,
    parent: InodeNo,
    name: &OsStr,
) -> FsResult<Entry> {
    let found = named(fs, parent, name).await;
    let Listed { node, initiated, .. } = match found {
        Err(error) if error.meaning() == Meaning::NotFound => emptied(fs, parent, name)?,
        found => found?,
    };
    let facts = match (&node, initiated) {
        (Node::Upload(upload), Some(initiated)) => match fresh_facts(fs, &node) {
            Some(facts) => Some(facts),
            None => Some(listing::facts(fs, upload, initiated).await?.ok_or(Meaning::NotFound)?),
        },
        _ => None,
    };
    let ino = fs.upload_nodes.remember(node.clone(), facts);
    Ok(entry(fs, ino, &node, facts))
}

/// A folder that was there when the kernel asked for it last. It goes when it is removed, or forgotten: `rm -r` wants
/// to remove what it has emptied.
fn emptied(fs: &FileSystem, parent: InodeNo, name: &OsStr) -> FsResult<Listed> {
    let folder = folder(fs, parent)?;
    let name = name.to_str().ok_or(Meaning::NotFound)?;
    let Meant::Element(element) = shown::meant(name, false) else {
        return Err(Meaning::NotFound.into());
    };
    let node = Node::Directory(format!("{folder}{element}/"));
    if !fs.upload_nodes.knows(&node) {
        return Err(Meaning::NotFound.into());
    }
    Ok(Listed { name: name.to_owned(), node, initiated: None })
}

fn fresh_facts(fs: &FileSystem, node: &Node) -> Option<Facts> {
    fs.upload_nodes.facts(node).filter(Facts::are_fresh)
}

/// Attributes from memory, if they are fresh.
pub(in crate::fs) fn try_getattr(fs: &FileSystem, ino: InodeNo) -> Option<FsResult<Entry>> {
    let node = match node(fs, ino) {
        Ok(node) => node,
        Err(error) => return Some(Err(error)),
    };
    let facts = fresh_facts(fs, &node);
    let known = facts.is_some() || matches!(node, Node::Directory(_));
    known.then(|| Ok(entry(fs, ino, &node, facts)))
}

/// Attributes as the service tells them.
pub(in crate::fs) async fn getattr(fs: &FileSystem, ino: InodeNo) -> FsResult<Entry> {
    let node = node(fs, ino)?;
    let Node::Upload(upload) = &node else { return Ok(entry(fs, ino, &node, None)) };
    // Only a listing tells when it was initiated, and that does not change.
    let initiated = fs.upload_nodes.facts(&node).map_or(SystemTime::UNIX_EPOCH, |f| f.initiated);
    let facts = listing::facts(fs, upload, initiated).await?;
    fs.upload_nodes.learn(&node, facts);
    Ok(entry(fs, ino, &node, Some(facts.ok_or(Meaning::NotFound)?)))
}

fn entry(fs: &FileSystem, ino: InodeNo, node: &Node, facts: Option<Facts>) -> Entry {
    let (kind, permissions) = match node {
        // Keys below folders that others may not enter are not their business.
        Node::Directory(_) => (Kind::Directory, 0o700),
        Node::Upload(_) => (Kind::File, 0o600),
    };
    let mut attr = Attr::new(kind, permissions, fs.config.uid, fs.config.gid, fs.clock.now());
    if let Some(Facts { initiated, bytes, .. }) = facts {
        (attr.size, attr.mtime, attr.ctime) = (bytes, initiated, initiated);
    }
    // The kernel moves a name with `mv`, and what has the new one is another file then.
    Entry { ino, kind, attr, ttl: Duration::ZERO }
}

/// Opens a folder.
pub(in crate::fs) fn opendir(fs: &FileSystem, ino: InodeNo) -> FsResult<HandleNo> {
    let folder = folder(fs, ino)?;
    let handle = UploadsHandle { ino, folder, stream: tokio::sync::Mutex::default() };
    Ok(fs.handles.add(Handle::Uploads(handle)))
}

/// Entries of a folder from `offset` on, some of them. With `attributes` their sizes are asked for, and a lookup is
/// counted for each. A folder is listed anew from offset 0.
pub(in crate::fs) async fn readdir(
    fs: &FileSystem,
    handle: &UploadsHandle,
    offset: u64,
    attributes: bool,
) -> FsResult<Vec<DirItem>> {
    let mut stream = handle.stream.lock().await;
    if offset == 0 {
        *stream = Stream::default();
    }
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let mut items = Vec::new();
    for (index, name) in [".", ".."].into_iter().enumerate().skip(start) {
        // The kernel does not look at the number of `..`.
        let entry = entry(fs, handle.ino, &Node::Directory(String::new()), None);
        let next_offset = index as u64 + 1;
        items.push(DirItem { name: name.into(), next_offset, entry, counted: false });
    }
    let mut first = start.saturating_sub(DOTS);
    let dots = items.len();
    // An answer without entries would be the end of the folder to the kernel.
    while items.len() == dots && stream.reaches(fs, &handle.folder, first).await? {
        let end = stream.listed.len().min(first.saturating_add(ENTRIES));
        let listed = &stream.listed[first..end];
        let told = match attributes {
            true => listing::all_facts(fs, listed).await?,
            false => (0..listed.len()).map(|index| (index, None)).collect(),
        };
        for (index, facts) in told {
            let Listed { name, node, .. } = &listed[index];
            let ino = match attributes {
                true => fs.upload_nodes.remember(node.clone(), facts),
                false => fs.upload_nodes.number(node),
            };
            let entry = entry(fs, ino, node, facts);
            let next_offset = (first + index + 1 + DOTS) as u64;
            items.push(DirItem { name: (&**name).into(), next_offset, entry, counted: attributes });
        }
        first = end;
    }
    Ok(items)
}

impl Stream {
    /// Whether there is an entry number `index`; lists until there is.
    async fn reaches(&mut self, fs: &FileSystem, folder: &str, index: usize) -> FsResult<bool> {
        while self.listed.len() <= index {
            let after = match &self.goes_on {
                GoesOn::FromTheStart => None,
                GoesOn::After(cursor) => Some(cursor.clone()),
                GoesOn::No => return Ok(false),
            };
            let (listed, next) = listing::page(fs, folder, "", after).await?;
            for listed in listed {
                // A folder that goes on behind the end of a page is told again by some servers.
                let again = |known: &Listed| known.node == listed.node;
                if !self.listed.last().is_some_and(again) {
                    self.listed.push(listed);
                }
            }
            self.goes_on = next.map_or(GoesOn::No, GoesOn::After);
        }
        Ok(true)
    }
}

/// Opens the file of an upload: its content is its parts as they are now.
pub(in crate::fs) async fn open(fs: &FileSystem, ino: InodeNo, mode: OpenMode) -> FsResult<Opened> {
    let node = node(fs, ino)?;
    let Node::Upload(upload) = &node else { return Err(Meaning::IsDirectory.into()) };
    if mode.write || mode.truncate {
        return Err(Meaning::AccessDenied.into());
    }
    let initiated = fs.upload_nodes.facts(&node).map(|facts| facts.initiated);
    let content = text(fs, upload, initiated).await?;
    let handle = fs.handles.add(Handle::Control(content));
    Ok(Opened { handle, direct_io: true, keep_cache: false })
}

/// An upload in words: a head, and a line for each part.
async fn text(fs: &FileSystem, upload: &Upload, initiated: Option<SystemTime>) -> FsResult<Bytes> {
    let parts = match all_parts(&*fs.store, upload).await {
        Err(error) if error.kind == ErrorKind::NoSuchUpload => return Err(Meaning::Stale.into()),
        parts => parts?,
    };
    let bytes: u64 = parts.iter().map(|part| part.size).sum();
    let initiated = initiated.and_then(|time| jiff::Timestamp::try_from(time).ok());
    // A line each, whatever they hold.
    let (key, id) = (one_line(upload.key.as_str()), one_line(upload.id.as_str()));
    let mut text = format!("key {key}\nupload {id}\n");
    // Writing to a string cannot fail.
    if let Some(initiated) = initiated {
        let _ = writeln!(text, "initiated {initiated:.0}");
    }
    let _ = writeln!(
        text,
        "parts {}\nbytes {bytes}\n\n{:>5} {:>14} ETAG",
        parts.len(),
        "PART",
        "BYTES"
    );
    for part in &parts {
        let _ = writeln!(text, "{:>5} {:>14} {}", part.number, part.size, part.etag.as_str());
    }
    Ok(text.into())
}

/// Text without control characters: these are escaped as in Rust.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

impl FileSystem {
    /// Aborts the upload of this name.
    pub(in crate::fs) async fn unlink_upload(&self, parent: InodeNo, name: &OsStr) -> FsResult<()> {
        match named(self, parent, name).await?.node {
            Node::Directory(_) => Err(Meaning::IsDirectory.into()),
            Node::Upload(upload) => change::abort(self, &upload).await,
        }
    }

    /// A folder of uploads goes with the last of them; then nothing is left to do.
    pub(in crate::fs) async fn rmdir_uploads(&self, parent: InodeNo, name: &OsStr) -> FsResult<()> {
        match named(self, parent, name).await {
            Err(error) if error.meaning() == Meaning::NotFound => {
                let Listed { node, .. } = emptied(self, parent, name)?;
                self.upload_nodes.remove(&node);
                Ok(())
            }
            Err(error) => Err(error),
            Ok(Listed { node: Node::Upload(_), .. }) => Err(Meaning::NotDirectory.into()),
            Ok(Listed { node: Node::Directory(_), .. }) => Err(Meaning::NotEmpty.into()),
        }
    }

    /// Completes the upload of this name, when it is moved onto its key.
    pub(in crate::fs) async fn rename_upload(
        self: &Arc<Self>,
        from: (InodeNo, &OsStr),
        to: (InodeNo, &OsStr),
        no_replace: bool,
    ) -> FsResult<()> {
        match named(self, from.0, from.1).await?.node {
            Node::Directory(_) => Err(Meaning::NotPermitted.into()),
            Node::Upload(upload) => change::complete(self, &upload, to, no_replace).await,
        }
    }
}
