//! What each command needs to know. Made by `cli`, where every value has been checked.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::{Connection, ObjectProperties};
pub use crate::fs::OnWriterKilled;
use crate::mock::MockDialect;
use crate::store::{Key, NamePattern};
use crate::telemetry::LogConfig;
use crate::write::OnLeftover;

/// One mount.
#[derive(Debug, Clone)]
pub struct MountConfig {
    /// The bucket.
    pub source: Source,
    /// The URL as typed; what `mount` and `df` show.
    pub shown: String,
    /// Keys below this only: empty, or ending in `/`.
    pub prefix: String,
    /// Where: absolute, but not yet looked at.
    pub mountpoint: PathBuf,
    /// Whether the mount point may hold files.
    pub nonempty: bool,
    /// Whether every change is refused.
    pub read_only: bool,
    /// Whether no program is started from it.
    pub no_exec: bool,
    /// Whether other users are let in.
    pub allow_other: bool,
    /// Owner of what has none.
    pub uid: u32,
    /// Group of what has none.
    pub gid: u32,
    /// Permissions of files that have none.
    pub file_mode: u32,
    /// Permissions of directories that have none.
    pub dir_mode: u32,
    /// How long attributes are believed.
    pub attr_ttl: Duration,
    /// Names of files that are written as appendable objects.
    pub append_objects: Vec<NamePattern>,
    /// Size of the first parts; at most the memory limit.
    pub part_bytes: u64,
    /// Requests that carry data at the same time, at least 1.
    pub max_uploads: usize,
    /// The budget of the mount.
    pub memory_limit_bytes: u64,
    /// What becomes of a file whose writer is killed.
    pub on_writer_killed: OnWriterKilled,
    /// Whether there is `.partfs`.
    pub control_dir: bool,
    /// Whether uploads that this mount is working on can be aborted by hand.
    pub abort_busy_uploads: bool,
    /// How long close() waits.
    pub close_timeout: Duration,
    /// How long a stop waits.
    pub drain_timeout: Duration,
    /// Where temporary files go; a default place when `None`.
    pub staging_dir: Option<PathBuf>,
    /// Where uploads are written down; nowhere when `None`.
    pub state_dir: Option<StateDir>,
    /// What becomes of uploads that were cut off.
    pub on_leftover: OnLeftover,
    /// How old they may become.
    pub leftover_age: Duration,
    /// Where numbers are served: an address of this machine alone. Nowhere when `None`.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether privileges are given up.
    pub sandbox: Sandbox,
    /// Files and folders with certificates of authorities, besides the usual ones.
    pub ca_places: Vec<PathBuf>,
    /// What is logged.
    pub log: LogConfig,
    /// What of this may be something else later.
    pub reread: Reread,
    /// How the process runs.
    pub start: Start,
}

/// Reads anew what the user says, as far as a mount that works can follow.
#[derive(Clone)]
pub struct Reread {
    file: Option<PathBuf>,
    read: Arc<dyn Fn() -> Result<LogLevel, String> + Send + Sync>,
}

impl Reread {
    /// By this, which may block while it reads `file` and no other. Its error is a sentence that names the mistake
    /// and where it stands.
    pub fn new(
        file: Option<PathBuf>,
        read: impl Fn() -> Result<LogLevel, String> + Send + Sync + 'static,
    ) -> Self {
        Self { file, read: Arc::new(read) }
    }

    /// What is read, if anything.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Does it now.
    pub(crate) fn now(&self) -> Result<LogLevel, String> {
        (self.read)()
    }
}

impl fmt::Debug for Reread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reread")
    }
}

/// The level of the log as it is given now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel {
    /// As in [`LogConfig::filter`].
    pub filter: String,
    /// Why it cannot change while the process runs, as the end of "log_level is given".
    pub fixed_by: Option<String>,
}

/// One check of a bucket.
#[derive(Debug, Clone)]
pub struct CheckConfig {
    /// The bucket.
    pub source: Source,
    /// Keys below this only: empty, or ending in `/`.
    pub prefix: String,
    /// Whether writing is tried as well.
    pub write: bool,
}

/// One link to an object.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// The bucket.
    pub connection: Box<Connection>,
    /// The whole key.
    pub key: Key,
    /// How long the link is good.
    pub valid: Duration,
}

/// What is mounted.
#[derive(Debug, Clone)]
pub enum Source {
    /// The mock, inside this process.
    Mock {
        /// Which service it speaks like.
        dialect: MockDialect,
        /// Where its objects are kept; memory when `None`.
        dir: Option<PathBuf>,
        /// What new objects get.
        properties: Box<ObjectProperties>,
    },
    /// A bucket of a service.
    Bucket(Box<Connection>),
}

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateDir {
    /// Where the user said: the mount fails where it cannot be used.
    Named(PathBuf),
    /// Where it usually is: the mount does without where it cannot be used.
    Usual(PathBuf),
}

/// Whether a daemon gives up its privileges before it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// As far as the kernel has it; of the rest there is a warning.
    Auto,
    /// No.
    Off,
    /// All of it, or there is no mount.
    Required,
}

/// How the process of a mount runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// In the terminal, or under a service manager that listens on the socket.
    Foreground {
        /// systemd's `NOTIFY_SOCKET`.
        notify_socket: Option<OsString>,
        /// Within which time it expects a ping, if it does.
        watchdog: Option<Duration>,
    },
    /// Starts another process, waits until it is ready and ends.
    Background {
        /// The command line from the command word on, which the other process gets as well.
        arguments: Vec<OsString>,
        /// Whether mount(8) asked, so that umount(8) shall find its way to us.
        by_mount: bool,
    },
    /// Is that other process.
    BackgroundChild,
}

/// Which uploads, and what is done about them.
#[derive(Debug, Clone)]
pub struct UploadsConfig {
    /// Where they are.
    pub place: UploadsPlace,
    /// Only those that were begun so long ago.
    pub older_than: Option<Duration>,
    /// What is done.
    pub action: UploadsAction,
}

/// Where uploads are looked for.
#[derive(Debug, Clone)]
pub enum UploadsPlace {
    /// In a bucket.
    Bucket {
        /// The bucket.
        source: Source,
        /// Keys below this only: empty, or ending in `/`.
        prefix: String,
    },
    /// In the control directory of a mount, which is here: absolute, but not yet looked at.
    Mountpoint(PathBuf),
}

/// What is done about uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadsAction {
    /// They are shown.
    List {
        /// For programs.
        json: bool,
    },
    /// They are aborted.
    Abort {
        /// Only those of these keys, or `KEY@UPLOADID`; of any key when empty.
        keys: Vec<String>,
    },
}

/// One look at mounts.
#[derive(Debug, Clone)]
pub struct StatusConfig {
    /// Where: absolute, but not yet looked at. All mounts of partfs on the machine when `None`.
    pub mountpoint: Option<PathBuf>,
    /// For programs.
    pub json: bool,
    /// Again and again, until the mount ends.
    pub watch: bool,
}

/// One unmount.
#[derive(Debug, Clone)]
pub struct UmountConfig {
    /// Where: absolute, but not yet looked at.
    pub mountpoint: PathBuf,
    /// Whether open files are no hindrance.
    pub lazy: bool,
    /// Whether the connection is cut where the daemon does not answer.
    pub force: bool,
    /// Whether nothing but a dead mount is touched.
    pub if_dead: bool,
    /// Whether the daemon's end is not waited for.
    pub no_wait: bool,
    /// How long to wait for the daemon's end; without limit when `None`.
    pub timeout: Option<Duration>,
}
