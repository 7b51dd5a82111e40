//! `.partfs/metrics`: what a daemon did, in numbers that a monitor reads.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

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

/// Sends a request as it is and gives the whole answer.
fn asked(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_monitor_of_this_machine_reads_them_over_http() {
    let Some(place) = Place::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut mount = partfs(["mount", "mock:", "--metrics-listen=127.0.0.1:0", "--log-file"]);
    let ran = run(mount.arg(&log).arg(place.path()));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let address = loop {
        let text = fs::read_to_string(&log).unwrap();
        if let Some((_, rest)) = text.split_once("metrics are served at http://") {
            break rest.split_once("/metrics").unwrap().0.to_owned();
        }
    };
    fs::write(place.path().join("canary-name"), [7; 1000]).unwrap();
    // Who holds connections and says nothing keeps nobody else away.
    let idle: Vec<_> = (0..7).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let answer = asked(&address, &format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("operation=\"PUT object\",status=\"200\"} 1\n"), "{answer}");
    assert!(answer.ends_with("# EOF\n") && !answer.contains("canary"), "{answer}");
    drop(idle);
    let evil = asked(&address, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert!(evil.starts_with("HTTP/1.1 421 ") && !evil.contains("partfs_"), "{evil}");
    let long =
        format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert!(asked(&address, &long).starts_with("HTTP/1.1 431 "));

    let taken = Place::new().unwrap();
    let mut second = partfs(["mount", "mock:", "--metrics-listen", &address]);
    let ran = run(second.arg(taken.path()));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains(&format!("metrics_listen {address}: ")), "{}", ran.stderr);
    assert_eq!(place.umount(&[]).code, Some(0));
    assert!(TcpStream::connect(&address).is_err(), "it ends with the mount");
}
