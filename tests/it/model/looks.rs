//! Looks at the whole tree, and compares it with that of the reference.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use partfs::fs::{Entry as Shown, FsResult, InodeNo, Kind, Meaning, OpenMode};

use super::harness::{Checked, Harness};
use super::ops::{Look, ODD_PATHS, PATHS};
use super::paths::key_of;
use super::reference::{Entry, Tree};

impl Harness {
    pub(super) async fn look(&mut self, look: Look) -> Checked {
        match look {
            Look::Away => Ok(()),
            Look::Names => self.compare_listing(false).await,
            Look::Attributes => self.compare_listing(true).await,
            Look::Lookups => self.compare_lookups().await,
            Look::Contents => {
                self.compare_listing(false).await?;
                self.compare_contents().await
            }
        }
    }

    /// Lists every directory.
    pub(super) async fn compare_listing(&mut self, attributes: bool) -> Checked {
        let tree = self.reference.tree();
        let mut seen = BTreeMap::new();
        let mut open = vec![(String::new(), InodeNo::ROOT)];
        while let Some((path, ino)) = open.pop() {
            let listed = self.list(ino, attributes).await;
            for (name, entry) in listed.map_err(|error| format!("readdir of {path:?}: {error}"))? {
                let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                // What stands at the end of a page is told before it is known what follows, not to be
                // believed: the kernel looks it up.
                let many = self.reference.objects.len() >= usize::from(self.limits.list_page);
                let entry = if entry.ttl.is_zero() && many {
                    let looked_up = self.lookup(ino, &name).await;
                    looked_up.map_err(|error| format!("{below:?} was listed: {error}"))?
                } else {
                    entry
                };
                if entry.kind == Kind::Directory {
                    let ino = self.walk(&below).await;
                    let ino = ino.map_err(|error| format!("{below:?} was listed: {error}"))?;
                    open.push((below.clone(), ino));
                }
                if attributes {
                    self.same(&below, tree.get(&below), &entry)?;
                }
                let kind = entry.kind;
                if seen.insert(below.clone(), kind).is_some() {
                    return Err(format!("{below:?} is listed twice"));
                }
            }
        }
        let expected: BTreeMap<_, _> =
            tree.into_iter().map(|(path, entry)| (path, kind_of(&entry))).collect();
        if seen == expected {
            return Ok(());
        }
        Err(format!("readdir shows {seen:?}, expected {expected:?}"))
    }

    pub(super) async fn list(
        &mut self,
        ino: InodeNo,
        attributes: bool,
    ) -> FsResult<Vec<(String, Shown)>> {
        let handle = self.world.fs.opendir(ino)?;
        let mut entries = Vec::new();
        let mut offset = 0;
        loop {
            let items = self.world.fs.readdir(handle, offset, attributes).await?;
            let Some(last) = items.last() else { break };
            offset = last.next_offset;
            for item in items {
                let dots = matches!(&*item.name, "." | "..");
                if item.counted && !dots {
                    *self.lookups.entry(item.entry.ino).or_default() += 1;
                }
                if !dots {
                    entries.push((item.name.into(), item.entry));
                }
            }
        }
        self.world.fs.releasedir(handle);
        Ok(entries)
    }

    /// Looks every name up that there could be.
    pub(super) async fn compare_lookups(&mut self) -> Checked {
        let tree = self.reference.tree();
        let mut paths: Vec<&str> = PATHS.iter().chain(&ODD_PATHS).copied().collect();
        paths.extend(tree.keys().map(String::as_str));
        for path in paths {
            let expected = self.reference.find(path);
            let found = match self.place(path).await {
                Ok((parent, name)) => self.lookup(parent, name.to_str().unwrap_or("")).await,
                Err(error) => Err(error),
            };
            match (&found, &expected) {
                (Ok(entry), Ok(Some(_))) => self.same(path, tree.get(path), entry)?,
                (Err(error), Ok(None)) if error.meaning() == Meaning::NotFound => {}
                (Err(error), Err(meaning)) if error.meaning() == *meaning => {}
                _ => return Err(format!("lookup of {path:?}: {found:?}, expected {expected:?}")),
            }
        }
        Ok(())
    }

    pub(super) fn same(&self, path: &str, expected: Option<&Entry>, entry: &Shown) -> Checked {
        let attr = &entry.attr;
        let same = match expected {
            Some(Entry::Directory { mode }) => {
                (entry.kind, attr.permissions) == (Kind::Directory, *mode)
            }
            Some(Entry::Link { target }) => {
                (entry.kind, attr.size) == (Kind::Symlink, target.len() as u64)
            }
            Some(Entry::File { size, mode, mtime }) => {
                let mtime = mtime.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
                (entry.kind, attr.size) == (Kind::File, *size as u64)
                    && attr.permissions == *mode
                    && mtime.is_none_or(|mtime| attr.mtime == mtime)
            }
            None => false,
        };
        if same { Ok(()) } else { Err(format!("{path:?} is {entry:?}, expected {expected:?}")) }
    }

    /// Reads every file that nobody is changing, and every link.
    pub(super) async fn compare_contents(&mut self) -> Checked {
        let tree: Tree = self.reference.tree();
        for (path, entry) in tree {
            let dirty = |node: &super::reference::Node| {
                node.dirty && node.path.as_deref() == Some(path.as_str())
            };
            let read = match &entry {
                Entry::File { .. } if !self.reference.nodes.iter().any(dirty) => {
                    self.read_path(&path).await
                }
                Entry::Link { .. } => match self.walk(&path).await {
                    Ok(ino) => {
                        self.world.fs.readlink(ino).await.map(|target| target.as_bytes().to_vec())
                    }
                    Err(error) => Err(error),
                },
                _ => continue,
            };
            let read = read.map_err(|error| format!("{path:?} cannot be read: {error}"))?;
            let expected = self.reference.objects.get(&key_of(&path)).map(|stored| &stored.bytes);
            if expected != Some(&read) {
                return Err(format!("{path:?} reads as {} other bytes", read.len()));
            }
        }
        Ok(())
    }

    pub(super) async fn read_path(&mut self, path: &str) -> FsResult<Vec<u8>> {
        let handle = self.open_path(path, OpenMode::default()).await?;
        let content = self.world.read_handle(handle, 100).await;
        self.world.fs.release(handle);
        content
    }
}

fn kind_of(entry: &Entry) -> Kind {
    match entry {
        Entry::Directory { .. } => Kind::Directory,
        Entry::File { .. } => Kind::File,
        Entry::Link { .. } => Kind::Symlink,
    }
}
