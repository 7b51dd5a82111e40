//! Looks for secrets in files, in every form in which they could get there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::files;

/// Shorter ones are words that stand anywhere.
const LEAST: usize = 12;

/// So much of a signature is as good as all of it: 64 bits or more.
const OF_SIGNATURE: usize = 16;

/// What must not be found.
pub(crate) struct Secrets {
    forms: Vec<String>,
    searcher: AhoCorasick,
}

impl Secrets {
    /// What servers wrote into their ledgers, which are in this folder.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut forms = BTreeSet::new();
        let mut signatures = 0;
        for ledger in files(folder).into_iter().filter(|path| is_ledger(path)) {
            for line in fs::read_to_string(ledger).unwrap().lines() {
                match line.split_once(' ') {
                    Some(("secret", secret)) if secret.len() >= LEAST => {
                        add_forms(&mut forms, secret)
                    }
                    Some(("signature", text)) if text.len() >= OF_SIGNATURE => {
                        signatures += 1;
                        add_encoded(&mut forms, &text[..OF_SIGNATURE]);
                    }
                    _ => {}
                }
            }
        }
        assert!(signatures > 0, "no server has seen a signature");
        let forms: Vec<_> = forms.into_iter().collect();
        let searcher = AhoCorasick::new(&forms).unwrap();
        Self { forms, searcher }
    }

    /// How many there are, in all their forms.
    pub(crate) fn len(&self) -> usize {
        self.forms.len()
    }

    /// Where the first of each file is, with the beginning of its line.
    pub(crate) fn found_in(&self, places: impl IntoIterator<Item = PathBuf>) -> Vec<String> {
        let places = places.into_iter().filter(|path| !is_ledger(path));
        let found = places.filter_map(|path| {
            let bytes = fs::read(&path).ok()?;
            let found = self.searcher.find(&bytes)?;
            let line = bytes[..found.start()].iter().rposition(|byte| *byte == b'\n');
            let line = &bytes[line.map_or(0, |at| at + 1)..found.start()];
            let form = &self.forms[found.pattern().as_usize()];
            Some(format!("{}: {}>>>{form}", path.display(), String::from_utf8_lossy(line)))
        });
        found.collect()
    }
}

fn is_ledger(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "secrets")
}

fn add_encoded(forms: &mut BTreeSet<String>, text: &str) {
    forms.insert(utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
    forms.insert(text.to_owned());
}

fn add_forms(forms: &mut BTreeSet<String>, secret: &str) {
    add_encoded(forms, secret);
    // A key of 32 bytes is told in base64.
    let decoded = base64::engine::general_purpose::STANDARD.decode(secret);
    let decoded = decoded.ok().filter(|bytes| bytes.len() == 32);
    for bytes in [Some(secret.as_bytes().to_vec()), decoded].into_iter().flatten() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        forms.insert(hex.to_ascii_uppercase());
        forms.insert(hex);
        // In the middle of a longer text it may begin with any of three bytes; what its neighbours change at
        // the ends is left out.
        for before in 0..3 {
            let mut shifted = vec![0; before];
            shifted.extend_from_slice(&bytes);
            let text = STANDARD_NO_PAD.encode(&shifted);
            let own = (before * 8).div_ceil(6)..(before + bytes.len()) * 8 / 6;
            forms.insert(text[own].to_owned());
        }
        // Bytes as they are, and as Rust shows them.
        forms.extend(String::from_utf8(bytes.clone()).ok());
        forms.insert(format!("{bytes:?}").trim_matches(['[', ']']).to_owned());
    }
}

#[test]
fn secrets_are_found_in_every_form() {
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "1.secrets",
        "secret canary/secret+of=a test\nsignature 0123456789abcdef0123456789abcdef\n",
    );
    let secrets = Secrets::of(folder.path());
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    for text in [
        "x canary/secret+of=a test y".to_owned(),
        "canary%2Fsecret%2Bof%3Da%20test".to_owned(),
        base64("canary/secret+of=a test"),
        base64("user:canary/secret+of=a test:more"),
        base64("me:canary/secret+of=a test!"),
        "63616e6172792f7365637265742b6f663d612074657374".to_owned(),
        "Signature=0123456789abcdef0123".to_owned(),
    ] {
        write("log", &format!("first line\nsecond {text}\n"));
        let found = secrets.found_in(files(folder.path()));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
    write("log", "canary/secret, canary, 0123456789abcde");
    assert_eq!(secrets.found_in(files(folder.path())), Vec::<String>::new());
}
