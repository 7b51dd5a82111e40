//! The Content-MD5 header: 16 bytes in base64.

use super::refusal::Refusal;

/// Decodes the header. Anything but 24 characters for 16 bytes is [`Refusal::MalformedDigest`].
pub(super) fn parse(text: &str) -> Result<[u8; 16], Refusal> {
    decode(text.trim()).ok_or(Refusal::MalformedDigest)
}

fn decode(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_suffix("==")?;
    if digits.len() != 22 {
        return None;
    }
    // 22 digits of 6 bits are 132 bits, of which the last 4 must be empty.
    let mut bits: u128 = 0;
    for digit in digits.bytes().take(21) {
        bits = (bits << 6) | u128::from(value_of(digit)?);
    }
    let last = value_of(digits.bytes().last()?)?;
    if last & 0b1111 != 0 {
        return None;
    }
    bits = (bits << 2) | u128::from(last >> 4);
    Some(bits.to_be_bytes())
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
            assert_eq!(parse(text), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let wrong = ["", "==", "XrY7u+Ae7tCTyyK7j1rNww=", "XrY7u+Ae7tCTyyK7j1rNwx==", "5eb63bbb"];
        for text in wrong {
            assert_eq!(parse(text), Err(Refusal::MalformedDigest), "{text}");
        }
    }
}
