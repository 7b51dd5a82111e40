//! What the options of a connection give to every new object, and the headers that carry it. A
//! service says in its [`PropertyRules`] what it has and how it calls it; what it does not have is
//! refused when the connection is made, by the option's name. Pure.

mod content_type;
mod encryption;

use std::ops::RangeInclusive;

use http::{HeaderMap, HeaderName, header};

use crate::dialect::failure::Failure;
use crate::dialect::{ConnectError, encode, headers};
use crate::store::{Metadata, PutOptions, StandardHeaders};

pub use content_type::{ContentTypes, InvalidPattern};
pub(crate) use encryption::EncryptionNames;
pub use encryption::{CustomerKey, Encryption, InvalidCustomerKey};

/// What every object gets that is made over a connection: by PUT, Initiate, the first Append and Copy.
/// What a call itself says comes first. `Debug` shows no key.
#[derive(Debug, Clone, Default)]
pub struct ObjectProperties {
    /// Cache-Control and the like; for copies only where their properties are replaced. A Content-Type
    /// here counts for all names, before `content_types`.
    pub headers: StandardHeaders,
    /// Content-Type by name.
    pub content_types: ContentTypes,
    /// User metadata.
    pub metadata: Metadata,
    /// Storage class in the service's words.
    pub storage_class: Option<String>,
    /// Canned ACL in the service's words.
    pub acl: Option<String>,
    /// Who else may do what.
    pub grants: Vec<Grant>,
    /// Bytes of each request that moves content are slowed down to so many bits per second, by the
    /// service.
    pub traffic_limit_bits: Option<u64>,
    /// Every body is sent with its MD5, so that the service refuses damaged ones.
    pub content_md5: bool,
    /// What the service encrypts with.
    pub encryption: Encryption,
    /// Who asks pays.
    pub requester_pays: bool,
}

/// A right that is granted with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To read the object.
    Read,
    /// To read its ACL.
    ReadAcp,
    /// To change its ACL.
    WriteAcp,
    /// All of them.
    FullControl,
}

impl Right {
    /// As options and headers write it: `read`, `read-acp`, `write-acp`, `full-control`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadAcp => "read-acp",
            Self::WriteAcp => "write-acp",
            Self::FullControl => "full-control",
        }
    }
}

impl Right {
    /// The option that grants it.
    fn option(self) -> &'static str {
        match self {
            Self::Read => "grant_read",
            Self::ReadAcp => "grant_read_acp",
            Self::WriteAcp => "grant_write_acp",
            Self::FullControl => "grant_full_control",
        }
    }
}

/// One granted right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What.
    pub right: Right,
    /// To whom, in the service's words: `id="100000000001"`, several joined by commas.
    pub grantees: String,
}

/// What a service has, and its names.
#[derive(Debug)]
pub(crate) struct PropertyRules {
    /// For messages: "COS".
    pub(crate) service: &'static str,
    /// Of all its own headers: `x-cos-`.
    pub(crate) prefix: &'static str,
    /// Bytes of user metadata.
    pub(crate) metadata_bytes: usize,
    /// Classes that the service's documents name.
    pub(crate) storage_classes: &'static [&'static str],
    /// Header and values of canned ACLs, where objects have them.
    pub(crate) acl: Option<(&'static str, &'static [&'static str])>,
    /// Whether rights can be granted by headers.
    pub(crate) grants: bool,
    /// Bits per second, where the service can be asked to be slow.
    pub(crate) traffic_limit_bits: Option<RangeInclusive<u64>>,
    /// Header and value by which the requester agrees to pay.
    pub(crate) requester_pays: Option<(&'static str, &'static str)>,
    pub(crate) encryption: EncryptionNames,
}

/// The properties of one connection, checked against the rules of its service.
#[derive(Debug)]
pub(crate) struct Applied {
    properties: ObjectProperties,
    rules: &'static PropertyRules,
}

impl Applied {
    /// Refuses what the service does not have or does not take, by the name of the option.
    pub(crate) fn new(
        properties: ObjectProperties,
        rules: &'static PropertyRules,
    ) -> Result<Self, ConnectError> {
        let lacks = |option| ConnectError::LacksOption { service: rules.service, option };
        let bad = |option, given: &str, allowed: String| ConnectError::BadOption {
            service: rules.service,
            option,
            given: given.to_owned(),
            allowed,
        };
        if let Some(class) = &properties.storage_class
            && !rules.storage_classes.contains(&class.as_str())
        {
            return Err(bad("storage_class", class, rules.storage_classes.join(", ")));
        }
        if let Some(acl) = &properties.acl {
            let (_, values) = rules.acl.ok_or_else(|| lacks("acl"))?;
            if !values.contains(&acl.as_str()) {
                return Err(bad("acl", acl, values.join(", ")));
            }
        }
        if let (Some(grant), false) = (properties.grants.first(), rules.grants) {
            return Err(lacks(grant.right.option()));
        }
        if let Some(limit) = properties.traffic_limit_bits {
            let range = rules.traffic_limit_bits.clone().ok_or_else(|| lacks("traffic_limit"))?;
            if !range.contains(&limit) {
                let allowed = format!("{} to {} bits per second", range.start(), range.end());
                return Err(bad("traffic_limit", &limit.to_string(), allowed));
            }
        }
        if properties.requester_pays && rules.requester_pays.is_none() {
            return Err(lacks("requester_pays"));
        }
        rules.encryption.check(&properties.encryption, lacks, bad)?;
        let applied = Self { properties, rules };
        // Values that no header carries, and too much metadata, show here instead of at each write.
        applied
            .new_object("", &PutOptions::default())
            .map_err(|failure| ConnectError::BadProperty(failure.message.into_string()))?;
        Ok(applied)
    }

    /// Whether bodies are sent with their MD5.
    pub(crate) fn content_md5(&self) -> bool {
        self.properties.content_md5
    }

    /// Whether ETags of plain objects are no MD5, because the service encrypts.
    pub(crate) fn etags_are_opaque(&self) -> bool {
        !matches!(self.properties.encryption, Encryption::None | Encryption::ServiceKey { .. })
    }

    /// Headers of every request.
    pub(crate) fn any_request(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        match self.rules.requester_pays {
            Some((name, value)) if self.properties.requester_pays => set(headers, name, value),
            _ => Ok(()),
        }
    }

    /// Headers of PUT, Initiate, Append, and of copies whose properties are replaced.
    pub(crate) fn new_object(&self, key: &str, options: &PutOptions) -> Result<HeaderMap, Failure> {
        let mut headers = self.copied_object(options.storage_class.as_deref())?;
        let own = options.headers.or(&self.properties.headers);
        for (name, value) in own.iter() {
            set(&mut headers, name, value)?;
        }
        if own.content_type.is_none()
            && let Some(guess) = self.properties.content_types.of(key)
        {
            headers::set(&mut headers, header::CONTENT_TYPE, guess)?;
        }
        let mut metadata = self.properties.metadata.clone();
        for (name, value) in options.metadata.iter() {
            metadata.set(name, value);
        }
        self.set_metadata(&mut headers, &metadata)?;
        Ok(headers)
    }

    /// Headers of copies that keep their properties: what services do not carry over.
    pub(crate) fn copied_object(&self, storage_class: Option<&str>) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        let (own, prefix) = (&self.properties, self.rules.prefix);
        if let Some(class) = storage_class.or(own.storage_class.as_deref()) {
            set(&mut headers, &format!("{prefix}storage-class"), class)?;
        }
        self.acl(&mut headers)?;
        for Grant { right, grantees } in &own.grants {
            set(&mut headers, &format!("{prefix}grant-{}", right.name()), grantees)?;
        }
        self.rules.encryption.new_object(&own.encryption, &mut headers)?;
        Ok(headers)
    }

    /// The canned ACL.
    pub(crate) fn acl(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        match (&self.properties.acl, self.rules.acl) {
            (Some(acl), Some((name, _))) => set(headers, name, acl),
            _ => Ok(()),
        }
    }

    /// Headers of requests that carry content in either direction: PUT, Upload Part, Append, GET.
    pub(crate) fn content(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        if let Some(limit) = self.properties.traffic_limit_bits {
            set(headers, &format!("{}traffic-limit", self.rules.prefix), &limit.to_string())?;
        }
        Ok(())
    }

    /// The customer's key, for requests about an object or a part that is encrypted with it: Upload
    /// Part, Upload Part Copy, GET, HEAD.
    pub(crate) fn customer_key(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        self.rules.encryption.customer_key(&self.properties.encryption, headers)
    }

    /// The customer's key, for the source of a copy.
    pub(crate) fn source_key(&self, headers: &mut HeaderMap) -> Result<(), Failure> {
        self.rules.encryption.source_key(&self.properties.encryption, headers)
    }

    fn set_metadata(&self, headers: &mut HeaderMap, metadata: &Metadata) -> Result<(), Failure> {
        let PropertyRules { service, prefix, metadata_bytes: most, .. } = self.rules;
        let mut bytes = 0;
        for (name, value) in metadata.iter() {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || !name.bytes().all(allowed) {
                let message = format!("{service} takes no metadata entry named {name:?}");
                return Err(Failure::unsayable(message));
            }
            let value = encode::metadata(value);
            bytes += name.len() + value.len();
            set(headers, &format!("{prefix}meta-{name}"), &value)?;
        }
        if bytes > *most {
            let message = format!("{bytes} bytes of metadata; {service} takes {most}");
            return Err(Failure::unsayable(message));
        }
        Ok(())
    }
}

/// User metadata of an answer. Entries that others wrote may be anything; a strange one must not make
/// its object unreadable.
pub(crate) fn read_metadata(headers: &HeaderMap, prefix: &str) -> Metadata {
    let entries = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(prefix)?.strip_prefix("meta-")?;
        let value = String::from_utf8_lossy(value.as_bytes());
        (!name.is_empty()).then(|| (name, encode::metadata_read(value.trim())))
    });
    entries.collect()
}

/// The standard headers of an answer. A strange one counts as absent.
pub(crate) fn read_standard(headers: &HeaderMap) -> StandardHeaders {
    StandardHeaders::collect(|name| headers::only(headers, name).ok().flatten().map(str::to_owned))
}

/// Sets a header by its name as the services write it.
fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Failure> {
    let name = HeaderName::try_from(name)
        .map_err(|_| Failure::unsayable(format!("{name:?} is no name of a header")))?;
    headers::set(headers, name, value)
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
