//! Keys that clients keep (SSE-C): the bucket stores the MD5 of such a key among an object's headers,
//! and who reads the object must bring the key again. Names end alike on all services, so this knows
//! none of them.

use super::base64;
use super::refusal::Refusal;
use crate::store::memory::Properties;
use md5::{Digest, Md5};

/// What the name of the header ends in that has the MD5 of the client's key.
const KEY_MD5: &str = "encryption-customer-key-md5";

/// The MD5, in base64, of the client's key with which an object is encrypted.
pub(super) fn key_md5(properties: &Properties) -> Option<&str> {
    let mut headers = properties.headers.iter();
    headers.find(|(name, _)| name.ends_with(KEY_MD5)).map(|(_, value)| value.as_str())
}

/// Whether `given` is the MD5 of the key of the object or upload that has these properties.
pub(super) fn check(properties: &Properties, given: Option<&str>) -> Result<(), Refusal> {
    match (key_md5(properties), given) {
        (None, None) => Ok(()),
        (Some(wanted), Some(given)) if wanted == given => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::WrongCustomerKey),
        (Some(_), None) => Err(Refusal::BadCustomerKey("the object needs the key of its client")),
        (None, Some(_)) => Err(Refusal::BadCustomerKey("the object is not encrypted with a key")),
    }
}

/// Whether an ETag tells nothing about the bytes: they are encrypted with a key that is not the
/// service's own.
pub(super) fn hides_etag(properties: &Properties) -> bool {
    let kms = |(name, value): (&String, &String)| {
        name.ends_with("server-side-encryption") && value.to_ascii_lowercase().contains("kms")
    };
    key_md5(properties).is_some() || properties.headers.iter().any(kms)
}

/// The MD5 in base64 of a key of 32 bytes, if the three headers of a request fit each other.
pub(super) fn key_of(
    algorithm: Option<&str>,
    key: Option<&str>,
    md5: Option<&str>,
) -> Result<Option<String>, Refusal> {
    let (Some(algorithm), Some(key), Some(md5)) = (algorithm, key, md5) else {
        let incomplete = Refusal::BadCustomerKey("a header of the client's key is missing");
        return if [algorithm, key, md5].iter().all(Option::is_none) {
            Ok(None)
        } else {
            Err(incomplete)
        };
    };
    if algorithm != "AES256" {
        return Err(Refusal::InvalidEncryption);
    }
    let key = base64::decode(key.trim()).filter(|key| key.len() == 32);
    let key = key.ok_or(Refusal::BadCustomerKey("the client's key is not 32 bytes in base64"))?;
    if base64::encode(&Md5::digest(key)) != md5.trim() {
        return Err(Refusal::BadCustomerKey("the client's key is not the one of its MD5"));
    }
    Ok(Some(md5.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    const MD5: &str = "KYvwGXoFFJ42a2u2GDWhwQ==";

    #[test]
    fn a_key_must_fit_its_md5() {
        let of = |key, md5| key_of(Some("AES256"), Some(key), Some(md5));
        assert_eq!(of(KEY, MD5), Ok(Some(MD5.to_owned())));
        assert!(matches!(of(KEY, "XrY7u+Ae7tCTyyK7j1rNww=="), Err(Refusal::BadCustomerKey(_))));
        assert!(matches!(of("MDEy", MD5), Err(Refusal::BadCustomerKey(_))));
        assert!(matches!(of("!", MD5), Err(Refusal::BadCustomerKey(_))));
        assert!(matches!(key_of(None, Some(KEY), Some(MD5)), Err(Refusal::BadCustomerKey(_))));
        assert_eq!(key_of(Some("DES"), Some(KEY), Some(MD5)), Err(Refusal::InvalidEncryption));
        assert_eq!(key_of(None, None, None), Ok(None));
    }
}
