//! Patterns of names, for options that speak of some objects: `*` stands for any characters, `?` for
//! one. Knows no option.

use thiserror::Error;

/// A pattern, matched against the part of a key behind its last `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(Box<str>);

/// A pattern that can match no name: it is empty or holds a `/`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no pattern of names: it is like \"*.log\", without a slash")]
pub struct InvalidNamePattern(pub String);

impl NamePattern {
    /// A pattern of names.
    pub fn new(text: &str) -> Result<Self, InvalidNamePattern> {
        match text.is_empty() || text.contains('/') {
            true => Err(InvalidNamePattern(text.to_owned())),
            false => Ok(Self(text.into())),
        }
    }

    /// Whether the name of a key matches.
    pub fn matches_key(&self, key: &str) -> bool {
        matches(&self.0, key.rsplit('/').next().unwrap_or(key))
    }
}

/// Whether a name matches a pattern with `*` and `?`, in time linear in their product.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where to go on when the present try fails: behind the last star, one character further.
    let mut retry: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at, from));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star, tried)) = retry else { return false };
                retry = Some((star, tried + 1));
                (at, from) = (star + 1, tried + 1);
            }
        }
    }
    pattern[at..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_anything() {
        for (pattern, name, wanted) in [
            ("*", "", true),
            ("*", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdf", false),
            ("**b", "aab", true),
            ("?", "", false),
            ("?", "é", true),
            ("*.log", "x.log.gz", false),
            ("x.log", "x.log", true),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn only_the_name_counts() {
        let pattern = NamePattern::new("*.log").unwrap();
        assert!(pattern.matches_key("a.d/x.log") && pattern.matches_key("x.log"));
        assert!(!pattern.matches_key("x.log/y"));
        assert!(NamePattern::new("").is_err() && NamePattern::new("a/*.log").is_err());
    }
}
