//! Encryption on the server: what was asked for, and the headers of each service. The customer's key
//! is a secret: it is in headers of requests and nowhere else.

use std::fmt;
use std::path::Path;

use http::HeaderMap;
use md5::{Digest, Md5};
use reqsign_core::hash::{base64_decode, base64_encode};
use thiserror::Error;

use super::set;
use crate::dialect::credentials::read_secret;
use crate::dialect::failure::Failure;
use crate::dialect::{ConnectError, Secret};

/// What the service encrypts new objects with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Whatever the bucket says.
    #[default]
    None,
    /// A key of the service, by an algorithm in its words (`AES256`).
    ServiceKey {
        /// In the service's words.
        algorithm: String,
    },
    /// A key of the key management service.
    Kms {
        /// Which key; the account's default key when `None`.
        key_id: Option<String>,
        /// Encryption context, base64 of JSON, where the service has one.
        context: Option<String>,
    },
    /// A key of the customer, sent with every request and kept by nobody.
    CustomerKey(CustomerKey),
}

/// 256 bits that only the customer has. `Debug` shows the MD5, which services show as well.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey {
    base64: Secret,
    md5: String,
}

/// Something that is not a key of 32 bytes. Says nothing of the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a customer key has 32 bytes, as they are or in base64; this has {0}")]
pub struct InvalidCustomerKey(pub usize);

impl CustomerKey {
    /// Takes a key of exactly 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self, InvalidCustomerKey> {
        if key.len() != 32 {
            return Err(InvalidCustomerKey(key.len()));
        }
        let md5 = base64_encode(&Md5::digest(key));
        Ok(Self { base64: Secret::new(base64_encode(key)), md5 })
    }
}

impl CustomerKey {
    /// Reads a key from a file that nobody else may read: 32 bytes as they are, or a line of base64.
    ///
    /// # Errors
    /// The end of a sentence that names the file; says nothing of its bytes.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = read_secret(path)?;
        let line = std::str::from_utf8(&bytes).ok().map(str::trim).filter(|line| line.len() == 44);
        let decoded = line.and_then(|line| base64_decode(line).ok()).filter(|key| key.len() == 32);
        Self::new(decoded.as_deref().unwrap_or(&bytes)).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomerKey(md5 {})", self.md5)
    }
}

/// The names of one service. A header that is `None` is a kind of encryption it does not have.
#[derive(Debug)]
pub(crate) struct EncryptionNames {
    /// Header of the algorithm, and its values for a key of the service.
    pub(crate) service_key: Option<(&'static str, &'static [&'static str])>,
    /// Value of that header for KMS, and the header of the key's id.
    pub(crate) kms: Option<(&'static str, &'static str)>,
    /// Header of the encryption context.
    pub(crate) kms_context: Option<&'static str>,
    /// What `-algorithm`, `-key` and `-key-MD5` are put behind; and the same for sources of copies.
    pub(crate) customer: Option<(&'static str, &'static str)>,
}

impl EncryptionNames {
    /// Refuses what the service does not have.
    pub(crate) fn check(
        &self,
        encryption: &Encryption,
        lacks: impl Fn(&'static str) -> ConnectError,
        bad: impl Fn(&'static str, &str, String) -> ConnectError,
    ) -> Result<(), ConnectError> {
        match encryption {
            Encryption::None => Ok(()),
            Encryption::ServiceKey { algorithm } => match self.service_key {
                None => Err(lacks("sse")),
                Some((_, known)) if !known.contains(&algorithm.as_str()) => {
                    Err(bad("sse", algorithm, known.join(", ")))
                }
                Some(_) => Ok(()),
            },
            // By the option that asks for it: without a key and a context that is `sse=KMS`.
            Encryption::Kms { key_id, context } if self.kms.is_none() => {
                Err(lacks(match (key_id, context) {
                    (Some(_), _) => "sse_kms_key_id",
                    (None, Some(_)) => "sse_kms_context",
                    (None, None) => "sse",
                }))
            }
            Encryption::Kms { context: Some(_), .. } if self.kms_context.is_none() => {
                Err(lacks("sse_kms_context"))
            }
            Encryption::Kms { .. } => Ok(()),
            Encryption::CustomerKey(_) if self.customer.is_none() => Err(lacks("sse_c_key_file")),
            Encryption::CustomerKey(_) => Ok(()),
        }
    }

    /// Headers of PUT, Initiate, Append and Copy.
    pub(crate) fn new_object(
        &self,
        encryption: &Encryption,
        headers: &mut HeaderMap,
    ) -> Result<(), Failure> {
        match (encryption, self.service_key, self.kms) {
            (Encryption::ServiceKey { algorithm }, Some((name, _)), _) => {
                set(headers, name, algorithm)
            }
            (Encryption::Kms { key_id, context }, Some((name, _)), Some((value, id_name))) => {
                set(headers, name, value)?;
                if let Some(id) = key_id {
                    set(headers, id_name, id)?;
                }
                if let (Some(context), Some(name)) = (context, self.kms_context) {
                    set(headers, name, context)?;
                }
                Ok(())
            }
            _ => self.customer_key(encryption, headers),
        }
    }

    pub(crate) fn customer_key(
        &self,
        encryption: &Encryption,
        headers: &mut HeaderMap,
    ) -> Result<(), Failure> {
        match self.customer {
            Some((prefix, _)) => set_customer_key(prefix, encryption, headers),
            None => Ok(()),
        }
    }

    pub(crate) fn source_key(
        &self,
        encryption: &Encryption,
        headers: &mut HeaderMap,
    ) -> Result<(), Failure> {
        match self.customer {
            Some((_, prefix)) => set_customer_key(prefix, encryption, headers),
            None => Ok(()),
        }
    }
}

fn set_customer_key(
    prefix: &str,
    encryption: &Encryption,
    headers: &mut HeaderMap,
) -> Result<(), Failure> {
    let Encryption::CustomerKey(key) = encryption else { return Ok(()) };
    set(headers, &format!("{prefix}-algorithm"), "AES256")?;
    set(headers, &format!("{prefix}-key"), key.base64.expose())?;
    set(headers, &format!("{prefix}-key-md5"), &key.md5)
}
