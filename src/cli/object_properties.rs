//! The options that say what new objects get. Whether the service has them is decided where the
//! connection is made.

use std::path::Path;

use super::kind::{Kind, Text};
use super::settings::Settings;
use super::{Refusal, options};
use crate::dialect::{ContentTypes, CustomerKey, Encryption, Grant, ObjectProperties, Right};
use crate::store::{Metadata, NamePattern, StandardHeaders};

/// What separates the items of a list: commas separate options of `-o`, semicolons are in types.
const SEPARATOR: char = '|';

/// The value of `sse` that asks for the key management service with its default key.
const KMS: &str = "KMS";

/// A number of bits per second.
pub(crate) struct BitRate;

impl Kind for BitRate {
    type Value = u64;

    fn parse(&self, text: &str) -> Result<u64, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "bit" => Some(1),
            "kbit" => Some(1000),
            "mbit" => Some(1_000_000),
            "gbit" => Some(1_000_000_000),
            _ => None,
        };
        digits
            .parse::<u64>()
            .ok()
            .zip(factor)
            .and_then(|(number, factor)| number.checked_mul(factor))
            .ok_or_else(|| "is no number of bits per second: write 100Mbit or 8388608".into())
    }

    fn placeholder(&self) -> &'static str {
        "BITS"
    }

    fn allowed(&self) -> String {
        "bits per second, as 8388608, 500Kbit or 100Mbit".into()
    }

    fn takes_numbers(&self) -> bool {
        true
    }
}

/// Content types by pattern.
pub(crate) struct Types;

impl Kind for Types {
    type Value = ContentTypes;

    fn parse(&self, text: &str) -> Result<ContentTypes, String> {
        let mut types = ContentTypes::default();
        for item in text.split(SEPARATOR).map(str::trim).filter(|item| !item.is_empty()) {
            match item {
                "guess" => {}
                "none" => types.guess(false),
                item => types.add(item).map_err(|error| format!("in it, {error}"))?,
            }
        }
        Ok(types)
    }

    fn placeholder(&self) -> &'static str {
        "LIST"
    }

    fn allowed(&self) -> String {
        "PATTERN=TYPE|PATTERN=TYPE…, with none among them to guess nothing".into()
    }
}

/// Patterns of names.
pub(crate) struct Patterns;

impl Kind for Patterns {
    type Value = Vec<NamePattern>;

    fn parse(&self, text: &str) -> Result<Vec<NamePattern>, String> {
        let items = text.split(SEPARATOR).map(str::trim).filter(|item| !item.is_empty());
        let pattern = |item| NamePattern::new(item).map_err(|error| format!("in it, {error}"));
        items.map(pattern).collect()
    }

    fn placeholder(&self) -> &'static str {
        "LIST"
    }

    fn allowed(&self) -> String {
        "PATTERN|PATTERN…".into()
    }
}

/// User metadata as `name=value|name=value`.
pub(crate) struct Entries;

impl Kind for Entries {
    type Value = Metadata;

    fn parse(&self, text: &str) -> Result<Metadata, String> {
        let mut metadata = Metadata::new();
        for item in text.split(SEPARATOR).filter(|item| !item.trim().is_empty()) {
            let Some((name, value)) = item.split_once('=') else {
                return Err(format!("in it, {item:?} is not of the form name=value"));
            };
            metadata.set(name.trim(), value.trim());
        }
        Ok(metadata)
    }

    fn placeholder(&self) -> &'static str {
        "LIST"
    }

    fn allowed(&self) -> String {
        "name=value|name=value…; names of a-z, 0-9 and -".into()
    }
}

/// Everything that was given about new objects.
pub(crate) fn properties(settings: &Settings) -> Result<ObjectProperties, Refusal> {
    let grants = [
        (&options::GRANT_READ, Right::Read),
        (&options::GRANT_READ_ACP, Right::ReadAcp),
        (&options::GRANT_WRITE_ACP, Right::WriteAcp),
        (&options::GRANT_FULL_CONTROL, Right::FullControl),
    ];
    let mut granted = Vec::new();
    for (option, right) in grants {
        if let Some(grantees) = settings.get(option)? {
            granted.push(Grant { right, grantees });
        }
    }
    Ok(ObjectProperties {
        headers: StandardHeaders {
            content_type: None,
            cache_control: settings.get(&options::CACHE_CONTROL)?,
            content_disposition: settings.get(&options::CONTENT_DISPOSITION)?,
            content_encoding: settings.get(&options::CONTENT_ENCODING)?,
            content_language: settings.get(&options::CONTENT_LANGUAGE)?,
            expires: settings.get(&options::EXPIRES)?,
        },
        content_types: settings.get(&options::CONTENT_TYPE)?.unwrap_or_default(),
        metadata: settings.get(&options::OBJECT_METADATA)?.unwrap_or_default(),
        storage_class: settings.get(&options::STORAGE_CLASS)?,
        acl: settings.get(&options::ACL)?,
        grants: granted,
        traffic_limit_bits: settings.get(&options::TRAFFIC_LIMIT)?,
        content_md5: settings.value(&options::CONTENT_MD5)?,
        encryption: encryption(settings)?,
        requester_pays: settings.value(&options::REQUESTER_PAYS)?,
    })
}

/// One kind of encryption, or a refusal that names the two that were asked for.
fn encryption(settings: &Settings) -> Result<Encryption, Refusal> {
    let algorithm = settings.get(&options::SSE)?;
    let key_id = settings.get(&options::SSE_KMS_KEY_ID)?;
    let context = settings.get(&options::SSE_KMS_CONTEXT)?;
    let key_file = settings.get(&options::SSE_C_KEY_FILE)?;
    let by_kms = algorithm.as_deref() == Some(KMS) || key_id.is_some() || context.is_some();
    let kms_option = if key_id.is_some() { "sse_kms_key_id" } else { "sse_kms_context" };
    let clash = |one: &str, other: &str| Err(Refusal::new(format!("{one} and {other}: give one")));
    match (algorithm, key_file) {
        (Some(_), Some(_)) => clash("sse", "sse_c_key_file"),
        (None, Some(_)) if by_kms => clash(kms_option, "sse_c_key_file"),
        (None, Some(path)) => customer_key(&path).map(Encryption::CustomerKey),
        (Some(algorithm), None) if by_kms && algorithm != KMS => {
            clash(&format!("sse {algorithm}"), kms_option)
        }
        (_, None) if by_kms => Ok(Encryption::Kms { key_id, context }),
        (Some(algorithm), None) => Ok(Encryption::ServiceKey { algorithm }),
        (None, None) => Ok(Encryption::None),
    }
}

fn customer_key(path: &Path) -> Result<CustomerKey, Refusal> {
    let name = options::SSE_C_KEY_FILE.name;
    let refused = |what: String| Refusal::new(format!("{name} {}: {what}", path.display()));
    CustomerKey::read(path).map_err(refused)
}

/// A text of visible characters, for headers.
pub(crate) struct HeaderText(pub(crate) &'static str);

impl Kind for HeaderText {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, String> {
        let text = Text(self.0).parse(text)?;
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Ok(text);
        }
        Err("has characters that no header carries: only visible ASCII is possible".into())
    }

    fn placeholder(&self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
#[path = "object_properties_tests.rs"]
mod tests;
