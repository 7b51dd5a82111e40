//! Two users on one mount: permissions are enforced by the kernel, by the modes and owners that we tell it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Output;

use crate::world::mount::{Mounted, Setup, can_run};

fn shared() -> Option<Mounted> {
    can_run("setpriv").then(|| Mounted::new(Setup { allow_other: true, ..Setup::default() }))?
}

/// Runs a command as another user.
fn other(mounted: &Mounted, script: &str) -> Output {
    mounted.shell(&format!("setpriv --reuid 1234 --regid 1234 --clear-groups bash -c '{script}'"))
}

fn works(mounted: &Mounted, script: &str) {
    let output = other(mounted, script);
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

fn fails(mounted: &Mounted, script: &str, why: &str) {
    let output = other(mounted, script);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains(why), "{script}: {text}");
}

const EACCES: &str = "Permission denied";
const EPERM: &str = "Operation not permitted";

#[test]
fn modes_and_owners_hold_for_other_users() {
    let Some(mut mounted) = shared() else { return };
    mounted.sh("mkdir closed open; chmod 700 closed; chmod 777 open; echo text > closed/f; \
         echo text > private; chmod 600 private; echo text > public; chmod 666 public");
    mounted.remount();
    fails(&mounted, "cat private", EACCES);
    fails(&mounted, "echo more >> private", EACCES);
    fails(&mounted, "ls closed", EACCES);
    fails(&mounted, "cat closed/f", EACCES);
    fails(&mounted, "touch new", EACCES);
    fails(&mounted, "rm -f private", EACCES);
    fails(&mounted, "mv public open/", EACCES);
    works(
        &mounted,
        "echo more >> public; echo text > open/mine; rm open/mine; echo text > open/mine",
    );
    let mine = fs::metadata(mounted.path("open/mine")).unwrap();
    assert_eq!((mine.uid(), mine.gid()), (1234, 1234));
}

#[test]
fn only_owners_change_modes_owners_and_times() {
    let Some(mounted) = shared() else { return };
    mounted.sh("mkdir open; chmod 777 open; echo text > open/of-root; chmod 666 open/of-root");
    fails(&mounted, "chmod 600 open/of-root", EPERM);
    fails(&mounted, "chown 1234 open/of-root", EPERM);
    fails(&mounted, "touch -d 2001-01-01 open/of-root", EPERM);
    // Whoever may write may set the time of now.
    works(&mounted, "touch open/of-root");
    works(&mounted, "echo text > open/mine; chmod 640 open/mine; touch -d 2001-01-01 open/mine");
    fails(&mounted, "chown 0 open/mine", EPERM);
    fails(&mounted, "chgrp 0 open/mine", EPERM);
    works(&mounted, "chgrp 1234 open/mine");
    mounted.sh("chown 7:8 open/mine");
    let mine = fs::metadata(mounted.path("open/mine")).unwrap();
    assert_eq!((mine.uid(), mine.gid(), mine.mode()), (7, 8, 0o100_640));
}

#[test]
fn in_a_sticky_directory_everybody_removes_their_own() {
    let Some(mut mounted) = shared() else { return };
    mounted.sh("mkdir -m 1777 made; mkdir set; chmod 1777 set; echo text | tee made/f > set/f");
    mounted.remount();
    for directory in ["made", "set"] {
        let mode = fs::metadata(mounted.path(directory)).unwrap().mode();
        assert_eq!(mode, 0o041_777, "{directory}");
        fails(&mounted, &format!("rm -f {directory}/f"), EPERM);
        fails(&mounted, &format!("mv {directory}/f {directory}/g"), EPERM);
        works(&mounted, &format!("echo text > {directory}/mine; rm {directory}/mine"));
    }
}

#[test]
fn set_id_bits_are_dropped_without_an_error() {
    let Some(mut mounted) = shared() else { return };
    let source = tempfile::TempDir::new().unwrap();
    let program = source.path().join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
    let from = source.path().display();
    mounted.sh(&format!(
        "cp -a {from}/program cp; tar -C {from} -c program | tar -x; install -m 4755 {from}/program install; \
         mkdir -m 2755 d; touch f; chmod 7644 f"
    ));
    let modes = |mounted: &Mounted| {
        ["cp", "program", "install", "d", "f"]
            .map(|name| fs::metadata(mounted.path(name)).unwrap().mode() & 0o7777)
    };
    assert_eq!(modes(&mounted), [0o755, 0o755, 0o755, 0o755, 0o644]);
    mounted.remount();
    assert_eq!(modes(&mounted), [0o755, 0o755, 0o755, 0o755, 0o644]);
}

#[test]
fn the_umask_is_that_of_the_caller() {
    let Some(mounted) = shared() else { return };
    mounted.sh("umask 027; mkdir d; touch f; umask 077; mkdir e; echo text > g");
    let modes = ["d", "f", "e", "g"].map(|name| fs::metadata(mounted.path(name)).unwrap().mode());
    assert_eq!(modes, [0o040_750, 0o100_640, 0o040_700, 0o100_600]);
}

#[test]
fn nobody_else_is_let_in_by_default() {
    if !can_run("setpriv") {
        return;
    }
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let root = mounted.root().display();
    mounted.sh("touch f; chmod 666 f");
    fails(&mounted, &format!("cd / && cat {root}/f"), EACCES);
}
