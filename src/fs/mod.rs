//! What a file system promises: names, inodes, handles, and when bytes and attributes become durable.
//! Knows writers, readers and the store; knows no kernel protocol, no HTTP, no provider.
//!
//! Every operation of the kernel has one method here, in `ops/`. Many come in two forms: `try_…`
//! answers from what is in memory and never waits (it runs on the kernel's dispatch thread), and the
//! `async` form does the same with the store's help.
//!
//! # Locks
//!
//! In this order; the later may be taken while the earlier is held, never the other way round:
//!
//! 1. a directory stream of a handle (async, held across waits),
//! 2. [`Inode::turn`](inode::Inode::turn) (async, held across waits); several at once only by rename:
//!    a directory's before those of what is below it, and those of files ascending by number. Whoever
//!    changes the object takes the turn by `turn_of`, which first publishes what rests on it in the turns
//!    of those files; so that waits for no other turn, and holds none,
//! 3. the reader of a handle (never across a wait),
//! 4. the state of one inode (never across a wait, never two at once),
//! 5. the state of the gate (never across a wait),
//! 6. the loans; the table of inodes, the table of handles, the remembered objects, the renames under way
//!    (leaves: no other lock is taken under them).
//!
//! Debug builds check the order of 3 to 6 wherever one is taken ([`ordered`]).

pub mod attr;
mod background;
pub mod control;
pub mod error;
pub mod failures;
mod fate;
mod gate;
pub mod handle;
pub mod holders;
pub mod inode;
pub mod inodes;
mod known;
mod loans;
pub mod name;
mod named;
pub mod ops;
pub mod ordered;
pub mod shown;
mod told_xattr;
mod waiting;
pub mod witness;
pub mod xattr;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

use crate::budget::Budget;
use crate::clock::Clock;
use crate::read::{ReadConfig, Readers};
use crate::store::{NamePattern, ObjectStore};
use crate::write::{WriteConfig, Writers};

use self::attr::{Attr, Defaults};
use self::background::Background;
use self::control::uploads::Nodes;
use self::failures::Failures;
use self::gate::{Closed, Entered, Gate};
use self::handle::Handles;
use self::inodes::Inodes;
use self::known::Known;
use self::loans::Loans;
use self::ops::rename_again::Unfinished;
use self::ops::rename_progress::Renames;
use self::ordered::{LEAF, Ordered};
use self::waiting::Waiting;
use self::witness::{Eyes, Witness};

pub use self::attr::{Kind, SetAttr};
pub use self::error::{FsError, FsResult, Meaning};
pub use self::handle::HandleNo;
pub use self::inode::InodeNo;
pub use self::ops::dir::DirItem;
pub use self::ops::drain::{DrainReport, Lacks, Unsaved};
pub use self::ops::io::WriteAt;
pub use self::ops::lookup::Entry;
pub use self::ops::open::{OpenMode, Opened};
pub use self::ops::rename::RenameFlags;
pub use self::ops::space::Allocate;
pub use self::ops::xattr::SetXattr;
pub use self::waiting::{Wait, WaitStatus};

/// What the user may decide about names and attributes.
#[derive(Debug, Clone)]
pub struct FsConfig {
    /// What is mounted, for the status file.
    pub source: String,
    /// Owner of objects without one, and of everything created without a caller.
    pub uid: u32,
    /// Group, likewise.
    pub gid: u32,
    /// Permission bits of files without any.
    pub file_mode: u32,
    /// Permission bits of directories without any.
    pub dir_mode: u32,
    /// How long an answer of the bucket is believed.
    pub attr_ttl: Duration,
    /// How long changed attributes of a closed file wait for more changes before they are stored.
    pub settle_delay: Duration,
    /// What becomes of a file whose writer is killed.
    pub on_writer_killed: OnWriterKilled,
    /// Names of files that are written as appendable objects, where the service has them.
    pub append_objects: Vec<NamePattern>,
    /// Refuse every change.
    pub read_only: bool,
    /// Whether there is the control directory, `.partfs`.
    pub control_dir: bool,
    /// Whether uploads that this mount is working on can be aborted by hand.
    pub abort_busy_uploads: bool,
    /// The write pipeline.
    pub write: WriteConfig,
    /// The read pipeline.
    pub read: ReadConfig,
}

/// What becomes of a file when a signal ends the process that was writing it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnWriterKilled {
    /// It is not published: half a file must not look like a whole one. The old object stays.
    #[default]
    KeepOld,
    /// It is published as far as it came, as by a close.
    Publish,
}

/// One mounted bucket.
pub struct FileSystem {
    store: Arc<dyn ObjectStore>,
    writers: Arc<Writers>,
    readers: Arc<Readers>,
    clock: Arc<dyn Clock>,
    runtime: Runtime,
    budget: Budget,

    config: FsConfig,
    defaults: Defaults,

    inodes: Arc<Inodes>,
    handles: Handles,
    known: Known,
    loans: Loans,
    eyes: Arc<Eyes>,
    background: Background,
    unfinished: Unfinished,
    renames: Renames,
    gate: Gate<InodeNo>,
    waiting: Arc<Waiting>,
    /// What the kernel knows of `.partfs/uploads`.
    upload_nodes: Nodes,
    /// Becomes true when the mount ends: whoever waits for convenience waits no longer.
    draining: watch::Sender<bool>,
    /// Files that were still open for writing when the connection was cut.
    cut: Ordered<Vec<String>, LEAF>,
    failures: Failures,
    /// By path: failures that no program was told of.
    unheard: Ordered<BTreeMap<String, String>, LEAF>,
    /// Changes are refused, because the mount ends.
    ending: AtomicBool,
    /// Where `partfs umount` learns how the mount ended.
    last_words: OnceLock<String>,
    /// Files that were not published because their writers were killed.
    killed_writers: AtomicU64,
    /// Keys met in listings that are not shown.
    hidden_keys: AtomicU64,
    /// Extended attributes that cannot be read were met, and the log has said so.
    unreadable_xattrs: AtomicBool,
    /// When it was made.
    began: SystemTime,
}

impl FileSystem {
    /// A file system over a bucket. Makes no request.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        budget: Budget,
        clock: Arc<dyn Clock>,
        config: FsConfig,
        runtime: Runtime,
    ) -> Arc<Self> {
        let writers = Writers::new(
            Arc::clone(&store),
            budget.clone(),
            config.write.clone(),
            &clock,
            runtime.clone(),
        );
        let readers =
            Readers::new(Arc::clone(&store), budget.clone(), config.read.clone(), runtime.clone());
        let defaults = Defaults {
            uid: config.uid,
            gid: config.gid,
            file_mode: config.file_mode,
            dir_mode: config.dir_mode,
        };
        let inodes = Inodes::new(Attr::new(
            Kind::Directory,
            config.dir_mode,
            config.uid,
            config.gid,
            clock.now(),
        ));
        let began = clock.now();
        let eyes = Arc::<Eyes>::default();
        Arc::new(Self {
            waiting: Waiting::new(Arc::clone(&inodes), Arc::clone(&eyes)),
            store,
            writers,
            readers,
            clock,
            runtime,
            budget,
            config,
            defaults,
            inodes,
            handles: Handles::new(),
            known: Known::new(),
            loans: Loans::default(),
            eyes,
            background: Background::new(),
            unfinished: Unfinished::default(),
            renames: Renames::default(),
            gate: Gate::default(),
            upload_nodes: Nodes::default(),
            draining: watch::Sender::new(false),
            cut: Ordered::default(),
            failures: Failures::default(),
            unheard: Ordered::default(),
            ending: AtomicBool::new(false),
            last_words: OnceLock::new(),
            killed_writers: AtomicU64::new(0),
            hidden_keys: AtomicU64::new(0),
            unreadable_xattrs: AtomicBool::new(false),
            began,
        })
    }

    /// Tells which device the mount got (`st_dev` of the mount point), so that open descriptors of
    /// its files can be recognised in `/proc`.
    pub fn mounted_as(&self, device: u64) {
        self.eyes.set_device(device);
    }

    /// From now on this one is asked about the processes that call, because this process may not look at them
    /// itself. To be called once, before anybody calls.
    pub fn watched_by(&self, witness: Arc<dyn Witness>) {
        self.eyes.give(witness);
    }

    /// A request of process or thread `caller` begins to wait, until the answer is dropped. While it does, the
    /// status file shows it; after ten seconds the log does. When the caller is killed meanwhile, `let_go`
    /// is called, once; the work goes on.
    pub fn wait(
        &self,
        operation: &'static str,
        ino: InodeNo,
        caller: u32,
        let_go: impl FnOnce() + Send + 'static,
    ) -> Wait {
        self.waiting.enter(&self.runtime, operation, ino, caller, Box::new(let_go))
    }

    /// Waits until every request that waited has its answer: a process that ends before takes it along, and the
    /// program is told an error about what is stored.
    pub async fn all_answered(&self) {
        self.waiting.over().await;
    }

    /// How long the kernel may keep an answer.
    pub fn ttl(&self) -> Duration {
        self.config.attr_ttl
    }

    /// See [`Gate::enter`].
    async fn enter(&self, parents: &[InodeNo]) -> Entered<'_, InodeNo> {
        self.gate.enter(parents, |ino, directory| self.inodes.is_within(ino, directory)).await
    }

    /// See [`Gate::close_below`].
    async fn close_below(&self, directory: InodeNo) -> Closed<'_, InodeNo> {
        self.gate.close_below(directory, |ino, above| self.inodes.is_within(ino, above)).await
    }

    /// Says in the status file at which socket, in the abstract namespace, the daemon tells how the mount ends.
    pub fn tells_its_end_at(&self, socket: String) {
        // There is one for each mount; the first name stays.
        let _ = self.last_words.set(socket);
    }

    /// Refuses new changes on a mount that is for reading, or that ends: what begins then may never be
    /// stored.
    fn check_writable(&self) -> FsResult<()> {
        let refused = self.config.read_only || self.ending.load(Ordering::Relaxed);
        if refused { Err(Meaning::ReadOnly.into()) } else { Ok(()) }
    }

    /// As [`check_writable`](Self::check_writable), but a file that is open for writing may be finished.
    fn check_changeable(&self, ino: InodeNo) -> FsResult<()> {
        let is_open = || self.inodes.get(ino).is_some_and(|it| it.state().open_writers > 0);
        match self.check_writable() {
            Err(_) if !self.config.read_only && is_open() => Ok(()),
            checked => checked,
        }
    }
}

impl fmt::Debug for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSystem({}, {} inodes)", self.config.source, self.inodes.len())
    }
}
