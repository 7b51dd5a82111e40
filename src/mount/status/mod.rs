//! `partfs status`: what a mount is at. Reads its status file, and shows it as a table, as it is, or again and again
//! with a bar for each file that is being stored.

mod bars;
mod progress;
mod source;
mod table;
mod watch;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::config::StatusConfig;
use super::liveness::{self, NoStatus};
use super::{MountError, Outcome, cannot, mountinfo, mountpoint, say};
use crate::clock::{Clock, SystemClock};
use crate::fs::control::status::Status;

pub(crate) use bars::Bars;
pub(crate) use progress::{Line, Progress};

/// Shows the state of a mount, or of all.
///
/// # Errors
/// Where there is no mount of partfs at the place, where its daemon is dead or does not answer, and where its
/// status file may not be read. Of several mounts all are shown that can be, and the last error is told.
pub fn run(config: &StatusConfig) -> Result<Outcome, MountError> {
    let places = places(config.mountpoint.as_deref())?;
    if config.watch {
        let [place] = &places[..] else {
            return Err(MountError::new(match places.len() {
                0 => "nothing is mounted by partfs".to_owned(),
                _ => format!("which mount? {}", list(&places)),
            }));
        };
        return watch::watch(place, config.json);
    }
    let mut result = Ok(Outcome::Done);
    let mut shown: Vec<(&PathBuf, Status)> = Vec::new();
    for place in &places {
        match liveness::status_of(place) {
            Ok(status) => shown.push((place, status)),
            Err(error) => {
                let sentence = sentence(place, &error);
                if config.mountpoint.is_some() {
                    return Err(MountError::new(sentence));
                }
                say(&sentence);
                // That others have mounts is no failure.
                if !is_others(&error) {
                    result = Err(MountError::already_said());
                }
            }
        }
    }
    let text = match (config.json, &config.mountpoint) {
        (true, Some(_)) => shown.first().map(|(_, status)| json(status)).transpose()?,
        (true, None) => Some(json(&shown)?),
        (false, _) if places.is_empty() => Some("nothing is mounted by partfs\n".to_owned()),
        (false, _) => {
            let now = SystemClock.now();
            let tables = shown.iter().map(|(place, status)| table::table(place, status, now));
            Some(tables.collect::<Vec<_>>().join("\n"))
        }
    };
    let print = cannot("print the status");
    io::stdout().write_all(text.unwrap_or_default().as_bytes()).map_err(print)?;
    result
}

fn json(shown: &impl serde::Serialize) -> Result<String, MountError> {
    let text = serde_json::to_string_pretty(shown);
    let text =
        text.map_err(|error| MountError::new(format!("cannot print the status: {error}")))?;
    Ok(text + "\n")
}

fn list(places: &[PathBuf]) -> String {
    let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    places.join(", ")
}

/// Where to look.
fn places(mountpoint: Option<&Path>) -> Result<Vec<PathBuf>, MountError> {
    let failed = |error: io::Error| MountError::new(format!("/proc/self/mountinfo: {error}"));
    let Some(mountpoint) = mountpoint else {
        return Ok(mountinfo::ours().map_err(failed)?.into_iter().map(|mount| mount.at).collect());
    };
    let place = mountpoint::locate(mountpoint)?;
    match mountinfo::at(&place).map_err(failed)? {
        Some(mount) if mount.is_ours() => Ok(vec![place]),
        Some(mount) => Err(MountError::new(format!(
            "{} is not a mount of partfs but {} ({})",
            place.display(),
            mount.kind,
            mount.source
        ))),
        None => Err(MountError::new(format!("nothing is mounted at {}", place.display()))),
    }
}

/// Whether the kernel lets only somebody else look.
fn is_others(error: &NoStatus) -> bool {
    matches!(error, NoStatus::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied)
}

fn sentence(place: &Path, error: &NoStatus) -> String {
    let at = place.display();
    match error {
        NoStatus::Silent => format!("the daemon of {at} does not answer"),
        NoStatus::Unreadable(error) if liveness::is_disconnected(error) => {
            format!("{at} is a dead mount: its daemon has gone; partfs umount {at} clears it")
        }
        NoStatus::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => {
            format!(
                "{at} has no status: it was mounted with control_dir=off, or is covered by another mount"
            )
        }
        NoStatus::Unreadable(_) if is_others(error) => {
            format!("{at} is another user's mount: its status is for that user and root")
        }
        NoStatus::Unreadable(error) => format!("the status of {at} cannot be read: {error}"),
        NoStatus::Unknown(error) => {
            format!(
                "{at} is served by another version of partfs, whose status is not understood: {error}"
            )
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A mount at which nothing is going on.
    pub(crate) fn quiet() -> Status {
        Status {
            pid: 1234,
            version: "0.1.0".into(),
            source: "cos://b-1250000000".into(),
            mounted: Some(jiff::Timestamp::UNIX_EPOCH),
            last_words: None,
            open_handles: 3,
            inodes: 9,
            background_tasks: 0,
            uploads_open: 1,
            uploads_left_over: 1,
            memory_limit_bytes: 224 << 20,
            memory_free_bytes: 200 << 20,
            requests: 400,
            retries: 2,
            bytes_sent: 3 << 30,
            bytes_received: 0,
            reads_from_memory: 0,
            reads_waited: 0,
            failed_calls: 0,
            killed_writers: 0,
            hidden_keys: 0,
            panics: 0,
            files: Vec::new(),
            files_more: 0,
            failures: Vec::new(),
            waiting: Vec::new(),
            renames: Vec::new(),
        }
    }

    #[test]
    fn what_the_daemon_writes_is_read_and_what_it_adds_later_is_no_matter() {
        let mut value = serde_json::to_value(quiet()).unwrap();
        value["of_another_version"] = 7.into();
        assert_eq!(serde_json::from_value::<Status>(value).unwrap(), quiet());
    }
}
