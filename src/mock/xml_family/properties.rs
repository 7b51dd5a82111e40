//! What a request says about the object that it makes: headers are checked, and kept with the object.
//! What the service tells again in HEAD and what it keeps for itself is decided in `answers`.

use std::collections::BTreeMap;

use super::routes::Routing;
use super::{Flavor, WriteConditions};
use crate::mock::calls::{Making, Removable};
use crate::mock::encryption;
use crate::mock::refusal::Refusal;
use crate::store::memory::Properties;
use crate::store::{ETag, Metadata, Replaces};

/// Standard headers that are stored and given back.
pub(super) const STANDARD_HEADERS: [&str; 5] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// What a service lets say about its objects.
#[derive(Debug, Clone, Copy)]
pub(in crate::mock) struct Storage {
    /// Storage classes, the usual one first. The archived ones are among [`Rules`].
    ///
    /// [`Rules`]: crate::mock::voice::Rules
    pub(in crate::mock) classes: &'static [&'static str],
    /// The header of the canned ACL, without prefix.
    pub(in crate::mock) acl_header: &'static str,
    /// Its values.
    pub(in crate::mock) acls: &'static [&'static str],
    /// The headers that grant, without prefix.
    pub(in crate::mock) grants: &'static [&'static str],
    /// Values of the header that encrypts with a key of the service.
    pub(in crate::mock) encryptions: &'static [&'static str],
    /// Whether clients may bring keys of their own.
    pub(in crate::mock) customer_keys: bool,
    /// Whether requests may be slowed down, between which rates in bit/s.
    pub(in crate::mock) traffic_limits: Option<(u64, u64)>,
    /// Characters of names of user metadata beside letters, digits and the hyphen.
    pub(in crate::mock) metadata_characters: &'static str,
    /// Most bytes of user metadata.
    pub(in crate::mock) metadata_bytes: usize,
}

const ENCRYPTION: &str = "server-side-encryption";

impl Routing<'_> {
    /// The object that the request makes.
    pub(super) fn making(&self) -> Result<Making, Refusal> {
        Ok(Making { properties: self.properties()?, guard: self.guard()? })
    }

    fn properties(&self) -> Result<Properties, Refusal> {
        let request = self.request;
        let standard = STANDARD_HEADERS.iter();
        let standard =
            standard.filter_map(|name| Some(((*name).to_owned(), request.header(name)?)));
        let mut headers: BTreeMap<_, _> = standard.collect();
        strip_framing(&mut headers);
        headers.extend(self.permissions()?);
        headers.extend(self.encryption()?);
        headers.extend(self.header("tagging").map(|tags| (self.flavor.header("tagging"), tags)));
        let storage_class = self.header("storage-class");
        let known = |class: &String| self.flavor.storage.classes.contains(&class.as_str());
        if storage_class.as_ref().is_some_and(|class| !known(class)) {
            return Err(Refusal::InvalidStorageClass);
        }
        Ok(Properties {
            content_type: request.header("content-type"),
            metadata: self.metadata()?,
            headers,
            storage_class,
            appendable: false,
        })
    }

    fn metadata(&self) -> Result<Metadata, Refusal> {
        let Flavor { storage, .. } = self.flavor;
        let prefix = self.flavor.header("meta-");
        let legal = |c: char| {
            c.is_ascii_alphanumeric() || c == '-' || storage.metadata_characters.contains(c)
        };
        let mut metadata = Metadata::new();
        for name in self.request.headers.keys() {
            let Some(short) = name.as_str().strip_prefix(&prefix) else { continue };
            if short.is_empty() || !short.chars().all(legal) {
                return Err(Refusal::InvalidArgument("a name of user metadata is not allowed"));
            }
            metadata.set(short, self.request.header(name.as_str()).unwrap_or_default());
        }
        if metadata.bytes() > storage.metadata_bytes {
            return Err(Refusal::MetadataTooLarge);
        }
        Ok(metadata)
    }

    /// The canned ACL and the grants.
    pub(super) fn permissions(&self) -> Result<BTreeMap<String, String>, Refusal> {
        let storage = &self.flavor.storage;
        let mut found = BTreeMap::new();
        if let Some(acl) = self.header(storage.acl_header) {
            if !storage.acls.contains(&acl.as_str()) {
                return Err(Refusal::InvalidArgument("an ACL that the service does not have"));
            }
            found.insert(self.flavor.header(storage.acl_header), acl);
        }
        for name in storage.grants {
            let Some(grant) = self.header(name) else { continue };
            if !grant.split(',').all(|grantee| grantee.trim().contains('=')) {
                return Err(Refusal::InvalidArgument("a grant is like id=\"…\""));
            }
            found.insert(self.flavor.header(name), grant);
        }
        Ok(found)
    }

    /// How the object is encrypted; of the client's key only the MD5.
    fn encryption(&self) -> Result<BTreeMap<String, String>, Refusal> {
        let storage = &self.flavor.storage;
        let mut found = BTreeMap::new();
        if let Some(md5) = self.customer_key("")? {
            found.insert(
                self.flavor.header(&format!("{ENCRYPTION}-customer-algorithm")),
                "AES256".to_owned(),
            );
            found.insert(self.flavor.header(&format!("{ENCRYPTION}-customer-key-md5")), md5);
        }
        if let Some(by) = self.header(ENCRYPTION) {
            if !storage.encryptions.contains(&by.as_str()) {
                return Err(Refusal::InvalidEncryption);
            }
            if !found.is_empty() {
                return Err(Refusal::InvalidArgument("two ways of encryption at once"));
            }
            let prefix = self.flavor.header(ENCRYPTION);
            let names = self.request.headers.keys().map(|name| name.as_str());
            let names =
                names.filter(|name| name.starts_with(&prefix) && !name.ends_with("-context"));
            found.extend(
                names.filter_map(|name| Some((name.to_owned(), self.request.header(name)?))),
            );
        }
        Ok(found)
    }

    /// The MD5 of the client's key that the request brings, for the object itself (`which` empty) or
    /// for the source of a copy.
    pub(super) fn customer_key(&self, which: &str) -> Result<Option<String>, Refusal> {
        let header = |name: &str| self.header(&format!("{which}{ENCRYPTION}-customer-{name}"));
        let (algorithm, key, md5) = (header("algorithm"), header("key"), header("key-md5"));
        let md5 = encryption::key_of(algorithm.as_deref(), key.as_deref(), md5.as_deref())?;
        if md5.is_some() && !self.flavor.storage.customer_keys {
            return Err(Refusal::EncryptionNotAllowed);
        }
        Ok(md5)
    }

    /// Operations on what is there already do not say how it is to be encrypted.
    pub(super) fn no_encryption(&self) -> Result<(), Refusal> {
        match self.header(ENCRYPTION) {
            Some(_) => Err(Refusal::EncryptionNotAllowed),
            None => Ok(()),
        }
    }

    /// What must be at the key for a write.
    pub(super) fn guard(&self) -> Result<Replaces, Refusal> {
        if self.flavor.forbid_overwrite {
            let forbidden = self.header("forbid-overwrite").is_some_and(|value| value == "true");
            if forbidden {
                return Ok(Replaces::Nothing);
            }
        }
        let names = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
        let [if_match, if_none_match, ..] = names.map(|name| self.request.header(name));
        match self.flavor.write_conditions {
            WriteConditions::Ignored => Ok(Replaces::Anything),
            WriteConditions::Refused => {
                let none = names.iter().all(|name| self.request.header(name).is_none());
                if none { Ok(Replaces::Anything) } else { Err(Refusal::UnexpectedCondition) }
            }
            WriteConditions::Kept if !self.config.s3_conditional_writes => Ok(Replaces::Anything),
            WriteConditions::Kept => match (if_match, if_none_match.as_deref()) {
                (None, None) => Ok(Replaces::Anything),
                (None, Some("*")) => Ok(Replaces::Nothing),
                (Some(etag), None) => Ok(Replaces::Version(ETag::new(&etag))),
                _ => Err(Refusal::UnexpectedCondition),
            },
        }
    }

    /// What a request to delete may remove.
    pub(super) fn removable(&self) -> Removable {
        let kept = self.flavor.write_conditions == WriteConditions::Kept
            && self.config.s3_conditional_writes;
        match self.request.header("if-match") {
            Some(wanted) if kept => Removable::matching(&wanted),
            _ => Removable::Anything,
        }
    }

    /// A rate at which the request is to be carried out is checked, and not kept.
    pub(super) fn check_traffic_limit(&self) -> Result<(), Refusal> {
        let Some((least, most)) = self.flavor.storage.traffic_limits else { return Ok(()) };
        let name = self.flavor.header("traffic-limit");
        let (header, query) = (self.request.header(&name), self.request.query.get(&name));
        let stated = header.as_deref().into_iter().chain(query);
        for limit in stated {
            let limit: Option<u64> = limit.parse().ok();
            if !limit.is_some_and(|limit| (least..=most).contains(&limit)) {
                return Err(Refusal::InvalidArgument("the traffic limit is out of range"));
            }
        }
        Ok(())
    }
}

/// The framing of a body is no encoding of the object.
fn strip_framing(headers: &mut BTreeMap<String, String>) {
    let Some(encoding) = headers.remove("content-encoding") else { return };
    let kept: Vec<_> =
        encoding.split(',').map(str::trim).filter(|name| *name != "aws-chunked").collect();
    if !kept.is_empty() {
        headers.insert("content-encoding".to_owned(), kept.join(","));
    }
}
