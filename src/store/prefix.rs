//! A bucket below a prefix: what a mount of `cos://BUCKET/PREFIX` sees. Adds the prefix on the way
//! down and strips it on the way up; decides nothing else.
//!
//! Errors keep the whole key, as the service's console shows it. Cursors are the service's own
//! and pass unchanged.

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::{
    Appended, ByteRange, Conditions, Content, CopyOptions, ETag, ErrorKind, Expected, InvalidKey,
    Key, Limits, ListPage, ListRequest, ListedObject, ListedUpload, ObjectInfo, ObjectStore,
    ObjectVersion, Operation, PartNumber, PartReceipt, PartsPage, Payload, PutOptions,
    RenameOptions, Started, StoreError, StoreResult, Upload, UploadsPage, UploadsRequest,
};

/// Shows the objects of a store whose keys begin with a prefix, without the prefix.
#[derive(Debug)]
pub struct Prefixed {
    inner: Arc<dyn ObjectStore>,
    /// Ends in `/`, or is empty.
    prefix: String,
    limits: Limits,
}

impl Prefixed {
    /// Narrows `inner` to the keys below `prefix`, which gets a final `/` if it has none. An empty
    /// prefix narrows nothing. The longest key is shorter by the prefix.
    ///
    /// # Errors
    /// [`InvalidKey::TooLong`] when the prefix leaves no room for a key.
    pub fn new(inner: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self, InvalidKey> {
        let mut prefix = prefix.to_owned();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        let mut limits = inner.limits().clone();
        limits.key_bytes = limits
            .key_bytes
            .checked_sub(prefix.len())
            .filter(|left| *left > 0)
            .ok_or(InvalidKey::TooLong(prefix.len()))?;
        Ok(Self { inner, prefix, limits })
    }

    fn whole(&self, key: &Key, operation: Operation) -> StoreResult<Key> {
        Key::new(format!("{}{key}", self.prefix)).map_err(|error| {
            StoreError::new(ErrorKind::InvalidKey, operation, error.to_string())
                .with_key(key.as_str())
        })
    }

    fn whole_upload(&self, upload: &Upload, operation: Operation) -> StoreResult<Upload> {
        Ok(Upload { key: self.whole(&upload.key, operation)?, id: upload.id.clone() })
    }

    /// What is left of a key or prefix that the service gave.
    fn strip<'a>(&self, text: &'a str, operation: Operation) -> StoreResult<&'a str> {
        text.strip_prefix(&self.prefix).ok_or_else(|| {
            let text = format!("the service answered with {text:?}, not below the prefix");
            StoreError::new(ErrorKind::InvalidAnswer, operation, text)
        })
    }

    /// The key without the prefix; `None` for the marker of the prefix itself, which has no name here.
    fn strip_key(&self, key: &Key, operation: Operation) -> StoreResult<Option<Key>> {
        Ok(Key::new(self.strip(key.as_str(), operation)?).ok())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Prefixed {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn head(&self, key: &Key) -> StoreResult<ObjectInfo> {
        self.inner.head(&self.whole(key, Operation::Head)?).await
    }

    async fn head_if(&self, key: &Key, conditions: &Conditions) -> StoreResult<ObjectInfo> {
        self.inner.head_if(&self.whole(key, Operation::Head)?, conditions).await
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<Content> {
        self.inner.get(&self.whole(key, Operation::Get)?, range, conditions).await
    }

    async fn list(&self, request: &ListRequest) -> StoreResult<ListPage> {
        let prefix = format!("{}{}", self.prefix, request.prefix);
        let page = self.inner.list(&ListRequest { prefix, ..request.clone() }).await?;
        let mut objects = Vec::with_capacity(page.objects.len());
        for object in page.objects {
            if let Some(key) = self.strip_key(&object.key, Operation::List)? {
                objects.push(ListedObject { key, ..object });
            }
        }
        let prefixes = page.prefixes.iter();
        let prefixes = prefixes.map(|prefix| Ok(self.strip(prefix, Operation::List)?.to_owned()));
        Ok(ListPage { objects, prefixes: prefixes.collect::<StoreResult<_>>()?, next: page.next })
    }

    async fn put(
        &self,
        key: &Key,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<ObjectVersion> {
        self.inner.put(&self.whole(key, Operation::Put)?, payload, options).await
    }

    async fn delete(&self, key: &Key) -> StoreResult<()> {
        self.inner.delete(&self.whole(key, Operation::Delete)?).await
    }

    async fn delete_if(&self, key: &Key, etag: &ETag) -> StoreResult<()> {
        self.inner.delete_if(&self.whole(key, Operation::Delete)?, etag).await
    }

    async fn delete_many(&self, keys: &[Key]) -> StoreResult<Vec<(Key, StoreError)>> {
        let operation = Operation::DeleteMany;
        let whole = keys.iter().map(|key| self.whole(key, operation));
        let failed = self.inner.delete_many(&whole.collect::<StoreResult<Vec<_>>>()?).await?;
        let mut stripped = Vec::with_capacity(failed.len());
        for (key, error) in failed {
            if let Some(key) = self.strip_key(&key, operation)? {
                stripped.push((key, error));
            }
        }
        Ok(stripped)
    }

    async fn copy(
        &self,
        from: &Key,
        to: &Key,
        options: &CopyOptions,
    ) -> StoreResult<ObjectVersion> {
        let from = self.whole(from, Operation::Copy)?;
        self.inner.copy(&from, &self.whole(to, Operation::Copy)?, options).await
    }

    async fn rename(&self, from: &Key, to: &Key, options: &RenameOptions) -> StoreResult<()> {
        let from = self.whole(from, Operation::Rename)?;
        self.inner.rename(&from, &self.whole(to, Operation::Rename)?, options).await
    }

    async fn append(
        &self,
        key: &Key,
        position: u64,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<Appended> {
        self.inner.append(&self.whole(key, Operation::Append)?, position, payload, options).await
    }

    async fn start_upload(&self, key: &Key, options: &PutOptions) -> StoreResult<Started> {
        let whole = self.whole(key, Operation::StartUpload)?;
        let started = self.inner.start_upload(&whole, options).await?;
        let upload = Upload { key: key.clone(), id: started.upload.id };
        Ok(Started { upload, ..started })
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> StoreResult<PartReceipt> {
        let upload = self.whole_upload(upload, Operation::PutPart)?;
        self.inner.put_part(&upload, number, payload).await
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<PartReceipt> {
        let upload = self.whole_upload(upload, Operation::CopyPart)?;
        let from = self.whole(from, Operation::CopyPart)?;
        self.inner.copy_part(&upload, number, &from, range, conditions).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> StoreResult<ObjectVersion> {
        let upload = self.whole_upload(upload, Operation::CompleteUpload)?;
        self.inner.complete_upload(&upload, parts, expected).await
    }

    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()> {
        let upload = self.whole_upload(upload, Operation::AbortUpload)?;
        self.inner.abort_upload(&upload).await
    }

    async fn list_parts(
        &self,
        upload: &Upload,
        after: Option<PartNumber>,
    ) -> StoreResult<PartsPage> {
        let upload = self.whole_upload(upload, Operation::ListParts)?;
        self.inner.list_parts(&upload, after).await
    }

    async fn list_uploads(&self, request: &UploadsRequest) -> StoreResult<UploadsPage> {
        let operation = Operation::ListUploads;
        let prefix = format!("{}{}", self.prefix, request.prefix);
        let page = self.inner.list_uploads(&UploadsRequest { prefix, ..request.clone() }).await?;
        let prefixes = page.prefixes.iter();
        let prefixes = prefixes.map(|prefix| Ok(self.strip(prefix, operation)?.to_owned()));
        let prefixes = prefixes.collect::<StoreResult<_>>()?;
        let mut uploads = Vec::with_capacity(page.uploads.len());
        for ListedUpload { upload, initiated } in page.uploads {
            if let Some(key) = self.strip_key(&upload.key, operation)? {
                uploads.push(ListedUpload { upload: Upload { key, id: upload.id }, initiated });
            }
        }
        Ok(UploadsPage { uploads, prefixes, next: page.next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::store::Replaces;
    use crate::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore, SMALL_LIMITS};

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn stores() -> (Arc<dyn ObjectStore>, Prefixed) {
        let options = BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock));
        let whole: Arc<dyn ObjectStore> =
            Arc::new(MemoryStore::new(MemoryBucket::new(options), SMALL_LIMITS));
        let below = Prefixed::new(Arc::clone(&whole), "a/b").unwrap();
        (whole, below)
    }

    async fn put(store: &dyn ObjectStore, name: &str) {
        store.put(&key(name), Payload::default(), &PutOptions::default()).await.unwrap();
    }

    #[tokio::test]
    async fn only_what_is_below_the_prefix_is_there() {
        let (whole, below) = stores();
        for name in ["a/b", "a/b/", "a/b/x", "a/b/d/y", "a/bc", "x"] {
            put(whole.as_ref(), name).await;
        }
        put(&below, "z").await;
        assert!(whole.head(&key("a/b/z")).await.is_ok());
        let page = below.list(&ListRequest::default()).await.unwrap();
        let keys: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(keys, ["d/y", "x", "z"], "the marker of the prefix has no name here");
        let by_directory = ListRequest { by_directory: true, ..ListRequest::default() };
        assert_eq!(below.list(&by_directory).await.unwrap().prefixes, ["d/"]);
        below.copy(&key("x"), &key("d/x"), &CopyOptions::default()).await.unwrap();
        assert!(whole.head(&key("a/b/d/x")).await.is_ok());
        below.delete(&key("x")).await.unwrap();
        assert!(whole.head(&key("a/b/x")).await.is_err());
        assert!(whole.head(&key("x")).await.is_ok());
        assert!(below.delete_many(&[key("z"), key("d/x")]).await.unwrap().is_empty());
        assert!(whole.head(&key("a/b/z")).await.is_err());
    }

    #[tokio::test]
    async fn pages_go_on_where_they_ended() {
        let (whole, below) = stores();
        for n in 0..25 {
            put(whole.as_ref(), &format!("a/b/{n:02}")).await;
        }
        let mut request = ListRequest { max_entries: 4, ..ListRequest::default() };
        let mut count = 0;
        loop {
            let page = below.list(&request).await.unwrap();
            count += page.objects.len();
            match page.next {
                Some(next) => request.after = Some(next),
                None => break,
            }
        }
        assert_eq!(count, 25);
    }

    #[tokio::test]
    async fn uploads_have_the_visible_key() {
        let (whole, below) = stores();
        let upload = below.start_upload(&key("k"), &PutOptions::default()).await.unwrap().upload;
        whole.start_upload(&key("k"), &PutOptions::default()).await.unwrap();
        assert_eq!(upload.key, key("k"));
        let listed = below.list_uploads(&UploadsRequest::default()).await.unwrap().uploads;
        assert_eq!(listed.iter().map(|listed| &listed.upload).collect::<Vec<_>>(), [&upload]);
        let payload = Payload::from(b"hello".to_vec());
        let part = below.put_part(&upload, PartNumber::FIRST, payload).await.unwrap();
        assert_eq!(below.list_parts(&upload, None).await.unwrap().parts.len(), 1);
        let expected = Expected { size: 5, checksum: None, replaces: Replaces::Anything };
        below.complete_upload(&upload, &[part], &expected).await.unwrap();
        assert_eq!(whole.head(&key("a/b/k")).await.unwrap().version.size, 5);
    }

    #[test]
    fn keys_are_shorter_by_the_prefix() {
        let (whole, below) = stores();
        assert_eq!(below.limits().key_bytes, SMALL_LIMITS.key_bytes - 4);
        assert!(Prefixed::new(Arc::clone(&whole), &"x".repeat(849)).is_err());
        assert_eq!(Prefixed::new(whole, "").unwrap().limits(), &SMALL_LIMITS);
    }
}
