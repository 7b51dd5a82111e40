//! What a request asks for and what came of it, in words that belong to no service: the values
//! between the voices and `execute`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;

use super::conditions::{Conditions, RangeWish};
use super::digests::StatedDigest;
use super::faults::{Misassembly, Stroke};
use super::refusal::Refusal;
use crate::store::memory::{Entry, Object, OpenUpload, Page, Part, Properties};
use crate::store::{ByteRange, ETag, Key, Operation, PartNumber, Replaces, Upload};

/// What a request states about its body, to be compared with what arrives.
#[derive(Debug, Clone, Default)]
pub(super) struct Stated {
    pub(super) md5: Option<[u8; 16]>,
    /// Another digest, where the service has such.
    pub(super) digest: Option<StatedDigest>,
}

/// An object to be read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) key: Key,
    pub(super) conditions: Conditions,
    /// The MD5, in base64, of the key that the client keeps, if the request brings one.
    pub(super) key_md5: Option<String>,
}

/// What a request says about the object that it makes, beside the bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Making {
    pub(super) properties: Properties,
    /// What must be there for it.
    pub(super) guard: Replaces,
}

/// What a request to delete may remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Removable {
    /// Whatever is there, or nothing.
    #[default]
    Anything,
    /// Whatever is there; but something must be.
    Existing,
    /// The object with this ETag, which must be there.
    Version(ETag),
}

impl Removable {
    /// What an `If-Match` allows.
    pub(super) fn matching(text: &str) -> Self {
        match text.trim() {
            "*" => Self::Existing,
            etag => Self::Version(ETag::new(etag)),
        }
    }
}

/// A request, understood.
#[derive(Debug, Clone)]
pub(super) enum Call {
    HeadBucket,
    List(ListCall),
    DeleteMany {
        stated: Stated,
    },
    ListUploads(ListUploadsCall),
    Head(Reading),
    Get {
        reading: Reading,
        range: Option<RangeWish>,
        /// Response headers that the request sets (`response-content-type` …).
        overrides: HeaderMap,
    },
    Put {
        key: Key,
        making: Making,
        stated: Stated,
    },
    Append {
        key: Key,
        /// Where the object must end.
        position: u64,
        making: Making,
        stated: Stated,
    },
    Copy {
        key: Key,
        source: Reading,
        making: Making,
        /// Whether the copy has the properties of `making` instead of its source's.
        replace: bool,
    },
    /// Gives the source this key.
    Rename {
        key: Key,
        source: Reading,
    },
    Delete {
        key: Key,
        only: Removable,
    },
    StartUpload {
        key: Key,
        making: Making,
    },
    PutPart {
        upload: Upload,
        number: PartNumber,
        /// As in [`Reading`]; must be the one of the upload.
        key_md5: Option<String>,
        stated: Stated,
    },
    CopyPart {
        upload: Upload,
        number: PartNumber,
        /// As in [`Reading`]; must be the one of the upload.
        key_md5: Option<String>,
        source: Reading,
        range: Option<ByteRange>,
    },
    Complete(Completing),
    Abort {
        upload: Upload,
    },
    ListParts(ListPartsCall),
    Location,
    GetAcl {
        key: Key,
    },
    PutAcl {
        key: Key,
        /// The headers that say who may do what.
        headers: BTreeMap<String, String>,
    },
    Restore {
        key: Key,
    },
}

/// The end of an upload. Its parts stand in the body.
#[derive(Debug, Clone)]
pub(super) struct Completing {
    pub(super) upload: Upload,
    /// Whether the body lists the parts; otherwise all are meant that were uploaded.
    pub(super) listed: bool,
    /// What must be there for it.
    pub(super) guard: Replaces,
    /// How many bytes the object must have.
    pub(super) size: Option<u64>,
    /// The digest that the object must have.
    pub(super) whole: Option<StatedDigest>,
    /// The ETag that the object is to have, where the client chooses it.
    pub(super) etag: Option<ETag>,
    /// About the body, which is the list.
    pub(super) stated: Stated,
    /// What goes wrong, as a fault rule ordered.
    pub(super) misassembly: Option<(Misassembly, Stroke)>,
}

/// A part as a Complete lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedPart {
    pub(super) number: PartNumber,
    /// Not compared if `None`.
    pub(super) etag: Option<ETag>,
    /// The digests that it must have, by the names of their headers.
    pub(super) digests: BTreeMap<String, String>,
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
    /// Which operation of a store it is, if it is one.
    pub(super) fn operation(&self) -> Option<Operation> {
        Some(match self {
            Self::HeadBucket => return None,
            Self::List(_) => Operation::List,
            Self::DeleteMany { .. } => Operation::DeleteMany,
            Self::ListUploads(_) => Operation::ListUploads,
            Self::Head(_) => Operation::Head,
            Self::Get { .. } => Operation::Get,
            Self::Put { .. } => Operation::Put,
            Self::Append { .. } => Operation::Append,
            Self::Copy { .. } => Operation::Copy,
            Self::Rename { .. } => Operation::Rename,
            Self::Delete { .. } => Operation::Delete,
            Self::StartUpload { .. } => Operation::StartUpload,
            Self::PutPart { .. } => Operation::PutPart,
            Self::CopyPart { .. } => Operation::CopyPart,
            Self::Complete(_) => Operation::CompleteUpload,
            Self::Abort { .. } => Operation::AbortUpload,
            Self::ListParts(_) => Operation::ListParts,
            Self::Location | Self::GetAcl { .. } | Self::PutAcl { .. } | Self::Restore { .. } => {
                return None;
            }
        })
    }

    /// The upload it names.
    pub(super) fn upload(&self) -> Option<&Upload> {
        match self {
            Self::PutPart { upload, .. }
            | Self::CopyPart { upload, .. }
            | Self::Complete(Completing { upload, .. })
            | Self::Abort { upload } => Some(upload),
            Self::ListParts(call) => Some(&call.upload),
            _ => None,
        }
    }

    /// The key it is about; for listings of objects and uploads, their prefix.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::HeadBucket | Self::Location | Self::DeleteMany { .. } => "",
            Self::List(call) => &call.prefix,
            Self::ListUploads(call) => &call.prefix,
            Self::Head(reading) | Self::Get { reading, .. } => reading.key.as_str(),
            Self::Put { key, .. }
            | Self::Append { key, .. }
            | Self::Copy { key, .. }
            | Self::Rename { key, .. }
            | Self::Delete { key, .. }
            | Self::GetAcl { key }
            | Self::PutAcl { key, .. }
            | Self::Restore { key }
            | Self::StartUpload { key, .. } => key.as_str(),
            Self::PutPart { upload, .. }
            | Self::CopyPart { upload, .. }
            | Self::Complete(Completing { upload, .. })
            | Self::Abort { upload } => upload.key.as_str(),
            Self::ListParts(call) => call.upload.key.as_str(),
        }
    }
}

/// What came of a call that was not refused.
#[derive(Debug)]
pub(super) enum Outcome {
    BucketThere,
    Located,
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
    Appended(Arc<Object>),
    Copied(Arc<Object>),
    Renamed,
    Deleted,
    UploadStarted(Upload, Properties),
    PartStored(Part),
    PartCopied {
        part: Part,
        /// The bytes `start..end` of the source, if a range was asked for.
        range: Option<(u64, u64)>,
        /// Size of the source in bytes.
        source: u64,
    },
    Completed(Arc<Object>),
    /// An object of which the answer tells who may do what.
    Acl(Arc<Object>),
    AclStored,
    Restored {
        /// Whether it was so already.
        before: bool,
    },
    PartsListed(ListPartsCall, Vec<Part>, bool),
    /// A failure told in the body of a 200, as a fault rule ordered.
    FailedLate(String),
}

impl Outcome {
    /// Makes the checksum of an object or part another one than that of its bytes.
    pub(super) fn falsify_checksum(&mut self) {
        match self {
            Self::Described(object)
            | Self::Content { object, .. }
            | Self::Stored(object)
            | Self::Appended(object)
            | Self::Copied(object)
            | Self::Completed(object) => {
                let object = Arc::make_mut(object);
                object.checksum.value ^= 1;
                object.crc64nvme.iter_mut().for_each(|checksum| checksum.value ^= 1);
            }
            Self::PartStored(part) | Self::PartCopied { part, .. } => {
                part.checksum.value ^= 1;
                part.crc64nvme.iter_mut().for_each(|checksum| checksum.value ^= 1);
            }
            _ => {}
        }
    }

    /// Gives an object or part another ETag than it has.
    pub(super) fn falsify_etag(&mut self) {
        let wrong = ETag::new("00000000000000000000000000000000");
        match self {
            Self::Described(object)
            | Self::Content { object, .. }
            | Self::Stored(object)
            | Self::Appended(object)
            | Self::Copied(object)
            | Self::Completed(object) => Arc::make_mut(object).etag = wrong,
            Self::PartStored(part) | Self::PartCopied { part, .. } => part.etag = wrong,
            _ => {}
        }
    }
}
