//! A bucket for the tests of this folder: copies what it is given, checks what services check, and
//! can be told to wait or to fail.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::store::{
    Appended, ByteRange, ChecksumKind, Conditions, Content, CopyOptions, ETag, ErrorKind, Expected,
    Key, Limits, ListPage, ListRequest, ObjectInfo, ObjectStore, ObjectVersion, Operation,
    PartNumber, PartReceipt, PartsPage, Payload, PayloadData, PutOptions, RenameOptions, Started,
    StoreError, StoreResult, Upload, UploadId, UploadsPage, UploadsRequest,
};

#[derive(Debug)]
pub(super) struct FakeStore {
    limits: Limits,
    state: Mutex<State>,
    /// Operations that wait for a permit here before they do anything.
    gates: Mutex<HashMap<Operation, Arc<Semaphore>>>,
    /// Each operation that was applied, by name.
    pub(super) arrived: Semaphore,
    /// Each operation that was asked for, before it waits for a permit.
    pub(super) reached: Semaphore,
    /// Lengths of all bodies together.
    pub(super) sent_bytes: AtomicU64,
    /// Length of the longest body that was in memory, and of the longest that was not.
    pub(super) longest_in_memory: AtomicU64,
    pub(super) longest_from_file: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, (Vec<u8>, ETag, PutOptions)>,
    /// Those of the objects that can be appended to.
    appendable: BTreeSet<Key>,
    uploads: BTreeMap<UploadId, FakeUpload>,
    count: u64,
    applied: Vec<Operation>,
    /// Operation, how many to let pass first, with what to fail. Used up once.
    faults: Vec<(Operation, usize, ErrorKind)>,
}

#[derive(Debug)]
struct FakeUpload {
    key: Key,
    options: PutOptions,
    parts: BTreeMap<PartNumber, (Vec<u8>, ETag)>,
    /// Some part is a copy: then the sender may not know the sum of all bytes.
    copied: bool,
}

pub(super) fn limits(part_min_bytes: u64, parts_max: u32) -> Limits {
    Limits {
        part_min_bytes,
        part_max_bytes: 5 << 30,
        parts_max,
        first_part_number: 1,
        put_bytes: 5 << 30,
        object_bytes: 5 << 40,
        copy_bytes: 5 << 30,
        range_copy_min_source_bytes: part_min_bytes + 1,
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
    }
}

impl FakeStore {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
            gates: Mutex::default(),
            arrived: Semaphore::new(0),
            reached: Semaphore::new(0),
            sent_bytes: AtomicU64::new(0),
            longest_in_memory: AtomicU64::new(0),
            longest_from_file: AtomicU64::new(0),
        })
    }

    /// Makes an operation wait until permits are added.
    pub(super) fn gate(&self, operation: Operation) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.gates.lock().unwrap().insert(operation, Arc::clone(&gate));
        gate
    }

    pub(super) fn fail(&self, operation: Operation, after: usize, kind: ErrorKind) {
        self.state.lock().unwrap().faults.push((operation, after, kind));
    }

    /// Also where the service has none: bytes always come with what they were.
    fn checksum_kind(&self) -> ChecksumKind {
        self.limits.checksum.unwrap_or(ChecksumKind::Crc64Xz)
    }

    pub(super) fn set(&self, key: &Key, bytes: &[u8]) -> ObjectVersion {
        self.state.lock().unwrap().set(key, bytes.to_vec(), PutOptions::default())
    }

    pub(super) fn object(&self, key: &Key) -> Option<Vec<u8>> {
        self.state.lock().unwrap().objects.get(key).map(|object| object.0.clone())
    }

    pub(super) fn options(&self, key: &Key) -> Option<PutOptions> {
        self.state.lock().unwrap().objects.get(key).map(|object| object.2.clone())
    }

    pub(super) fn uploads(&self) -> usize {
        self.state.lock().unwrap().uploads.len()
    }

    /// Somebody else sends a part of the only open upload.
    pub(super) fn replace_part(&self, number: PartNumber, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let upload = state.uploads.values_mut().next().expect("an open upload");
        upload.parts.insert(number, (bytes.to_vec(), ETag::new("theirs")));
    }

    pub(super) fn applied(&self, operation: Operation) -> usize {
        let state = self.state.lock().unwrap();
        state.applied.iter().filter(|applied| **applied == operation).count()
    }

    async fn enter(&self, operation: Operation) -> StoreResult<()> {
        self.reached.add_permits(1);
        let gate = self.gates.lock().unwrap().get(&operation).cloned();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        } else {
            tokio::task::yield_now().await;
        }
        let mut state = self.state.lock().unwrap();
        let mut failed = None;
        state.faults.retain_mut(|(of, after, kind)| {
            if *of != operation || failed.is_some() {
                return true;
            }
            if *after > 0 {
                *after -= 1;
                return true;
            }
            failed = Some(*kind);
            false
        });
        match failed {
            Some(kind) => Err(StoreError::new(kind, operation, "injected")),
            None => {
                state.applied.push(operation);
                self.arrived.add_permits(1);
                Ok(())
            }
        }
    }

    /// The body as the service received it, after its own checksum.
    async fn receive(&self, operation: Operation, payload: &Payload) -> StoreResult<Vec<u8>> {
        let longest = match payload.data() {
            PayloadData::Chunks(_) => &self.longest_in_memory,
            PayloadData::Source(_) => &self.longest_from_file,
        };
        longest.fetch_max(payload.len(), Ordering::Relaxed);
        self.sent_bytes.fetch_add(payload.len(), Ordering::Relaxed);
        let (mut pieces, mut bytes) = (payload.pieces(), Vec::new());
        let unreadable = |error: std::io::Error| {
            StoreError::new(ErrorKind::Unreadable, operation, error.to_string())
        };
        while let Some(piece) = pieces.next().await.map_err(unreadable)? {
            bytes.extend_from_slice(&piece);
        }
        let sum = Some(self.checksum_kind().of(&bytes));
        if bytes.len() as u64 != payload.len() || payload.checksum() != sum {
            return Err(StoreError::new(ErrorKind::Corrupt, operation, "another checksum"));
        }
        Ok(bytes)
    }
}

impl State {
    fn source(
        &self,
        key: &Key,
        if_match: Option<&ETag>,
        operation: Operation,
    ) -> StoreResult<&[u8]> {
        let (bytes, etag, _) =
            self.objects.get(key).ok_or(error(ErrorKind::NotFound, operation))?;
        match if_match {
            Some(wanted) if wanted != etag => Err(error(ErrorKind::PreconditionFailed, operation)),
            _ => Ok(bytes),
        }
    }

    fn set(&mut self, key: &Key, bytes: Vec<u8>, options: PutOptions) -> ObjectVersion {
        self.count += 1;
        let etag = ETag::new(&format!("etag-{}", self.count));
        let version = ObjectVersion { etag: etag.clone(), size: bytes.len() as u64 };
        self.appendable.remove(key);
        self.objects.insert(key.clone(), (bytes, etag, options));
        version
    }
}

fn error(kind: ErrorKind, operation: Operation) -> StoreError {
    StoreError::new(kind, operation, "fake")
}

fn unused<T>(operation: Operation) -> StoreResult<T> {
    Err(error(ErrorKind::InvalidRequest, operation))
}

#[async_trait]
impl ObjectStore for FakeStore {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn head(&self, _: &Key) -> StoreResult<ObjectInfo> {
        unused(Operation::Head)
    }

    async fn head_if(&self, _: &Key, _: &Conditions) -> StoreResult<ObjectInfo> {
        unused(Operation::Head)
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<Content> {
        self.enter(Operation::Get).await?;
        let state = self.state.lock().unwrap();
        let (bytes, etag, _) =
            state.objects.get(key).ok_or(error(ErrorKind::NotFound, Operation::Get))?;
        if conditions.if_match.as_ref().is_some_and(|wanted| wanted != etag) {
            return Err(error(ErrorKind::PreconditionFailed, Operation::Get));
        }
        let range = range.expect("the pipeline always names a range");
        assert!(range.end() <= bytes.len() as u64);
        let wanted = &bytes[range.start() as usize..range.end() as usize];
        Ok(Content {
            version: ObjectVersion { etag: etag.clone(), size: bytes.len() as u64 },
            start: range.start(),
            chunks: wanted.chunks(1000).map(Bytes::copy_from_slice).collect(),
            checksum: None,
        })
    }

    async fn list(&self, _: &ListRequest) -> StoreResult<ListPage> {
        unused(Operation::List)
    }

    async fn put(
        &self,
        key: &Key,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<ObjectVersion> {
        self.enter(Operation::Put).await?;
        let bytes = self.receive(Operation::Put, &payload).await?;
        let mut state = self.state.lock().unwrap();
        if options.replaces.is_nothing() && state.objects.contains_key(key) {
            return Err(error(ErrorKind::AlreadyExists, Operation::Put));
        }
        Ok(state.set(key, bytes, options.clone()))
    }

    async fn delete(&self, _: &Key) -> StoreResult<()> {
        unused(Operation::Delete)
    }

    async fn delete_if(&self, _: &Key, _: &ETag) -> StoreResult<()> {
        unused(Operation::Delete)
    }

    async fn delete_many(&self, _: &[Key]) -> StoreResult<Vec<(Key, StoreError)>> {
        unused(Operation::DeleteMany)
    }

    async fn copy(
        &self,
        from: &Key,
        to: &Key,
        options: &CopyOptions,
    ) -> StoreResult<ObjectVersion> {
        self.enter(Operation::Copy).await?;
        let mut state = self.state.lock().unwrap();
        let etag = options.if_match.as_ref().map(|version| &version.etag);
        let bytes = state.source(from, etag, Operation::Copy)?.to_vec();
        Ok(state.set(to, bytes, options.replace.clone().unwrap_or_default()))
    }

    async fn rename(&self, _: &Key, _: &Key, _: &RenameOptions) -> StoreResult<()> {
        unused(Operation::Rename)
    }

    async fn append(
        &self,
        key: &Key,
        position: u64,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<Appended> {
        self.enter(Operation::Append).await?;
        let more = self.receive(Operation::Append, &payload).await?;
        let mut state = self.state.lock().unwrap();
        let (mut bytes, kept) = match state.objects.get(key) {
            Some((bytes, _, kept)) => (bytes.clone(), kept.clone()),
            None => (Vec::new(), options.clone()),
        };
        if state.objects.contains_key(key) && !state.appendable.contains(key) {
            return Err(error(ErrorKind::NotAppendable, Operation::Append));
        }
        if bytes.len() as u64 != position {
            return Err(error(ErrorKind::PreconditionFailed, Operation::Append));
        }
        bytes.extend_from_slice(&more);
        let checksum = self.limits.checksum.map(|kind| kind.of(&bytes));
        let version = state.set(key, bytes, kept);
        state.appendable.insert(key.clone());
        Ok(Appended { version, checksum })
    }

    async fn start_upload(&self, key: &Key, options: &PutOptions) -> StoreResult<Started> {
        self.enter(Operation::StartUpload).await?;
        let mut state = self.state.lock().unwrap();
        state.count += 1;
        let id = UploadId::new(format!("upload-{}", state.count));
        let (key, options) = (key.clone(), options.clone());
        let upload =
            FakeUpload { key: key.clone(), options, parts: BTreeMap::new(), copied: false };
        state.uploads.insert(id.clone(), upload);
        Ok(Started::at_once(Upload { key, id }))
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> StoreResult<PartReceipt> {
        self.enter(Operation::PutPart).await?;
        let bytes = self.receive(Operation::PutPart, &payload).await?;
        let mut state = self.state.lock().unwrap();
        state.count += 1;
        let etag = ETag::new(&format!("part-{}", state.count));
        let open = state
            .uploads
            .get_mut(&upload.id)
            .ok_or(error(ErrorKind::NoSuchUpload, Operation::PutPart))?;
        open.parts.insert(number, (bytes, etag.clone()));
        Ok(PartReceipt { number, etag, size: payload.len(), checksum: payload.checksum() })
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<PartReceipt> {
        self.enter(Operation::CopyPart).await?;
        let mut state = self.state.lock().unwrap();
        let source = state.source(from, conditions.if_match.as_ref(), Operation::CopyPart)?;
        let size = source.len() as u64;
        let small = size < self.limits.range_copy_min_source_bytes;
        if range.is_some_and(|range| range.end() > size || small) {
            return Err(error(ErrorKind::InvalidRange, Operation::CopyPart));
        }
        let range = range.or(ByteRange::new(0, size)).expect("an object that is not empty");
        let bytes = source[range.start() as usize..range.end() as usize].to_vec();
        state.count += 1;
        let etag = ETag::new(&format!("part-{}", state.count));
        let open = state
            .uploads
            .get_mut(&upload.id)
            .ok_or(error(ErrorKind::NoSuchUpload, Operation::CopyPart))?;
        open.copied = true;
        open.parts.insert(number, (bytes, etag.clone()));
        Ok(PartReceipt { number, etag, size: range.len(), checksum: None })
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> StoreResult<ObjectVersion> {
        self.enter(Operation::CompleteUpload).await?;
        let invalid = || error(ErrorKind::InvalidPart, Operation::CompleteUpload);
        let mut state = self.state.lock().unwrap();
        let open = state
            .uploads
            .get(&upload.id)
            .ok_or(error(ErrorKind::NoSuchUpload, Operation::CompleteUpload))?;
        let mut bytes = Vec::new();
        let mut previous = None;
        for (index, part) in parts.iter().enumerate() {
            let (data, etag) = open.parts.get(&part.number).ok_or_else(invalid)?;
            let small = (data.len() as u64) < self.limits.part_min_bytes && index + 1 < parts.len();
            if small || *etag != part.etag || previous >= Some(part.number) {
                return Err(invalid());
            }
            previous = Some(part.number);
            bytes.extend_from_slice(data);
        }
        let sum = Some(self.checksum_kind().of(&bytes));
        if parts.len() as u64 > u64::from(self.limits.parts_max)
            || expected.size != bytes.len() as u64
            || expected.checksum != sum && !(open.copied && expected.checksum.is_none())
        {
            return Err(error(ErrorKind::Corrupt, Operation::CompleteUpload));
        }
        let (key, options) = (open.key.clone(), open.options.clone());
        state.uploads.remove(&upload.id);
        Ok(state.set(&key, bytes, options))
    }

    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()> {
        self.enter(Operation::AbortUpload).await?;
        self.state.lock().unwrap().uploads.remove(&upload.id);
        Ok(())
    }

    async fn list_parts(
        &self,
        upload: &Upload,
        after: Option<PartNumber>,
    ) -> StoreResult<PartsPage> {
        self.enter(Operation::ListParts).await?;
        let state = self.state.lock().unwrap();
        let open = state
            .uploads
            .get(&upload.id)
            .ok_or(error(ErrorKind::NoSuchUpload, Operation::ListParts))?;
        let rest = open.parts.iter().filter(|(number, _)| Some(**number) > after);
        let parts: Vec<_> = rest
            .take(self.limits.list_page.into())
            .map(|(number, (bytes, etag))| PartReceipt {
                number: *number,
                etag: etag.clone(),
                size: bytes.len() as u64,
                checksum: None,
            })
            .collect();
        let last = open.parts.keys().next_back();
        Ok(PartsPage { more: parts.last().is_some_and(|part| Some(&part.number) != last), parts })
    }

    async fn list_uploads(&self, _: &UploadsRequest) -> StoreResult<UploadsPage> {
        unused(Operation::ListUploads)
    }
}
