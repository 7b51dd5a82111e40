//! A store whose calls go wrong on purpose, over any other store: by rules, which are data, and by chance,
//! from a seed. For tests of everything above; knows no HTTP and no service.
//!
//! What goes wrong here is what is left when the client of a service has done what it can. It has repeated
//! what can be repeated, and has looked at the object where an answer to a Complete, a conditional PUT or
//! an append got lost (`dialect/lost`). So an error means that its patience was over: whether the call was
//! carried out, is carried out later, or never, no error tells ([`Done`]). "No such upload" is not among
//! the errors that come by chance: it is told of uploads that are gone, so the upload goes ([`Fault::Aborted`]).

mod gate;
mod log;
mod random;
mod rules;
mod run;
mod survivors;
mod told;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::store::{
    Appended, ByteRange, Conditions, Content, CopyOptions, ETag, ErrorKind, Expected, Key, Limits,
    ListPage, ListRequest, ObjectInfo, ObjectStore, ObjectVersion, Operation, PartNumber,
    PartReceipt, PartsPage, Payload, PutOptions, RenameOptions, Started, StoreError, StoreResult,
    Upload, UploadId, UploadsPage, UploadsRequest,
};

pub use gate::Gate;
pub use log::{Event, What};
pub use random::{Chances, Dice, RandomFaults};
pub use rules::{Claim, Done, Fault, Rule};

use log::Log;
use run::Run;
use survivors::{Death, Job};

/// A change of the bucket that was just carried out.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What was done.
    pub operation: Operation,
    /// The key that changed.
    pub key: &'a Key,
    /// Whether the call had been answered before.
    pub late: bool,
}

type Observer = Box<dyn Fn(&Change<'_>) + Send + Sync>;

/// Passes everything on, but for what is to go wrong.
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    limits: Limits,
    shared: Arc<Shared>,
    bodies_in_place: bool,
    mortal: bool,
}

/// What calls need that go on after they were answered.
struct Shared {
    rules: Mutex<Vec<Rule>>,
    random: Mutex<Option<RandomFaults>>,
    log: Log,
    calls: AtomicU64,
    left: Mutex<BTreeSet<UploadId>>,
    observer: OnceLock<Observer>,
    death: Mutex<Option<Death>>,
    survivors: Mutex<Vec<Job>>,
}

impl FaultStore {
    /// Nothing goes wrong yet.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let shared = Shared {
            rules: Mutex::default(),
            random: Mutex::default(),
            log: Log::new(),
            calls: AtomicU64::new(0),
            left: Mutex::default(),
            observer: OnceLock::new(),
            death: Mutex::default(),
            survivors: Mutex::default(),
        };
        let limits = inner.limits().clone();
        Self { inner, limits, shared: Arc::new(shared), bodies_in_place: false, mortal: false }
    }

    /// Says that it allows this: for a store that allows more than it says, such as smaller parts.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Reads bodies from files on the thread that sends them: half of each before what it waits for on
    /// the way, half after. Then the order of events does not depend on other threads.
    pub fn with_bodies_in_place(self) -> Self {
        Self { bodies_in_place: true, ..self }
    }

    /// Says that its client can die while calls are on their way ([`client_dies`](Self::client_dies)).
    pub fn with_mortal_clients(self) -> Self {
        Self { mortal: true, ..self }
    }

    /// The client dies now: its runtime is dropped next. Of the calls that are on their way some arrive later, by
    /// `seed`, and nobody gets the answers. Called on the runtime that ends.
    pub fn client_dies(&self, seed: u64) {
        *self.shared.death.lock() = Some(Death { at: self.elapsed(), seed });
    }

    /// Another client begins, on a runtime of its own, on which this is called. Time goes on where the last client
    /// died.
    pub fn client_begins(&self) {
        let death = self.shared.death.lock().take();
        self.shared.log.go_on(death.map_or(Duration::ZERO, |death| death.at));
        survivors::go_on(&self.shared);
    }

    /// How long this store has been there, on the runtimes of its clients: what [`Event::at`] counts.
    pub fn elapsed(&self) -> Duration {
        self.shared.log.elapsed()
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Calls `observer` after each change of an object, before anybody else can change it, where the store
    /// below answers without waiting. There is one observer: later ones are not called.
    pub fn observed(&self, observer: impl Fn(&Change<'_>) + Send + Sync + 'static) {
        let _ = self.shared.observer.set(Box::new(observer));
    }

    /// From now on things go wrong by chance, too; with `None` no longer.
    pub fn by_chance(&self, faults: Option<RandomFaults>) {
        *self.shared.random.lock() = faults;
    }

    /// From now on this happens, beside what else does.
    pub fn add(&self, rule: Rule) {
        self.shared.rules.lock().push(rule);
    }

    /// After `good` more calls, every call of `operation` fails without reaching the bucket. Takes the
    /// place of what was said so of the operation before.
    pub fn fail(&self, operation: Operation, good: u32, kind: ErrorKind) {
        let mut rules = self.shared.rules.lock();
        rules.retain(|rule| rule.operation != Some(operation) || !is_failure(&rule.fault));
        let fault = Fault::Fails { kind, done: Done::No };
        rules.push(Rule { skip: good, count: u32::MAX, ..Rule::next(operation, fault) });
    }

    /// The next answer to `operation` waits for the gate; later ones do not.
    pub fn hold(&self, operation: Operation) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.add(Rule::next(operation, Fault::HeldAfter(Arc::clone(&gate))));
        gate
    }

    /// The next call of `operation` waits for the gate before it reaches the bucket; later ones do not.
    pub fn hold_before(&self, operation: Operation) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.add(Rule::next(operation, Fault::HeldBefore(Arc::clone(&gate))));
        gate
    }

    /// Listings of objects and of uploads are not cut at the `/` any more.
    pub fn list_flat(&self) {
        for operation in [Operation::List, Operation::ListUploads] {
            self.add(Rule { count: u32::MAX, ..Rule::next(operation, Fault::Flat) });
        }
    }

    /// No call fails any more by a rule.
    pub fn heal(&self) {
        self.shared.rules.lock().retain(|rule| !is_failure(&rule.fault));
    }

    /// What happened so far, oldest first (the last million).
    pub fn events(&self) -> Vec<Event> {
        self.shared.log.snapshot()
    }

    /// Uploads that nobody above can be blamed for: nobody was told of them, or their abort was answered
    /// with an error.
    pub fn left_uploads(&self) -> BTreeSet<UploadId> {
        self.shared.left.lock().clone()
    }

    fn run(
        &self,
        operation: Operation,
        key: Option<&Key>,
        part: Option<PartNumber>,
        upload: Option<&Upload>,
    ) -> Run {
        let number = self.shared.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let (key, inner) = (key.cloned(), Arc::clone(&self.inner));
        let shared = Arc::clone(&self.shared);
        let run = Run::new(shared, inner, number, operation, key, part, upload.cloned());
        if self.mortal { run.of_mortal() } else { run }
    }

    /// The bytes of a body as they are sent.
    async fn body(&self, run: &mut Run, payload: &Payload) -> StoreResult<Payload> {
        if !self.bodies_in_place && !run.damages() {
            return Ok(payload.clone());
        }
        run.body(payload).await
    }
}

impl Shared {
    fn strike(&self, operation: Operation, key: Option<&Key>) -> Vec<Fault> {
        let mut rules = self.rules.lock();
        let mut faults: Vec<Fault> =
            rules.iter_mut().filter_map(|rule| rule.strike(operation, key)).collect();
        rules.retain(|rule| !rule.is_over());
        drop(rules);
        if let Some(random) = self.random.lock().as_mut() {
            faults.extend(random.strike(operation));
        }
        faults
    }

    /// Nobody was told of an upload, or its abort has failed.
    fn leave(&self, upload: Option<&Upload>) {
        if let Some(upload) = upload {
            self.left.lock().insert(upload.id.clone());
        }
    }

    fn observe(&self, operation: Operation, key: Option<&Key>, late: bool) {
        use Operation::{Append, CompleteUpload, Copy, Delete, Put, Rename};
        if matches!(operation, Append | CompleteUpload | Copy | Delete | Put | Rename)
            && let (Some(observer), Some(key)) = (self.observer.get(), key)
        {
            observer(&Change { operation, key, late });
        }
    }
}

fn is_failure(fault: &Fault) -> bool {
    matches!(fault, Fault::Fails { .. })
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({:?}, over {:?})", self.shared.rules.lock(), self.inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FaultStore {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn head(&self, key: &Key) -> StoreResult<ObjectInfo> {
        let run = self.run(Operation::Head, Some(key), None, None);
        run.end(|store| {
            let key = key.clone();
            async move { store.head(&key).await }
        })
        .await
    }

    async fn head_if(&self, key: &Key, conditions: &Conditions) -> StoreResult<ObjectInfo> {
        let run = self.run(Operation::Head, Some(key), None, None);
        run.end(|store| {
            let (key, conditions) = (key.clone(), conditions.clone());
            async move { store.head_if(&key, &conditions).await }
        })
        .await
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<Content> {
        let run = self.run(Operation::Get, Some(key), None, None);
        run.end(|store| {
            let (key, conditions) = (key.clone(), conditions.clone());
            async move { store.get(&key, range, &conditions).await }
        })
        .await
    }

    async fn list(&self, request: &ListRequest) -> StoreResult<ListPage> {
        let run = self.run(Operation::List, None, None, None);
        let by_directory = request.by_directory && !run.is_flat();
        let request = ListRequest { by_directory, ..request.clone() };
        run.end(|store| {
            let request = request.clone();
            async move { store.list(&request).await }
        })
        .await
    }

    async fn put(
        &self,
        key: &Key,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<ObjectVersion> {
        let mut run = self.run(Operation::Put, Some(key), None, None);
        let body = self.body(&mut run, &payload).await?;
        run.end(|store| {
            let (key, body, options) = (key.clone(), body.clone(), options.clone());
            async move { store.put(&key, body, &options).await }
        })
        .await
    }

    async fn delete(&self, key: &Key) -> StoreResult<()> {
        let run = self.run(Operation::Delete, Some(key), None, None);
        run.end(|store| {
            let key = key.clone();
            async move { store.delete(&key).await }
        })
        .await
    }

    async fn delete_if(&self, key: &Key, etag: &ETag) -> StoreResult<()> {
        let run = self.run(Operation::Delete, Some(key), None, None);
        run.end(|store| {
            let (key, etag) = (key.clone(), etag.clone());
            async move { store.delete_if(&key, &etag).await }
        })
        .await
    }

    async fn delete_many(&self, keys: &[Key]) -> StoreResult<Vec<(Key, StoreError)>> {
        let run = self.run(Operation::DeleteMany, None, None, None);
        run.end(|store| {
            let keys = keys.to_vec();
            async move { store.delete_many(&keys).await }
        })
        .await
    }

    async fn copy(
        &self,
        from: &Key,
        to: &Key,
        options: &CopyOptions,
    ) -> StoreResult<ObjectVersion> {
        let run = self.run(Operation::Copy, Some(to), None, None);
        run.end(|store| {
            let (from, to, options) = (from.clone(), to.clone(), options.clone());
            async move { store.copy(&from, &to, &options).await }
        })
        .await
    }

    async fn rename(&self, from: &Key, to: &Key, options: &RenameOptions) -> StoreResult<()> {
        let run = self.run(Operation::Rename, Some(to), None, None);
        run.end(|store| {
            let (from, to, options) = (from.clone(), to.clone(), options.clone());
            async move { store.rename(&from, &to, &options).await }
        })
        .await
    }

    async fn append(
        &self,
        key: &Key,
        position: u64,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<Appended> {
        let mut run = self.run(Operation::Append, Some(key), None, None);
        let body = self.body(&mut run, &payload).await?;
        run.end(|store| {
            let (key, body, options) = (key.clone(), body.clone(), options.clone());
            async move { store.append(&key, position, body, &options).await }
        })
        .await
    }

    async fn start_upload(&self, key: &Key, options: &PutOptions) -> StoreResult<Started> {
        let run = self.run(Operation::StartUpload, Some(key), None, None);
        run.end(|store| {
            let (key, options) = (key.clone(), options.clone());
            async move { store.start_upload(&key, &options).await }
        })
        .await
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> StoreResult<PartReceipt> {
        let mut run = self.run(Operation::PutPart, Some(&upload.key), Some(number), Some(upload));
        let mut body = self.body(&mut run, &payload).await?;
        if run.outlives_its_answer() {
            // The memory of a payload is not to be held any longer than the call.
            body = held_apart(&body).await;
        }
        run.end(|store| {
            let (upload, body) = (upload.clone(), body.clone());
            async move { store.put_part(&upload, number, body).await }
        })
        .await
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<PartReceipt> {
        let run = self.run(Operation::CopyPart, Some(&upload.key), Some(number), Some(upload));
        run.end(|store| {
            let (upload, from, conditions) = (upload.clone(), from.clone(), conditions.clone());
            async move { store.copy_part(&upload, number, &from, range, &conditions).await }
        })
        .await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> StoreResult<ObjectVersion> {
        let run = self.run(Operation::CompleteUpload, Some(&upload.key), None, Some(upload));
        run.end(|store| {
            let (upload, parts, expected) = (upload.clone(), parts.to_vec(), expected.clone());
            async move { store.complete_upload(&upload, &parts, &expected).await }
        })
        .await
    }

    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()> {
        let run = self.run(Operation::AbortUpload, Some(&upload.key), None, Some(upload));
        run.end(|store| {
            let upload = upload.clone();
            async move { store.abort_upload(&upload).await }
        })
        .await
    }

    async fn list_parts(
        &self,
        upload: &Upload,
        after: Option<PartNumber>,
    ) -> StoreResult<PartsPage> {
        let run = self.run(Operation::ListParts, Some(&upload.key), None, Some(upload));
        run.end(|store| {
            let upload = upload.clone();
            async move { store.list_parts(&upload, after).await }
        })
        .await
    }

    async fn list_uploads(&self, request: &UploadsRequest) -> StoreResult<UploadsPage> {
        let run = self.run(Operation::ListUploads, None, None, None);
        let by_directory = request.by_directory && !run.is_flat();
        let request = UploadsRequest { by_directory, ..request.clone() };
        run.end(|store| {
            let request = request.clone();
            async move { store.list_uploads(&request).await }
        })
        .await
    }
}

/// The same bytes in memory of their own. Of bytes that cannot be read, those before.
async fn held_apart(payload: &Payload) -> Payload {
    let (mut pieces, mut bytes) = (payload.pieces(), Vec::new());
    while let Ok(Some(piece)) = pieces.next().await {
        bytes.push(Bytes::copy_from_slice(&piece));
    }
    Payload::new(bytes).with_checksum(payload.checksum())
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
