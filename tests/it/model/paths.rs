//! Paths, as users see them, and keys. The rule is that of docs/SEMANTICS.md, for the few elements that this
//! world has: written down once more, so that the mount is not measured by itself.

/// The one element that is longer than a name may be.
pub const LONG: &str = concat!(
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
);

/// Its name: 229 of its 256 bytes, and the beginning of its SHA-256 as `sha256sum` prints it.
macro_rules! long_name {
    () => {
        concat!(
            "@partfs:",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "%~85e62acd750c4eb5",
        )
    };
}
pub(super) use long_name;

const MARK: &str = "@partfs:";

fn shown(element: &str, in_root: bool) -> String {
    let odd = element.is_empty()
        || element.starts_with(MARK)
        || element.contains('\0')
        || in_root && element == ".partfs";
    match element {
        LONG => long_name!().to_owned(),
        "." | ".." => format!("{MARK}{}", element.replace('.', "%2E")),
        _ if odd => format!("{MARK}{}", element.replace('%', "%25").replace('\0', "%00")),
        _ => element.to_owned(),
    }
}

fn element(name: &str) -> String {
    match name.strip_prefix(MARK) {
        _ if name == long_name!() => LONG.to_owned(),
        Some(text) => text.replace("%2E", ".").replace("%00", "\0").replace("%25", "%"),
        None => name.to_owned(),
    }
}

/// The path at which a key is seen.
pub fn path_of(key: &str) -> String {
    let elements = key.split('/').enumerate();
    elements.map(|(depth, text)| shown(text, depth == 0)).collect::<Vec<_>>().join("/")
}

/// The key that is seen at a path.
pub fn key_of(path: &str) -> String {
    path.split('/').map(element).collect::<Vec<_>>().join("/")
}

/// What the keys below a directory begin with, and the key of its marker; empty for the root.
pub fn prefix(directory: &str) -> String {
    if directory.is_empty() { String::new() } else { format!("{}/", key_of(directory)) }
}

/// What the paths below a directory begin with.
pub fn below(directory: &str) -> String {
    if directory.is_empty() { String::new() } else { format!("{directory}/") }
}

/// The directory of a path; empty for the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Whether something new can get the name at the end of a path: it is the name of an element, and says
/// which.
pub fn can_be_made(path: &str) -> bool {
    path_of(&key_of(path)) == path && !path.ends_with(long_name!())
}

/// Whether a file at a path is the bytes of its directory's marker.
pub fn is_marker(path: &str) -> bool {
    path == MARK || path.ends_with("/@partfs:")
}
