//! The rule of names: reversible, and never other names than these.

use proptest::prelude::*;

use super::*;

/// Long elements, those of many `%`, and those that begin as ours do, are as likely as short ones.
fn elements() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("@partfs:".to_owned()),
        Just(".".to_owned()),
        Just("%".to_owned()),
        Just("%~".to_owned()),
        Just("\0".to_owned()),
        Just(".partfs".to_owned()),
        "[^/]{0,4}",
        "[a-c%]{60,90}",
        "[éΩ語𝄞]{20,40}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Names near those that are made here.
fn names() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        elements(),
        "(%25|%00|%2E|%2F|%41|%2e|%|[a-c.]){0,4}",
        "[a-c]{220,240}%~[0-9a-f]{16}",
    ];
    (any::<bool>(), text)
        .prop_map(|(marked, text)| if marked { format!("{MARK}{text}") } else { text })
}

/// What `NAME_MAX` and `/` allow, and not what stands for something else in every directory.
fn is_valid(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(['/', '\0'])
}

proptest! {
    #[test]
    fn every_element_is_found_again_by_its_name(element in elements(), in_root: bool) {
        let name = shown(&element, in_root).into_owned();
        prop_assert!(is_valid(&name), "{name:?}");
        prop_assert!(!(in_root && name == ".partfs"));
        match meant(&name, in_root) {
            Meant::Element(found) => prop_assert_eq!(found, element),
            Meant::Cut(beginning) => {
                prop_assert!(element.starts_with(&beginning) && !beginning.is_empty());
                prop_assert!(element.len() + MARK.len() > 255 || element.contains(['%', '\0']));
            }
            Meant::Nothing => prop_assert!(false, "{name:?} means nothing"),
        }
    }

    #[test]
    fn no_two_elements_have_one_name(one in elements(), end in "[a-b%]{0,2}", in_root: bool) {
        let other = format!("{one}{end}");
        prop_assert_eq!(shown(&one, in_root) == shown(&other, in_root), one == other);
    }

    #[test]
    fn a_name_that_means_an_element_is_the_only_one_it_has(name in names(), in_root: bool) {
        if let Meant::Element(element) = meant(&name, in_root) {
            prop_assert_eq!(&*shown(&element, in_root), &*name);
        }
    }
}

#[test]
fn the_rule_by_examples() {
    let elsewhere = [
        ("plain", "plain"),
        ("a\u{1}\t\n\u{7f}", "a\u{1}\t\n\u{7f}"),
        ("%41 @partfs:", "%41 @partfs:"),
        ("...", "..."),
        (".partfs", ".partfs"),
        ("", "@partfs:"),
        (".", "@partfs:%2E"),
        ("..", "@partfs:%2E%2E"),
        ("50%\0", "@partfs:50%25%00"),
        ("@partfs:", "@partfs:@partfs:"),
        ("@partfs:%2E", "@partfs:@partfs:%252E"),
    ];
    for (element, name) in elsewhere {
        assert_eq!(shown(element, false), name);
        assert_eq!(meant(name, false), Meant::Element(element.into()));
    }
    assert_eq!(shown(".partfs", true), "@partfs:.partfs");
    assert_eq!(meant("@partfs:.partfs", true), Meant::Element(".partfs".into()));
    assert_eq!(shown("", true), "@partfs:");
}

/// Made by other programs: `printf %s ELEMENT | sha256sum`.
#[test]
fn long_elements_are_cut() {
    let plain = "x".repeat(255);
    assert_eq!(shown(&plain, false), plain);
    let name = format!("@partfs:{}%~85e62acd750c4eb5", "x".repeat(229));
    assert_eq!(shown(&"x".repeat(256), false), name);
    assert_eq!(meant(&name, false), Meant::Cut("x".repeat(229)));
    // Not in the middle of a character, nor of an escape.
    let name = shown(&format!("{}{}", "x".repeat(228), "語".repeat(20)), false).into_owned();
    assert!(name.starts_with(&format!("@partfs:{}%~", "x".repeat(228))), "{name}");
    let name = shown(&format!("{}{}", "x".repeat(228), "%".repeat(30)), false).into_owned();
    assert!(name.starts_with(&format!("@partfs:{}%~", "x".repeat(228))), "{name}");
    // Short enough itself, but not with its escapes.
    let name = shown(&"\0".repeat(100), false).into_owned();
    assert!(name.starts_with(&format!("@partfs:{}%~", "%00".repeat(76))), "{name}");
    assert_eq!(meant(&name, false), Meant::Cut("\0".repeat(76)));
    // As long as a name may be, with its mark and without an end.
    let element = format!("@partfs:{}", "y".repeat(239));
    assert_eq!(meant(&shown(&element, false), false), Meant::Element(element.as_str().into()));
}

#[test]
fn names_that_the_rule_does_not_make_mean_nothing() {
    let hash = "0123456789abcdef";
    let bad = [
        "",
        ".",
        "..",
        "a\0b",
        &"x".repeat(256),
        "@partfs:abc",
        "@partfs:%41",
        "@partfs:%2e",
        "@partfs:%2Ex",
        "@partfs:a%2Fb",
        "@partfs:50%",
        "@partfs:50%2",
        "@partfs:.partfs",
        &format!("@partfs:a%~{hash}"),
        &format!("@partfs:{}%~{}", "x".repeat(229), hash.to_uppercase()),
        &format!("@partfs:{}%~{hash}", "x".repeat(230)),
    ];
    for name in bad {
        assert_eq!(meant(name, false), Meant::Nothing, "{name:?}");
    }
    assert_eq!(meant(".partfs", true), Meant::Nothing, "the control directory");
}
