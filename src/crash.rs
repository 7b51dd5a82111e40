//! Named places at which a test makes the daemon die as if it were killed, or panic: for the proof that nothing
//! is lost wherever that happens. Only in builds with debug assertions; in a release build nothing is left of them.

/// Dies here, by SIGKILL, or panics, if the test has said so with [`arm`].
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    armed::reached(name);
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &str) {}

/// What is to happen: `NAME` or `NAME:OCCURRENCE`, counted from 1, to die there; `panic=` before it, to panic; or
/// `log=FILE`, to append the name of each place that is passed to a file.
///
/// # Errors
/// An occurrence that is no number from 1 on; a file that cannot be written.
#[cfg(debug_assertions)]
pub fn arm(what: &str) -> Result<(), String> {
    if let Some(path) = what.strip_prefix("log=") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        armed::log_to(file.map_err(|error| format!("{path}: {error}"))?);
        return Ok(());
    }
    let (panics, what) = what.strip_prefix("panic=").map_or((false, what), |what| (true, what));
    let (name, occurrence) = what.split_once(':').unwrap_or((what, "1"));
    let occurrence = occurrence.parse::<u64>().ok().filter(|number| *number > 0);
    let occurrence = occurrence.ok_or_else(|| format!("{what:?} is not NAME:OCCURRENCE"))?;
    armed::set(name, occurrence, panics);
    Ok(())
}

/// Nothing.
///
/// # Errors
/// None.
#[cfg(not(debug_assertions))]
pub fn arm(_: &str) -> Result<(), String> {
    Ok(())
}

#[cfg(debug_assertions)]
mod armed {
    use std::fs::File;
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Where, how many times it is still passed, and whether it panics then.
    static ARMED: OnceLock<(String, AtomicU64, bool)> = OnceLock::new();

    /// Where names are noted.
    static LOG: OnceLock<File> = OnceLock::new();

    pub(super) fn log_to(file: File) {
        let _ = LOG.set(file);
    }

    pub(super) fn set(name: &str, occurrence: u64, panics: bool) {
        let _ = ARMED.set((name.to_owned(), AtomicU64::new(occurrence), panics));
    }

    pub(super) fn reached(name: &str) {
        if let Some(mut log) = LOG.get() {
            let _ = log.write_all(format!("{name}\n").as_bytes());
        }
        let Some((armed, left, panics)) = ARMED.get() else { return };
        if armed == name && left.fetch_sub(1, Ordering::AcqRel) == 1 {
            assert!(!panics, "a test wants a panic at {name}");
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            // Nothing more is done by this thread before the signal takes it.
            std::thread::park();
        }
    }
}
