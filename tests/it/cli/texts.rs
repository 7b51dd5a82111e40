//! What the program writes about itself: completions and manual pages.

use std::fs;

use super::{line, partfs, run};

#[test]
fn completions_are_printed_for_each_shell() {
    for (shell, beginning) in
        [("bash", "_partfs() {"), ("zsh", "#compdef partfs"), ("fish", "# Print an optspec")]
    {
        let ran = line(&format!("completions {shell}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(ran.stdout.starts_with(beginning), "{shell}: {}", &ran.stdout[..200]);
        assert!(ran.stdout.contains("part-size"), "{shell}");
    }
    assert_eq!(line("completions csh").code, Some(2));
}

#[test]
fn manual_pages_are_written_where_man_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let manual = folder.path().join("share/man");
    // A page of another version is replaced.
    for _ in 0..2 {
        let ran = run(&mut partfs(["man-pages", manual.to_str().unwrap()]));
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
        for page in ["man1/partfs.1", "man1/partfs-uploads-list.1", "man5/partfs.toml.5"] {
            let text = fs::read_to_string(manual.join(page)).unwrap();
            assert!(text.contains("\n.SH NAME\npartfs"), "{page}: {text}");
        }
        let semantics = manual.join("man7/partfs-semantics.7");
        assert!(fs::metadata(&semantics).unwrap().len() > 10_000);
        fs::write(&semantics, "old").unwrap();
    }
}

#[test]
fn manual_pages_that_cannot_be_written_are_a_failure() {
    let ran = run(&mut partfs(["man-pages", "/dev/null/man"]));
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.stderr,
        "partfs: cannot write to /dev/null/man: Not a directory (os error 20)\n"
    );
}
