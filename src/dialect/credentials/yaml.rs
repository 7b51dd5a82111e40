//! The small part of YAML that tools write their keys in: mappings in mappings, plain or quoted
//! values on one line. Lists are passed over. Knows no tool.

use super::flaw::Flaw;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The names that lead to it, joined by dots: `cos.base.secretid`.
    pub(super) path: String,
    pub(super) value: String,
    /// Counted from 1.
    pub(super) line: usize,
}

/// All values that are not in lists, in their order.
///
/// # Errors
/// A line that is none of the known forms, a tab as indentation, and values in the forms that are not
/// read here (blocks, anchors, collections on one line). A complaint repeats nothing of the file.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, Flaw> {
    let mut found = Vec::new();
    // The names that enclose the line at hand, each with its indentation.
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut list: Option<usize> = None;
    for (line, raw) in (1..).zip(text.lines()) {
        let bare = raw.trim();
        if bare.is_empty() || bare.starts_with('#') || matches!(bare, "---" | "...") {
            continue;
        }
        let indent = raw.len() - raw.trim_start().len();
        if raw[..indent].contains('\t') {
            return Err(Flaw::at(line, "a tab cannot be indentation"));
        }
        let item = bare == "-" || bare.starts_with("- ");
        if list.is_some_and(|at| indent > at || (indent == at && item)) {
            continue;
        }
        list = item.then_some(indent);
        if item {
            continue;
        }
        open.retain(|(depth, _)| *depth < indent);
        let (name, rest) = bare.split_once(':').ok_or(Flaw::at(line, "this is not name: value"))?;
        if !(rest.is_empty() || rest.starts_with(' ')) {
            return Err(Flaw::at(line, "there is no blank after the colon"));
        }
        let name = name.trim().trim_matches(['"', '\'']);
        let value = value(rest.trim()).map_err(|what| Flaw::at(line, what))?;
        if value.is_empty() {
            open.push((indent, name));
        } else {
            let names: Vec<&str> = open.iter().map(|(_, name)| *name).chain([name]).collect();
            found.push(Entry { path: names.join("."), value, line });
        }
    }
    Ok(found)
}

fn value(text: &str) -> Result<String, &'static str> {
    for quote in ['"', '\''] {
        let Some(inside) = text.strip_prefix(quote) else { continue };
        let (inside, rest) = inside.split_once(quote).ok_or("the quote has no end")?;
        if inside.contains('\\') || !(rest.is_empty() || rest.trim_start().starts_with('#')) {
            return Err("the quoted value has a form that is not read here");
        }
        return Ok(inside.to_owned());
    }
    let plain = text.split_once(" #").map_or(text, |(plain, _)| plain).trim();
    if plain.starts_with('#') {
        return Ok(String::new());
    }
    if plain == "[]" || plain == "{}" || plain == "~" || plain == "null" {
        return Ok(String::new());
    }
    if plain.starts_with(['|', '>', '&', '*', '!', '[', '{', '@', '`', '%']) {
        return Err("the value has a form that is not read here");
    }
    Ok(plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_quotes_comments_and_lists() {
        let text = "# c\na: 1 # one\ncos:\n  base:\n    id: \"x\"\n    empty: ''\n  buckets:\n  - name: n\n    more: m\n  - k\n  last: 'y'\nz: a:b\n";
        let found = entries(text).unwrap();
        let plain: Vec<_> = found.iter().map(|e| (&*e.path, &*e.value, e.line)).collect();
        assert_eq!(
            plain,
            [("a", "1", 2), ("cos.base.id", "x", 5), ("cos.last", "y", 11), ("z", "a:b", 12)]
        );
    }

    #[test]
    fn what_is_not_read_is_refused_without_being_repeated() {
        for text in
            ["a: 1\nhush", "a: 1\nk: |hush", "a: 1\nk: \"hush", "a: 1\n\thush: 1", "a: 1\nb:hush"]
        {
            let flaw = entries(text).unwrap_err().to_string();
            assert!(flaw.starts_with("line 2: ") && !flaw.contains("hush"), "{flaw}");
        }
    }
}
