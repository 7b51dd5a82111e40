//! One page of a directory: what a listing says, item by item, without asking for any of them.

use std::sync::atomic::Ordering;

use tokio::time::Instant;
use tracing::debug;

use crate::fs::FileSystem;
use crate::fs::attr::{Kind, is_symlink};
use crate::fs::error::{FsError, FsResult, Meaning};
use crate::fs::inode::{Inode, Object};
use crate::fs::name::Name;
use crate::fs::ops::dir::item::Item;
use crate::fs::ops::dir::pages::{Cursor, DirStream};
use crate::store::{ListPage, ListRequest};

/// A listing with more names is not kept as proof of absence.
const LISTING_NAMES: usize = 100_000;

impl FileSystem {
    /// The items of a page, `carried` ones first, where the next page begins, and what is carried to it.
    pub(super) async fn list_page(
        &self,
        inode: &Inode,
        stream: &mut DirStream,
        after: Option<String>,
        (carried, first_time): (Vec<Item>, bool),
    ) -> FsResult<(Vec<Item>, Cursor, Vec<Item>)> {
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
            return Err(FsError::with_detail(Meaning::Io, detail));
        }
        let next = page.next.clone().map_or(Cursor::Ours, Cursor::After);
        let more = page.next.is_some();
        let items = self.items_of(inode, stream, &prefix, (page, asked), (carried, first_time));
        // While a directory of the same name may follow, it is not known what an object is.
        let (carried, items) =
            items.into_iter().partition(|item| more && stream.shadows.contains(&item.name));
        Ok((items, next, carried))
    }

    fn items_of(
        &self,
        inode: &Inode,
        stream: &mut DirStream,
        prefix: &str,
        (page, asked): (ListPage, Instant),
        (mut items, first_time): (Vec<Item>, bool),
    ) -> Vec<Item> {
        let objects =
            page.objects.into_iter().map(|object| (object.key.as_str().to_owned(), Some(object)));
        let prefixes = page.prefixes.into_iter().map(|prefix| (prefix, None));
        let mut all: Vec<_> = objects.chain(prefixes).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (text, object) in all {
            let Some(rest) = text.strip_prefix(prefix) else { continue };
            if rest.is_empty() {
                inode.state().marker = Some(true);
                // One that holds bytes is a file as well: `a/` is the empty element in `a`.
                if object.as_ref().is_none_or(|object| object.size == 0) {
                    continue;
                }
            }
            let (component, kind) = match rest.strip_suffix('/') {
                Some(component) => (component, Kind::Directory),
                None => (rest, Kind::File),
            };
            let Some(name) = Name::from_key_component(component) else {
                self.hidden_keys.fetch_add(1, Ordering::Relaxed);
                debug!(key = text, "not an entry of the directory that was asked for");
                continue;
            };
            stream.shadows.retain(|shadow| name.as_str().starts_with(shadow.as_str()));
            if kind == Kind::Directory && stream.shadows.contains(&name) {
                if let Some(names) = &mut stream.names {
                    names.insert(name.clone(), kind);
                }
                // The object of the same name stands on this page, or was carried to it; the
                // directory takes its place.
                let hidden = items.iter_mut().rev().find(|item: &&mut Item| item.name == name);
                if let Some(hidden) = hidden {
                    *hidden = self.item_of(inode, name.clone(), kind, &text, None);
                }
                stream.shadows.retain(|shadow| *shadow != name);
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
        let stays_directory =
            |child: &Inode| kind != Kind::Directory && self.has_unpublished(child);
        if let Some(child) = &child {
            if child.state().is_ours() {
                return Item::new(name, child.kind, None, true);
            }
            // Another item takes its place when keys below it follow.
            if stays_directory(child) {
                return Item::without_marker(name, listed.map(|object| object.asked));
            }
        }
        if let Some(listed) = listed {
            let ttl = self.ttl();
            // What is known of a directory is that of its marker, which may have the same ETag.
            let known = child
                .filter(|child| child.kind != Kind::Directory)
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
}
