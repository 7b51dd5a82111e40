//! Requests that were signed by the vendors' own SDKs with a fixed clock, for tests of all services.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::mock::MockConfig;
use crate::mock::request::Request;

/// One signed request in its wire form.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Vector {
    pub(super) name: String,
    pub(super) mode: String,
    pub(super) bucket: String,
    #[serde(default)]
    pub(super) region: Option<String>,
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) authorization: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) security_token: String,
    pub(super) time_unix: u64,
    pub(super) string_to_sign: String,
    #[serde(default)]
    pub(super) body_utf8: String,
    /// The lines before the chunks of an aws-chunked body.
    #[serde(default)]
    pub(super) chunks: Vec<Chunk>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Chunk {
    pub(super) length: usize,
    pub(super) header_line: String,
}

/// All vectors of a file.
pub(super) fn read(text: &str) -> Vec<Vector> {
    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }
    serde_json::from_str::<Vectors>(text).unwrap().vectors
}

impl Vector {
    /// Whether the signature stands in the query.
    pub(super) fn in_query(&self) -> bool {
        self.mode == "query"
    }

    /// As it arrives; `None` if it is no request at all (for tests that change vectors).
    pub(super) fn request(&self) -> Option<Request> {
        let target = match self.query.as_str() {
            "" => self.path.clone(),
            query => format!("{}?{query}", self.path),
        };
        let mut builder = http::Request::builder().method(self.method.as_str()).uri(target);
        builder = builder.header("host", &self.host);
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "Host") {
            builder = builder.header(name, value);
        }
        if !self.in_query() {
            builder = builder.header("authorization", &self.authorization);
        }
        Some(Request::new(builder.body(()).ok()?.into_parts().0))
    }

    /// A server that this request is meant for.
    pub(super) fn config(&self) -> MockConfig {
        let token = &self.security_token;
        MockConfig {
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            access_key_id: self.access_key.clone(),
            secret_access_key: self.secret_key.clone(),
            session_token: (!token.is_empty()).then(|| token.clone()),
            ..MockConfig::default()
        }
    }

    /// So many seconds after it was signed.
    pub(super) fn at(&self, offset: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.time_unix.checked_add_signed(offset).unwrap())
    }
}
