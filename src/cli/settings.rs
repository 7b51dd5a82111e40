//! What was given for each option and where: flags before `-o`, before the environment, before the
//! file, before the default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Refusal;
use super::config_file::Line;
use super::definition::{Definition, Described};
use super::environment::Environment;
use super::kind::Kind;

/// Everything that was given.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Flags and arguments.
    pub(crate) flags: BTreeMap<&'static str, String>,
    /// `-o` words.
    pub(crate) mount_options: BTreeMap<&'static str, String>,
    /// The process's environment.
    pub(crate) environment: Environment,
    /// The file's path and lines.
    pub(crate) file: Option<(PathBuf, BTreeMap<&'static str, Line>)>,
}

impl Settings {
    /// The value of an option: given, default, or none.
    pub(crate) fn get<K: Kind>(
        &self,
        definition: &Definition<K>,
    ) -> Result<Option<K::Value>, Refusal> {
        let given = self.given(definition).or(definition.default.map(|text| (text, String::new())));
        let Some((text, origin)) = given else { return Ok(None) };
        definition.kind.parse(text).map(Some).map_err(|complaint| {
            let colon = if complaint.starts_with("is ") || complaint.starts_with("must ") {
                ""
            } else {
                ":"
            };
            Refusal::new(format!("{} {text}{origin}{colon} {complaint}", definition.name))
        })
    }

    /// The value of an option that has a default.
    pub(crate) fn value<K: Kind>(&self, definition: &Definition<K>) -> Result<K::Value, Refusal> {
        let missing = || Refusal::new(format!("{} is not given", definition.name));
        self.get(definition)?.ok_or_else(missing)
    }

    /// Whether the user gave the option anywhere.
    pub(crate) fn is_given(&self, definition: &dyn Described) -> bool {
        self.given(definition).is_some()
    }

    /// What is in the way of the file's word on an option, as the end of "is given": nothing that has been
    /// typed, or stands in the environment, changes while the process runs.
    pub(crate) fn fixed_by(&self, definition: &dyn Described) -> Option<String> {
        let name = definition.name();
        if self.flags.contains_key(name) {
            return Some(format!("by --{}", definition.flag()));
        }
        if self.mount_options.contains_key(name) {
            return Some(format!("by -o {name}"));
        }
        let variable = definition.variable();
        self.environment.get(&variable).map(|_| format!("by {variable}"))
    }

    /// The text given first in order of precedence, and its origin as a remark: what the user has
    /// just typed needs none.
    fn given(&self, definition: &dyn Described) -> Option<(&str, String)> {
        let name = definition.name();
        let typed = self.flags.get(name).or_else(|| self.mount_options.get(name));
        if let Some(text) = typed {
            return Some((text, String::new()));
        }
        let variable = definition.variable();
        if let Some(text) = self.environment.get(&variable) {
            return Some((text, format!(" (from {variable})")));
        }
        let (path, lines) = self.file.as_ref()?;
        let line = lines.get(name)?;
        Some((&line.text, format!(" ({}, line {})", path.display(), line.number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options::{PART_SIZE, REGION};

    /// Gives `part_size` in the `n` last places of the order.
    fn settings(n: usize) -> Settings {
        let map = |value: &str| BTreeMap::from([("part_size", value.to_owned())]);
        let line =
            |text: &str| BTreeMap::from([("part_size", Line { text: text.into(), number: 7 })]);
        let mut settings = Settings::default();
        if n > 0 {
            settings.file = Some(("/f.toml".into(), line("2MiB")));
        }
        if n > 1 {
            settings.environment = Environment::of(&[("PARTFS_PART_SIZE", "3MiB")]);
        }
        if n > 2 {
            settings.mount_options = map("4MiB");
        }
        if n > 3 {
            settings.flags = map("5MiB");
        }
        settings
    }

    #[test]
    fn flag_then_option_then_environment_then_file_then_default() {
        for (n, mib) in [(0, 8), (1, 2), (2, 3), (3, 4), (4, 5)] {
            assert_eq!(settings(n).value(&PART_SIZE).unwrap(), mib << 20, "{n} places");
        }
        assert_eq!(settings(4).get(&REGION).unwrap(), None);
    }

    #[test]
    fn complaints_name_the_place_unless_it_was_typed() {
        let mut settings = settings(1);
        settings.file.as_mut().unwrap().1.get_mut("part_size").unwrap().text = "7".into();
        let message = settings.value(&PART_SIZE).unwrap_err().to_string();
        assert_eq!(message, "part_size 7 (/f.toml, line 7): a part must be from 1MiB to 5GiB");
        settings.environment = Environment::of(&[("PARTFS_PART_SIZE", "x")]);
        let message = settings.value(&PART_SIZE).unwrap_err().to_string();
        assert!(
            message.starts_with("part_size x (from PARTFS_PART_SIZE) is not a size"),
            "{message}"
        );
        settings.flags = BTreeMap::from([("part_size", "7".to_owned())]);
        let message = settings.value(&PART_SIZE).unwrap_err().to_string();
        assert_eq!(message, "part_size 7: a part must be from 1MiB to 5GiB");
    }
}
