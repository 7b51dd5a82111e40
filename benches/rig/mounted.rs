//! `partfs mount` as a process of its own, whose number is known because it stays in the foreground.

use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::mock::{BUCKET, Mock};
use super::{Outcome, partfs};

/// Longest time until a mount must work.
const START: Duration = Duration::from_secs(60);

/// A mount that works; taken away when dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    daemon: Child,
    place: PathBuf,
    is_mounted: bool,
    // Last: the directory can go when nothing is mounted on it.
    _dir: TempDir,
}

impl Mounted {
    /// Mounts the bucket of the mock and waits until the mount works.
    pub(crate) fn new(mock: &Mock) -> Outcome<Self> {
        let dir = TempDir::new()?;
        let (place, socket) = (dir.path().join("bucket"), dir.path().join("notify"));
        std::fs::create_dir(&place)?;
        let notices = UnixDatagram::bind(&socket)?;
        notices.set_read_timeout(Some(Duration::from_millis(100)))?;

        let mut command = partfs(["mount", "--foreground", "--log-level", "warn"]);
        command.args(["--memory-limit", "256MiB", "--endpoint", mock.endpoint()]);
        command.arg(format!("cos://{BUCKET}")).arg(&place).env("NOTIFY_SOCKET", &socket);
        let daemon = command.spawn()?;
        let mut mounted = Self { daemon, place, is_mounted: true, _dir: dir };

        let start = Instant::now();
        let mut notice = [0; 512];
        while notices.recv(&mut notice).map_or(0, |len| len) == 0 {
            if let Some(status) = mounted.daemon.try_wait()? {
                mounted.is_mounted = false;
                return Err(format!("the mount ended before it worked: {status}").into());
            }
            if start.elapsed() > START {
                return Err("the mount does not come up".into());
            }
        }
        Ok(mounted)
    }

    /// A path in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    /// Number of the daemon's process.
    pub(crate) fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// Unmounts and waits for the daemon's end, which must be a good one.
    pub(crate) fn unmount(mut self) -> Outcome {
        let status = partfs(["umount"]).arg(&self.place).status()?;
        if !status.success() {
            return Err(format!("unmounting failed: {status}").into());
        }
        self.is_mounted = false;
        let ended = self.daemon.wait()?;
        if ended.success() { Ok(()) } else { Err(format!("the daemon: {ended}").into()) }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Something has failed already; what fails here would only hide it.
        if self.is_mounted {
            let _ = Command::new("umount").arg("--lazy").arg(&self.place).status();
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Whether this machine can mount, and why not.
pub(crate) fn possible() -> Result<(), &'static str> {
    if File::open("/dev/fuse").is_err() {
        return Err("needs /dev/fuse");
    }
    let is_root = rustix::process::geteuid().is_root();
    if !is_root && !Path::new("/usr/bin/fusermount3").exists() {
        return Err("needs root, or fusermount3 (apt install fuse3)");
    }
    Ok(())
}
