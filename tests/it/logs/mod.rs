//! What the log of a daemon tells, where it goes, and what it never tells: real daemons over a server in this
//! process.

mod canary;
mod journal;
mod lines;
mod reload;
mod search;
mod terminal;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use partfs::mock::{Addressing, MockConfig, MockDialect, MockServer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::cli::partfs;
use crate::cli::place::Place;
use crate::world::served::serve;

/// How long is waited for a line that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and folders for daemons that mount its bucket.
struct Ground {
    runtime: Runtime,
    server: MockServer,
    config: MockConfig,
    place: Place,
    dir: TempDir,
}

/// A running daemon.
struct Daemon(Child);

impl Ground {
    /// `None` where this machine cannot mount.
    fn new(config: MockConfig) -> Option<Self> {
        let place = Place::new()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let addressing = match config.dialect {
            MockDialect::Cos => Addressing::Auto,
            _ => Addressing::Path,
        };
        let config = MockConfig { addressing, bucket: "log-1250000000".to_owned(), ..config };
        let server = runtime.block_on(serve(config.clone()));
        Some(Self { runtime, server, config, place, dir: TempDir::new().unwrap() })
    }

    fn path(&self, below: &str) -> PathBuf {
        self.place.path().join(below)
    }

    /// A file beside the mount.
    fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the file with the keys, as text or as something else.
    fn write_keys(&self, text: &str) {
        let (path, new) = (self.beside("keys"), self.beside("keys.new"));
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Makes these keys the right ones, in the file only.
    fn give_keys(&self, id: &str, secret: &str, token: Option<&str>) {
        let token = token.map(|token| format!("session_token = {token}\n")).unwrap_or_default();
        self.write_keys(&format!("access_key_id = {id}\nsecret_access_key = {secret}\n{token}"));
    }

    /// A command for the bucket, `mount` or another, with its keys in a file.
    fn command(&self, words: &[&str]) -> Command {
        if !self.beside("keys").exists() {
            let MockConfig { access_key_id, secret_access_key, session_token, .. } = &self.config;
            self.give_keys(access_key_id, secret_access_key, session_token.as_deref());
        }
        let mut command = partfs(words);
        let scheme = match self.config.dialect {
            MockDialect::Cos => "cos",
            MockDialect::Oss => "oss",
            MockDialect::Qingstor => "qingstor",
            MockDialect::S3 => "s3",
        };
        command.arg(format!("{scheme}://{}", self.config.bucket));
        if words == ["mount"] {
            command.arg(self.place.path()).arg("--state-dir").arg(self.beside("state"));
        }
        let endpoint = format!("http://{}", self.server.address());
        command.args(["--endpoint", &endpoint, "--region", "test-1", "--part-size", "1MiB"]);
        command.arg("--credentials-file").arg(self.beside("keys"));
        command
    }

    /// A daemon in the foreground, when it is ready. Its standard error is a file beside the mount.
    fn mount(&self, adapt: impl FnOnce(&mut Command)) -> Daemon {
        let socket = self.beside("notify");
        let _ = fs::remove_file(&socket);
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut command = self.command(&["mount"]);
        command.arg("--foreground").env("NOTIFY_SOCKET", &socket);
        command.stderr(fs::File::create(self.beside("stderr")).unwrap());
        adapt(&mut command);
        let mut daemon = Daemon(command.spawn().unwrap());
        while manager.recv(&mut [0; 512]).is_err() {
            let ended = daemon.0.try_wait().unwrap();
            assert_eq!(ended, None, "{}", self.words());
        }
        daemon
    }

    /// A daemon whose log is JSON in a file.
    fn mount_with_log(&self, level: &str) -> Daemon {
        let log = self.beside("log");
        self.mount(|command| {
            command.args(["--log-format", "json", "--log-level", level, "--log-file"]).arg(log);
        })
    }

    /// What the daemon has said on standard error.
    fn words(&self) -> String {
        fs::read_to_string(self.beside("stderr")).unwrap_or_default()
    }

    /// The fields of the lines of the log, each with its `level`.
    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.beside("log")).unwrap_or_default();
        // The last one may be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(fields).collect()
    }

    /// The first line that is so. Waits for it.
    fn line(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        self.until(|| self.lines().into_iter().find(&is_so))
    }

    /// Waits for a line with this message.
    fn message(&self, text: &str) -> Value {
        self.line(|line| line["message"].as_str().is_some_and(|message| message.contains(text)))
    }

    /// Waits until there is something.
    fn until<T>(&self, what: impl Fn() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = what() {
                return found;
            }
            let log = fs::read_to_string(self.beside("log")).unwrap_or_default();
            assert!(Instant::now() < end, "waited in vain; the log:\n{log}\n{}", self.words());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The fields of a line in JSON.
fn fields(line: &str) -> Value {
    let mut line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    let mut fields = line["fields"].take();
    fields["level"] = line["level"].take();
    fields
}

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    /// Tells it to stop; how it ended.
    fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.0.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything below a folder that is a file.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(names) = fs::read_dir(folder) else { return Vec::new() };
    let paths = names.filter_map(|name| Some(name.ok()?.path()));
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
