//! What is known about an option, whatever its kind. One definition gives the flag, the `-o` word,
//! the environment variable, the line of the configuration file, the help and the documentation.

use super::kind::Kind;

/// An option of `partfs mount`.
pub(crate) struct Definition<K> {
    /// Its spelling in `-o`, in files and, in capitals, in the environment: `part_size`.
    pub(crate) name: &'static str,
    /// Its spelling as a flag: the name with hyphens. A test compares the two.
    pub(crate) flag: &'static str,
    /// What its value is.
    pub(crate) kind: K,
    /// The value when nobody gives one, as a user would write it.
    pub(crate) default: Option<&'static str>,
    /// The default in words, where it is no fixed value.
    pub(crate) default_note: &'static str,
    /// One sentence or two for help and documentation.
    pub(crate) help: &'static str,
}

/// A definition whose kind does not matter.
pub(crate) trait Described: Sync {
    /// See [`Definition::name`].
    fn name(&self) -> &'static str;
    /// See [`Definition::flag`].
    fn flag(&self) -> &'static str;
    /// See [`Definition::help`].
    fn help(&self) -> &'static str;
    /// The default as text: a value, a remark, or nothing.
    fn default_text(&self) -> &'static str;
    /// See [`Kind::placeholder`].
    fn placeholder(&self) -> &'static str;
    /// See [`Kind::allowed`].
    fn allowed(&self) -> String;
    /// See [`Kind::words`].
    fn words(&self) -> Vec<&'static str>;
    /// See [`Kind::is_path`].
    fn is_path(&self) -> bool;
    /// See [`Kind::is_switch`].
    fn is_switch(&self) -> bool;
    /// See [`Kind::takes_numbers`].
    fn takes_numbers(&self) -> bool;
    /// The environment variable: `PARTFS_PART_SIZE`.
    fn variable(&self) -> String {
        format!("PARTFS_{}", self.name().to_ascii_uppercase())
    }
    /// Whether the text is a value, and what is wrong with it.
    #[cfg(test)]
    fn check(&self, text: &str) -> Result<(), String>;
    /// The fixed default.
    #[cfg(test)]
    fn fixed_default(&self) -> Option<&'static str>;
}

impl<K: Kind> Described for Definition<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn flag(&self) -> &'static str {
        self.flag
    }

    fn help(&self) -> &'static str {
        self.help
    }

    fn default_text(&self) -> &'static str {
        self.default.unwrap_or(self.default_note)
    }

    fn placeholder(&self) -> &'static str {
        self.kind.placeholder()
    }

    fn allowed(&self) -> String {
        self.kind.allowed()
    }

    fn words(&self) -> Vec<&'static str> {
        self.kind.words()
    }

    fn is_path(&self) -> bool {
        self.kind.is_path()
    }

    fn is_switch(&self) -> bool {
        self.kind.is_switch()
    }

    fn takes_numbers(&self) -> bool {
        self.kind.takes_numbers()
    }

    #[cfg(test)]
    fn check(&self, text: &str) -> Result<(), String> {
        self.kind.parse(text).map(drop)
    }

    #[cfg(test)]
    fn fixed_default(&self) -> Option<&'static str> {
        self.default
    }
}
