//! A daemon as a process of its own, over a server that keeps its objects in a folder: for what happens to
//! the process itself. The bucket is looked into without the mount and without the server.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::cli::place::Place;
use crate::cli::run;
use crate::cli::server::Server;

/// Its mount goes first.
pub(super) struct Bench {
    pub(super) place: Place,
    _server: Server,
    folder: TempDir,
    own: TempDir,
    daemon: Pid,
}

impl Bench {
    /// Mounts with parts of 1 MiB and these options; `shell` runs before, in the process that mounts.
    /// `None` where this machine cannot mount.
    pub(super) fn new<S: AsRef<OsStr>>(shell: &str, more: &[S]) -> Option<Self> {
        let place = Place::new()?;
        let (folder, own) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let server = Server::start(Some(folder.path()));
        let mount = server.mount(place.path());
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell}\nexec \"$0\" \"$@\"")]);
        command.arg(mount.get_program()).args(mount.get_args());
        command.args(["--part-size", "1MiB"]);
        command.args(more);
        for (name, value) in mount.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("PARTFS_STATE_DIR", own.path().join("state"));
        let ran = run(command.stdin(Stdio::null()));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        let daemon = place.daemon();
        Some(Self { place, _server: server, folder, own, daemon })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// For reading and writing.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        File::options().read(true).write(true).open(self.path(name))
    }

    pub(super) fn daemon(&self) -> Pid {
        self.daemon
    }

    /// A folder of this test alone.
    pub(super) fn own(&self) -> &Path {
        self.own.path()
    }

    pub(super) fn status(&self) -> serde_json::Value {
        let text = fs::read(self.path(".partfs/status.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// The bytes of an object, from the folder of the server.
    pub(super) fn stored(&self, key: &str) -> Option<Vec<u8>> {
        let entries = fs::read_dir(self.folder.path().join("objects")).unwrap();
        let objects = entries.filter_map(|entry| {
            // One that is being replaced goes while it is looked at.
            let text = fs::read(entry.unwrap().path()).ok()?;
            serde_json::from_slice::<serde_json::Value>(&text).ok()
        });
        let object = objects.into_iter().find(|object| object["key"] == key)?;
        let mut bytes = Vec::new();
        for stretch in object["data"].as_array().unwrap() {
            let data = self.folder.path().join("data").join(stretch["file"].as_str().unwrap());
            let number = |name| usize::try_from(stretch[name].as_u64().unwrap()).unwrap();
            let data = fs::read(data).unwrap();
            bytes.extend_from_slice(&data[number("start")..][..number("len")]);
        }
        Some(bytes)
    }

    /// Waits until everything that was asked for is done, by the daemon that was started; for who has nothing
    /// open.
    pub(super) fn settled(&self) -> serde_json::Value {
        let began = Instant::now();
        loop {
            let status = self.status();
            let left = ["open_handles", "background_tasks", "uploads_open"];
            let waits = status["waiting"].as_array().unwrap();
            if waits.is_empty() && left.iter().all(|name| status[*name] == 0) {
                assert_eq!(status["pid"], self.daemon.as_raw_pid());
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "not over: {status:#}");
            std::thread::yield_now();
        }
    }

    /// Unmounts; nothing may be lost.
    pub(super) fn end(self) {
        self.settled();
        let ran = self.place.umount(&[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    }
}
