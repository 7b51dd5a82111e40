//! One inode: what we believe of one file or directory, and since when.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::fs::attr::{Attr, Defaults, Kind};
use crate::fs::error::FsError;
use crate::fs::name::Name;
use crate::fs::ordered::{Ordered, OrderedGuard, STATE};
use crate::fs::xattr::Xattrs;
use crate::read::FileReader;
use crate::store::{
    Checksum, ListedObject, Metadata, ObjectInfo, ObjectVersion, PutOptions, StandardHeaders,
};
use crate::write::FileWriter;

/// Number of an inode. Never used again for another file while the mount lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeNo(pub u64);

impl InodeNo {
    /// The mount point (fixed by the FUSE protocol).
    pub const ROOT: Self = Self(1);
    /// `.partfs`, the control directory.
    pub const CONTROL: Self = Self(2);
    /// `.partfs/status.json`.
    pub const STATUS: Self = Self(3);
    /// `.partfs/uploads`.
    pub const UPLOADS: Self = Self(4);
    /// `.partfs/metrics`.
    pub const METRICS: Self = Self(5);
    /// The numbers from here on are those of what is below it.
    pub(crate) const FIRST_NODE: u64 = 1 << 63;
    /// The first number for things in the bucket.
    pub(crate) const FIRST_FREE: u64 = 16;
}

/// What the bucket holds for an inode, as far as we know.
#[derive(Debug, Clone)]
pub struct Object {
    /// ETag and size.
    pub version: ObjectVersion,
    /// CRC-64 of the content, where the service told.
    pub checksum: Option<Checksum>,
    /// When the service changed it last; `None` right after a change of ours (the answers to PUT and
    /// Complete do not tell).
    pub last_modified: Option<SystemTime>,
    /// User metadata; `None` when only a listing told us of the object.
    pub metadata: Option<Metadata>,
    /// Content-Type, Cache-Control and the like, kept when metadata is rewritten.
    pub headers: StandardHeaders,
    /// Storage class where it is not the standard one, kept as well.
    pub storage_class: Option<String>,
    /// The service's name for this content, in a bucket that keeps versions; `None` where only HEAD
    /// would tell.
    pub version_id: Option<String>,
    /// Whether it was made by append. Listings do not tell.
    pub appendable: bool,
    /// When the bucket was asked for this (or had confirmed it, where the change was ours). What we
    /// have learnt or done since then is newer.
    pub asked: Instant,
}

impl Object {
    /// What HEAD told, asked then.
    pub fn from_info(info: ObjectInfo, asked: Instant) -> Self {
        Self {
            version: info.version,
            checksum: info.checksum,
            last_modified: Some(info.last_modified),
            metadata: Some(info.metadata),
            headers: info.headers,
            storage_class: info.storage_class,
            version_id: info.version_id,
            appendable: info.appendable,
            asked,
        }
    }

    /// What a PUT or a copy of ours with these properties has made just now.
    pub fn from_ours(version: ObjectVersion, options: PutOptions) -> Self {
        Self {
            version,
            checksum: None,
            last_modified: None,
            metadata: Some(options.metadata),
            headers: options.headers,
            storage_class: options.storage_class,
            version_id: None,
            appendable: false,
            asked: Instant::now(),
        }
    }

    /// What a listing told, asked for then: no metadata.
    pub fn from_listing(listed: &ListedObject, asked: Instant) -> Self {
        Self {
            version: ObjectVersion { etag: listed.etag.clone(), size: listed.size },
            checksum: None,
            last_modified: Some(listed.last_modified),
            metadata: None,
            headers: StandardHeaders::default(),
            storage_class: listed.storage_class.clone(),
            version_id: None,
            appendable: false,
            asked,
        }
    }

    /// What we know, when `listed` shows that it still holds. The ETag alone does not tell: a copy
    /// onto itself with other metadata keeps it, but moves the time. Where we do not know the time,
    /// because the change was ours, it holds for `ttl`, as everything does that is not asked again.
    pub fn still_holds(&self, listed: &Self, ttl: Duration) -> Option<Self> {
        let same_time = match self.last_modified {
            Some(_) => self.last_modified == listed.last_modified,
            None => self.asked.elapsed() < ttl,
        };
        let same = same_time && self.version == listed.version && self.metadata.is_some();
        same.then(|| Self { asked: listed.asked, ..self.clone() })
    }

    /// Whether `now`, a later answer, shows nothing but what was known: the same bytes, and as far as
    /// either tells, the same metadata and the same time.
    pub fn is_unchanged(&self, now: &Self) -> bool {
        fn agree<T: PartialEq>(known: Option<&T>, now: Option<&T>) -> bool {
            known.zip(now).is_none_or(|(known, now)| known == now)
        }
        self.version == now.version
            && agree(self.metadata.as_ref(), now.metadata.as_ref())
            && agree(self.last_modified.as_ref(), now.last_modified.as_ref())
    }
}

/// A complete listing of a directory: it proves which names are absent.
#[derive(Debug, Clone)]
pub struct Listing {
    /// When it was complete.
    pub at: Instant,
    /// Every name with what it is.
    pub names: HashMap<Name, Kind>,
}

/// The changing part of an inode.
#[derive(Debug)]
pub struct State {
    /// Attributes as users see them. While a writer exists, ask it for the size.
    pub attr: Attr,
    /// What the bucket holds; `None` for a file that was never committed and for a directory without
    /// a marker object.
    pub object: Option<Object>,
    /// When the bucket last confirmed our belief.
    pub checked: Option<Instant>,
    /// The content being changed, shared by all handles; from the first change to the commit after
    /// which nobody has the file open for writing. Of a file without a name: until nobody has it open.
    pub writer: Option<Arc<FileWriter>>,
    /// The last one who wrote was killed: what the writer has is not published, and it goes before anybody
    /// else changes the file.
    pub left: bool,
    /// Handles open for writing.
    pub open_writers: u32,
    /// Handles open for reading only.
    pub open_readers: u32,
    /// How many publications of the present writer `object` has taken in.
    pub taken: u64,
    /// Counts our own commits: a reader opened before one reads the new content after it.
    pub commits: u64,
    /// Attributes differ from the object's metadata and wait to be stored.
    pub attr_pending: bool,
    /// The modification time was set by the user and must be stored as it is.
    pub mtime_set: bool,
    /// Extended attributes that were changed here; `None` while they are what the metadata of `object`
    /// says.
    pub xattrs: Option<Xattrs>,
    /// Made with `O_EXCL`: its first publication must not replace anything.
    pub exclusive: bool,
    /// Removed or replaced; open handles still work, nothing is ever published.
    pub unlinked: bool,
    /// A commit failed after the last handle was gone; told once to the next open.
    pub failure: Option<FsError>,
    /// The last thing that was written could not be stored, and nothing was since. Only shown.
    pub not_stored: Option<FsError>,
    /// The present writer's failure was the result of a close or fsync, so no open needs to tell it.
    pub failure_reported: bool,
    /// The service is giving the object another key: who wants to open the file waits for the turn.
    pub moving: bool,
    /// A task that will store the attributes is on its way.
    pub settle_scheduled: bool,
    /// Readers of open handles; a rename tells them the new key.
    pub readers: Vec<Weak<FileReader>>,
    /// Content of a symbolic link.
    pub target: Option<Arc<str>>,
    /// Directories: which names exist, when a listing was complete.
    pub listing: Option<Listing>,
    /// Directories: counts our own changes of names, so that a slower answer of the bucket is not
    /// believed over them.
    pub names_changed: u64,
    /// Directories: when a name last came or went through this mount, if that is the time to be shown.
    /// Never stored: it would cost a request for each file.
    pub names_time: Option<SystemTime>,
    /// Directories: names asked for one by one since the last complete listing.
    pub names_asked: u32,
    /// Directories: whether the marker object exists, when known.
    pub marker: Option<bool>,
    /// The version whose pages the kernel may still have in its cache.
    pub kernel_caches: Option<ObjectVersion>,
}

/// A file, directory or symbolic link.
pub struct Inode {
    /// Its number.
    pub ino: InodeNo,
    /// What it is; fixed for life (another kind under the same name gets another number).
    pub kind: Kind,
    /// Held by whoever changes what the bucket holds for this inode (commit, rename, removal,
    /// storing of attributes), across waits. Taken before any other lock.
    pub turn: Arc<tokio::sync::Mutex<()>>,
    state: Ordered<State, STATE>,
}

impl Inode {
    /// An inode that nothing is known of but its attributes.
    pub fn new(ino: InodeNo, kind: Kind, attr: Attr, object: Option<Object>) -> Self {
        let state = State {
            attr,
            object,
            checked: None,
            writer: None,
            left: false,
            open_writers: 0,
            open_readers: 0,
            taken: 0,
            commits: 0,
            attr_pending: false,
            mtime_set: false,
            xattrs: None,
            exclusive: false,
            unlinked: false,
            failure: None,
            not_stored: None,
            failure_reported: false,
            moving: false,
            settle_scheduled: false,
            readers: Vec::new(),
            target: None,
            listing: None,
            names_changed: 0,
            names_time: None,
            names_asked: 0,
            marker: None,
            kernel_caches: None,
        };
        Self { ino, kind, turn: Arc::default(), state: Ordered::new(state) }
    }

    /// The state; never held across a wait.
    pub fn state(&self) -> OrderedGuard<'_, State> {
        self.state.lock()
    }

    /// Waits until its object stays where it is. For who has pinned it, so that no move begins.
    pub async fn until_moved(&self) {
        while self.state().moving {
            drop(self.turn.lock().await);
        }
    }

    /// Attributes as of now.
    pub fn attr(&self) -> Attr {
        self.state().current_attr()
    }
}

impl fmt::Debug for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inode({}, {:?})", self.ino.0, self.kind)
    }
}

impl State {
    /// Attributes as they are told: with the size of a file that is being written, the time of names
    /// that changed, and no name where it was removed.
    pub fn current_attr(&self) -> Attr {
        let mut attr = self.attr.clone();
        attr.mtime = attr.mtime.max(self.names_time.unwrap_or(attr.mtime));
        attr.ctime = attr.ctime.max(self.names_time.unwrap_or(attr.ctime));
        attr.links = u32::from(!self.unlinked);
        if let Some(writer) = &self.writer {
            attr.size = writer.size();
        }
        attr
    }

    /// Whether we hold changes that the bucket does not have, or are making one there; then nobody
    /// else is asked.
    pub fn is_ours(&self) -> bool {
        self.writer.is_some() || self.attr_pending || self.unlinked || self.moving
    }

    /// Whether everything we would answer was confirmed less than `ttl` ago, or is ours.
    pub fn is_fresh(&self, kind: Kind, ttl: Duration) -> bool {
        let complete = match kind {
            Kind::Directory => true,
            Kind::File | Kind::Symlink => {
                self.object.as_ref().is_none_or(|object| object.metadata.is_some())
            }
        };
        self.is_ours() || complete && self.checked.is_some_and(|at| at.elapsed() < ttl)
    }

    /// Whether the writer has published something that is not in `object` yet: reading back or
    /// changing bytes of an upload completes it.
    pub fn has_news(&self) -> bool {
        self.writer.is_some() && self.publications() != self.taken
    }

    /// How often the present writer has published.
    pub fn publications(&self) -> u64 {
        self.writer.as_ref().map_or(0, |writer| writer.publications())
    }

    /// Whether there is an object of this inode in the bucket.
    pub fn is_stored(&self) -> bool {
        self.object.is_some() || self.has_news()
    }

    /// Whether somebody needs the writer: who writes, and of a file without a name whoever has it open,
    /// because its bytes are nowhere else.
    pub fn needs_writer(&self) -> bool {
        self.open_writers > 0 || self.unlinked && self.open_readers > 0
    }

    /// Takes the writer out that was [left](Self::left) by who was killed. What had been published by then
    /// stays; then there is nothing to take, nor where somebody writes again.
    pub fn take_left_writer(&mut self) -> Option<Arc<FileWriter>> {
        // Whoever writes again by now decides anew.
        if !std::mem::take(&mut self.left) || self.needs_writer() || self.unlinked {
            return None;
        }
        self.writer.take_if(|writer| writer.is_dirty() && writer.failure().is_none())
    }

    /// Ends the life of a writer that nobody uses and that has nothing left to do. Says whether one
    /// remains that must be finished.
    pub fn drop_idle_writer(&mut self) -> bool {
        if self.needs_writer() {
            return false;
        }
        let news = self.has_news();
        let Some(writer) = &self.writer else { return false };
        if news || self.unlinked || writer.is_dirty() {
            return true;
        }
        self.attr.size = writer.size();
        self.writer = None;
        false
    }

    /// The readers that are still in use.
    pub fn live_readers(&mut self) -> Vec<Arc<FileReader>> {
        self.readers.retain(|reader| reader.strong_count() > 0);
        self.readers.iter().filter_map(Weak::upgrade).collect()
    }

    /// Directories: a name of ours appeared.
    pub fn name_added(&mut self, name: &Name, kind: Kind, now: SystemTime) {
        self.names_changed += 1;
        self.names_time = Some(now);
        if let Some(listing) = &mut self.listing {
            listing.names.insert(name.clone(), kind);
        }
    }

    /// Directories: a name of ours went.
    pub fn name_removed(&mut self, name: &Name, now: SystemTime) {
        self.names_changed += 1;
        self.names_time = Some(now);
        if let Some(listing) = &mut self.listing {
            listing.names.remove(name);
        }
    }

    /// Directories: a name of ours was that of a directory and is none any more. An object that was
    /// hidden by the directory may be there now: the name must be asked for again.
    pub fn name_vacated(&mut self, name: &Name, now: SystemTime) {
        self.names_changed += 1;
        self.names_time = Some(now);
        if let Some(listing) = &mut self.listing {
            listing.names.insert(name.clone(), Kind::File);
        }
    }

    /// Directories: the bucket was asked at `asked`, and has no marker. What it said once is over.
    pub fn lost_marker(&mut self, asked: Instant, defaults: &Defaults) {
        if self.is_ours() {
            return;
        }
        let Some(object) = &self.object else {
            // One that was made to keep the directory, before or after the bucket was asked.
            self.marker = self.marker.filter(|there| !there);
            return;
        };
        if object.asked > asked {
            return;
        }
        self.object = None;
        self.marker = Some(false);
        self.xattrs = None;
        (self.attr.permissions, self.attr.uid, self.attr.gid) =
            (defaults.dir_mode, defaults.uid, defaults.gid);
    }

    /// Takes in what HEAD or a listing said of the object, told at `told`; unless we know better by
    /// now.
    pub fn confirm(
        &mut self,
        kind: Kind,
        mut object: Object,
        told: Instant,
        defaults: &Defaults,
        ttl: Duration,
    ) {
        if self.is_ours() || self.checked.is_some_and(|checked| checked > object.asked) {
            return;
        }
        self.checked = Some(told);
        if object.metadata.is_none()
            && let Some(known) = self.object.as_ref().and_then(|o| o.still_holds(&object, ttl))
        {
            object = known;
        }
        if self.object.as_ref().is_some_and(|known| known.version != object.version) {
            self.target = None;
        }
        let nothing = Metadata::new();
        let same = self.object.as_ref().is_some_and(|known| known.is_unchanged(&object));
        let ctime = same.then_some(self.attr.ctime);
        self.attr = Attr::from_object(
            kind,
            object.version.size,
            object.last_modified.unwrap_or(self.attr.mtime),
            object.metadata.as_ref().unwrap_or(&nothing),
            defaults,
        );
        // What the bucket confirms is no change: `tar` and `git` take another ctime for one.
        self.attr.ctime = ctime.unwrap_or(self.attr.ctime);
        self.object = Some(object);
        self.xattrs = None;
    }
}
