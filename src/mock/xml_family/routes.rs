//! Which operation a request is and with which parameters. Decides from the head alone; the body is
//! not read yet.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;

use super::properties::STANDARD_HEADERS;
use super::{Flavor, WriteConditions};
use crate::mock::MockConfig;
use crate::mock::base64;
use crate::mock::calls::{
    Call, Completing, ListCall, ListPartsCall, ListUploadsCall, Reading, Stated,
};
use crate::mock::conditions::{Conditions, RangeWish};
use crate::mock::digests::{DigestKind, StatedDigest};
use crate::mock::refusal::Refusal;
use crate::mock::request::{Request, locate};
use crate::store::Replaces;
use crate::store::{ByteRange, Key, PartNumber, Upload, UploadId};

/// Largest page of any listing.
const PAGE: usize = 1000;

/// Where an upload keeps the algorithm of its checksums.
pub(super) const CHOSEN_DIGEST: &str = "x-amz-checksum-algorithm";

/// Whether the checksum of an object is over its bytes or over those of its parts.
pub(super) const DIGEST_TYPE: &str = "x-amz-checksum-type";

/// One request to one service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routing<'a> {
    pub(super) flavor: &'a Flavor,
    pub(super) request: &'a Request,
    pub(super) config: &'a MockConfig,
}

impl Routing<'_> {
    /// The operation of the request.
    pub(super) fn route(&self) -> Result<Call, Refusal> {
        let key = match self.request.key_text(self.config)? {
            "" => None,
            text => Some(self.key(text)?),
        };
        if self.request.query.names().any(|name| self.flavor.not_here.contains(&name)) {
            return Err(Refusal::NotImplemented);
        }
        self.check_traffic_limit()?;
        match key {
            None => self.bucket(),
            Some(key) => self.object(key),
        }
    }

    fn key(&self, text: &str) -> Result<Key, Refusal> {
        (self.flavor.check_key)(text)?;
        Key::new(text).map_err(|_| Refusal::InvalidKey)
    }

    fn bucket(&self) -> Result<Call, Refusal> {
        let query = &self.request.query;
        match self.request.method {
            Method::HEAD => Ok(Call::HeadBucket),
            Method::GET if query.has("location") => Ok(Call::Location),
            Method::GET if query.has("uploads") => self.list_uploads().map(Call::ListUploads),
            Method::GET => self.list().map(Call::List),
            Method::POST if query.has("delete") => match self.stated()? {
                Stated { md5: None, digest: None } => {
                    Err(Refusal::InvalidArgument("Content-MD5 is required"))
                }
                stated => Ok(Call::DeleteMany { stated }),
            },
            _ => Err(Refusal::MethodNotAllowed),
        }
    }

    fn object(&self, key: Key) -> Result<Call, Refusal> {
        let query = &self.request.query;
        let upload = query.get("uploadId").map(UploadId::new);
        match (&self.request.method, upload) {
            (&Method::GET, Some(id)) => self.list_parts(Upload { key, id }).map(Call::ListParts),
            (&Method::GET, None) if query.has("acl") => Ok(Call::GetAcl { key }),
            (&Method::GET, None) => Ok(Call::Get {
                reading: self.reading(key)?,
                range: self.request.header("range").and_then(|range| RangeWish::parse(&range)),
                overrides: self.overrides()?,
            }),
            (&Method::HEAD, _) => Ok(Call::Head(self.reading(key)?)),
            (&Method::PUT, Some(id)) => self.part(Upload { key, id }),
            (&Method::PUT, None) if query.has("acl") => {
                Ok(Call::PutAcl { key, headers: self.permissions()? })
            }
            (&Method::PUT, None) => match self.header("copy-source") {
                Some(source) => self.copy(key, &source),
                None => Ok(Call::Put { key, making: self.making()?, stated: self.stated()? }),
            },
            (&Method::POST, Some(id)) => self.complete(Upload { key, id }).map(Call::Complete),
            (&Method::POST, None) if query.has("uploads") => self.start(key),
            (&Method::POST, None) if query.has("append") => self.append(key),
            (&Method::POST, None) if query.has("restore") => Ok(Call::Restore { key }),
            (&Method::DELETE, Some(id)) => Ok(Call::Abort { upload: Upload { key, id } }),
            (&Method::DELETE, None) => Ok(Call::Delete { key, only: self.removable() }),
            _ => Err(Refusal::MethodNotAllowed),
        }
    }

    fn append(&self, key: Key) -> Result<Call, Refusal> {
        let position = self.request.query.get("position").and_then(|text| text.parse().ok());
        let position =
            position.ok_or(Refusal::InvalidArgument("position is missing or no number"))?;
        Ok(Call::Append { key, position, making: self.making()?, stated: self.stated()? })
    }

    fn start(&self, key: Key) -> Result<Call, Refusal> {
        let mut making = self.making()?;
        making.properties.headers.extend(self.chosen_digests()?);
        if matches!(self.flavor.write_conditions, WriteConditions::Kept) {
            // They are for the end of the upload.
            making.guard = Replaces::Anything;
        }
        Ok(Call::StartUpload { key, making })
    }

    fn complete(&self, upload: Upload) -> Result<Completing, Refusal> {
        self.no_encryption()?;
        let size = self.header("mp-object-size").map(|size| {
            size.parse()
                .map_err(|_| Refusal::InvalidArgument("the size of the object is no number"))
        });
        // A checksum in the head is that of the object; the list has none but its MD5.
        let Stated { md5, digest } = self.stated()?;
        Ok(Completing {
            upload,
            listed: self.header("complete-all").as_deref() != Some("yes"),
            guard: self.guard()?,
            size: size.transpose()?,
            whole: digest,
            etag: None,
            stated: Stated { md5, digest: None },
            misassembly: None,
        })
    }

    fn part(&self, upload: Upload) -> Result<Call, Refusal> {
        let number = self.number("partNumber", 0)?;
        let number = PartNumber::new(number)
            .map_err(|_| Refusal::InvalidArgument("partNumber must be between 1 and 10000"))?;
        self.no_encryption()?;
        let key_md5 = self.customer_key("")?;
        let Some(source) = self.header("copy-source") else {
            return Ok(Call::PutPart { upload, number, key_md5, stated: self.stated()? });
        };
        let range = self.header("copy-source-range");
        let range = range.map(|range| match RangeWish::parse(&range) {
            Some(RangeWish::From(first, Some(last))) => {
                ByteRange::new(first, last.saturating_add(1))
                    .ok_or(Refusal::InvalidArgument("the range of the copy source is empty"))
            }
            _ => Err(Refusal::InvalidArgument("the range of a copy source is bytes=first-last")),
        });
        let range = match range.transpose() {
            Err(_) if self.flavor.rules.bad_ranges_copy_all => None,
            range => range?,
        };
        let source = self.source(&source)?;
        if source.conditions.are_mixed() && !self.flavor.mixed_part_conditions {
            return Err(Refusal::InvalidArgument("these conditions do not go together"));
        }
        Ok(Call::CopyPart { upload, number, key_md5, source, range })
    }

    fn copy(&self, key: Key, source: &str) -> Result<Call, Refusal> {
        let source = self.source(source)?;
        let [copy, replace] = self.flavor.directives;
        let replace = match self.header("metadata-directive").as_deref() {
            None => false,
            Some(directive) if directive == copy => false,
            Some(directive) if directive == replace => true,
            Some(_) => return Err(Refusal::InvalidArgument("unknown metadata directive")),
        };
        if self.flavor.self_copy_replaces && source.key == key && !replace {
            return Err(Refusal::Contradiction("a copy onto itself must replace the metadata"));
        }
        Ok(Call::Copy { key, source, making: self.making()?, replace })
    }

    /// `<host of the bucket>/<key>`, `[/]<bucket>/<key>`, or the form by which this server is reached.
    fn source(&self, source: &str) -> Result<Reading, Refusal> {
        // Behind it stands a version; a question mark of the key is encoded.
        if source.contains('?') {
            return Err(Refusal::NotImplemented);
        }
        let source = percent_decode_str(source).decode_utf8().map_err(|_| Refusal::InvalidPath)?;
        let source = source.strip_prefix('/').unwrap_or(&source);
        let (first, key) =
            source.split_once('/').ok_or(Refusal::InvalidArgument("the copy source has no key"))?;
        let named = first == self.config.bucket;
        let key = if named { key } else { locate(first, key, self.config)? };
        let conditions =
            Conditions::from_headers(&self.request.headers, &self.flavor.header("copy-source-"));
        Ok(Reading { key: self.key(key)?, conditions, key_md5: self.customer_key("copy-source-")? })
    }

    fn reading(&self, key: Key) -> Result<Reading, Refusal> {
        self.no_encryption()?;
        let conditions = Conditions::from_headers(&self.request.headers, "");
        Ok(Reading { key, conditions, key_md5: self.customer_key("")? })
    }

    fn stated(&self) -> Result<Stated, Refusal> {
        let md5 = self.request.header("content-md5");
        let md5 = md5.map(|text| base64::parse_md5(&text)).transpose()?;
        Ok(Stated { md5, digest: self.digest()? })
    }

    /// The one additional checksum of a request, in a header or announced as a trailer.
    fn digest(&self) -> Result<Option<StatedDigest>, Refusal> {
        if !self.has_digests() {
            return Ok(None);
        }
        let trailer = self.header("trailer").unwrap_or_default().to_ascii_lowercase();
        let mut found = None;
        for kind in DigestKind::ALL {
            let value = self.request.header(kind.header());
            let announced = trailer.split(',').any(|name| name.trim() == kind.header());
            if value.is_none() && !announced {
                continue;
            }
            if found.replace(StatedDigest { kind, value }).is_some() {
                return Err(Refusal::Contradiction("more than one checksum"));
            }
        }
        Ok(found)
    }

    fn has_digests(&self) -> bool {
        self.flavor.digests && self.config.s3_checksums
    }

    /// The algorithm of the parts' checksums and the type of the whole's, as Initiate chooses them.
    fn chosen_digests(&self) -> Result<BTreeMap<String, String>, Refusal> {
        let mut chosen = BTreeMap::new();
        if !self.has_digests() {
            return Ok(chosen);
        }
        let Some(name) = self.header("checksum-algorithm") else { return Ok(chosen) };
        let kind = DigestKind::of_name(&name)
            .ok_or(Refusal::Contradiction("an unknown checksum algorithm"))?;
        let usual = if kind.can_be_composite() { "COMPOSITE" } else { "FULL_OBJECT" };
        let form = self.header("checksum-type").unwrap_or_else(|| usual.to_owned());
        let possible = match form.as_str() {
            "COMPOSITE" => kind.can_be_composite(),
            "FULL_OBJECT" => !matches!(kind, DigestKind::Sha1 | DigestKind::Sha256),
            _ => false,
        };
        if !possible {
            return Err(Refusal::Contradiction("the checksum cannot be of this type"));
        }
        chosen.insert(CHOSEN_DIGEST.to_owned(), kind.name().to_owned());
        chosen.insert(DIGEST_TYPE.to_owned(), form);
        Ok(chosen)
    }

    fn overrides(&self) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        for name in STANDARD_HEADERS.into_iter().chain(["content-type"]) {
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
            marker: self.marker()?,
            max: self.page_size("max-keys", self.flavor.list_page)?,
            encoded: self.encoded()?,
        })
    }

    /// Where the page begins: told by the marker of the first version of listings, by the token or
    /// the key of the second.
    fn marker(&self) -> Result<String, Refusal> {
        match self.request.query.get("list-type") {
            Some("2") if self.flavor.list_v2 => {}
            None | Some("1") => return Ok(self.text("marker")),
            Some(_) => return Err(Refusal::InvalidArgument("there is no such list-type")),
        }
        match self.request.query.get("continuation-token").filter(|token| !token.is_empty()) {
            None => Ok(self.text("start-after")),
            Some(token) => token_read(token).ok_or(Refusal::InvalidArgument(
                "the continuation token is not one of this server",
            )),
        }
    }

    fn list_uploads(&self) -> Result<ListUploadsCall, Refusal> {
        Ok(ListUploadsCall {
            prefix: self.text("prefix"),
            delimiter: self.delimiter()?,
            key_marker: self.text("key-marker"),
            upload_id_marker: self.text("upload-id-marker"),
            max: self.page_size("max-uploads", PAGE)?,
            encoded: self.encoded()?,
        })
    }

    fn list_parts(&self, upload: Upload) -> Result<ListPartsCall, Refusal> {
        Ok(ListPartsCall {
            upload,
            after: self.number("part-number-marker", 0)?,
            max: self.page_size("max-parts", PAGE)?,
            encoded: self.encoded()?,
        })
    }

    /// The value of one of the service's own headers.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.request.header(&self.flavor.header(name))
    }

    fn text(&self, name: &str) -> String {
        self.request.query.get(name).unwrap_or_default().to_owned()
    }

    fn delimiter(&self) -> Result<Option<String>, Refusal> {
        let text = self.text("delimiter");
        match text.chars().count() {
            0 => Ok(None),
            2.. if self.flavor.short_delimiter => Err(Refusal::InvalidDelimiter),
            _ => Ok(Some(text)),
        }
    }

    fn encoded(&self) -> Result<bool, Refusal> {
        match self.request.query.get("encoding-type") {
            None | Some("") => Ok(false),
            Some("url") => Ok(true),
            Some(_) => Err(Refusal::InvalidArgument("encoding-type must be url")),
        }
    }

    fn page_size(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        let number = self.number(name, default as u64)?;
        Ok(usize::try_from(number).unwrap_or(PAGE).min(PAGE))
    }

    fn number(&self, name: &str, default: u64) -> Result<u64, Refusal> {
        match self.request.query.get(name) {
            None | Some("") => Ok(default),
            Some(text) => text.parse().map_err(|_| Refusal::InvalidArgument("not a number")),
        }
    }
}

/// A cursor as a continuation token, which nobody is to read.
pub(super) fn token_of(cursor: &str) -> String {
    base64::encode(cursor.as_bytes())
}

fn token_read(token: &str) -> Option<String> {
    String::from_utf8(base64::decode(token)?).ok()
}
