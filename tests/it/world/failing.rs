//! A store whose operations fail on demand, and whose answers can be held back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use partfs::store::{
    Appended, ByteRange, Conditions, Content, CopyOptions, ETag, ErrorKind, Expected, Key, Limits,
    ListPage, ListRequest, ObjectInfo, ObjectStore, ObjectVersion, Operation, PartNumber,
    PartReceipt, PartsPage, Payload, PutOptions, RenameOptions, Started, StoreError, StoreResult,
    Upload, UploadsPage, UploadsRequest,
};
use tokio::sync::Semaphore;

/// Passes everything on, but for the operations that were told to fail.
#[derive(Debug)]
pub struct Failing {
    inner: Arc<dyn ObjectStore>,
    limits: Limits,
    /// By operation: how many calls go well first, and how the later ones fail.
    plans: Mutex<HashMap<Operation, (u32, ErrorKind)>>,
    gates: Mutex<HashMap<Operation, Arc<Gate>>>,
    /// The same for the way there. Only of GET.
    before: Mutex<Option<Arc<Gate>>>,
    /// Listings by directory are answered with all keys, as by a server that knows no delimiter.
    flat: AtomicBool,
}

/// Holds back the answer to the next call of one operation.
#[derive(Debug)]
pub struct Gate {
    arrived: Semaphore,
    opened: Semaphore,
}

impl Gate {
    /// Waits until the bucket has answered the call, or the call is on its way there.
    pub async fn answered(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Lets the answer through.
    pub fn open(&self) {
        self.opened.add_permits(1);
    }
}

impl Failing {
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let limits = inner.limits().clone();
        Self::with_limits(inner, limits)
    }

    /// As [`new`](Self::new), of a store that is said to have these limits.
    pub fn with_limits(inner: Arc<dyn ObjectStore>, limits: Limits) -> Self {
        let flat = AtomicBool::new(false);
        let (plans, gates, before) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { inner, limits, plans, gates, before, flat }
    }

    /// The next answer to `operation` waits for the gate; later ones do not.
    pub fn hold(&self, operation: Operation) -> Arc<Gate> {
        let gate = Arc::new(Gate { arrived: Semaphore::new(0), opened: Semaphore::new(0) });
        self.gates.lock().unwrap().insert(operation, Arc::clone(&gate));
        gate
    }

    /// The next GET waits for the gate before it reaches the bucket; later ones do not.
    pub fn hold_get_before(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate { arrived: Semaphore::new(0), opened: Semaphore::new(0) });
        *self.before.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    async fn pass(&self, operation: Operation) {
        let gate = self.gates.lock().unwrap().remove(&operation);
        if let Some(gate) = gate {
            gate.arrived.add_permits(1);
            gate.opened.acquire().await.unwrap().forget();
        }
    }

    /// After `good` more calls, every call of `operation` fails without reaching the bucket.
    pub fn fail(&self, operation: Operation, good: u32, kind: ErrorKind) {
        self.plans.lock().unwrap().insert(operation, (good, kind));
    }

    /// Listings are not cut at the `/` any more.
    pub fn list_flat(&self) {
        self.flat.store(true, Ordering::Relaxed);
    }

    /// Everything works again.
    pub fn heal(&self) {
        self.plans.lock().unwrap().clear();
    }

    fn check(&self, operation: Operation) -> StoreResult<()> {
        match self.plans.lock().unwrap().get_mut(&operation) {
            None => Ok(()),
            Some((0, kind)) => Err(StoreError::new(*kind, operation, "injected")),
            Some((good, _)) => {
                *good -= 1;
                Ok(())
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Failing {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn head(&self, key: &Key) -> StoreResult<ObjectInfo> {
        self.check(Operation::Head)?;
        let answer = self.inner.head(key).await;
        self.pass(Operation::Head).await;
        answer
    }

    async fn head_if(&self, key: &Key, conditions: &Conditions) -> StoreResult<ObjectInfo> {
        self.check(Operation::Head)?;
        let answer = self.inner.head_if(key, conditions).await;
        self.pass(Operation::Head).await;
        answer
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<Content> {
        self.check(Operation::Get)?;
        let gate = self.before.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.arrived.add_permits(1);
            gate.opened.acquire().await.unwrap().forget();
        }
        let answer = self.inner.get(key, range, conditions).await;
        self.pass(Operation::Get).await;
        answer
    }

    async fn list(&self, request: &ListRequest) -> StoreResult<ListPage> {
        self.check(Operation::List)?;
        let by_directory = request.by_directory && !self.flat.load(Ordering::Relaxed);
        let answer = self.inner.list(&ListRequest { by_directory, ..request.clone() }).await;
        self.pass(Operation::List).await;
        answer
    }

    async fn put(
        &self,
        key: &Key,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<ObjectVersion> {
        self.check(Operation::Put)?;
        let answer = self.inner.put(key, payload, options).await;
        self.pass(Operation::Put).await;
        answer
    }

    async fn delete(&self, key: &Key) -> StoreResult<()> {
        self.check(Operation::Delete)?;
        self.inner.delete(key).await
    }

    async fn delete_if(&self, key: &Key, etag: &ETag) -> StoreResult<()> {
        self.check(Operation::Delete)?;
        self.inner.delete_if(key, etag).await
    }

    async fn delete_many(&self, keys: &[Key]) -> StoreResult<Vec<(Key, StoreError)>> {
        self.check(Operation::DeleteMany)?;
        let answer = self.inner.delete_many(keys).await;
        self.pass(Operation::DeleteMany).await;
        answer
    }

    async fn copy(
        &self,
        from: &Key,
        to: &Key,
        options: &CopyOptions,
    ) -> StoreResult<ObjectVersion> {
        self.check(Operation::Copy)?;
        let answer = self.inner.copy(from, to, options).await;
        self.pass(Operation::Copy).await;
        answer
    }

    async fn rename(&self, from: &Key, to: &Key, options: &RenameOptions) -> StoreResult<()> {
        self.check(Operation::Rename)?;
        let answer = self.inner.rename(from, to, options).await;
        self.pass(Operation::Rename).await;
        answer
    }

    async fn append(
        &self,
        key: &Key,
        position: u64,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<Appended> {
        self.check(Operation::Append)?;
        self.inner.append(key, position, payload, options).await
    }

    async fn start_upload(&self, key: &Key, options: &PutOptions) -> StoreResult<Started> {
        self.check(Operation::StartUpload)?;
        self.inner.start_upload(key, options).await
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> StoreResult<PartReceipt> {
        self.check(Operation::PutPart)?;
        self.inner.put_part(upload, number, payload).await
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<PartReceipt> {
        self.check(Operation::CopyPart)?;
        self.inner.copy_part(upload, number, from, range, conditions).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> StoreResult<ObjectVersion> {
        self.check(Operation::CompleteUpload)?;
        let answer = self.inner.complete_upload(upload, parts, expected).await;
        self.pass(Operation::CompleteUpload).await;
        answer
    }

    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()> {
        self.check(Operation::AbortUpload)?;
        self.inner.abort_upload(upload).await
    }

    async fn list_parts(
        &self,
        upload: &Upload,
        after: Option<PartNumber>,
    ) -> StoreResult<PartsPage> {
        self.check(Operation::ListParts)?;
        self.inner.list_parts(upload, after).await
    }

    async fn list_uploads(&self, request: &UploadsRequest) -> StoreResult<UploadsPage> {
        self.check(Operation::ListUploads)?;
        self.inner.list_uploads(request).await
    }
}
