//! Base64, and the Content-MD5 header, which is 16 bytes in it.

use super::refusal::Refusal;

/// Decodes the header. Anything but 24 characters for 16 bytes is [`Refusal::MalformedDigest`].
pub(super) fn parse_md5(text: &str) -> Result<[u8; 16], Refusal> {
    let bytes = decode(text.trim()).ok_or(Refusal::MalformedDigest)?;
    bytes.try_into().map_err(|_| Refusal::MalformedDigest)
}

/// Decodes base64 with padding; `None` for anything else.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len()), 0_u32, 0);
    for digit in digits.bytes() {
        bits = (bits << 6 | u32::from(value_of(digit)?)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    // The bits that are left over belong to no byte: they must be empty.
    (bits & ((1 << count) - 1) == 0).then_some(bytes)
}

/// Encodes in base64 with padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at > three.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

fn value_of(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use md5::{Digest, Md5};

    #[test]
    fn published_digests_are_read() {
        for (text, of) in [
            ("+BSJN3e8wilf/wXwDlCNpg==", "hello "),
            ("fXkwN6B2AYZXSwKC8vQ15w==", "world"),
            ("XrY7u+Ae7tCTyyK7j1rNww==", "hello world"),
        ] {
            let expected: [u8; 16] = Md5::digest(of).into();
            assert_eq!(parse_md5(text), Ok(expected));
            assert_eq!(encode(&expected), text);
        }
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let wrong = ["", "==", "XrY7u+Ae7tCTyyK7j1rNww=", "XrY7u+Ae7tCTyyK7j1rNwx==", "5eb63bbb"];
        for text in wrong {
            assert_eq!(parse_md5(text), Err(Refusal::MalformedDigest), "{text}");
        }
    }
}
