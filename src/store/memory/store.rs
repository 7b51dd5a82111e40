//! [`ObjectStore`] directly on the bucket model, without HTTP: for tests of everything above.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    BucketError, BucketResult, CompleteRules, Entry, ListQuery, MemoryBucket, Object, OpenUpload,
    Part, Properties, UploadsQuery, read_all,
};
use crate::store::{
    AppendLimits, Appended, ByteRange, Checksum, ChecksumKind, Conditions, Content, CopyOptions,
    ETag, ErrorKind, Expected, Key, Limits, ListPage, ListRequest, ListedObject, ListedUpload,
    ObjectInfo, ObjectStore, ObjectVersion, Operation, PartNumber, PartReceipt, PartsPage, Payload,
    PutOptions, RenameOptions, Replaces, Started, StoreError, StoreResult, Upload, UploadCursor,
    UploadsPage, UploadsRequest,
};

const GIB: u64 = 1 << 30;

/// Limits like those of COS, but with parts from 16 bytes and pages of 10, so that tests need few
/// bytes and few objects.
pub const SMALL_LIMITS: Limits = Limits {
    part_min_bytes: 16,
    part_max_bytes: 5 * GIB,
    parts_max: 10_000,
    first_part_number: 1,
    put_bytes: 5 * GIB,
    object_bytes: 50_000 * GIB,
    copy_bytes: 5 * GIB,
    range_copy_min_source_bytes: 1,
    key_bytes: 850,
    metadata_bytes: 2048,
    delete_batch: 1000,
    list_page: 10,
    checksum: Some(ChecksumKind::Crc64Xz),
    create_only: true,
    compare_and_swap: true,
    mixed_part_conditions: true,
    archive_classes: &[],
    rename: false,
    append: Some(AppendLimits { call_bytes: 5 * GIB, object_bytes: 5 * GIB, copied: true }),
};

/// A store on a bucket. Enforces the limits it is given.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    bucket: Arc<MemoryBucket>,
    limits: Limits,
}

impl MemoryStore {
    /// Shows `bucket` as a service with these limits.
    pub fn new(bucket: Arc<MemoryBucket>, limits: Limits) -> Self {
        Self { bucket, limits }
    }

    /// A checksum, where the service tells such.
    fn told(&self, checksum: Checksum) -> Option<Checksum> {
        Some(checksum).filter(|checksum| self.limits.checksum == Some(checksum.kind))
    }

    fn receipt(&self, part: &Part) -> PartReceipt {
        PartReceipt { checksum: self.told(part.checksum), ..part.receipt() }
    }

    /// The bucket behind it.
    pub fn bucket(&self) -> &Arc<MemoryBucket> {
        &self.bucket
    }

    /// Counts a request and checks its key.
    fn receive(&self, operation: Operation, key: &Key) -> StoreResult<At<'_>> {
        self.bucket.count_request(operation);
        let at = At { store: self, operation, key: key.as_str().into() };
        let longest = self.limits.key_bytes;
        if key.as_str().len() > longest {
            let text = format!("the key is longer than {longest} bytes");
            return Err(at.error(ErrorKind::InvalidKey, text));
        }
        Ok(at)
    }

    /// The object at a key, if the conditions hold.
    fn read(&self, at: &At<'_>, key: &Key, conditions: &Conditions) -> StoreResult<Arc<Object>> {
        if !conditions.can_be_said() {
            return Err(at.error(ErrorKind::InvalidRequest, "a date that HTTP cannot say"));
        }
        let object = at.check(self.bucket.head(key))?;
        match conditions.check(&object.etag, object.last_modified) {
            Ok(()) => Ok(object),
            Err(unmet) => Err(at.error(unmet.of_read(), "a condition does not hold")),
        }
    }

    /// The source of a copy, if the conditions hold.
    fn source(&self, at: &At<'_>, from: &Key, conditions: &Conditions) -> StoreResult<Arc<Object>> {
        self.read(at, from, conditions).map_err(|error| match error.kind {
            ErrorKind::NotModified => StoreError { kind: ErrorKind::PreconditionFailed, ..error },
            _ => error,
        })
    }

    /// The [`source`](Self::source) of a copy.
    fn copied(&self, at: &At<'_>, from: &Key, conditions: &Conditions) -> StoreResult<Arc<Object>> {
        let source = self.source(at, from, conditions)?;
        if self.limits.can_copy(source.properties.appendable) {
            return Ok(source);
        }
        Err(at.error(ErrorKind::InvalidRequest, "appendable objects cannot be copied"))
    }
}

/// One request, for its errors.
struct At<'a> {
    store: &'a MemoryStore,
    operation: Operation,
    key: Box<str>,
}

impl At<'_> {
    fn error(&self, kind: ErrorKind, text: impl Into<Box<str>>) -> StoreError {
        StoreError::new(kind, self.operation, text).with_key(&self.key)
    }

    fn check<T>(&self, result: BucketResult<T>) -> StoreResult<T> {
        result.map_err(|error| self.error(kind_of(&error), error.to_string()))
    }

    fn at_most(&self, bytes: u64, limit: u64) -> StoreResult<()> {
        if bytes > limit {
            let text = format!("{bytes} bytes are more than {limit}");
            return Err(self.error(ErrorKind::TooLarge, text));
        }
        Ok(())
    }

    fn properties(&self, options: &PutOptions) -> StoreResult<Properties> {
        let limit = self.store.limits.metadata_bytes;
        if options.metadata.bytes() > limit {
            let text = format!("the metadata is larger than {limit} bytes");
            return Err(self.error(ErrorKind::InvalidRequest, text));
        }
        Ok(options.into())
    }

    /// The conditions that the service has.
    fn replaces(&self, asked: &Replaces) -> Replaces {
        let limits = &self.store.limits;
        match asked {
            Replaces::Nothing if limits.create_only => Replaces::Nothing,
            Replaces::Version(etag) if limits.compare_and_swap => Replaces::Version(etag.clone()),
            _ => Replaces::Anything,
        }
    }

    /// Copies the bytes, as sending them would: a writer's chunks hold its memory budget and must be
    /// free again when the call returns, however long the object lives.
    async fn body(&self, payload: &Payload) -> StoreResult<super::Body> {
        let taken_in = async {
            let mut incoming = self.store.bucket.incoming(false).await?;
            let mut pieces = payload.pieces();
            while let Some(piece) = pieces.next().await? {
                incoming.push(Bytes::copy_from_slice(&piece)).await?;
            }
            Ok(incoming.finish().await?)
        };
        let body = self.check(taken_in.await)?;
        self.same(payload.checksum(), body.checksum)?;
        Ok(body)
    }

    fn same(&self, stated: Option<Checksum>, found: Checksum) -> StoreResult<()> {
        match stated {
            Some(stated) if stated.kind == found.kind && stated != found => {
                let text = format!("stated {stated:?}, found {found:?}");
                Err(self.error(ErrorKind::Corrupt, text))
            }
            _ => Ok(()),
        }
    }
}

fn kind_of(error: &BucketError) -> ErrorKind {
    match error {
        BucketError::NoSuchKey => ErrorKind::NotFound,
        BucketError::NoSuchUpload => ErrorKind::NoSuchUpload,
        BucketError::AlreadyExists => ErrorKind::AlreadyExists,
        BucketError::Changed => ErrorKind::PreconditionFailed,
        BucketError::InvalidPart
        | BucketError::InvalidPartOrder
        | BucketError::PartTooSmall { .. } => ErrorKind::InvalidPart,
        BucketError::WrongPosition { .. } => ErrorKind::PreconditionFailed,
        BucketError::NotAppendable => ErrorKind::NotAppendable,
        BucketError::Storage(_) => ErrorKind::Unavailable,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for MemoryStore {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn head(&self, key: &Key) -> StoreResult<ObjectInfo> {
        self.head_if(key, &Conditions::NONE).await
    }

    async fn head_if(&self, key: &Key, conditions: &Conditions) -> StoreResult<ObjectInfo> {
        let at = self.receive(Operation::Head, key)?;
        let object = self.read(&at, key, conditions)?;
        Ok(ObjectInfo { checksum: self.told(object.checksum), ..object.info() })
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<Content> {
        let at = self.receive(Operation::Get, key)?;
        let object = self.read(&at, key, conditions)?;
        let (start, end) = match range {
            None => (0, object.size()),
            Some(range) if range.start() < object.size() => (range.start(), range.end()),
            Some(_) => {
                let text = "the range begins at or past the end";
                return Err(at.error(ErrorKind::InvalidRange, text));
            }
        };
        let chunks = read_all(object.blob.slice(start, end)).await.map_err(BucketError::from);
        Ok(Content {
            version: object.version(),
            start,
            chunks: at.check(chunks)?,
            checksum: self.told(object.checksum),
        })
    }

    async fn list(&self, request: &ListRequest) -> StoreResult<ListPage> {
        self.bucket.count_request(Operation::List);
        let most = self.limits.list_page;
        let max = if request.max_entries == 0 { most } else { request.max_entries.min(most) };
        let found = self.bucket.list(ListQuery {
            prefix: &request.prefix,
            delimiter: request.by_directory.then_some("/"),
            marker: request.after.as_deref().unwrap_or_default(),
            max: usize::from(max),
        });
        let mut page = ListPage { next: found.next, ..ListPage::default() };
        for entry in found.entries {
            match entry {
                Entry::Prefix(prefix) => page.prefixes.push(prefix),
                Entry::Item(object) => page.objects.push(ListedObject {
                    key: object.key.clone(),
                    etag: object.etag.clone(),
                    size: object.size(),
                    last_modified: object.last_modified,
                    storage_class: object.properties.storage_class.clone(),
                }),
            }
        }
        Ok(page)
    }

    async fn put(
        &self,
        key: &Key,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<ObjectVersion> {
        let at = self.receive(Operation::Put, key)?;
        at.at_most(payload.len(), self.limits.put_bytes)?;
        let properties = at.properties(options)?;
        let body = at.body(&payload).await?;
        let put = self.bucket.put(key, body, properties, at.replaces(&options.replaces));
        Ok(at.check(put.await)?.version())
    }

    async fn delete(&self, key: &Key) -> StoreResult<()> {
        let at = self.receive(Operation::Delete, key)?;
        at.check(self.bucket.delete(key).await).map(drop)
    }

    async fn delete_if(&self, key: &Key, etag: &ETag) -> StoreResult<()> {
        let at = self.receive(Operation::Delete, key)?;
        let version = at.replaces(&Replaces::Version(etag.clone()));
        match self.bucket.delete_if(key, &version).await {
            Err(BucketError::NoSuchKey) => Ok(()),
            done => at.check(done).map(drop),
        }
    }

    async fn delete_many(&self, keys: &[Key]) -> StoreResult<Vec<(Key, StoreError)>> {
        let operation = Operation::DeleteMany;
        self.bucket.count_request(operation);
        if keys.len() > self.limits.delete_batch {
            let text = format!("{} keys are too many for one request", keys.len());
            return Err(StoreError::new(ErrorKind::InvalidRequest, operation, text));
        }
        let mut failed = Vec::new();
        for key in keys {
            if let Err(error) = self.bucket.delete(key).await {
                let error = StoreError::new(kind_of(&error), operation, error.to_string());
                failed.push((key.clone(), error.with_key(key.as_str())));
            }
        }
        Ok(failed)
    }

    async fn copy(
        &self,
        from: &Key,
        to: &Key,
        options: &CopyOptions,
    ) -> StoreResult<ObjectVersion> {
        let at = self.receive(Operation::Copy, to)?;
        let source = self.copied(&at, from, &options.conditions())?;
        at.at_most(source.size(), self.limits.copy_bytes)?;
        if from == to && options.replace.is_none() {
            let text = "an object cannot be copied onto itself unchanged";
            return Err(at.error(ErrorKind::InvalidRequest, text));
        }
        let replace = options.replace.as_ref();
        let replaces = replace.map(|replace| at.replaces(&replace.replaces)).unwrap_or_default();
        // As services do: the class of the source is not carried over.
        let kept = || Properties {
            storage_class: options.storage_class.clone(),
            ..source.properties.clone()
        };
        let replace = replace.map(|replace| at.properties(replace)).transpose()?;
        let properties = Some(replace.unwrap_or_else(kept));
        let copied = self.bucket.copy(&source, to, properties, replaces);
        Ok(at.check(copied.await)?.version())
    }

    async fn rename(&self, from: &Key, to: &Key, options: &RenameOptions) -> StoreResult<()> {
        let at = self.receive(Operation::Rename, to)?;
        if !self.limits.rename {
            return Err(at.error(ErrorKind::InvalidRequest, "objects cannot be renamed here"));
        }
        let source = self.source(&at, from, &options.conditions())?;
        at.check(self.bucket.rename(&source, to).await)
    }

    async fn append(
        &self,
        key: &Key,
        position: u64,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<Appended> {
        let at = self.receive(Operation::Append, key)?;
        let Some(limits) = self.limits.append else {
            return Err(at.error(ErrorKind::InvalidRequest, "nothing can be appended here"));
        };
        at.at_most(payload.len(), limits.call_bytes)?;
        at.at_most(position.saturating_add(payload.len()), limits.object_bytes)?;
        let properties = at.properties(options)?;
        let body = at.body(&payload).await?;
        let object = at.check(self.bucket.append(key, position, body, properties).await)?;
        Ok(Appended { version: object.version(), checksum: self.told(object.checksum) })
    }

    async fn start_upload(&self, key: &Key, options: &PutOptions) -> StoreResult<Started> {
        let at = self.receive(Operation::StartUpload, key)?;
        let properties = at.properties(options)?;
        let create_only = at.replaces(&options.replaces).is_nothing();
        at.check(self.bucket.start_upload(key, properties, create_only)).map(Started::at_once)
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> StoreResult<PartReceipt> {
        let at = self.receive(Operation::PutPart, &upload.key)?;
        at.at_most(payload.len(), self.limits.part_max_bytes)?;
        let body = at.body(&payload).await?;
        Ok(self.receipt(&at.check(self.bucket.put_part(upload, number, body))?))
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<PartReceipt> {
        let at = self.receive(Operation::CopyPart, &upload.key)?;
        if range.is_some() && conditions.are_mixed() && !self.limits.mixed_part_conditions {
            let text = "conditions that cannot be mixed here";
            return Err(at.error(ErrorKind::InvalidRequest, text));
        }
        let source = self.copied(&at, from, conditions)?;
        if range.is_some_and(|range| range.end() > source.size()) {
            let text = "the range reaches past the end of the source";
            return Err(at.error(ErrorKind::InvalidRange, text));
        }
        if range.is_some() && source.size() < self.limits.range_copy_min_source_bytes {
            let text = "no ranges are copied of a source so small";
            return Err(at.error(ErrorKind::InvalidRequest, text));
        }
        let bytes = range.map_or(source.size(), ByteRange::len);
        at.at_most(bytes, self.limits.part_max_bytes)?;
        Ok(self.receipt(&at.check(self.bucket.copy_part(upload, number, &source, range).await)?))
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> StoreResult<ObjectVersion> {
        let at = self.receive(Operation::CompleteUpload, &upload.key)?;
        let listed = parts.iter().map(|part| (part.number, Some(part.etag.clone()))).collect();
        let rules = CompleteRules {
            part_min_bytes: self.limits.part_min_bytes,
            gaps_allowed: false,
            replaces: at.replaces(&expected.replaces),
            headers: BTreeMap::new(),
            etag: None,
            misassembly: None,
        };
        let object = at.check(self.bucket.complete_upload(upload, listed, rules).await)?;
        if object.size() != expected.size {
            let text = format!("expected {} bytes, found {}", expected.size, object.size());
            return Err(at.error(ErrorKind::Corrupt, text));
        }
        at.same(expected.checksum, object.checksum)?;
        Ok(object.version())
    }

    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()> {
        let at = self.receive(Operation::AbortUpload, &upload.key)?;
        match self.bucket.abort_upload(upload).await {
            Err(BucketError::NoSuchUpload) => Ok(()),
            other => at.check(other),
        }
    }

    async fn list_parts(
        &self,
        upload: &Upload,
        after: Option<PartNumber>,
    ) -> StoreResult<PartsPage> {
        let at = self.receive(Operation::ListParts, &upload.key)?;
        let after = after.map_or(0, |after| u64::from(after.get()));
        let page = usize::from(self.limits.list_page);
        let (parts, more) = at.check(self.bucket.list_parts(upload, after, page))?;
        Ok(PartsPage { parts: parts.iter().map(|part| self.receipt(part)).collect(), more })
    }

    async fn list_uploads(&self, request: &UploadsRequest) -> StoreResult<UploadsPage> {
        self.bucket.count_request(Operation::ListUploads);
        let after = request.after.as_ref();
        let (entries, more) = self.bucket.list_uploads(UploadsQuery {
            prefix: &request.prefix,
            delimiter: request.by_directory.then_some("/"),
            key_marker: after.map_or("", |after| &after.key),
            upload_id_marker: after.map_or("", |after| &after.upload_id),
            max: usize::from(self.limits.list_page),
        });
        let next = entries.last().filter(|_| more).map(|last| match last {
            Entry::Item(open) => UploadCursor {
                key: open.upload.key.as_str().to_owned(),
                upload_id: open.upload.id.as_str().to_owned(),
            },
            Entry::Prefix(prefix) => {
                UploadCursor { key: prefix.clone(), ..UploadCursor::default() }
            }
        });
        let mut page = UploadsPage { next, ..UploadsPage::default() };
        for entry in entries {
            match entry {
                Entry::Prefix(prefix) => page.prefixes.push(prefix),
                Entry::Item(OpenUpload { upload, initiated, .. }) => {
                    page.uploads.push(ListedUpload { upload, initiated });
                }
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::store::memory::{BucketOptions, EtagMode};

    /// Bytes that exist as long as somebody holds its other `Arc`.
    struct Watched(Vec<u8>, #[expect(dead_code, reason = "only held")] Arc<()>);

    impl AsRef<[u8]> for Watched {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    #[tokio::test]
    async fn the_chunks_of_a_payload_are_free_when_the_call_returns() {
        let key = Key::new("k").unwrap();
        let number = PartNumber::new(1).unwrap();
        for etags in [EtagMode::Md5, EtagMode::Opaque] {
            let bucket = MemoryBucket::new(BucketOptions::new(etags, Arc::new(SystemClock)));
            let store = MemoryStore::new(bucket, SMALL_LIMITS);
            let holders = Arc::new(());
            let payload = || {
                let chunk = || Bytes::from_owner(Watched(vec![7; 40], Arc::clone(&holders)));
                Payload::new(vec![chunk(), chunk()])
            };
            store.put(&key, payload(), &PutOptions::default()).await.unwrap();
            assert_eq!(Arc::strong_count(&holders), 1, "after put, {etags:?}");
            let upload = store.start_upload(&key, &PutOptions::default()).await.unwrap().upload;
            store.put_part(&upload, number, payload()).await.unwrap();
            assert_eq!(Arc::strong_count(&holders), 1, "after put_part, {etags:?}");
            assert_eq!(
                store.get(&key, None, &Conditions::NONE).await.unwrap().chunks.concat(),
                [7; 80]
            );
        }
    }
}
