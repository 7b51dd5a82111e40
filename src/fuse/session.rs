//! Mounting, and the life of the connection to the kernel.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use fuser::{Config, SessionACL};
use rustix::mount::{UnmountFlags, unmount};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle as Runtime;

use crate::fs::FileSystem;
use crate::fuse::Adapter;
use crate::fuse::device::{self, Device};
use crate::fuse::guarded::Guarded;

/// How the kernel shall mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOptions {
    /// What `df` and `mount` show as the source.
    pub source: String,
    /// Let other users in; permissions are then enforced by the kernel.
    pub allow_other: bool,
    /// Refuse every change, in the kernel already.
    pub read_only: bool,
    /// Start no programs from it.
    pub no_exec: bool,
    /// Dispatch threads; each has a buffer of 16 MiB. One is enough for one writer.
    pub threads: usize,
    /// The largest read or write that the kernel sends, in bytes; at least 4 KiB, which 0 stands for.
    pub request_bytes: u32,
}

/// A mounted file system.
pub struct Session {
    dispatch: JoinHandle<io::Result<()>>,
    at: PathBuf,
    device: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.at.display())
    }
}

/// Mounts a file system and serves it. When this returns, the kernel has accepted the mount. See
/// [`device::mount`] for the errors; a mount that cannot be served is taken away.
pub fn mount(
    fs: Arc<FileSystem>,
    at: &Path,
    options: &SessionOptions,
    runtime: Runtime,
) -> io::Result<Session> {
    let device = device::mount(at, options)?;
    let session = serve(fs, device, at, options, runtime);
    if session.is_err() {
        let _ = unmount(at, UnmountFlags::DETACH);
    }
    session
}

/// Serves a mount that somebody has made, with the same options. When this returns, the kernel knows that it is
/// served.
///
/// # Errors
/// The connection was lost, or a thread cannot be started. Then the mount is dead, and whoever made it has to
/// take it away.
pub fn serve(
    fs: Arc<FileSystem>,
    device: Device,
    at: &Path,
    options: &SessionOptions,
    runtime: Runtime,
) -> io::Result<Session> {
    let mut config = Config::default();
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(options.threads.max(1));
    let adapter = Adapter::new(Arc::clone(&fs), runtime, options.request_bytes);
    let Device { connection, number } = device;
    let acl = config.acl;
    let session = fuser::Session::from_fd(Guarded(adapter), connection, acl, config)?;
    fs.mounted_as(number);
    let dispatch = thread::Builder::new().name("fuse".to_owned()).spawn(move || session.run())?;
    Ok(Session { dispatch, at: at.to_owned(), device: number })
}

impl Session {
    /// Unmounts, for whoever mounted by themselves ([`mount`]).
    ///
    /// # Errors
    /// EBUSY while files are open.
    pub fn unmount(&self) -> io::Result<()> {
        Ok(unmount(&self.at, UnmountFlags::NOFOLLOW)?)
    }

    /// The device number that the kernel has given to the mount.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// Waits until the mount is gone. Blocks the thread.
    ///
    /// # Errors
    /// ECONNABORTED where the connection was aborted: then programs may still have files open.
    pub fn wait(self) -> io::Result<()> {
        self.dispatch
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the dispatch thread panicked")))
    }
}
