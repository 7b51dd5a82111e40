//! A store for the tests of this folder: objects in memory, a log of the ranges asked for, a gate
//! that holds answers back, and failures on demand. Only `get` works.

use crate::store::{ETag, ObjectVersion, RenameOptions};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use crate::budget::Budget;
use crate::read::{FileReader, ReadConfig, Readers};
use crate::store::*;

/// What to do to one answer instead of giving the right one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Fail(ErrorKind),
    Short,
    Shifted,
    OtherVersion,
    FlipBit,
    Panic,
}

/// Which answers are held back.
#[derive(Debug)]
enum Gate {
    Open,
    Closed,
    ClosedAt(u64),
}

impl Gate {
    fn lets_through(&self, offset: u64) -> bool {
        match self {
            Self::Open => true,
            Self::Closed => false,
            Self::ClosedAt(start) => *start != offset,
        }
    }
}

#[derive(Debug)]
pub(crate) struct FakeStore {
    limits: Limits,
    objects: Mutex<HashMap<Key, (ETag, Bytes)>>,
    log: Mutex<Vec<(u64, u64)>>,
    faults: Mutex<VecDeque<Fault>>,
    gate: Semaphore,
    gated: watch::Sender<Gate>,
    outstanding: watch::Sender<usize>,
    /// Requests whose futures were dropped before they were answered.
    pub(crate) aborted: AtomicU64,
    answered: AtomicU64,
}

/// Readers over a fake store, with sizes so small that a few hundred kilobytes show everything.
pub(crate) struct World {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) budget: Budget,
    pub(crate) readers: Arc<Readers>,
}

impl World {
    /// Must be called on a runtime.
    pub(crate) fn new(budget_bytes: u64, cache_bytes: u64) -> Self {
        let (store, budget) = (FakeStore::new(), Budget::new(budget_bytes));
        let config = ReadConfig {
            first_request_bytes: 4 << 10,
            request_bytes: 32 << 10,
            window_bytes: 256 << 10,
            cache_bytes,
        };
        let runtime = tokio::runtime::Handle::current();
        let readers = Readers::new(Arc::clone(&store) as _, budget.clone(), config, runtime);
        Self { store, budget, readers }
    }

    /// A new object and a reader of it.
    pub(crate) fn open(&self, key: &str, bytes: &[u8]) -> FileReader {
        let (key, version) = self.store.put_object(key, key, bytes.to_vec());
        self.readers.open(key, version)
    }
}

/// Lets tasks run until something holds; it must come true without anything but tasks.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("does not come true");
}

/// Bytes of which no two places look alike.
pub(crate) fn sample(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8).collect()
}

/// Counts a request as outstanding while it lives.
struct Outstanding<'a>(&'a FakeStore);

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        self.0.outstanding.send_modify(|count| *count -= 1);
    }
}

impl FakeStore {
    pub(crate) fn new() -> Arc<Self> {
        let limits = Limits {
            part_min_bytes: 1,
            part_max_bytes: 1 << 30,
            parts_max: 10_000,
            first_part_number: 1,
            put_bytes: 1 << 30,
            object_bytes: 1 << 40,
            copy_bytes: 1 << 30,
            range_copy_min_source_bytes: 1,
            key_bytes: 1024,
            metadata_bytes: 2048,
            delete_batch: 1000,
            list_page: 1000,
            checksum: Some(ChecksumKind::Crc64Xz),
            create_only: true,
            compare_and_swap: true,
            mixed_part_conditions: true,
            archive_classes: &[],
            rename: false,
            append: None,
        };
        Arc::new(Self {
            limits,
            objects: Mutex::default(),
            log: Mutex::default(),
            faults: Mutex::default(),
            gate: Semaphore::new(0),
            gated: watch::Sender::new(Gate::Open),
            outstanding: watch::Sender::new(0),
            aborted: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        })
    }

    /// Creates or replaces an object.
    pub(crate) fn put_object(&self, key: &str, etag: &str, bytes: Vec<u8>) -> (Key, ObjectVersion) {
        let key = Key::new(key).unwrap();
        let version = ObjectVersion { etag: ETag::new(etag), size: bytes.len() as u64 };
        self.objects.lock().unwrap().insert(key.clone(), (version.etag.clone(), bytes.into()));
        (key, version)
    }

    pub(crate) fn remove_object(&self, key: &Key) {
        self.objects.lock().unwrap().remove(key);
    }

    /// From now on answers wait for [`open_gate`](Self::open_gate) or [`let_through`](Self::let_through).
    pub(crate) fn close_gate(&self) {
        self.gated.send_replace(Gate::Closed);
    }

    /// From now on answers to requests that begin at this offset wait.
    pub(crate) fn close_gate_at(&self, start: u64) {
        self.gated.send_replace(Gate::ClosedAt(start));
    }

    pub(crate) fn let_through(&self, requests: usize) {
        self.gate.add_permits(requests);
    }

    pub(crate) fn open_gate(&self) {
        self.gated.send_replace(Gate::Open);
    }

    /// The next answers, in order of arrival, go wrong like this.
    pub(crate) fn fault(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }

    /// Start and end of every range asked for, in order.
    pub(crate) fn log(&self) -> Vec<(u64, u64)> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn asked_bytes(&self) -> u64 {
        self.log().iter().map(|(start, end)| end - start).sum()
    }

    pub(crate) fn outstanding(&self) -> usize {
        *self.outstanding.borrow()
    }

    /// Waits until the number of outstanding requests is as wanted.
    pub(crate) async fn until_outstanding(&self, wanted: impl FnMut(&usize) -> bool) {
        self.outstanding.subscribe().wait_for(wanted).await.unwrap();
    }

    fn find(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<Content> {
        let fail = |kind| Err(StoreError::new(kind, Operation::Get, "as told"));
        let objects = self.objects.lock().unwrap();
        let Some((etag, bytes)) = objects.get(key) else { return fail(ErrorKind::NotFound) };
        if conditions.if_match.as_ref().is_some_and(|wanted| wanted != etag) {
            return fail(ErrorKind::PreconditionFailed);
        }
        let size = bytes.len() as u64;
        let (start, end) = range.map_or((0, size), |range| (range.start(), range.end().min(size)));
        if start >= end {
            return fail(ErrorKind::InvalidRange);
        }
        // Chunks of odd sizes, so that nothing relies on one buffer per answer.
        let (mut chunks, mut at, mut step) = (Vec::new(), start, 1);
        while at < end {
            let next = (at + step).min(end);
            chunks.push(bytes.slice(at as usize..next as usize));
            (at, step) = (next, step * 3 + 1);
        }
        let version = ObjectVersion { etag: etag.clone(), size };
        let checksum = Some(ChecksumKind::Crc64Xz.of(bytes));
        Ok(Content { version, start, chunks, checksum })
    }
}

fn spoil(mut content: Content, fault: Fault) -> StoreResult<Content> {
    match fault {
        Fault::Fail(kind) => return Err(StoreError::new(kind, Operation::Get, "as told")),
        Fault::Short => drop(content.chunks.pop()),
        Fault::Shifted => content.start += 1,
        Fault::OtherVersion => content.version.etag = ETag::new("another"),
        Fault::FlipBit => {
            let mut bytes = content.chunks[0].to_vec();
            bytes[0] ^= 1;
            content.chunks[0] = bytes.into();
        }
        Fault::Panic => panic!("as told"),
    }
    Ok(content)
}

#[async_trait]
impl ObjectStore for FakeStore {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<Content> {
        struct Aborted<'a>(&'a FakeStore, bool);
        impl Drop for Aborted<'_> {
            fn drop(&mut self) {
                let counter = if self.1 { &self.0.answered } else { &self.0.aborted };
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }
        let range_asked = range.unwrap();
        self.log.lock().unwrap().push((range_asked.start(), range_asked.end()));
        let fault = self.faults.lock().unwrap().pop_front();
        self.outstanding.send_modify(|count| *count += 1);
        let _outstanding = Outstanding(self);
        let mut aborted = Aborted(self, false);
        let mut gated = self.gated.subscribe();
        tokio::select! {
            _ = gated.wait_for(|gate| gate.lets_through(range_asked.start())) => {}
            permit = self.gate.acquire() => permit.unwrap().forget(),
        }
        aborted.1 = true;
        let content = self.find(key, range, conditions)?;
        match fault {
            None => Ok(content),
            Some(fault) => spoil(content, fault),
        }
    }

    async fn head(&self, _: &Key) -> StoreResult<ObjectInfo> {
        unreachable!("readers only read")
    }
    async fn head_if(&self, _: &Key, _: &Conditions) -> StoreResult<ObjectInfo> {
        unreachable!("readers only read")
    }
    async fn list(&self, _: &ListRequest) -> StoreResult<ListPage> {
        unreachable!("readers only read")
    }
    async fn put(&self, _: &Key, _: Payload, _: &PutOptions) -> StoreResult<ObjectVersion> {
        unreachable!("readers only read")
    }
    async fn delete(&self, _: &Key) -> StoreResult<()> {
        unreachable!("readers only read")
    }
    async fn delete_if(&self, _: &Key, _: &ETag) -> StoreResult<()> {
        unreachable!("readers only read")
    }
    async fn delete_many(&self, _: &[Key]) -> StoreResult<Vec<(Key, StoreError)>> {
        unreachable!("readers only read")
    }
    async fn copy(&self, _: &Key, _: &Key, _: &CopyOptions) -> StoreResult<ObjectVersion> {
        unreachable!("readers only read")
    }
    async fn rename(&self, _: &Key, _: &Key, _: &RenameOptions) -> StoreResult<()> {
        unreachable!("readers only read")
    }

    async fn append(&self, _: &Key, _: u64, _: Payload, _: &PutOptions) -> StoreResult<Appended> {
        unreachable!("readers only read")
    }

    async fn start_upload(&self, _: &Key, _: &PutOptions) -> StoreResult<Started> {
        unreachable!("readers only read")
    }
    async fn put_part(&self, _: &Upload, _: PartNumber, _: Payload) -> StoreResult<PartReceipt> {
        unreachable!("readers only read")
    }
    async fn copy_part(
        &self,
        _: &Upload,
        _: PartNumber,
        _: &Key,
        _: Option<ByteRange>,
        _: &Conditions,
    ) -> StoreResult<PartReceipt> {
        unreachable!("readers only read")
    }
    async fn complete_upload(
        &self,
        _: &Upload,
        _: &[PartReceipt],
        _: &Expected,
    ) -> StoreResult<ObjectVersion> {
        unreachable!("readers only read")
    }
    async fn abort_upload(&self, _: &Upload) -> StoreResult<()> {
        unreachable!("readers only read")
    }
    async fn list_parts(&self, _: &Upload, _: Option<PartNumber>) -> StoreResult<PartsPage> {
        unreachable!("readers only read")
    }
    async fn list_uploads(&self, _: &UploadsRequest) -> StoreResult<UploadsPage> {
        unreachable!("readers only read")
    }
}
