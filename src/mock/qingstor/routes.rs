//! Which operation a request is and with which parameters. Decides from the head alone; the body is
//! not read yet.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;

use super::{CUSTOMER, number_inside};
use crate::mock::MockConfig;
use crate::mock::calls::{
    Call, Completing, ListCall, ListPartsCall, ListUploadsCall, Making, Reading, Removable, Stated,
};
use crate::mock::conditions::{Conditions, RangeWish};
use crate::mock::refusal::Refusal;
use crate::mock::request::Request;
use crate::mock::{base64, encryption};
use crate::store::memory::Properties;
use crate::store::{ByteRange, ETag, Key, Metadata, Replaces, Upload, UploadId};

/// Entries of a page of objects, if no number is asked for.
const LIST_PAGE: usize = 100;

/// Entries of a page of uploads, if no number is asked for.
const UPLOADS_PAGE: usize = 200;

/// Largest page of any listing. Of lists of objects older pages of the documentation say so.
const PAGE: usize = 1000;

/// Most bytes of user metadata, and of one of its names.
const METADATA_BYTES: usize = 2048;
const METADATA_NAME_BYTES: usize = 512;

/// Longest Content-Type.
const CONTENT_TYPE_BYTES: usize = 255;

const METADATA_PREFIX: &str = "x-qs-meta-";

/// Standard headers that are stored and given back.
const STORED_HEADERS: [&str; 4] =
    ["cache-control", "content-disposition", "content-encoding", "expires"];

/// Parts of the real service that this mock does not have: better refused than taken for something
/// else.
const NOT_HERE: [&str; 14] = [
    "acl",
    "cname",
    "cors",
    "image",
    "lifecycle",
    "logging",
    "mirror",
    "notification",
    "policy",
    "replication",
    "stats",
    "version_id",
    "versioning",
    "versions",
];

/// What a marker of this mock begins with.
const OPAQUE: &str = "opaque-";

/// A marker for a place in a listing. It is no key, because clients are to use it as it comes.
pub(super) fn opaque(place: &str) -> String {
    if place.is_empty() {
        return String::new();
    }
    let hex: String = place.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{OPAQUE}{hex}")
}

/// The place of a marker. One that is not of this mock is a key.
fn place_of(marker: &str) -> String {
    let decode = || {
        let digits = marker.strip_prefix(OPAQUE)?.as_bytes();
        let bytes = digits.chunks(2).map(|two| {
            let two = std::str::from_utf8(two).ok()?;
            u8::from_str_radix(two, 16).ok()
        });
        String::from_utf8(bytes.collect::<Option<Vec<_>>>()?).ok()
    };
    decode().unwrap_or_else(|| marker.to_owned())
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routing<'a> {
    pub(super) request: &'a Request,
    pub(super) config: &'a MockConfig,
}

impl Routing<'_> {
    /// The operation of the request.
    pub(super) fn route(&self) -> Result<Call, Refusal> {
        let key = match self.request.key_text(self.config)? {
            "" => None,
            text => Some(key(text)?),
        };
        let mut names = self.request.query.names();
        if names.any(|name| NOT_HERE.contains(&name)) || self.header("fetch-source").is_some() {
            return Err(Refusal::NotImplemented);
        }
        match key {
            None => self.bucket(),
            Some(key) => self.object(key),
        }
    }

    fn bucket(&self) -> Result<Call, Refusal> {
        let query = &self.request.query;
        match self.request.method {
            Method::HEAD => Ok(Call::HeadBucket),
            Method::GET if query.has("uploads") => self.list_uploads().map(Call::ListUploads),
            Method::GET => self.list().map(Call::List),
            Method::POST if query.has("delete") => {
                let stated = self.stated()?;
                match stated.md5 {
                    None => Err(Refusal::InvalidArgument("Content-MD5 is required")),
                    Some(_) => Ok(Call::DeleteMany { stated }),
                }
            }
            _ => Err(Refusal::MethodNotAllowed),
        }
    }

    fn object(&self, key: Key) -> Result<Call, Refusal> {
        let query = &self.request.query;
        let upload = query.get("upload_id").map(UploadId::new);
        if upload.is_none() && query.has("part_number") {
            return Err(Refusal::InvalidArgument("upload_id is required"));
        }
        match (&self.request.method, upload) {
            (&Method::GET, Some(id)) => self.list_parts(Upload { key, id }).map(Call::ListParts),
            (&Method::GET, None) => Ok(Call::Get {
                reading: self.reading(key, "", "")?,
                range: self.request.header("range").and_then(|range| RangeWish::parse(&range)),
                overrides: self.overrides()?,
            }),
            (&Method::HEAD, _) => Ok(Call::Head(self.reading(key, "", "")?)),
            (&Method::PUT, Some(id)) => self.part(Upload { key, id }),
            (&Method::PUT, None) => {
                match (self.header("move-source"), self.header("copy-source")) {
                    (Some(_), Some(_)) => {
                        Err(Refusal::InvalidArgument("an object is moved or copied, not both"))
                    }
                    (Some(source), None) => {
                        Ok(Call::Rename { key, source: self.source(&source, "move-source-")? })
                    }
                    (None, Some(source)) => self.copy(key, &source),
                    (None, None) => {
                        Ok(Call::Put { key, making: self.making()?, stated: self.stated()? })
                    }
                }
            }
            (&Method::POST, Some(id)) => self.complete(Upload { key, id }),
            (&Method::POST, None) if query.has("uploads") => {
                Ok(Call::StartUpload { key, making: self.making()? })
            }
            (&Method::POST, None) if query.has("append") => self.append(key),
            (&Method::DELETE, Some(id)) => Ok(Call::Abort { upload: Upload { key, id } }),
            (&Method::DELETE, None) => Ok(Call::Delete { key, only: Removable::Anything }),
            _ => Err(Refusal::MethodNotAllowed),
        }
    }

    fn part(&self, upload: Upload) -> Result<Call, Refusal> {
        let number = self.number("part_number")?;
        let number = number.ok_or(Refusal::InvalidArgument("part_number is required"))?;
        let number = number_inside(number)?;
        let key_md5 = self.customer_key("")?;
        let Some(source) = self.header("copy-source") else {
            return Ok(Call::PutPart { upload, number, key_md5, stated: self.stated()? });
        };
        let range = self.header("copy-range");
        let range = range.map(|range| match RangeWish::parse(&range) {
            Some(RangeWish::From(first, Some(last))) => {
                ByteRange::new(first, last.saturating_add(1))
                    .ok_or(Refusal::InvalidArgument("x-qs-copy-range is empty"))
            }
            _ => Err(Refusal::InvalidArgument("x-qs-copy-range must be bytes=first-last")),
        });
        let source = self.source(&source, "copy-source-")?;
        Ok(Call::CopyPart { upload, number, key_md5, source, range: range.transpose()? })
    }

    fn complete(&self, upload: Upload) -> Result<Call, Refusal> {
        let chosen = self.request.header("etag").map(|etag| ETag::new(&etag));
        let chosen = chosen.filter(|etag| !etag.as_str().is_empty());
        // Where the client chooses none, none is computed. What the service shows then is not known:
        // nobody shall take it for a digest. The id makes it random.
        let none = || ETag::new(&format!("uncomputed-{}", upload.id.as_str()));
        Ok(Call::Complete(Completing {
            etag: Some(chosen.unwrap_or_else(none)),
            upload,
            listed: true,
            guard: Replaces::Anything,
            size: None,
            whole: None,
            stated: self.stated()?,
            misassembly: None,
        }))
    }

    fn append(&self, key: Key) -> Result<Call, Refusal> {
        let position = self.number("position")?;
        let position = position.ok_or(Refusal::InvalidArgument("position is required"))?;
        if self.customer_key("")?.is_some() {
            return Err(Refusal::EncryptionNotAllowed);
        }
        Ok(Call::Append { key, position, making: self.making()?, stated: self.stated()? })
    }

    fn copy(&self, key: Key, source: &str) -> Result<Call, Refusal> {
        let source = self.source(source, "copy-source-")?;
        let directive = self.header("metadata-directive").map(|text| text.to_ascii_lowercase());
        let replace = match directive.as_deref() {
            None | Some("copy") => false,
            Some("replace") => true,
            Some(_) => return Err(Refusal::InvalidArgument("x-qs-metadata-directive")),
        };
        if source.key == key && self.header("storage-class").is_none() {
            let text = "a copy onto itself must change the storage class";
            return Err(Refusal::InvalidArgument(text));
        }
        Ok(Call::Copy { key, source, making: self.making()?, replace })
    }

    /// `/<bucket>/<key>`, percent-encoded. `which` begins the names of the headers about it.
    fn source(&self, source: &str, which: &str) -> Result<Reading, Refusal> {
        let source = percent_decode_str(source).decode_utf8().map_err(|_| Refusal::InvalidPath)?;
        let source = source.strip_prefix('/').unwrap_or(&source);
        let (bucket, text) =
            source.split_once('/').ok_or(Refusal::InvalidArgument("the source has no key"))?;
        if bucket != self.config.bucket {
            return Err(Refusal::NoSuchBucket);
        }
        self.reading(key(text)?, &format!("x-qs-{which}"), which)
    }

    fn reading(&self, key: Key, conditions: &str, which: &str) -> Result<Reading, Refusal> {
        let conditions = Conditions::from_headers(&self.request.headers, conditions);
        Ok(Reading { key, conditions, key_md5: self.customer_key(which)? })
    }

    /// The MD5 of the client's key that the request brings, for the object itself (`which` empty) or
    /// for the source of a copy.
    fn customer_key(&self, which: &str) -> Result<Option<String>, Refusal> {
        let [algorithm, key, md5] = ["algorithm", "key", "key-md5"]
            .map(|name| self.header(&format!("{which}{CUSTOMER}{name}")));
        encryption::key_of(algorithm.as_deref(), key.as_deref(), md5.as_deref())
    }

    /// There is no create-only here.
    fn making(&self) -> Result<Making, Refusal> {
        Ok(Making { properties: self.properties()?, guard: Replaces::Anything })
    }

    fn stated(&self) -> Result<Stated, Refusal> {
        let md5 = self.request.header("content-md5");
        Ok(Stated { md5: md5.map(|text| base64::parse_md5(&text)).transpose()?, digest: None })
    }

    fn properties(&self) -> Result<Properties, Refusal> {
        let request = self.request;
        let content_type = request.header("content-type");
        if content_type.as_ref().is_some_and(|text| text.len() > CONTENT_TYPE_BYTES) {
            return Err(Refusal::InvalidArgument("Content-Type is too long"));
        }
        let storage_class = self.header("storage-class");
        if !matches!(storage_class.as_deref(), None | Some("STANDARD" | "STANDARD_IA")) {
            return Err(Refusal::InvalidStorageClass);
        }
        let stored = STORED_HEADERS.iter();
        let stored = stored.filter_map(|name| Some(((*name).to_owned(), request.header(name)?)));
        let mut headers: BTreeMap<_, _> = stored.collect();
        if let Some(md5) = self.customer_key("")? {
            headers.insert(format!("x-qs-{CUSTOMER}algorithm"), "AES256".to_owned());
            headers.insert(format!("x-qs-{CUSTOMER}key-md5"), md5);
        }
        Ok(Properties {
            content_type,
            metadata: self.metadata()?,
            headers,
            storage_class,
            appendable: false,
        })
    }

    fn metadata(&self) -> Result<Metadata, Refusal> {
        let mut metadata = Metadata::new();
        for name in self.request.headers.keys() {
            let Some(short) = name.as_str().strip_prefix(METADATA_PREFIX) else { continue };
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if short.is_empty() || short.len() > METADATA_NAME_BYTES || !short.chars().all(legal) {
                return Err(Refusal::InvalidArgument("a name of user metadata is not allowed"));
            }
            let value = self.request.header(name.as_str()).unwrap_or_default();
            if value.contains(|c: char| !(' '..='~').contains(&c)) {
                return Err(Refusal::InvalidArgument("user metadata must be printable ASCII"));
            }
            metadata.set(short, value);
        }
        if metadata.bytes() > METADATA_BYTES {
            return Err(Refusal::MetadataTooLarge);
        }
        Ok(metadata)
    }

    fn overrides(&self) -> Result<HeaderMap, Refusal> {
        let names = ["content-language", "content-type"];
        let mut headers = HeaderMap::new();
        for name in STORED_HEADERS.into_iter().chain(names) {
            let Some(value) = self.request.query.get(&format!("response-{name}")) else { continue };
            let value = HeaderValue::from_str(value).map_err(|_| {
                Refusal::InvalidArgument("a response header cannot have this value")
            })?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    fn list(&self) -> Result<ListCall, Refusal> {
        Ok(ListCall {
            prefix: self.text("prefix"),
            delimiter: self.delimiter()?,
            marker: place_of(&self.text("marker")),
            max: self.page_size(LIST_PAGE)?,
            encoded: false,
        })
    }

    fn list_uploads(&self) -> Result<ListUploadsCall, Refusal> {
        Ok(ListUploadsCall {
            prefix: self.text("prefix"),
            delimiter: self.delimiter()?,
            key_marker: self.text("key_marker"),
            upload_id_marker: self.text("upload_id_marker"),
            max: self.page_size(UPLOADS_PAGE)?,
            encoded: false,
        })
    }

    fn list_parts(&self, upload: Upload) -> Result<ListPartsCall, Refusal> {
        // 0 is a number like any other: only a marker that is absent means the beginning.
        let after = self.number("part_number_marker")?;
        let after = after.map_or(0, |number| number.saturating_add(1));
        Ok(ListPartsCall { upload, after, max: self.page_size(PAGE)?, encoded: false })
    }

    /// The value of one of the service's own headers.
    fn header(&self, name: &str) -> Option<String> {
        self.request.header(&format!("x-qs-{name}"))
    }

    fn text(&self, name: &str) -> String {
        self.request.query.get(name).unwrap_or_default().to_owned()
    }

    fn delimiter(&self) -> Result<Option<String>, Refusal> {
        let text = self.text("delimiter");
        match text.chars().count() {
            0 => Ok(None),
            1 => Ok(Some(text)),
            _ => Err(Refusal::InvalidDelimiter),
        }
    }

    fn page_size(&self, default: usize) -> Result<usize, Refusal> {
        let number = self.number("limit")?.unwrap_or(default as u64);
        Ok(usize::try_from(number).unwrap_or(PAGE).min(PAGE))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.request.query.get(name) {
            None | Some("") => Ok(None),
            Some(text) => {
                text.parse().map(Some).map_err(|_| Refusal::InvalidArgument("not a number"))
            }
        }
    }
}

/// At most 1023 bytes, no leading slash.
fn key(text: &str) -> Result<Key, Refusal> {
    if text.len() > 1023 || text.starts_with('/') {
        return Err(Refusal::InvalidKey);
    }
    Key::new(text).map_err(|_| Refusal::InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_come_back_as_the_places_they_stand_for() {
        for place in ["", "a", "dir/", "中\n", "opaque-61"] {
            assert_eq!(place_of(&opaque(place)), place);
        }
        assert_ne!(opaque("a"), "a");
        for foreign in ["a", "opaque-6", "opaque-zz", "opaque-中", "opaque-ff", "opaque-+1"] {
            let place = place_of(foreign);
            assert!(place == foreign || foreign == "opaque-6" || foreign == "opaque-+1");
        }
    }
}
