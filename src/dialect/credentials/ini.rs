//! The small common part of the INI dialects in which tools keep their keys: sections, `name = value`
//! or `name: value`, whole-line comments. Knows no tool.

use super::flaw::Flaw;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The section it stands in; empty before the first one.
    pub(super) section: &'a str,
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    /// Counted from 1.
    pub(super) line: usize,
}

/// All entries in their order. A line that is none of the known forms is an error, which repeats none
/// of it.
pub(super) fn entries(text: &str) -> Result<Vec<Entry<'_>>, Flaw> {
    let mut found: Vec<Entry<'_>> = Vec::new();
    let (mut section, mut nesting) = ("", false);
    for (line, raw) in (1..).zip(text.lines()) {
        let trimmed = raw.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or(Flaw::at(line, "the section has no ]"))?;
            (section, nesting) = (name.trim(), false);
            continue;
        }
        // Nested values, as AWS has them below `s3 =`, are indented below a name without value.
        if nesting && raw.starts_with([' ', '\t']) {
            continue;
        }
        let at = trimmed
            .find(['=', ':'])
            .ok_or(Flaw::at(line, "this is neither a [section] nor name = value"))?;
        let (name, value) = (trimmed[..at].trim(), trimmed[at + 1..].trim());
        if name.is_empty() {
            return Err(Flaw::at(line, "there is no name before the ="));
        }
        nesting = value.is_empty();
        found.push(Entry { section, name, value, line });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_entries_and_comments() {
        let text = "top=1\n[ a b ]\n# c\n; d\nk = v=w\nold: x\ns3 =\n  nested = 1\n\n[z]\n k=\n";
        let found: Vec<_> = entries(text).unwrap();
        let plain: Vec<_> = found.iter().map(|e| (e.section, e.name, e.value, e.line)).collect();
        assert_eq!(
            plain,
            [
                ("", "top", "1", 1),
                ("a b", "k", "v=w", 5),
                ("a b", "old", "x", 6),
                ("a b", "s3", "", 7),
                ("z", "k", "", 11),
            ]
        );
    }

    #[test]
    fn complaints_name_the_line_and_repeat_nothing() {
        for text in ["[a]\nhush", "[a]\n= hush", "a=1\n[hush"] {
            let flaw = entries(text).unwrap_err().to_string();
            assert!(flaw.starts_with("line 2: ") && !flaw.contains("hush"), "{flaw}");
        }
    }
}
