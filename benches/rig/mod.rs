//! What the benchmarks stand on: a mock and a mount as processes of their own, a folder in memory,
//! and figures. Knows no phase of any benchmark.
//!
//! A benchmark that is started by `cargo bench` measures; started by `cargo test` it runs itself once
//! on a small scale, so that a change that breaks it is found at once.

pub(crate) mod figures;
pub(crate) mod memory;
pub(crate) mod mock;
pub(crate) mod mounted;
pub(crate) mod process;
pub(crate) mod requests;
pub(crate) mod watched;

use std::ffi::OsStr;
use std::fs::File;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use tokio::time::Instant;

/// Whatever went wrong; a benchmark can only say so and stop.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Result of everything that can go wrong.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Runs the benchmark `name` as cargo asks: `measure` for `cargo bench`, `small` for `cargo test`.
pub(crate) fn run(name: &str, measure: fn() -> Outcome, small: fn() -> Outcome) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let mut filters = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    // Names of tests are given to this program too.
    let is_meant = filters.peek().is_none() || filters.any(|filter| name.contains(filter.as_str()));
    if !is_meant || given("--list") {
        return ExitCode::SUCCESS;
    }
    if let Err(why) = mounted::possible() {
        let required = given("--bench") || std::env::var_os("PARTFS_REQUIRE_FUSE").is_some();
        eprintln!("{name}: {}: {why}", if required { "impossible" } else { "skipped" });
        return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    requests::check_reading();
    let done = |()| if given("--bench") { measure() } else { small() };
    match survive_interrupts().and_then(done) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// From now on a key that interrupts ends only the programs that were started. The benchmark then
/// fails, and takes its mounts and its memory away.
fn survive_interrupts() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    // The handler stays for the life of the process.
    let _unread = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(())
}

/// A number from the environment, such as PARTFS_BENCH_GIB.
pub(crate) fn setting(name: &str, default: f64) -> Outcome<f64> {
    let Some(text) = std::env::var_os(name) else { return Ok(default) };
    let text = text.to_string_lossy();
    let number: f64 = text.parse().map_err(|_| format!("{name}={text} is no number"))?;
    if number > 0.0 { Ok(number) } else { Err(format!("{name}={text}: more than 0").into()) }
}

/// `partfs` with these arguments, without the variables of whoever measures.
pub(crate) fn partfs<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_partfs"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["PARTFS_", "TENCENTCLOUD_", "NOTIFY_SOCKET"];
        if ours.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.env("PARTFS_ACCESS_KEY_ID", "bench").env("PARTFS_SECRET_ACCESS_KEY", "bench");
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end, which must be a good one, and says how long it took and what it
/// printed. Output is taken from a file: a pipe would have to be emptied meanwhile.
pub(crate) fn timed(command: &mut Command) -> Outcome<(Duration, String)> {
    let printed = tempfile::NamedTempFile::new()?;
    command.stdin(Stdio::null()).stdout(File::create(printed.path())?);
    let start = Instant::now();
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    let took = start.elapsed();
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok((took, String::from_utf8_lossy(&std::fs::read(printed.path())?).into_owned()))
}

/// How this program was built; figures of a debug build mean nothing.
pub(crate) fn build() -> &'static str {
    if cfg!(debug_assertions) { "a build without optimisation" } else { "an optimised build" }
}
