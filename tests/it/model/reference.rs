//! What a mount must show and a bucket must hold, said as simply as possible: the objects of the bucket, and
//! the files that are open. Everything else, the tree above all, is made from these two anew each time.
//!
//! Two things are left to the mount, and the reference takes them over from the bucket: a directory may have
//! an empty marker at any time, and what is longer than a part may be published before the close, where
//! bytes that were sent are read back or changed.

use std::collections::{BTreeMap, BTreeSet};

use partfs::fs::Meaning;

use super::ops::PART;
use super::paths::{below, can_be_made, is_marker, key_of, parent, path_of, prefix};

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub bytes: Vec<u8>,
    pub mode: u32,
    /// Seconds, when a user set them.
    pub mtime: Option<u64>,
    pub link: bool,
}

/// One open file.
#[derive(Debug, Clone)]
pub struct Node {
    /// `None` once it was unlinked or replaced.
    pub path: Option<String>,
    pub content: Vec<u8>,
    pub mode: u32,
    pub mtime: Option<u64>,
    /// The bucket does not hold the content yet.
    pub dirty: bool,
    /// Never in the bucket, and never longer than a part: all its bytes are in memory.
    pub held: bool,
    /// It lost its name or its object, and bytes that are not in memory with it: ESTALE is right.
    pub lost: bool,
    /// A write was refused, or others have changed the object: what handles read is not known.
    pub unknown: bool,
    /// Where it was when others changed its object; the mount may still know it by that name.
    was: Option<String>,
    /// What may have been published before it was asked for.
    early: Vec<Vec<u8>>,
}

/// One handle.
#[derive(Debug, Clone)]
pub struct Handle<H> {
    pub node: usize,
    pub write: bool,
    /// Whether something was written through it: its close publishes.
    pub wrote: bool,
    /// That of the file system.
    pub real: H,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Directory { mode: u32 },
    File { size: usize, mode: u32, mtime: Option<u64> },
    Link { target: Vec<u8> },
}

/// What must come of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Done,
    Refused(Meaning),
    /// An error, whichever: the kernel would not have asked.
    AnyError,
    /// It may be refused with ESTALE.
    DoneOrStale,
}

pub type Tree = BTreeMap<String, Entry>;

/// The truth.
#[derive(Debug)]
pub struct Reference<H> {
    pub objects: BTreeMap<String, Stored>,
    pub nodes: Vec<Node>,
    pub handles: Vec<Handle<H>>,
    /// What the metadata of markers says, where it does; the file of their bytes has this mode.
    pub marker_modes: BTreeMap<String, u32>,
    /// Where others have removed files that the kernel may still know.
    pub removed: BTreeSet<String>,
}

impl<H: Copy> Reference<H> {
    pub fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            nodes: Vec::new(),
            handles: Vec::new(),
            marker_modes: BTreeMap::new(),
            removed: BTreeSet::new(),
        }
    }

    /// Every name there is.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        let open = self.nodes.iter().filter_map(|node| Some((node.path.clone()?, node)));
        let files = self.objects.iter().map(|(key, stored)| {
            let Stored { bytes, mode, mtime, link } = stored.clone();
            let mode = if key.ends_with('/') { self.marker_mode(key) } else { mode };
            let file = Entry::File { size: bytes.len(), mode, mtime };
            (path_of(key), if link { Entry::Link { target: bytes } } else { file })
        });
        let open = open.map(|(path, node)| {
            let (size, mtime) = (node.content.len(), node.mtime);
            let mode = match is_marker(&path) {
                true => self.marker_mode(&key_of(&path)),
                false => node.mode,
            };
            (path, Entry::File { size, mode, mtime })
        });
        // Files that are open come later and are newer than their objects.
        for (path, entry) in files.chain(open) {
            for (end, _) in path.match_indices('/') {
                let directory = &path[..end];
                let mode = self.objects.get(&prefix(directory)).map_or(0o755, |marker| marker.mode);
                tree.insert(directory.to_owned(), Entry::Directory { mode });
            }
            // A marker is a file where it holds bytes.
            let is_file = !is_marker(&path) || !matches!(entry, Entry::File { size: 0, .. });
            if is_file && !matches!(tree.get(&path), Some(Entry::Directory { .. })) {
                tree.insert(path, entry);
            }
        }
        tree
    }

    fn marker_mode(&self, key: &str) -> u32 {
        self.marker_modes.get(key).copied().unwrap_or(0o644)
    }

    /// What is at a path, where every directory on the way must be one.
    pub fn find(&self, path: &str) -> Result<Option<Entry>, Meaning> {
        let tree = self.tree();
        self.check_parent(&tree, path)?;
        Ok(tree.get(path).cloned())
    }

    fn check_parent(&self, tree: &Tree, path: &str) -> Result<(), Meaning> {
        for (end, _) in path.match_indices('/') {
            match tree.get(&path[..end]) {
                Some(Entry::Directory { .. }) => {}
                Some(_) => return Err(Meaning::NotDirectory),
                None => return Err(Meaning::NotFound),
            }
        }
        Ok(())
    }

    /// Nothing but its own empty marker has a key below it, whether it can be seen or not.
    pub fn is_empty(&self, directory: &str) -> bool {
        let (prefix, paths) = (prefix(directory), below(directory));
        let unpublished = |node: &Node| node.path.as_ref().is_some_and(|p| p.starts_with(&paths));
        !self.nodes.iter().any(unpublished)
            && self.objects.iter().all(|(key, stored)| {
                !key.starts_with(&prefix) || *key == prefix && stored.bytes.is_empty()
            })
    }

    /// A directory out of which something was taken stays.
    fn keep(&mut self, directory: &str) {
        if !directory.is_empty() {
            let marker = Stored { bytes: Vec::new(), mode: 0o755, mtime: None, link: false };
            self.objects.entry(prefix(directory)).or_insert(marker);
        }
    }

    fn node_at(&self, path: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.path.as_deref() == Some(path))
    }

    /// Whether handles keep the mount from forgetting what was at a path.
    pub fn is_open(&self, path: &str) -> bool {
        let at = |place: &Option<String>| place.as_deref() == Some(path);
        self.nodes.iter().any(|node| at(&node.path) || at(&node.was))
    }

    pub fn writers(&self, node: usize) -> usize {
        self.handles.iter().filter(|handle| handle.node == node && handle.write).count()
    }

    /// Opens what is there (or, with `mode`, makes it).
    pub fn open(&mut self, path: &str, write: bool, truncate: bool, made: Option<u32>, real: H) {
        let node = self.node_at(path).unwrap_or_else(|| {
            let key = key_of(path);
            let stored = self.objects.get(&key);
            let mode = match stored {
                Some(_) if is_marker(path) => Some(self.marker_mode(&key)),
                Some(stored) => Some(stored.mode),
                None => made,
            };
            self.nodes.push(Node {
                path: Some(path.to_owned()),
                content: stored.map(|stored| stored.bytes.clone()).unwrap_or_default(),
                mode: mode.expect("it exists or is made"),
                mtime: stored.and_then(|stored| stored.mtime),
                dirty: stored.is_none(),
                held: stored.is_none(),
                lost: false,
                unknown: false,
                was: None,
                early: Vec::new(),
            });
            self.nodes.len() - 1
        });
        self.handles.push(Handle { node, write, wrote: made.is_some() || truncate, real });
        if truncate {
            self.change(node, |content| content.clear());
        }
    }

    /// Changes content.
    pub fn change(&mut self, node: usize, change: impl FnOnce(&mut Vec<u8>)) {
        self.may_publish(node);
        let node = &mut self.nodes[node];
        change(&mut node.content);
        node.dirty = true;
        node.mtime = None;
        node.held &= node.content.len() as u64 <= PART;
    }

    /// Bytes that were sent already can only be read or changed after they were published.
    pub fn may_publish(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        if node.dirty && node.content.len() as u64 >= PART {
            node.early.push(node.content.clone());
        }
    }

    /// The bucket has the content.
    pub fn commit(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let Some(path) = node.path.clone().filter(|_| node.dirty) else { return };
        let Node { content, mode, mtime, .. } = node.clone();
        (node.dirty, node.held) = (false, false);
        node.early.clear();
        self.objects.insert(key_of(&path), Stored { bytes: content, mode, mtime, link: false });
    }

    /// fsync of a handle. Where others have changed the object, it may store what is written to the file of
    /// that name now: the mount knows it as the same file.
    pub fn sync(&mut self, node: usize) {
        self.commit(node);
        let now = self.nodes[node].was.as_deref().and_then(|was| self.node_at(was));
        if let Some(now) = now.map(|now| &mut self.nodes[now]).filter(|now| now.dirty) {
            now.early.push(now.content.clone());
        }
    }

    /// A handle goes; the last one that writes takes care that nothing is left unpublished.
    pub fn release(&mut self, handle: usize) -> H {
        let Handle { node, real, .. } = self.handles.remove(handle);
        if self.writers(node) == 0 {
            self.commit(node);
        }
        if !self.handles.iter().any(|handle| handle.node == node) {
            self.nodes.remove(node);
            for handle in self.handles.iter_mut().filter(|handle| handle.node > node) {
                handle.node -= 1;
            }
        }
        real
    }

    /// truncate(2): published at once, unless others are writing.
    pub fn cut_path(&mut self, path: &str, size: usize) {
        match self.node_at(path) {
            Some(node) => {
                self.change(node, |content| content.resize(size, 0));
                if self.writers(node) == 0 {
                    self.commit(node);
                }
            }
            None => {
                if let Some(stored) = self.objects.get_mut(&key_of(path)) {
                    stored.bytes.resize(size, 0);
                    stored.mtime = None;
                }
            }
        }
    }

    fn unname(&mut self, path: &str) {
        if let Some(node) = self.node_at(path) {
            let node = &mut self.nodes[node];
            node.path = None;
            node.lost = !node.held;
        }
    }

    pub fn unlink(&mut self, path: &str) {
        self.keep(parent(path));
        self.take(path);
        self.unname(path);
    }

    /// Takes the object of a file out of the bucket; a marker stays, empty.
    fn take(&mut self, path: &str) -> Option<Stored> {
        let key = key_of(path);
        if !is_marker(path) {
            return self.objects.remove(&key);
        }
        let mode = self.marker_mode(&key);
        let bytes = std::mem::take(&mut self.objects.get_mut(&key)?.bytes);
        Some(Stored { bytes, mode, mtime: None, link: false })
    }

    pub fn mkdir(&mut self, path: &str, mode: u32) {
        let marker = Stored { bytes: Vec::new(), mode, mtime: None, link: false };
        self.objects.insert(prefix(path), marker);
    }

    pub fn rmdir(&mut self, path: &str) {
        self.keep(parent(path));
        self.objects.remove(&prefix(path));
    }

    pub fn symlink(&mut self, path: &str, target: &[u8]) {
        let stored = Stored { bytes: target.to_vec(), mode: 0o777, mtime: None, link: true };
        self.objects.insert(key_of(path), stored);
    }

    /// What a rename must answer.
    pub fn may_rename(&self, from: &str, to: &str, no_replace: bool) -> Verdict {
        let tree = self.tree();
        match (self.check_parent(&tree, from), self.check_parent(&tree, to)) {
            (Err(_), Err(_)) => return Verdict::AnyError,
            (Err(meaning), Ok(())) | (Ok(()), Err(meaning)) => return Verdict::Refused(meaning),
            (Ok(()), Ok(())) => {}
        }
        let Some(source) = tree.get(from) else { return Verdict::Refused(Meaning::NotFound) };
        if !can_be_made(to) && !tree.contains_key(to) {
            return Verdict::Refused(Meaning::Invalid);
        }
        if to.starts_with(&below(from)) || from.starts_with(&below(to)) {
            return Verdict::AnyError;
        }
        let directory = matches!(source, Entry::Directory { .. });
        match tree.get(to) {
            Some(_) if no_replace => Verdict::Refused(Meaning::Exists),
            _ if from == to => Verdict::Done,
            Some(Entry::Directory { .. }) if !directory => Verdict::Refused(Meaning::IsDirectory),
            Some(Entry::Directory { .. }) if !self.is_empty(to) => {
                Verdict::Refused(Meaning::NotEmpty)
            }
            Some(Entry::File { .. } | Entry::Link { .. }) if directory => {
                Verdict::Refused(Meaning::NotDirectory)
            }
            _ if !directory && is_marker(to) => Verdict::Refused(Meaning::NotPermitted),
            _ => Verdict::Done,
        }
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        if from == to {
            return;
        }
        self.keep(parent(from));
        if matches!(self.tree().get(from), Some(Entry::Directory { .. })) {
            self.rename_directory(from, to);
            return;
        }
        self.unname(to);
        self.objects.remove(&key_of(to));
        if let Some(node) = self.node_at(from) {
            // Published on the way or not.
            let node = &mut self.nodes[node];
            if node.dirty {
                node.early.push(node.content.clone());
            }
            node.path = Some(to.to_owned());
        }
        if let Some(stored) = self.take(from) {
            self.objects.insert(key_of(to), stored);
        }
    }

    fn rename_directory(&mut self, from: &str, to: &str) {
        for node in 0..self.nodes.len() {
            let path = self.nodes[node].path.clone();
            if let Some(rest) = path.as_deref().and_then(|path| path.strip_prefix(&below(from))) {
                // A tree that moves is published first.
                self.commit(node);
                self.nodes[node].path = Some(format!("{}{rest}", below(to)));
            }
        }
        let (from, to) = (prefix(from), prefix(to));
        self.objects.remove(&to);
        let moving: Vec<_> =
            self.objects.keys().filter(|key| key.starts_with(&from)).cloned().collect();
        for key in moving {
            if let Some(stored) = self.objects.remove(&key) {
                self.objects.insert(format!("{to}{}", &key[from.len()..]), stored);
            }
        }
    }

    /// Attributes of what is at a path.
    pub fn set_attributes(&mut self, path: &str, mode: Option<u32>, mtime: Option<u64>) {
        if let Some(Entry::Directory { mode: before }) = self.tree().get(path) {
            // What does not change need not be stored.
            if let Some(mode) = mode.filter(|mode| mode != before) {
                self.keep(path);
                self.objects.entry(prefix(path)).and_modify(|marker| marker.mode = mode);
            }
            return;
        }
        if let Some(node) = self.node_at(path) {
            let node = &mut self.nodes[node];
            node.mode = mode.unwrap_or(node.mode);
            node.mtime = mtime.or(node.mtime);
        }
        if let Some(stored) = self.objects.get_mut(&key_of(path)) {
            stored.mode = mode.unwrap_or(stored.mode);
            stored.mtime = mtime.or(stored.mtime);
        }
    }

    /// Whether others may change this key: not under the hands of who writes the file.
    pub fn is_free(&self, key: &str) -> bool {
        !(0..self.nodes.len()).filter(|node| self.writers(*node) > 0).any(|node| {
            let path = self.nodes[node].path.as_deref();
            path.is_some_and(|path| key == key_of(path) || key.starts_with(&prefix(path)))
        })
    }

    /// The file, if there is or was one, that becomes a directory when this key is stored.
    pub fn turned(&self, key: &str) -> Option<String> {
        let tree = self.tree();
        let mut above = key.match_indices('/').map(|(end, _)| path_of(&key[..end]));
        above.find(|path| match tree.get(path) {
            Some(entry) => !matches!(entry, Entry::Directory { .. }),
            None => self.removed.contains(path),
        })
    }

    /// Another tool stores (or with `None` removes) an object.
    pub fn remote(&mut self, key: &str, bytes: Option<Vec<u8>>) {
        for node in &mut self.nodes {
            let path = node.path.as_deref();
            if path.is_some_and(|path| key == key_of(path) || key.starts_with(&prefix(path))) {
                // Its readers have the version that they were opened on, or nothing.
                node.was = node.path.take();
                (node.lost, node.unknown) = (true, true);
            }
        }
        let mode = if key.ends_with('/') { 0o755 } else { 0o644 };
        match bytes {
            Some(bytes) => {
                let stored = Stored { bytes, mode, mtime: None, link: false };
                self.objects.insert(key.to_owned(), stored);
            }
            None => {
                self.objects.remove(key);
                self.removed.insert(path_of(key));
            }
        }
    }

    /// Compares with what the bucket holds, and takes over what is left to the mount.
    pub fn compare(&mut self, bucket: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
        for (key, bytes) in bucket {
            if self.objects.get(key).is_some_and(|stored| stored.bytes == *bytes) {
                continue;
            }
            let node = self.node_at(&path_of(key));
            if let Some(node) = node.filter(|node| self.nodes[*node].early.contains(bytes)) {
                let node = &mut self.nodes[node];
                let (mode, mtime) = (node.mode, node.mtime);
                node.held = false;
                node.dirty = node.content != *bytes;
                let stored = Stored { bytes: bytes.clone(), mode, mtime, link: false };
                self.objects.insert(key.clone(), stored);
                continue;
            }
            let directory =
                key.strip_suffix('/').map(|key| self.tree().get(&path_of(key)).cloned());
            match directory {
                Some(Some(Entry::Directory { mode })) if bytes.is_empty() => {
                    let stored = Stored { bytes: Vec::new(), mode, mtime: None, link: false };
                    self.objects.insert(key.clone(), stored);
                }
                _ => {
                    let expected = self.objects.get(key).map(|stored| stored.bytes.len());
                    let found = bytes.len();
                    return Err(format!("{key:?} has {found} bytes, expected {expected:?}"));
                }
            }
        }
        match self.objects.keys().find(|key| !bucket.contains_key(*key)) {
            Some(key) => Err(format!("{key:?} is not in the bucket")),
            None => Ok(()),
        }
    }
}
