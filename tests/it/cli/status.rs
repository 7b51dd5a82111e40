//! `partfs status`: a mount as its user sees it, once and again and again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Signal, kill_process};

use super::place::{Place, able_to};
use super::{Ran, mount, partfs, run};

fn status(place: &Place, more: &[&str]) -> Ran {
    run(partfs(["status"]).arg(place.path()).args(more))
}

#[test]
fn a_mount_shows_what_is_not_stored_yet_and_then_that_all_is() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let mut file = File::create(place.path().join("open-file")).unwrap();
    file.write_all(&vec![7; 20 << 20]).unwrap();
    // The first two parts are on their way; the rest is held.
    let ran = loop {
        let ran = status(&place, &[]);
        if ran.stdout.contains("16.0 MiB / 20.0 MiB") {
            break ran;
        }
        assert!(ran.stdout.contains("open-file"), "{}", ran.stdout);
    };
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let line = ran.stdout.lines().find(|line| line.ends_with(" open-file")).unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>().join(" "),
        "open 16.0 MiB / 20.0 MiB 2/2 open-file"
    );
    assert!(ran.stdout.starts_with(&format!("{} is mock:\n", place.path().display())));
    assert!(ran.stdout.contains(&format!("process {}, ", place.daemon().as_raw_pid())));

    let json = |ran: Ran| serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap();
    let told = json(status(&place, &["--json"]));
    assert_eq!(told["files"][0]["path"], "open-file");
    assert_eq!(told["files"][0]["size"], 20 << 20);
    assert_eq!(told["files"][0]["writers"][0], std::process::id());
    drop(file);
    let told = json(status(&place, &["--json"]));
    assert_eq!(told["files"].as_array().unwrap().len(), 0, "{told}");

    // Without a place: every mount of the machine.
    let all = run(&mut partfs(["status", "--json"]));
    let all: Vec<(String, serde_json::Value)> = serde_json::from_str(&all.stdout).unwrap();
    let here = place.path().to_str().unwrap();
    assert!(all.iter().any(|(at, told)| at == here && told["source"] == "mock:"), "{all:?}");
}

#[test]
fn what_is_no_mount_of_ours_or_a_dead_one_or_tells_nothing_is_named() {
    let Some(place) = Place::new() else { return };
    let refused = |more: &[&str], said: &str| {
        let ran = status(&place, more);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    };
    refused(&[], "nothing is mounted at");
    refused(&["--watch"], "nothing is mounted at");
    let proc = run(&mut partfs(["status", "/proc"]));
    assert!(proc.stderr.contains("/proc is not a mount of partfs but proc"), "{}", proc.stderr);
    assert_eq!(mount("mock:", place.path(), &["--control-dir=off"]).code, Some(0));
    refused(&[], "it was mounted with control_dir=off");
    assert_eq!(run(Command::new("umount").arg(place.path())).code, Some(0));
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    place.kill_daemon();
    refused(&[], "is a dead mount: its daemon has gone; partfs umount");
    refused(&["--json"], "is a dead mount");
}

/// A watch whose lines are read.
struct Watch {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn of(place: &Place, more: &[&str]) -> Self {
        let mut command = partfs(["status", "--watch"]);
        command.arg(place.path()).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads until a line is as wanted.
    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let line = self.lines.by_ref().map(Result::unwrap).find(|line| wanted(line));
        line.expect("the watch has ended")
    }

    /// How it has ended, and what it said of it.
    fn ended(self) -> (Option<i32>, String) {
        drop(self.lines);
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn a_watch_follows_a_file_into_the_bucket_and_ends_with_the_mount() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let mut watch = Watch::of(&place, &[]);
    let mut json = Watch::of(&place, &["--json"]);
    let mut file = File::create(place.path().join("watched")).unwrap();
    file.write_all(&vec![7; 20 << 20]).unwrap();
    watch.until(|line| line.starts_with("  watched: 16.0 MiB / 20.0 MiB, 2/2 parts"));
    let told = json.until(|line| line.contains("\"watched\""));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["files"][0]["path"], "watched");
    drop(file);
    watch.until(|line| line == "watched: durable");
    assert_eq!(place.umount(&[]).code, Some(0));
    watch.until(|line| line.ends_with(" is unmounted"));
    assert_eq!(watch.ended(), (Some(0), String::new()));
    assert_eq!(json.ended(), (Some(0), String::new()));
}

#[test]
fn a_watch_says_that_the_daemon_has_died() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let mut watch = Watch::of(&place, &[]);
    watch.until(|line| line.contains("0 files not stored"));
    place.kill_daemon();
    let (code, said) = watch.ended();
    assert_eq!(code, Some(1));
    assert!(said.contains("is a dead mount: its daemon has gone"), "{said}");
}

#[test]
fn an_unmount_says_how_far_what_it_waits_for_is() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let mut file = File::create(place.path().join("kept-open")).unwrap();
    file.write_all(&vec![7; 20 << 20]).unwrap();
    while !status(&place, &[]).stdout.contains("16.0 MiB / 20.0 MiB") {}
    let mut command = partfs(["umount", "--lazy"]);
    let umount = command.arg(place.path()).stderr(Stdio::piped()).spawn();
    let mut umount = umount.unwrap();
    let mut lines = BufReader::new(umount.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.ends_with(" finishes kept-open (16.0 MiB of 20.0 MiB)"), "{line}");
    drop(file);
    assert_eq!(umount.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn the_status_is_for_the_owner_and_the_metrics_are_for_all() {
    let Some(place) = Place::new() else { return };
    let as_other = "command -v setpriv";
    if !able_to(
        "be another user: it needs setpriv",
        run(Command::new("sh").args(["-c", as_other])).code == Some(0),
    ) {
        return;
    }
    let owner = ["--allow-other", "--uid", "65534", "--gid", "65534"];
    assert_eq!(mount("mock:", place.path(), &owner).code, Some(0));
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let read = |user: &str, name: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--clear-groups", "--", "cat"]);
        run(command.arg(place.path().join(".partfs").join(name))).code == Some(0)
    };
    let allowed = [("65533", false), ("65534", true), ("0", true)];
    for (user, status) in allowed {
        assert_eq!(read(user, "status.json"), status, "{user}");
        assert!(read(user, "metrics"), "{user}");
    }
    assert_eq!(status(&place, &[]).code, Some(0), "root asks");
}

#[test]
fn a_daemon_that_does_not_answer_is_named_and_holds_nobody() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let mut watch = Watch::of(&place, &[]);
    watch.until(|line| line.contains("0 files not stored"));
    let daemon = place.daemon();
    kill_process(daemon, Signal::STOP).unwrap();
    let ran = status(&place, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("does not answer"), "{}", ran.stderr);
    watch.until(|line| line.ends_with(": the daemon does not answer"));
    kill_process(daemon, Signal::CONT).unwrap();
    watch.until(|line| line.contains("0 files not stored"));
    assert_eq!(place.umount(&[]).code, Some(0));
    assert_eq!(watch.ended().0, Some(0));
}
