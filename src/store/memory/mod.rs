//! The bucket model: the truth about one bucket, in memory or in a folder. Used directly by tests
//! through [`MemoryStore`] and served over HTTP by the mock. Knows no HTTP, no provider and no XML;
//! limits of services are passed in by those who know them.
//!
//! Bytes stay in the chunks in which they came ([`Blob`]): copying an object, slicing a range and
//! completing an upload share them. With a folder, bytes live in files and are read on demand.
//!
//! Locks: `changes` before `state`; `state` and the log are held for moments only. Everything that
//! touches files runs outside the async threads.

mod append;
mod blob;
mod effects;
mod folder;
mod incoming;
mod listing;
mod object;
mod store;
mod uploads;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha512};
use thiserror::Error;

use crate::clock::Clock;
use crate::store::{Key, Operation, PartNumber, Replaces, UploadId};

pub use blob::{Blob, DataFile, Segment, read_all};
pub use effects::Effect;
pub use incoming::{Body, Incoming};
pub use listing::{Entry, ListQuery, Page};
pub use object::{EtagMode, EtagStyle, Object, Properties};
pub use store::{MemoryStore, SMALL_LIMITS};
pub use uploads::{CompleteRules, Misassembly, OpenUpload, Part, UploadsQuery};

use effects::EffectLog;
use folder::Folder;
use uploads::Uploads;

/// Why the bucket refuses. Nothing was changed.
#[derive(Debug, Clone, Error)]
pub enum BucketError {
    /// No object at the key.
    #[error("there is no object at this key")]
    NoSuchKey,
    /// The upload was completed, aborted or never opened.
    #[error("there is no such multipart upload")]
    NoSuchUpload,
    /// Create-only met an object.
    #[error("there is an object at this key already")]
    AlreadyExists,
    /// There is another object at this key than the one to be replaced.
    #[error("the object at this key is another one")]
    Changed,
    /// Complete named a part that was not uploaded, with another or left a gap.
    #[error("a listed part was not uploaded, or has another or a number is left out")]
    InvalidPart,
    /// Complete named parts that do not ascend.
    #[error("the parts are not in ascending order")]
    InvalidPartOrder,
    /// A part that is not the last is too small.
    #[error("part {number} has {size} bytes, fewer than a part before the last must have")]
    PartTooSmall {
        /// Which one.
        number: PartNumber,
        /// Its size in bytes.
        size: u64,
    },
    /// Something was to be appended at a position that is not the end.
    #[error("the object ends at {size}, not where more was to be appended")]
    WrongPosition {
        /// Size of the object in bytes; 0 when there is none.
        size: u64,
    },
    /// The object was not made by append.
    #[error("nothing can be appended to this object")]
    NotAppendable,
    /// The folder failed: no space, no permission.
    #[error("the folder of the bucket failed: {0}")]
    Storage(Arc<io::Error>),
}

impl From<io::Error> for BucketError {
    fn from(error: io::Error) -> Self {
        Self::Storage(Arc::new(error))
    }
}

/// The result of every bucket operation.
pub type BucketResult<T> = Result<T, BucketError>;

/// How a bucket behaves.
#[derive(Debug, Clone)]
pub struct BucketOptions {
    /// What ETags are made of.
    pub etags: EtagMode,
    /// How ETags look.
    pub etag_style: EtagStyle,
    /// Whether CRC-64/NVME is computed beside CRC-64/XZ.
    pub crc64nvme: bool,
    /// Gives modification times, cut to whole seconds as services do.
    pub clock: Arc<dyn Clock>,
    /// From which seed the ids of uploads are made, for what has to be the same each time. `None`: nobody can guess
    /// them.
    pub ids: Option<u64>,
}

impl BucketOptions {
    /// ETags as COS makes them, and no second checksum.
    pub fn new(etags: EtagMode, clock: Arc<dyn Clock>) -> Self {
        Self { etags, etag_style: EtagStyle::Unpredictable, crc64nvme: false, clock, ids: None }
    }
}

/// One bucket. Every operation is atomic.
pub struct MemoryBucket {
    options: BucketOptions,
    folder: Option<Folder>,
    log: EffectLog,
    /// Held by whoever changes objects or ends uploads, across the writing of files.
    changes: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Box<str>, Arc<Object>>,
    uploads: Uploads,
    /// Uploads that were opened.
    opened: u64,
}

impl MemoryBucket {
    /// An empty bucket in memory.
    pub fn new(options: BucketOptions) -> Arc<Self> {
        Self::with(options, None, Vec::new())
    }

    /// The bucket that `dir` holds; an empty one is made if the folder is new. Survives the death
    /// of the process at any moment, not that of the machine (nothing is forced to disk). Uploads
    /// in progress do not survive. Blocks while it reads.
    ///
    /// # Errors
    /// When the folder is in use by another process, or an object's description cannot be read
    /// (the error names the file).
    pub fn open(dir: &Path, options: BucketOptions) -> io::Result<Arc<Self>> {
        let (folder, objects) = Folder::open(dir)?;
        Ok(Self::with(options, Some(folder), objects))
    }

    fn with(options: BucketOptions, folder: Option<Folder>, objects: Vec<Object>) -> Arc<Self> {
        let objects = objects.into_iter().map(|object| (object.key.as_str().into(), object.into()));
        let state = State { objects: objects.collect(), uploads: Uploads::default(), opened: 0 };
        Arc::new(Self {
            options,
            folder,
            log: EffectLog::new(),
            changes: Mutex::default(),
            state: Mutex::new(state),
        })
    }

    /// A new body for this bucket to take in, with its MD5 if the bucket's ETags or the caller need it.
    pub async fn incoming(self: &Arc<Self>, with_md5: bool) -> BucketResult<Incoming> {
        let with_md5 = with_md5 || self.options.etags == EtagMode::Md5;
        let file = self.off_thread(|bucket| {
            bucket.folder.as_ref().map(Folder::new_data_file).transpose().map_err(Into::into)
        });
        Ok(Incoming::new(file.await?, with_md5, self.options.crc64nvme))
    }

    /// The object at a key.
    pub fn head(&self, key: &Key) -> BucketResult<Arc<Object>> {
        let state = lock(&self.state);
        state.objects.get(key.as_str()).cloned().ok_or(BucketError::NoSuchKey)
    }

    /// One page of objects.
    pub fn list(&self, query: ListQuery<'_>) -> Page<Arc<Object>> {
        listing::page(&lock(&self.state).objects, query)
    }

    /// Creates or replaces an object.
    pub async fn put(
        self: &Arc<Self>,
        key: &Key,
        body: Body,
        properties: Properties,
        replaces: impl Into<Replaces>,
    ) -> BucketResult<Arc<Object>> {
        let replaces = replaces.into();
        let object = Object {
            key: key.clone(),
            etag: object::etag_of(&self.options, &body),
            checksum: body.checksum,
            crc64nvme: body.crc64nvme,
            last_modified: self.now(),
            properties,
            blob: body.blob,
        };
        self.off_thread(move |bucket| bucket.publish(Operation::Put, object, &replaces)).await
    }

    /// Makes `to` a copy of `source`, with its properties or others.
    pub async fn copy(
        self: &Arc<Self>,
        source: &Object,
        to: &Key,
        replace: Option<Properties>,
        replaces: impl Into<Replaces>,
    ) -> BucketResult<Arc<Object>> {
        let replaces = replaces.into();
        let object = Object {
            key: to.clone(),
            etag: object::etag_of_copy(self.options.etag_style, &source.etag),
            checksum: source.checksum,
            crc64nvme: source.crc64nvme,
            last_modified: self.now(),
            properties: replace.unwrap_or_else(|| source.properties.clone()),
            blob: source.blob.clone(),
        };
        self.off_thread(move |bucket| bucket.publish(Operation::Copy, object, &replaces)).await
    }

    /// Changes what is stored beside the bytes of an object, and nothing else: neither its ETag nor
    /// its time. No effect is logged.
    pub async fn amend(
        self: &Arc<Self>,
        key: &Key,
        change: impl FnOnce(&mut Properties) + Send + 'static,
    ) -> BucketResult<Arc<Object>> {
        let key = key.clone();
        self.off_thread(move |bucket| {
            let _order = lock(&bucket.changes);
            let old = bucket.head(&key)?;
            let mut object = Object::clone(&old);
            change(&mut object.properties);
            if let Some(folder) = &bucket.folder {
                folder.store(&object, Some(&old))?;
            }
            let object = Arc::new(object);
            lock(&bucket.state).objects.insert(key.as_str().into(), Arc::clone(&object));
            Ok(object)
        })
        .await
    }

    /// Gives `source`, the object as it was found at its key, another key. Refused with
    /// [`BucketError::NoSuchKey`] when there is another one by now.
    pub async fn rename(self: &Arc<Self>, source: &Arc<Object>, to: &Key) -> BucketResult<()> {
        let (source, to) = (Arc::clone(source), to.clone());
        self.off_thread(move |bucket| {
            let _order = lock(&bucket.changes);
            if source.key == to || !Arc::ptr_eq(&bucket.head(&source.key)?, &source) {
                return if source.key == to { Ok(()) } else { Err(BucketError::NoSuchKey) };
            }
            let moved = Object { key: to.clone(), ..Object::clone(&source) };
            let effect = Effect { size: moved.size(), ..bucket.effect(Operation::Rename, &to) };
            bucket.publish_in_order(moved, &Replaces::Anything, effect, |state| {
                state.objects.remove(source.key.as_str());
            })?;
            if let Some(folder) = &bucket.folder {
                folder.remove(&source)?;
            }
            Ok(())
        })
        .await
    }

    /// Removes an object; tells whether there was one.
    pub async fn delete(self: &Arc<Self>, key: &Key) -> BucketResult<bool> {
        self.delete_if(key, &Replaces::Anything).await
    }

    /// Removes an object, if it is what may be removed; tells whether there was one.
    pub async fn delete_if(self: &Arc<Self>, key: &Key, only: &Replaces) -> BucketResult<bool> {
        let (key, only) = (key.clone(), only.clone());
        self.off_thread(move |bucket| {
            let _order = lock(&bucket.changes);
            let old = bucket.head(&key).ok();
            allow(&only, old.as_deref())?;
            let Some(old) = old else { return Ok(false) };
            if let Some(folder) = &bucket.folder {
                folder.remove(&old)?;
            }
            let mut state = lock(&bucket.state);
            state.objects.remove(key.as_str());
            bucket.log.append(bucket.effect(Operation::Delete, &key));
            Ok(true)
        })
        .await
    }

    /// What was applied so far, oldest first (the last million).
    pub fn effects(&self) -> Vec<Effect> {
        self.log.snapshot()
    }

    /// The first effect that is `wanted`, past or to come. Waits as long as it takes.
    pub async fn wait_for(&self, wanted: impl Fn(&Effect) -> bool) -> Effect {
        self.log.wait_for(wanted).await
    }

    /// Counts a request, applied or not. For those who receive requests.
    pub fn count_request(&self, operation: Operation) {
        self.log.count(operation);
    }

    /// How many requests came for each operation.
    pub fn requests(&self) -> HashMap<Operation, u64> {
        self.log.requests()
    }

    /// How often `operation` was requested.
    pub fn requests_of(&self, operation: Operation) -> u64 {
        self.requests().get(&operation).copied().unwrap_or(0)
    }

    /// Puts an object in place: on disk first, then for everybody to see.
    fn publish(
        &self,
        operation: Operation,
        object: Object,
        replaces: &Replaces,
    ) -> BucketResult<Arc<Object>> {
        let _order = lock(&self.changes);
        let effect = Effect { size: object.size(), ..self.effect(operation, &object.key) };
        self.publish_in_order(object, replaces, effect, |_| ())
    }

    /// The part of [`publish`](Self::publish) under the `changes` lock, which the caller holds.
    fn publish_in_order(
        &self,
        object: Object,
        replaces: &Replaces,
        effect: Effect,
        also: impl FnOnce(&mut State),
    ) -> BucketResult<Arc<Object>> {
        let old = self.head(&object.key).ok();
        allow(replaces, old.as_deref())?;
        if let Some(folder) = &self.folder {
            folder.store(&object, old.as_deref())?;
        }
        let object = Arc::new(object);
        let mut state = lock(&self.state);
        state.objects.insert(object.key.as_str().into(), Arc::clone(&object));
        also(&mut state);
        self.log.append(effect);
        Ok(object)
    }

    /// Runs `act` to its end, also when the caller is dropped meanwhile, and where it may block if
    /// there are files to be written.
    async fn off_thread<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Self) -> BucketResult<T> + Send + 'static,
    ) -> BucketResult<T> {
        if self.folder.is_none() {
            return act(self);
        }
        let bucket = Arc::clone(self);
        tokio::task::spawn_blocking(move || act(&bucket)).await.map_err(io::Error::other)?
    }

    fn effect(&self, operation: Operation, key: &Key) -> Effect {
        Effect {
            sequence: 0,
            operation,
            key: key.clone(),
            upload: None,
            part: None,
            size: 0,
            time: self.options.clock.now(),
        }
    }

    /// The time, cut to whole seconds.
    fn now(&self) -> SystemTime {
        let since_epoch = self.options.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs())
    }
}

/// Shows sizes, not contents: a bucket may hold a hundred thousand objects.
impl fmt::Debug for MemoryBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("MemoryBucket")
            .field("folder", &self.folder)
            .field("objects", &state.objects.len())
            .field("uploads", &state.uploads.len())
            .finish_non_exhaustive()
    }
}

/// Whether a write may take the place of `old`.
fn allow(replaces: &Replaces, old: Option<&Object>) -> BucketResult<()> {
    match (replaces, old) {
        (Replaces::Nothing, Some(_)) => Err(BucketError::AlreadyExists),
        (Replaces::Version(_), None) => Err(BucketError::NoSuchKey),
        (Replaces::Version(wanted), Some(old)) if old.etag != *wanted => Err(BucketError::Changed),
        _ => Ok(()),
    }
}

/// Fresh lower-case hexadecimal characters, two per byte.
fn random_hex<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(object::hex(&bytes))
}

/// Locks; a panic of another thread leaves nothing half done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A new upload id, as long as those of COS. `seed`: of the how manieth upload of which seed.
fn new_upload_id(now: SystemTime, seed: Option<(u64, u64)>) -> io::Result<UploadId> {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let rest = match seed {
        None => random_hex::<35>()?,
        Some(seed) => object::hex(&Sha512::digest(format!("{seed:?}"))[..35]),
    };
    Ok(UploadId::new(format!("{seconds}{rest}")))
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
