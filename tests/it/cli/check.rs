//! `partfs check`: what works is said, what does not is named, and the exit code tells.

use std::process::Command;

use super::server::{BUCKET, Server};
use super::{Ran, line, partfs, run};

fn check(server: &Server, arguments: &[&str]) -> Command {
    let mut command = partfs(["check", &format!("cos://{BUCKET}")]);
    server.reach(&mut command);
    command.args(arguments);
    command
}

fn says(ran: &Ran, code: i32, lines: &[&str]) {
    assert_eq!(ran.code, Some(code), "{} {}", ran.stdout, ran.stderr);
    for line in lines {
        let mut words = line.split_whitespace();
        let (mark, what) = (words.next().unwrap(), words.next().unwrap());
        let rest = words.collect::<Vec<_>>().join(" ");
        let said = ran.stdout.lines().any(|line| {
            let text = line.split_whitespace().collect::<Vec<_>>().join(" ");
            text.starts_with(&format!("{mark} {what}")) && text.contains(&rest)
        });
        assert!(said, "expected {line:?} in {}", ran.stdout);
    }
}

#[test]
fn the_mock_passes_everything_and_nothing_stays_behind() {
    let server = Server::start(None);
    let ran = run(&mut check(&server, &["--write"]));
    let lines = [
        "ok reached",
        "ok credentials",
        "ok list",
        "- read",
        "ok uploads",
        "ok write",
        "ok read back",
        "ok copy",
        "ok multipart",
        "ok abort",
        "ok remove",
    ];
    says(&ran, 0, &lines);
    assert!(!ran.stdout.contains("FAIL"), "{}", ran.stdout);
    // Nothing to be read, again: what was written is gone.
    let again = run(&mut check(&server, &[]));
    says(&again, 0, &["- read not tried; there is no object", "- write not tried; add --write"]);
}

#[test]
fn mistakes_have_their_names() {
    let server = Server::start(None);
    let ran = run(check(&server, &[]).env("PARTFS_SECRET_ACCESS_KEY", "wrong"));
    says(&ran, 1, &["FAIL list the access key id is known, but its secret is wrong"]);
    let ran = run(check(&server, &[]).env("PARTFS_ACCESS_KEY_ID", "wrong"));
    says(&ran, 1, &["FAIL list the service does not know this access key id"]);
}

#[test]
fn the_built_in_mock_can_be_checked_too() {
    says(&line("check mock: --write"), 0, &["ok list", "ok multipart"]);
    let refused = line("check");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("URL is missing: partfs check URL"), "{}", refused.stderr);
}
