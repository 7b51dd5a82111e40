//! A real mount over the mock server, both in this process, and the bucket behind them to look into.

use std::fmt::Debug;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use partfs::budget::Budget;
use partfs::clock::{Clock, SystemClock};
use partfs::dialect::{Connection, ObjectProperties, Timing, connect};
use partfs::fs::{DrainReport, FileSystem, FsConfig, OnWriterKilled};
use partfs::fuse::session::{Session, SessionOptions, mount};
use partfs::mock::{Addressing, MockConfig, MockDialect, MockServer};
use partfs::read::ReadConfig;
use partfs::store::memory::MemoryBucket;
use partfs::store::{NamePattern, ObjectStore, Operation};
use partfs::write::WriteConfig;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::served::{connection, serve};

/// Whether this machine can mount. Says so loudly when it cannot, past the capture of the test
/// harness, and fails where PARTFS_REQUIRE_FUSE demands that mount tests run.
pub fn can_mount() -> bool {
    let able = rustix::process::geteuid().is_root() && std::fs::File::open("/dev/fuse").is_ok();
    able || skip("root and /dev/fuse")
}

/// Whether a program is installed; as loud as [`can_mount`] when it is not.
pub fn can_run(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    found || skip(program)
}

fn skip(needed: &str) -> bool {
    let required = std::env::var_os("PARTFS_REQUIRE_FUSE").is_some();
    assert!(!required, "PARTFS_REQUIRE_FUSE is set, but this machine lacks {needed}");
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: needs {needed}");
    false
}

/// Runs a test on a mount whose mock keeps its objects in memory, and on one whose mock keeps them in a
/// folder.
pub fn on_both(test: impl Fn(Mounted)) {
    if let Some(mounted) = Mounted::new(Setup::default()) {
        test(mounted);
        let folder = TempDir::new().unwrap();
        let dir = Some(folder.path().join("bucket"));
        test(Mounted::new(Setup { dir, ..Setup::default() }).expect("mounted before"));
    }
}

/// What differs from mount to mount.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The service.
    pub dialect: MockDialect,
    /// What new objects get.
    pub properties: ObjectProperties,
    /// First part, in bytes; COS takes none below 1 MiB but the last.
    pub part_bytes: u64,
    /// The budget, in bytes.
    pub memory_limit_bytes: u64,
    /// How long answers are believed.
    pub attr_ttl: Duration,
    /// How long attributes wait for more of them.
    pub settle_delay: Duration,
    /// Where the mock keeps its objects; in memory if `None`.
    pub dir: Option<PathBuf>,
    /// How long a close may take.
    pub close_timeout: Duration,
    /// What becomes of files whose writers are killed.
    pub on_writer_killed: OnWriterKilled,
    /// Patience with the service.
    pub timing: Timing,
    /// Let other users in.
    pub allow_other: bool,
    /// Files that are written as appendable objects.
    pub append_objects: Vec<NamePattern>,
    /// Whether there is `.partfs`.
    pub control_dir: bool,
    /// Whether uploads of the mount can be aborted by hand.
    pub abort_busy_uploads: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            dialect: MockDialect::Cos,
            properties: ObjectProperties::default(),
            part_bytes: 1 << 20,
            memory_limit_bytes: 64 << 20,
            attr_ttl: Duration::from_secs(10),
            settle_delay: Duration::from_millis(300),
            dir: None,
            close_timeout: Duration::from_secs(60),
            on_writer_killed: OnWriterKilled::KeepOld,
            timing: Timing::default(),
            allow_other: false,
            append_objects: Vec::new(),
            control_dir: true,
            abort_busy_uploads: false,
        }
    }
}

/// A mounted bucket.
pub struct Mounted {
    pub runtime: Runtime,
    pub server: MockServer,
    pub bucket: Arc<MemoryBucket>,
    setup: Setup,
    config: MockConfig,
    live: Option<Live>,
    place: TempDir,
    staging: TempDir,
}

struct Live {
    fs: Arc<FileSystem>,
    session: Session,
}

const BUCKET: &str = "test-1250000000";

impl Mounted {
    /// `None` where this machine cannot mount.
    pub fn new(setup: Setup) -> Option<Self> {
        if !can_mount() {
            return None;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        // COS knows no path style; the others are asked at an address.
        let addressing = match setup.dialect {
            MockDialect::Cos => Addressing::Auto,
            MockDialect::Oss | MockDialect::Qingstor | MockDialect::S3 => Addressing::Path,
        };
        let config = MockConfig {
            dialect: setup.dialect,
            addressing,
            bucket: BUCKET.to_owned(),
            dir: setup.dir.clone(),
            ..MockConfig::default()
        };
        let server = runtime.block_on(serve(config.clone()));
        let bucket = server.bucket();
        let (place, staging) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut mounted =
            Self { runtime, server, bucket, setup, config, live: None, place, staging };
        mounted.mount();
        Some(mounted)
    }

    /// Another client of the same bucket.
    pub fn client(&self) -> Arc<dyn ObjectStore> {
        connect(Connection {
            properties: self.setup.properties.clone(),
            ..connection(&self.server, &self.config, None, self.setup.timing)
        })
        .expect("a client")
    }

    fn mount(&mut self) {
        let budget = Budget::new(self.setup.memory_limit_bytes);
        let quarter = self.setup.memory_limit_bytes / 4;
        let config = FsConfig {
            source: "mock:".to_owned(),
            uid: 0,
            gid: 0,
            file_mode: 0o644,
            dir_mode: 0o755,
            append_objects: self.setup.append_objects.clone(),
            on_writer_killed: self.setup.on_writer_killed,
            attr_ttl: self.setup.attr_ttl,
            settle_delay: self.setup.settle_delay,
            read_only: false,
            control_dir: self.setup.control_dir,
            abort_busy_uploads: self.setup.abort_busy_uploads,
            write: WriteConfig {
                part_bytes: self.setup.part_bytes,
                close_timeout: self.setup.close_timeout,
                ..WriteConfig::new(self.staging.path().to_owned())
            },
            read: ReadConfig {
                window_bytes: ReadConfig::default().window_bytes.min(quarter),
                cache_bytes: quarter,
                ..ReadConfig::default()
            },
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let runtime = self.runtime.handle().clone();
        let fs = FileSystem::new(self.client(), budget, clock, config, runtime.clone());
        let options = SessionOptions {
            source: "mock:".to_owned(),
            allow_other: self.setup.allow_other,
            read_only: false,
            no_exec: false,
            threads: 2,
            request_bytes: 1 << 20,
        };
        let session = mount(Arc::clone(&fs), self.place.path(), &options, runtime).expect("mounts");
        self.live = Some(Live { fs, session });
    }

    /// The mount point.
    pub fn root(&self) -> &Path {
        self.place.path()
    }

    /// A path below the mount point.
    pub fn path(&self, below: &str) -> PathBuf {
        self.place.path().join(below)
    }

    /// Unmounts and waits until everything is in the bucket.
    pub fn unmount(&mut self) -> DrainReport {
        let Some(Live { fs, session }) = self.live.take() else { return DrainReport::default() };
        session.unmount().expect("unmounts");
        session.wait().expect("ends well");
        self.runtime.block_on(fs.drain(Duration::from_secs(60)))
    }

    /// Unmounts and mounts the same bucket anew, with nothing in memory.
    pub fn remount(&mut self) {
        let report = self.unmount();
        assert_eq!(report, DrainReport::default(), "nothing is lost");
        self.mount();
    }

    /// Waits until nothing is on its way to the bucket: attributes are stored, and the kernel has told of
    /// every close. For who has nothing open.
    pub fn settled(&self) {
        self.settled_but(0);
    }

    /// As [`settled`](Self::settled), for who has so many files open.
    pub fn settled_but(&self, open: u64) {
        let fs = &self.live.as_ref().expect("mounted").fs;
        loop {
            self.runtime.block_on(fs.quiet());
            let status = std::fs::read(self.path(".partfs/status.json")).unwrap();
            let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
            if status["open_handles"] == open && status["background_tasks"] == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// The bytes of an object, from the bucket itself.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.runtime.block_on(super::object(&self.bucket, key))
    }

    /// All keys.
    pub fn keys(&self) -> Vec<String> {
        super::keys(&self.bucket)
    }

    /// Requests of a kind so far.
    pub fn requests_of(&self, operation: Operation) -> u64 {
        self.bucket.requests_of(operation)
    }

    /// Bytes that arrived in bodies of requests so far.
    pub fn sent_bytes(&self) -> u64 {
        let bodies = |operation| matches!(operation, Operation::Put | Operation::PutPart);
        let effects = self.bucket.effects().into_iter();
        effects.filter(|effect| bodies(effect.operation)).map(|effect| effect.size).sum()
    }

    /// Uploads that are neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        let query = partfs::store::memory::UploadsQuery { max: 1000, ..Default::default() };
        self.bucket.list_uploads(query).0.len()
    }

    /// A shell command with the mount point as its folder.
    pub fn shell(&self, script: &str) -> Output {
        Command::new("bash")
            .args(["-c", script])
            .current_dir(self.root())
            .env("LC_ALL", "C")
            .output()
            .expect("bash runs")
    }

    /// A Python program with the mount point as its folder; what it printed.
    pub fn python(&self, script: &str) -> String {
        self.sh(&format!("python3 - <<'END'\nimport errno, mmap, os\n{script}\nEND\n"))
    }

    /// A shell command that must succeed; what it printed.
    pub fn sh(&self, script: &str) -> String {
        let output = self.shell(script);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{text}\n{errors}");
        text
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(Live { session, .. }) = self.live.take() {
            // A test that failed may have files open; the mount must go all the same.
            let flags = rustix::mount::UnmountFlags::DETACH;
            let _ = rustix::mount::unmount(self.place.path(), flags);
            if !std::thread::panicking() {
                let _ = session.wait();
            }
        }
    }
}

/// Asserts that two things are equal without printing megabytes when they are not.
pub fn assert_same<T: PartialEq + ?Sized>(left: &T, right: &T, what: impl Debug) {
    assert!(left == right, "{what:?} differs");
}
