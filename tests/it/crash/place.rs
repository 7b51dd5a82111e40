//! A bucket that outlives its mounts: the mock in this process, a state directory, and the daemon as a
//! process of its own that can be killed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use partfs::mock::{Addressing, MockConfig, MockDialect, MockServer};
use partfs::store::Upload;
use partfs::store::memory::{Entry, MemoryBucket, UploadsQuery};
use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::cli::{Ran, partfs};
use crate::world::served::serve;

pub(super) const DIALECTS: [(MockDialect, &str); 4] = [
    (MockDialect::Cos, "cos"),
    (MockDialect::Oss, "oss"),
    (MockDialect::Qingstor, "qingstor"),
    (MockDialect::S3, "s3"),
];

/// What the tests of one dialect share.
pub(super) struct Bucket {
    pub(super) runtime: Runtime,
    pub(super) server: MockServer,
    pub(super) bucket: Arc<MemoryBucket>,
    config: MockConfig,
    scheme: &'static str,
    place: crate::cli::place::Place,
    dir: TempDir,
}

/// A running daemon.
pub(super) struct Daemon {
    child: Child,
    manager: UnixDatagram,
}

impl Bucket {
    /// `None` where this machine cannot mount.
    pub(super) fn new(dialect: MockDialect) -> Option<Self> {
        let place = crate::cli::place::Place::new()?;
        let (_, scheme) = DIALECTS.into_iter().find(|(known, _)| *known == dialect).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let addressing = match dialect {
            MockDialect::Cos => Addressing::Auto,
            _ => Addressing::Path,
        };
        let bucket = "crash-1250000000".to_owned();
        let config = MockConfig { dialect, addressing, bucket, ..MockConfig::default() };
        let server = runtime.block_on(serve(config.clone()));
        let bucket = server.bucket();
        let dir = TempDir::new().unwrap();
        Some(Self { runtime, server, bucket, config, scheme, place, dir })
    }

    /// The mount point.
    pub(super) fn root(&self) -> &Path {
        self.place.path()
    }

    /// What the status file says.
    pub(super) fn status(&self) -> serde_json::Value {
        let text = fs::read(self.root().join(".partfs/status.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// What the last daemon has said.
    pub(super) fn words(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap()
    }

    /// A folder beside it.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Mounts; `crash` is what PARTFS_CRASH_AT says.
    pub(super) fn mount(&self, crash: Option<&str>, more: &[&str]) -> Daemon {
        let socket = self.dir.path().join("notify");
        let _ = fs::remove_file(&socket);
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut command = self.command(more);
        command.arg("--foreground").env("NOTIFY_SOCKET", &socket);
        if let Some(crash) = crash {
            command.env("PARTFS_CRASH_AT", crash);
        }
        let words = fs::File::create(self.dir.path().join("stderr")).unwrap();
        let child = command.stderr(words).spawn().unwrap();
        let mut daemon = Daemon { child, manager };
        let mut buffer = [0; 512];
        // One that dies before it is ready says nothing.
        daemon.manager.set_nonblocking(true).unwrap();
        loop {
            if daemon.manager.recv(&mut buffer).is_ok()
                || daemon.child.try_wait().unwrap().is_some()
            {
                return daemon;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// A command that mounts it in the background.
    pub(super) fn command(&self, more: &[&str]) -> Command {
        let url = format!("{}://{}", self.scheme, self.config.bucket);
        let endpoint = format!("http://{}", self.server.address());
        let mut command = partfs(["mount", &url]);
        command.arg(self.root()).args(["--endpoint", &endpoint, "--region", "test-1"]);
        command.args(more);
        if !more.contains(&"--log-level") {
            command.args(["--log-level", "off"]);
        }
        if !more.contains(&"--part-size") {
            command.args(["--part-size", "1MiB"]);
        }
        command.arg("--state-dir").arg(self.dir.path().join("state"));
        command.env("PARTFS_ACCESS_KEY_ID", &self.config.access_key_id);
        command.env("PARTFS_SECRET_ACCESS_KEY", &self.config.secret_access_key);
        command
    }

    /// What a service needs to mount it: the file of its options, and that of its variables.
    pub(super) fn as_service(&self, more: &str) -> (String, String) {
        let (scheme, bucket) = (self.scheme, &self.config.bucket);
        let (endpoint, state) = (self.server.address(), self.dir.path().join("state"));
        let state = state.display();
        let options = format!(
            "url = \"{scheme}://{bucket}\"\nendpoint = \"http://{endpoint}\"\nregion = \"test-1\"\n\
             log_level = \"off\"\npart_size = \"1MiB\"\nstate_dir = \"{state}\"\n{more}"
        );
        let MockConfig { access_key_id, secret_access_key, .. } = &self.config;
        let keys = format!(
            "PARTFS_ACCESS_KEY_ID={access_key_id}\nPARTFS_SECRET_ACCESS_KEY={secret_access_key}\n"
        );
        (options, keys)
    }

    /// `partfs umount`.
    pub(super) fn umount(&self, more: &[&str]) -> Ran {
        self.place.umount(more)
    }

    /// Whether it is mounted.
    pub(super) fn is_mounted(&self) -> bool {
        self.place.is_mounted()
    }

    /// Takes a dead mount away.
    pub(super) fn clear(&self) {
        while self.place.is_mounted() {
            if rustix::mount::unmount(self.root(), UnmountFlags::DETACH).is_err() {
                break;
            }
        }
    }

    /// The bytes of an object.
    pub(super) fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.runtime.block_on(crate::world::object(&self.bucket, key))
    }

    /// Uploads in progress.
    pub(super) fn uploads(&self) -> Vec<Upload> {
        let query = UploadsQuery { max: 1000, ..UploadsQuery::default() };
        let listed = self.bucket.list_uploads(query).0.into_iter();
        let uploads = listed.filter_map(|entry| match entry {
            Entry::Item(open) => Some(open.upload),
            Entry::Prefix(_) => None,
        });
        uploads.collect()
    }

    /// Waits until something is true of what has happened in the bucket.
    pub(super) fn until(&self, is_so: impl Fn() -> bool) {
        self.runtime.block_on(async {
            loop {
                let next = self.bucket.effects().len() as u64;
                if is_so() {
                    return;
                }
                self.bucket.wait_for(|effect| effect.sequence >= next).await;
            }
        });
    }

    /// Keys and ids that the journal has.
    pub(super) fn journal(&self) -> Journal {
        let mut journal = Journal::default();
        for path in files(&self.dir.path().join("state")) {
            if path.extension().is_none_or(|extension| extension != "upload") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for line in text.lines() {
                let (_, json) = line.split_once(' ').unwrap();
                let line: serde_json::Value = serde_json::from_str(json).unwrap();
                if let Some(key) = line["key"].as_str() {
                    journal.keys.insert(key.to_owned());
                }
                if let Some(id) = line["id"].as_str() {
                    journal.ids.insert(id.to_owned());
                }
            }
        }
        journal
    }
}

/// What the journal remembers.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) keys: BTreeSet<String>,
    pub(super) ids: BTreeSet<String>,
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(names) = fs::read_dir(dir) else { return Vec::new() };
    names
        .flat_map(|name| {
            let path = name.unwrap().path();
            if path.is_dir() { files(&path) } else { vec![path] }
        })
        .collect()
}

impl Daemon {
    /// As `kill -9`, and waits until it is gone.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end; whether it was killed.
    pub(super) fn was_killed(mut self) -> bool {
        self.child.wait().unwrap().signal() == Some(9)
    }

    /// Tells it to stop; whether everything was stored.
    pub(super) fn stop(&mut self) -> bool {
        self.tell_to_stop();
        self.exit_code() == Some(0)
    }

    /// As systemd does.
    pub(super) fn tell_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// What it has told the service manager since it was ready, or since the last time.
    pub(super) fn notices(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let notices = std::iter::from_fn(|| {
            let len = self.manager.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..len]).into_owned())
        });
        notices.collect()
    }

    /// Waits for its end.
    pub(super) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
