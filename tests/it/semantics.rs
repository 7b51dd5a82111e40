//! Every promise of docs/SEMANTICS.md names its proof, and the proof exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of all test functions below a folder.
fn tests_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, names);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut after_attribute = false;
        for line in text.lines().map(str::trim) {
            let rest = line.strip_prefix("async ").unwrap_or(line);
            if let Some(name) = rest.strip_prefix("fn ")
                && after_attribute
            {
                let end = name.find('(').unwrap_or(name.len());
                names.insert(name[..end].to_owned());
            }
            let attribute = line.starts_with("#[") && line.contains("test");
            let between = line.starts_with("///") || line.starts_with("#[");
            after_attribute = attribute || (after_attribute && between);
        }
    }
}

#[test]
fn every_named_proof_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    tests_below(&root.join("tests"), &mut names);
    tests_below(&root.join("src"), &mut names);
    let document = fs::read_to_string(root.join("docs/SEMANTICS.md")).unwrap();
    let proofs: Vec<&str> = document
        .split('[')
        .filter_map(|text| text.split_once(']'))
        .map(|(proof, _)| proof)
        .filter(|proof| proof.contains("::"))
        .collect();
    assert!(proofs.len() > 30, "{} proofs are named", proofs.len());
    // Each statement, and each row of the table of costs but its head and rule, has one.
    let promises = document.split_once("## Writing").expect("the promises").1;
    let statements = promises.split("\n- ").flat_map(|text| text.split("\n| ")).skip(1);
    let bare: Vec<_> =
        statements.filter(|text| !text.contains("::") && !text.starts_with("operation")).collect();
    assert!(bare.is_empty(), "statements without a proof: {bare:?}");
    let missing: Vec<_> = proofs
        .iter()
        .filter(|proof| !names.contains(proof.rsplit("::").next().unwrap_or_default()))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
