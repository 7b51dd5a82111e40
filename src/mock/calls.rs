//! What a request asks for and what came of it, in words that belong to no service: the values
//! between `routes`, `execute` and the answers.

use std::sync::Arc;

use http::HeaderMap;

use super::conditions::{Conditions, RangeWish};
use super::refusal::Refusal;
use crate::store::memory::{Entry, Object, OpenUpload, Page, Part, Properties};
use crate::store::{ByteRange, Key, Operation, PartNumber, Upload};

/// The MD5 that a request states for its body.
pub(super) type StatedMd5 = Option<[u8; 16]>;

/// A request, understood.
#[derive(Debug, Clone)]
pub(super) enum Call {
    HeadBucket,
    List(ListCall),
    DeleteMany {
        md5: StatedMd5,
    },
    ListUploads(ListUploadsCall),
    Head {
        key: Key,
        conditions: Conditions,
    },
    Get {
        key: Key,
        conditions: Conditions,
        range: Option<RangeWish>,
        /// Response headers that the request sets (`response-content-type` …).
        overrides: HeaderMap,
    },
    Put {
        key: Key,
        properties: Properties,
        create_only: bool,
        md5: StatedMd5,
    },
    Copy {
        key: Key,
        source: Key,
        conditions: Conditions,
        replace: Option<Properties>,
        create_only: bool,
    },
    Delete {
        key: Key,
    },
    StartUpload {
        key: Key,
        properties: Properties,
        create_only: bool,
    },
    PutPart {
        upload: Upload,
        number: PartNumber,
        md5: StatedMd5,
    },
    CopyPart {
        upload: Upload,
        number: PartNumber,
        source: Key,
        conditions: Conditions,
        range: Option<ByteRange>,
    },
    Complete {
        upload: Upload,
        create_only: bool,
        md5: StatedMd5,
    },
    Abort {
        upload: Upload,
    },
    ListParts(ListPartsCall),
}

/// A listing of objects.
#[derive(Debug, Clone)]
pub(super) struct ListCall {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    pub(super) marker: String,
    pub(super) max: usize,
    /// Whether keys are to be percent-encoded.
    pub(super) encoded: bool,
}

/// A listing of uploads.
#[derive(Debug, Clone)]
pub(super) struct ListUploadsCall {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    pub(super) key_marker: String,
    pub(super) upload_id_marker: String,
    pub(super) max: usize,
    pub(super) encoded: bool,
}

/// A listing of parts.
#[derive(Debug, Clone)]
pub(super) struct ListPartsCall {
    pub(super) upload: Upload,
    pub(super) after: u64,
    pub(super) max: usize,
    pub(super) encoded: bool,
}

impl Call {
    /// Which operation it is; none for the bucket's own HEAD.
    pub(super) fn operation(&self) -> Option<Operation> {
        Some(match self {
            Self::HeadBucket => return None,
            Self::List(_) => Operation::List,
            Self::DeleteMany { .. } => Operation::DeleteMany,
            Self::ListUploads(_) => Operation::ListUploads,
            Self::Head { .. } => Operation::Head,
            Self::Get { .. } => Operation::Get,
            Self::Put { .. } => Operation::Put,
            Self::Copy { .. } => Operation::Copy,
            Self::Delete { .. } => Operation::Delete,
            Self::StartUpload { .. } => Operation::StartUpload,
            Self::PutPart { .. } => Operation::PutPart,
            Self::CopyPart { .. } => Operation::CopyPart,
            Self::Complete { .. } => Operation::CompleteUpload,
            Self::Abort { .. } => Operation::AbortUpload,
            Self::ListParts(_) => Operation::ListParts,
        })
    }

    /// The key it is about; for listings of objects and uploads, their prefix.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::HeadBucket | Self::DeleteMany { .. } => "",
            Self::List(call) => &call.prefix,
            Self::ListUploads(call) => &call.prefix,
            Self::Head { key, .. }
            | Self::Get { key, .. }
            | Self::Put { key, .. }
            | Self::Copy { key, .. }
            | Self::Delete { key }
            | Self::StartUpload { key, .. } => key.as_str(),
            Self::PutPart { upload, .. }
            | Self::CopyPart { upload, .. }
            | Self::Complete { upload, .. }
            | Self::Abort { upload } => upload.key.as_str(),
            Self::ListParts(call) => call.upload.key.as_str(),
        }
    }
}

/// What came of a call that was not refused.
#[derive(Debug)]
pub(super) enum Outcome {
    BucketThere,
    Listed(ListCall, Page<Arc<Object>>),
    DeletedMany {
        /// Whether only failures are wanted.
        quiet: bool,
        results: Vec<(Key, Option<Refusal>)>,
    },
    UploadsListed(ListUploadsCall, Vec<Entry<OpenUpload>>, bool),
    Described(Arc<Object>),
    Content {
        object: Arc<Object>,
        /// The bytes `start..end` if a range was asked for.
        range: Option<(u64, u64)>,
        overrides: HeaderMap,
    },
    Stored(Arc<Object>),
    Copied(Arc<Object>),
    Deleted,
    UploadStarted(Upload),
    PartStored(Part),
    PartCopied(Part),
    Completed(Arc<Object>),
    PartsListed(ListPartsCall, Vec<Part>, bool),
    /// A failure told in the body of a 200, as a fault rule ordered.
    FailedLate(String),
}
