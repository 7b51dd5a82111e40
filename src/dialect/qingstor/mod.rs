//! QingStor by its own API: what it has, its requests and what its answers mean. JSON is written in
//! `bodies` and read in `answers`, error codes are in `codes`, the signature is in `sign`, names and
//! endpoint are in `place`.

mod answers;
mod bodies;
mod codes;
mod place;
mod sign;

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use md5::{Digest, Md5};

use crate::dialect::answer_head::{content_head, object_info};
use crate::dialect::failure::Failure;
use crate::dialect::properties::{Applied, Encryption, EncryptionNames, PropertyRules};
use crate::dialect::request::{Draft, Site};
use crate::dialect::{
    Appending, Completed, ConnectError, Connection, ContentHead, Credentials, Dialect, Stored,
    conditions, encode, headers,
};
use crate::http::Answer;
use crate::store::{
    AppendLimits, ByteRange, Conditions, CopyOptions, ETag, Expected, Key, Limits, ListPage,
    ListRequest, ObjectInfo, Operation, PartNumber, PartReceipt, PartsPage, Payload, PutOptions,
    Upload, UploadId, UploadsPage, UploadsRequest,
};

use answers::Deletions;
use place::Place;
use sign::Signer;

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Limits of QingStor (its pages "Overview", PUT Object, Append Object, Upload Multipart, Delete Multiple
/// Objects). Whether a move has the limit of a copy, and how long a page of a listing may be, is
/// unverified.
const LIMITS: Limits = Limits {
    part_min_bytes: 4 << 20,
    part_max_bytes: 5 * GIB,
    parts_max: 10_000,
    first_part_number: 0,
    put_bytes: 5 * GIB,
    object_bytes: 10_000 * 5 * GIB,
    copy_bytes: 5 * GIB,
    range_copy_min_source_bytes: 1,
    key_bytes: 1023,
    metadata_bytes: 2048,
    delete_batch: 1000,
    list_page: 1000,
    checksum: None,
    create_only: false,
    compare_and_swap: false,
    mixed_part_conditions: true,
    archive_classes: &[],
    rename: true,
    append: Some(AppendLimits { call_bytes: 5 * GIB, object_bytes: 50 * TIB, copied: true }),
};

/// Properties of objects (QingStor, PUT Object, Object Metadata, Encryption).
const RULES: PropertyRules = PropertyRules {
    service: "QingStor",
    prefix: "x-qs-",
    metadata_bytes: LIMITS.metadata_bytes,
    storage_classes: &["STANDARD", "STANDARD_IA"],
    acl: None,
    grants: false,
    traffic_limit_bits: None,
    requester_pays: None,
    encryption: EncryptionNames {
        service_key: None,
        kms: None,
        kms_context: None,
        customer: Some(("x-qs-encryption-customer", "x-qs-copy-source-encryption-customer")),
    },
};

const REQUEST_ID: &str = "x-qs-request-id";
const NEXT_POSITION: &str = "x-qs-next-append-position";
const COPY_SOURCE: HeaderName = HeaderName::from_static("x-qs-copy-source");
/// What the conditions on the source of a copy begin with.
const COPY_CONDITIONS: &str = "x-qs-copy-source-";
const COPY_RANGE: HeaderName = HeaderName::from_static("x-qs-copy-range");
const MOVE_SOURCE: HeaderName = HeaderName::from_static("x-qs-move-source");
const DIRECTIVE: HeaderName = HeaderName::from_static("x-qs-metadata-directive");

/// One bucket of QingStor.
#[derive(Debug)]
pub(crate) struct QingStor {
    place: Place,
    signer: Signer,
    applied: Applied,
    limits: Limits,
    /// Whether objects are encrypted, so that no ETag is known to be an MD5.
    encrypted: bool,
}

impl QingStor {
    /// Looks at what the connection says of the bucket and of new objects.
    pub(crate) fn new(connection: &Connection) -> Result<Self, ConnectError> {
        let Connection { bucket, endpoint, region: zone, path_style, .. } = connection;
        let properties = connection.properties.clone();
        if properties.headers.content_language.is_some() {
            let (service, option) = (RULES.service, "content_language");
            return Err(ConnectError::LacksOption { service, option });
        }
        let place = Place::new(bucket, endpoint.as_deref(), zone.as_deref(), *path_style)?;
        let signer = Signer::new(if place.path_style { "" } else { &place.bucket_path });
        let encrypted = matches!(properties.encryption, Encryption::CustomerKey(_));
        // QingStor, Encryption: an encrypted object cannot be appended to.
        let append = LIMITS.append.filter(|_| !encrypted);
        let applied = Applied::new(properties, &RULES)?;
        Ok(Self { place, signer, applied, limits: Limits { append, ..LIMITS }, encrypted })
    }

    fn on_bucket(&self, method: Method) -> Draft {
        let mut draft = Draft::bucket(method);
        if self.place.path_style {
            draft.path = self.place.bucket_path.clone();
        }
        draft
    }

    fn on_object(&self, method: Method, key: &Key) -> Result<Draft, Failure> {
        let mut draft = Draft::object(method, key.as_str())?;
        if self.place.path_style {
            draft.path.insert_str(0, &self.place.bucket_path);
        }
        Ok(draft)
    }

    fn on_part(&self, upload: &Upload, number: PartNumber) -> Result<Draft, Failure> {
        let mut draft = self
            .on_object(Method::PUT, &upload.key)?
            .with("part_number", answers::on_wire(number).to_string())
            .with("upload_id", upload.id.as_str());
        self.applied.customer_key(&mut draft.headers)?;
        Ok(draft)
    }

    fn new_object(
        &self,
        draft: &mut Draft,
        key: &Key,
        options: &PutOptions,
    ) -> Result<(), Failure> {
        draft.headers.extend(self.applied.new_object(key.as_str(), options)?);
        Ok(())
    }

    fn source(&self, key: &Key) -> String {
        format!("{}/{}", self.place.bucket_path, encode::copy_source(key.as_str()))
    }

    fn copy_source(
        &self,
        headers: &mut HeaderMap,
        from: &Key,
        conditions: &Conditions,
    ) -> Result<(), Failure> {
        headers::set(headers, COPY_SOURCE, &self.source(from))?;
        conditions::set(headers, COPY_CONDITIONS, conditions)?;
        self.applied.source_key(headers)
    }
}

/// The ETag that an upload gets from us, because the service makes none: of the ETags of its parts,
/// and its id, so that no other upload of the same bytes has it.
fn etag_of(upload: &Upload, parts: &[PartReceipt]) -> ETag {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part.etag.as_str().to_ascii_lowercase());
    }
    md5.update(upload.id.as_str());
    let hex: String = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    ETag::new(&hex)
}

/// The good answers to PUT and the like have no body: one that has is not the service's.
fn no_body(answer: &Answer) -> Result<(), Failure> {
    if answer.whole_body().trim_ascii().is_empty() {
        Ok(())
    } else {
        Err(Failure::garbled("a document where none was due"))
    }
}

/// The ETag of an answer that may have none.
fn optional_etag(answer: &Answer) -> Result<Option<ETag>, Failure> {
    let present = answer.headers.contains_key(header::ETAG);
    present.then(|| headers::etag(&answer.headers)).transpose()
}

#[async_trait]
impl Dialect for QingStor {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn site(&self) -> &Site {
        &self.place.site
    }

    fn check_key(&self, key: &Key) -> Result<(), String> {
        let text = key.as_str();
        if text.len() > LIMITS.key_bytes {
            Err(format!("a key of {} bytes; QingStor takes {}", text.len(), LIMITS.key_bytes))
        } else if encode::path(text).is_none() {
            Err("no URL can express this key".to_owned())
        } else if text.starts_with('/') {
            Err("QingStor takes no key that begins with /".to_owned())
        } else {
            Ok(())
        }
    }

    fn deletes_in_batch(&self, _key: &Key) -> bool {
        true
    }

    fn success(&self, operation: Operation) -> &'static [StatusCode] {
        match operation {
            Operation::Get => &[StatusCode::OK, StatusCode::PARTIAL_CONTENT],
            Operation::Delete | Operation::AbortUpload => &[StatusCode::NO_CONTENT],
            Operation::Rename => &[StatusCode::CREATED],
            Operation::Put
            | Operation::Copy
            | Operation::PutPart
            | Operation::CopyPart
            | Operation::CompleteUpload => &[StatusCode::CREATED, StatusCode::OK],
            _ => &[StatusCode::OK],
        }
    }

    fn wants_md5(&self, operation: Operation) -> bool {
        // There is no other checksum.
        let content = [Operation::Put, Operation::PutPart, Operation::Append];
        content.contains(&operation)
            || operation == Operation::DeleteMany
            || self.applied.content_md5()
    }

    fn etags_are_md5(&self) -> bool {
        !self.encrypted
    }

    fn predicted_etag(&self, upload: &Upload, parts: &[PartReceipt]) -> Option<ETag> {
        Some(etag_of(upload, parts))
    }

    fn refuses_appends_alike(&self) -> bool {
        true
    }

    fn tells_of_copies(&self) -> bool {
        // Status 201 without a document, as for every PUT.
        false
    }

    fn copies_onto_itself(&self) -> bool {
        false
    }

    fn head(&self, key: &Key, conditions: &Conditions) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::HEAD, key)?;
        conditions::set(&mut draft.headers, "", conditions)?;
        self.applied.customer_key(&mut draft.headers)?;
        Ok(draft)
    }

    fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::GET, key)?;
        if let Some(range) = range {
            headers::set(&mut draft.headers, header::RANGE, &range.to_string())?;
        }
        conditions::set(&mut draft.headers, "", conditions)?;
        self.applied.customer_key(&mut draft.headers)?;
        Ok(draft)
    }

    fn list(&self, request: &ListRequest) -> Result<Draft, Failure> {
        let most = match request.max_entries {
            0 => LIMITS.list_page,
            asked => asked.min(LIMITS.list_page),
        };
        Ok(self.on_bucket(Method::GET).with("limit", most.to_string()).objects(request))
    }

    fn put(&self, key: &Key, payload: Payload, options: &PutOptions) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::PUT, key)?;
        self.new_object(&mut draft, key, options)?;
        Ok(draft.body(payload))
    }

    fn delete(&self, key: &Key, _version: Option<&ETag>) -> Result<Draft, Failure> {
        self.on_object(Method::DELETE, key)
    }

    fn delete_many(&self, keys: &[&Key]) -> Result<Draft, Failure> {
        bodies::delete(self.on_bucket(Method::POST).flag("delete"), keys)
    }

    fn copy(&self, from: &Key, to: &Key, options: &CopyOptions) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::PUT, to)?;
        // In lower case by the documents, in upper case by the specification of the API.
        let directive = match &options.replace {
            Some(properties) => {
                self.new_object(&mut draft, to, properties)?;
                "replace"
            }
            None => {
                draft.headers.extend(self.applied.copied_object(options.storage_class.as_deref())?);
                "copy"
            }
        };
        headers::set(&mut draft.headers, DIRECTIVE, directive)?;
        self.copy_source(&mut draft.headers, from, &options.conditions())?;
        Ok(draft)
    }

    fn rename(&self, from: &Key, to: &Key, source: &Conditions) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::PUT, to)?;
        headers::set(&mut draft.headers, MOVE_SOURCE, &self.source(from))?;
        conditions::set(&mut draft.headers, "x-qs-move-source-", source)?;
        Ok(draft)
    }

    fn append(
        &self,
        key: &Key,
        position: u64,
        payload: Payload,
        options: &PutOptions,
    ) -> Result<Draft, Failure> {
        let mut draft = self
            .on_object(Method::POST, key)?
            .flag("append")
            .with("position", position.to_string());
        if position == 0 {
            self.new_object(&mut draft, key, options)?;
        }
        Ok(draft.body(payload))
    }

    fn start_upload(&self, key: &Key, options: &PutOptions) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::POST, key)?.flag("uploads");
        self.new_object(&mut draft, key, options)?;
        Ok(draft)
    }

    fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> Result<Draft, Failure> {
        Ok(self.on_part(upload, number)?.body(payload))
    }

    fn copy_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        from: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> Result<Draft, Failure> {
        let mut draft = self.on_part(upload, number)?;
        self.copy_source(&mut draft.headers, from, conditions)?;
        if let Some(range) = range {
            headers::set(&mut draft.headers, COPY_RANGE, &range.to_string())?;
        }
        Ok(draft)
    }

    fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        _expected: &Expected,
    ) -> Result<Draft, Failure> {
        let mut draft =
            self.on_object(Method::POST, &upload.key)?.with("upload_id", upload.id.as_str());
        headers::set(&mut draft.headers, header::ETAG, &etag_of(upload, parts).quoted())?;
        // "To be sent" by the page of Complete, "not needed" by that of encryption.
        self.applied.customer_key(&mut draft.headers)?;
        bodies::complete(draft, parts)
    }

    fn abort_upload(&self, upload: &Upload) -> Result<Draft, Failure> {
        Ok(self.on_object(Method::DELETE, &upload.key)?.with("upload_id", upload.id.as_str()))
    }

    fn list_parts(&self, upload: &Upload, after: Option<PartNumber>) -> Result<Draft, Failure> {
        let draft = self
            .on_object(Method::GET, &upload.key)?
            .with("upload_id", upload.id.as_str())
            .with("limit", answers::PARTS_PAGE.to_string());
        // 0 is a part: only the lack of a marker asks for the first page.
        Ok(match after {
            Some(after) => draft.with("part_number_marker", answers::on_wire(after).to_string()),
            None => draft,
        })
    }

    fn list_uploads(&self, request: &UploadsRequest) -> Result<Draft, Failure> {
        let draft = self.on_bucket(Method::GET).flag("uploads").with("limit", "1000");
        Ok(draft.uploads(request, ["key_marker", "upload_id_marker"]))
    }

    async fn sign(&self, head: &mut Parts, credentials: &Credentials) -> Result<(), Failure> {
        self.signer.sign(head, credentials)
    }

    async fn presign(
        &self,
        head: Parts,
        credentials: &Credentials,
        valid: Duration,
    ) -> Result<Uri, Failure> {
        self.signer.presign(&head, credentials, valid)
    }

    fn read_head(&self, answer: &Answer) -> Result<ObjectInfo, Failure> {
        object_info(&answer.headers, RULES.prefix, None)
    }

    fn read_content(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        range: Option<ByteRange>,
    ) -> Result<ContentHead, Failure> {
        content_head(status, headers, range, None)
    }

    fn read_list(&self, answer: &Answer, request: &ListRequest) -> Result<ListPage, Failure> {
        answers::list(&answer.whole_body(), request)
    }

    fn read_stored(&self, answer: &Answer) -> Result<Stored, Failure> {
        no_body(answer)?;
        Ok(Stored { etag: headers::etag(&answer.headers)?, checksum: None })
    }

    fn read_delete_many(
        &self,
        answer: &Answer,
        keys: &[&Key],
    ) -> Result<Vec<(String, Failure)>, Failure> {
        let Deletions { deleted, failed } = answers::deletions(&answer.whole_body())?;
        let named: HashSet<&str> =
            deleted.iter().chain(failed.iter().map(|(key, _)| key)).map(String::as_str).collect();
        let unnamed = keys.iter().map(|key| key.as_str()).filter(|key| !named.contains(key));
        // Whether it was deleted is not known; alone it is told.
        let unknown = |key: &str| {
            (
                key.to_owned(),
                Failure::garbled("the answer to a multi-delete does not name this key"),
            )
        };
        let mut told: Vec<_> = unnamed.map(unknown).collect();
        told.extend(failed.into_iter().map(|(key, error)| (key, codes::failure(200, Some(error)))));
        Ok(told)
    }

    fn read_copy(&self, answer: &Answer) -> Result<Completed, Failure> {
        no_body(answer)?;
        Ok(Completed { etag: optional_etag(answer)?, checksum: None })
    }

    fn read_upload_id(&self, answer: &Answer) -> Result<UploadId, Failure> {
        answers::upload_id(&answer.whole_body())
    }

    fn read_copy_part(&self, answer: &Answer) -> Result<Stored, Failure> {
        self.read_stored(answer)
    }

    fn read_complete(&self, answer: &Answer) -> Result<Completed, Failure> {
        self.read_copy(answer)
    }

    fn read_append(&self, answer: &Answer) -> Result<Appending, Failure> {
        no_body(answer)?;
        let size = headers::decimal(&answer.headers, NEXT_POSITION)?
            .ok_or_else(|| Failure::garbled("an append without its next position"))?;
        Ok(Appending { size, etag: optional_etag(answer)?, checksum: None })
    }

    fn read_parts(&self, answer: &Answer, after: Option<PartNumber>) -> Result<PartsPage, Failure> {
        answers::parts(&answer.whole_body(), after)
    }

    fn read_uploads(
        &self,
        answer: &Answer,
        request: &UploadsRequest,
    ) -> Result<UploadsPage, Failure> {
        answers::uploads(&answer.whole_body(), request)
    }

    fn failure(&self, answer: &Answer) -> Failure {
        codes::failure(answer.status.as_u16(), answers::service_error(&answer.whole_body()))
    }

    fn refine(&self, operation: Operation, failure: Failure) -> Failure {
        codes::refine(operation, failure)
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers.get(REQUEST_ID)?.to_str().ok()
    }
}

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod move_tests;
#[cfg(test)]
#[path = "qingstor_tests.rs"]
mod tests;
