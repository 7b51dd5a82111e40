//! Runs of the tests in which everything is traced and every secret is written down, so that afterwards the
//! one can be looked for in the other (`tests/canary/run`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use partfs::{mock, telemetry};

/// Where everything goes in such a run.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("PARTFS_CANARY_DIR").map(PathBuf::from)
}

/// In such a run: from now on this process traces, too.
pub fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        if let Some(folder) = folder() {
            mock::keep_ledger(&folder).expect("a folder to write to");
            telemetry::trace_into(folder);
            telemetry::start_traces().expect("the first to trace");
        }
    });
}

/// Where this process writes down the secrets of its servers, in such a run or not.
pub fn ledger() -> PathBuf {
    static KEPT: Once = Once::new();
    watch();
    folder().unwrap_or_else(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ledger");
        KEPT.call_once(|| {
            // Those of earlier runs.
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).expect("a folder");
            mock::keep_ledger(&folder).expect("a folder to write to");
        });
        folder
    })
}

/// In such a run: lets a command trace.
pub fn traced(command: &mut Command) {
    if let Some(folder) = folder() {
        command.env("PARTFS_TRACE_DIR", folder);
    }
}

/// In such a run: keeps what a command has said, but of those that are there to tell a secret.
pub fn keep(command: &Command, said: &[u8]) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let tells = command.get_args().next().is_some_and(|word| word == "link" || word == "mock");
    if let Some(folder) = folder().filter(|_| !tells) {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{count}.said", std::process::id());
        fs::write(folder.join(name), said).expect("a folder to write to");
    }
}
