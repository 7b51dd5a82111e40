//! Writes down which secrets the server knows and which signatures it was shown, for tests that look whether
//! any of them is found elsewhere. Only in builds with debug assertions; a release build writes nothing.

use super::MockConfig;
use super::request::Request;

/// Ends of the names of headers and parameters that hold secrets.
#[cfg(debug_assertions)]
const SECRET_ENDS: [&str; 2] = ["security-token", "customer-key"];

/// From now on the secrets of every server in this process are appended to a file in this folder, one a line, as
/// `secret TEXT` or `signature TEXT`.
///
/// # Errors
/// The file cannot be made.
#[cfg(debug_assertions)]
pub fn keep_ledger(folder: &std::path::Path) -> std::io::Result<()> {
    let path = folder.join(format!("{}.secrets", std::process::id()));
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    let _ = open::LEDGER.set(file);
    Ok(())
}

/// Nothing.
///
/// # Errors
/// None.
#[cfg(not(debug_assertions))]
pub fn keep_ledger(_: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

/// The keys that a server accepts from now on.
#[cfg(debug_assertions)]
pub(super) fn accepts(config: &MockConfig) {
    open::note("secret", &config.secret_access_key);
    config.session_token.iter().for_each(|token| open::note("secret", token));
}

/// What a request shows.
#[cfg(debug_assertions)]
pub(super) fn shown(request: &Request) {
    if !open::is_kept() {
        return;
    }
    for (name, value) in &request.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == "authorization" {
            // `…q-signature=S`, `…Signature=S`, `QS ID:S`, `OSS ID:S`.
            let named = value.rfind("ignature=").map(|at| at + "ignature=".len());
            let at = named.or_else(|| value.rfind(':').map(|at| at + 1)).unwrap_or(0);
            open::note("signature", &value[at..]);
        } else if is_secret(name.as_str()) {
            open::note("secret", &value);
        }
    }
    for (name, value) in request.query.pairs() {
        let name = name.to_ascii_lowercase();
        if is_secret(&name) {
            open::note("secret", value);
        } else if name.ends_with("signature") {
            open::note("signature", value);
        }
    }
}

#[cfg(debug_assertions)]
fn is_secret(name: &str) -> bool {
    SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(super) fn accepts(_: &MockConfig) {}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(super) fn shown(_: &Request) {}

#[cfg(debug_assertions)]
mod open {
    use std::fs::File;
    use std::io::Write;
    use std::sync::OnceLock;

    pub(super) static LEDGER: OnceLock<File> = OnceLock::new();

    pub(super) fn is_kept() -> bool {
        LEDGER.get().is_some()
    }

    pub(super) fn note(kind: &str, text: &str) {
        if let Some(mut ledger) = LEDGER.get() {
            let _ = ledger.write_all(format!("{kind} {}\n", text.trim()).as_bytes());
        }
    }
}
