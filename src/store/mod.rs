//! An object store as partfs sees it: the trait every backend implements and the values that pass
//! through it. Knows no provider, no HTTP and no file system.
//!
//! Backends: [`memory`] (the bucket model, used directly in tests and behind the mock server)
//! and `dialect::client` (the real services over HTTP). [`prefix`] narrows a bucket to the keys below a
//! prefix, [`fault`] makes calls go wrong on purpose.

mod checksum;
mod conditions;
mod copy;
mod error;
pub mod fault;
mod key;
mod limits;
pub mod memory;
mod metadata;
mod name_pattern;
mod part;
mod payload;
pub mod prefix;
mod range;
mod replaces;
mod standard_headers;
mod version;
mod whole;

use std::fmt::Debug;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

pub use checksum::{Checksum, ChecksumKind, RunningChecksum};
pub use conditions::{Conditions, Unmet};
pub use copy::copy_object;
pub use error::{ErrorKind, Operation, StoreError};
pub use key::{InvalidKey, Key};
pub use limits::{AppendLimits, Limits};
pub use metadata::Metadata;
pub use name_pattern::{InvalidNamePattern, NamePattern};
pub use part::{InvalidPartNumber, PartNumber, PartReceipt, Started, Upload, UploadId};
pub use payload::{Payload, PayloadData, PayloadSource, Pieces};
pub use range::ByteRange;
pub use replaces::Replaces;
pub use standard_headers::StandardHeaders;
pub use version::{ETag, ObjectInfo, ObjectVersion};
pub use whole::{all_parts, all_uploads, moves_on};

/// The result of every store operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// One bucket of an object store. Handles are shared behind `Arc`.
///
/// Every method may wait on the network and ends by itself: each implementation bounds attempts and
/// time and then reports [`ErrorKind::Timeout`] or [`ErrorKind::Unavailable`]. Retrying is the
/// implementation's business; callers do not repeat calls except where they know more.
///
/// Unless a method says otherwise, an absent key is [`ErrorKind::NotFound`] and the call is safe
/// to repeat.
#[async_trait]
pub trait ObjectStore: Send + Sync + Debug + 'static {
    /// What this service allows: sizes, counts, abilities. Constant for the life of the store.
    fn limits(&self) -> &Limits;

    /// Size, version, times and metadata of one object.
    async fn head(&self, key: &Key) -> StoreResult<ObjectInfo>;

    /// [`head`](Self::head), if the conditions hold. Otherwise [`ErrorKind::NotModified`] where
    /// `if_none_match` or `if_modified_since` says so, else [`ErrorKind::PreconditionFailed`].
    async fn head_if(&self, key: &Key, conditions: &Conditions) -> StoreResult<ObjectInfo>;

    /// The bytes `range` of an object (the whole object when `None`), in the chunks in which they
    /// arrived. The answer holds exactly the bytes asked for: an answer that is shorter, longer or
    /// for other offsets is an error ([`ErrorKind::InvalidAnswer`]) after retries, never data.
    ///
    /// The range must lie inside the object: one that starts at or past its end is
    /// [`ErrorKind::InvalidRange`]; one that reaches past the end is cut at the end.
    /// Conditions that do not hold are told as by [`head_if`](Self::head_if).
    async fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<Content>;

    /// One page of a listing. Loop while `next` is set, never on the number of entries: a page may
    /// be empty and still not be the last.
    async fn list(&self, request: &ListRequest) -> StoreResult<ListPage>;

    /// Creates or replaces an object in one request. Atomic: readers see the old or the new object.
    /// Safe to repeat unless `options.replaces` is a condition; then a lost answer is resolved by
    /// looking at the object. What a condition that does not hold is told as: [`Replaces`].
    async fn put(
        &self,
        key: &Key,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<ObjectVersion>;

    /// Removes an object. An absent key is success.
    async fn delete(&self, key: &Key) -> StoreResult<()>;

    /// Removes an object if it has this ETag; another one is [`ErrorKind::PreconditionFailed`]. An absent key
    /// is success. Where [`Limits::compare_and_swap`] is false it is [`delete`](Self::delete).
    async fn delete_if(&self, key: &Key, etag: &ETag) -> StoreResult<()>;

    /// Removes up to [`Limits::delete_batch`] objects in one request and returns the keys that could
    /// not be removed with the reason. Not atomic: some may be gone and others not.
    async fn delete_many(&self, keys: &[Key]) -> StoreResult<Vec<(Key, StoreError)>>;

    /// Copies one object on the server, at most [`Limits::copy_bytes`] long. Atomic on the target. A
    /// condition on the source that does not hold is [`ErrorKind::PreconditionFailed`], whichever it is.
    /// With a condition in `options.replace`, a copy whose answer was lost may be refused by itself: then it
    /// is there, and the error is that of the condition.
    async fn copy(&self, from: &Key, to: &Key, options: &CopyOptions)
    -> StoreResult<ObjectVersion>;

    /// Gives an object another key, on the server, with everything that belongs to it. Atomic: no
    /// reader sees both keys or neither. Only where [`Limits::rename`] is true; else
    /// [`ErrorKind::InvalidRequest`]. An object at `to` is replaced. A lost answer is resolved by
    /// looking at both keys. A condition on the source that does not hold is
    /// [`ErrorKind::PreconditionFailed`], whichever it is.
    ///
    /// Success is proved: what is at `to` was `options.source`, or the call is
    /// [`ErrorKind::InvalidAnswer`].
    async fn rename(&self, from: &Key, to: &Key, options: &RenameOptions) -> StoreResult<()>;

    /// Adds bytes at the end of an appendable object, which has `position` bytes; at position 0 an
    /// absent object is created, and only then `options` count. Atomic. A lost answer is resolved by
    /// looking at the size. Only where [`Limits::append`] is set; else [`ErrorKind::InvalidRequest`].
    ///
    /// An object of another size is [`ErrorKind::PreconditionFailed`]; one that was made by PUT or
    /// Complete is [`ErrorKind::NotAppendable`].
    async fn append(
        &self,
        key: &Key,
        position: u64,
        payload: Payload,
        options: &PutOptions,
    ) -> StoreResult<Appended>;

    /// Opens a multipart upload (Initiate). Not idempotent: each call makes a new upload, and one
    /// whose answer was lost is found only by [`list_uploads`](Self::list_uploads). After a failure that
    /// leaves open what the service did there may be one, too.
    async fn start_upload(&self, key: &Key, options: &PutOptions) -> StoreResult<Started>;

    /// Sends one part. Safe to repeat: the last upload of a number wins. An aborted or completed
    /// upload is [`ErrorKind::NoSuchUpload`].
    async fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> StoreResult<PartReceipt>;

    /// Makes one part from a range of an existing object, on the server. Safe to repeat. A condition on
    /// the source that does not hold is [`ErrorKind::PreconditionFailed`], whichever it is; a mixture of
    /// them that the service does not take ([`Limits::mixed_part_conditions`]) is
    /// [`ErrorKind::InvalidRequest`], unless there is no range: then they are asked of the source
    /// beforehand, and the version is copied for which they held.
    async fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> StoreResult<PartReceipt>;

    /// Completes an upload: the object appears at its key, whole. Atomic. A lost answer is resolved
    /// by looking: success is reported only when the object at the key has the size and checksum
    /// of `expected`. `parts` must ascend by number. What a condition of `expected.replaces` that
    /// does not hold is told as: [`Replaces`].
    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> StoreResult<ObjectVersion>;

    /// Gives an upload up and frees its parts. An upload that is already gone is success.
    async fn abort_upload(&self, upload: &Upload) -> StoreResult<()>;

    /// One page of the parts that an upload holds, ascending, after part `after`.
    async fn list_parts(
        &self,
        upload: &Upload,
        after: Option<PartNumber>,
    ) -> StoreResult<PartsPage>;

    /// One page of the uploads in progress, ordered by key. Loop while `next` is set.
    async fn list_uploads(&self, request: &UploadsRequest) -> StoreResult<UploadsPage>;
}

/// What a [`ObjectStore::get`] brought: the chunks in order and which version they belong to.
#[derive(Debug, Clone)]
pub struct Content {
    /// The version the bytes are from.
    pub version: ObjectVersion,
    /// Offset of the first byte in the object.
    pub start: u64,
    /// The bytes, as they arrived. Never empty chunks.
    pub chunks: Vec<Bytes>,
    /// CRC-64 of the whole object where the service gives one.
    pub checksum: Option<Checksum>,
}

impl Content {
    /// Sum of the chunk lengths, in bytes.
    pub fn len(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// Whether there are no bytes (an empty object).
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

/// What a listing asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Only keys that begin with this; may be empty.
    pub prefix: String,
    /// Whether keys are rolled up at the next `/` after the prefix.
    pub by_directory: bool,
    /// Where to go on: the `next` of the page before.
    pub after: Option<String>,
    /// At most so many entries (objects and prefixes together); 0 means the service's own maximum.
    pub max_entries: u16,
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// Objects in the order of the service.
    pub objects: Vec<ListedObject>,
    /// Rolled-up prefixes, each with its trailing `/`.
    pub prefixes: Vec<String>,
    /// Cursor of the next page, or `None` on the last.
    pub next: Option<String>,
}

/// One object of a listing. Listings carry no metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// The key exactly as the bucket holds it.
    pub key: Key,
    /// Its ETag.
    pub etag: ETag,
    /// Size in bytes.
    pub size: u64,
    /// When the service last changed it.
    pub last_modified: SystemTime,
    /// Storage class where the listing tells and it is not the standard one.
    pub storage_class: Option<String>,
}

/// What is stored with the bytes of a new object. What is not said here is as the connection was
/// configured, and else as the service likes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Content-Type, Cache-Control and the like.
    pub headers: StandardHeaders,
    /// Storage class in the service's words.
    pub storage_class: Option<String>,
    /// User metadata.
    pub metadata: Metadata,
    /// What must be at the key.
    pub replaces: Replaces,
}

/// How an object is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Copy only this version; otherwise [`ErrorKind::PreconditionFailed`]. Then the size of the
    /// copy is known beforehand; without it, services that do not tell cost one more request.
    pub if_match: Option<ObjectVersion>,
    /// Copy only another version than this.
    pub if_none_match: Option<ETag>,
    /// Copy only what was changed after this; see [`Conditions`].
    pub if_modified_since: Option<SystemTime>,
    /// Copy only what was not changed after this; see [`Conditions`].
    pub if_unmodified_since: Option<SystemTime>,
    /// `Some`: the copy gets exactly these properties. `None`: those of the source.
    /// A copy of an object onto itself needs `Some`.
    pub replace: Option<PutOptions>,
    /// Storage class of a copy that keeps its properties: services do not carry it over. `None`: as the
    /// connection was configured.
    pub storage_class: Option<String>,
}

impl CopyOptions {
    /// The conditions on the source.
    pub fn conditions(&self) -> Conditions {
        Conditions {
            if_match: self.if_match.as_ref().map(|version| version.etag.clone()),
            if_none_match: self.if_none_match.clone(),
            if_modified_since: self.if_modified_since,
            if_unmodified_since: self.if_unmodified_since,
        }
    }
}

/// What an object must be to get another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameOptions {
    /// Rename only this version.
    pub source: ObjectVersion,
    /// Rename only another version than this.
    pub if_none_match: Option<ETag>,
    /// Rename only what was changed after this; see [`Conditions`].
    pub if_modified_since: Option<SystemTime>,
    /// Rename only what was not changed after this; see [`Conditions`].
    pub if_unmodified_since: Option<SystemTime>,
}

impl RenameOptions {
    /// This version, on no other condition.
    pub fn of(source: &ObjectVersion) -> Self {
        Self {
            source: source.clone(),
            if_none_match: None,
            if_modified_since: None,
            if_unmodified_since: None,
        }
    }

    /// The conditions on the source.
    pub fn conditions(&self) -> Conditions {
        Conditions {
            if_match: Some(self.source.etag.clone()),
            if_none_match: self.if_none_match.clone(),
            if_modified_since: self.if_modified_since,
            if_unmodified_since: self.if_unmodified_since,
        }
    }
}

/// What a completed upload must be; the proof that no byte was lost or exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Size of the object, in bytes.
    pub size: u64,
    /// CRC-64 of the object, when the writer knows it (not when parts were copied from an object
    /// without one).
    pub checksum: Option<Checksum>,
    /// What must be at the key when the object appears.
    pub replaces: Replaces,
}

/// What an [`ObjectStore::append`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The object as it is now; its size is the position of the next append.
    pub version: ObjectVersion,
    /// CRC-64 of the whole object, where the service told.
    pub checksum: Option<Checksum>,
}

/// One page of the parts of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartsPage {
    /// Parts, ascending by number.
    pub parts: Vec<PartReceipt>,
    /// Whether more follow; go on after the last number of this page.
    pub more: bool,
}

/// What a listing of uploads asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadsRequest {
    /// Only keys that begin with this; may be empty.
    pub prefix: String,
    /// Whether keys are rolled up at the next `/` after the prefix.
    pub by_directory: bool,
    /// Where to go on: the `next` of the page before.
    pub after: Option<UploadCursor>,
}

impl UploadsRequest {
    /// All uploads of keys that begin with `prefix`, from the first.
    pub fn below(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }
}

/// One page of the uploads in progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadsPage {
    /// The uploads.
    pub uploads: Vec<ListedUpload>,
    /// Rolled-up prefixes, each with its trailing `/`.
    pub prefixes: Vec<String>,
    /// Cursor of the next page, or `None` on the last.
    pub next: Option<UploadCursor>,
}

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpload {
    /// Key and id.
    pub upload: Upload,
    /// When it was initiated.
    pub initiated: SystemTime,
}

/// Where a listing of uploads goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadCursor {
    /// Key marker as the service gave it.
    pub key: String,
    /// Upload id marker as the service gave it; empty behind a rolled-up prefix.
    pub upload_id: String,
}
