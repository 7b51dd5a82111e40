//! An address with which anybody may read one object for some time: the request of a GET with its
//! signature in the query. Nothing is asked of the service, so the object may be missing, and of others
//! only what the credentials need.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Uri};
use thiserror::Error;

use crate::clock::{Clock, SystemClock};
use crate::dialect::connection::{check_credentials, dialect_of};
use crate::dialect::credentials::CredentialCache;
use crate::dialect::failure::Failure;
use crate::dialect::request::Draft;
use crate::dialect::{ConnectError, Connection, CredentialError, Credentials, Dialect, Encryption};
use crate::store::{Conditions, Key};

/// The longest time for which a link can be good, in all services alike: what S3 and OSS (V4) take.
pub const LONGEST_LINK: Duration = Duration::from_secs(7 * 86_400);

/// How long a link can be good. Signatures count whole seconds.
const VALID: RangeInclusive<Duration> = Duration::from_secs(1)..=LONGEST_LINK;

/// An address, and how long it is good.
///
/// It holds no secret key, but whoever has it may read the object: it belongs in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// `https://HOST/PATH?…`, all ASCII.
    pub address: String,
    /// When the credentials end that it is signed with, if that is before the link itself would; it
    /// ends with them.
    pub ends_early: Option<SystemTime>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("ends_early", &self.ends_early).finish_non_exhaustive()
    }
}

/// Why there is no link.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LinkError {
    /// Less than a second, or more than [`LONGEST_LINK`].
    #[error(
        "a link is good for at least a second and at most 7 days, the most that S3 and OSS take"
    )]
    Validity,
    /// Nothing to sign with.
    #[error(
        "a link is signed, and anonymous requests are not: leave the option anonymous out, or give the \
         object's own address if everybody may read it"
    )]
    Anonymous,
    /// Readers would need a header with the key.
    #[error(
        "an object that is encrypted with a key of one's own (sse_c_key_file) cannot be linked: who \
         reads it must send that key"
    )]
    CustomerKey,
    /// Readers would need a header, and the owner of the keys would pay.
    #[error(
        "what its reader pays for (requester_pays) cannot be linked: the bill would come to whoever \
         signed, not to whoever reads"
    )]
    RequesterPays,
    /// The service cannot store such a key.
    #[error("there is no such object: {0}")]
    Key(String),
    /// See [`ConnectError`].
    #[error(transparent)]
    Connection(#[from] ConnectError),
    /// See [`CredentialError`].
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The signature cannot be made.
    #[error("cannot sign: {0}")]
    Signature(String),
}

impl From<Failure> for LinkError {
    fn from(failure: Failure) -> Self {
        Self::Signature(failure.message.into_string())
    }
}

/// Makes a link to an object, good from now on for `valid`, of which whole seconds count. What the
/// connection says of new objects and of traffic does not matter. Safe to repeat; each call may give
/// another address.
///
/// # Errors
/// See [`LinkError`]. Whether the object exists and the credentials may read it is found by using the
/// link.
pub async fn link(connection: Connection, key: &Key, valid: Duration) -> Result<Link, LinkError> {
    if !VALID.contains(&valid) {
        return Err(LinkError::Validity);
    }
    if matches!(connection.properties.encryption, Encryption::CustomerKey(_)) {
        return Err(LinkError::CustomerKey);
    }
    if connection.properties.requester_pays {
        return Err(LinkError::RequesterPays);
    }
    check_credentials(&connection.credentials)?;
    let dialect = dialect_of(&connection)?;
    dialect.check_key(key).map_err(LinkError::Key)?;
    let cache = CredentialCache::new(connection.credentials, Arc::new(SystemClock));
    let credentials = cache.current().await?.ok_or(LinkError::Anonymous)?;
    let address = address(&*dialect, key, &credentials, valid).await?.to_string();
    let end = SystemClock.now() + valid;
    Ok(Link { address, ends_early: credentials.expires.filter(|expires| *expires < end) })
}

async fn address(
    dialect: &dyn Dialect,
    key: &Key,
    credentials: &Credentials,
    valid: Duration,
) -> Result<Uri, Failure> {
    // What our own requests say in headers, plain readers do not.
    let draft = Draft { headers: HeaderMap::new(), ..dialect.get(key, None, &Conditions::NONE)? };
    dialect.presign(draft.head(dialect.site())?, credentials, valid).await
}
