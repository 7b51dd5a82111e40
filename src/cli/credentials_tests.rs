//! Which credentials are found, and which files are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

const TEXT: &str = "# keys\naccess_key_id = AKID\nsecret_access_key = \"s=cret\"\n\n";

fn file(mode: u32, text: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (dir, path)
}

fn refused(environment: &[(&str, &str)], path: Option<&Path>) -> String {
    find(&Environment::of(environment), path).unwrap_err().to_string()
}

#[test]
fn our_variables_come_first_then_the_services_then_the_file() {
    let (_dir, path) = file(0o600, TEXT);
    let services = [("TENCENTCLOUD_SECRET_ID", "T"), ("TENCENTCLOUD_SECRET_KEY", "t")];
    let mut all = services.to_vec();
    all.extend([("PARTFS_ACCESS_KEY_ID", "P"), ("PARTFS_SECRET_ACCESS_KEY", "p")]);
    let id = |environment: &[(&str, &str)]| {
        find(&Environment::of(environment), Some(&path)).unwrap().access_key_id
    };
    assert_eq!(id(&all), "P");
    assert_eq!(id(&services), "T");
    assert_eq!(id(&[]), "AKID");
}

#[test]
fn half_a_pair_is_a_mistake() {
    let message = refused(&[("PARTFS_ACCESS_KEY_ID", "P")], None);
    assert_eq!(message, "PARTFS_ACCESS_KEY_ID is set but PARTFS_SECRET_ACCESS_KEY is not");
}

#[test]
fn without_any_the_places_are_named() {
    let message = refused(&[], None);
    for place in ["PARTFS_ACCESS_KEY_ID", "TENCENTCLOUD_SECRET_ID", "credentials_file"] {
        assert!(message.contains(place), "{message}");
    }
}

#[test]
fn only_private_modes_are_taken() {
    for mode in 0..0o1000 {
        let (_dir, path) = file(0o600, TEXT);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(secret_file::check(&metadata).is_ok(), mode & 0o177 == 0, "{mode:o}");
    }
    let (_dir, path) = file(0o644, TEXT);
    assert!(refused(&[], Some(&path)).contains("has mode 0644"));
}

#[test]
fn links_pipes_and_folders_are_refused() {
    let (dir, path) = file(0o600, TEXT);
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(refused(&[], Some(&link)).contains("symbolic link"));
    assert!(refused(&[], Some(dir.path())).contains("not a regular file"));
    assert!(refused(&[], Some(&dir.path().join("none"))).contains("No such file"));
    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    assert!(refused(&[], Some(&pipe)).contains("not a regular file"));
}

#[test]
fn mistakes_in_the_file_never_repeat_what_is_in_it() {
    for text in ["AKIDsecret", "id = AKIDsecret", "secret_access_key = AKIDsecret"] {
        let message = parse(text).unwrap_err();
        assert!(!message.contains("AKIDsecret"), "{message}");
    }
    let debug = format!("{:?}", parse(TEXT).unwrap());
    assert!(!debug.contains("s=cret"), "{debug}");
}
