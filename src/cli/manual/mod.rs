//! The manual pages: one for the program and one for each command, from the definition of the command
//! line; partfs.toml(5) from the table of options; partfs-semantics(7) from docs/SEMANTICS.md. What no
//! definition knows is Markdown in `sections/`.

mod commands;
mod markdown;
mod options;
mod semantics;

use std::path::Path;
use std::{fs, io};

use roff::{Inline, Roff, bold, roman};

/// A page as it is read by man(1).
struct Page {
    /// Its name without the section: `partfs-mount`.
    name: String,
    section: &'static str,
    text: String,
}

/// Name, section and subject of the pages that are not about a command.
const OTHERS: [(&str, &str, &str); 2] = [
    ("partfs.toml", "5", "options of a partfs mount, and the places where they are given"),
    ("partfs-semantics", "7", "what a partfs mount promises, and what it costs"),
];

/// Writes all pages into `man1`, `man5` and `man7` below a directory, which are made where they are
/// missing. Pages that are there are replaced.
pub fn write_man_pages(dir: &Path) -> io::Result<()> {
    for page in pages() {
        let folder = dir.join(format!("man{}", page.section));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{}.{}", page.name, page.section)), page.text)?;
    }
    Ok(())
}

fn pages() -> Vec<Page> {
    let mut pages = commands::pages();
    pages.extend([options::page(), semantics::page()]);
    pages
}

/// The beginning of a page that is not about a command.
fn head((name, section, subject): (&str, &str, &str)) -> Roff {
    let mut roff = Roff::new();
    let source = concat!("partfs ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [name.to_uppercase().as_str(), section, NO_DATE, source, MANUAL]);
    as_they_are(&mut roff);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {subject}"))]);
    roff
}

/// What the head of a page says in its middle.
const MANUAL: &str = "partfs manual";

/// The same program gives the same pages, whenever it is asked.
const NO_DATE: &str = "\"\"";

/// Names of options and variables are neither cut at the end of a line nor pulled apart.
fn as_they_are(roff: &mut Roff) {
    roff.control("nh", []).control("ad", ["l"]);
}

/// The last section: pages by name and section.
fn see_also(roff: &mut Roff, pages: &[(String, &str)]) {
    roff.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = Vec::new();
    for (number, (name, section)) in pages.iter().enumerate() {
        let end = if number + 1 == pages.len() { "" } else { ", " };
        line.extend([bold(name), roman(format!("({section}){end}"))]);
    }
    roff.text(line);
}

#[cfg(test)]
mod tests;
