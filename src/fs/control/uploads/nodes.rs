//! The numbers of what is below `.partfs/uploads`, as long as the kernel refers to it, and what was learnt of it
//! last. A number is made of what it stands for, so that it is the same when it is asked for again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::fs::inode::InodeNo;
use crate::fs::ordered::{LEAF, Ordered};
use crate::store::Upload;

/// How long an answer about an upload is believed: long enough for the `lstat` after a listing.
const FRESH: Duration = Duration::from_secs(1);

/// What a number stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The uploads of keys that begin so: empty, or ending in `/`.
    Directory(String),
    /// One upload.
    Upload(Upload),
}

/// What the service told of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// When it was initiated.
    pub(super) initiated: SystemTime,
    /// Bytes that it holds.
    pub(super) bytes: u64,
    /// When that was asked.
    pub(super) asked: Instant,
}

impl Facts {
    /// Whether they still count.
    pub(super) fn are_fresh(&self) -> bool {
        self.asked.elapsed() < FRESH
    }
}

/// All nodes that the kernel knows.
#[derive(Debug, Default)]
pub(in crate::fs) struct Nodes(Ordered<HashMap<InodeNo, Known>, LEAF>);

#[derive(Debug)]
struct Known {
    node: Node,
    facts: Option<Facts>,
    lookups: u64,
}

impl Nodes {
    /// Whether a number is one of these, known or not.
    pub(super) fn has(ino: InodeNo) -> bool {
        ino == InodeNo::UPLOADS || ino.0 >= InodeNo::FIRST_NODE
    }

    /// What a number stands for.
    pub(super) fn get(&self, ino: InodeNo) -> Option<Node> {
        if ino == InodeNo::UPLOADS {
            return Some(Node::Directory(String::new()));
        }
        self.0.lock().get(&ino).map(|known| known.node.clone())
    }

    /// The number of a node, for a listing without attributes: the kernel does not keep it.
    pub(super) fn number(&self, node: &Node) -> InodeNo {
        place(&self.0.lock(), node)
    }

    /// The number of a node that the kernel is told of: one lookup more, to be [forgotten](Self::forget).
    pub(super) fn remember(&self, node: Node, facts: Option<Facts>) -> InodeNo {
        let mut nodes = self.0.lock();
        let ino = place(&nodes, &node);
        let known = nodes.entry(ino).or_insert(Known { node, facts, lookups: 0 });
        known.lookups += 1;
        known.facts = facts.or(known.facts);
        ino
    }

    /// Whether the kernel refers to a node.
    pub(super) fn knows(&self, node: &Node) -> bool {
        let nodes = self.0.lock();
        nodes.contains_key(&place(&nodes, node))
    }

    /// A node is no more, whatever the kernel still refers to.
    pub(super) fn remove(&self, node: &Node) {
        let mut nodes = self.0.lock();
        let ino = place(&nodes, node);
        nodes.remove(&ino);
    }

    /// What was learnt of an upload last.
    pub(super) fn facts(&self, node: &Node) -> Option<Facts> {
        let nodes = self.0.lock();
        nodes.get(&place(&nodes, node))?.facts
    }

    /// Something was learnt anew; `None`: that what is known does not count any more.
    pub(super) fn learn(&self, node: &Node, facts: Option<Facts>) {
        let mut nodes = self.0.lock();
        let ino = place(&nodes, node);
        if let Some(known) = nodes.get_mut(&ino) {
            known.facts = facts;
        }
    }

    /// The kernel forgot `count` lookups.
    pub(in crate::fs) fn forget(&self, ino: InodeNo, count: u64) {
        let mut nodes = self.0.lock();
        if let Some(known) = nodes.get_mut(&ino) {
            known.lookups = known.lookups.saturating_sub(count);
            if known.lookups == 0 {
                nodes.remove(&ino);
            }
        }
    }
}

/// The number of a node: what its hash says, or the next that is no other's.
fn place(nodes: &HashMap<InodeNo, Known>, node: &Node) -> InodeNo {
    if matches!(node, Node::Directory(prefix) if prefix.is_empty()) {
        return InodeNo::UPLOADS;
    }
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    let mut number = hasher.finish();
    loop {
        let ino = InodeNo(InodeNo::FIRST_NODE | number);
        match nodes.get(&ino) {
            Some(known) if known.node != *node => number = number.wrapping_add(1),
            _ => return ino,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Key, UploadId};

    #[tokio::test(start_paused = true)]
    async fn a_node_lives_as_long_as_the_kernel_refers_to_it() {
        let nodes = Nodes::default();
        let upload = Upload { key: Key::new("a/b").unwrap(), id: UploadId::new("1") };
        let (file, folder) = (Node::Upload(upload), Node::Directory("a/".to_owned()));
        let facts = Facts { initiated: SystemTime::UNIX_EPOCH, bytes: 7, asked: Instant::now() };
        let ino = nodes.remember(file.clone(), Some(facts));
        assert!(Nodes::has(ino) && ino != InodeNo::UPLOADS);
        assert_eq!(nodes.number(&file), ino);
        assert_ne!(nodes.number(&folder), ino);
        assert_eq!(nodes.remember(file.clone(), None), ino);
        assert_eq!(nodes.facts(&file), Some(facts), "not knowing is no news");
        assert!(facts.are_fresh());
        tokio::time::advance(FRESH).await;
        assert!(!facts.are_fresh());
        nodes.learn(&file, None);
        assert_eq!(nodes.facts(&file), None);
        nodes.forget(ino, 1);
        assert_eq!(nodes.get(ino), Some(file));
        nodes.forget(ino, 1);
        assert_eq!(nodes.get(ino), None);
        assert_eq!(nodes.get(InodeNo::UPLOADS), Some(Node::Directory(String::new())));
    }
}
