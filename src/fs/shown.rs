//! How the elements of keys are shown as names, and which element a name stands for. Pure.
//!
//! A key is cut at each `/` into elements. Nearly all of them are names as they are. One that no file can have
//! as its name (empty, `.`, `..`, with NUL, longer than 255 bytes), that looks like the names made here, or
//! that is `.partfs` at the root of the mount, is shown as [`MARK`] and its text, with `%` and NUL (and the dots
//! of `.` and `..`) as `%25`, `%00` and `%2E`. Where that would be longer than 255 bytes it is cut, and ends
//! in `%~` and 16 hexadecimal digits: the first 8 bytes of the SHA-256 of the whole element.
//!
//! No two elements have the same name, but for two long ones with the same beginning and hash. The rule is kept
//! by scripts and lists of names: it must never change.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::fs::control;

/// What the names made here begin with.
pub const MARK: &str = "@partfs:";
/// The longest name that Linux accepts (`NAME_MAX`), in bytes.
pub const NAME_BYTES: usize = 255;
/// Stands before the hash of an element that was cut.
const CUT: &str = "%~";
/// Digits of that hash.
const HASH_DIGITS: usize = 16;
/// No character is longer than 4 bytes, so a name that was cut is hardly shorter than it may be.
const CUT_NAME_BYTES: usize = NAME_BYTES - 3;

/// The name of an element in the root of the mount, or in another directory. Elements have no `/`.
pub fn shown(element: &str, in_root: bool) -> Cow<'_, str> {
    let odd = matches!(element, "" | "." | "..")
        || element.len() > NAME_BYTES
        || element.contains('\0')
        || element.starts_with(MARK)
        || in_root && element == control::NAME;
    if !odd {
        return element.into();
    }
    let mut name = String::from(MARK);
    if matches!(element, "." | "..") {
        name.push_str(&element.replace('.', "%2E"));
        return name.into();
    }
    let room = NAME_BYTES - CUT.len() - HASH_DIGITS;
    let mut cut = None;
    for character in element.chars() {
        let before = name.len();
        match character {
            '%' => name.push_str("%25"),
            '\0' => name.push_str("%00"),
            other => name.push(other),
        }
        if cut.is_none() && name.len() > room {
            cut = Some(before);
        }
        if name.len() > NAME_BYTES {
            name.truncate(cut.unwrap_or(before));
            name.push_str(CUT);
            name.push_str(&hash(element));
            break;
        }
    }
    name.into()
}

fn hash(element: &str) -> String {
    let digest = Sha256::digest(element);
    digest.iter().take(HASH_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant<'n> {
    /// This element.
    Element(Cow<'n, str>),
    /// An element that was cut, and begins so. Which one it is, only the keys there are can tell: the one
    /// that is [`shown`] by this name.
    Cut(String),
    /// No element is shown by this name.
    Nothing,
}

/// The element that is [`shown`] by a name.
pub fn meant(name: &str, in_root: bool) -> Meant<'_> {
    let Some(text) = name.strip_prefix(MARK) else {
        let plain = shown(name, in_root) == name;
        return if plain { Meant::Element(name.into()) } else { Meant::Nothing };
    };
    if let Some((beginning, digits)) = text.rsplit_once(CUT) {
        let is_hash = digits.len() == HASH_DIGITS
            && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let fits = (CUT_NAME_BYTES..=NAME_BYTES).contains(&name.len());
        let beginning = unescaped(beginning).filter(|_| is_hash && fits);
        return beginning.map_or(Meant::Nothing, Meant::Cut);
    }
    match unescaped(text) {
        Some(element) if shown(&element, in_root) == name => Meant::Element(element.into()),
        _ => Meant::Nothing,
    }
}

/// Whether the name of an element is cut.
pub fn is_cut(element: &str, in_root: bool) -> bool {
    match shown(element, in_root) {
        Cow::Owned(name) => matches!(meant(&name, in_root), Meant::Cut(_)),
        Cow::Borrowed(_) => false,
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let escapes = [("25", '%'), ("00", '\0'), ("2E", '.')];
        let found = escapes.iter().find_map(|(digits, c)| Some((part.strip_prefix(digits)?, *c)));
        let (rest, character) = found?;
        plain.push(character);
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
#[path = "shown_tests.rs"]
mod tests;
