//! `KEY@UPLOADID`: the name of the file that stands for an upload, in the folder that stands for the folder of its
//! key. Pure.
//!
//! The last element of the key is shown as everywhere ([`shown`](crate::fs::shown)). Of the id all is as it is but what
//! no name can have or what would be taken for a separator: `%`, `/`, `@`, blanks and control characters, as
//! `%XX`. What would be longer than a name may be is cut, the id first, and ends in `%~` and a hash.
//! A name is never read back: whoever has one looks for the upload that has this name.

use crate::fs::shown::{self, NAME_BYTES};
use crate::store::{ChecksumKind, UploadId};

/// Between key and id.
const MARK: char = '@';
/// Stands before the hash of what was cut.
const CUT: &str = "%~";
/// The most of an id, in bytes.
const ID_BYTES: usize = 160;

/// The name of an upload of a key with this last element.
pub(super) fn of_upload(element: &str, id: &UploadId) -> String {
    let id = cut(&escaped(id.as_str()), ID_BYTES);
    let element = cut(&of_directory(element), NAME_BYTES - MARK.len_utf8() - id.len());
    format!("{element}{MARK}{id}")
}

/// The name of a folder.
pub(super) fn of_directory(element: &str) -> String {
    shown::shown(element, false).into_owned()
}

/// What the element of whatever has this name begins with, for a listing that is no longer than it must be.
pub(super) fn beginning(name: &str) -> &str {
    if name.starts_with(shown::MARK) {
        return "";
    }
    let end = name.rfind(MARK).unwrap_or(name.len());
    let end = name[..end].find(CUT).unwrap_or(end);
    &name[..end]
}

fn escaped(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~+=:,!$&'()*".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let hash = format!("{CUT}{:016x}", ChecksumKind::Crc64Xz.of(text.as_bytes()).value);
    let room = most.saturating_sub(hash.len());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{hash}", &text[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(element: &str, id: &str) -> String {
        of_upload(element, &UploadId::new(id))
    }

    #[test]
    fn usual_names_are_key_and_id() {
        assert_eq!(name("db.tar", "0004B9895DBBB6EC98E36"), "db.tar@0004B9895DBBB6EC98E36");
        assert_eq!(name("me@home", "2~x_y-z.0="), "me@home@2~x_y-z.0=");
        assert_eq!(name("a", "b/c@d%e f"), "a@b%2Fc%40d%25e%20f");
        assert_eq!(name("", "1"), "@partfs:@1", "the marker of a folder");
        assert_eq!(name("..", "1"), "@partfs:%2E%2E@1");
        assert_eq!(of_directory("a b"), "a b");
    }

    #[test]
    fn long_names_are_cut_and_differ() {
        let (element, id) = ("é".repeat(200), "i".repeat(500));
        let names = [
            name(&element, &id),
            name(&element, &format!("{id}x")),
            name(&format!("{element}x"), &id),
        ];
        for name in &names {
            assert!(name.len() <= NAME_BYTES, "{}", name.len());
        }
        assert!(names[0] != names[1] && names[0] != names[2]);
    }

    proptest! {
        #[test]
        fn every_name_can_be_a_file_and_is_found_by_its_beginning(
            element in "[^/]{0,300}",
            id in "\\PC{0,300}",
        ) {
            for name in [name(&element, &id), of_directory(&element)] {
                prop_assert!(name.len() <= NAME_BYTES);
                prop_assert!(!name.contains(['/', '\0']) && !matches!(&*name, "" | "." | ".."));
                prop_assert!(element.starts_with(beginning(&name)), "{:?}", beginning(&name));
            }
        }
    }
}
