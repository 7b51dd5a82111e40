//! Writes XML: elements in order, texts escaped. Knows no document.

use std::fmt::Write;
use std::time::SystemTime;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// `encoding-type=url`: all but the unreserved characters and the slash.
const URL: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A document that grows.
#[derive(Debug, Default)]
pub(in crate::mock) struct Xml(String);

impl Xml {
    /// A declaration and nothing else.
    pub(in crate::mock) fn declared() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// Appends text as it is.
    pub(in crate::mock) fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Appends an element with a text, which is escaped. What XML has no way to write is written
    /// nevertheless, as the services do.
    pub(in crate::mock) fn element(&mut self, name: &str, text: impl AsRef<str>) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "<{name}>{}</{name}>", escape(text.as_ref()));
    }

    /// Appends an element with children. What stands behind a blank in `name` are attributes.
    pub(in crate::mock) fn group(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<{name}>");
        fill(self);
        let end = name.split_once(' ').map_or(name, |(name, _attributes)| name);
        let _ = write!(self.0, "</{end}>");
    }

    /// The document.
    pub(in crate::mock) fn finish(self) -> String {
        self.0
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As `encoding-type=url` has it. A blank is `+` or `%20`; a plus is `%2B` always.
pub(super) fn url_encoded(text: &str, blank_is_plus: bool) -> String {
    let encoded = utf8_percent_encode(text, URL).to_string();
    if blank_is_plus { encoded.replace("%20", "+") } else { encoded }
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_default()
}

/// `2023-11-14T22:13:20.000Z`.
pub(in crate::mock) fn iso_time(time: SystemTime) -> String {
    timestamp(time).strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// `Tue Nov 14 22:13:20 2023`: what COS's documentation shows for List Multipart Uploads.
pub(in crate::mock) fn asctime(time: SystemTime) -> String {
    timestamp(time).strftime("%a %b %e %H:%M:%S %Y").to_string()
}
