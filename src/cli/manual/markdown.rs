//! Markdown as the documents of partfs use it, for man(1). A table becomes a list with one entry for
//! each row, because a terminal has no room for columns of prose.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, italic, roman};

/// Documents that are pages, too, by the name under which documents link to them.
const PAGES: &[(&str, &str)] =
    &[("CONFIGURATION.md", "partfs.toml(5)"), ("SEMANTICS.md", "partfs-semantics(7)")];

/// A conversion in progress.
#[derive(Default)]
pub(super) struct Markdown {
    line: Vec<Inline>,
    /// Of each list around this place: the number of the next entry, or none where they have bullets.
    lists: Vec<Option<u64>>,
    /// A heading, or the mark of an entry, has begun the next paragraph already.
    begun: bool,
    style: Style,
    heading: String,
    in_heading: bool,
    link: Option<String>,
    table: Table,
}

#[derive(Default)]
struct Table {
    names: Vec<String>,
    in_head: bool,
    column: usize,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Style {
    #[default]
    Plain,
    Strong,
    Emphasis,
    Code,
}

impl Markdown {
    /// Appends a text with sections. Its title is left out: the page has a name.
    pub(super) fn append(&mut self, text: &str, roff: &mut Roff) {
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            self.event(event, roff);
        }
    }

    /// Begins a section.
    pub(super) fn section(&mut self, name: &str, roff: &mut Roff) {
        roff.control("SH", [name.to_uppercase().as_str()]);
        self.begun = true;
    }

    /// Appends a sentence or two to what has been begun.
    pub(super) fn append_inline(&mut self, text: &str, roff: &mut Roff) {
        self.begun = true;
        self.append(text, roff);
        self.begun = false;
    }

    fn event(&mut self, event: Event<'_>, roff: &mut Roff) {
        match event {
            Event::Start(tag) => self.start(tag, roff),
            Event::End(tag) => self.end(tag, roff),
            Event::Text(text) => self.text(&text, roff),
            Event::Code(text) => self.push(bold(&*text), &text),
            Event::SoftBreak => self.push(roman(" "), " "),
            Event::HardBreak => self.line.push(Inline::LineBreak),
            // Remarks for authors, and what the documents do not use.
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, roff: &mut Roff) {
        match tag {
            Tag::Heading { .. } => self.in_heading = true,
            Tag::Paragraph => self.paragraph(roff),
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                if !self.begun {
                    roff.control("PP", []);
                }
                self.flush(roff);
                roff.control("RS", ["4"]).control("nf", []);
                self.style = Style::Code;
            }
            Tag::List(first) => {
                self.flush(roff);
                if !self.lists.is_empty() {
                    roff.control("RS", ["4"]);
                }
                self.lists.push(first);
            }
            Tag::Item => {
                match self.lists.last_mut() {
                    Some(Some(number)) => {
                        roff.control("IP", [format!("{number}.").as_str(), "4"]);
                        *number += 1;
                    }
                    _ => {
                        roff.control("IP", ["\\(bu", "2"]);
                    }
                }
                self.begun = true;
            }
            Tag::Emphasis => self.style = Style::Emphasis,
            Tag::Strong => self.style = Style::Strong,
            Tag::Link { dest_url, .. } => self.link = Some(dest_url.into_string()),
            Tag::Table(_) => self.table = Table::default(),
            Tag::TableHead => self.table.in_head = true,
            Tag::TableRow => self.table.column = 0,
            Tag::TableCell if !self.table.in_head && self.table.column == 0 => {
                roff.control("TP", []);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, roff: &mut Roff) {
        match tag {
            TagEnd::Heading(level) => {
                self.in_heading = false;
                let heading = std::mem::take(&mut self.heading);
                match level as usize {
                    1 => {}
                    2 => self.section(&heading, roff),
                    _ => {
                        roff.control("SS", [heading.as_str()]);
                        self.begun = true;
                    }
                }
            }
            TagEnd::Paragraph | TagEnd::Item => self.flush(roff),
            TagEnd::CodeBlock => {
                roff.control("fi", []).control("RE", []);
                self.style = Style::Plain;
            }
            TagEnd::List(_) => {
                self.lists.pop();
                if !self.lists.is_empty() {
                    roff.control("RE", []);
                }
            }
            TagEnd::Emphasis | TagEnd::Strong => self.style = Style::Plain,
            TagEnd::Link => {
                if let Some(address) = self.link.take().filter(|to| to.contains("://")) {
                    self.line.push(roman(format!(" ({address})")));
                }
            }
            TagEnd::TableHead => self.table.in_head = false,
            TagEnd::TableCell => self.cell(roff),
            _ => {}
        }
    }

    fn text(&mut self, text: &str, roff: &mut Roff) {
        if self.style == Style::Code {
            for line in text.lines() {
                roff.text([roman(line)]);
            }
            return;
        }
        let page = PAGES.iter().find(|(document, _)| self.link.is_some() && *document == text);
        let text = page.map_or(text, |(_, page)| page);
        let inline = match self.style {
            Style::Strong => bold(text),
            Style::Emphasis => italic(text),
            Style::Plain | Style::Code => roman(text),
        };
        self.push(inline, text);
    }

    fn push(&mut self, inline: Inline, text: &str) {
        if self.in_heading {
            self.heading.push_str(text);
        } else {
            self.line.push(inline);
        }
    }

    /// Begins a paragraph, in an entry of a list one that belongs to it.
    fn paragraph(&mut self, roff: &mut Roff) {
        if std::mem::take(&mut self.begun) {
            return;
        }
        match self.lists.last() {
            None => roff.control("PP", []),
            Some(None) => roff.control("IP", ["\"\"", "2"]),
            Some(Some(_)) => roff.control("IP", ["\"\"", "4"]),
        };
    }

    /// A cell of the head is remembered; the first of a row is the term of an entry, the others are
    /// lines below it, and in wide tables they say which they are.
    fn cell(&mut self, roff: &mut Roff) {
        let table = &mut self.table;
        if table.in_head {
            let words = self.line.drain(..).map(|inline| match inline {
                Inline::Roman(text) | Inline::Bold(text) | Inline::Italic(text) => text,
                Inline::LineBreak => String::new(),
            });
            table.names.push(words.collect());
            return;
        }
        let name = table.names.get(table.column).filter(|name| !name.is_empty());
        if let Some(name) = name.filter(|_| table.column > 0 && table.names.len() > 2)
            && !self.line.is_empty()
        {
            self.line.splice(0..0, [italic(name), roman(": ")]);
        }
        if table.column > 1 && !self.line.is_empty() {
            roff.control("br", []);
        }
        table.column += 1;
        self.flush(roff);
    }

    fn flush(&mut self, roff: &mut Roff) {
        if !self.line.is_empty() {
            roff.text(std::mem::take(&mut self.line));
        }
        self.begun = false;
    }
}
