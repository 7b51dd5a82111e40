//! A small service manager: it does with the unit of the package what systemd does with it, as far as a mount's
//! life goes. Times are those of the unit, but for the watchdog's, which would make tests last minutes.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::place::Bucket;
use crate::cli::partfs;

/// Instead of WatchdogSec.
pub(super) const WATCHDOG: Duration = Duration::from_millis(400);

/// Between two looks at a process, and at the socket.
const TICK: Duration = Duration::from_millis(5);

/// The lines of a unit.
struct Unit(Vec<(String, String)>);

impl Unit {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/partfs@.service");
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| line.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn one<'a>(&'a self, name: &'a str) -> &'a str {
        self.all(name).next().unwrap_or_else(|| panic!("the unit has no {name}"))
    }

    fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.one(name).parse().unwrap())
    }
}

/// How a service ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Whether it had to be killed.
    pub(super) overdue: bool,
}

/// A unit that is running.
pub(super) struct Manager<'a> {
    unit: Unit,
    bucket: &'a Bucket,
    socket: UnixDatagram,
    main: Child,
    /// Everything that the service has said.
    pub(super) heard: Vec<String>,
}

impl<'a> Manager<'a> {
    /// Starts the service, and returns when it is ready, or how it ended before.
    pub(super) fn start(bucket: &'a Bucket, options: &str) -> Result<Self, ExitStatus> {
        let unit = Unit::read();
        let dir = bucket.dir().join("manager");
        fs::create_dir_all(dir.join("etc/partfs")).unwrap();
        fs::create_dir_all(dir.join("cache/partfs")).unwrap();
        let (options, keys) = bucket.as_service(options);
        fs::write(dir.join("etc/partfs/it.toml"), options).unwrap();
        fs::write(dir.join("etc/partfs/it.env"), keys).unwrap();
        let _ = fs::remove_file(dir.join("notify"));
        let socket = UnixDatagram::bind(dir.join("notify")).unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let main = execute(&unit, bucket, &dir);
        let mut manager = Self { unit, bucket, socket, main, heard: Vec::new() };
        manager.until_ready().map(|()| manager)
    }

    fn until_ready(&mut self) -> Result<(), ExitStatus> {
        let deadline = Instant::now() + self.unit.seconds("TimeoutStartSec");
        while !self.hears(TICK, "READY=1") {
            if let Some(status) = self.main.try_wait().unwrap() {
                return Err(status);
            }
            assert!(Instant::now() < deadline, "not ready in TimeoutStartSec: {:?}", self.heard);
        }
        Ok(())
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.main)
    }

    /// Whether a notice with this line comes within the time.
    pub(super) fn hears(&mut self, within: Duration, wanted: &str) -> bool {
        let deadline = Instant::now() + within;
        let mut buffer = [0; 4096];
        loop {
            if let Ok(len) = self.socket.recv(&mut buffer) {
                let notice = String::from_utf8_lossy(&buffer[..len]).into_owned();
                let found = notice.lines().any(|line| line.starts_with(wanted));
                self.heard.push(notice);
                if found {
                    return true;
                }
            }
            if Instant::now() >= deadline {
                return false;
            }
        }
    }

    /// Forgets what was said up to now.
    pub(super) fn hears_no_more(&mut self) {
        while self.hears(TICK, "") {}
        self.heard.clear();
    }

    /// `systemctl stop`: SIGTERM, time as long as it is asked for, SIGKILL, and what the unit does after the end.
    pub(super) fn stop(mut self) -> (Ended, Vec<String>) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let mut deadline = Instant::now() + self.unit.seconds("TimeoutStopSec");
        let mut overdue = false;
        let status = loop {
            let before = self.heard.len();
            self.hears(TICK, "EXTEND_TIMEOUT_USEC=");
            for notice in &self.heard[before..] {
                if let Some(usec) = notice.strip_prefix("EXTEND_TIMEOUT_USEC=") {
                    let more = Duration::from_micros(usec.trim().parse().unwrap());
                    deadline = deadline.max(Instant::now() + more);
                }
            }
            if let Some(status) = self.main.try_wait().unwrap() {
                break status;
            }
            if Instant::now() >= deadline && !overdue {
                overdue = true;
                self.main.kill().unwrap();
            }
        };
        self.after_the_end();
        (Ended { status, overdue }, std::mem::take(&mut self.heard))
    }

    /// Waits until a ping is missing, and does what the watchdog does: SIGABRT, and SIGKILL where that does not help.
    pub(super) fn bite(&mut self) -> Ended {
        while self.hears(WATCHDOG, "WATCHDOG=1") {}
        kill_process(self.pid(), Signal::ABORT).unwrap();
        let patience = Instant::now() + Duration::from_secs(1);
        let mut overdue = false;
        let status = loop {
            if let Some(status) = self.main.try_wait().unwrap() {
                break status;
            }
            if Instant::now() >= patience && !overdue {
                overdue = true;
                self.main.kill().unwrap();
            }
            std::thread::sleep(TICK);
        };
        Ended { status, overdue }
    }

    /// The service has ended by itself: cleans up, and starts it again where the unit says so.
    pub(super) fn goes_on_after(mut self, status: ExitStatus) -> Option<Self> {
        self.after_the_end();
        if !restarts(&self.unit, status) {
            return None;
        }
        self.main = execute(&self.unit, self.bucket, &self.bucket.dir().join("manager"));
        self.until_ready().map(|()| self).ok()
    }

    /// Kills the service, and waits for its end.
    pub(super) fn kill(&mut self) -> ExitStatus {
        self.main.kill().unwrap();
        self.main.wait().unwrap()
    }

    fn after_the_end(&self) {
        for line in self.unit.all("ExecStopPost") {
            let line = line.trim_start_matches(['-', '+']);
            let mut words = line.split(' ').map(|word| replaced(word, self.bucket, Path::new("")));
            assert_eq!(words.next().unwrap(), "/usr/bin/partfs");
            let mut command = partfs(std::iter::empty::<&str>());
            // Its failure is of no importance, as the "-" says.
            let _ = command.args(words).stderr(Stdio::null()).status().unwrap();
        }
    }
}

impl Drop for Manager<'_> {
    fn drop(&mut self) {
        let _ = self.main.kill();
        let _ = self.main.wait();
    }
}

/// Whether the unit wants the service to be started again.
pub(super) fn would_restart(status: ExitStatus) -> bool {
    restarts(&Unit::read(), status)
}

fn restarts(unit: &Unit, status: ExitStatus) -> bool {
    assert_eq!(unit.one("Restart"), "on-failure");
    let prevented = unit.all("RestartPreventExitStatus").flat_map(|line| line.split(' '));
    let prevented =
        prevented.filter_map(|code| code.parse().ok()).any(|code| status.code() == Some(code));
    let unclean = status.signal().is_some_and(|signal| {
        // SIGHUP, SIGINT, SIGTERM and SIGPIPE count as a good end.
        ![1, 2, 15, 13].contains(&signal)
    });
    (unclean || status.code().is_some_and(|code| code != 0)) && !prevented
}

fn replaced(word: &str, bucket: &Bucket, dir: &Path) -> String {
    let path = |below: &str| -> PathBuf { dir.join(below) };
    word.replace("%E", path("etc").to_str().unwrap())
        .replace("%C", path("cache").to_str().unwrap())
        .replace("%i", "it")
        .replace("%f", bucket.root().to_str().unwrap())
}

fn execute(unit: &Unit, bucket: &Bucket, dir: &Path) -> Child {
    let mut words = unit.one("ExecStart").split(' ').map(|word| replaced(word, bucket, dir));
    assert_eq!(words.next().unwrap(), "/usr/bin/partfs");
    let mut command = partfs(words);
    command.env_remove("PARTFS_STATE_DIR");
    for line in unit.all("Environment") {
        let (name, value) = line.split_once('=').unwrap();
        command.env(name, replaced(value, bucket, dir));
    }
    let file = replaced(unit.one("EnvironmentFile").trim_start_matches('-'), bucket, dir);
    for line in fs::read_to_string(file).unwrap().lines() {
        let (name, value) = line.split_once('=').unwrap();
        command.env(name, value);
    }
    assert_eq!((unit.one("Type"), unit.one("NotifyAccess")), ("notify", "main"));
    assert!(unit.seconds("WatchdogSec") > WATCHDOG);
    command.env("NOTIFY_SOCKET", dir.join("notify"));
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    let words = fs::File::create(bucket.dir().join("stderr")).unwrap();
    command.stderr(words).spawn().unwrap()
}
