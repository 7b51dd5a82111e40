//! Directories that cannot be mounted on. All of this is found out before anything is asked of a
//! bucket or of the kernel, so it needs neither.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Ran, line, mount};

fn refused(ran: &Ran, words: &str) {
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains(words), "expected {words:?} in {:?}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "one sentence, said once: {:?}", ran.stderr);
}

#[test]
fn a_missing_directory() {
    let ran = mount("mock:", Path::new("/nonexistent/x"), &[]);
    refused(&ran, "/nonexistent/x does not exist; make it first: mkdir -p /nonexistent/x");
}

#[test]
fn a_file() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    refused(&mount("mock:", &file, &[]), "file is not a directory");
    refused(&mount("mock:", &file.join("below"), &[]), "is not a directory");
}

#[test]
fn a_directory_with_files() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    refused(&mount("mock:", dir.path(), &[]), "is not empty; its files would be hidden");
}

#[test]
fn places_inside_the_mount_itself() {
    let dir = TempDir::new().unwrap();
    let inside = dir.path().join("inside");
    let inside = inside.to_str().unwrap();
    for option in ["--staging-dir", "--log-file"] {
        let ran = mount("mock:", dir.path(), &["-f", "-o", "nonempty", option, inside]);
        refused(&ran, "is inside the mount point");
    }
    let ran = mount(&format!("mock:{inside}"), dir.path(), &["-f", "-o", "nonempty"]);
    refused(&ran, "is inside the mount point");
}

#[test]
fn nothing_to_unmount() {
    let dir = TempDir::new().unwrap();
    let ran = line(&format!("umount {}", dir.path().display()));
    refused(&ran, "nothing is mounted at");
    refused(&line("umount /proc"), "/proc is not a mount of partfs but proc");
    refused(&line("umount /nonexistent/x"), "/nonexistent/x does not exist");
}
