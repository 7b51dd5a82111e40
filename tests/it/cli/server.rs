//! `partfs mock` as a process of its own, which a mount reaches as it reaches a service.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::partfs;

/// The bucket that it serves.
pub(crate) const BUCKET: &str = "b-1250000000";

/// What nobody may print.
pub(crate) const SECRET: &str = "canary-secret";

/// The variables of keys, and the values that it accepts.
const KEYS: [(&str, &str); 2] =
    [("PARTFS_ACCESS_KEY_ID", "the-id"), ("PARTFS_SECRET_ACCESS_KEY", SECRET)];

/// A running server on a free port.
pub(crate) struct Server {
    child: Child,
    endpoint: String,
}

impl Server {
    /// Starts it; objects are kept in `dir`, or in memory.
    pub(crate) fn start(dir: Option<&Path>) -> Self {
        let mut command = partfs(["mock", "--bucket", BUCKET]);
        if let Some(dir) = dir {
            command.arg("--dir").arg(dir);
        }
        let mut child = command.envs(KEYS).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        // To the end of what it says: it would miss a listener who goes too early.
        assert_eq!(lines.next().unwrap().unwrap(), format!("bucket {BUCKET}"));
        let endpoint = first.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, endpoint }
    }

    /// Tells a command where it is, and the right keys.
    pub(crate) fn reach(&self, command: &mut Command) {
        command.args(["--endpoint", &self.endpoint]).envs(KEYS);
    }

    /// A command that mounts its bucket.
    pub(crate) fn mount(&self, at: &Path) -> Command {
        mount_from(&self.endpoint, at)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives a command the right keys.
pub(crate) fn with_keys(command: &mut Command) -> &mut Command {
    command.envs(KEYS)
}

/// A command that mounts the bucket from an endpoint, with the right keys.
pub(crate) fn mount_from(endpoint: &str, at: &Path) -> Command {
    let url = format!("cos://{BUCKET}");
    let arguments = ["mount", &url, "--endpoint", endpoint].map(OsStr::new);
    let mut command = partfs(arguments);
    command.arg(at).envs(KEYS);
    command
}

/// A server that gives the same answer to everybody, until the tests end.
pub(crate) fn server_that_says(answer: impl Into<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = answer.into();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // One read is enough to have begun to listen; the client sends no bodies.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&answer);
        }
    });
    endpoint
}
