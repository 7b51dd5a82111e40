//! Uploads on disk: which ones this mount has opened, so that a crash forgets none. A record is a small
//! file of its own in one folder. It is on disk before Initiate is sent, and the upload's id is before the
//! first part is; so what a dead mount has left can be found, continued or removed, and nothing else is
//! touched.
//!
//! Whoever works on an upload holds its record locked. Several mounts of one bucket share the folder: what
//! is locked belongs to a mount that is alive, and the lock of a dead one is gone. Everything here
//! blocks.

mod record;

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::crash;
use crate::store::{Key, PutOptions, StandardHeaders, Started, Upload, UploadId};
use record::{Intent, Opened, Record, Unreadable};

/// Ends the names of records.
const RECORD: &str = "upload";
/// Ends the names of records that cannot be read; nobody looks at them but people.
const DAMAGED: &str = "damaged";
/// Held while a record is made (shared) and while records of the dead are taken over (alone), because a
/// record that was just made is not locked yet.
const LOCK: &str = "lock";
/// A record is far smaller; keys have at most 1,024 bytes, metadata 64 KiB.
const RECORD_BYTES: u64 = 1 << 20;

/// The record of one upload, locked. Dropping it unlocks it and leaves it to the next mount.
#[derive(Debug)]
pub(super) struct Entry {
    path: PathBuf,
    file: File,
    record: Record,
}

impl Entry {
    /// Writes down that an upload will be opened. On disk when this returns.
    ///
    /// # Errors
    /// Any of the file system; then there is no record.
    pub(super) fn create(
        dir: &Path,
        key: &Key,
        options: &PutOptions,
        properties: &str,
        begun: SystemTime,
    ) -> io::Result<Self> {
        let intent = Intent {
            key: key.clone(),
            begun,
            options: options.clone(),
            properties: properties.to_owned(),
        };
        let path =
            dir.join(format!("{:016x}.{RECORD}", getrandom::u64().map_err(io::Error::other)?));
        let _making = lock(dir, FlockOperation::LockShared)?;
        let mut file = OpenOptions::new();
        let file = file.read(true).append(true).create_new(true).mode(0o600).open(&path)?;
        let written = flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(io::Error::from)
            .and_then(|()| (&file).write_all(intent.line().as_bytes()))
            .inspect(|()| crash::point("journal.intent_written"))
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(dir)?.sync_all());
        if let Err(error) = written {
            // Nothing was announced by it.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        crash::point("journal.intent_synced");
        Ok(Self { path, file, record: Record { intent, opened: None } })
    }

    /// Writes down the answer to Initiate. On disk when this returns.
    ///
    /// # Errors
    /// Any of the file system; then the record on disk says that there was no answer.
    pub(super) fn opened(&mut self, started: &Started) -> io::Result<()> {
        let opened = Opened { id: started.upload.id.clone(), strays: started.strays };
        let line = opened.line();
        self.record.opened = Some(opened);
        self.file.write_all(line.as_bytes())?;
        crash::point("journal.id_written");
        self.file.sync_data()?;
        crash::point("journal.id_synced");
        Ok(())
    }

    /// Forgets the upload: it is completed, or gone. A record that comes back after a crash is one of an
    /// upload that does not exist.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error,
                "the record of an upload that has ended cannot be removed");
        }
        crash::point("journal.removed");
    }

    /// The upload, once it has an id.
    pub(super) fn upload(&self) -> Option<Upload> {
        let id = self.record.opened.as_ref()?.id.clone();
        Some(Upload { key: self.record.intent.key.clone(), id })
    }

    /// Where the object was to appear.
    pub(super) fn key(&self) -> &Key {
        &self.record.intent.key
    }

    /// When the upload was about to be opened.
    pub(super) fn begun(&self) -> SystemTime {
        self.record.intent.begun
    }

    /// Whether there may be an upload of which nobody has the id.
    pub(super) fn has_strays(&self) -> bool {
        self.record.opened.as_ref().is_none_or(|opened| opened.strays)
    }

    /// Whether an object of `options` and `properties` may be made of the upload: it gets what went with
    /// Initiate. What it replaces is said at the end, except that it was to replace nothing.
    ///
    /// A Content-Type that did not go with Initiate was added by the service, and is told of the object that is
    /// replaced when somebody asks: it is no difference.
    pub(super) fn suits(&self, options: &PutOptions, properties: &str) -> bool {
        let Intent { options: ours, properties: own, .. } = &self.record.intent;
        own == properties
            && (!ours.replaces.is_nothing() || options.replaces.is_nothing())
            && ours.metadata == options.metadata
            && with_type_of(&ours.headers, &options.headers) == options.headers
            && ours.storage_class == options.storage_class
    }
}

/// Headers with the Content-Type of others, where they have none.
fn with_type_of(headers: &StandardHeaders, others: &StandardHeaders) -> StandardHeaders {
    let content_type = headers.content_type.clone().or_else(|| others.content_type.clone());
    StandardHeaders { content_type, ..headers.clone() }
}

/// Takes over what dead mounts have left in `dir`: the records that nobody works on are ours now. What cannot
/// be read is set aside, with a line in the log; a folder that does not exist holds nothing. The oldest is first.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn take_over(dir: &Path) -> io::Result<Vec<Entry>> {
    let paths = records(dir)?;
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    crash::point("recover.begin");
    let _alone = lock(dir, FlockOperation::LockExclusive)?;
    let mut entries = Vec::new();
    for path in paths {
        match take(&path) {
            Ok(Some((file, Ok(record)))) => {
                entries.push(Entry { path, file, record });
                crash::point("recover.mid");
            }
            Ok(Some((_, Err(Unreadable::Empty)))) => drop(fs::remove_file(&path)),
            Ok(Some((_, Err(error)))) => set_aside(&path, &error),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the record of an upload cannot be read");
            }
        }
    }
    // The order of a folder is nobody's.
    entries.sort_by_key(Entry::begun);
    Ok(entries)
}

/// The ids of all uploads that have a record in `dir`, whoever works on them.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn ids(dir: &Path) -> io::Result<HashSet<UploadId>> {
    let mut ids = HashSet::new();
    for path in records(dir)? {
        // One that cannot be read has no id that anybody could go on with.
        let Ok(Some(file)) = open(&path) else { continue };
        let record = read(&file)?;
        ids.extend(record.ok().and_then(|record| record.opened).map(|opened| opened.id));
    }
    Ok(ids)
}

fn records(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let names = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let paths = names.map(|name| name.map(|name| name.path()));
    let is_record = |path: &PathBuf| path.extension().is_some_and(|extension| extension == RECORD);
    paths.filter(|path| path.as_ref().map_or(true, is_record)).collect()
}

/// Locks a record and reads it. `None`: somebody works on it, or it is gone.
fn take(path: &Path) -> io::Result<Option<(File, Result<Record, Unreadable>)>> {
    let Some(file) = open(path)? else { return Ok(None) };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    if file.metadata()?.nlink() == 0 {
        return Ok(None);
    }
    let record = read(&file)?;
    Ok(Some((file, record)))
}

fn open(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    // What is no plain file was not made by us, and must not be waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).append(true).custom_flags(flags.bits().cast_signed());
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}

fn read(file: &File) -> io::Result<Result<Record, Unreadable>> {
    let mut text = Vec::new();
    file.take(RECORD_BYTES).read_to_end(&mut text)?;
    Ok(record::read(&text))
}

fn set_aside(path: &Path, error: &Unreadable) {
    tracing::error!(path = %path.display(), %error,
        "the record of an upload is not used; the upload may stay in the bucket until somebody removes it");
    if let Unreadable::Version(_) = error {
        return;
    }
    if let Err(error) = fs::rename(path, path.with_extension(DAMAGED)) {
        tracing::warn!(path = %path.display(), %error, "and it cannot be set aside");
    }
}

/// Locks the folder until the file is dropped.
fn lock(dir: &Path, operation: FlockOperation) -> io::Result<File> {
    let mut file = OpenOptions::new();
    let file = file.write(true).create(true).truncate(false).mode(0o600).open(dir.join(LOCK))?;
    flock(&file, operation)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use tempfile::TempDir;

    use super::*;

    fn create(dir: &TempDir, key: &str) -> Entry {
        let key = Key::new(key).unwrap();
        Entry::create(dir.path(), &key, &PutOptions::default(), "p", UNIX_EPOCH).unwrap()
    }

    fn started(entry: &Entry, id: &str) -> Started {
        Started::at_once(Upload { key: entry.key().clone(), id: UploadId::new(id) })
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let names = fs::read_dir(dir.path()).unwrap();
        let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != LOCK).collect()
    }

    #[test]
    fn what_a_dead_mount_has_left_is_taken_over_once() {
        let dir = TempDir::new().unwrap();
        let mut entry = create(&dir, "k");
        entry.opened(&started(&entry, "id")).unwrap();
        assert!(take_over(dir.path()).unwrap().is_empty(), "its mount is alive");
        assert_eq!(ids(dir.path()).unwrap(), [UploadId::new("id")].into());

        drop(entry);
        let mut taken = take_over(dir.path()).unwrap();
        assert_eq!(taken.len(), 1);
        assert!(take_over(dir.path()).unwrap().is_empty(), "it is ours now");
        let entry = taken.remove(0);
        assert_eq!(entry.upload(), Some(started(&entry, "id").upload));
        assert!(!entry.has_strays());
        entry.remove();
        assert!(names(&dir).is_empty());
    }

    #[test]
    fn without_an_answer_there_may_be_an_upload_nobody_knows() {
        let dir = TempDir::new().unwrap();
        drop(create(&dir, "k"));
        let taken = take_over(dir.path()).unwrap();
        assert_eq!(taken[0].upload(), None);
        assert!(taken[0].has_strays());
    }

    #[test]
    fn damaged_records_are_set_aside_and_the_others_are_used() {
        let dir = TempDir::new().unwrap();
        drop(create(&dir, "good"));
        let bad = create(&dir, "bad");
        let mut text = fs::read(&bad.path).unwrap();
        text[30] ^= 1;
        fs::write(&bad.path, text).unwrap();
        drop(bad);
        fs::write(dir.path().join("empty.upload"), b"").unwrap();
        fs::write(dir.path().join("notes.txt"), b"not ours").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link.upload")).unwrap();
        let taken = take_over(dir.path()).unwrap();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].key().as_str(), "good");
        let mut left: Vec<_> = names(&dir)
            .into_iter()
            .map(|name| name.split_once('.').unwrap().1.to_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["damaged", "txt", "upload", "upload"]);
    }

    #[test]
    fn a_record_is_for_its_owner_only() {
        let dir = TempDir::new().unwrap();
        let entry = create(&dir, "k");
        assert_eq!(entry.file.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn only_an_object_with_the_same_properties_may_be_made_of_it() {
        let dir = TempDir::new().unwrap();
        let plain = PutOptions::default();
        let create_only = PutOptions { replaces: true.into(), ..plain.clone() };
        let described =
            PutOptions { metadata: [("mode", "1")].into_iter().collect(), ..plain.clone() };
        let entry = |options| {
            Entry::create(dir.path(), &Key::new("k").unwrap(), options, "p", UNIX_EPOCH).unwrap()
        };
        assert!(entry(&plain).suits(&plain, "p"));
        assert!(entry(&plain).suits(&create_only, "p"));
        assert!(!entry(&create_only).suits(&plain, "p"));
        assert!(!entry(&plain).suits(&described, "p"));
        assert!(!entry(&plain).suits(&plain, "q"));
    }

    #[test]
    fn a_folder_that_does_not_exist_holds_nothing() {
        let nowhere = Path::new("/nonexistent/partfs");
        assert!(take_over(nowhere).unwrap().is_empty() && ids(nowhere).unwrap().is_empty());
    }
}
