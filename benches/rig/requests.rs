//! How many requests of which kind the mock has answered, as it says at its end.

use std::collections::BTreeMap;
use std::fmt;

/// Requests by kind. Empty when the mock did not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Requests(BTreeMap<String, u64>);

impl Requests {
    /// Reads all lines `requests: …`: names and numbers in pairs, whatever stands between them. Total
    /// of kinds, if there is one, is left out: it would count everything twice.
    pub(crate) fn read(printed: &str) -> Self {
        let mut counts = BTreeMap::new();
        for line in printed.lines().filter_map(|line| line.trim().strip_prefix("requests:")) {
            let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
            let number_first = words.first().is_some_and(|word| word.parse::<u64>().is_ok());
            let (mut name, mut number) = (Vec::new(), None);
            let mut note = |name: &mut Vec<&str>, number: u64| {
                if !matches!(name.as_slice(), [] | ["total" | "all"]) {
                    *counts.entry(name.join(" ")).or_default() += number;
                }
                name.clear();
            };
            for word in words {
                match word.parse::<u64>() {
                    Ok(next) if number_first => {
                        if let Some(number) = number.replace(next) {
                            note(&mut name, number);
                        }
                    }
                    Ok(number) => note(&mut name, number),
                    Err(_) => name.push(word),
                }
            }
            if let Some(number) = number {
                note(&mut name, number);
            }
        }
        counts.retain(|_, count| *count > 0);
        Self(counts)
    }

    /// Of all kinds.
    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("not counted");
        }
        let kinds: Vec<_> = self.0.iter().map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&kinds.join(", "))
    }
}

/// Proves the reading. Called before every run, because a benchmark has no unit tests.
pub(crate) fn check_reading() {
    let [number_last, number_first] = [
        "bucket b\nrequests: PutPart 3, Get=2 Delete: 0\nrequests: Get 1",
        "requests: 3 PutPart, 3 Get; 6 total",
    ]
    .map(Requests::read);
    assert_eq!(number_last.to_string(), "Get 3, PutPart 3");
    assert_eq!(number_last, number_first);
    assert_eq!(Requests::read("stopped").to_string(), "not counted");
}
