//! From what the user says about a bucket to a store: choice of the service, checks of names and
//! endpoint that need no network, limits of time.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use thiserror::Error;

use crate::clock::SystemClock;
use crate::dialect::client::Client;
use crate::dialect::cos::Cos;
use crate::dialect::credentials::{CredentialCache, CredentialSource};
use crate::dialect::oss::Oss;
use crate::dialect::qingstor::QingStor;
use crate::dialect::s3::S3;
use crate::dialect::xml_service::XmlService;
use crate::dialect::{Dialect, ObjectProperties};
use crate::http::TransportError;
use crate::store::ObjectStore;

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialectName {
    /// Tencent Cloud COS.
    Cos,
    /// Alibaba Cloud OSS.
    Oss,
    /// QingCloud QingStor, by its own API.
    Qingstor,
    /// Amazon S3, and what speaks its language.
    S3,
}

impl fmt::Display for DialectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cos => "cos",
            Self::Oss => "oss",
            Self::Qingstor => "qingstor",
            Self::S3 => "s3",
        })
    }
}

/// A name that is none of a [`DialectName`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a service that partfs knows; it knows: cos, oss, qingstor, s3")]
pub struct UnknownDialect(pub String);

impl FromStr for DialectName {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        match text {
            "cos" => Ok(Self::Cos),
            "oss" => Ok(Self::Oss),
            "qingstor" => Ok(Self::Qingstor),
            "s3" => Ok(Self::S3),
            _ => Err(UnknownDialect(text.to_owned())),
        }
    }
}

/// How requests are signed, where a service has several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureVersion {
    /// OSS: HMAC-SHA1, without a region.
    V1,
    /// OSS: HMAC-SHA256, for one region and one day.
    V4,
}

impl fmt::Display for SignatureVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V4 => "v4",
        })
    }
}

/// A bucket and the way to it. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The service.
    pub dialect: DialectName,
    /// Full name of the bucket (COS: with its APPID, `photos-1250000000`).
    pub bucket: String,
    /// `https://cos.ap-guangzhou.myqcloud.com` (the bucket is put in front of the host), or any
    /// other `http(s)://HOST[:PORT]`. That stands for this one bucket (COS, OSS) or has the bucket in
    /// its paths (S3, QingStor, and OSS at an IP address). `None`: the public endpoint of `region`.
    pub endpoint: Option<String>,
    /// Region, `ap-guangzhou`. Needed when there is no endpoint, and by OSS for signatures V4 where the
    /// endpoint does not tell it. QingStor: the zone, `pek3b`. S3: `us-east-1` when there is an endpoint
    /// and no region.
    pub region: Option<String>,
    /// Whether the bucket is named in the path instead of in the host. `None`: as the endpoint
    /// suggests. COS knows no path style.
    pub path_style: Option<bool>,
    /// OSS only; `None`: V4.
    pub signature_version: Option<SignatureVersion>,
    /// Where that comes from what requests are signed with.
    pub credentials: CredentialSource,
    /// What new objects get.
    pub properties: ObjectProperties,
    /// Limits of time.
    pub timing: Timing,
}

/// How long the client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For a connection to be made.
    pub connect: Duration,
    /// For anything to move during an attempt: bytes going out or coming in. Copies on the server get half of
    /// `complete`, as some services are silent while they copy.
    pub attempt: Duration,
    /// For an operation with all its attempts and pauses. Operations that move content get more, as
    /// if the link carried 64 KiB/s: a slow link is not a dead one.
    pub total: Duration,
    /// Most attempts of one operation; Complete goes on until `complete` is over.
    pub max_attempts: u32,
    /// For Complete and for copies on the server, which may take the service minutes.
    pub complete: Duration,
    /// For requests that carry what a program has written: they are tried again for so long, however
    /// often, because giving one up loses the file. `None`: as any other.
    pub writes: Option<Duration>,
}

impl Default for Timing {
    /// Twenty attempts take a minute and a half when each fails at once: a restart of the
    /// service's front end or of a router is outlived.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            attempt: Duration::from_secs(60),
            total: Duration::from_secs(120),
            max_attempts: 20,
            complete: Duration::from_secs(600),
            writes: None,
        }
    }
}

/// Why a connection cannot even be tried.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ConnectError {
    /// COS buckets carry the account's number.
    #[error("the bucket name {0:?} lacks the APPID: the full name is like \"{0}-1250000000\"")]
    BucketWithoutAppId(String),
    /// Characters or length.
    #[error(
        "{0:?} is not a bucket name: it takes lower-case letters, digits and \"-\", at most 63, no \"-\" at the ends"
    )]
    BadBucket(String),
    /// Characters.
    #[error("{0:?} is not a region: a region is like \"ap-guangzhou\" or \"us-east-1\"")]
    BadRegion(String),
    /// No scheme, no host, or something that is no URL.
    #[error(
        "{0:?} is not an endpoint: an endpoint is like \"https://cos.ap-guangzhou.myqcloud.com\""
    )]
    MalformedEndpoint(String),
    /// Something behind the host.
    #[error(
        "the endpoint {0:?} has more than a host and a port; a prefix in the bucket is given with the bucket"
    )]
    EndpointWithPath(String),
    /// The bucket is put there by us.
    #[error("the endpoint {endpoint:?} has a bucket in it; leave it out: \"{without}\"")]
    BucketInEndpoint {
        /// As given.
        endpoint: String,
        /// What it should be.
        without: String,
    },
    /// No way to the bucket.
    #[error("neither a region nor an endpoint is given, so there is no way to the bucket {0:?}")]
    NoRegionNorEndpoint(String),
    /// V4 covers the region.
    #[error(
        "signatures V4 of OSS need the region, which {endpoint:?} does not tell: give --region, such as --region cn-hangzhou, or signature_version=v1"
    )]
    SigningNeedsRegion {
        /// As given.
        endpoint: String,
    },
    /// Empty key or secret.
    #[error("the access key or its secret is empty or holds characters that no key has")]
    BadCredentials,
    /// An option for something that the service does not have.
    #[error("{service} has no {option}: leave the option out")]
    LacksOption {
        /// Its name.
        service: &'static str,
        /// Name of the option.
        option: &'static str,
    },
    /// A value that the service does not take.
    #[error("{option} {given:?} is not possible with {service}; it takes {allowed}")]
    BadOption {
        /// Its name.
        service: &'static str,
        /// Name of the option.
        option: &'static str,
        /// The value.
        given: String,
        /// What could be given instead.
        allowed: String,
    },
    /// A property of objects that no header carries, or more than the service keeps.
    #[error("the properties of new objects cannot be sent: {0}")]
    BadProperty(String),
    /// TLS could not be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Transport(String),
}

impl From<TransportError> for ConnectError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error.to_string())
    }
}

/// Makes the store for a bucket. Sends nothing: whether the bucket answers is found by using it.
pub fn connect(connection: Connection) -> Result<Arc<dyn ObjectStore>, ConnectError> {
    connect_with_renewal(connection).map(|(store, _)| store)
}

/// [`connect`], and the way to have its credentials read anew.
pub fn connect_with_renewal(
    connection: Connection,
) -> Result<(Arc<dyn ObjectStore>, Renewal), ConnectError> {
    check_credentials(&connection.credentials)?;
    let dialect = dialect_of(&connection)?;
    let credentials = CredentialCache::new(connection.credentials, Arc::new(SystemClock));
    let client = Client::new(dialect, credentials.clone(), connection.timing)?;
    Ok((Arc::new(client), Renewal(credentials)))
}

/// Has the credentials of a store read anew. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Renewal(CredentialCache);

impl Renewal {
    /// Asks now, where they came from. What is there and cannot be used changes nothing; the log tells of it.
    /// Keys that were given by value stay. Safe to repeat.
    pub async fn now(&self) {
        self.0.reload().await;
    }
}

pub(super) fn dialect_of(connection: &Connection) -> Result<Box<dyn Dialect>, ConnectError> {
    let properties = connection.properties.clone();
    let lacks = |service, option| Err(ConnectError::LacksOption { service, option });
    Ok(match connection.dialect {
        DialectName::Cos => {
            if connection.path_style == Some(true) {
                return lacks("COS", "path_style");
            }
            if connection.signature_version.is_some() {
                return lacks("COS", "signature_version");
            }
            let (endpoint, region) = (connection.endpoint.as_deref(), connection.region.as_deref());
            let cos = Cos::new(connection.bucket.clone(), endpoint, region)?;
            Box::new(XmlService::new(cos, properties)?)
        }
        DialectName::Oss => Box::new(XmlService::new(Oss::new(connection)?, properties)?),
        DialectName::Qingstor => {
            if connection.signature_version.is_some() {
                return lacks("QingStor", "signature_version");
            }
            Box::new(QingStor::new(connection)?)
        }
        DialectName::S3 => {
            if connection.signature_version.is_some() {
                return lacks("S3", "signature_version");
            }
            Box::new(XmlService::new(S3::new(connection)?, properties)?)
        }
    })
}

/// Keys that are given are looked at before they are used; those that are found are when they are.
pub(super) fn check_credentials(source: &CredentialSource) -> Result<(), ConnectError> {
    match source {
        CredentialSource::Fixed(fixed) => fixed.check().map_err(|_| ConnectError::BadCredentials),
        CredentialSource::Anonymous | CredentialSource::Search(_) => Ok(()),
    }
}

/// An endpoint taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    /// Lower case, without port; IPv6 in brackets.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl Endpoint {
    pub(crate) fn parse(text: &str) -> Result<Self, ConnectError> {
        let malformed = || ConnectError::MalformedEndpoint(text.to_owned());
        let uri: Uri = text.trim().parse().map_err(|_| malformed())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(malformed()),
        };
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(malformed());
        }
        // `host:` and `host:99999` have a colon but no port that can be used.
        if authority.port_u16().is_none() && authority.as_str() != authority.host() {
            return Err(malformed());
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(ConnectError::EndpointWithPath(text.to_owned()));
        }
        let host = authority.host().to_ascii_lowercase();
        Ok(Self { tls, host, port: authority.port_u16() })
    }

    /// Host and port as they stand in `Host`.
    pub(crate) fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// As the user writes it.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }

    /// The same endpoint under another host.
    pub(crate) fn at(&self, host: impl Into<String>) -> Self {
        Self { host: host.into(), ..*self }
    }

    /// Its address, when it is one instead of a name.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether it is this machine, so that plain http exposes nothing.
    pub(crate) fn is_loopback(&self) -> bool {
        let named = self.host == "localhost" || self.host.ends_with(".localhost");
        named || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Says what plain http means, unless it stays on this machine.
    pub(crate) fn warn_if_plain(&self) {
        if !self.tls && !self.is_loopback() {
            tracing::warn!(
                endpoint = self.url(),
                "the endpoint is plain http: content and signatures travel unencrypted"
            );
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
