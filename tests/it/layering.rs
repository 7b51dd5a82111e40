//! The shape of the source: who may import whom, that every file says what it is for, and that no
//! file is forgotten.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom; docs/ARCHITECTURE.md explains it. A module may always import itself. Unit
/// tests are free, because they prove and do not depend.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", &["cli", "mount", "mock", "clock"]),
    ("lib", &[]),
    // Configuration types only.
    ("cli", &["mount", "mock", "dialect", "store", "telemetry", "crash"]),
    // The composition root.
    (
        "mount",
        &[
            "fuse",
            "fs",
            "write",
            "read",
            "store",
            "dialect",
            "http",
            "mock",
            "budget",
            "clock",
            "telemetry",
            "panics",
        ],
    ),
    ("fuse", &["fs", "metrics", "panics"]),
    ("fs", &["write", "read", "store", "clock", "budget", "crash", "metrics", "panics", "sync"]),
    ("write", &["store", "blocking", "budget", "clock", "crash", "panics", "sync"]),
    ("read", &["store", "budget"]),
    ("dialect", &["store", "http", "clock", "metrics"]),
    ("mock", &["store", "clock"]),
    ("http", &[]),
    ("store", &["blocking"]),
    ("blocking", &[]),
    ("budget", &["sync"]),
    ("sync", &[]),
    ("clock", &[]),
    ("crash", &[]),
    ("metrics", &[]),
    ("panics", &[]),
    ("telemetry", &[]),
];

/// Folders that may import more than their module, each for a reason of its own.
const MAY_ALSO_IMPORT: &[(&str, &str)] = &[
    // The bucket model stands for a service, and services stamp objects with the time.
    ("src/store/memory", "clock"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, in a stable order.
fn rust_files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
    files
}

/// The top-level module a file of `src` belongs to.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The code without comments and without the unit tests at its end.
fn production_code(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if line == "mod tests {" {
            break;
        }
        let line = line.trim_start();
        if !line.starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// The top-level modules that follow `crate::` (or `partfs::` in the binary), alone or in braces.
fn imports(code: &str, crate_word: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let path = format!("{crate_word}::");
    for (at, _) in code.match_indices(&path) {
        // `partfs::` is also the end of a longer word.
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"' || c == '=') {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(first_words(group)),
            None => found.extend(word(rest)),
        }
    }
    found
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first word of each member of a brace group.
fn first_words(group: &str) -> Vec<String> {
    let (mut words, mut depth, mut at_start) = (Vec::new(), 0, true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && !c.is_whitespace() => {
                words.extend(word(&group[at..]));
                at_start = false;
            }
            _ => {}
        }
    }
    words
}

#[test]
fn imports_follow_the_table() {
    let mut offences = Vec::new();
    for file in rust_files(&root().join("src")) {
        if file.to_str().unwrap().ends_with("_tests.rs") {
            continue;
        }
        let module = module_of(&file);
        let row = MAY_IMPORT.iter().find(|(name, _)| *name == module);
        let Some((_, allowed)) = row else {
            offences.push(format!("{}: module {module} is not in the table", file.display()));
            continue;
        };
        let crate_word = if module == "main" { "partfs" } else { "crate" };
        for import in imports(&production_code(&fs::read_to_string(&file).unwrap()), crate_word) {
            // Anything else is an item at the root, of which there are none.
            let excepted = MAY_ALSO_IMPORT
                .iter()
                .any(|(dir, also)| *also == import && file.starts_with(root().join(dir)));
            if import != module && !allowed.contains(&import.as_str()) && !excepted {
                offences.push(format!("{}: {module} may not import {import}", file.display()));
            }
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::store::Key;\nuse crate::{fuse, fs::{self, X},\n  http};\nlet a: crate::read::B = 1;\n// crate::mock\n";
    let found: Vec<String> = imports(&production_code(code), "crate").into_iter().collect();
    assert_eq!(found, ["fs", "fuse", "http", "read", "store"]);
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent: Vec<_> = rust_files(&root().join("src"))
        .into_iter()
        .chain(rust_files(&root().join("tests")))
        .filter(|file| !fs::read_to_string(file).unwrap().starts_with("//! "))
        .collect();
    assert!(silent.is_empty(), "these files do not begin with //!: {silent:#?}");
}

/// The files that are compiled, starting from a crate root.
fn reachable(file: &Path, is_root: bool, found: &mut BTreeSet<PathBuf>) {
    if !found.insert(file.to_owned()) {
        return;
    }
    let folder = file.parent().unwrap();
    let stem = file.file_stem().unwrap();
    let children = if is_root || stem == "mod" { folder.to_owned() } else { folder.join(stem) };
    let mut path_attribute = None;
    for line in fs::read_to_string(file).unwrap().lines() {
        let line = line.trim();
        if let Some(path) = line.strip_prefix("#[path = \"") {
            path_attribute = path.strip_suffix("\"]").map(str::to_owned);
            continue;
        }
        if line.starts_with("#[") || line.starts_with("//") {
            continue;
        }
        let declared = line.strip_suffix(';').and_then(|line| {
            let (before, name) = line.rsplit_once("mod ")?;
            (before.is_empty() || before.starts_with("pub")).then_some(name)
        });
        let path_attribute = path_attribute.take();
        let Some(name) = declared else { continue };
        let candidates = match path_attribute {
            Some(path) => vec![folder.join(path)],
            None => vec![children.join(format!("{name}.rs")), children.join(name).join("mod.rs")],
        };
        for candidate in candidates.iter().filter(|candidate| candidate.is_file()) {
            reachable(candidate, false, found);
        }
    }
}

fn forgotten(dir: &str, roots: &[&str]) -> Vec<PathBuf> {
    let dir = root().join(dir);
    let mut found = BTreeSet::new();
    for name in roots {
        reachable(&dir.join(name), true, &mut found);
    }
    rust_files(&dir).difference(&found).cloned().collect()
}

#[test]
fn no_file_is_forgotten() {
    let (tests, source) =
        (forgotten("tests/it", &["main.rs"]), forgotten("src", &["lib.rs", "main.rs"]));
    assert!(tests.is_empty(), "no `mod` line leads to these tests: {tests:#?}");
    assert!(source.is_empty(), "no `mod` line leads to these files: {source:#?}");
}
