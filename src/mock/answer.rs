//! An answer between the voice that words it and the connection that sends it. Knows no service.

use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::store::ETag;
use crate::store::memory::Segment;

/// An answer before it is sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
}

/// What an answer's body is made of.
#[derive(Debug)]
pub(super) enum Content {
    None,
    Text(String),
    Bytes(Vec<Segment>),
}

impl Answer {
    /// One without headers and body.
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), content: Content::None }
    }

    /// A text of this Content-Type.
    pub(super) fn document(status: StatusCode, content_type: &'static str, text: String) -> Self {
        let mut answer = Self::new(status);
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        answer.content = Content::Text(text);
        answer
    }

    /// Sets a header; a name or value that HTTP cannot carry is left out.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sets the ETag header.
    pub(super) fn with_etag(self, etag: &ETag) -> Self {
        self.with(ETAG.as_str(), &etag.quoted())
    }
}
