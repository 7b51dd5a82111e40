//! Why a request is refused, by meaning. The dialects word it.

use crate::store::memory::BucketError;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not signed, or not allowed; says why.
    AccessDenied(&'static str),
    /// The signature is not the one computed here, over this text.
    SignatureDoesNotMatch(String),
    UnknownAccessKey,
    ClockSkew,
    NoSuchBucket,
    NoSuchKey,
    NoSuchCopySource,
    NoSuchUpload,
    AlreadyExists,
    PreconditionFailed,
    NotModified,
    /// For an object of this many bytes.
    InvalidRange(u64),
    /// An append at another position than this one, the end.
    WrongPosition(u64),
    NotAppendable,
    InvalidPart,
    InvalidPartOrder,
    PartTooSmall,
    TooLarge,
    MalformedDigest,
    WrongDigest,
    /// The client hung up or sent fewer bytes than announced.
    IncompleteBody,
    NoLength,
    MalformedDocument,
    DocumentTooLong,
    InvalidKey,
    KeyTooLong,
    /// The path cannot be decoded.
    InvalidPath,
    MetadataTooLarge,
    /// Says which.
    InvalidArgument(&'static str),
    InvalidDelimiter,
    MethodNotAllowed,
    /// A part of the service that this mock does not have.
    NotImplemented,
    /// The mock itself failed.
    Internal(String),
    /// Ordered by a fault rule.
    Injected {
        status: u16,
        code: String,
    },
}

impl From<BucketError> for Refusal {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::NoSuchKey => Self::NoSuchKey,
            BucketError::NoSuchUpload => Self::NoSuchUpload,
            BucketError::AlreadyExists => Self::AlreadyExists,
            BucketError::InvalidPart => Self::InvalidPart,
            BucketError::InvalidPartOrder => Self::InvalidPartOrder,
            BucketError::PartTooSmall { .. } => Self::PartTooSmall,
            BucketError::WrongPosition { size } => Self::WrongPosition(size),
            BucketError::NotAppendable => Self::NotAppendable,
            BucketError::Storage(error) => Self::Internal(error.to_string()),
        }
    }
}
