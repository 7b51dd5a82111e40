//! Uploads that were cut off – by an outage, the death of their writer, of this mount, or of one before –
//! and what becomes of them: they are kept so that whoever writes the same file again sends only what is
//! missing, and removed when they are old. Only uploads of which the [journal](super::journal) has a record
//! are touched.
//!
//! # Strays
//! An Initiate whose answer was lost may have opened an upload of whose id there is no record. It is found by
//! its key and time, and it holds no part, because nobody has its id. Another program may open an
//! upload of the same key in these minutes, so one is aborted only when it was without a part twice, an
//! hour apart. It costs nothing until then. An Initiate may arrive after whoever sent it has died, so what is not
//! there is looked for again, too, if it was just sent.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::blocking;
use crate::clock::Clock;
use crate::store::{
    ErrorKind, Key, ListedUpload, ObjectStore, Operation, PutOptions, Started, StoreError,
    StoreResult, Upload, UploadId, UploadsRequest,
};
use crate::write::abort::abort;
use crate::write::flight::Tasks;
use crate::write::journal::{self, Entry};
use crate::write::settling::{Settling, Settlings};

/// How far the service's clock and the time an Initiate takes may move the moment at which a stray was
/// opened away from the one in its record.
const STRAY_WINDOW: Duration = Duration::from_secs(15 * 60);

/// How many uploads that were cut off a mount has in mind: each holds a file open.
const MOST_KEPT: usize = 256;

/// How long the disk may take to write something down: whoever writes a file waits for it.
const WRITING: Duration = Duration::from_secs(10);

/// First pause before an upload that could not be aborted is aborted again; doubles.
const AGAIN: Duration = Duration::from_secs(60);

/// Longest pause between two rounds of cleaning.
const ROUND: Duration = Duration::from_secs(3600);

/// How long a new upload of a key waits for one that is just being given up.
const SETTLE: Duration = Duration::from_secs(60);

/// What becomes of uploads that were cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLeftover {
    /// They are kept for whoever writes the file again, and aborted when they are old.
    #[default]
    Resume,
    /// They are aborted at once.
    Abort,
    /// As `Resume`, but never aborted.
    Keep,
}

/// Where uploads are written down, and what becomes of those that are cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalConfig {
    /// A folder for this bucket (and prefix) alone; it exists and belongs to this user.
    pub dir: PathBuf,
    /// What the mount gives to all new objects, as one opaque word: an upload is continued only with the
    /// same.
    pub properties: String,
    /// The policy.
    pub on_leftover: OnLeftover,
    /// How old an upload must be to be aborted, counted from its Initiate.
    pub leftover_age: Duration,
    /// How long an upload that may be a stray must have held no part: longer than a part may take.
    pub stray_pause: Duration,
}

impl JournalConfig {
    /// The defaults, with records in `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            properties: String::new(),
            on_leftover: OnLeftover::default(),
            leftover_age: Duration::from_secs(7 * 86_400),
            stray_pause: Duration::from_secs(3600),
        }
    }
}

/// The uploads of a mount that have a record.
#[derive(Debug)]
pub(super) struct Leftovers {
    config: JournalConfig,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    settlings: Arc<Settlings<Key>>,
    /// There is something to be removed.
    work: Arc<Notify>,
    /// The journal could not be written, and the log has said so.
    broken: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Those that may be continued.
    by_key: BTreeMap<Key, Vec<Entry>>,
    /// Those that nobody wants, but that could not be aborted yet.
    unwanted: Vec<Entry>,
    /// Where there may be uploads without a record.
    strays: Vec<Strays>,
    /// Ids of uploads that are being filled.
    open: HashSet<UploadId>,
}

/// Where an Initiate was not answered.
#[derive(Debug)]
struct Strays {
    key: Key,
    begun: SystemTime,
    /// The record, when it has nothing else to tell.
    entry: Option<Entry>,
    /// Uploads without a part when it was looked first, and when that was.
    seen: Option<(Instant, Vec<UploadId>)>,
    /// The last look has failed, or an abort.
    failed: bool,
}

impl Leftovers {
    /// Takes over what dead mounts have left. Reads the folder; blocks.
    pub(super) fn open(config: JournalConfig, clock: Arc<dyn Clock>) -> Arc<Self> {
        let found = journal::take_over(&config.dir).unwrap_or_else(|error| {
            tracing::warn!(dir = %config.dir.display(), %error,
                "uploads that an earlier mount has left cannot be found");
            Vec::new()
        });
        let mut state = State::default();
        for entry in found {
            state.find(entry);
        }
        if config.on_leftover == OnLeftover::Abort {
            let entries = std::mem::take(&mut state.by_key).into_values().flatten();
            state.unwanted.extend(entries);
        }
        Arc::new(Self {
            config,
            clock,
            state: Mutex::new(state),
            settlings: Arc::default(),
            work: Arc::default(),
            broken: AtomicBool::new(false),
        })
    }

    /// Uploads that are kept to be continued.
    pub(super) fn count(&self) -> usize {
        self.state().by_key.values().map(Vec::len).sum()
    }

    /// What the mount gives to all new objects.
    pub(super) fn properties(&self) -> &str {
        &self.config.properties
    }

    /// Whether uploads that were cut off are kept.
    pub(super) fn keeps(&self) -> bool {
        self.config.on_leftover != OnLeftover::Abort
    }

    /// Whether a leftover that cannot be continued goes before it is old.
    pub(super) fn removes(&self) -> bool {
        self.config.on_leftover != OnLeftover::Keep
    }

    /// Writes down that an upload will be opened. `None` when that cannot be written: the upload goes
    /// on without a record, because what is written matters more than what a crash would leave behind.
    pub(super) async fn intend(
        self: &Arc<Self>,
        tasks: &Tasks,
        key: &Key,
        options: &PutOptions,
    ) -> Option<Entry> {
        let (me, key, options) = (Arc::clone(self), key.clone(), options.clone());
        let created = tasks.spawn_blocking(move || {
            let (config, begun) = (&me.config, me.clock.now());
            Entry::create(&config.dir, &key, &options, &config.properties, begun)
        });
        self.written(in_time(created).await).ok()
    }

    /// Writes the id down, before any part is sent. Where that fails the record stays ours, so that nobody
    /// takes the upload for one that has no owner.
    pub(super) async fn answered(
        self: &Arc<Self>,
        tasks: &Tasks,
        entry: Option<Entry>,
        started: &Started,
    ) -> Option<Entry> {
        self.state().open.insert(started.upload.id.clone());
        let mut entry = entry?;
        let (key, begun) = (entry.key().clone(), entry.begun());
        let started = started.clone();
        if started.strays {
            self.look_for(Strays { key, begun, entry: None, seen: None, failed: false });
        }
        let written = tasks.spawn_blocking(move || {
            let written = entry.opened(&started);
            Ok((entry, written))
        });
        let (entry, written) = self.written(in_time(written).await).ok()?;
        let _ = self.written(written);
        Some(entry)
    }

    /// Initiate failed: it may have opened an upload all the same.
    pub(super) fn unanswered(&self, entry: Entry, error: &StoreError) {
        if !is_passing(error.kind) && error.attempts <= 1 {
            // The service has said no, and was asked once.
            return entry.remove();
        }
        let (key, begun) = (entry.key().clone(), entry.begun());
        self.look_for(Strays { key, begun, entry: Some(entry), seen: None, failed: false });
    }

    /// Tells the log, once, what cannot be written.
    fn written<T>(&self, written: io::Result<T>) -> io::Result<T> {
        written.inspect_err(|error| {
            if !self.broken.swap(true, Ordering::Relaxed) {
                tracing::error!(dir = %self.config.dir.display(), %error,
                    "uploads cannot be written down; a crash would leave them in the bucket");
            }
        })
    }

    fn look_for(&self, strays: Strays) {
        self.state().strays.push(strays);
        self.work.notify_one();
    }

    /// An upload is not being filled any more.
    pub(super) fn closed(&self, id: &UploadId) {
        self.state().open.remove(id);
    }

    /// An upload that was cut off, for whoever writes the file again.
    pub(super) fn keep(&self, entry: Entry) {
        self.state().keep(entry);
    }

    /// Aborts an upload that nobody wants; where that fails now it is done later.
    pub(super) async fn end(&self, store: &dyn ObjectStore, entry: Entry) {
        if !self.try_end(store, entry).await {
            self.work.notify_one();
        }
    }

    async fn try_end(&self, store: &dyn ObjectStore, entry: Entry) -> bool {
        match entry.upload() {
            Some(upload) if !abort(store, &upload).await => {
                self.state().unwanted.push(entry);
                false
            }
            _ => {
                self.forget(entry);
                true
            }
        }
    }

    /// The upload of a record is completed, or gone. Where an Initiate may have left a stray beside it the record
    /// stays until that is looked for. Blocks.
    pub(super) fn forget(&self, entry: Entry) {
        if !entry.has_strays() {
            return entry.remove();
        }
        let (key, begun) = (entry.key().clone(), entry.begun());
        let mut state = self.state();
        let mut others = state.strays.iter_mut().filter(|strays| strays.entry.is_none());
        match others.find(|strays| strays.key == key && strays.begun == begun) {
            Some(strays) => strays.entry = Some(entry),
            None => state.strays.push(Strays {
                key,
                begun,
                entry: Some(entry),
                seen: None,
                failed: false,
            }),
        }
        drop(state);
        self.work.notify_one();
    }

    /// An upload of this key has failed and waits for its requests.
    pub(super) fn settling(&self, key: &Key) -> Settling<Key> {
        self.settlings.begin(key)
    }

    /// The uploads of a key that were cut off, the latest first. They are the caller's now. Waits, not for
    /// ever, for one that is being given up at this moment.
    pub(super) async fn take(&self, key: &Key) -> Vec<Entry> {
        let _ = timeout(SETTLE, self.settlings.over(key)).await;
        let mut entries = self.state().by_key.remove(key).unwrap_or_default();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.begun()));
        entries
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A record of a dead mount.
    fn find(&mut self, entry: Entry) {
        let (key, begun) = (entry.key().clone(), entry.begun());
        if entry.upload().is_none() {
            return self.strays.push(Strays {
                key,
                begun,
                entry: Some(entry),
                seen: None,
                failed: false,
            });
        }
        if entry.has_strays() {
            self.strays.push(Strays { key, begun, entry: None, seen: None, failed: false });
        }
        self.keep(entry);
    }

    fn keep(&mut self, entry: Entry) {
        let kept: usize = self.by_key.values().map(Vec::len).sum();
        if kept < MOST_KEPT {
            self.by_key.entry(entry.key().clone()).or_default().push(entry);
        } else {
            // Each holds a file open. This one is for the next mount.
            tracing::warn!(
                path = entry.key().as_str(),
                "too many uploads were cut off to keep one more in mind"
            );
        }
    }

    fn take_if(&mut self, which: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let mut taken = Vec::new();
        self.by_key.retain(|_, entries| {
            taken.extend(entries.extract_if(.., |entry| which(entry)));
            !entries.is_empty()
        });
        taken
    }
}

/// What the disk says, unless it says nothing.
async fn in_time<T>(work: JoinHandle<io::Result<T>>) -> io::Result<T> {
    match timeout(WRITING, work).await {
        Ok(done) => done.map_err(io::Error::other).flatten(),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Whether a failure says nothing about the upload: it may be continued when the trouble is over.
pub(super) fn is_passing(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Throttled
        | ErrorKind::Unavailable
        | ErrorKind::Network
        | ErrorKind::Untrusted
        | ErrorKind::Timeout
        | ErrorKind::InvalidAnswer
        | ErrorKind::AccessDenied
        | ErrorKind::UnknownAccessKey
        | ErrorKind::WrongSignature
        | ErrorKind::BadCredentials
        | ErrorKind::ClockSkew
        | ErrorKind::WrongEndpoint => true,
        // Its parts use the quota up.
        ErrorKind::QuotaExceeded => false,
        ErrorKind::NotFound
        | ErrorKind::BucketMissing
        | ErrorKind::NoSuchUpload
        | ErrorKind::PreconditionFailed
        | ErrorKind::NotModified
        | ErrorKind::AlreadyExists
        | ErrorKind::TooLarge
        | ErrorKind::InvalidPart
        | ErrorKind::NotAppendable
        | ErrorKind::InvalidRange
        | ErrorKind::Archived
        | ErrorKind::InvalidRequest
        | ErrorKind::Corrupt
        | ErrorKind::InvalidKey
        | ErrorKind::Unreadable => false,
    }
}

/// Looks after the leftovers of a mount until it is gone. At the start it forgets those that are completed or
/// aborted already.
pub(super) async fn tend(leftovers: Weak<Leftovers>, store: Weak<dyn ObjectStore>) {
    let mut first = true;
    let (mut again, mut slept) = (AGAIN, true);
    loop {
        let (Some(me), Some(store)) = (leftovers.upgrade(), store.upgrade()) else { return };
        if std::mem::take(&mut first) {
            me.forget_gone(&*store).await;
        }
        let left = me.clean(&*store).await;
        let pause = if left { again } else { ROUND };
        again = match (left, slept) {
            (false, _) => AGAIN,
            (true, true) => (again * 2).min(ROUND),
            // Who wakes us does not say that the service has refused for so long.
            (true, false) => again,
        };
        let (pause, work) = (me.pause().min(pause), Arc::clone(&me.work));
        drop((me, store));
        tokio::select! {
            () = tokio::time::sleep(pause) => slept = true,
            () = work.notified() => slept = false,
        }
    }
}

impl Leftovers {
    pub(super) async fn forget_gone(&self, store: &dyn ObjectStore) {
        let uploads: Vec<Upload> =
            self.state().by_key.values().flatten().filter_map(Entry::upload).collect();
        for upload in uploads {
            let parts = store.list_parts(&upload, None).await;
            if parts.is_err_and(|error| error.kind == ErrorKind::NoSuchUpload) {
                let gone = |entry: &Entry| entry.upload().as_ref() == Some(&upload);
                let gone = self.state().take_if(gone);
                gone.into_iter().for_each(|entry| self.forget(entry));
            }
        }
    }

    /// How long nothing will be to do, but for what could not be done.
    fn pause(&self) -> Duration {
        let state = self.state();
        let waits = state.strays.iter().filter(|strays| !strays.failed);
        let waits = waits.map(|strays| self.wait_for(strays)).min();
        drop(state);
        let round = (self.config.leftover_age / 8).clamp(Duration::from_secs(1), ROUND);
        waits.unwrap_or(ROUND).min(round)
    }

    /// How long strays are not to be looked for.
    fn wait_for(&self, strays: &Strays) -> Duration {
        match &strays.seen {
            Some((seen, _)) => self.config.stray_pause.saturating_sub(seen.elapsed()),
            None => Duration::ZERO,
        }
    }

    /// Removes what can go now. Returns whether something could not be removed.
    pub(super) async fn clean(&self, store: &dyn ObjectStore) -> bool {
        let now = self.clock.now();
        let is_old = |entry: &Entry| {
            let age = now.duration_since(entry.begun());
            self.removes() && age.is_ok_and(|age| age >= self.config.leftover_age)
        };
        let unwanted = {
            let mut state = self.state();
            let old = state.take_if(is_old);
            old.into_iter().chain(std::mem::take(&mut state.unwanted)).collect::<Vec<_>>()
        };
        for entry in unwanted {
            self.try_end(store, entry).await;
        }
        let strays = std::mem::take(&mut self.state().strays);
        let mut left = false;
        for strays in strays {
            let more = match self.search(store, strays).await {
                Ok(more) => more.map(|strays| Strays { failed: false, ..strays }),
                Err(strays) => Some(Strays { failed: true, ..strays }),
            };
            left |= more.as_ref().is_some_and(|strays| strays.failed);
            self.state().strays.extend(more);
        }
        left || !self.state().unwanted.is_empty()
    }

    /// Looks for strays once. What must be looked for again is returned; as an error, when it could not be done.
    async fn search(
        &self,
        store: &dyn ObjectStore,
        strays: Strays,
    ) -> Result<Option<Strays>, Strays> {
        if !self.wait_for(&strays).is_zero() {
            return Ok(Some(strays));
        }
        let found = match self.empty_uploads(store, &strays).await {
            Ok(found) => found,
            // Who may not list cannot find any.
            Err(error) if error.kind == ErrorKind::AccessDenied => Vec::new(),
            Err(error) => {
                // Once, and not again each time that it is tried.
                if !strays.failed {
                    tracing::warn!(
                        path = strays.key.as_str(),
                        code = error.code.as_deref(),
                        status = error.status,
                        request_id = error.request_id.as_deref(),
                        error = error.words(),
                        "it is not known whether a lost answer has left an upload behind"
                    );
                }
                return Err(strays);
            }
        };
        let before = strays.seen.as_ref().map(|(_, seen)| seen.as_slice());
        let (known, new): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|upload| before.is_some_and(|before| before.contains(&upload.id)));
        let mut gone = true;
        for upload in &known {
            tracing::info!(
                path = upload.key.as_str(),
                upload = upload.id.as_str(),
                "aborts an upload that a lost answer has left behind"
            );
            gone &= abort(store, upload).await;
        }
        if !gone {
            return Err(strays);
        }
        // The Initiate of a moment ago may be on its way still.
        let age = self.clock.now().duration_since(strays.begun);
        let is_young = before.is_none() && age.is_ok_and(|age| age < STRAY_WINDOW);
        if new.is_empty() && !is_young {
            strays.entry.into_iter().for_each(Entry::remove);
            return Ok(None);
        }
        let seen = new.into_iter().map(|upload| upload.id).collect();
        Ok(Some(Strays { seen: Some((Instant::now(), seen)), ..strays }))
    }

    /// Uploads of the key that nobody is known to fill, opened at about the time, without a part.
    async fn empty_uploads(
        &self,
        store: &dyn ObjectStore,
        strays: &Strays,
    ) -> StoreResult<Vec<Upload>> {
        let mut request = UploadsRequest::below(strays.key.as_str());
        let mut candidates = Vec::new();
        loop {
            let page = store.list_uploads(&request).await?;
            candidates.extend(page.uploads.into_iter().filter(|listed| is_near(listed, strays)));
            match page.next {
                Some(next) if request.after.as_ref() != Some(&next) => request.after = Some(next),
                _ => break,
            }
        }
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let dir = self.config.dir.clone();
        let known = blocking::spawn(move || journal::ids(&dir)).await;
        let known = known.map_err(io::Error::other).flatten().map_err(|error| {
            StoreError::new(ErrorKind::Unreadable, Operation::ListUploads, error.to_string())
        })?;
        let mut empty = Vec::new();
        for ListedUpload { upload, .. } in candidates {
            if known.contains(&upload.id) || self.state().open.contains(&upload.id) {
                continue;
            }
            match store.list_parts(&upload, None).await {
                Ok(page) if page.parts.is_empty() && !page.more => empty.push(upload),
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::NoSuchUpload => {}
                Err(error) => return Err(error),
            }
        }
        Ok(empty)
    }
}

fn is_near(listed: &ListedUpload, strays: &Strays) -> bool {
    let (a, b) = (listed.initiated, strays.begun);
    let apart = a.duration_since(b).unwrap_or_else(|earlier| earlier.duration());
    listed.upload.key == strays.key && apart <= STRAY_WINDOW
}
