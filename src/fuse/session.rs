//! Mounting, and the life of the connection to the kernel.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use fuser::{Config, MountOption, SessionACL, SessionUnmounter};
use tokio::runtime::Handle as Runtime;

use crate::fs::FileSystem;
use crate::fuse::Adapter;
use crate::fuse::guarded::Guarded;

/// How the kernel shall mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    unmounter: Mutex<SessionUnmounter>,
    dispatch: JoinHandle<io::Result<()>>,
    at: PathBuf,
    device: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.at.display())
    }
}

/// Mounts a file system: directly where the process may (root), else through `fusermount3`. When this
/// returns, the kernel has accepted the mount.
pub fn mount(
    fs: Arc<FileSystem>,
    at: &Path,
    options: &SessionOptions,
    runtime: Runtime,
) -> io::Result<Session> {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(options.source.clone()),
        // Not `Subtype`: fuser drops that when it mounts by itself, and the type tells our mounts.
        MountOption::CUSTOM("subtype=partfs".to_owned()),
        // Metadata in a bucket is written by others: no set-id programs, no devices.
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoAtime,
        MountOption::DefaultPermissions,
    ];
    if options.read_only {
        config.mount_options.push(MountOption::RO);
    }
    if options.no_exec {
        config.mount_options.push(MountOption::NoExec);
    }
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(options.threads.max(1));
    let adapter = Adapter::new(Arc::clone(&fs), runtime, options.request_bytes);
    let mut session = fuser::Session::new(Guarded(adapter), at, &config)?;
    let unmounter = Mutex::new(session.unmount_callable());
    let dispatch = thread::Builder::new().name("fuse".to_owned()).spawn(move || session.run())?;
    let device = std::fs::metadata(at)?.dev();
    fs.mounted_as(device);
    Ok(Session { unmounter, dispatch, at: at.to_owned(), device })
}

impl Session {
    /// Unmounts; with files still open the kernel detaches the mount point and the session goes on
    /// until the last one is closed. Safe to repeat.
    pub fn unmount(&self) -> io::Result<()> {
        self.unmounter.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).unmount()
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
