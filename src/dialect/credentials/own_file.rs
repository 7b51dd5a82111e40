//! The file that the option `credentials_file` names: our own format, and the strictest rules,
//! because it holds nothing but keys.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::file::{self, Links};
use super::place::{Local, Look};
use super::{CredentialError, Credentials, Secret};

/// The file, or the lack of it.
#[derive(Debug)]
pub(super) struct OwnFile(pub(super) Option<PathBuf>);

impl Local for OwnFile {
    fn name(&self) -> String {
        match &self.0 {
            Some(path) => format!("credentials_file {}", path.display()),
            None => "the file named by credentials_file".to_owned(),
        }
    }

    fn look(&self) -> Result<Look, CredentialError> {
        let Some(path) = &self.0 else { return Ok(Look::nothing()) };
        let bad = |what: String| CredentialError::bad(self.name(), what);
        let contents = file::read(path, Links::Refuse, |metadata| check(path, metadata))
            .map_err(bad)?
            .ok_or_else(|| bad("there is no such file".to_owned()))?;
        let credentials = parse(&contents.text).map_err(bad)?;
        Ok(Look::Found(credentials, Some(contents.stamped)))
    }
}

/// Reads a file of ours that holds a secret, by the rules for `credentials_file`; what is wrong with it
/// is the end of a sentence that names it.
pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>, String> {
    file::read_bytes(path, |metadata| check(path, metadata))?
        .ok_or_else(|| "there is no such file".to_owned())
}

/// The rules of s3fs: ours or root's, nobody else may read it, nobody may run it.
fn check(path: &Path, metadata: &Metadata) -> Result<(), String> {
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(format!("belongs to user {}, not to user {me} or root", metadata.uid()));
    }
    let mode = metadata.mode() & 0o7777;
    // What systemd makes of LoadCredential= where an ACL lets the user of the service in: the bits of the group are
    // the mask of that list.
    let of_systemd = mode == 0o440 && (metadata.uid(), metadata.gid()) == (0, 0);
    if mode & 0o177 != 0 && !of_systemd {
        return Err(format!(
            "has mode {mode:04o}, others could read it: chmod 600 {}",
            path.display()
        ));
    }
    Ok(())
}

/// Lines `name = value`, the value with or without quotes; `#` begins a comment line. No complaint
/// repeats a value.
fn parse(text: &str) -> Result<Credentials, String> {
    let (mut id, mut secret, mut token) = (None, None, None);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {number} is not of the form name = value"));
        };
        let value = unquoted(value.trim());
        match name.trim() {
            "access_key_id" => id = Some(value),
            "secret_access_key" => secret = Some(value),
            "session_token" => token = Some(value),
            _ => {
                return Err(format!(
                    "line {number}: only access_key_id, secret_access_key and session_token belong here"
                ));
            }
        }
    }
    let given = |value: Option<&str>, name: &str| {
        let value = value.filter(|value| !value.is_empty()).ok_or(format!("has no {name}"))?;
        Ok::<_, String>(value.to_owned())
    };
    Ok(Credentials {
        access_key_id: given(id, "access_key_id")?,
        secret_access_key: Secret::new(given(secret, "secret_access_key")?),
        session_token: token.filter(|token| !token.is_empty()).map(Secret::new),
        expires: None,
    })
}

/// What is inside a pair of quotes, or the text itself.
pub(super) fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
#[path = "own_file_tests.rs"]
mod tests;
