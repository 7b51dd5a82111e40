//! The pages say what the definitions say.

use clap::CommandFactory;

use super::semantics::without_proofs;
use super::*;
use crate::cli::args::Typed;
use crate::cli::options as table;

/// The page as one sees it, but for fonts.
fn page(name: &str) -> String {
    let found = pages().into_iter().find(|page| page.name == name);
    let text = found.unwrap_or_else(|| panic!("no page {name}")).text;
    text.replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "")
}

/// A text in Markdown as it is in a page.
fn converted(text: &str) -> String {
    let mut roff = Roff::new();
    markdown::Markdown::default().append(text, &mut roff);
    roff.to_roff()
}

fn walk(command: &clap::Command, name: &str) {
    let page = page(name);
    for arg in command.get_arguments() {
        let Some(long) = arg.get_long() else { continue };
        let shown = page
            .lines()
            .any(|line| line.split([' ', ',', '[']).any(|word| word == format!("--{long}")));
        assert_eq!(shown, !arg.is_hide_set(), "{name}(1): --{long}");
    }
    for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "\"SEE ALSO\""]
    {
        assert_eq!(page.matches(&format!("\n.SH {heading}\n")).count(), 1, "{name}(1): {heading}");
    }
    for sub in command.get_subcommands() {
        let name = format!("{name}-{}", sub.get_name());
        assert!(page.contains(&format!("{name}(1)")), "{name}(1) is not named");
        walk(sub, &name);
    }
}

#[test]
fn every_command_has_a_page_with_its_options() {
    let command = Typed::command();
    walk(&command, "partfs");
}

#[test]
fn every_section_that_is_kept_apart_belongs_to_a_page() {
    let names: Vec<_> = pages().into_iter().map(|page| page.name).collect();
    for (name, ..) in commands::MORE {
        assert!(names.iter().any(|known| known == name), "there is no {name}(1)");
    }
}

#[test]
fn every_option_is_in_the_page_of_the_file() {
    let page = page("partfs.toml");
    for definition in table::all() {
        let term = format!("\n.TP\n{} = ", definition.name());
        let (_, entry) = page.split_once(&term).unwrap_or_else(|| panic!("{}", definition.name()));
        assert!(entry.contains(definition.default_text()), "{}", definition.name());
    }
}

#[test]
fn every_promise_is_in_the_page_and_no_proof() {
    let document = include_str!("../../../docs/SEMANTICS.md");
    let page = page("partfs-semantics");
    let promises = document.lines().filter(|line| line.starts_with("- ")).count();
    assert_eq!(page.matches(".IP \\(bu 2\n").count(), promises);
    let rows = document.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(page.matches(".TP\n").count(), rows - 1, "one of them is the head");
    assert!(!page.contains("::"), "{page}");
}

#[test]
fn proofs_go_and_nothing_else() {
    let text = "- One [a::b]\n  [c::d::e]\n  [two](x.md#y).\n| three [a::b] |";
    assert_eq!(without_proofs(text), "- One\n  [two](x.md#y).\n| three |");
    assert_eq!(without_proofs("an [open one"), "an [open one");
}

#[test]
fn a_line_of_text_is_never_a_macro() {
    assert_eq!(converted("`.partfs` and\n'x'"), ".PP\n\\fB.partfs\\fR and 'x'\n");
    assert_eq!(converted(".x"), ".PP\n\\&.x\n");
    let code = converted("```\n.SH x\n'y \\n\n```");
    assert_eq!(code, ".PP\n.RS 4\n.nf\n\\&.SH x\n\\&'y \\\\n\n.fi\n.RE\n");
}

#[test]
fn lists_keep_their_shape() {
    let list = "## Of it\n\n1. one\n2. two\n\n   more\n   - deep\n3. three\n\nend";
    let page = [
        ".SH \"OF IT\"",
        ".IP 1. 4",
        "one",
        ".IP 2. 4",
        "two",
        ".IP \"\" 4",
        "more",
        ".RS 4",
        ".IP \\(bu 2",
        "deep",
        ".RE",
        ".IP 3. 4",
        "three",
        ".PP",
        "end",
        "",
    ];
    assert_eq!(converted(list), page.join("\n"));
}

#[test]
fn a_row_of_a_table_is_an_entry() {
    let narrow = "| a | b |\n|---|---|\n| `x` | one |";
    assert_eq!(converted(narrow), ".TP\n\\fBx\\fR\none\n");
    let wide = "| | b | c |\n|---|---|---|\n| x | one | two |\n| y | | three |";
    let entries = ".TP\nx\n\\fIb\\fR: one\n.br\n\\fIc\\fR: two\n.TP\ny\n.br\n\\fIc\\fR: three\n";
    assert_eq!(converted(wide), entries);
}

#[test]
fn links_lead_to_pages_and_addresses() {
    assert_eq!(converted("[SEMANTICS.md](SEMANTICS.md#x)"), ".PP\npartfs\\-semantics(7)\n");
    assert_eq!(converted("[fsx](https://x.y/z)"), ".PP\nfsx (https://x.y/z)\n");
    assert_eq!(converted("[the rule](#odd)"), ".PP\nthe rule\n");
}
