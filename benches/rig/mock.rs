//! `partfs mock` as a process of its own, so that its work is not counted as the mount's.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::requests::Requests;
use super::{Outcome, partfs};

/// The one bucket.
pub(crate) const BUCKET: &str = "bench-1250000000";

/// A mock that runs; killed when dropped.
#[derive(Debug)]
pub(crate) struct Mock {
    child: Child,
    printed: BufReader<ChildStdout>,
    endpoint: String,
}

impl Mock {
    /// Starts one with an empty bucket in memory, or with what is in the folder.
    pub(crate) fn start(folder: Option<&Path>) -> Outcome<Self> {
        // ETags without meaning: the mock shall not spend the processor on MD5.
        let fixed = ["mock", "--etags", "opaque", "--dialect", "cos", "--listen", "127.0.0.1:0"];
        let mut command = partfs(fixed);
        command.args(["--bucket", BUCKET]);
        if let Some(folder) = folder {
            command.arg("--dir").arg(folder);
        }
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut printed = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut first = String::new();
        printed.read_line(&mut first)?;
        let endpoint = first.trim().strip_prefix("listening on ").map(str::to_owned);
        // Made before the complaint, so that the process ends with it.
        let mock = Self { child, printed, endpoint: endpoint.unwrap_or_default() };
        if mock.endpoint.is_empty() {
            return Err(format!("the mock did not start: {first}").into());
        }
        Ok(mock)
    }

    /// Its address, http://…
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it; all it was asked for.
    pub(crate) fn stop(mut self) -> Outcome<Requests> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let mut rest = String::new();
        self.printed.read_to_string(&mut rest)?;
        self.child.wait()?;
        Ok(Requests::read(&rest))
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
