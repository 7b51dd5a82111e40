//! Scripts that must do on a mount what they do on a local disk, and leave it in the bucket.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use partfs::mock::MockDialect;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use tempfile::TempDir;

use super::key;
use super::mount::{Mounted, Setup, can_run};

/// Says what a folder holds: names, kinds, modes and targets of links, and the content of all files.
pub const TREE: &str = "find . ! -name . -printf '%P %y %m %l\\n' | sort; \
     find . -type f -print0 | sort -z | xargs -0r md5sum";

/// Of the folder that `script` was run in, first on a local disk and then on the mount:
///
/// - the script prints the same, errors included, and ends with the same status;
/// - `check`, run in the local folder, and in a folder with what the bucket holds now, prints the same.
///
/// The bucket is mounted anew afterwards, and `check` is run on the mount, too.
pub fn as_on_a_local_disk(mounted: &mut Mounted, script: &str, check: &str) {
    let local = TempDir::new().unwrap();
    let expected = run(local.path(), script);
    assert!(expected.ends_with("\nstatus 0\n"), "on a local disk:\n{expected}");
    let before = mounted.keys();
    assert_eq!(before, Vec::<String>::new(), "one script for each mount");
    assert_lines(&run(mounted.root(), script), &expected, script, "on the mount");
    let expected = run(local.path(), check);
    mounted.settled();
    let bucket = TempDir::new().unwrap();
    export(mounted, bucket.path());
    assert_lines(&run(bucket.path(), check), &expected, script, "in the bucket");
    mounted.remount();
    assert_lines(&run(mounted.root(), check), &expected, script, "on a fresh mount");
    assert_eq!(mounted.open_uploads(), 0);
}

/// Names the lines that differ, of thousands.
fn assert_lines(found: &str, expected: &str, script: &str, place: &str) {
    let only = |of: &str, other: &str| {
        let other: HashSet<_> = other.lines().collect();
        let lines = of.lines().filter(|line| !other.contains(line)).take(20);
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (more, fewer) = (only(found, expected), only(expected, found));
    assert!(
        found == expected,
        "{script}\n{place} only: {more:#?}\non a local disk only: {fewer:#?}"
    );
}

/// [`as_on_a_local_disk`] on a service that copies and on one that moves, for who needs these programs.
pub fn on_two_services(programs: &[&str], script: &str, check: &str) {
    if !programs.iter().all(|program| can_run(program)) {
        return;
    }
    for dialect in [MockDialect::Cos, MockDialect::Qingstor] {
        let setup = Setup { dialect, part_bytes: 4 << 20, ..Setup::default() };
        let Some(mut mounted) = Mounted::new(setup) else { return };
        as_on_a_local_disk(&mut mounted, script, check);
    }
}

fn run(folder: &Path, script: &str) -> String {
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(folder)
        .envs([("LC_ALL", "C"), ("TZ", "UTC"), ("HOME", "/nonexistent")])
        .env_remove("BASH_ENV")
        .output()
        .expect("bash runs");
    let text = String::from_utf8_lossy(&output.stdout);
    format!("{text}\nstatus {}\n", output.status.code().unwrap_or(-1))
}

/// Makes a folder of what the bucket holds, without the mount.
fn export(mounted: &Mounted, into: &Path) {
    let mut times = Vec::new();
    for name in mounted.keys() {
        let path = into.join(&name);
        let object = mounted.bucket.head(&key(&name)).unwrap();
        let mode = object.properties.metadata.get("mode").and_then(|mode| mode.parse().ok());
        if let Some(time) = object.properties.metadata.get("mtime") {
            times.push((path.clone(), timestamps(time)));
        }
        let mode: u32 = mode.unwrap_or_else(|| panic!("{name} has no mode"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content = mounted.object(&name).unwrap();
        if mode & 0o170_000 == 0o120_000 {
            symlink(String::from_utf8(content).unwrap(), &path).unwrap();
            continue;
        }
        if name.ends_with('/') {
            fs::create_dir_all(&path).unwrap();
        } else {
            fs::write(&path, content).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777)).unwrap();
    }
    for (path, time) in times {
        utimensat(CWD, path, &time, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// `SECONDS.NANOSECONDS`, the distance from 1970.
fn timestamps(text: &str) -> Timestamps {
    let (seconds, fraction) = text.split_once('.').unwrap();
    assert!(!seconds.starts_with('-') || fraction == "000000000", "{text}");
    let time = Timespec { tv_sec: seconds.parse().unwrap(), tv_nsec: fraction.parse().unwrap() };
    Timestamps { last_access: time, last_modification: time }
}
