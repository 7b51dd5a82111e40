//! The TOML file of `--config`: `option = value` lines, nothing nested. Each value keeps the line it
//! stood on, so that a complaint can name it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Refusal;
use super::definition::Described;
use super::options;

/// Larger files are a mistake (another file was named).
const MAX_BYTES: u64 = 1 << 20;

/// A value and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The value as a flag would have it.
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) number: usize,
}

/// Reads the file.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<&'static str, Line>, Refusal> {
    let refuse = |what: String| Refusal::new(format!("{}: {what}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| refuse(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(refuse("this is no configuration file: it is larger than 1MiB".into()));
    }
    parse(&text).map_err(|(number, what)| refuse(format!("line {number}: {what}")))
}

/// Reads the text of a file; an error is a line and what is wrong there.
fn parse(text: &str) -> Result<BTreeMap<&'static str, Line>, (usize, String)> {
    let line_of = |offset: usize| {
        1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
    };
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        (line_of(offset), error.message().to_owned())
    })?;
    let mut lines = BTreeMap::new();
    for (name, value) in table.get_ref() {
        let number = line_of(name.span().start);
        let (definition, text) =
            entry(name.get_ref(), value.get_ref()).map_err(|what| (number, what))?;
        lines.insert(definition.name(), Line { text, number });
    }
    Ok(lines)
}

fn entry(name: &str, value: &DeValue<'_>) -> Result<(&'static dyn Described, String), String> {
    let definition = options::find(name).ok_or_else(|| unknown(name))?;
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Integer(_) | DeValue::Float(_) if definition.takes_numbers() => value_text(value),
        DeValue::Integer(_) | DeValue::Float(_) => {
            return Err(format!("{name}: write the value as text: {name} = \"…\""));
        }
        other => return Err(format!("{name}: a value was expected, not {}", other.type_str())),
    };
    Ok((definition, text))
}

fn value_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        _ => String::new(),
    }
}

fn unknown(name: &str) -> String {
    if let "access_key_id" | "secret_access_key" | "session_token" = name {
        return format!("{name} does not belong here: put it into a credentials_file of mode 0600");
    }
    match options::nearest(&name.replace('-', "_")) {
        Some(known) => format!("there is no option {name}; did you mean {known}?"),
        None => format!("there is no option {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_line() {
        let lines = parse(
            "# comment\nurl = \"mock:\"\nmax_uploads = 3\nread_only = true\nattr_ttl = 1.5\n",
        );
        let lines = lines.unwrap();
        let texts: Vec<_> =
            lines.iter().map(|(name, line)| (*name, line.text.as_str(), line.number)).collect();
        let expected = [
            ("attr_ttl", "1.5", 5),
            ("max_uploads", "3", 3),
            ("read_only", "true", 4),
            ("url", "mock:", 2),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn mistakes_name_the_line() {
        let message = |text| parse(text).unwrap_err();
        assert_eq!(
            message("\npartsize = 1\n"),
            (2, "there is no option partsize; did you mean part_size?".into())
        );
        assert_eq!(
            message("file_mode = 644"),
            (1, "file_mode: write the value as text: file_mode = \"…\"".into())
        );
        assert_eq!(message("[mount]").0, 1);
        assert_eq!(message("a = \"x\"\nregion = = 1").0, 2);
        assert!(message("secret_access_key = \"x\"").1.contains("credentials_file"));
    }
}
