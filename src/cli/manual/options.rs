//! partfs.toml(5): the text around the table of docs/CONFIGURATION.md, and the table as a list.

use roff::{bold, italic, roman};

use super::markdown::Markdown;
use super::{OTHERS, Page, head, see_also};
use crate::cli::{options, reference};

const EXAMPLE: &str = include_str!("sections/toml.md");

pub(super) fn page() -> Page {
    let (name, section, _) = OTHERS[0];
    let mut roff = head(OTHERS[0]);
    let mut markdown = Markdown::default();
    markdown.section("Description", &mut roff);
    markdown.append(reference::HEAD, &mut roff);
    roff.control("SH", ["OPTIONS"]);
    for definition in options::all() {
        roff.control("TP", []);
        let mut term = vec![bold(definition.name())];
        let allowed = definition.allowed();
        match allowed.as_str() {
            "" => term.extend([roman(" = "), italic(definition.placeholder().to_lowercase())]),
            allowed => term.push(roman(format!(" = {allowed}"))),
        }
        roff.text(term);
        let default = match definition.default_text() {
            "" => String::new(),
            text => format!(" Default: {text}."),
        };
        markdown.append_inline(&format!("{}{default}", definition.help()), &mut roff);
    }
    markdown.append(reference::TAIL, &mut roff);
    markdown.append(EXAMPLE, &mut roff);
    let pages = [("partfs", "1"), ("partfs-mount", "1"), ("partfs-semantics", "7"), ("fstab", "5")];
    see_also(&mut roff, &pages.map(|(page, section)| (page.to_owned(), section)));
    Page { name: name.to_owned(), section, text: roff.render() }
}
