//! partfs-semantics(7): docs/SEMANTICS.md without the names of the tests.

use super::markdown::Markdown;
use super::{OTHERS, Page, head, see_also};

const DOCUMENT: &str = include_str!("../../../docs/SEMANTICS.md");

pub(super) fn page() -> Page {
    let (name, section, _) = OTHERS[1];
    let mut roff = head(OTHERS[1]);
    let mut markdown = Markdown::default();
    markdown.section("Description", &mut roff);
    markdown.append(&without_proofs(DOCUMENT), &mut roff);
    markdown.append(include_str!("sections/semantics.md"), &mut roff);
    let pages = [("partfs", "1"), ("partfs-mount", "1"), ("partfs.toml", "5")];
    see_also(&mut roff, &pages.map(|(page, section)| (page.to_owned(), section)));
    Page { name: name.to_owned(), section, text: roff.render() }
}

/// The text without `[path::of::a_test]`, and without the blanks before one.
pub(super) fn without_proofs(document: &str) -> String {
    let mut text = String::with_capacity(document.len());
    let mut rest = document;
    while let Some(start) = rest.find('[') {
        let (before, from) = rest.split_at(start);
        let end = from.find(']').map_or(from.len(), |end| end + 1);
        let (found, after) = from.split_at(end);
        let proof = found.contains("::") && !found.contains(' ');
        text.push_str(if proof { before.trim_end_matches([' ', '\n']) } else { before });
        text.push_str(if proof { "" } else { found });
        rest = after;
    }
    text + rest
}
