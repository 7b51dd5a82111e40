//! Directories that tests mount on, and whether this machine can do what a test needs.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

use super::{Ran, partfs, run};

/// Passes `able` on. What a machine cannot do is said; where PARTFS_REQUIRE_FUSE is set it fails.
pub(crate) fn able_to(what: &str, able: bool) -> bool {
    if !able {
        let required = std::env::var_os("PARTFS_REQUIRE_FUSE").is_some();
        assert!(!required, "PARTFS_REQUIRE_FUSE is set, but this machine cannot {what}");
        eprintln!("SKIPPED: this machine cannot {what}");
    }
    able
}

/// Whether partfs is mounted at exactly this path.
pub(crate) fn is_mounted(place: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place = format!(" {} ", place.display());
    table.lines().any(|line| line.contains(&place) && line.contains(" fuse.partfs "))
}

/// A directory to mount on. Whatever is mounted there at the end is taken away.
pub(crate) struct Place(TempDir);

impl Place {
    /// `None` where this machine cannot mount; with PARTFS_REQUIRE_FUSE that is a failure.
    pub(crate) fn new() -> Option<Self> {
        let able = rustix::process::geteuid().is_root() && fs::File::open("/dev/fuse").is_ok();
        able_to("mount: it needs root and /dev/fuse", able).then(|| Self(TempDir::new().unwrap()))
    }

    /// Where.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Whether partfs is mounted here.
    pub(crate) fn is_mounted(&self) -> bool {
        is_mounted(self.path())
    }

    /// The process that serves the mount.
    pub(crate) fn daemon(&self) -> Pid {
        let text = fs::read(self.path().join(".partfs/status.json")).unwrap();
        let status: serde_json::Value = serde_json::from_slice(&text).unwrap();
        Pid::from_raw(i32::try_from(status["pid"].as_i64().unwrap()).unwrap()).unwrap()
    }

    /// Kills the daemon and waits until it is gone.
    pub(crate) fn kill_daemon(&self) {
        let pid = self.daemon();
        let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        let poll = rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN);
        rustix::event::poll(&mut [poll], None).unwrap();
    }

    /// `partfs umount` of this place.
    pub(crate) fn umount(&self, more: &[&str]) -> Ran {
        run(partfs(["umount"]).arg(self.path()).args(more))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        while self.is_mounted() {
            let flags = rustix::mount::UnmountFlags::DETACH;
            if rustix::mount::unmount(self.path(), flags).is_err() {
                break;
            }
        }
    }
}
