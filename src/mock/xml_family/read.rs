//! The XML documents that requests carry: part lists and lists of keys. Strict, as services are.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::WriteConditions;
use crate::mock::calls::{ListedPart, Removable};
use crate::mock::digests::DigestKind;
use crate::mock::refusal::Refusal;
use crate::mock::voice::ListedKeys;
use crate::store::{ETag, Key, PartNumber};

/// Deepest nesting that any document has, and one more.
const MAX_DEPTH: usize = 4;

/// Most keys of a multiple delete.
const MAX_KEYS: usize = 1000;

/// An element with its text or its children.
#[derive(Debug, Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn text_of(&self, name: &str) -> Result<&str, Refusal> {
        self.child(name).map(|child| child.text.as_str()).ok_or(Refusal::MalformedDocument)
    }
}

/// The parts that a Complete lists. An empty list is malformed.
pub(super) fn part_list(document: &[u8]) -> Result<Vec<ListedPart>, Refusal> {
    let root = parse(document, "CompleteMultipartUpload")?;
    let parts = root.all("Part").map(|part| {
        let number = part.text_of("PartNumber")?.trim().parse();
        let number = number.map_err(|_| Refusal::MalformedDocument)?;
        let number = PartNumber::new(number).map_err(|_| Refusal::InvalidPartNumber)?;
        let digests = DigestKind::ALL.into_iter().filter_map(|kind| {
            let stated = part.child(&kind.element())?;
            Some((kind.header().to_owned(), stated.text.trim().to_owned()))
        });
        let etag = Some(ETag::new(part.text_of("ETag")?));
        Ok(ListedPart { number, etag, digests: digests.collect() })
    });
    let parts = parts.collect::<Result<Vec<_>, Refusal>>()?;
    if parts.is_empty() { Err(Refusal::MalformedDocument) } else { Ok(parts) }
}

/// The keys that a multiple delete lists, and whether the answer is to be quiet. `etags` is what becomes
/// of the ETags that objects must have. Whatever else stands beside a key (a version, a size) would make
/// it another request: it is not there rather than ignored.
pub(super) fn key_list(document: &[u8], etags: WriteConditions) -> Result<ListedKeys, Refusal> {
    let root = parse(document, "Delete")?;
    let keys = root.all("Object").map(|object| {
        let key = Key::new(object.text_of("Key")?).map_err(|_| Refusal::MalformedDocument)?;
        let mut only = Removable::Anything;
        for child in &object.children {
            match (child.name.as_str(), etags) {
                ("Key", _) | ("ETag", WriteConditions::Ignored) => {}
                ("ETag", WriteConditions::Kept) => only = Removable::matching(&child.text),
                _ => return Err(Refusal::NotImplemented),
            }
        }
        Ok((key, only))
    });
    let keys = keys.collect::<Result<Vec<_>, Refusal>>()?;
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(Refusal::MalformedDocument);
    }
    let quiet = root.child("Quiet").is_some_and(|quiet| quiet.text.trim() == "true");
    Ok((keys, quiet))
}

fn parse(document: &[u8], root: &str) -> Result<Element, Refusal> {
    let text = std::str::from_utf8(document).map_err(|_| Refusal::MalformedDocument)?;
    let element = tree(text).ok_or(Refusal::MalformedDocument)?;
    if element.name == root { Ok(element) } else { Err(Refusal::MalformedDocument) }
}

/// The root element; `None` for anything that is not one well-formed document.
fn tree(text: &str) -> Option<Element> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        match reader.read_event().ok()? {
            Event::Eof => break,
            Event::Start(start) => {
                if open.len() == MAX_DEPTH || (open.is_empty() && root.is_some()) {
                    return None;
                }
                let name = start.local_name().as_ref().to_owned();
                open.push(Element { name, ..Element::default() });
            }
            Event::Empty(start) => {
                let name = start.local_name().as_ref().to_owned();
                close(Element { name, ..Element::default() }, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let element = open.pop()?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(found) => append(&mut open, &found.xml10_content())?,
            Event::CData(found) => append(&mut open, &found.xml10_content())?,
            Event::GeneralRef(found) => {
                let character = match found.resolve_char_ref().ok()? {
                    Some(character) => character,
                    None => predefined(&found.xml10_content())?,
                };
                append(&mut open, character.encode_utf8(&mut [0; 4]))?;
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::DocType(_) => return None,
        }
    }
    root.filter(|_| open.is_empty())
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Option<()> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return None,
    }
    Some(())
}

fn append(open: &mut [Element], text: &str) -> Option<()> {
    let forbidden = |c: char| {
        (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || ('\u{FFFE}'..='\u{FFFF}').contains(&c)
    };
    match open.last_mut() {
        _ if text.contains(forbidden) => None,
        Some(element) => {
            element.text.push_str(text);
            Some(())
        }
        None => text.trim().is_empty().then_some(()),
    }
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn part_lists_come_with_and_without_quotes_and_declarations() {
        let document = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<CompleteMultipartUpload xmlns=\"x\">\
            <Part><PartNumber>1</PartNumber><ETag>&quot;ab&quot;</ETag></Part>\n\
            <Part><ETag>cd</ETag><PartNumber> 2 </PartNumber></Part></CompleteMultipartUpload>\n";
        let parts = part_list(document.as_bytes()).unwrap();
        let listed = |number, etag| ListedPart {
            number: PartNumber::new(number).unwrap(),
            etag: Some(ETag::new(etag)),
            digests: BTreeMap::new(),
        };
        assert_eq!(parts, [listed(1, "ab"), listed(2, "cd")]);
    }

    #[test]
    fn keys_keep_every_character_that_xml_can_carry() {
        let document = "<Delete><Quiet>true</Quiet><Object><Key>a&amp;b &#13;\u{4e2d}</Key></Object>\
            <Object><Key><![CDATA[<x>]]></Key></Object></Delete>";
        let (keys, quiet) = key_list(document.as_bytes(), WriteConditions::Refused).unwrap();
        let keys: Vec<_> = keys.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a&b \r\u{4e2d}", "<x>"]);
        assert!(quiet);
    }

    #[test]
    fn what_stands_beside_a_key_is_kept_or_refused() {
        let listed = |beside: &str, etags| {
            let document = format!("<Delete><Object><Key>k</Key>{beside}</Object></Delete>");
            let (mut keys, _) = key_list(document.as_bytes(), etags)?;
            Ok(keys.remove(0).1)
        };
        let (kept, refused) = (WriteConditions::Kept, WriteConditions::Refused);
        let etag = "<ETag>&quot;ab&quot;</ETag>";
        assert_eq!(listed(etag, kept), Ok(Removable::Version(ETag::new("ab"))));
        assert_eq!(listed("<ETag>*</ETag>", kept), Ok(Removable::Existing));
        assert_eq!(listed(etag, WriteConditions::Ignored), Ok(Removable::Anything));
        assert_eq!(listed(etag, refused), Err(Refusal::NotImplemented));
        for beside in ["<VersionId>v</VersionId>", "<Size>1</Size>", "<VersionId/>"] {
            for etags in [kept, refused, WriteConditions::Ignored] {
                assert_eq!(listed(beside, etags), Err(Refusal::NotImplemented), "{beside}");
            }
        }
    }

    #[test]
    fn malformed_documents_are_refused() {
        for document in [
            "",
            "x",
            "<Delete>",
            "<Delete></Delete>",
            "<Delete><Object></Object></Delete>",
            "<Delete><Object><Key></Key></Object></Delete>",
            "<Delete><Object><Key>&#1;</Key></Object></Delete>",
            "<Delete><Object><Key>&x;</Key></Object></Delete>",
            "<Delete><Object><Key>a</Key></Object></Delete><Delete/>",
            "<Other><Object><Key>a</Key></Object></Other>",
            "<!DOCTYPE x><Delete><Object><Key>a</Key></Object></Delete>",
        ] {
            assert_eq!(
                key_list(document.as_bytes(), WriteConditions::Kept),
                Err(Refusal::MalformedDocument),
                "{document}"
            );
        }
        let empty = "<CompleteMultipartUpload></CompleteMultipartUpload>";
        assert_eq!(part_list(empty.as_bytes()), Err(Refusal::MalformedDocument));
    }
}
