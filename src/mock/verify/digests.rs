//! Keyed and plain hashes, and how services write them. Knows no service.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

pub(super) fn hmac_sha1(key: &[u8], message: &str) -> Vec<u8> {
    hmac::<Hmac<Sha1>>(key, message)
}

pub(in super::super) fn hmac_sha256(key: &[u8], message: &str) -> Vec<u8> {
    hmac::<Hmac<Sha256>>(key, message)
}

fn hmac<M: Mac + KeyInit>(key: &[u8], message: &str) -> Vec<u8> {
    // A key of any length is taken: the error cannot happen.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The SHA-256 of a text, in hexadecimal.
pub(in super::super) fn sha256_hex(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Two lower-case digits for each byte.
pub(in super::super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The 32 bytes of a SHA-256 in hexadecimal of either case.
pub(super) fn unhex_sha256(text: &str) -> Option<[u8; 32]> {
    // Checked first, because parsing would take a sign, and slicing needs borders of characters.
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sha256_is_read_as_one() {
        let text = sha256_hex("");
        assert_eq!(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(unhex_sha256(&text).map(|bytes| hex(&bytes)), Some(text.clone()));
        assert_eq!(unhex_sha256(&text.to_uppercase()), unhex_sha256(&text));
        for wrong in ["", "UNSIGNED-PAYLOAD", &text[1..], &format!("+{}", &text[1..])] {
            assert_eq!(unhex_sha256(wrong), None, "{wrong}");
        }
        assert_eq!(unhex_sha256(&"é".repeat(32)), None);
    }
}
