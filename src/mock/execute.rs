//! What a call does to the bucket. Reads bodies; knows no service but by its
//! rules and by having documents read.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};

use super::arriving::{Arriving, DigestCheck};
use super::calls::{
    Call, ListCall, ListPartsCall, ListUploadsCall, Outcome, Reading, Removable, Stated,
};
use super::complete::complete;
use super::refusal::Refusal;
use super::request::Request;
use super::{Service, base64, encryption};
use crate::store::memory::{
    Body, BucketError, ListQuery, MemoryBucket, Object, Properties, UploadsQuery,
};
use crate::store::{ETag, Key, Replaces};

/// Longest XML document: 10,000 parts or 1000 long keys fit.
const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// How long a restored object can be read.
const RESTORED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Carries a call out. A body that does not arrive whole changes nothing.
pub(super) async fn execute(
    service: &Service,
    call: Call,
    request: &Request,
    body: &mut Arriving<'_>,
) -> Result<Outcome, Refusal> {
    let bucket = &service.bucket;
    let rules = service.voice.rules();
    Ok(match call {
        Call::HeadBucket => Outcome::BucketThere,
        Call::List(call) => list(bucket, call),
        Call::ListUploads(call) => list_uploads(bucket, call),
        Call::ListParts(call) => list_parts(bucket, call)?,
        Call::DeleteMany { stated } => {
            let document = document(body, &stated).await?;
            let (keys, quiet) = service.voice.key_list(&document, &service.config())?;
            delete_many(bucket, keys, quiet).await
        }
        Call::Location => Outcome::Located,
        Call::GetAcl { key } => Outcome::Acl(bucket.head(&key)?),
        Call::PutAcl { key, headers } => {
            bucket.amend(&key, |properties| properties.headers.extend(headers)).await?;
            Outcome::AclStored
        }
        Call::Restore { key } => restore(service, &key, body).await?,
        Call::Head(reading) => {
            let object = bucket.head(&reading.key)?;
            if rules.key_for_head || reading.key_md5.is_some() {
                encryption::check(&object.properties, reading.key_md5.as_deref())?;
            }
            reading.conditions.check(&object)?;
            Outcome::Described(object)
        }
        Call::Get { reading, range, overrides } => {
            let object = read(service, &reading)?;
            let range = match range.map(|range| range.resolve(object.size())).transpose() {
                Err(Refusal::InvalidRange(_)) if service.voice.ignores_bad_ranges(request) => None,
                range => range?,
            };
            Outcome::Content { object, range, overrides }
        }
        Call::Put { key, making, stated } => {
            let (mut properties, guard) = (making.properties, making.guard);
            let mut body = receive(service, request, body, &stated).await?;
            if let Some(md5) = body.md5.filter(|_| rules.keeps_md5) {
                properties.headers.insert("content-md5".to_owned(), base64::encode(&md5));
            }
            properties.headers.append(&mut body.stated);
            if encryption::hides_etag(&properties) {
                body.md5 = None;
            }
            Outcome::Stored(bucket.put(&key, body, properties, guard).await?)
        }
        Call::Append { key, position, making, stated } => {
            let body = receive(service, request, body, &stated).await?;
            at_most(position.saturating_add(body.blob.len()), rules.append_bytes)?;
            Outcome::Appended(bucket.append(&key, position, body, making.properties).await?)
        }
        Call::Copy { key, source, making, replace } => {
            let source = source_of(service, &source, rules.copy_not_modified)?;
            at_most(source.size(), rules.copy_bytes)?;
            let mut source = Object::clone(&source);
            let mut properties = making.properties;
            if !replace {
                inherit(&mut properties, &source.properties);
            }
            if encryption::hides_etag(&properties) {
                // The bucket carries no ETag with a hyphen over a copy.
                source.etag = ETag::new(&format!("{}-", source.etag.as_str()));
            }
            Outcome::Copied(bucket.copy(&source, &key, Some(properties), making.guard).await?)
        }
        Call::Rename { key, source } => {
            // Nothing is read: it needs neither the client's key nor to be restored.
            let object = bucket.head(&source.key).map_err(|_| Refusal::NoSuchCopySource)?;
            source.conditions.check(&object).map_err(|_| Refusal::PreconditionFailed)?;
            bucket.rename(&object, &key).await?;
            Outcome::Renamed
        }
        Call::Delete { key, only } => {
            remove(bucket, &key, only).await?;
            Outcome::Deleted
        }
        Call::StartUpload { key, making } => {
            let (properties, create_only) = (making.properties, making.guard.is_nothing());
            let started = bucket.start_upload(&key, properties.clone(), create_only)?;
            Outcome::UploadStarted(started, properties)
        }
        Call::PutPart { upload, number, key_md5, stated } => {
            // An id that is unknown now need not wait for the body.
            let open = bucket.upload(&upload)?;
            encryption::check(&open.properties, key_md5.as_deref())?;
            let mut body = receive(service, request, body, &stated).await?;
            if encryption::hides_etag(&open.properties) {
                body.md5 = None;
            }
            Outcome::PartStored(bucket.put_part(&upload, number, body)?)
        }
        Call::CopyPart { upload, number, key_md5, source, range } => {
            let open = bucket.upload(&upload)?;
            encryption::check(&open.properties, key_md5.as_deref())?;
            let source = source_of(service, &source, false)?;
            let range = match range {
                Some(range) if range.end() > source.size() => match rules.bad_ranges_copy_all {
                    true => None,
                    false => return Err(Refusal::InvalidRange(source.size())),
                },
                range => range,
            };
            let small = service.config().part_min_bytes.unwrap_or(rules.part_min_bytes);
            if rules.ranges_of_large_only && range.is_some() && source.size() <= small {
                return Err(Refusal::Contradiction(
                    "The specified copy source is not supported as a byte-range copy source",
                ));
            }
            at_most(range.map_or(source.size(), |range| range.len()), rules.put_bytes)?;
            let part = bucket.copy_part(&upload, number, &source, range).await?;
            let range = range.map(|range| (range.start(), range.end()));
            Outcome::PartCopied { part, range, source: source.size() }
        }
        Call::Complete(completing) => complete(service, completing, body).await?,
        Call::Abort { upload } => match bucket.abort_upload(&upload).await {
            Err(BucketError::NoSuchUpload) if rules.abort_repeatable => Outcome::Deleted,
            done => done.map(|()| Outcome::Deleted)?,
        },
    })
}

fn at_most(bytes: u64, limit: u64) -> Result<(), Refusal> {
    if bytes > limit { Err(Refusal::TooLarge) } else { Ok(()) }
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

async fn delete_many(
    bucket: &Arc<MemoryBucket>,
    keys: Vec<(Key, Removable)>,
    quiet: bool,
) -> Outcome {
    let mut results = Vec::with_capacity(keys.len());
    for (key, only) in keys {
        let failure = remove(bucket, &key, only).await.err();
        results.push((key, failure));
    }
    Outcome::DeletedMany { quiet, results }
}

/// Compares and removes in one step, so that nobody comes between.
async fn remove(bucket: &Arc<MemoryBucket>, key: &Key, only: Removable) -> Result<(), Refusal> {
    let removed = match only {
        Removable::Version(etag) => bucket.delete_if(key, &Replaces::Version(etag)).await?,
        Removable::Existing => bucket.delete(key).await?,
        Removable::Anything => bucket.delete(key).await.map(|_| true)?,
    };
    if removed { Ok(()) } else { Err(Refusal::NoSuchKey) }
}

/// The object to be read, if it may be.
fn read(service: &Service, reading: &Reading) -> Result<Arc<Object>, Refusal> {
    let object = service.bucket.head(&reading.key)?;
    encryption::check(&object.properties, reading.key_md5.as_deref())?;
    reading.conditions.check(&object)?;
    match archived(service, &object) {
        Some(class) if !is_restored(&object) => Err(Refusal::Frozen(class.to_owned())),
        _ => Ok(object),
    }
}

/// The source of a copy, if it may be read. A condition that fails is a failed precondition, unless
/// `not_modified` lets it be what it is for a GET.
fn source_of(
    service: &Service,
    reading: &Reading,
    not_modified: bool,
) -> Result<Arc<Object>, Refusal> {
    let source = read(service, reading).map_err(|refusal| match refusal {
        Refusal::NoSuchKey => Refusal::NoSuchCopySource,
        Refusal::NotModified if !not_modified => Refusal::PreconditionFailed,
        other => other,
    })?;
    let refused = !service.voice.rules().copies_appended && service.config().appended_not_copied;
    if refused && source.properties.appendable {
        return Err(Refusal::AppendedSource);
    }
    Ok(source)
}

/// A copy has the metadata of its source, and says itself how it is stored and who may read it.
fn inherit(properties: &mut Properties, source: &Properties) {
    properties.content_type.clone_from(&source.content_type);
    properties.metadata = source.metadata.clone();
    let standard = source.headers.iter().filter(|(name, _)| !name.starts_with("x-"));
    properties.headers.extend(standard.map(|(name, value)| (name.clone(), value.clone())));
}

/// The class of an object that needs restoring.
fn archived<'a>(service: &Service, object: &'a Object) -> Option<&'a str> {
    let class = object.properties.storage_class.as_deref()?;
    service.voice.rules().archives.contains(&class).then_some(class)
}

fn is_restored(object: &Object) -> bool {
    object.properties.headers.keys().any(|name| name.ends_with("-restore"))
}

/// Restores at once, for a day.
async fn restore(
    service: &Service,
    key: &Key,
    body: &mut Arriving<'_>,
) -> Result<Outcome, Refusal> {
    document(body, &Stated::default()).await?;
    let object = service.bucket.head(key)?;
    archived(service, &object).ok_or(Refusal::NotArchived)?;
    let before = is_restored(&object);
    let until = httpdate::fmt_http_date(service.clock.now() + RESTORED_FOR);
    let name = service.voice.rules().restore_header;
    let value = format!("ongoing-request=\"false\", expiry-date=\"{until}\"");
    let change = move |properties: &mut Properties| {
        properties.headers.insert(name.to_owned(), value);
    };
    service.bucket.amend(key, change).await?;
    Ok(Outcome::Restored { before })
}

/// Takes the bytes of an object or part in, as they come, without copying them.
async fn receive(
    service: &Service,
    request: &Request,
    body: &mut Arriving<'_>,
    stated: &Stated,
) -> Result<Body, Refusal> {
    let rules = service.voice.rules();
    let announced = request.header("content-length").and_then(|length| length.parse().ok());
    if announced.is_none() && request.header("transfer-encoding").is_none() {
        return Err(Refusal::NoLength);
    }
    at_most(announced.unwrap_or(0), rules.put_bytes)?;
    let mut incoming = service.bucket.incoming(stated.md5.is_some() || rules.keeps_md5).await?;
    let mut digest = DigestCheck::new(stated);
    while let Some(chunk) = body.next().await? {
        digest.update(&chunk);
        incoming.push(chunk).await.map_err(BucketError::from)?;
        at_most(incoming.len(), rules.put_bytes)?;
    }
    let trailers = body.finish()?;
    let mut received = incoming.finish().await.map_err(BucketError::from)?;
    if stated.md5.is_some() && stated.md5 != received.md5 {
        return Err(Refusal::WrongDigest);
    }
    let digest = digest.finish(&trailers)?;
    received.stated.extend(digest.map(|(kind, value)| (kind.header().to_owned(), value)));
    Ok(received)
}

/// Reads a document whole.
pub(super) async fn document(body: &mut Arriving<'_>, stated: &Stated) -> Result<Bytes, Refusal> {
    let mut document = BytesMut::new();
    while let Some(chunk) = body.next().await? {
        if document.len() + chunk.len() > MAX_DOCUMENT_BYTES {
            return Err(Refusal::DocumentTooLong);
        }
        document.extend_from_slice(&chunk);
    }
    let trailers = body.finish()?;
    if stated.md5.is_some_and(|md5| md5 != <[u8; 16]>::from(Md5::digest(&document))) {
        return Err(Refusal::WrongDigest);
    }
    let mut digest = DigestCheck::new(stated);
    digest.update(&document);
    digest.finish(&trailers)?;
    Ok(document.freeze())
}
