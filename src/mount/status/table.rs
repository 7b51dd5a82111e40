//! The status of a mount for people. Pure.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::super::human::{count, printable, size, time};
use crate::fs::control::status::{FileState, FileStatus, Status};

/// Most failures in the table: the last ones.
const FAILURES: usize = 5;

/// Most files in the table; the others are counted.
const FILES: usize = 20;

/// The whole table, some twenty lines.
pub(super) fn table(place: &Path, status: &Status, now: SystemTime) -> String {
    let mut text = format!("{} is {}\n", place.display(), printable(&status.source));
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    line("daemon", daemon(status, now));
    let limit = status.memory_limit_bytes;
    let used = limit.saturating_sub(status.memory_free_bytes);
    line("memory", format!("{} of file contents held, {} at most", size(used), size(limit)));
    line(
        "traffic",
        format!(
            "{} sent, {} received, {}, {} of them tried again",
            size(status.bytes_sent),
            size(status.bytes_received),
            count(status.requests, "request"),
            status.retries
        ),
    );
    line(
        "reads",
        format!(
            "{} from memory, {} waited for the service",
            status.reads_from_memory, status.reads_waited
        ),
    );
    line(
        "open",
        format!("{} files and directories; {} names known", status.open_handles, status.inodes),
    );
    line("uploads", uploads(status));
    let trouble = trouble(status);
    if !trouble.is_empty() {
        line("trouble", trouble.join(", "));
    }
    files(&mut text, status);
    renames(&mut text, status);
    waiting(&mut text, status);
    failures(&mut text, status);
    text
}

fn daemon(status: &Status, now: SystemTime) -> String {
    let since = status.mounted.map(SystemTime::from);
    let age = since.and_then(|since| now.duration_since(since).ok());
    let age = age.map_or(String::new(), |age| format!(", mounted {} ago", time(age)));
    format!("process {}, partfs {}{age}", status.pid, status.version)
}

fn uploads(status: &Status) -> String {
    let left = match status.uploads_left_over {
        0 => String::new(),
        left => format!(", {left} cut off and kept to be continued"),
    };
    format!("{} in progress{left}", status.uploads_open)
}

fn trouble(status: &Status) -> Vec<String> {
    let counts = [
        (status.killed_writers, "files not stored because their writers were killed"),
        (status.hidden_keys, "keys not shown"),
        (status.panics, "panics"),
    ];
    let met = counts.iter().filter(|(count, _)| *count > 0);
    met.map(|(count, what)| format!("{count} {what}")).collect()
}

/// What a file lacks, in a word.
pub(super) fn word(state: FileState) -> &'static str {
    match state {
        FileState::Open => "open",
        FileState::Closing => "closing",
        FileState::Attributes => "attributes",
    }
}

fn files(text: &mut String, status: &Status) {
    if status.files.is_empty() {
        return;
    }
    let _ = writeln!(text, "  {:<10} {:>21} {:>11}  FILE", "NOT STORED", "IN THE BUCKET", "PARTS");
    for file in status.files.iter().take(FILES) {
        let FileStatus {
            path, state, size: bytes, parts, parts_confirmed, bytes_confirmed, ..
        } = file;
        let stored = match state {
            FileState::Attributes => "-".to_owned(),
            _ => format!("{} / {}", size(*bytes_confirmed), size(*bytes)),
        };
        let parts = match parts {
            0 => "-".to_owned(),
            parts => format!("{parts_confirmed}/{parts}"),
        };
        let path = printable(path);
        let _ = writeln!(text, "  {:<10} {stored:>21} {parts:>11}  {path}", word(*state));
    }
    let more = status.files.len().saturating_sub(FILES) + status.files_more;
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
}

fn renames(text: &mut String, status: &Status) {
    for rename in &status.renames {
        let of = if rename.listed { "of" } else { "of at least" };
        let _ = writeln!(
            text,
            "  renames {} to {}: {} {of} {} objects",
            printable(&rename.from),
            printable(&rename.to),
            rename.objects_done,
            rename.objects_total
        );
    }
}

fn waiting(text: &mut String, status: &Status) {
    for call in &status.waiting {
        let waited = time(Duration::from_millis(call.waiting_ms));
        let path = match printable(&call.path) {
            path if path.is_empty() => "the mount point".to_owned(),
            path => path,
        };
        let _ = writeln!(
            text,
            "  process {} has waited {waited} for {} of {path}",
            call.pid, call.operation
        );
    }
}

fn failures(text: &mut String, status: &Status) {
    let left_out = status.failures.len().saturating_sub(FAILURES);
    for failure in status.failures.iter().skip(left_out) {
        let at = failure.at.map_or(String::new(), |at| format!("{at:.0} "));
        let path = printable(&failure.path);
        let told = failure.errno.as_deref().unwrap_or("told nobody");
        let number = failure.status.map(|status| status.to_string());
        let id = failure.request_id.as_ref().map(|id| format!("(request {id})"));
        let words =
            [number.as_deref(), failure.code.as_deref(), Some(&failure.error), id.as_deref()];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        let words = printable(&words.join(" "));
        let _ = writeln!(text, "  failed: {at}{} of {path}: {told}: {words}", failure.operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::WaitStatus;
    use crate::fs::failures::FailureStatus;

    #[test]
    fn the_table_names_what_is_going_on() {
        let file = FileStatus {
            path: "a/b\n.bin".into(),
            state: FileState::Open,
            size: 112 << 20,
            parts: 14,
            bytes: 112 << 20,
            parts_confirmed: 5,
            bytes_confirmed: 40 << 20,
            writers: vec![7],
        };
        let small = FileStatus {
            path: "small".into(),
            state: FileState::Closing,
            size: 5,
            parts: 0,
            bytes: 0,
            parts_confirmed: 0,
            bytes_confirmed: 0,
            writers: Vec::new(),
        };
        let attributes = FileStatus { state: FileState::Attributes, ..small.clone() };
        let status = Status {
            files: vec![file, small, attributes],
            files_more: 2,
            waiting: vec![WaitStatus {
                operation: "close".into(),
                path: "small".into(),
                pid: 42,
                waiting_ms: 65_000,
            }],
            killed_writers: 1,
            failures: vec![FailureStatus {
                at: Some("2026-11-22T10:00:00.5Z".parse().unwrap()),
                operation: "close".into(),
                path: "a/b\n".into(),
                errno: Some("EACCES".into()),
                code: Some("AccessDenied".into()),
                status: Some(403),
                request_id: Some("R-7".into()),
                error: "no".into(),
            }],
            ..super::super::tests::quiet()
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(7384);
        let expected = "\
/mnt/data is cos://b-1250000000
  daemon    process 1234, partfs 0.1.0, mounted 2 h 3 min ago
  memory    24.0 MiB of file contents held, 224.0 MiB at most
  traffic   3.0 GiB sent, 0 bytes received, 400 requests, 2 of them tried again
  reads     0 from memory, 0 waited for the service
  open      3 files and directories; 9 names known
  uploads   1 in progress, 1 cut off and kept to be continued
  trouble   1 files not stored because their writers were killed
  NOT STORED         IN THE BUCKET       PARTS  FILE
  open        40.0 MiB / 112.0 MiB        5/14  a/b?.bin
  closing        0 bytes / 5 bytes           -  small
  attributes                     -           -  small
  and 2 more
  process 42 has waited 1 min 5 s for close of small
  failed: 2026-11-22T10:00:00Z close of a/b?: EACCES: 403 AccessDenied no (request R-7)
";
        assert_eq!(table(Path::new("/mnt/data"), &status, now), expected);
    }
}
