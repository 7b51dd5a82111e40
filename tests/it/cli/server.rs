//! `partfs mock` as a process of its own, which a mount reaches as it reaches a service.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

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

/// A command that mounts the bucket from an endpoint, with the right keys.
pub(crate) fn mount_from(endpoint: &str, at: &Path) -> Command {
    let url = format!("cos://{BUCKET}");
    let arguments = ["mount", &url, "--endpoint", endpoint].map(OsStr::new);
    let mut command = partfs(arguments);
    command.arg(at).envs(KEYS);
    command
}
