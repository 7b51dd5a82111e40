//! The services. One client knows the flow – attempts, lost answers, checks of what came
//! back; a `Dialect` is pure functions from operations to requests and from answers to values, and a
//! constant [`Limits`]. Knows no file and no upload in flight.
//!
//! To add a service: a folder beside `cos`, a variant of [`DialectName`], and its arm in
//! [`connect`](connect()).

mod answer_head;
mod attempt;
mod beside;
mod client;
mod clock_skew;
mod conditions;
mod connection;
mod cos;
mod credentials;
mod encode;
mod failure;
mod headers;
mod link;
mod lost;
mod moves;
mod oss;
mod properties;
mod qingstor;
mod request;
mod s3;
#[cfg(test)]
mod scripted;
mod write_conditions;
mod xml_service;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};

use crate::dialect::failure::Failure;
use crate::dialect::request::{Draft, Site};
use crate::http::Answer;
use crate::store::{
    ByteRange, Checksum, Conditions, CopyOptions, ETag, Expected, Key, Limits, ListPage,
    ListRequest, ObjectInfo, ObjectVersion, Operation, PartNumber, PartReceipt, PartsPage, Payload,
    PutOptions, Upload, UploadId, UploadsPage, UploadsRequest,
};

pub use connection::{
    ConnectError, Connection, DialectName, Renewal, SignatureVersion, Timing, UnknownDialect,
    connect, connect_with_renewal,
};
pub use credentials::{CredentialError, CredentialSource, Credentials, Search, Secret, Variables};
pub use link::{LONGEST_LINK, Link, LinkError, link};
pub use properties::{
    ContentTypes, CustomerKey, Encryption, Grant, InvalidCustomerKey, InvalidPattern,
    ObjectProperties, Right,
};

/// What an answer to PUT, Upload Part or Upload Part Copy tells about the bytes now stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// ETag of the object or part.
    pub(crate) etag: ETag,
    /// CRC-64 as the service computed it, where it does.
    pub(crate) checksum: Option<Checksum>,
}

/// What an answer to Complete or to a copy tells about the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completed {
    /// ETag of the object, where the answer has it.
    pub(crate) etag: Option<ETag>,
    /// CRC-64 of the object, where the service computes it.
    pub(crate) checksum: Option<Checksum>,
}

/// What an answer to Append tells about the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Appending {
    /// The object's size now.
    pub(crate) size: u64,
    /// Its ETag, where the answer has it.
    pub(crate) etag: Option<ETag>,
    /// CRC-64 of the whole object, where the service computes it.
    pub(crate) checksum: Option<Checksum>,
}

/// The head of an answer to GET, checked against what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentHead {
    pub(crate) version: ObjectVersion,
    /// Offset of the first byte.
    pub(crate) start: u64,
    /// Exact number of bytes that must follow.
    pub(crate) len: u64,
    /// CRC-64 of the whole object, where the service gives one.
    pub(crate) checksum: Option<Checksum>,
}

/// A service's own rules. All functions are pure but [`sign`](Self::sign) and [`presign`](Self::presign), which
/// read the clock.
///
/// The client calls a `read_*` function only for an answer of the operation's status of success; all
/// others go to [`failure`](Self::failure).
#[async_trait]
pub(crate) trait Dialect: Send + Sync + Debug + 'static {
    fn limits(&self) -> &Limits;
    fn site(&self) -> &Site;
    /// Whether the service can store this key; the reason in words when not.
    fn check_key(&self, key: &Key) -> Result<(), String>;
    /// Whether a key can be named in the body of a multi-delete.
    fn deletes_in_batch(&self, key: &Key) -> bool;
    /// Statuses that mean success of an operation; any other one below 300 is a garbled answer.
    fn success(&self, operation: Operation) -> &'static [StatusCode] {
        match operation {
            Operation::Get => &[StatusCode::OK, StatusCode::PARTIAL_CONTENT],
            Operation::Delete | Operation::AbortUpload => &[StatusCode::NO_CONTENT],
            _ => &[StatusCode::OK],
        }
    }
    /// Whether the body of this operation must go with its MD5 (`Content-MD5`).
    fn wants_md5(&self, operation: Operation) -> bool;
    /// Whether the ETag in the answer to PUT and Upload Part is the MD5 of the body, for certain.
    fn etags_are_md5(&self) -> bool {
        false
    }
    /// Whether the extension of a request ([`Draft::extension`]) goes with it. Asked anew for every
    /// attempt.
    fn extends(&self) -> bool {
        true
    }
    /// Learns from a good answer to a request that had an extension whether the service knows it.
    fn learns(&self, _operation: Operation, _headers: &HeaderMap) {}
    /// Learns from a failure that the service lacks an extension; `extended` says whether the request
    /// had one. `true` means that the request will be another one when it is made again, and should be.
    fn adapts(&self, _operation: Operation, _extended: bool, _failure: &Failure) -> bool {
        false
    }
    /// The ETag that the object has which this upload makes of these parts, where that is known. An object of the
    /// expected size with this ETag is the expected one; one with another ETag may be.
    fn predicted_etag(&self, _upload: &Upload, _parts: &[PartReceipt]) -> Option<ETag> {
        None
    }
    /// Whether there is one refusal for a wrong position and for an object that takes no append at all.
    /// It is then [`PreconditionFailed`](crate::store::ErrorKind::PreconditionFailed).
    fn refuses_appends_alike(&self) -> bool {
        false
    }
    /// Whether the good answer to a copy is one that the service gives to copies alone. Where it is that of a
    /// PUT, an empty object may have been made by a service that does not know the header of the source.
    fn tells_of_copies(&self) -> bool {
        true
    }
    /// Whether an object can be copied onto itself with other properties.
    fn copies_onto_itself(&self) -> bool {
        true
    }

    fn head(&self, key: &Key, conditions: &Conditions) -> Result<Draft, Failure>;
    fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> Result<Draft, Failure>;
    fn list(&self, request: &ListRequest) -> Result<Draft, Failure>;
    fn put(&self, key: &Key, payload: Payload, options: &PutOptions) -> Result<Draft, Failure>;
    /// With a version only where [`Limits::compare_and_swap`] is true.
    fn delete(&self, key: &Key, version: Option<&ETag>) -> Result<Draft, Failure>;
    fn delete_many(&self, keys: &[&Key]) -> Result<Draft, Failure>;
    fn copy(&self, from: &Key, to: &Key, options: &CopyOptions) -> Result<Draft, Failure>;
    /// Only where [`Limits::rename`] is true.
    fn rename(&self, _from: &Key, _to: &Key, _source: &Conditions) -> Result<Draft, Failure> {
        Err(Failure::unsayable("the service has no rename"))
    }
    /// Only where [`Limits::append`] is set.
    fn append(
        &self,
        key: &Key,
        position: u64,
        payload: Payload,
        options: &PutOptions,
    ) -> Result<Draft, Failure>;
    fn start_upload(&self, key: &Key, options: &PutOptions) -> Result<Draft, Failure>;
    fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> Result<Draft, Failure>;
    fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> Result<Draft, Failure>;
    fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> Result<Draft, Failure>;
    fn abort_upload(&self, upload: &Upload) -> Result<Draft, Failure>;
    fn list_parts(&self, upload: &Upload, after: Option<PartNumber>) -> Result<Draft, Failure>;
    fn list_uploads(&self, request: &UploadsRequest) -> Result<Draft, Failure>;

    /// Adds the signature, made for now. Called anew for every attempt, but not for anonymous ones.
    async fn sign(&self, head: &mut Parts, credentials: &Credentials) -> Result<(), Failure>;
    /// The address of the request with a signature in its query, good from now on for `valid`. The head
    /// has a `Host` and no other header: who follows the address sends none.
    async fn presign(
        &self,
        head: Parts,
        credentials: &Credentials,
        valid: Duration,
    ) -> Result<Uri, Failure>;

    fn read_head(&self, answer: &Answer) -> Result<ObjectInfo, Failure>;
    /// Judges the head of an answer to [`get`](Self::get) before its body is read.
    fn read_content(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        range: Option<ByteRange>,
    ) -> Result<ContentHead, Failure>;
    fn read_list(&self, answer: &Answer, request: &ListRequest) -> Result<ListPage, Failure>;
    /// PUT and Upload Part.
    fn read_stored(&self, answer: &Answer) -> Result<Stored, Failure>;
    /// Those of `keys` that were not deleted, each with its reason.
    fn read_delete_many(
        &self,
        answer: &Answer,
        keys: &[&Key],
    ) -> Result<Vec<(String, Failure)>, Failure>;
    fn read_copy(&self, answer: &Answer) -> Result<Completed, Failure>;
    fn read_upload_id(&self, answer: &Answer) -> Result<UploadId, Failure>;
    fn read_copy_part(&self, answer: &Answer) -> Result<Stored, Failure>;
    fn read_complete(&self, answer: &Answer) -> Result<Completed, Failure>;
    fn read_append(&self, answer: &Answer) -> Result<Appending, Failure>;
    fn read_parts(&self, answer: &Answer, after: Option<PartNumber>) -> Result<PartsPage, Failure>;
    fn read_uploads(
        &self,
        answer: &Answer,
        request: &UploadsRequest,
    ) -> Result<UploadsPage, Failure>;

    /// The meaning of an answer with a status of failure or of redirection.
    fn failure(&self, answer: &Answer) -> Failure;
    /// What a failure means as one of this operation, where one code has several meanings.
    fn refine(&self, _operation: Operation, failure: Failure) -> Failure {
        failure
    }
    /// The service's id of the request.
    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str>;
    /// How long the service asks us to wait, where it has a header of its own for that.
    fn asks_to_wait(&self, headers: &HeaderMap) -> Option<Duration> {
        crate::http::retry_after(headers)
    }
}

#[cfg(test)]
#[path = "bodies_tests.rs"]
mod bodies_tests;
#[cfg(test)]
mod conditions_tests;
#[cfg(test)]
mod conflict_tests;
