//! A request before it is signed: what a dialect makes of an operation. Holds everything that is the
//! same in every attempt.

use http::uri::InvalidUri;
use http::{HeaderMap, Method, Uri, header};

use crate::dialect::encode;
use crate::dialect::failure::Failure;
use crate::dialect::headers;
use crate::store::{ListRequest, Payload, UploadsRequest};

/// Where the bucket is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// https, or plain http.
    pub(crate) tls: bool,
    /// Host, with the port if one was given; sent as `Host`.
    pub(crate) authority: String,
}

/// Method, target, headers and body of one operation.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    /// Encoded, from the root.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, Option<String>)>,
    pub(crate) headers: HeaderMap,
    /// Headers of an extension of the protocol: sent as long as the dialect says that it
    /// [`extends`](crate::dialect::Dialect::extends).
    pub(crate) extension: HeaderMap,
    pub(crate) body: Payload,
}

impl Draft {
    /// A request about the bucket.
    pub(crate) fn bucket(method: Method) -> Self {
        Self {
            method,
            path: "/".to_owned(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            extension: HeaderMap::new(),
            body: Payload::default(),
        }
    }

    /// A request about the object `key`.
    pub(crate) fn object(method: Method, key: &str) -> Result<Self, Failure> {
        let path =
            encode::path(key).ok_or_else(|| Failure::unsayable("a key that no URL can express"))?;
        Ok(Self { path, ..Self::bucket(method) })
    }

    /// Adds a parameter without value.
    pub(crate) fn flag(mut self, name: &'static str) -> Self {
        self.query.push((name, None));
        self
    }

    /// Adds a parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, Some(value.into())));
        self
    }

    /// Adds where a listing of objects is limited to and where it goes on. All services name it alike.
    pub(crate) fn objects(self, request: &ListRequest) -> Self {
        let draft = self.limited(&request.prefix, request.by_directory);
        match &request.after {
            Some(after) => draft.with("marker", &**after),
            None => draft,
        }
    }

    /// The same of a listing of uploads. `markers` are the service's names of the key and of the upload
    /// that were last.
    pub(crate) fn uploads(self, request: &UploadsRequest, markers: [&'static str; 2]) -> Self {
        let draft = self.limited(&request.prefix, request.by_directory);
        let [key, upload] = markers;
        match &request.after {
            Some(after) => draft.with(key, &*after.key).with(upload, &*after.upload_id),
            None => draft,
        }
    }

    fn limited(mut self, prefix: &str, by_directory: bool) -> Self {
        if !prefix.is_empty() {
            self = self.with("prefix", prefix);
        }
        if by_directory {
            self = self.with("delimiter", "/");
        }
        self
    }

    /// Adds the body.
    pub(crate) fn body(mut self, body: impl Into<Payload>) -> Self {
        self.body = body.into();
        self
    }

    /// The head of a request to `site`, unsigned. Requests that may have a body always say its
    /// length, so that the signature covers it and an empty body is not taken for a missing one.
    pub(crate) fn head(&self, site: &Site) -> Result<http::request::Parts, Failure> {
        let scheme = if site.tls { "https" } else { "http" };
        let mut uri = format!("{scheme}://{}{}", site.authority, self.path);
        if !self.query.is_empty() {
            uri.push('?');
            uri.push_str(&encode::query(&self.query));
        }
        let request = http::Request::builder().method(self.method.clone()).uri(uri).body(());
        let (mut head, ()) =
            request.map_err(|error| Failure::unsayable(error.to_string()))?.into_parts();
        head.headers = self.headers.clone();
        headers::set(&mut head.headers, header::HOST, &site.authority)?;
        if matches!(self.method, Method::PUT | Method::POST) {
            head.headers.insert(header::CONTENT_LENGTH, self.body.len().into());
        }
        Ok(head)
    }
}

/// The address with this query instead of its own.
pub(crate) fn with_query(uri: &Uri, query: &str) -> Result<Uri, InvalidUri> {
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or("http");
    format!("{scheme}://{authority}{}?{query}", uri.path()).parse()
}
