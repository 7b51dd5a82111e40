//! What the record of an upload says, as text: a line before Initiate is sent, one more when the upload has
//! an id. Each line begins with its checksum, so that a damaged record is recognised. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::store::{ChecksumKind, Key, Metadata, PutOptions, Replaces, StandardHeaders, UploadId};

/// Of the lines. A record of another one is left alone.
const VERSION: u32 = 1;

/// An upload that is about to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    /// Where the object will appear.
    pub(super) key: Key,
    /// When, by the clock of this machine, in whole milliseconds.
    pub(super) begun: SystemTime,
    /// What goes with Initiate. Of what it replaces only whether that is nothing.
    pub(super) options: PutOptions,
    /// What else the mount gives to new objects, as one opaque word.
    pub(super) properties: String,
}

/// The answer to Initiate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened {
    /// The service's id.
    pub(super) id: UploadId,
    /// See [`Started::strays`](crate::store::Started::strays).
    pub(super) strays: bool,
}

/// A whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) intent: Intent,
    /// `None`: no answer was written down, and no part was sent.
    pub(super) opened: Option<Opened>,
}

/// Why a record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unreadable {
    /// Nobody has sent anything for it.
    #[error("it is empty")]
    Empty,
    /// It is not what was written.
    #[error("line {line} is damaged")]
    Damaged { line: usize },
    /// A newer partfs has written it.
    #[error("it has version {0}, this is version {VERSION}")]
    Version(u32),
}

/// What the first line of every version has.
#[derive(Deserialize)]
struct VersionLine {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct IntentLine {
    version: u32,
    key: String,
    begun_ms: u64,
    create_only: bool,
    storage_class: Option<String>,
    headers: Vec<(String, String)>,
    metadata: Vec<(String, String)>,
    properties: String,
}

#[derive(Serialize, Deserialize)]
struct OpenedLine {
    id: String,
    strays: bool,
}

/// A line for a value; ends with a newline.
fn line(value: &impl Serialize) -> String {
    // Text and numbers only, so this cannot fail; an empty line is recognised as damage.
    let json = serde_json::to_string(value).unwrap_or_default();
    format!("{:016x} {json}\n", ChecksumKind::Crc64Xz.of(json.as_bytes()).value)
}

/// The value of a line without its newline.
fn value<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<T> {
    let (sum, json) = line.split_at_checked(17)?;
    let sum = std::str::from_utf8(sum.strip_suffix(b" ")?).ok()?;
    let sum = u64::from_str_radix(sum, 16).ok()?;
    (ChecksumKind::Crc64Xz.of(json).value == sum).then(|| serde_json::from_slice(json).ok())?
}

impl Intent {
    /// The first line.
    pub(super) fn line(&self) -> String {
        let since = self.begun.duration_since(UNIX_EPOCH).unwrap_or_default();
        let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        line(&IntentLine {
            version: VERSION,
            key: self.key.as_str().to_owned(),
            begun_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            create_only: self.options.replaces.is_nothing(),
            storage_class: self.options.storage_class.clone(),
            headers: self.options.headers.iter().map(text).collect(),
            metadata: self.options.metadata.iter().map(text).collect(),
            properties: self.properties.clone(),
        })
    }

    fn read(line: IntentLine) -> Option<Self> {
        let header = |name: &str| {
            line.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        Some(Self {
            key: Key::new(line.key).ok()?,
            begun: UNIX_EPOCH.checked_add(Duration::from_millis(line.begun_ms))?,
            options: PutOptions {
                headers: StandardHeaders::collect(header),
                storage_class: line.storage_class,
                metadata: line.metadata.into_iter().collect::<Metadata>(),
                replaces: Replaces::nothing_if(line.create_only),
            },
            properties: line.properties,
        })
    }
}

impl Opened {
    /// The second line.
    pub(super) fn line(&self) -> String {
        line(&OpenedLine { id: self.id.as_str().to_owned(), strays: self.strays })
    }
}

/// Reads a record. A last line without its end was being written when the machine stopped: what it was
/// to announce has not happened.
pub(super) fn read(text: &[u8]) -> Result<Record, Unreadable> {
    if text.is_empty() {
        return Err(Unreadable::Empty);
    }
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let mut next = || lines.next().map(|line| line.strip_suffix(b"\n"));
    let damaged = Unreadable::Damaged { line: 1 };
    let first = next().flatten().ok_or(damaged.clone())?;
    match value(first) {
        Some(VersionLine { version: VERSION }) => {}
        Some(VersionLine { version }) => return Err(Unreadable::Version(version)),
        None => return Err(damaged),
    }
    let intent = value(first).and_then(Intent::read).ok_or(damaged)?;
    let opened = match next() {
        None | Some(None) => None,
        Some(Some(second)) => {
            let second: OpenedLine = value(second).ok_or(Unreadable::Damaged { line: 2 })?;
            Some(Opened { id: UploadId::new(second.id), strays: second.strays })
        }
    };
    match next() {
        None => Ok(Record { intent, opened }),
        Some(_) => Err(Unreadable::Damaged { line: 3 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent() -> Intent {
        Intent {
            key: Key::new("dir/\u{1}文 \"q\"").unwrap(),
            begun: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
            options: PutOptions {
                headers: StandardHeaders::of_type("text/plain"),
                storage_class: Some("STANDARD_IA".into()),
                metadata: [("mode", "420"), ("user", "a\nb")].into_iter().collect(),
                replaces: Replaces::Nothing,
            },
            properties: "0123".into(),
        }
    }

    fn opened() -> Opened {
        Opened { id: UploadId::new("id\n+/="), strays: true }
    }

    #[test]
    fn what_is_written_is_read() {
        let (intent, opened) = (intent(), opened());
        let first = intent.line();
        let whole = format!("{first}{}", opened.line());
        let before = Record { intent: intent.clone(), opened: None };
        assert_eq!(read(first.as_bytes()), Ok(before));
        assert_eq!(read(whole.as_bytes()), Ok(Record { intent, opened: Some(opened) }));
    }

    #[test]
    fn a_record_of_every_shorter_length_is_the_first_line_or_nothing() {
        let first = intent().line();
        let whole = format!("{first}{}", opened().line());
        for len in 0..whole.len() {
            match read(&whole.as_bytes()[..len]) {
                Ok(record) => {
                    assert!(len >= first.len(), "{len}");
                    assert_eq!(record, Record { intent: intent(), opened: None });
                }
                Err(Unreadable::Empty) => assert_eq!(len, 0),
                Err(error) => {
                    assert!(len < first.len() && error == Unreadable::Damaged { line: 1 }, "{len}");
                }
            }
        }
    }

    #[test]
    fn no_flipped_bit_makes_another_upload() {
        let whole = format!("{}{}", intent().line(), opened().line()).into_bytes();
        let good = read(&whole).unwrap();
        let before = Record { opened: None, ..good.clone() };
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut text = whole.clone();
                text[at] ^= 1 << bit;
                // In the checksum, a letter may become the same digit in the other case; in the last
                // byte, the second line has no end.
                let read = read(&text);
                let same = read.as_ref() == Ok(&good) || read.as_ref() == Ok(&before);
                assert!(read.is_err() || same, "byte {at}, bit {bit}: {read:?}");
            }
        }
    }

    #[test]
    fn a_newer_record_is_left_alone() {
        let newer = line(&IntentLine {
            version: 2,
            key: "k".into(),
            begun_ms: 0,
            create_only: false,
            storage_class: None,
            headers: vec![],
            metadata: vec![],
            properties: String::new(),
        });
        assert_eq!(read(newer.as_bytes()), Err(Unreadable::Version(2)));
    }
}
