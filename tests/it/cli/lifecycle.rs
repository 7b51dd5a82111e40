//! The life of a mount as a process: into the background, unmounted, killed, told to stop. Needs
//! /dev/fuse and the right to mount.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::place::Place;
use super::{mount, partfs, run};

/// A mount in the foreground that has said to "systemd" that it is ready.
fn foreground(place: &Place, more: &[&str]) -> (Child, UnixDatagram, TempDir) {
    let dir = TempDir::new().unwrap();
    let socket: PathBuf = dir.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = partfs(["mount", "--foreground", "mock:"].map(OsStr::new));
    command.arg(place.path()).args(more).env("NOTIFY_SOCKET", &socket).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    assert!(notice(&manager).starts_with("READY=1\n"));
    (child, manager, dir)
}

fn notice(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let len = manager.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn the_command_returns_when_the_mount_works_and_umount_when_its_daemon_has_ended() {
    let Some(place) = Place::new() else { return };
    let ran = mount("mock:", place.path(), &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(place.is_mounted());
    let daemon = place.daemon();
    let ran = place.umount(&[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(!place.is_mounted());
    let gone = match fs::read_to_string(format!("/proc/{}/stat", daemon.as_raw_pid())) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    assert!(gone, "umount returned before the daemon had ended");
}

#[test]
fn the_mock_is_mounted_in_each_of_its_languages() {
    let Some(place) = Place::new() else { return };
    for name in ["cos", "oss", "qingstor", "s3"] {
        let ran = mount(&format!("mock:?dialect={name}"), place.path(), &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}");
        let file = place.path().join("file");
        fs::write(&file, name).unwrap();
        let moved = place.path().join("moved");
        fs::rename(&file, &moved).unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), name);
        let ran = place.umount(&[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}");
    }
}

#[test]
fn options_about_new_objects_reach_the_bucket() {
    let Some(place) = Place::new() else { return };
    let folder = TempDir::new().unwrap();
    let url = format!("mock:{}", folder.path().display());
    let options =
        "storage_class=STANDARD_IA,object_metadata=team=red,content_type=*.poem=text/x-poem";
    let ran = mount(&url, place.path(), &["-o", options]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    fs::write(place.path().join("a.poem"), "rose").unwrap();
    assert_eq!(place.umount(&[]).code, Some(0));
    for wanted in ["STANDARD_IA", "\"red\"", "text/x-poem"] {
        let found =
            Command::new("grep").args(["-rqF", wanted]).arg(folder.path()).status().unwrap();
        assert!(found.success(), "{wanted} is not in the folder");
    }
    let ran = mount(&url, place.path(), &["-o", "requester_pays"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("COS has no requester_pays"), "{}", ran.stderr);
}

#[test]
fn a_second_mount_on_the_same_place_is_refused() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let ran = mount("mock:", place.path(), &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is already mounted by partfs (mock:)"), "{}", ran.stderr);
}

#[test]
fn a_dead_mount_is_cleared_by_the_next_mount_and_by_umount() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    place.kill_daemon();
    let ran = mount("mock:", place.path(), &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("cleared the dead mount of mock:"), "{}", ran.stderr);
    place.kill_daemon();
    let ran = place.umount(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("was a dead mount"), "{}", ran.stderr);
    assert!(!place.is_mounted());
}

#[test]
fn a_mount_in_use_is_not_unmounted_unless_lazily() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let open = fs::File::open(place.path()).unwrap();
    let ran = place.umount(&[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("files are open"), "{}", ran.stderr);
    assert!(place.is_mounted());
    let ran = place.umount(&["--lazy", "--timeout", "10ms"]);
    assert!(!place.is_mounted());
    assert_eq!(ran.code, Some(1), "the daemon cannot have ended: the directory is open");
    drop(open);
}

#[test]
fn sigterm_unmounts_and_ends_with_zero() {
    let Some(place) = Place::new() else { return };
    let (mut child, manager, _dir) = foreground(&place, &[]);
    signal(&child, Signal::TERM);
    assert!(notice(&manager).starts_with("STOPPING=1\n"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!place.is_mounted());
}

#[test]
fn a_busy_mount_goes_all_the_same_when_its_daemon_is_told_to_stop() {
    let Some(place) = Place::new() else { return };
    let (mut child, _manager, _dir) = foreground(&place, &[]);
    let _open = fs::File::open(place.path()).unwrap();
    signal(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("is in use"), "{log}");
    assert!(!place.is_mounted());
}

#[test]
fn an_unmount_from_outside_ends_the_daemon() {
    let Some(place) = Place::new() else { return };
    let (mut child, _manager, _dir) = foreground(&place, &[]);
    rustix::mount::unmount(place.path(), rustix::mount::UnmountFlags::empty()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_service_manager_that_cannot_be_told_is_a_failure() {
    let Some(place) = Place::new() else { return };
    let mut command = partfs(["mount", "-f", "mock:"]);
    let ran = run(command.arg(place.path()).env("NOTIFY_SOCKET", "/nonexistent/notify"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("cannot tell systemd"), "{}", ran.stderr);
    assert!(!place.is_mounted());
}

#[test]
fn mounts_are_nosuid_and_nodev() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &["-o", "suid,dev"]).code, Some(0));
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place_text = format!(" {} ", place.path().display());
    let line = table.lines().rfind(|line| line.contains(&place_text)).unwrap();
    assert!(line.contains("nosuid") && line.contains("nodev"), "{line}");
}

#[test]
fn who_cleans_up_after_a_daemon_takes_away_nothing_but_a_dead_mount() {
    let Some(place) = Place::new() else { return };
    let clean_up = |at: &std::path::Path| {
        let ran = run(partfs(["umount", "--if-dead"]).arg(at));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stderr
    };
    assert_eq!(clean_up(place.path()), "", "nothing is there");
    assert_eq!(clean_up(std::path::Path::new("/proc")), "", "another's mount");
    assert!(fs::exists("/proc/self").unwrap());
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    assert_eq!(clean_up(place.path()), "", "one that works");
    assert!(place.is_mounted());
    place.kill_daemon();
    assert!(clean_up(place.path()).contains("was a dead mount; it is cleared"));
    assert!(!place.is_mounted());
}
