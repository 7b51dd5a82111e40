//! One line for each operation that failed, with all that is needed to look into it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use partfs::mock::{Action, FaultRule, MockConfig, MockDialect};
use partfs::store::Operation;
use serde_json::Value;

use super::Ground;
use crate::cli::{partfs, run};
use crate::world::pattern;

const MIB: usize = 1 << 20;

/// A name that would be two lines, and colour what follows.
const NAME: &str = "dir/a\nb\u{1b}[31m";

/// S3 takes any name.
fn s3() -> Option<Ground> {
    Ground::new(MockConfig { dialect: MockDialect::S3, ..MockConfig::default() })
}

/// Writes a file, and learns what became of it.
fn store(path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(b"new")?;
    file.sync_all()
}

fn deny(ground: &Ground, operation: Operation, code: &str) {
    let rule = FaultRule::new(Action::Status(403, code.to_owned())).on(operation);
    ground.server.faults().add(rule.times(FaultRule::ALWAYS));
}

fn failures(ground: &Ground) -> Vec<Value> {
    let lines = ground.lines().into_iter();
    lines.filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").collect()
}

/// As the mock makes them: two numbers in hexadecimal, or those in base64.
fn is_request_id(id: &Value) -> bool {
    id.as_str().is_some_and(|id| id.len() >= 17)
}

#[test]
fn a_failed_operation_is_one_line_with_path_errno_code_and_request_id() {
    let Some(ground) = s3() else { return };
    let daemon = ground.mount_with_log("info");
    fs::create_dir(ground.path("dir")).unwrap();
    fs::write(ground.path("dir/old"), "old").unwrap();
    deny(&ground, Operation::Put, "AccessDenied");
    deny(&ground, Operation::Delete, "AccessDenied");
    deny(&ground, Operation::Copy, "KmsAccessDenied");

    let mut file = File::create(ground.path(NAME)).unwrap();
    file.write_all(b"new").unwrap();
    assert_eq!(file.sync_all().unwrap_err().kind(), ErrorKind::PermissionDenied);
    let [line] = &failures(&ground)[..] else { panic!("{:#?}", ground.lines()) };
    assert_eq!(line["message"], "operation failed");
    for (field, value) in
        [("operation", "fsync"), ("path", NAME), ("errno", "EACCES"), ("code", "AccessDenied")]
    {
        assert_eq!(line[field], value, "{line:#}");
    }
    assert_eq!(line["status"], 403, "{line:#}");
    assert!(is_request_id(&line["request_id"]), "{line:#}");
    assert!(line["error"].as_str().unwrap().starts_with("PUT object"), "{line:#}");
    // And whoever does not know where the log is sees it in the status.
    let status = fs::read(ground.path(".partfs/status.json")).unwrap();
    let status: Value = serde_json::from_slice(&status).unwrap();
    let shown = &status["failures"][0];
    for field in ["operation", "path", "errno", "code", "status", "request_id", "error"] {
        assert_eq!(shown[field], line[field], "{field} of {shown:#}");
    }
    let table = run(partfs(["status"]).arg(ground.path(""))).stdout;
    let id = line["request_id"].as_str().unwrap();
    assert!(table.lines().last().unwrap().ends_with(&format!("(request {id})")), "{table}");
    drop(file);

    // Whoever comes later is told the same, and it is a failed operation of its own.
    let before = failures(&ground).len();
    assert_eq!(
        fs::rename(ground.path("dir/old"), ground.path("dir/new")).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    let lines = failures(&ground).split_off(before);
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!(
        [&line["operation"], &line["path"], &line["to"], &line["code"]],
        ["rename", "dir/old", "dir/new", "KmsAccessDenied"]
    );
    let before = failures(&ground).len();
    fs::remove_file(ground.path("dir/old")).unwrap_err();
    let lines = failures(&ground).split_off(before);
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!([&line["operation"], &line["path"]], ["unlink", "dir/old"]);
    assert!(is_request_id(&line["request_id"]), "{line:#}");
    drop(daemon);
}

#[test]
fn names_cannot_forge_lines_for_people() {
    let Some(ground) = s3() else { return };
    let daemon = ground.mount(|command| {
        command.args(["--log-format", "human"]);
    });
    fs::create_dir(ground.path("dir")).unwrap();
    // The words of a service are no better.
    let body =
        "<Error><Code>AccessDenied</Code><Message>no&#10;2026-01-01 INFO forged</Message></Error>";
    let answer =
        Action::Answer { status: 403, content_type: "application/xml".into(), body: body.into() };
    ground.server.faults().add(FaultRule::new(answer).on(Operation::Put).times(FaultRule::ALWAYS));
    store(&ground.path(NAME)).unwrap_err();
    daemon.stop();
    let words = ground.words();
    let is_it = |line: &&str| line.contains("operation=\"fsync\"");
    let lines: Vec<_> = words.lines().filter(is_it).collect();
    let [line] = lines[..] else { panic!("{words}") };
    assert!(line.contains(r#"path="dir/a\nb\u{1b}[31m""#), "{line}");
    assert!(line.contains("forged"), "{line}");
    assert!(!words.lines().any(|line| line.starts_with("2026-01-01 INFO forged")), "{words}");
    assert!(!words.contains('\u{1b}'), "{words:?}");
}

#[test]
fn what_is_refused_for_good_reasons_is_told_at_debug_only() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    let daemon = ground.mount_with_log("debug");
    let absent = ground.path("absent");
    assert_eq!(File::open(&absent).unwrap_err().kind(), ErrorKind::NotFound);
    fs::create_dir(ground.path("dir")).unwrap();
    fs::create_dir(ground.path("dir")).unwrap_err();
    let line =
        ground.line(|line| line["message"] == "operation refused" && line["path"] == "absent");
    assert_eq!([&line["level"], &line["operation"], &line["errno"]], ["DEBUG", "lookup", "ENOENT"]);
    assert_eq!(failures(&ground), Vec::<Value>::new());
    drop(daemon);
}

#[test]
fn a_file_without_a_name_is_called_so() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    let mut large = pattern(3, 8 * MIB);
    let daemon = ground.mount_with_log("info");
    fs::write(ground.path("f"), &large).unwrap();
    assert_eq!(daemon.stop(), Some(0));
    let daemon = ground.mount_with_log("debug");
    let mut file = File::open(ground.path("f")).unwrap();
    fs::remove_file(ground.path("f")).unwrap();
    assert!(file.read_exact(&mut large).is_err());
    let line = ground.line(|line| line["operation"] == "read");
    assert_eq!([&line["path"], &line["errno"]], ["(unlinked)", "ESTALE"]);
    drop(daemon);
}

#[test]
fn what_fails_in_the_background_has_the_same_fields() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    let daemon = ground.mount_with_log("info");
    fs::write(ground.path("f"), "content").unwrap();
    deny(&ground, Operation::Copy, "AccessDenied");
    fs::set_permissions(ground.path("f"), fs::Permissions::from_mode(0o600)).unwrap();
    let line = ground.message("the attributes could not be stored");
    assert_eq!([&line["path"], &line["errno"], &line["code"]], ["f", "EACCES", "AccessDenied"]);
    assert_eq!(line["status"], 403);
    assert!(is_request_id(&line["request_id"]), "{line:#}");

    // A writer that is killed, and an upload that cannot be taken back.
    deny(&ground, Operation::AbortUpload, "AccessDenied");
    let script = "exec 3> killed; head -c 3M /dev/zero >&3; kill -9 $$";
    Command::new("bash").args(["-c", script]).current_dir(ground.path(".")).status().unwrap();
    let line = ground.message("its writer was killed");
    assert_eq!([&line["path"], &line["level"]], ["killed", "WARN"]);
    drop(daemon);
}
