//! The JSON documents that requests carry: part lists and lists of keys.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::number_inside;
use crate::mock::calls::{ListedPart, Removable};
use crate::mock::refusal::Refusal;
use crate::mock::voice::ListedKeys;
use crate::store::{ETag, Key};

/// Most parts of an upload.
const MAX_PARTS: usize = 10_000;

/// Most keys of a multiple delete.
const MAX_KEYS: usize = 1000;

#[derive(Debug, Deserialize)]
struct PartList {
    object_parts: Vec<PartItem>,
}

#[derive(Debug, Deserialize)]
struct PartItem {
    part_number: u64,
    /// Bare or in quotes.
    #[serde(default)]
    etag: Option<String>,
}

#[derive(Debug, Deserialize)]
struct KeyList {
    #[serde(default)]
    quiet: bool,
    objects: Vec<KeyItem>,
}

#[derive(Debug, Deserialize)]
struct KeyItem {
    key: String,
}

/// The parts that a Complete lists. Of an empty list nothing can be made.
pub(super) fn part_list(document: &[u8]) -> Result<Vec<ListedPart>, Refusal> {
    let list: PartList = read(document)?;
    if list.object_parts.is_empty() {
        return Err(Refusal::InvalidArgument("object_parts is empty"));
    }
    if list.object_parts.len() > MAX_PARTS {
        return Err(Refusal::TooManyParts);
    }
    let parts = list.object_parts.into_iter().map(|part| {
        let etag = part.etag.filter(|etag| !etag.is_empty()).map(|etag| ETag::new(&etag));
        let number = number_inside(part.part_number)?;
        Ok(ListedPart { number, etag, digests: BTreeMap::new() })
    });
    parts.collect()
}

/// The keys that a multiple delete lists, and whether the answer is to be quiet.
pub(super) fn key_list(document: &[u8]) -> Result<ListedKeys, Refusal> {
    let list: KeyList = read(document)?;
    if list.objects.is_empty() {
        return Err(Refusal::InvalidArgument("objects is empty"));
    }
    if list.objects.len() > MAX_KEYS {
        return Err(Refusal::TooManyKeys);
    }
    let keys = list.objects.into_iter();
    let keys = keys.map(|object| {
        let key = Key::new(object.key).map_err(|_| Refusal::InvalidKey)?;
        Ok((key, Removable::Anything))
    });
    Ok((keys.collect::<Result<_, Refusal>>()?, list.quiet))
}

fn read<T: DeserializeOwned>(document: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(document).map_err(|_| Refusal::MalformedDocument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_lists_count_from_nought_and_need_no_etags() {
        let document = br#"{"object_parts": [{"part_number": 0, "etag": "\"AB\""},
            {"part_number": 7, "more": 1}, {"part_number": 9999, "etag": "cd"}]}"#;
        let parts = part_list(document).unwrap();
        let parts = parts.into_iter().map(|part| (part.number.get(), part.etag));
        let etag = |text| Some(ETag::new(text));
        let expected = [(1, etag("ab")), (8, None), (10_000, etag("cd"))];
        assert_eq!(parts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn wrong_part_lists_are_refused() {
        for document in
            ["", "x", "{}", "[]", "{\"object_parts\":[{}]}", "<a/>", "{\"object_parts\":"]
        {
            assert_eq!(part_list(document.as_bytes()), Err(Refusal::MalformedDocument));
        }
        let of = |number: &str| {
            let document = format!("{{\"object_parts\": [{{\"part_number\": {number}}}]}}");
            part_list(document.as_bytes()).unwrap_err()
        };
        assert_eq!(of("-1"), Refusal::MalformedDocument);
        assert_eq!(of("10000"), Refusal::TooManyParts);
        assert!(matches!(of("10001"), Refusal::InvalidArgument(_)));
        let empty = part_list(b"{\"object_parts\": []}");
        assert!(matches!(empty, Err(Refusal::InvalidArgument(_))));
        let many = vec!["{\"part_number\": 1}"; MAX_PARTS + 1].join(",");
        let many = part_list(format!("{{\"object_parts\": [{many}]}}").as_bytes());
        assert_eq!(many, Err(Refusal::TooManyParts));
    }

    #[test]
    fn key_lists_are_read() {
        let document =
            "{\"quiet\": true, \"objects\": [{\"key\": \"a\\u0001\\n\\\"\"}, {\"key\": \"中\"}]}";
        let (keys, quiet) = key_list(document.as_bytes()).unwrap();
        let keys: Vec<_> = keys.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!((keys, quiet), (vec!["a\u{1}\n\"", "中"], true));
        assert!(!key_list(b"{\"objects\": [{\"key\": \"a\"}]}").unwrap().1);
        assert_eq!(key_list(b"{\"objects\": [{\"key\": \"\"}]}"), Err(Refusal::InvalidKey));
        let empty = key_list(b"{\"objects\": []}");
        assert!(matches!(empty, Err(Refusal::InvalidArgument(_))));
        let many = vec!["{\"key\": \"a\"}"; MAX_KEYS + 1].join(",");
        let many = key_list(format!("{{\"objects\": [{many}]}}").as_bytes());
        assert_eq!(many, Err(Refusal::TooManyKeys));
    }
}
