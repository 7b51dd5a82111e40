//! XML documents of a service as a small tree, and text for documents we send. Knows no operation.
//!
//! Bodies come from outside: no DTD, no entities but the five of XML, bounded depth and number of
//! elements (the caller bounds the bytes), one root and nothing behind it. Attributes are never
//! looked at.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deepest nesting; answers of the services need 5.
const MAX_DEPTH: usize = 16;
/// Most elements of one document; a page of 1000 objects needs some 15,000.
const MAX_ELEMENTS: usize = 100_000;

/// An element: its children, or its text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Name as written.
    pub(crate) name: String,
    /// Text directly inside it, references resolved.
    pub(crate) text: String,
    children: Vec<Element>,
}

impl Element {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// All children of a name.
    pub(crate) fn each<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The only child of a name; more than one is an error.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<&Element>, String> {
        let mut children = self.children.iter().filter(|child| child.name == name);
        let first = children.next();
        match children.next() {
            Some(_) => Err(format!("{} has more than one {name}", self.name)),
            None => Ok(first),
        }
    }

    /// The text of the only child of a name; absent is an error.
    pub(crate) fn text_of(&self, name: &str) -> Result<&str, String> {
        let child = self.optional(name)?.ok_or_else(|| format!("{} has no {name}", self.name))?;
        if !child.children.is_empty() {
            return Err(format!("{name} of {} is not text", self.name));
        }
        Ok(&child.text)
    }

    /// An unsigned number, in range; absent is an error.
    pub(crate) fn number_of(&self, name: &str) -> Result<u64, String> {
        let text = self.text_of(name)?.trim();
        // `parse` takes a leading plus, which no service writes.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{name} of {} is not a number", self.name));
        }
        text.parse().map_err(|_| format!("{name} of {} is not a number in range", self.name))
    }

    /// `true` or `false`; absent is an error.
    pub(crate) fn flag_of(&self, name: &str) -> Result<bool, String> {
        match self.text_of(name)?.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{name} of {} is neither true nor false", self.name)),
        }
    }
}

/// Reads a document. White space in front of it is skipped: COS and S3 send blanks while they
/// work, before the XML declaration, where the standard allows none.
pub(crate) fn parse(body: &[u8]) -> Result<Element, String> {
    let text = std::str::from_utf8(body).map_err(|_| "not UTF-8".to_owned())?;
    let text = text.trim_start();
    if text.is_empty() {
        return Err("an empty document".to_owned());
    }
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0;
    loop {
        match reader.read_event().map_err(|error| format!("not XML: {error}"))? {
            Event::Start(start) => {
                begin(&root, &mut elements)?;
                if open.len() == MAX_DEPTH {
                    return Err(format!("nested deeper than {MAX_DEPTH}"));
                }
                open.push(Element::named(start.name().as_ref()));
            }
            Event::Empty(start) => {
                begin(&root, &mut elements)?;
                close(Element::named(start.name().as_ref()), &mut open, &mut root);
            }
            Event::End(_) => match open.pop() {
                Some(element) => close(element, &mut open, &mut root),
                None => return Err("an end without a start".to_owned()),
            },
            Event::Text(text) => append(&text.xml10_content(), &mut open)?,
            Event::CData(text) => append(&text.xml10_content(), &mut open)?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => character,
                    Ok(None) => match reference.as_ref() {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "apos" => '\'',
                        "quot" => '"',
                        _ => return Err("an entity that XML does not define".to_owned()),
                    },
                    Err(error) => return Err(format!("not XML: {error}")),
                };
                append(character.encode_utf8(&mut [0; 4]), &mut open)?;
            }
            Event::DocType(_) => return Err("a document type, which no service sends".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err("the document ends before its root element does".to_owned()),
    }
}

fn begin(root: &Option<Element>, elements: &mut usize) -> Result<(), String> {
    if root.is_some() {
        return Err("more than one root element".to_owned());
    }
    *elements += 1;
    if *elements > MAX_ELEMENTS {
        return Err(format!("more than {MAX_ELEMENTS} elements"));
    }
    Ok(())
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *root = Some(element),
    }
}

fn append(text: &str, open: &mut [Element]) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("text outside the root element".to_owned()),
    }
    Ok(())
}

/// Whether XML 1.0 can carry a text, and bring it back the same, without references: no control
/// characters (CR and LF would be normalised) and no non-characters.
pub(crate) fn can_carry(text: &str) -> bool {
    !text
        .chars()
        .any(|character| character.is_control() || matches!(character, '\u{FFFE}' | '\u{FFFF}'))
}

/// Escapes text for an element.
pub(crate) fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            _ => into.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_a_document() {
        let root = parse(
            b" \n <?xml version='1.0'?>\n<!-- c --><R xmlns=\"u\"><A>1 &lt; &#50;</A><B><C/></B><N> 7 </N><T>true</T></R>\n",
        )
        .unwrap();
        assert_eq!(root.name, "R");
        assert_eq!(root.text_of("A").unwrap(), "1 < 2");
        assert_eq!(root.number_of("N"), Ok(7));
        assert_eq!(root.flag_of("T"), Ok(true));
        assert!(root.text_of("B").is_err());
        assert!(root.text_of("X").is_err());
        assert_eq!(root.optional("X"), Ok(None));
    }

    #[test]
    fn refuses_what_is_not_one_bounded_document() {
        let deep = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
        let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        for body in [
            "",
            "  ",
            "x",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>x",
            "<a>&x;</a>",
            "<a>&#0;</a>",
            "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
            "<!DOCTYPE html><html></html>",
            &deep,
            &wide,
            "<a>&",
            "<a>\u{0}<",
            "{}",
        ] {
            assert!(parse(body.as_bytes()).is_err(), "{:.60}", body);
        }
        assert!(parse(b"<a>\xff</a>").is_err());
    }

    #[test]
    fn duplicates_and_bad_numbers_are_errors() {
        let root =
            parse(b"<r><a>1</a><a>2</a><n>-1</n><p>+1</p><e/><b>18446744073709551616</b></r>")
                .unwrap();
        for name in ["a", "n", "p", "e", "b"] {
            assert!(root.number_of(name).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn escaped_text_comes_back(text in "\\PC*") {
            prop_assume!(can_carry(&text));
            let mut document = "<a>".to_owned();
            escape(&text, &mut document);
            document.push_str("</a>");
            prop_assert_eq!(parse(document.as_bytes()).unwrap().text, text);
        }

        #[test]
        fn any_bytes_end_in_a_result(body: Vec<u8>) {
            let _ = parse(&body);
        }
    }
}
