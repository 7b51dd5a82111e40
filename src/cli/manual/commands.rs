//! Pages of commands. Synopsis, options and subcommands are what the definition says; the other
//! sections come from `sections/`, one file for each command that has some.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use roff::{Roff, roman};

use super::markdown::Markdown;
use super::{MANUAL, NO_DATE, OTHERS, Page, as_they_are, see_also};
use crate::cli::args::Typed;

/// A page that is named in another, and its section.
type Reference = (&'static str, &'static str);

/// Sections that the definition does not know, and pages of others for SEE ALSO, by page.
pub(super) const MORE: &[(&str, &str, &[Reference])] = &[
    ("partfs", include_str!("sections/partfs.md"), &[("systemd.unit", "5")]),
    (
        "partfs-mount",
        include_str!("sections/mount.md"),
        &[("mount", "8"), ("fstab", "5"), ("fusermount3", "1")],
    ),
    ("partfs-umount", include_str!("sections/umount.md"), &[("umount", "8"), ("fusermount3", "1")]),
    ("partfs-status", include_str!("sections/status.md"), &[]),
    ("partfs-check", include_str!("sections/check.md"), &[]),
    ("partfs-uploads", include_str!("sections/uploads.md"), &[]),
    ("partfs-uploads-list", include_str!("sections/uploads_list.md"), &[]),
    ("partfs-uploads-abort", include_str!("sections/uploads_abort.md"), &[]),
    ("partfs-link", include_str!("sections/link.md"), &[]),
    ("partfs-mock", include_str!("sections/mock.md"), &[]),
    ("partfs-completions", include_str!("sections/completions.md"), &[]),
    ("partfs-man-pages", include_str!("sections/man_pages.md"), &[("man", "1"), ("manpath", "5")]),
];

/// What holds for every command without a file that says otherwise.
const EXIT_STATUS: &str = include_str!("sections/exit_status.md");

/// One page for the program and for each command that is not hidden.
pub(super) fn pages() -> Vec<Page> {
    let mut command = Typed::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, None, &mut pages);
    pages
}

fn name_of(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

fn add(command: &Command, parent: Option<&Command>, pages: &mut Vec<Page>) {
    let text = text(command, parent).unwrap_or_default();
    pages.push(Page { name: name_of(command), section: "1", text });
    for sub in visible(command) {
        add(sub, Some(command), pages);
    }
}

/// Writing into memory does not fail.
fn text(command: &Command, parent: Option<&Command>) -> io::Result<String> {
    let name = name_of(command);
    let more = MORE.iter().find(|(page, ..)| *page == name);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let shown = command.clone().override_usage(usage).subcommand_help_heading("COMMANDS");
    let man = Man::new(shown)
        .title(name.to_uppercase())
        .date(NO_DATE)
        .source(concat!("partfs ", env!("CARGO_PKG_VERSION")))
        .manual(MANUAL);
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    let mut roff = Roff::new();
    as_they_are(&mut roff);
    out.extend(roff.to_roff().into_bytes());
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;

    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    let about = command.get_long_about().or_else(|| command.get_about());
    roff.text([roman(format!("{}.", about.cloned().unwrap_or_default()))]);
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        for paragraph in after.to_string().lines() {
            roff.control("PP", []);
            roff.text([roman(paragraph)]);
        }
    }
    let (description, sections) = match more {
        Some((_, text, _)) => text.split_once("## ").unwrap_or((text, "")),
        None => ("", ""),
    };
    Markdown::default().append(description, &mut roff);
    out.extend(roff.to_roff().into_bytes());

    man.render_options_section(&mut out)?;
    if visible(command).next().is_some() {
        man.render_subcommands_section(&mut out)?;
    }

    let mut roff = Roff::new();
    if !sections.starts_with("Exit status") {
        Markdown::default().append(EXIT_STATUS, &mut roff);
    }
    if !sections.is_empty() {
        Markdown::default().append(&format!("## {sections}"), &mut roff);
    }
    let relatives = parent.into_iter().chain(visible(command)).map(|page| (name_of(page), "1"));
    let others = OTHERS.iter().map(|(page, section, _)| ((*page).to_owned(), *section));
    let of_others = more.map_or(&[][..], |(.., of_others)| of_others);
    let of_others = of_others.iter().map(|(page, section)| ((*page).to_owned(), *section));
    see_also(&mut roff, &relatives.chain(others).chain(of_others).collect::<Vec<_>>());
    out.extend(roff.to_roff().into_bytes());
    String::from_utf8(out).map_err(io::Error::other)
}
