//! Walking ordered keys: prefix, delimiter, cursor, page size. Pure; byte order throughout.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What a page of keys is asked for with.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListQuery<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Roll keys up to the next occurrence of this after the prefix.
    pub delimiter: Option<&'a str>,
    /// Only entries after this one (a key, or a rolled-up prefix: then nothing below it).
    pub marker: &'a str,
    /// At most so many entries, keys and prefixes together.
    pub max: usize,
}

/// One entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<T> {
    /// A key's value.
    Item(T),
    /// A rolled-up prefix, delimiter included.
    Prefix(String),
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries in byte order.
    pub entries: Vec<Entry<T>>,
    /// The last entry of the page, when more follow.
    pub next: Option<String>,
}

/// One page of `map`. Costs a tree descent per rolled-up prefix, whatever the prefix holds.
pub(super) fn page<T: Clone>(map: &BTreeMap<Box<str>, T>, query: ListQuery<'_>) -> Page<T> {
    let mut entries = Vec::new();
    let mut last = String::new();
    let mut from = first_bound(query);
    while let Some((key, value)) = from.take().and_then(|from| next_in(map, from, query.prefix)) {
        let rolled_up = query.delimiter.and_then(|delimiter| roll_up(key, query.prefix, delimiter));
        if entries.len() >= query.max {
            // One entry beyond the page. A page of none promises nothing.
            let next = (!entries.is_empty()).then_some(last);
            return Page { entries, next };
        }
        match rolled_up {
            Some(prefix) => {
                last = prefix.to_owned();
                from = after_prefix(prefix).map(Bound::Included);
                entries.push(Entry::Prefix(prefix.to_owned()));
            }
            None => {
                last = key.to_owned();
                from = Some(Bound::Excluded(key.to_owned()));
                entries.push(Entry::Item(value.clone()));
            }
        }
    }
    Page { entries, next: None }
}

fn first_bound(query: ListQuery<'_>) -> Option<Bound<String>> {
    let ListQuery { prefix, delimiter, marker, .. } = query;
    if marker < prefix {
        return Some(Bound::Included(prefix.to_owned()));
    }
    let is_rolled_up = delimiter.and_then(|delimiter| roll_up(marker, prefix, delimiter));
    if is_rolled_up == Some(marker) {
        return after_prefix(marker).map(Bound::Included);
    }
    Some(Bound::Excluded(marker.to_owned()))
}

fn next_in<'a, T>(
    map: &'a BTreeMap<Box<str>, T>,
    from: Bound<String>,
    prefix: &str,
) -> Option<(&'a str, &'a T)> {
    let from = from.as_ref().map(String::as_str);
    let (key, value) = map.range::<str, _>((from, Bound::Unbounded)).next()?;
    key.starts_with(prefix).then_some((key, value))
}

/// The part of `key` up to and including the first delimiter after the prefix.
pub(super) fn roll_up<'a>(key: &'a str, prefix: &str, delimiter: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(prefix)?;
    let at = rest.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

/// The smallest text greater than every text that begins with `prefix`, if there is one.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut next = prefix.to_owned();
    while let Some(last) = next.pop() {
        // UTF-8 sorts like code points; the surrogates are not characters and are stepped over.
        let following = match u32::from(last) {
            0xD7FF => Some('\u{E000}'),
            code => char::from_u32(code + 1),
        };
        if let Some(following) = following {
            next.push(following);
            return Some(next);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(page: &Page<String>) -> Vec<String> {
        let name = |entry: &Entry<String>| match entry {
            Entry::Item(name) | Entry::Prefix(name) => name.clone(),
        };
        page.entries.iter().map(name).collect()
    }

    fn map_of(keys: &[String]) -> BTreeMap<Box<str>, String> {
        keys.iter().map(|key| (key.as_str().into(), key.clone())).collect()
    }

    proptest! {
        /// Pages of any size, put together, are the naive listing.
        #[test]
        fn pages_join_to_the_whole(
            keys in prop::collection::vec("[ab/+\u{10FFFF}]{1,6}", 0..40),
            prefix in "[ab/]{0,2}",
            by_directory: bool,
            max in 1usize..5,
        ) {
            let map = map_of(&keys);
            let delimiter = by_directory.then_some("/");
            let mut expected: Vec<String> = map
                .keys()
                .filter(|key| key.starts_with(&prefix))
                .map(|key| delimiter.and_then(|d| roll_up(key, &prefix, d)).unwrap_or(key).to_owned())
                .collect();
            expected.dedup();

            let mut found = Vec::new();
            let mut marker = String::new();
            loop {
                let query = ListQuery { prefix: &prefix, delimiter, marker: &marker, max };
                let page = page(&map, query);
                prop_assert!(page.entries.len() <= max);
                found.extend(names(&page));
                match page.next {
                    Some(next) => marker = next,
                    None => break,
                }
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_hundred_thousand_keys_below_prefixes_are_skipped_not_walked() {
        let keys: Vec<String> = (0..100_000).map(|n| format!("d{}/{n:06}", n % 10)).collect();
        let map = map_of(&keys);
        let query = ListQuery { delimiter: Some("/"), max: 1000, ..ListQuery::default() };
        for _ in 0..1000 {
            assert_eq!(page(&map, query).entries.len(), 10);
        }
    }

    #[test]
    fn a_page_of_none_is_the_last() {
        let map = map_of(&["a".to_owned()]);
        assert_eq!(page(&map, ListQuery::default()), Page { entries: vec![], next: None });
    }

    #[test]
    fn after_prefix_steps_over_what_is_not_a_character() {
        assert_eq!(after_prefix("a/").as_deref(), Some("a0"));
        assert_eq!(after_prefix("a\u{D7FF}").as_deref(), Some("a\u{E000}"));
        assert_eq!(after_prefix("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{10FFFF}"), None);
    }
}
