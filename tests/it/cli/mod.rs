//! The program as users meet it: what it accepts, what it refuses and in which words.

mod check;
mod confined;
mod help;
mod lifecycle;
mod link;
mod memory;
mod metrics;
mod mistakes;
mod mock;
pub(crate) mod mount_helper;
mod mountpoints;
pub(crate) mod place;
mod refusals;
pub(crate) mod server;
mod status;
mod texts;
mod unit_file;
mod uploads;
mod users;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::world::canary;

/// The program, without the variables of whoever runs the tests.
pub(crate) fn partfs<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_partfs"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["PARTFS_", "TENCENTCLOUD_", "NOTIFY_SOCKET", "WATCHDOG_"];
        if ours.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    // Not the journal of the machine, …
    command.env("PARTFS_LOG_FORMAT", "human");
    // … and not the state of whoever runs the tests.
    command.env("PARTFS_STATE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"));
    canary::traced(&mut command);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What came of a command.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    canary::keep(command, &[&stdout[..], &stderr[..]].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Runs a line, cut at blanks.
fn line(line: &str) -> Ran {
    run(&mut partfs(line.split_whitespace()))
}

/// `partfs mount URL MOUNTPOINT`, with more arguments.
fn mount(url: &str, at: &Path, more: &[&str]) -> Ran {
    let mut command = partfs(["mount", url]);
    run(command.arg(at).args(more))
}
