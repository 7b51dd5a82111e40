//! Bars on a terminal: one line about all, and one for each file.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::human::count;
use super::progress::Line;

/// Most bars; the other files are counted.
const BARS: usize = 16;
/// Columns of a name: the end of it where it is longer, because the ends of paths differ.
const NAME: usize = 32;

/// Redrawn in place. Nothing is drawn where the output is no terminal.
pub(crate) struct Bars {
    all: MultiProgress,
    head: ProgressBar,
    files: BTreeMap<String, ProgressBar>,
}

impl Bars {
    /// None yet, on standard output.
    pub(crate) fn on_stdout() -> Self {
        Self::on(ProgressDrawTarget::stdout())
    }

    /// None yet, on standard error.
    pub(crate) fn on_stderr() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let head = all.add(ProgressBar::no_length().with_style(style("{msg}")));
        Self { all, head, files: BTreeMap::new() }
    }

    /// Shows these files and no others.
    pub(crate) fn show(&mut self, head: &str, lines: &[Line]) {
        let more = lines.len().saturating_sub(BARS);
        let lines = &lines[..lines.len() - more];
        let head = match more {
            0 => head.to_owned(),
            more => format!("{head}; {} more", count(more, "file")),
        };
        self.head.set_message(head);
        self.files.retain(|name, bar| {
            let stays = lines.iter().any(|line| line.name == *name);
            if !stays {
                bar.finish_and_clear();
                self.all.remove(bar);
            }
            stays
        });
        for line in lines {
            let bar = self.files.entry(line.name.clone()).or_insert_with(|| {
                let bar = ProgressBar::new(line.total);
                self.all.add(bar.with_style(style("{prefix} [{bar:20}] {msg}")))
            });
            bar.set_prefix(shortened(&line.name));
            bar.set_length(line.total.max(1));
            bar.set_position(line.stored.min(line.total));
            bar.set_message(line.to_string());
        }
    }

    /// A line above the bars, which stays.
    pub(crate) fn say(&self, text: &str) {
        // A terminal that has gone shows nothing.
        let _ = self.all.println(text);
    }

    /// The end: no bar stays.
    pub(crate) fn clear(&self) {
        let _ = self.all.clear();
    }
}

/// The templates are ours, and a test has seen them.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// The name in so many columns as all have; characters count as one each.
fn shortened(name: &str) -> String {
    let len = name.chars().count();
    if len <= NAME {
        return format!("{name:<NAME$}");
    }
    let end: String = name.chars().skip(len - (NAME - 1)).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_their_beginning() {
        assert_eq!(shortened("a/b"), format!("a/b{}", " ".repeat(29)));
        assert_eq!(shortened(&"x".repeat(32)), "x".repeat(32));
        let long = format!("{}/end-of-it", "é".repeat(40));
        assert_eq!(shortened(&long), format!("…{}/end-of-it", "é".repeat(21)));
    }

    #[test]
    fn the_templates_are_right() {
        for template in ["{msg}", "{prefix} [{bar:20}] {msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
