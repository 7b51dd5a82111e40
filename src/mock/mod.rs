//! The embedded server: a bucket over real HTTP, with signatures checked and a service's limits and
//! error codes enforced, so that clients are tested against something that says no.
//!
//! A request passes `connection` (HTTP) → `request` (where it points) → the service's `voice` (which
//! [operation] it is) → `verify` (who signed it) → `execute` (what it does to the bucket) → the `voice`
//! again (how the service words the outcome). `faults` break any of it on demand. Only the voices and
//! `verify` know services: `cos`, `oss` and `s3` are of the `xml_family`, `qingstor` stands alone. Knows
//! nothing of the client side: two mistakes do not cancel out.
//!
//! [operation]: crate::store::Operation

mod answer;
mod answer_body;
mod arriving;
mod aws_chunked;
mod base64;
mod calls;
mod complete;
mod conditions;
mod connection;
mod cos;
mod digests;
mod encryption;
mod execute;
mod faults;
mod ledger;
mod oss;
mod qingstor;
#[cfg(test)]
mod raw_client;
mod refusal;
mod request;
mod s3;
mod spelling;
mod struck;
mod verify;
mod voice;
mod wire;
mod xml_family;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::Extensions;
use parking_lot::RwLock;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::store::memory::{BucketOptions, MemoryBucket};

pub use crate::store::memory::EtagMode;

pub use ledger::keep_ledger;

use voice::{Voice, voice_of};

pub use faults::{
    Action, FaultFileError, FaultId, FaultRule, Faults, KeyPattern, Misassembly, Place, When,
    read_faults,
};

/// Which service the mock speaks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MockDialect {
    /// Tencent COS.
    #[default]
    Cos,
    /// Alibaba OSS.
    Oss,
    /// QingStor.
    Qingstor,
    /// Amazon S3 and what is compatible with it.
    S3,
}

/// A name that is no dialect of the mock.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the mock does not speak {0:?}; it speaks cos, oss, qingstor and s3")]
pub struct UnknownDialect(pub String);

impl FromStr for MockDialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        match name {
            "cos" => Ok(Self::Cos),
            "oss" => Ok(Self::Oss),
            "qingstor" => Ok(Self::Qingstor),
            "s3" => Ok(Self::S3),
            other => Err(UnknownDialect(other.to_owned())),
        }
    }
}

/// How the bucket is found in a request. A host that begins with `BUCKET.` names it always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    /// At a bare host (an IP address or `localhost`): when the first element of the path is the
    /// bucket's name exactly, it names the bucket and the key follows; otherwise the host stands
    /// for the bucket and the whole path is the key. So keys below `BUCKET/` are out of reach at a
    /// bare host; choose one of the others where that matters.
    #[default]
    Auto,
    /// A bare host stands for the bucket; the whole path is the key. What COS does at a custom domain.
    Root,
    /// At a bare host the first element of the path must name the bucket.
    Path,
}

/// What a mock server is and how it is reached.
#[derive(Clone)]
pub struct MockConfig {
    /// Which service it speaks like.
    pub dialect: MockDialect,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The name of its one bucket.
    pub bucket: String,
    /// The only access key it knows.
    pub access_key_id: String,
    /// The secret of that key.
    pub secret_access_key: String,
    /// The temporary token that requests must carry, if any.
    pub session_token: Option<String>,
    /// The region that signatures must be made for, where they name one (OSS V4, S3); any if `None`.
    pub region: Option<String>,
    /// Where objects are kept; in memory if `None`.
    pub dir: Option<PathBuf>,
    /// What ETags are made of. [`EtagMode::Opaque`] for benchmarks.
    pub etags: EtagMode,
    /// How the bucket is found in a request.
    pub addressing: Addressing,
    /// Fewest bytes of a part that is not the last; `None` for the service's own
    /// (COS 1 MiB, OSS 100 KiB, QingStor 4 MiB, S3 5 MiB).
    pub part_min_bytes: Option<u64>,
    /// Whether COS and OSS refuse to copy objects that were made by append, as they document it. With
    /// which code they do is not documented.
    pub appended_not_copied: bool,
    /// Whether S3 has additional checksums (`x-amz-checksum-*`), CRC-64/NVME and trailers; older
    /// compatible servers have none and ignore the headers.
    pub s3_checksums: bool,
    /// Whether S3 keeps `If-Match` and `If-None-Match` at writes; some compatible servers ignore
    /// them.
    pub s3_conditional_writes: bool,
}

impl Default for MockConfig {
    /// A bucket in memory on a free port of the loopback, with fixed example credentials.
    fn default() -> Self {
        Self {
            dialect: MockDialect::Cos,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            bucket: "mock-1250000000".to_owned(),
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "SECRETKEYEXAMPLE".to_owned(),
            session_token: None,
            region: None,
            dir: None,
            etags: EtagMode::Md5,
            addressing: Addressing::Auto,
            part_min_bytes: None,
            appended_not_copied: true,
            s3_checksums: true,
            s3_conditional_writes: true,
        }
    }
}

impl fmt::Debug for MockConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockConfig")
            .field("dialect", &self.dialect)
            .field("listen", &self.listen)
            .field("bucket", &self.bucket)
            .field("access_key_id", &self.access_key_id)
            .field("region", &self.region)
            .field("dir", &self.dir)
            .field("etags", &self.etags)
            .field("addressing", &self.addressing)
            .field("part_min_bytes", &self.part_min_bytes)
            .field("appended_not_copied", &self.appended_not_copied)
            .field("s3_checksums", &self.s3_checksums)
            .field("s3_conditional_writes", &self.s3_conditional_writes)
            .finish_non_exhaustive()
    }
}

/// What every request of one server shares.
#[derive(Debug)]
struct Service {
    /// How it is set up, with the credentials that are good now.
    config: RwLock<Arc<MockConfig>>,
    /// Whether the credentials are good no more.
    expired: AtomicBool,
    voice: &'static dyn Voice,
    clock: Arc<dyn Clock>,
    bucket: Arc<MemoryBucket>,
    faults: Faults,
    requests: AtomicU64,
    spelling: Extensions,
}

impl Service {
    /// How it is set up now.
    fn config(&self) -> Arc<MockConfig> {
        Arc::clone(&self.config.read())
    }
}

/// A running server. Dropped, it stops listening and breaks its connections off.
#[derive(Debug)]
pub struct MockServer {
    service: Arc<Service>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl MockServer {
    /// Opens the bucket and listens. Must be called on a tokio runtime, which it uses.
    ///
    /// # Errors
    /// When the address is taken or the folder cannot be opened.
    pub async fn start(config: MockConfig, clock: Arc<dyn Clock>) -> io::Result<Self> {
        ledger::accepts(&config);
        let voice = voice_of(config.dialect);
        let options = BucketOptions {
            etag_style: voice.rules().etag_style,
            crc64nvme: voice.rules().crc64nvme && config.s3_checksums,
            ..BucketOptions::new(config.etags, Arc::clone(&clock))
        };
        let bucket = match config.dir.clone() {
            None => MemoryBucket::new(options),
            Some(dir) => tokio::task::spawn_blocking(move || MemoryBucket::open(&dir, options))
                .await
                .map_err(io::Error::other)??,
        };
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let service = Arc::new(Service {
            voice,
            config: RwLock::new(Arc::new(config)),
            expired: AtomicBool::new(false),
            clock,
            bucket,
            faults: Faults::default(),
            requests: AtomicU64::new(0),
            spelling: spelling::of_the_services().await,
        });
        let (stop, stopped) = watch::channel(false);
        let accepting =
            tokio::spawn(connection::accept_until(listener, Arc::clone(&service), stopped));
        Ok(Self { service, address, stop, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bucket it serves: for tests to look behind the answers.
    pub fn bucket(&self) -> Arc<MemoryBucket> {
        Arc::clone(&self.service.bucket)
    }

    /// How many requests came for each operation, refused ones included, by the operation's name as
    /// `StoreError` writes it, in the order of names. Operations that were not asked for are left out.
    pub fn request_counts(&self) -> BTreeMap<String, u64> {
        let counted = self.service.bucket.requests();
        counted.into_iter().map(|(operation, count)| (operation.to_string(), count)).collect()
    }

    /// What it breaks on purpose.
    pub fn faults(&self) -> &Faults {
        &self.service.faults
    }

    /// Makes other credentials the good ones, which ends what [`Action::ExpireCredentials`] began.
    pub fn set_credentials(&self, id: &str, secret: &str, token: Option<&str>) {
        let mut config = self.service.config.write();
        *config = Arc::new(MockConfig {
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
            session_token: token.map(str::to_owned),
            ..MockConfig::clone(&config)
        });
        ledger::accepts(&config);
        self.service.expired.store(false, Ordering::SeqCst);
    }

    /// Stops listening, breaks all connections off and waits until they are gone. Requests whose
    /// body has not arrived are not applied.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        drop(self.accepting.await);
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "fault_tests.rs"]
mod fault_tests;

#[cfg(test)]
#[path = "fault_more_tests.rs"]
mod fault_more_tests;

#[cfg(test)]
#[path = "family_tests.rs"]
mod family_tests;

#[cfg(test)]
#[path = "strict_tests.rs"]
mod strict_tests;

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod secrets_tests;
