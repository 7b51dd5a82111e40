//! A bucket in a folder. `data/` holds bytes in files that never change; `objects/` holds one JSON
//! description per object, which names the stretches of data files the object consists of and is
//! the truth: an object is there when its description is. Bytes are written first, the description
//! is then renamed into place, so at every moment the folder holds the old or the new object whole.
//! Data files that no description names are leftovers and removed on opening.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::blob::{Blob, DataFile, Segment};
use super::object::{Object, StoredProperties, hex};
use super::random_hex;
use crate::store::{Checksum, ChecksumKind, ETag, Key};

/// Ending of descriptions that are not in place yet.
const UNFINISHED: &str = "json.new";

#[derive(Debug)]
pub(super) struct Folder {
    objects: PathBuf,
    data: PathBuf,
    /// Locked while this process uses the folder.
    _lock: File,
}

/// One object's description.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    key: String,
    etag: String,
    size: u64,
    crc64xz: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    crc64nvme: Option<u64>,
    last_modified_unix: u64,
    #[serde(flatten)]
    properties: StoredProperties,
    data: Vec<Stretch>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stretch {
    file: String,
    start: u64,
    len: u64,
}

impl Folder {
    /// Opens or makes the folder; reads every description and removes leftovers.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Vec<Object>)> {
        let (objects, data) = (dir.join("objects"), dir.join("data"));
        fs::create_dir_all(&objects).map_err(|error| about(&objects, error))?;
        fs::create_dir_all(&data).map_err(|error| about(&data, error))?;
        let lock = lock_folder(dir)?;
        let folder = Self { objects, data, _lock: lock };
        let found = folder.read_all()?;
        Ok((folder, found))
    }

    /// A new file for bytes, open for writing.
    pub(super) fn new_data_file(&self) -> io::Result<(File, DataFile)> {
        let path = self.data.join(random_hex::<16>()?);
        let file = File::create_new(&path).map_err(|error| about(&path, error))?;
        Ok((file, DataFile::new(path)))
    }

    /// Makes `object` the one at its key, in the place of `old`.
    pub(super) fn store(&self, object: &Object, old: Option<&Object>) -> io::Result<()> {
        let path = self.description_path(&object.key);
        let unfinished = path.with_extension(UNFINISHED);
        let text = serde_json::to_vec(&describe(object)?)?;
        fs::write(&unfinished, text)
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(|error| about(&path, error))?;
        data_files(object).for_each(|file| file.refer());
        old.into_iter().flat_map(data_files).for_each(|file| file.release());
        Ok(())
    }

    /// Removes an object that is there.
    pub(super) fn remove(&self, old: &Object) -> io::Result<()> {
        let path = self.description_path(&old.key);
        fs::remove_file(&path).map_err(|error| about(&path, error))?;
        data_files(old).for_each(|file| file.release());
        Ok(())
    }

    /// Keys may hold anything and be long: their hash is the file name.
    fn description_path(&self, key: &Key) -> PathBuf {
        self.objects.join(hex(&Sha1::digest(key.as_str()))).with_extension("json")
    }

    fn read_all(&self) -> io::Result<Vec<Object>> {
        let mut files = HashMap::new();
        let mut objects = Vec::new();
        for path in entries(&self.objects)? {
            if path.to_string_lossy().ends_with(UNFINISHED) {
                fs::remove_file(&path)?;
            } else {
                let object = self.read(&path, &mut files).map_err(|error| about(&path, error))?;
                objects.push(object);
            }
        }
        let named: HashSet<PathBuf> = files.values().map(|file| file.path().to_owned()).collect();
        for path in entries(&self.data)? {
            if !named.contains(&path) {
                fs::remove_file(&path)?;
            }
        }
        Ok(objects)
    }

    fn read(&self, path: &Path, files: &mut HashMap<String, Arc<DataFile>>) -> io::Result<Object> {
        let description: Description = serde_json::from_slice(&fs::read(path)?)?;
        let key = Key::new(description.key.as_str()).map_err(io::Error::other)?;
        if self.description_path(&key) != path {
            return Err(io::Error::other(format!("it describes {key:?}, which belongs elsewhere")));
        }
        let mut segments = Vec::new();
        for Stretch { file: name, start, len } in description.data {
            let path = self.data.join(&name);
            let there = fs::metadata(&path).map_err(|error| about(&path, error))?.len();
            let end = start.checked_add(len).filter(|end| *end <= there && len > 0);
            if name.contains('/') || end.is_none() {
                return Err(io::Error::other(format!("{} lacks its bytes", path.display())));
            }
            let file = files.entry(name).or_insert_with(|| Arc::new(DataFile::new(path)));
            file.refer();
            segments.push(Segment::File { file: Arc::clone(file), start, len });
        }
        let blob = Blob::new(segments);
        if blob.len() != description.size {
            return Err(io::Error::other("its data is not of the size it states"));
        }
        Ok(Object {
            key,
            etag: ETag::new(&description.etag),
            checksum: Checksum { kind: ChecksumKind::Crc64Xz, value: description.crc64xz },
            crc64nvme: (description.crc64nvme)
                .map(|value| Checksum { kind: ChecksumKind::Crc64Nvme, value }),
            last_modified: UNIX_EPOCH + Duration::from_secs(description.last_modified_unix),
            properties: description.properties.into(),
            blob,
        })
    }
}

fn describe(object: &Object) -> io::Result<Description> {
    let since_epoch = object.last_modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let stretch = |segment: &Segment| match segment {
        Segment::File { file, start, len } => {
            let name = file.path().file_name().unwrap_or_default();
            Ok(Stretch { file: name.to_string_lossy().into_owned(), start: *start, len: *len })
        }
        Segment::Memory(_) => Err(io::Error::other("bytes in memory cannot be described")),
    };
    Ok(Description {
        key: object.key.as_str().to_owned(),
        etag: object.etag.as_str().to_owned(),
        size: object.size(),
        crc64xz: object.checksum.value,
        crc64nvme: object.crc64nvme.map(|checksum| checksum.value),
        last_modified_unix: since_epoch.as_secs(),
        properties: StoredProperties::from(&object.properties),
        data: object.blob.segments().map(stretch).collect::<io::Result<_>>()?,
    })
}

fn data_files(object: &Object) -> impl Iterator<Item = &DataFile> {
    object.blob.segments().filter_map(|segment| match segment {
        Segment::File { file, .. } => Some(file.as_ref()),
        Segment::Memory(_) => None,
    })
}

fn lock_folder(dir: &Path) -> io::Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(|error| about(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let text = format!("{}: another process uses this folder", dir.display());
            Err(io::Error::new(io::ErrorKind::ResourceBusy, text))
        }
        Err(TryLockError::Error(error)) => Err(about(&path, error)),
    }
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).map_err(|error| about(dir, error))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// Names the file an error is about, which `io::Error` does not.
fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
