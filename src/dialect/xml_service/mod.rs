//! The XML API that COS, OSS and S3 share: requests and answers, with what differs taken from a
//! [`Flavor`]. Documents are in `answers`, meanings of errors in `codes`.

pub(crate) mod answers;
pub(crate) mod codes;
mod flavor;
mod reading;
pub(crate) mod xml;

use std::time::Duration;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use md5::{Digest, Md5};
use reqsign_core::hash::base64_encode;

use crate::dialect::answer_head::content_head;
use crate::dialect::failure::Failure;
use crate::dialect::properties::{Applied, ObjectProperties};
use crate::dialect::request::{Draft, Site};
use crate::dialect::{
    Appending, Completed, ConnectError, ContentHead, Credentials, Dialect, Stored, conditions,
    headers,
};
use crate::http::Answer;
use crate::store::{
    ByteRange, Conditions, CopyOptions, ETag, Expected, Key, Limits, ListPage, ListRequest,
    ObjectInfo, Operation, PartNumber, PartReceipt, PartsPage, Payload, PutOptions, Replaces,
    Upload, UploadId, UploadsPage, UploadsRequest,
};

pub(crate) use flavor::{Flavor, Words};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// One bucket of one of the three services.
#[derive(Debug)]
pub(crate) struct XmlService<F> {
    flavor: F,
    applied: Applied,
}

impl<F: Flavor> XmlService<F> {
    pub(crate) fn new(flavor: F, properties: ObjectProperties) -> Result<Self, ConnectError> {
        let applied = Applied::new(properties, flavor.rules())?;
        Ok(Self { flavor, applied })
    }

    fn on_bucket(&self, method: Method) -> Draft {
        let mut draft = Draft::bucket(method);
        draft.path.insert_str(0, self.flavor.path_prefix());
        draft
    }

    fn on_object(&self, method: Method, key: &Key) -> Result<Draft, Failure> {
        let mut draft = Draft::object(method, key.as_str())?;
        draft.path.insert_str(0, self.flavor.path_prefix());
        self.applied.any_request(&mut draft.headers)?;
        Ok(draft)
    }

    fn on_part(&self, upload: &Upload, number: PartNumber) -> Result<Draft, Failure> {
        let mut draft = self
            .on_object(Method::PUT, &upload.key)?
            .with("partNumber", number.to_string())
            .with("uploadId", upload.id.as_str());
        self.applied.customer_key(&mut draft.headers)?;
        Ok(draft)
    }

    /// Adds a header of the service's own.
    fn set(&self, headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Failure> {
        let name = HeaderName::try_from(format!("{}{name}", self.flavor.rules().prefix))
            .map_err(|_| Failure::unsayable("a header that has no name"))?;
        headers::set(headers, name, value)
    }

    /// What a write may replace, where the service has a word for it.
    fn replaces(&self, headers: &mut HeaderMap, replaces: &Replaces) -> Result<(), Failure> {
        let limits = self.flavor.limits();
        match replaces {
            Replaces::Nothing if limits.create_only => {
                let (name, value) = self.flavor.words().create_only;
                headers::set(headers, HeaderName::from_static(name), value)
            }
            Replaces::Version(etag) if limits.compare_and_swap => {
                headers::set(headers, header::IF_MATCH, &etag.quoted())
            }
            _ => Ok(()),
        }
    }

    fn new_object(
        &self,
        draft: &mut Draft,
        key: &Key,
        options: &PutOptions,
    ) -> Result<(), Failure> {
        draft.headers.extend(self.applied.new_object(key.as_str(), options)?);
        self.replaces(&mut draft.headers, &options.replaces)
    }

    /// A request with an XML body, protected by its MD5 (required for multi-delete, allowed
    /// elsewhere).
    fn document(&self, mut draft: Draft, body: String) -> Result<Draft, Failure> {
        let digest = base64_encode(&Md5::digest(body.as_bytes()));
        headers::set(&mut draft.headers, header::CONTENT_TYPE, "application/xml")?;
        headers::set(&mut draft.headers, CONTENT_MD5, &digest)?;
        self.flavor.document_headers(&mut draft.headers, &body)?;
        Ok(draft.body(body.into_bytes()))
    }

    fn source(
        &self,
        headers: &mut HeaderMap,
        from: &Key,
        conditions: &Conditions,
    ) -> Result<(), Failure> {
        self.set(headers, "copy-source", &self.flavor.copy_source(from))?;
        let prefix = format!("{}copy-source-", self.flavor.rules().prefix);
        conditions::set(headers, &prefix, conditions)?;
        self.applied.source_key(headers)
    }
}

#[async_trait]
impl<F: Flavor> Dialect for XmlService<F> {
    fn limits(&self) -> &Limits {
        self.flavor.limits()
    }

    fn site(&self) -> &Site {
        self.flavor.site()
    }

    fn check_key(&self, key: &Key) -> Result<(), String> {
        let (text, limits) = (key.as_str(), self.flavor.limits());
        let service = self.flavor.rules().service;
        if text.len() > limits.key_bytes {
            Err(format!("a key of {} bytes; {service} takes {}", text.len(), limits.key_bytes))
        } else if crate::dialect::encode::path(text).is_none() {
            Err("no URL can express this key".to_owned())
        } else {
            self.flavor.check_key(text)
        }
    }

    fn deletes_in_batch(&self, key: &Key) -> bool {
        xml::can_carry(key.as_str())
    }

    fn wants_md5(&self, operation: Operation) -> bool {
        self.applied.content_md5() || self.flavor.wants_md5(operation)
    }

    fn extends(&self) -> bool {
        self.flavor.extends()
    }

    fn learns(&self, operation: Operation, headers: &HeaderMap) {
        self.flavor.learns(operation, headers);
    }

    fn adapts(&self, operation: Operation, extended: bool, failure: &Failure) -> bool {
        self.flavor.adapts(operation, extended, failure)
    }

    fn predicted_etag(&self, _upload: &Upload, parts: &[PartReceipt]) -> Option<ETag> {
        if self.applied.etags_are_opaque() { None } else { self.flavor.predicted_etag(parts) }
    }

    fn head(&self, key: &Key, conditions: &Conditions) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::HEAD, key)?;
        conditions::set(&mut draft.headers, "", conditions)?;
        self.applied.customer_key(&mut draft.headers)?;
        self.flavor.read_headers(&mut draft.headers, false)?;
        Ok(draft)
    }

    fn get(
        &self,
        key: &Key,
        range: Option<ByteRange>,
        conditions: &Conditions,
    ) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::GET, key)?;
        let headers = &mut draft.headers;
        if let Some(range) = range {
            headers::set(headers, header::RANGE, &range.to_string())?;
        }
        conditions::set(headers, "", conditions)?;
        self.applied.customer_key(headers)?;
        self.applied.content(headers)?;
        self.flavor.read_headers(headers, range.is_some())?;
        Ok(draft)
    }

    fn list(&self, request: &ListRequest) -> Result<Draft, Failure> {
        let page = self.flavor.limits().list_page;
        let most = match request.max_entries {
            0 => page,
            asked => asked.min(page),
        };
        let mut draft = self.on_bucket(Method::GET).with("encoding-type", "url");
        self.applied.any_request(&mut draft.headers)?;
        Ok(draft.objects(request).with("max-keys", most.to_string()))
    }

    fn put(&self, key: &Key, payload: Payload, options: &PutOptions) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::PUT, key)?;
        self.new_object(&mut draft, key, options)?;
        self.applied.content(&mut draft.headers)?;
        self.flavor.body_extension(&mut draft.extension, &payload)?;
        Ok(draft.body(payload))
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
        self.applied.content(&mut draft.headers)?;
        Ok(draft.body(payload))
    }

    fn delete(&self, key: &Key, version: Option<&ETag>) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::DELETE, key)?;
        if let Some(etag) = version {
            self.replaces(&mut draft.headers, &Replaces::Version(etag.clone()))?;
        }
        Ok(draft)
    }

    fn delete_many(&self, keys: &[&Key]) -> Result<Draft, Failure> {
        let mut body = "<Delete><Quiet>true</Quiet>".to_owned();
        for key in keys {
            body.push_str("<Object><Key>");
            xml::escape(key.as_str(), &mut body);
            body.push_str("</Key></Object>");
        }
        body.push_str("</Delete>");
        let mut draft = self.on_bucket(Method::POST).flag("delete");
        if self.flavor.words().lenient_delete {
            draft = draft.with("encoding-type", "url");
        }
        self.applied.any_request(&mut draft.headers)?;
        self.document(draft, body)
    }

    fn copy(&self, from: &Key, to: &Key, options: &CopyOptions) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::PUT, to)?;
        let (keep, replace) = self.flavor.words().directives;
        let directive = match &options.replace {
            Some(properties) => {
                self.new_object(&mut draft, to, properties)?;
                replace
            }
            None => {
                draft.headers.extend(self.applied.copied_object(options.storage_class.as_deref())?);
                keep
            }
        };
        self.set(&mut draft.headers, "metadata-directive", directive)?;
        self.source(&mut draft.headers, from, &options.conditions())?;
        Ok(draft)
    }

    fn start_upload(&self, key: &Key, options: &PutOptions) -> Result<Draft, Failure> {
        let mut draft = self.on_object(Method::POST, key)?.flag("uploads");
        // What an upload replaces is decided when it is completed; some services look at both ends.
        let at_start = options.replaces.is_nothing() && self.flavor.words().create_only_at_start;
        let replaces = Replaces::nothing_if(at_start);
        self.new_object(&mut draft, key, &PutOptions { replaces, ..options.clone() })?;
        self.flavor.start_extension(&mut draft.extension)?;
        Ok(draft)
    }

    fn put_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        payload: Payload,
    ) -> Result<Draft, Failure> {
        let mut draft = self.on_part(upload, number)?;
        self.applied.content(&mut draft.headers)?;
        self.flavor.body_extension(&mut draft.extension, &payload)?;
        Ok(draft.body(payload))
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
        self.source(&mut draft.headers, from, conditions)?;
        if let Some(range) = range {
            self.set(&mut draft.headers, "copy-source-range", &range.to_string())?;
        }
        Ok(draft)
    }

    fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[PartReceipt],
        expected: &Expected,
    ) -> Result<Draft, Failure> {
        let mut body = "<CompleteMultipartUpload>".to_owned();
        for part in parts {
            body.push_str(&format!("<Part><PartNumber>{}</PartNumber><ETag>", part.number));
            xml::escape(&part.etag.quoted(), &mut body);
            body.push_str("</ETag>");
            self.flavor.complete_part(part, &mut body);
            body.push_str("</Part>");
        }
        body.push_str("</CompleteMultipartUpload>");
        let mut draft =
            self.on_object(Method::POST, &upload.key)?.with("uploadId", upload.id.as_str());
        self.replaces(&mut draft.headers, &expected.replaces)?;
        if self.flavor.words().acl_at_complete {
            self.applied.acl(&mut draft.headers)?;
        }
        if self.flavor.words().customer_key_for_parts {
            self.applied.customer_key(&mut draft.headers)?;
        }
        self.flavor.complete_headers(&mut draft.headers, parts, expected)?;
        self.document(draft, body)
    }

    fn abort_upload(&self, upload: &Upload) -> Result<Draft, Failure> {
        Ok(self.on_object(Method::DELETE, &upload.key)?.with("uploadId", upload.id.as_str()))
    }

    fn list_parts(&self, upload: &Upload, after: Option<PartNumber>) -> Result<Draft, Failure> {
        let mut draft = self
            .on_object(Method::GET, &upload.key)?
            .with("uploadId", upload.id.as_str())
            .with("encoding-type", "url")
            .with("max-parts", "1000");
        if self.flavor.words().customer_key_for_parts {
            self.applied.customer_key(&mut draft.headers)?;
        }
        if let Some(after) = after {
            draft = draft.with("part-number-marker", after.to_string());
        }
        Ok(draft)
    }

    fn list_uploads(&self, request: &UploadsRequest) -> Result<Draft, Failure> {
        let mut draft = self
            .on_bucket(Method::GET)
            .flag("uploads")
            .with("encoding-type", "url")
            .with("max-uploads", "1000");
        self.applied.any_request(&mut draft.headers)?;
        Ok(draft.uploads(request, ["key-marker", "upload-id-marker"]))
    }

    async fn sign(&self, head: &mut Parts, credentials: &Credentials) -> Result<(), Failure> {
        self.flavor.sign(head, credentials).await
    }

    async fn presign(
        &self,
        head: Parts,
        credentials: &Credentials,
        valid: Duration,
    ) -> Result<Uri, Failure> {
        self.flavor.presign(head, credentials, valid).await
    }

    fn read_head(&self, answer: &Answer) -> Result<ObjectInfo, Failure> {
        self.info(answer)
    }

    fn read_content(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        range: Option<ByteRange>,
    ) -> Result<ContentHead, Failure> {
        // S3 may state the checksum of a part there, should the range be one.
        let checksum = match (range, self.flavor.words().crc) {
            (Some(_), None) => None,
            _ => self.flavor.checksum(headers)?,
        };
        content_head(status, headers, range, checksum)
    }

    fn read_list(&self, answer: &Answer, request: &ListRequest) -> Result<ListPage, Failure> {
        let lenient = self.flavor.words().cursor_optional;
        answers::list(&answer.whole_body(), request, lenient).map_err(|flaw| self.flaw(flaw))
    }

    fn read_stored(&self, answer: &Answer) -> Result<Stored, Failure> {
        self.no_error(answer)?;
        self.stored(headers::etag(&answer.headers)?, answer)
    }

    fn read_append(&self, answer: &Answer) -> Result<Appending, Failure> {
        self.no_error(answer)?;
        self.appending(&answer.headers)
    }

    /// The answer is quiet: it names none that was deleted.
    fn read_delete_many(
        &self,
        answer: &Answer,
        _keys: &[&Key],
    ) -> Result<Vec<(String, Failure)>, Failure> {
        let body = answer.whole_body();
        if body.is_empty() && self.flavor.words().lenient_delete {
            return Ok(Vec::new());
        }
        let failed = answers::not_deleted(&body).map_err(|flaw| self.flaw(flaw))?;
        let told = |(key, error)| (key, self.flaw(answers::Flaw::Error(error)));
        Ok(failed.into_iter().map(told).collect())
    }

    fn read_copy(&self, answer: &Answer) -> Result<Completed, Failure> {
        let Stored { etag, checksum } = self.copied(answer, "CopyObjectResult")?;
        Ok(Completed { etag: Some(etag), checksum })
    }

    fn read_upload_id(&self, answer: &Answer) -> Result<UploadId, Failure> {
        answers::upload_id(&answer.whole_body()).map_err(|flaw| self.flaw(flaw))
    }

    fn read_copy_part(&self, answer: &Answer) -> Result<Stored, Failure> {
        self.copied(answer, "CopyPartResult")
    }

    fn read_complete(&self, answer: &Answer) -> Result<Completed, Failure> {
        let Stored { etag, checksum } = self.copied(answer, "CompleteMultipartUploadResult")?;
        Ok(Completed { etag: Some(etag), checksum })
    }

    fn read_parts(&self, answer: &Answer, after: Option<PartNumber>) -> Result<PartsPage, Failure> {
        let checksum = |part: &xml::Element| self.flavor.stated(part);
        answers::parts(&answer.whole_body(), after, checksum).map_err(|flaw| self.flaw(flaw))
    }

    fn read_uploads(
        &self,
        answer: &Answer,
        request: &UploadsRequest,
    ) -> Result<UploadsPage, Failure> {
        answers::uploads(&answer.whole_body(), request).map_err(|flaw| self.flaw(flaw))
    }

    fn failure(&self, answer: &Answer) -> Failure {
        self.flavor.failure(answer)
    }

    fn asks_to_wait(&self, headers: &HeaderMap) -> Option<Duration> {
        self.flavor.asks_to_wait(headers)
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers.get(self.flavor.words().request_id)?.to_str().ok()
    }
}
