//! Where the keys of a bucket come from. Never from the command line, where every user of the
//! machine could read them.

use std::path::Path;

use super::environment::Environment;
use super::{Refusal, secret_file};
use crate::dialect::{Credentials, Secret};

/// Variables for key id, secret and token, in the order in which they are looked for.
const VARIABLES: [[&str; 3]; 2] = [
    ["PARTFS_ACCESS_KEY_ID", "PARTFS_SECRET_ACCESS_KEY", "PARTFS_SESSION_TOKEN"],
    ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN"],
];

/// The first credentials found: partfs's variables, those of the service, the file.
pub(crate) fn find(environment: &Environment, file: Option<&Path>) -> Result<Credentials, Refusal> {
    for [id, secret, token] in VARIABLES {
        let token = environment.get(token).map(|token| Secret::new(token.to_owned()));
        match (environment.get(id), environment.get(secret)) {
            (Some(id), Some(secret)) => {
                return Ok(Credentials {
                    access_key_id: id.to_owned(),
                    secret_access_key: Secret::new(secret.to_owned()),
                    session_token: token,
                });
            }
            (Some(_), None) => {
                return Err(Refusal::new(format!("{id} is set but {secret} is not")));
            }
            (None, Some(_)) => {
                return Err(Refusal::new(format!("{secret} is set but {id} is not")));
            }
            (None, None) => {}
        }
    }
    match file {
        Some(path) => read(path)
            .map_err(|what| Refusal::new(format!("credentials_file {}: {what}", path.display()))),
        None => Err(Refusal::new(
            "no credentials found. They are looked for in PARTFS_ACCESS_KEY_ID and \
             PARTFS_SECRET_ACCESS_KEY (and PARTFS_SESSION_TOKEN), then in TENCENTCLOUD_SECRET_ID and \
             TENCENTCLOUD_SECRET_KEY (and TENCENTCLOUD_TOKEN), then in the file named by \
             credentials_file",
        )),
    }
}

fn read(path: &Path) -> Result<Credentials, String> {
    let text = String::from_utf8(secret_file::read(path)?);
    parse(&text.map_err(|_| "is not text".to_owned())?)
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
        session_token: token
            .filter(|token| !token.is_empty())
            .map(|token| Secret::new(token.to_owned())),
    })
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
