//! `partfs uploads`: shows the multipart uploads in progress, and aborts them; in a bucket by the service's own
//! requests, of a mount by the files that it shows.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::config::{UploadsAction, UploadsConfig, UploadsPlace};
use super::human::{printable, size};
use super::{MountError, Outcome, cannot, layers, probe, runtime, say};
use crate::clock::{Clock, SystemClock};
use crate::fs::control;
use crate::store::{
    ErrorKind, Key, ListedUpload, ObjectStore, StoreResult, Upload, UploadId, all_parts,
    all_uploads,
};

/// So many uploads are asked for their parts at a time.
const ASKED: usize = 8;

/// One upload, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Shown {
    key: String,
    upload_id: String,
    /// `None` where the mount does not tell.
    initiated: Option<jiff::Timestamp>,
    parts: usize,
    bytes: u64,
    /// The file of a mount.
    #[serde(skip)]
    file: Option<PathBuf>,
}

impl Shown {
    /// For people, in one line.
    fn name(&self) -> String {
        printable(&format!("{}@{}", self.key, self.upload_id))
    }
}

/// Shows uploads on standard output, or aborts them and names each.
pub fn run(config: &UploadsConfig) -> Result<Outcome, MountError> {
    let now = SystemClock.now();
    match &config.place {
        UploadsPlace::Mountpoint(mountpoint) => {
            let mut found = Vec::new();
            let folder = mountpoint.join(control::NAME).join(control::UPLOADS_NAME);
            gather(&folder, &mut found).map_err(|error| {
                let what = match error.kind() {
                    io::ErrorKind::NotFound => {
                        "is not where partfs is mounted, or the mount has control_dir=off"
                            .to_owned()
                    }
                    _ => format!("cannot be read: {error}"),
                };
                MountError::new(format!("{} {what}", mountpoint.display()))
            })?;
            act(config, found, now, |shown| {
                fs::remove_file(shown.file.as_deref().unwrap_or(Path::new("")))
                    .map_err(|error| error.to_string())
            })
        }
        UploadsPlace::Bucket { source, prefix } => {
            let runtime = runtime(layers::MAX_FILE_THREADS)?;
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let ground = runtime.block_on(layers::ground(source, prefix, None, &clock))?;
            let store = &*ground.store;
            let found = runtime
                .block_on(ask(store))
                .map_err(|error| MountError::new(probe::sentence(&error, &ground.target)))?;
            let outcome = act(config, found, now, |shown| {
                let upload = upload(shown)?;
                runtime.block_on(store.abort_upload(&upload)).map_err(|error| error.to_string())
            });
            if let Some(mock) = ground.mock {
                runtime.block_on(mock.stop());
            }
            outcome
        }
    }
}

fn upload(shown: &Shown) -> Result<Upload, String> {
    let key = Key::new(shown.key.clone()).map_err(|error| error.to_string())?;
    Ok(Upload { key, id: UploadId::new(shown.upload_id.clone()) })
}

/// All uploads of a bucket and what they hold; those that end meanwhile are left out.
async fn ask(store: &dyn ObjectStore) -> StoreResult<Vec<Shown>> {
    let mut asked = Vec::new();
    for listed in all_uploads(store, "").await? {
        asked.push(ask_one(store, listed));
    }
    let found: Vec<Option<Shown>> = stream::iter(asked).buffered(ASKED).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn ask_one(store: &dyn ObjectStore, listed: ListedUpload) -> StoreResult<Option<Shown>> {
    let parts = match all_parts(store, &listed.upload).await {
        Err(error) if error.kind == ErrorKind::NoSuchUpload => return Ok(None),
        parts => parts?,
    };
    Ok(Some(Shown {
        key: listed.upload.key.as_str().to_owned(),
        upload_id: listed.upload.id.as_str().to_owned(),
        initiated: jiff::Timestamp::try_from(listed.initiated).ok(),
        parts: parts.len(),
        bytes: parts.iter().map(|part| part.size).sum(),
        file: None,
    }))
}

/// All files below a folder of uploads.
fn gather(folder: &Path, found: &mut Vec<Shown>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            match gather(&path, found) {
                Err(error) if is_gone(&error) => {}
                gathered => gathered?,
            }
            continue;
        }
        match fs::read_to_string(&path) {
            Ok(text) => found.push(told(&text, path)),
            // It has ended since.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESTALE)
}

/// What the head of such a file says.
fn told(text: &str, file: PathBuf) -> Shown {
    let line = |name: &str| {
        let of_name = |line: &str| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        text.lines().take_while(|line| !line.is_empty()).find_map(of_name)
    };
    Shown {
        key: line("key").unwrap_or_default(),
        upload_id: line("upload").unwrap_or_default(),
        initiated: line("initiated").and_then(|text| text.parse().ok()),
        parts: line("parts").and_then(|text| text.parse().ok()).unwrap_or_default(),
        bytes: line("bytes").and_then(|text| text.parse().ok()).unwrap_or_default(),
        file: Some(file),
    }
}

/// Does what is to be done about those that are meant.
fn act(
    config: &UploadsConfig,
    mut found: Vec<Shown>,
    now: SystemTime,
    abort: impl Fn(&Shown) -> Result<(), String>,
) -> Result<Outcome, MountError> {
    found.retain(|shown| is_old(shown, config.older_than, now));
    let print = cannot("print the uploads");
    match &config.action {
        UploadsAction::List { json: true } => {
            let text = serde_json::to_string_pretty(&found)
                .map_err(|error| MountError::new(format!("cannot print the uploads: {error}")))?;
            writeln!(io::stdout(), "{text}").map_err(print)?;
            Ok(Outcome::Done)
        }
        UploadsAction::List { json: false } => {
            io::stdout().write_all(table(&found).as_bytes()).map_err(print)?;
            Ok(Outcome::Done)
        }
        UploadsAction::Abort { keys } => {
            let mut outcome = Outcome::Done;
            for key in keys {
                if !found.iter().any(|shown| is_meant(shown, key)) {
                    say(&format!("there is no such upload: {key}"));
                    outcome = Outcome::Lost;
                }
            }
            let meant =
                |shown: &&Shown| keys.is_empty() || keys.iter().any(|key| is_meant(shown, key));
            for shown in found.iter().filter(meant) {
                let name = shown.name();
                match abort(shown) {
                    // The exit code still tells where nobody listens.
                    Ok(()) => drop(writeln!(io::stdout(), "aborted {name}")),
                    Err(error) => {
                        say(&format!("{name} could not be aborted: {error}"));
                        outcome = Outcome::Lost;
                    }
                }
            }
            Ok(outcome)
        }
    }
}

/// Whether an upload was begun so long ago. One of which that is not known was not.
fn is_old(shown: &Shown, least: Option<Duration>, now: SystemTime) -> bool {
    let Some(least) = least else { return true };
    let initiated = shown.initiated.map(SystemTime::from);
    initiated.is_some_and(|initiated| now.duration_since(initiated).unwrap_or_default() >= least)
}

/// Whether the user means this upload: by its key, by both, or by the name that its file has.
fn is_meant(shown: &Shown, named: &str) -> bool {
    let both =
        || named.strip_prefix(&*shown.key)?.strip_prefix('@').map(|id| id == shown.upload_id);
    let file = shown.file.as_deref().and_then(Path::file_name);
    named == shown.key || both() == Some(true) || file == Some(OsStr::new(named))
}

/// For people: sums at the end.
fn table(found: &[Shown]) -> String {
    let mut text = String::new();
    for shown in found {
        let Shown { initiated, parts, bytes, .. } = shown;
        let name = shown.name();
        let initiated = initiated.map_or("-".to_owned(), |time| format!("{time:.0}"));
        text += &format!("{initiated:<20} {parts:>6} parts {:>12}  {name}\n", size(*bytes));
    }
    let bytes = found.iter().map(|shown| shown.bytes).sum();
    let uploads = if found.len() == 1 { "upload holds" } else { "uploads hold" };
    text + &format!("{} {uploads} {}\n", found.len(), size(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &str, id: &str, initiated: &str) -> Shown {
        Shown {
            key: key.to_owned(),
            upload_id: id.to_owned(),
            initiated: initiated.parse().ok(),
            parts: 2,
            bytes: 5 << 20,
            file: None,
        }
    }

    #[test]
    fn the_head_of_a_file_is_read_back() {
        let text = "key a b\nupload U@1\ninitiated 2026-11-22T10:00:00Z\nparts 2\nbytes 5242880\n\n PART\nkey no\n";
        let file = PathBuf::from("/m/.partfs/uploads/a b@U%401");
        let told = told(text, file.clone());
        let expected = shown("a b", "U@1", "2026-11-22T10:00:00Z");
        assert_eq!(told, Shown { file: Some(file), ..expected });
        for named in ["a b", "a b@U@1", "a b@U%401"] {
            assert!(is_meant(&told, named), "{named}");
        }
        assert!(!is_meant(&told, "a") && !is_meant(&told, "a b@U"));
    }

    #[test]
    fn young_uploads_and_those_of_unknown_age_are_not_old() {
        let now: SystemTime = "2026-11-22T12:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
        let hour = Some(Duration::from_secs(3600));
        assert!(is_old(&shown("k", "1", "2026-11-22T10:59:59Z"), hour, now));
        assert!(!is_old(&shown("k", "1", "2026-11-22T11:30:00Z"), hour, now));
        assert!(!is_old(&shown("k", "1", "2027-01-01T00:00:00Z"), hour, now), "a clock is wrong");
        assert!(!is_old(&shown("k", "1", "unknown"), hour, now));
        assert!(is_old(&shown("k", "1", "unknown"), None, now));
    }

    #[test]
    fn the_table_ends_in_sums() {
        let uploads = [shown("a", "1", "2026-11-22T10:00:00Z"), shown("b", "2", "unknown")];
        assert_eq!(
            table(&uploads),
            "2026-11-22T10:00:00Z      2 parts      5.0 MiB  a@1\n\
             -                         2 parts      5.0 MiB  b@2\n\
             2 uploads hold 10.0 MiB\n"
        );
        assert_eq!(table(&[]), "0 uploads hold 0 bytes\n");
    }
}
