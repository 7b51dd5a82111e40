//! Tencent Cloud COS, XML API: requests, answers, limits. The signature is in `sign`, the meaning of
//! error codes in `codes`, names and endpoint in `place`.

mod codes;
mod place;
mod sign;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use md5::{Digest, Md5};
use reqsign_core::hash::base64_encode;

use crate::dialect::answers::{self, Flaw};
use crate::dialect::failure::Failure;
use crate::dialect::request::{Draft, Site};
use crate::dialect::{
    ConnectError, ContentHead, Credentials, Dialect, Stored, encode, headers, xml,
};
use crate::http::Answer;
use crate::store::{
    ByteRange, Checksum, ChecksumKind, CopyOptions, ETag, ErrorKind, Key, Limits, ListPage,
    ListRequest, Metadata, ObjectInfo, ObjectVersion, PartNumber, PartReceipt, PartsPage, Payload,
    PutOptions, Upload, UploadCursor, UploadId, UploadsPage,
};

use place::Place;
use sign::Signer;

const GIB: u64 = 1 << 30;

/// Limits of COS (its pages "Specifications and Limits", "Object Overview", PUT Object, Upload Part).
const LIMITS: Limits = Limits {
    part_min_bytes: 1 << 20,
    part_max_bytes: 5 * GIB,
    parts_max: 10_000,
    first_part_number: 1,
    put_bytes: 5 * GIB,
    object_bytes: 10_000 * 5 * GIB,
    copy_bytes: 5 * GIB,
    key_bytes: 850,
    metadata_bytes: 2048,
    delete_batch: 1000,
    list_page: 1000,
    checksum: Some(ChecksumKind::Crc64Xz),
    create_only: true,
};

const CRC: &str = "x-cos-hash-crc64ecma";
const META: &str = "x-cos-meta-";
const COPY_SOURCE: HeaderName = HeaderName::from_static("x-cos-copy-source");
const COPY_RANGE: HeaderName = HeaderName::from_static("x-cos-copy-source-range");
const COPY_IF_MATCH: HeaderName = HeaderName::from_static("x-cos-copy-source-if-match");
const DIRECTIVE: HeaderName = HeaderName::from_static("x-cos-metadata-directive");
const FORBID_OVERWRITE: HeaderName = HeaderName::from_static("x-cos-forbid-overwrite");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// One bucket of COS.
#[derive(Debug)]
pub(crate) struct Cos {
    place: Place,
    signer: Signer,
}

impl Cos {
    pub(crate) fn new(
        bucket: String,
        endpoint: Option<&str>,
        region: Option<&str>,
        credentials: Credentials,
    ) -> Result<Self, ConnectError> {
        let place = Place::new(bucket, endpoint, region)?;
        Ok(Self { place, signer: Signer::new(credentials) })
    }

    fn copy_source(&self, from: &Key) -> String {
        format!("{}/{}", self.place.copy_source, encode::copy_source(from.as_str()))
    }
}

#[async_trait]
impl Dialect for Cos {
    fn limits(&self) -> &Limits {
        &LIMITS
    }

    fn site(&self) -> &Site {
        &self.place.site
    }

    fn check_key(&self, key: &Key) -> Result<(), String> {
        let text = key.as_str();
        if text.len() > LIMITS.key_bytes {
            Err(format!("a key of {} bytes; COS takes {}", text.len(), LIMITS.key_bytes))
        } else if text.starts_with(['/', '\\']) {
            Err("COS takes no key that begins with / or \\".to_owned())
        } else if text.bytes().any(|byte| matches!(byte, 24..=27)) {
            Err("COS takes no key with the control characters 24 to 27".to_owned())
        } else if encode::path(text).is_none() {
            Err("no URL can express this key".to_owned())
        } else {
            Ok(())
        }
    }

    fn deletes_in_batch(&self, key: &Key) -> bool {
        xml::can_carry(key.as_str())
    }

    fn head(&self, key: &Key) -> Result<Draft, Failure> {
        Draft::object(Method::HEAD, key.as_str())
    }

    fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        if_match: Option<&ETag>,
    ) -> Result<Draft, Failure> {
        let mut draft = Draft::object(Method::GET, key.as_str())?;
        if let Some(range) = range {
            headers::set(&mut draft.headers, header::RANGE, &range.to_string())?;
        }
        if let Some(etag) = if_match {
            headers::set(&mut draft.headers, header::IF_MATCH, &etag.quoted())?;
        }
        Ok(draft)
    }

    fn list(&self, request: &ListRequest) -> Draft {
        let most = match request.max_entries {
            0 => LIMITS.list_page,
            asked => asked.min(LIMITS.list_page),
        };
        let mut draft = Draft::bucket(Method::GET).with("encoding-type", "url");
        if !request.prefix.is_empty() {
            draft = draft.with("prefix", &*request.prefix);
        }
        if request.by_directory {
            draft = draft.with("delimiter", "/");
        }
        if let Some(after) = &request.after {
            draft = draft.with("marker", &**after);
        }
        draft.with("max-keys", most.to_string())
    }

    fn put(&self, key: &Key, payload: Payload, options: &PutOptions) -> Result<Draft, Failure> {
        let mut draft = Draft::object(Method::PUT, key.as_str())?.body(payload);
        set_options(&mut draft.headers, options)?;
        Ok(draft)
    }

    fn delete(&self, key: &Key) -> Result<Draft, Failure> {
        Draft::object(Method::DELETE, key.as_str())
    }

    fn delete_many(&self, keys: &[&Key]) -> Result<Draft, Failure> {
        let mut body = "<Delete><Quiet>true</Quiet>".to_owned();
        for key in keys {
            body.push_str("<Object><Key>");
            xml::escape(key.as_str(), &mut body);
            body.push_str("</Key></Object>");
        }
        body.push_str("</Delete>");
        document(Draft::bucket(Method::POST).flag("delete"), body)
    }

    fn copy(&self, from: &Key, to: &Key, options: &CopyOptions) -> Result<Draft, Failure> {
        let mut draft = Draft::object(Method::PUT, to.as_str())?;
        let headers = &mut draft.headers;
        headers::set(headers, COPY_SOURCE, &self.copy_source(from))?;
        if let Some(ObjectVersion { etag, .. }) = &options.if_match {
            headers::set(headers, COPY_IF_MATCH, &etag.quoted())?;
        }
        match &options.replace {
            // Not "Replace": COS has its own word.
            Some(replace) => {
                headers::set(headers, DIRECTIVE, "Replaced")?;
                set_options(headers, replace)?;
            }
            None => headers::set(headers, DIRECTIVE, "Copy")?,
        }
        Ok(draft)
    }

    fn start_upload(&self, key: &Key, options: &PutOptions) -> Result<Draft, Failure> {
        let mut draft = Draft::object(Method::POST, key.as_str())?.flag("uploads");
        set_options(&mut draft.headers, options)?;
        Ok(draft)
    }

    fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> Result<Draft, Failure> {
        Ok(part_draft(upload, number)?.body(payload))
    }

    fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        if_match: Option<&ETag>,
    ) -> Result<Draft, Failure> {
        let mut draft = part_draft(upload, number)?;
        let headers = &mut draft.headers;
        headers::set(headers, COPY_SOURCE, &self.copy_source(from))?;
        if let Some(range) = range {
            headers::set(headers, COPY_RANGE, &range.to_string())?;
        }
        if let Some(etag) = if_match {
            headers::set(headers, COPY_IF_MATCH, &etag.quoted())?;
        }
        Ok(draft)
    }

    fn complete_upload(&self, upload: &Upload, parts: &[PartReceipt]) -> Result<Draft, Failure> {
        let mut body = "<CompleteMultipartUpload>".to_owned();
        for part in parts {
            body.push_str(&format!("<Part><PartNumber>{}</PartNumber><ETag>", part.number));
            xml::escape(&part.etag.quoted(), &mut body);
            body.push_str("</ETag></Part>");
        }
        body.push_str("</CompleteMultipartUpload>");
        let draft = Draft::object(Method::POST, upload.key.as_str())?;
        document(draft.with("uploadId", upload.id.as_str()), body)
    }

    fn abort_upload(&self, upload: &Upload) -> Result<Draft, Failure> {
        let draft = Draft::object(Method::DELETE, upload.key.as_str())?;
        Ok(draft.with("uploadId", upload.id.as_str()))
    }

    fn list_parts(&self, upload: &Upload, after: Option<PartNumber>) -> Result<Draft, Failure> {
        let mut draft = Draft::object(Method::GET, upload.key.as_str())?
            .with("uploadId", upload.id.as_str())
            .with("encoding-type", "url")
            .with("max-parts", "1000");
        if let Some(after) = after {
            draft = draft.with("part-number-marker", after.to_string());
        }
        Ok(draft)
    }

    fn list_uploads(&self, prefix: &str, after: Option<&UploadCursor>) -> Draft {
        let mut draft = Draft::bucket(Method::GET)
            .flag("uploads")
            .with("encoding-type", "url")
            .with("max-uploads", "1000");
        if !prefix.is_empty() {
            draft = draft.with("prefix", prefix);
        }
        if let Some(after) = after {
            draft =
                draft.with("key-marker", &*after.key).with("upload-id-marker", &*after.upload_id);
        }
        draft
    }

    async fn sign(&self, head: &mut Parts) -> Result<(), Failure> {
        self.signer.sign(head).await
    }

    fn read_head(&self, answer: &Answer) -> Result<ObjectInfo, Failure> {
        let headers = &answer.headers;
        let size = headers::decimal(headers, "content-length")?
            .ok_or_else(|| Failure::garbled("an object without Content-Length"))?;
        Ok(ObjectInfo {
            version: ObjectVersion { etag: headers::etag(headers)?, size },
            last_modified: headers::last_modified(headers)?,
            checksum: checksum(headers)?,
            metadata: read_metadata(headers),
            content_type: headers::only(headers, "content-type")?.map(str::to_owned),
            storage_class: headers::only(headers, "x-cos-storage-class")?
                .filter(|class| !class.eq_ignore_ascii_case("STANDARD"))
                .map(str::to_owned),
        })
    }

    fn read_content(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        range: Option<ByteRange>,
    ) -> Result<ContentHead, Failure> {
        let etag = headers::etag(headers)?;
        let announced = headers::decimal(headers, "content-length")?;
        let (start, len, size) = match (range, status) {
            (None, StatusCode::OK) => {
                let size = announced
                    .ok_or_else(|| Failure::garbled("an object without Content-Length"))?;
                (0, size, size)
            }
            (Some(asked), StatusCode::PARTIAL_CONTENT) => {
                let (got, size) = headers::content_range(headers)?;
                if ByteRange::new(asked.start(), asked.end().min(size)) != Some(got) {
                    return Err(Failure::garbled(format!(
                        "{got} of {size} bytes where {asked} was asked for"
                    )));
                }
                (got.start(), got.len(), size)
            }
            // No range lies in an empty object; a service may say so with the empty object.
            (Some(_), StatusCode::OK) if announced == Some(0) => {
                return Err(Failure::new(
                    ErrorKind::InvalidRange,
                    crate::dialect::failure::Repeat::Never,
                    "the object is empty",
                ));
            }
            (Some(_), _) => {
                return Err(Failure::garbled("the whole object where a range was asked for"));
            }
            (None, _) => {
                return Err(Failure::garbled("a range where the whole object was asked for"));
            }
        };
        if announced.is_some_and(|announced| announced != len) {
            return Err(Failure::garbled("Content-Length and Content-Range differ"));
        }
        let version = ObjectVersion { etag, size };
        Ok(ContentHead { version, start, len, checksum: checksum(headers)? })
    }

    fn read_list(&self, answer: &Answer, request: &ListRequest) -> Result<ListPage, Failure> {
        answers::list(&answer.whole_body(), request).map_err(flaw)
    }

    fn read_stored(&self, answer: &Answer) -> Result<Stored, Failure> {
        // The body of a good answer is empty. An error in it counts, whatever the status says.
        if let Some(error) = answers::service_error(&answer.whole_body()) {
            return Err(flaw(Flaw::Error(error)));
        }
        stored(headers::etag(&answer.headers)?, answer)
    }

    fn read_delete_many(&self, answer: &Answer) -> Result<Vec<(String, Failure)>, Failure> {
        let failed = answers::not_deleted(&answer.whole_body()).map_err(flaw)?;
        Ok(failed.into_iter().map(|(key, error)| (key, flaw(Flaw::Error(error)))).collect())
    }

    fn read_copy(&self, answer: &Answer) -> Result<Stored, Failure> {
        stored(answers::copied(&answer.whole_body()).map_err(flaw)?, answer)
    }

    fn read_upload_id(&self, answer: &Answer) -> Result<UploadId, Failure> {
        answers::upload_id(&answer.whole_body()).map_err(flaw)
    }

    fn read_copy_part(&self, answer: &Answer) -> Result<Stored, Failure> {
        stored(answers::part_copied(&answer.whole_body()).map_err(flaw)?, answer)
    }

    fn read_complete(&self, answer: &Answer) -> Result<Stored, Failure> {
        stored(answers::completed(&answer.whole_body()).map_err(flaw)?, answer)
    }

    fn read_parts(&self, answer: &Answer, after: Option<PartNumber>) -> Result<PartsPage, Failure> {
        answers::parts(&answer.whole_body(), after).map_err(flaw)
    }

    fn read_uploads(
        &self,
        answer: &Answer,
        prefix: &str,
        after: Option<&UploadCursor>,
    ) -> Result<UploadsPage, Failure> {
        answers::uploads(&answer.whole_body(), prefix, after).map_err(flaw)
    }

    fn failure(&self, answer: &Answer) -> Failure {
        codes::failure(answer.status.as_u16(), answers::service_error(&answer.whole_body()))
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers.get("x-cos-request-id")?.to_str().ok()
    }
}

fn flaw(flaw: Flaw) -> Failure {
    match flaw {
        Flaw::Garbled(what) => Failure::garbled(what),
        Flaw::Error(error) => codes::failure(200, Some(error)),
    }
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Failure> {
    let value = headers::decimal(headers, CRC)?;
    Ok(value.map(|value| Checksum { kind: ChecksumKind::Crc64Xz, value }))
}

fn stored(etag: ETag, answer: &Answer) -> Result<Stored, Failure> {
    Ok(Stored { etag, checksum: checksum(&answer.headers)? })
}

fn part_draft(upload: &Upload, number: PartNumber) -> Result<Draft, Failure> {
    Ok(Draft::object(Method::PUT, upload.key.as_str())?
        .with("partNumber", number.to_string())
        .with("uploadId", upload.id.as_str()))
}

/// A request with an XML body, protected by its MD5 (required for multi-delete, allowed elsewhere).
fn document(draft: Draft, body: String) -> Result<Draft, Failure> {
    let digest = base64_encode(&Md5::digest(body.as_bytes()));
    let mut draft = draft.body(body.into_bytes());
    headers::set(&mut draft.headers, header::CONTENT_TYPE, "application/xml")?;
    headers::set(&mut draft.headers, CONTENT_MD5, &digest)?;
    Ok(draft)
}

fn set_options(headers: &mut HeaderMap, options: &PutOptions) -> Result<(), Failure> {
    if let Some(content_type) = &options.content_type {
        headers::set(headers, header::CONTENT_TYPE, content_type)?;
    }
    if options.create_only {
        headers::set(headers, FORBID_OVERWRITE, "true")?;
    }
    set_metadata(headers, &options.metadata)
}

fn set_metadata(headers: &mut HeaderMap, metadata: &Metadata) -> Result<(), Failure> {
    let mut bytes = 0;
    for (name, value) in metadata.iter() {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let header = HeaderName::try_from(format!("{META}{name}"))
            .ok()
            .filter(|_| !name.is_empty() && name.bytes().all(allowed))
            .ok_or_else(|| {
                Failure::unsayable(format!("COS takes no metadata entry named {name:?}"))
            })?;
        let value = encode::metadata(value);
        bytes += name.len() + value.len();
        headers::set(headers, header, &value)?;
    }
    if bytes > LIMITS.metadata_bytes {
        let most = LIMITS.metadata_bytes;
        return Err(Failure::unsayable(format!("{bytes} bytes of metadata; COS takes {most}")));
    }
    Ok(())
}

/// Entries that others wrote may be anything; a strange one must not make its object unreadable.
fn read_metadata(headers: &HeaderMap) -> Metadata {
    let entries = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(META).filter(|name| !name.is_empty())?;
        let value = String::from_utf8_lossy(value.as_bytes());
        Some((name, encode::metadata_read(value.trim())))
    });
    entries.collect()
}

#[cfg(test)]
#[path = "cos_tests.rs"]
mod tests;
