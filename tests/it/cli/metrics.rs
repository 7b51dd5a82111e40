//! `.partfs/metrics`: what a daemon did, in numbers that a monitor reads.

use std::fs;

use super::place::Place;
use super::{partfs, run};

/// The value of a line that begins so.
fn value(text: &str, beginning: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(beginning))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn what_a_mount_did_is_counted_and_names_no_file() {
    let Some(place) = Place::new() else { return };
    let mut mount = partfs(["mount", "mock:"]);
    let ran = run(mount.arg(place.path()));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let metrics = || fs::read_to_string(place.path().join(".partfs/metrics")).unwrap();
    let before = metrics();
    assert_eq!(value(&before, "partfs_requests_total{operation=\"PUT object\""), None, "{before}");

    fs::write(place.path().join("canary-name"), [7; 1000]).unwrap();
    fs::write(place.path().join("canary-large"), vec![7; 20 << 20]).unwrap();
    assert!(fs::read(place.path().join("canary-absent")).is_err());
    let text = metrics();
    for (beginning, least) in [
        ("partfs_requests_total{operation=\"PUT object\",status=\"200\"}", 1.0),
        ("partfs_requests_total{operation=\"upload part\",status=\"200\"}", 2.0),
        ("partfs_request_seconds_count{operation=\"upload part\"}", 2.0),
        ("partfs_sent_bytes_total", (20 << 20) as f64),
        ("partfs_failed_calls_total{operation=\"lookup\",errno=\"ENOENT\"}", 1.0),
        ("partfs_memory_free_bytes", 1.0),
    ] {
        assert!(value(&text, beginning).is_some_and(|value| value >= least), "{beginning}\n{text}");
    }
    assert_eq!(value(&text, "partfs_uploads_open"), Some(0.0));
    assert!(!text.contains("canary"), "{text}");
    let size = fs::metadata(place.path().join(".partfs/metrics")).unwrap().len();
    assert!(size > 1000, "{size}");
    assert!(fs::write(place.path().join(".partfs/metrics"), "x").is_err());
}
