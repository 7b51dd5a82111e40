//! Which operation a request is and with which parameters, in the dialect of COS. Decides from the
//! head alone; the body is not read yet.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;

use super::MockConfig;
use super::calls::{Call, ListCall, ListPartsCall, ListUploadsCall, StatedMd5};
use super::conditions::{Conditions, RangeWish};
use super::content_md5;
use super::refusal::Refusal;
use super::request::{Request, Target, check_key, locate};
use crate::store::memory::Properties;
use crate::store::{ByteRange, Key, Metadata, PartNumber, Upload, UploadId};

/// Prefix of user metadata.
const METADATA_PREFIX: &str = "x-cos-meta-";

/// Most bytes of user metadata.
const METADATA_BYTES: usize = 2048;

/// Largest page of any listing, and the default.
const PAGE: usize = 1000;

/// Standard headers that are stored and given back.
const STORED_HEADERS: [&str; 5] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// Parts of the real service that this mock does not have: better refused than taken for something
/// else.
const NOT_HERE: [&str; 18] = [
    "accelerate",
    "acl",
    "append",
    "cors",
    "domain",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "object-lock",
    "policy",
    "referer",
    "replication",
    "restore",
    "symlink",
    "tagging",
    "versioning",
    "website",
];

/// The operation of a request.
pub(super) fn route(request: &Request, config: &MockConfig) -> Result<Call, Refusal> {
    let target = request.target(config)?;
    if request.query.names().any(|name| NOT_HERE.contains(&name)) {
        return Err(Refusal::NotImplemented);
    }
    match target {
        Target::Bucket => route_bucket(request),
        Target::Key(key) => route_key(request, key, config),
    }
}

fn route_bucket(request: &Request) -> Result<Call, Refusal> {
    let query = &request.query;
    match request.method {
        Method::HEAD => Ok(Call::HeadBucket),
        Method::GET if query.has("uploads") => list_uploads(request).map(Call::ListUploads),
        Method::GET => list(request).map(Call::List),
        Method::POST if query.has("delete") => match stated_md5(request)? {
            None => Err(Refusal::InvalidArgument("Content-MD5 is required")),
            md5 => Ok(Call::DeleteMany { md5 }),
        },
        _ => Err(Refusal::MethodNotAllowed),
    }
}

fn route_key(request: &Request, key: Key, config: &MockConfig) -> Result<Call, Refusal> {
    let query = &request.query;
    let upload = query.get("uploadId").map(UploadId::new);
    let create_only = create_only(request);
    match (&request.method, upload) {
        (&Method::GET, Some(id)) => list_parts(request, Upload { key, id }).map(Call::ListParts),
        (&Method::GET, None) => Ok(Call::Get {
            key,
            conditions: Conditions::from_headers(&request.headers, ""),
            range: request.header("range").and_then(|range| RangeWish::parse(&range)),
            overrides: overrides(request)?,
        }),
        (&Method::HEAD, _) => {
            Ok(Call::Head { key, conditions: Conditions::from_headers(&request.headers, "") })
        }
        (&Method::PUT, Some(id)) => route_part(request, Upload { key, id }, config),
        (&Method::PUT, None) => match request.header("x-cos-copy-source") {
            Some(source) => copy(request, key, &source, config),
            None => Ok(Call::Put {
                key,
                properties: properties(request)?,
                create_only,
                md5: stated_md5(request)?,
            }),
        },
        (&Method::POST, Some(id)) => Ok(Call::Complete {
            upload: Upload { key, id },
            create_only,
            md5: stated_md5(request)?,
        }),
        (&Method::POST, None) if query.has("uploads") => {
            Ok(Call::StartUpload { key, properties: properties(request)?, create_only })
        }
        (&Method::DELETE, Some(id)) => Ok(Call::Abort { upload: Upload { key, id } }),
        (&Method::DELETE, None) => Ok(Call::Delete { key }),
        _ => Err(Refusal::MethodNotAllowed),
    }
}

fn route_part(request: &Request, upload: Upload, config: &MockConfig) -> Result<Call, Refusal> {
    let number = number_of(request, "partNumber", 0)?;
    let number = PartNumber::new(number)
        .map_err(|_| Refusal::InvalidArgument("partNumber must be between 1 and 10000"))?;
    let Some(source) = request.header("x-cos-copy-source") else {
        return Ok(Call::PutPart { upload, number, md5: stated_md5(request)? });
    };
    let range = request.header("x-cos-copy-source-range");
    let range = range.map(|range| match RangeWish::parse(&range) {
        Some(RangeWish::From(first, Some(last))) => ByteRange::new(first, last.saturating_add(1))
            .ok_or(Refusal::InvalidArgument("x-cos-copy-source-range is empty")),
        _ => Err(Refusal::InvalidArgument("x-cos-copy-source-range must be bytes=first-last")),
    });
    Ok(Call::CopyPart {
        upload,
        number,
        source: copy_source(request, &source, config)?,
        conditions: Conditions::from_headers(&request.headers, "x-cos-copy-source-"),
        range: range.transpose()?,
    })
}

fn copy(request: &Request, key: Key, source: &str, config: &MockConfig) -> Result<Call, Refusal> {
    let source = copy_source(request, source, config)?;
    let replace = match request.header("x-cos-metadata-directive").as_deref() {
        None | Some("Copy") => None,
        Some("Replaced") => Some(properties(request)?),
        Some(_) => return Err(Refusal::InvalidArgument("x-cos-metadata-directive")),
    };
    if source == key && replace.is_none() {
        return Err(Refusal::InvalidArgument("a copy onto itself must replace the metadata"));
    }
    Ok(Call::Copy {
        key,
        source,
        conditions: Conditions::from_headers(&request.headers, "x-cos-copy-source-"),
        replace,
        create_only: create_only(request),
    })
}

/// `<host of the bucket>/<key>`, `/<bucket>/<key>`, or the form by which this server is reached.
fn copy_source(request: &Request, source: &str, config: &MockConfig) -> Result<Key, Refusal> {
    let source = source.split_once('?').map_or(source, |(source, _version)| source);
    let source = percent_decode_str(source).decode_utf8().map_err(|_| Refusal::InvalidPath)?;
    let source = source.strip_prefix('/').unwrap_or(&source);
    let (first, key) =
        source.split_once('/').ok_or(Refusal::InvalidArgument("x-cos-copy-source has no key"))?;
    let key = if first == config.bucket { key } else { locate(first, key, config)? };
    tracing::trace!(host = request.host, key, "copy source");
    check_key(key)
}

fn create_only(request: &Request) -> bool {
    request.header("x-cos-forbid-overwrite").is_some_and(|value| value == "true")
}

fn stated_md5(request: &Request) -> Result<StatedMd5, Refusal> {
    request.header("content-md5").map(|text| content_md5::parse(&text)).transpose()
}

fn properties(request: &Request) -> Result<Properties, Refusal> {
    let mut metadata = Metadata::new();
    for name in request.headers.keys() {
        let Some(short) = name.as_str().strip_prefix(METADATA_PREFIX) else { continue };
        if short.is_empty() || short.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            return Err(Refusal::InvalidArgument("a name of user metadata is not allowed"));
        }
        metadata.set(short, request.header(name.as_str()).unwrap_or_default());
    }
    if metadata.bytes() > METADATA_BYTES {
        return Err(Refusal::MetadataTooLarge);
    }
    let stored = STORED_HEADERS.iter();
    let stored = stored.filter_map(|name| Some(((*name).to_owned(), request.header(name)?)));
    Ok(Properties {
        appendable: false,
        content_type: request.header("content-type"),
        metadata,
        headers: stored.collect(),
        storage_class: request.header("x-cos-storage-class"),
    })
}

fn overrides(request: &Request) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for name in STORED_HEADERS.into_iter().chain(["content-type"]) {
        let Some(value) = request.query.get(&format!("response-{name}")) else { continue };
        let value = HeaderValue::from_str(value)
            .map_err(|_| Refusal::InvalidArgument("a response header cannot have this value"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn list(request: &Request) -> Result<ListCall, Refusal> {
    Ok(ListCall {
        prefix: text(request, "prefix"),
        delimiter: delimiter(request)?,
        marker: text(request, "marker"),
        max: page_size(request, "max-keys")?,
        encoded: encoded(request)?,
    })
}

fn list_uploads(request: &Request) -> Result<ListUploadsCall, Refusal> {
    Ok(ListUploadsCall {
        prefix: text(request, "prefix"),
        delimiter: delimiter(request)?,
        key_marker: text(request, "key-marker"),
        upload_id_marker: text(request, "upload-id-marker"),
        max: page_size(request, "max-uploads")?,
        encoded: encoded(request)?,
    })
}

fn list_parts(request: &Request, upload: Upload) -> Result<ListPartsCall, Refusal> {
    Ok(ListPartsCall {
        upload,
        after: number_of(request, "part-number-marker", 0)?,
        max: page_size(request, "max-parts")?,
        encoded: encoded(request)?,
    })
}

fn text(request: &Request, name: &str) -> String {
    request.query.get(name).unwrap_or_default().to_owned()
}

fn delimiter(request: &Request) -> Result<Option<String>, Refusal> {
    let text = text(request, "delimiter");
    match text.chars().count() {
        0 => Ok(None),
        1 => Ok(Some(text)),
        _ => Err(Refusal::InvalidDelimiter),
    }
}

fn encoded(request: &Request) -> Result<bool, Refusal> {
    match request.query.get("encoding-type") {
        None | Some("") => Ok(false),
        Some("url") => Ok(true),
        Some(_) => Err(Refusal::InvalidArgument("encoding-type must be url")),
    }
}

fn page_size(request: &Request, name: &str) -> Result<usize, Refusal> {
    let number = number_of(request, name, PAGE as u64)?;
    Ok(usize::try_from(number).unwrap_or(PAGE).min(PAGE))
}

fn number_of(request: &Request, name: &str, default: u64) -> Result<u64, Refusal> {
    match request.query.get(name) {
        None | Some("") => Ok(default),
        Some(text) => text.parse().map_err(|_| Refusal::InvalidArgument("not a number")),
    }
}
