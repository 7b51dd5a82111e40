//! Why a request is refused, by meaning. The dialects word it.

use crate::store::memory::BucketError;

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not signed, or not allowed; says why.
    AccessDenied(&'static str),
    /// The signature is not the one computed here, over this text (shown without secrets).
    SignatureDoesNotMatch(String),
    UnknownAccessKey,
    /// The temporary token is not valid any more.
    ExpiredToken,
    /// The temporary token is missing, not known, or not wanted.
    InvalidToken,
    /// What should be a signature is not one; says what is wrong with it.
    MalformedAuthorization(&'static str),
    /// Signed for another region than this one.
    WrongRegion {
        expected: String,
    },
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
    /// The source of a copy was made by append.
    AppendedSource,
    InvalidPart,
    InvalidPartOrder,
    /// A list names a part that cannot be.
    InvalidPartNumber,
    PartTooSmall,
    TooManyParts,
    /// In a multiple delete.
    TooManyKeys,
    TooLarge,
    MalformedDigest,
    WrongDigest,
    /// The SHA-256 of the body is not the one that was signed.
    WrongPayloadHash,
    /// The client hung up or sent fewer bytes than announced.
    IncompleteBody,
    /// The framing of an aws-chunked body is wrong; says what.
    MalformedChunks(&'static str),
    NoLength,
    MalformedDocument,
    DocumentTooLong,
    InvalidKey,
    KeyTooLong,
    /// The path cannot be decoded.
    InvalidPath,
    MetadataTooLarge,
    /// A storage class that the service does not have.
    InvalidStorageClass,
    /// An archived object that has not been restored, of this class.
    Frozen(String),
    /// Nothing to restore: not an archived object.
    NotArchived,
    /// A way of encryption that the service does not have.
    InvalidEncryption,
    /// Headers of encryption where none may be.
    EncryptionNotAllowed,
    /// The client's key is missing, or not what its MD5 says.
    BadCustomerKey(&'static str),
    /// The client's key is another one than that of the object.
    WrongCustomerKey,
    /// The object or its parts are not what the request says about them.
    Contradiction(&'static str),
    /// A precondition that this operation does not have.
    UnexpectedCondition,
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
    /// Ask at this address instead. Ordered by a fault rule.
    Redirect(String),
    /// What somebody in between says. Ordered by a fault rule.
    Page {
        status: u16,
        content_type: String,
        body: String,
    },
}

impl From<BucketError> for Refusal {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::NoSuchKey => Self::NoSuchKey,
            BucketError::NoSuchUpload => Self::NoSuchUpload,
            BucketError::AlreadyExists => Self::AlreadyExists,
            BucketError::Changed => Self::PreconditionFailed,
            BucketError::InvalidPart => Self::InvalidPart,
            BucketError::InvalidPartOrder => Self::InvalidPartOrder,
            BucketError::PartTooSmall { .. } => Self::PartTooSmall,
            BucketError::WrongPosition { size } => Self::WrongPosition(size),
            BucketError::NotAppendable => Self::NotAppendable,
            BucketError::Storage(error) => Self::Internal(error.to_string()),
        }
    }
}
