//! Content-Type by the name of an object: patterns of the user first, then the table of the library.

use thiserror::Error;

use crate::store::NamePattern;

/// How many patterns are taken.
const MOST_PATTERNS: usize = 256;

/// Which Content-Type new objects get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentTypes {
    guess: bool,
    patterns: Vec<(NamePattern, String)>,
}

/// A pattern or a type that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a content type by pattern: it is like \"*.log=text/plain; charset=utf-8\"")]
pub struct InvalidPattern(pub String);

impl Default for ContentTypes {
    /// By the table alone.
    fn default() -> Self {
        Self { guess: true, patterns: Vec::new() }
    }
}

impl ContentTypes {
    /// Whether the table is asked for names that match no pattern; else they get the service's default.
    pub fn guess(&mut self, guess: bool) {
        self.guess = guess;
    }

    /// Adds `PATTERN=TYPE`. The pattern is matched against the name behind the last `/`; `*` stands
    /// for any characters, `?` for one; the first that matches counts.
    pub fn add(&mut self, text: &str) -> Result<(), InvalidPattern> {
        let invalid = || InvalidPattern(text.to_owned());
        let (pattern, content_type) = text.split_once('=').ok_or_else(invalid)?;
        let (pattern, content_type) = (pattern.trim(), content_type.trim());
        let visible = content_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let slash = content_type.find('/').is_some_and(|at| at > 0 && at + 1 < content_type.len());
        let pattern = NamePattern::new(pattern).map_err(|_| invalid())?;
        if !visible || !slash || self.patterns.len() == MOST_PATTERNS {
            return Err(invalid());
        }
        self.patterns.push((pattern, content_type.to_owned()));
        Ok(())
    }

    /// The type for a key, unless nothing is known of such names.
    pub fn of(&self, key: &str) -> Option<&str> {
        let name = key.rsplit('/').next().unwrap_or(key);
        let by_user = self.patterns.iter().find(|(pattern, _)| pattern.matches_key(name));
        match by_user {
            Some((_, content_type)) => Some(content_type),
            None if self.guess => mime_guess::from_path(name).first_raw(),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_come_before_the_table() {
        let mut types = ContentTypes::default();
        assert_eq!(types.of("a/b.tar"), Some("application/x-tar"));
        assert_eq!(types.of("a.html/none"), None);
        types.add("*.tar = application/x-mine").unwrap();
        types.add("READ??=text/plain; charset=utf-8").unwrap();
        assert_eq!(types.of("a/b.tar"), Some("application/x-mine"));
        assert_eq!(types.of("READme"), Some("text/plain; charset=utf-8"));
        assert_eq!(types.of("READ"), None);
        types.guess(false);
        assert_eq!(types.of("a.html"), None);
        assert_eq!(types.of("b.tar"), Some("application/x-mine"));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in
            ["", "=", "*.x", "*.x=", "=text/plain", "*.x=text", "*.x=/", "a/b=text/plain", "*=t/\n"]
        {
            assert!(ContentTypes::default().add(bad).is_err(), "{bad:?}");
        }
    }
}
