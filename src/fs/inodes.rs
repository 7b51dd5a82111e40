//! The table of inodes: which names we know, what the kernel still refers to, and the path of
//! everything. Knows nothing of buckets.
//!
//! An entry lives while the kernel counts lookups of it, while something of ours pins it (open
//! handles, changes not yet stored), or while entries below it live.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::fs::attr::{Attr, Kind};
use crate::fs::inode::{Inode, InodeNo, Object};
use crate::fs::name::{Name, TreePath};
use crate::fs::ordered::{LEAF, Ordered};

/// All inodes of a mount.
#[derive(Debug)]
pub struct Inodes(Ordered<Table, LEAF>);

#[derive(Debug)]
struct Table {
    entries: HashMap<InodeNo, Entry>,
    /// The known names of each directory; no empty maps.
    names: HashMap<InodeNo, BTreeMap<Name, InodeNo>>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    inode: Arc<Inode>,
    /// Parent and name; `None` for the root and for what was unlinked.
    place: Option<(InodeNo, Name)>,
    /// Lookups the kernel has not forgotten.
    lookups: u64,
    /// Handles, pending changes, and entries below.
    pins: u64,
}

/// Keeps an inode in the table while it exists.
#[derive(Debug)]
pub struct Pin {
    inodes: Arc<Inodes>,
    inode: Arc<Inode>,
}

impl Pin {
    /// The inode that is kept.
    pub fn inode(&self) -> &Arc<Inode> {
        &self.inode
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut table = self.inodes.0.lock();
        table.unpin(self.inode.ino);
    }
}

impl Inodes {
    /// A table with the root, which is never forgotten.
    pub fn new(root: Attr) -> Arc<Self> {
        let inode = Arc::new(Inode::new(InodeNo::ROOT, Kind::Directory, root, None));
        let entry = Entry { inode, place: None, lookups: 1, pins: 1 };
        Arc::new(Self(Ordered::new(Table {
            entries: HashMap::from([(InodeNo::ROOT, entry)]),
            names: HashMap::new(),
            next: InodeNo::FIRST_FREE,
        })))
    }

    /// The inode of a number the kernel uses.
    pub fn get(&self, ino: InodeNo) -> Option<Arc<Inode>> {
        self.0.lock().entries.get(&ino).map(|entry| Arc::clone(&entry.inode))
    }

    /// What we know under this name.
    pub fn child(&self, parent: InodeNo, name: &Name) -> Option<Arc<Inode>> {
        let table = self.0.lock();
        let ino = table.named(parent, name)?;
        table.entries.get(&ino).map(|entry| Arc::clone(&entry.inode))
    }

    /// The inode of a name and kind, made if we do not have it; one lookup is counted for the kernel
    /// when `lookup` is set. A known inode of another kind loses the name.
    pub fn obtain(
        &self,
        parent: InodeNo,
        name: &Name,
        kind: Kind,
        lookup: bool,
        make: impl FnOnce() -> (Attr, Option<Object>),
    ) -> Arc<Inode> {
        let mut table = self.0.lock();
        let known = table.named(parent, name).and_then(|ino| table.entries.get(&ino));
        let inode = match known.filter(|entry| entry.inode.kind == kind) {
            Some(entry) => Arc::clone(&entry.inode),
            None => {
                let (attr, object) = make();
                table.insert(parent, name.clone(), kind, attr, object)
            }
        };
        if lookup && let Some(entry) = table.entries.get_mut(&inode.ino) {
            entry.lookups += 1;
        }
        inode
    }

    /// Counts one more lookup, before an entry is sent to the kernel. False when the inode has just
    /// been forgotten: then it must not be sent.
    pub fn remember(&self, ino: InodeNo) -> bool {
        match self.0.lock().entries.get_mut(&ino) {
            Some(entry) => {
                entry.lookups += 1;
                true
            }
            None => false,
        }
    }

    /// Whether anything of ours keeps an inode: handles, changes that are not stored, entries below.
    pub fn is_pinned(&self, ino: InodeNo) -> bool {
        self.0.lock().entries.get(&ino).is_some_and(|entry| entry.pins > 0)
    }

    /// The kernel forgot `count` lookups.
    pub fn forget(&self, ino: InodeNo, count: u64) {
        let mut table = self.0.lock();
        if let Some(entry) = table.entries.get_mut(&ino) {
            entry.lookups = entry.lookups.saturating_sub(count);
        }
        table.collect(ino);
    }

    /// Keeps an inode until the pin is dropped.
    pub fn pin(self: &Arc<Self>, inode: &Arc<Inode>) -> Pin {
        if let Some(entry) = self.0.lock().entries.get_mut(&inode.ino) {
            entry.pins += 1;
        }
        Pin { inodes: Arc::clone(self), inode: Arc::clone(inode) }
    }

    /// The path of an inode; `None` when it was unlinked or is unknown.
    pub fn path(&self, ino: InodeNo) -> Option<TreePath> {
        let table = self.0.lock();
        let mut names = Vec::new();
        let mut at = ino;
        while at != InodeNo::ROOT {
            let (parent, name) = table.entries.get(&at)?.place.as_ref()?;
            names.push(name);
            at = *parent;
        }
        Some(TreePath::from_names(names.into_iter().rev()))
    }

    /// Whether an inode is this directory, or somewhere below it.
    pub fn is_within(&self, ino: InodeNo, directory: InodeNo) -> bool {
        let table = self.0.lock();
        let mut at = ino;
        while at != directory {
            match table.entries.get(&at).and_then(|entry| entry.place.as_ref()) {
                Some((parent, _)) => at = *parent,
                None => return false,
            }
        }
        true
    }

    /// Parent and name of an inode; `None` for the root and for what was unlinked.
    pub fn place(&self, ino: InodeNo) -> Option<(InodeNo, Name)> {
        self.0.lock().entries.get(&ino)?.place.clone()
    }

    /// Takes the name from whatever has it. Open handles and the kernel keep the inode.
    pub fn detach(&self, parent: InodeNo, name: &Name) -> Option<Arc<Inode>> {
        self.0.lock().detach(parent, name)
    }

    /// Moves a name; what had the target name loses it and is returned.
    pub fn rename(&self, from: (InodeNo, &Name), to: (InodeNo, &Name)) -> Option<Arc<Inode>> {
        self.0.lock().rename(from, to)
    }

    /// Moves the name of a directory, if all known files below it are among `held`. Says whether it
    /// did.
    pub fn rename_tree(
        &self,
        from: (InodeNo, &Name),
        to: (InodeNo, &Name),
        held: &HashSet<InodeNo>,
    ) -> bool {
        let mut table = self.0.lock();
        let Some(top) = table.named(from.0, from.1) else { return false };
        let below = table.descendants(top);
        let all =
            below.iter().all(|inode| inode.kind == Kind::Directory || held.contains(&inode.ino));
        if all {
            table.rename(from, to);
        }
        all
    }

    /// The known entries of a directory, by name.
    pub fn children(&self, parent: InodeNo) -> Vec<(Name, Arc<Inode>)> {
        let table = self.0.lock();
        table.children(parent).collect()
    }

    /// All known inodes below a directory, at any depth.
    pub fn descendants(&self, top: InodeNo) -> Vec<Arc<Inode>> {
        self.0.lock().descendants(top)
    }

    /// Every inode.
    pub fn all(&self) -> Vec<Arc<Inode>> {
        self.0.lock().entries.values().map(|entry| Arc::clone(&entry.inode)).collect()
    }

    /// How many inodes there are.
    pub fn len(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// Whether only the root is left.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }
}

impl Table {
    fn insert(
        &mut self,
        parent: InodeNo,
        name: Name,
        kind: Kind,
        attr: Attr,
        object: Option<Object>,
    ) -> Arc<Inode> {
        self.detach(parent, &name);
        let ino = InodeNo(self.next);
        self.next += 1;
        let inode = Arc::new(Inode::new(ino, kind, attr, object));
        let place = Some((parent, name.clone()));
        let entry = Entry { inode: Arc::clone(&inode), place, lookups: 0, pins: 0 };
        self.entries.insert(ino, entry);
        self.names.entry(parent).or_default().insert(name, ino);
        if let Some(entry) = self.entries.get_mut(&parent) {
            entry.pins += 1;
        }
        self.check();
        inode
    }

    fn named(&self, parent: InodeNo, name: &Name) -> Option<InodeNo> {
        self.names.get(&parent)?.get(name).copied()
    }

    fn unname(&mut self, parent: InodeNo, name: &Name) -> Option<InodeNo> {
        let names = self.names.get_mut(&parent)?;
        let ino = names.remove(name);
        if names.is_empty() {
            self.names.remove(&parent);
        }
        ino
    }

    fn detach(&mut self, parent: InodeNo, name: &Name) -> Option<Arc<Inode>> {
        let ino = self.unname(parent, name)?;
        let entry = self.entries.get_mut(&ino)?;
        entry.place = None;
        let inode = Arc::clone(&entry.inode);
        self.collect(ino);
        self.unpin(parent);
        self.check();
        Some(inode)
    }

    fn unpin(&mut self, ino: InodeNo) {
        if let Some(entry) = self.entries.get_mut(&ino) {
            entry.pins = entry.pins.saturating_sub(1);
        }
        self.collect(ino);
    }

    /// Removes an entry that nothing refers to, and then perhaps its parents.
    fn collect(&mut self, ino: InodeNo) {
        let mut at = Some(ino);
        while let Some(ino) = at.take() {
            let unused =
                self.entries.get(&ino).is_some_and(|entry| entry.lookups == 0 && entry.pins == 0);
            if !unused {
                break;
            }
            if let Some(Entry { place: Some((parent, name)), .. }) = self.entries.remove(&ino) {
                self.unname(parent, &name);
                if let Some(entry) = self.entries.get_mut(&parent) {
                    entry.pins = entry.pins.saturating_sub(1);
                }
                at = Some(parent);
            }
        }
    }

    fn rename(&mut self, from: (InodeNo, &Name), to: (InodeNo, &Name)) -> Option<Arc<Inode>> {
        let source = self.named(from.0, from.1);
        let target = self.named(to.0, to.1);
        if source.is_some() && source == target {
            return None;
        }
        let replaced = self.detach(to.0, to.1);
        if let Some(ino) = source {
            self.unname(from.0, from.1);
            self.names.entry(to.0).or_default().insert(to.1.clone(), ino);
            if let Some(entry) = self.entries.get_mut(&ino) {
                entry.place = Some((to.0, to.1.clone()));
            }
            if let Some(entry) = self.entries.get_mut(&to.0) {
                entry.pins += 1;
            }
            self.unpin(from.0);
        }
        replaced
    }

    fn descendants(&self, top: InodeNo) -> Vec<Arc<Inode>> {
        let mut found = Vec::new();
        let mut open = vec![top];
        while let Some(directory) = open.pop() {
            for (_, inode) in self.children(directory) {
                if inode.kind == Kind::Directory {
                    open.push(inode.ino);
                }
                found.push(inode);
            }
        }
        found
    }

    fn children(&self, parent: InodeNo) -> impl Iterator<Item = (Name, Arc<Inode>)> {
        self.names.get(&parent).into_iter().flatten().filter_map(|(name, ino)| {
            let entry = self.entries.get(ino)?;
            Some((name.clone(), Arc::clone(&entry.inode)))
        })
    }

    /// In debug builds: the two indexes agree.
    fn check(&self) {
        if cfg!(debug_assertions) && self.entries.len() < 64 {
            for (parent, names) in &self.names {
                debug_assert!(self.entries.contains_key(parent), "{parent:?} is gone");
                for (name, ino) in names {
                    let place = self.entries.get(ino).and_then(|entry| entry.place.as_ref());
                    debug_assert_eq!(place, Some(&(*parent, name.clone())));
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "inodes_tests.rs"]
mod tests;
