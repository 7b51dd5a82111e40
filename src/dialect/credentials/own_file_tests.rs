//! Which files of keys are taken, and which are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

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

fn refused(path: &Path) -> String {
    OwnFile(Some(path.to_owned())).look().unwrap_err().to_string()
}

#[test]
fn a_private_file_is_taken() {
    let (_dir, path) = file(0o600, TEXT);
    let Look::Found(found, Some(stamped)) = OwnFile(Some(path.clone())).look().unwrap() else {
        panic!("nothing found")
    };
    assert_eq!(found, Credentials::new("AKID", "s=cret"));
    assert!(!stamped.has_changed());
    fs::write(&path, TEXT.replace("AKID", "NEXT")).unwrap();
    assert!(stamped.has_changed());
}

#[test]
fn only_private_modes_are_taken() {
    let (_dir, path) = file(0o600, TEXT);
    for mode in 0..0o1000 {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let of_systemd = mode == 0o440 && (metadata.uid(), metadata.gid()) == (0, 0);
        assert_eq!(check(&path, &metadata).is_ok(), mode & 0o177 == 0 || of_systemd, "{mode:o}");
    }
    let (_dir, path) = file(0o644, TEXT);
    let path_text = path.display();
    assert_eq!(
        refused(&path),
        format!(
            "credentials_file {path_text}: has mode 0644, others could read it: chmod 600 {path_text}"
        )
    );
}

#[test]
fn links_pipes_folders_and_nothing_are_refused() {
    let (dir, path) = file(0o600, TEXT);
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(refused(&link).contains("symbolic link"));
    assert!(refused(dir.path()).contains("not a regular file"));
    assert!(refused(&dir.path().join("none")).contains("there is no such file"));
    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    assert!(refused(&pipe).contains("not a regular file"));
    assert!(refused(Path::new("/dev/null")).contains("not a regular file"));
    fs::write(&path, "x".repeat(1 << 20)).unwrap();
    assert!(refused(&path).contains("larger than"));
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(refused(&path).contains("is not text"));
}

#[test]
fn without_a_name_it_is_only_a_place() {
    let none = OwnFile(None);
    assert!(matches!(none.look(), Ok(Look::Nothing(None))));
    assert!(none.name().contains("credentials_file"));
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
