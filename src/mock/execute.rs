//! What a call does to the bucket. Reads bodies; speaks no dialect, but for the limits it is given.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming as HttpBody;
use md5::{Digest, Md5};

use super::calls::{Call, ListCall, ListPartsCall, ListUploadsCall, Outcome, StatedMd5};
use super::conditions::Conditions;
use super::read_xml;
use super::refusal::Refusal;
use super::request::Request;
use super::{MockConfig, Service};
use crate::store::Key;
use crate::store::memory::{
    Body, BucketError, CompleteRules, ListQuery, MemoryBucket, Object, UploadsQuery,
};

/// Largest body of a PUT or part, and largest source of a copy: 5 GiB.
const MAX_BODY_BYTES: u64 = 5 << 30;

/// Longest XML document: 10,000 parts or 1000 long keys fit.
const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// Fewest bytes of a part before the last.
const PART_MIN_BYTES: u64 = 1 << 20;

/// Carries a call out. A body that does not arrive whole changes nothing.
pub(super) async fn execute(
    service: &Service,
    call: Call,
    request: &Request,
    body: &mut HttpBody,
) -> Result<Outcome, Refusal> {
    let bucket = &service.bucket;
    Ok(match call {
        Call::HeadBucket => Outcome::BucketThere,
        Call::List(call) => list(bucket, call),
        Call::ListUploads(call) => list_uploads(bucket, call),
        Call::ListParts(call) => list_parts(bucket, call)?,
        Call::DeleteMany { md5 } => {
            let (keys, quiet) = read_xml::key_list(&document(body, md5).await?)?;
            delete_many(bucket, keys, quiet).await
        }
        Call::Head { key, conditions } => {
            let object = bucket.head(&key)?;
            conditions.check(&object)?;
            Outcome::Described(object)
        }
        Call::Get { key, conditions, range, overrides } => {
            let object = bucket.head(&key)?;
            conditions.check(&object)?;
            let range = range.map(|range| range.resolve(object.size())).transpose()?;
            Outcome::Content { object, range, overrides }
        }
        Call::Put { key, properties, create_only, md5 } => {
            let body = receive(bucket, request, body, md5).await?;
            Outcome::Stored(bucket.put(&key, body, properties, create_only).await?)
        }
        Call::Copy { key, source, conditions, replace, create_only } => {
            let source = source_of(bucket, &source, &conditions)?;
            if source.size() > MAX_BODY_BYTES {
                return Err(Refusal::TooLarge);
            }
            Outcome::Copied(bucket.copy(&source, &key, replace, create_only).await?)
        }
        Call::Delete { key } => {
            bucket.delete(&key).await?;
            Outcome::Deleted
        }
        Call::StartUpload { key, properties, create_only } => {
            Outcome::UploadStarted(bucket.start_upload(&key, properties, create_only)?)
        }
        Call::PutPart { upload, number, md5 } => {
            // An id that is unknown now need not wait for the body.
            bucket.upload(&upload)?;
            let body = receive(bucket, request, body, md5).await?;
            Outcome::PartStored(bucket.put_part(&upload, number, body)?)
        }
        Call::CopyPart { upload, number, source, conditions, range } => {
            bucket.upload(&upload)?;
            let source = source_of(bucket, &source, &conditions)?;
            if range.is_some_and(|range| range.end() > source.size()) {
                return Err(Refusal::InvalidRange(source.size()));
            }
            if range.map_or(source.size(), |range| range.len()) > MAX_BODY_BYTES {
                return Err(Refusal::TooLarge);
            }
            Outcome::PartCopied(bucket.copy_part(&upload, number, &source, range).await?)
        }
        Call::Complete { upload, create_only, md5 } => {
            bucket.upload(&upload)?;
            let listed = read_xml::part_list(&document(body, md5).await?)?;
            let rules = complete_rules(&service.config, create_only);
            Outcome::Completed(bucket.complete_upload(&upload, listed, rules).await?)
        }
        Call::Abort { upload } => {
            bucket.abort_upload(&upload).await?;
            Outcome::Deleted
        }
    })
}

fn complete_rules(config: &MockConfig, create_only: bool) -> CompleteRules {
    let part_min_bytes = config.part_min_bytes.unwrap_or(PART_MIN_BYTES);
    CompleteRules { part_min_bytes, gaps_allowed: false, create_only }
}

fn list(bucket: &MemoryBucket, call: ListCall) -> Outcome {
    let page = bucket.list(ListQuery {
        prefix: &call.prefix,
        delimiter: call.delimiter.as_deref(),
        marker: &call.marker,
        max: call.max,
    });
    Outcome::Listed(call, page)
}

fn list_uploads(bucket: &MemoryBucket, call: ListUploadsCall) -> Outcome {
    let (entries, more) = bucket.list_uploads(UploadsQuery {
        prefix: &call.prefix,
        delimiter: call.delimiter.as_deref(),
        key_marker: &call.key_marker,
        upload_id_marker: &call.upload_id_marker,
        max: call.max,
    });
    Outcome::UploadsListed(call, entries, more)
}

fn list_parts(bucket: &MemoryBucket, call: ListPartsCall) -> Result<Outcome, Refusal> {
    let (parts, more) = bucket.list_parts(&call.upload, call.after, call.max)?;
    Ok(Outcome::PartsListed(call, parts, more))
}

async fn delete_many(bucket: &Arc<MemoryBucket>, keys: Vec<Key>, quiet: bool) -> Outcome {
    let mut results = Vec::with_capacity(keys.len());
    for key in keys {
        let failure = bucket.delete(&key).await.err().map(Refusal::from);
        results.push((key, failure));
    }
    Outcome::DeletedMany { quiet, results }
}

fn source_of(
    bucket: &MemoryBucket,
    key: &Key,
    conditions: &Conditions,
) -> Result<Arc<Object>, Refusal> {
    let source = bucket.head(key).map_err(|error| match error {
        BucketError::NoSuchKey => Refusal::NoSuchCopySource,
        other => other.into(),
    })?;
    conditions.check_source(&source)?;
    Ok(source)
}

/// Takes the bytes of an object or part in, as they come, without copying them.
async fn receive(
    bucket: &Arc<MemoryBucket>,
    request: &Request,
    body: &mut HttpBody,
    md5: StatedMd5,
) -> Result<Body, Refusal> {
    let announced = request.header("content-length").and_then(|length| length.parse().ok());
    match announced {
        None if request.header("transfer-encoding").is_none() => return Err(Refusal::NoLength),
        Some(0..=MAX_BODY_BYTES) | None => {}
        Some(_) => return Err(Refusal::TooLarge),
    }
    let mut incoming = bucket.incoming(md5.is_some()).await?;
    while let Some(chunk) = next_chunk(body).await? {
        incoming.push(chunk).await.map_err(BucketError::from)?;
        if incoming.len() > MAX_BODY_BYTES {
            return Err(Refusal::TooLarge);
        }
    }
    let received = incoming.finish().await.map_err(BucketError::from)?;
    if md5.is_some() && md5 != received.md5 {
        return Err(Refusal::WrongDigest);
    }
    Ok(received)
}

/// Reads an XML document whole.
async fn document(body: &mut HttpBody, md5: StatedMd5) -> Result<Bytes, Refusal> {
    let mut document = BytesMut::new();
    while let Some(chunk) = next_chunk(body).await? {
        if document.len() + chunk.len() > MAX_DOCUMENT_BYTES {
            return Err(Refusal::DocumentTooLong);
        }
        document.extend_from_slice(&chunk);
    }
    if md5.is_some_and(|md5| md5 != <[u8; 16]>::from(Md5::digest(&document))) {
        return Err(Refusal::WrongDigest);
    }
    Ok(document.freeze())
}

/// The next bytes of a body, `None` at its end. An end that comes too early is an error.
pub(super) async fn next_chunk(body: &mut HttpBody) -> Result<Option<Bytes>, Refusal> {
    loop {
        let Some(frame) = body.frame().await else { return Ok(None) };
        let frame = frame.map_err(|_| Refusal::IncompleteBody)?;
        if let Ok(bytes) = frame.into_data() {
            return Ok(Some(bytes));
        }
    }
}
