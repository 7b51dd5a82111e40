//! Percent-encoding: keys in paths, values in queries, text in metadata headers, and keys that come
//! back encoded in listings. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The same with `/` left alone.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// A key behind a `/` as the path of a request, or `None` for the two keys that no URL can say (`.` and `..`).
///
/// HTTP stacks resolve the segments `.` and `..`, also when they are written `%2E`. As the COS SDK
/// does, a `/` beside such a segment is written `%2F`: the segment then is another one, and servers
/// decode the path to the same key (and signatures are made over the decoded path).
pub(crate) fn path(key: &str) -> Option<String> {
    if matches!(key, "." | "..") {
        return None;
    }
    let mut path = String::with_capacity(key.len() + 16);
    let mut after_dots = false;
    let segments: Vec<&str> = key.split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let dots = matches!(*segment, "." | "..");
        let last = index + 1 == segments.len();
        // The slash behind dots is masked; the last segment has none, so the one before it is.
        path.push_str(if after_dots || (dots && last) { "%2F" } else { "/" });
        path.extend(utf8_percent_encode(segment, VALUE));
        after_dots = dots;
    }
    Some(path)
}

/// A key as part of a copy-source header.
pub(crate) fn copy_source(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// `name=value&name&…`; names must need no encoding.
pub(crate) fn query(parameters: &[(&'static str, Option<String>)]) -> String {
    let mut query = String::new();
    for (name, value) in parameters {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        if let Some(value) = value {
            query.push('=');
            query.extend(utf8_percent_encode(value, VALUE));
        }
    }
    query
}

/// Text of a listing made with `encoding-type=url`. A `+` is a blank: services that write a blank
/// as `%20` write a plus as `%2B`, so this is right for all. `None` when it is not UTF-8.
pub(crate) fn listed(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(|text| text.into_owned())
}

/// A metadata value as a header value; [`metadata_read`] is its inverse.
///
/// Sent as it is when it is printable ASCII, does not begin or end with a blank (HTTP drops those)
/// and holds no `%` with two hex digits behind it. Otherwise all bytes that are not printable ASCII,
/// blanks at both ends, and every `%` are percent-encoded. So numbers, paths and most of what other
/// tools write look the same on both sides.
pub(crate) fn metadata(value: &str) -> String {
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && value.trim_matches(' ').len() == value.len()
        && metadata_read(value) == value;
    if plain {
        return value.to_owned();
    }
    let blanks_before = value.len() - value.trim_start_matches(' ').len();
    let blanks_after = value.trim_end_matches(' ').len();
    let mut text = String::with_capacity(value.len() * 3);
    for (index, byte) in value.bytes().enumerate() {
        let outer_blank = byte == b' ' && (index < blanks_before || index >= blanks_after);
        match byte {
            b' '..=b'~' if byte != b'%' && !outer_blank => text.push(char::from(byte)),
            _ => text.push_str(percent_encoding::percent_encode_byte(byte)),
        }
    }
    text
}

/// A metadata header value as text: percent-decoded where that gives UTF-8, as it is otherwise.
pub(crate) fn metadata_read(value: &str) -> String {
    match percent_decode_str(value).decode_utf8() {
        Ok(text) => text.into_owned(),
        Err(_) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_match_the_sdk() {
        let path = |key| path(key).unwrap();
        assert_eq!(
            path("dir name/a+b~c=d&e(1)'!*@,;:#?%41.txt"),
            "/dir%20name/a%2Bb~c%3Dd%26e%281%29%27%21%2A%40%2C%3B%3A%23%3F%2541.txt"
        );
        assert_eq!(
            path("腾讯云/文件 1.txt"),
            "/%E8%85%BE%E8%AE%AF%E4%BA%91/%E6%96%87%E4%BB%B6%201.txt"
        );
        assert_eq!(path("a//b/c"), "/a//b/c");
        assert_eq!(path("dir/"), "/dir/");
    }

    #[test]
    fn dot_segments_are_masked() {
        let path = |key| path(key);
        assert_eq!(path("."), None);
        assert_eq!(path(".."), None);
        assert_eq!(path("a/../b").as_deref(), Some("/a/..%2Fb"));
        assert_eq!(path("./.").as_deref(), Some("/.%2F."));
        assert_eq!(path("../").as_deref(), Some("/..%2F"));
        assert_eq!(path("a/..").as_deref(), Some("/a%2F.."));
        assert_eq!(path("a/.../b").as_deref(), Some("/a/.../b"));
    }

    proptest! {
        /// Whatever the key, the url crate leaves its path alone and it decodes to the key.
        #[test]
        fn paths_survive_the_url_crate(key in "(\\.|/|\\.\\.|a|%|2|e|E|\\\\|\\?|#| |é|\t|\\PC){1,12}") {
            if let Some(path) = path(&key) {
                let url = reqwest::Url::parse(&format!("http://127.0.0.1:9{path}")).unwrap();
                prop_assert_eq!(url.path(), &path);
                let decoded = percent_decode_str(&path).decode_utf8().unwrap();
                prop_assert_eq!(&decoded[1..], &key);
            } else {
                prop_assert!(key == "." || key == "..");
            }
        }

        #[test]
        fn metadata_survives(value in "(%|4|1|a| |\t|\n|é|\\PC){0,12}") {
            let sent = metadata(&value);
            prop_assert!(sent.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(sent.trim(), &sent);
            prop_assert_eq!(metadata_read(&sent), value);
        }

        #[test]
        fn listed_keys_survive(key in "\\PC{0,12}") {
            prop_assert_eq!(listed(&copy_source(&key)), Some(key));
        }
    }

    #[test]
    fn plain_metadata_is_sent_as_it_is() {
        for value in ["33188", "1700000000.25", "a b", "50%", "100% sure"] {
            assert_eq!(metadata(value), value);
        }
        assert_eq!(metadata("é"), "%C3%A9");
        assert_eq!(metadata("%41"), "%2541");
        assert_eq!(metadata(" a b "), "%20a b%20");
    }

    #[test]
    fn queries_are_joined() {
        let query = query(&[
            ("uploads", None),
            ("prefix", Some("a b/+~中".into())),
            ("encoding-type", Some("url".into())),
        ]);
        assert_eq!(query, "uploads&prefix=a%20b%2F%2B~%E4%B8%AD&encoding-type=url");
    }
}
