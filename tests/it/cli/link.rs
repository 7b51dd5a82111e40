//! `partfs link`: one line on standard output that works as an address, or a sentence that names the
//! mistake.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use super::server::{BUCKET, SECRET, Server, with_keys};
use super::{partfs, run};

fn link(key: &str, arguments: &[&str]) -> Command {
    let mut command = partfs(["link", &format!("cos://{BUCKET}/{key}")]);
    command.args(arguments);
    command
}

/// The status of an answer to a plain GET.
fn status(address: &str) -> String {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, target) = rest.split_at(rest.find('/').unwrap());
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn the_address_stands_alone_on_standard_output_and_works() {
    let server = Server::start(None);
    let mut command = link("a b/中", &["--valid", "7d"]);
    server.reach(&mut command);
    let ran = run(&mut command);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let address = ran.stdout.strip_suffix('\n').unwrap();
    assert!(address.contains("/a%20b/%E4%B8%AD?") && !address.contains(SECRET), "{address}");
    // The signature is right, and there is no such object.
    assert_eq!(status(address), "404");
    assert_eq!(status(&format!("{address}0")), "403");
}

#[test]
fn mistakes_have_their_names() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("key");
    fs::write(&file, [7; 32]).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    for (key, arguments, code, words) in [
        ("a", &["--valid", "0"][..], 2, "at least a second and at most 7 days"),
        ("a", &["--valid", "8d"], 2, "at least a second and at most 7 days"),
        ("", &[], 2, "which object? Write cos://b-1250000000/KEY"),
        ("a", &["--prefix", "b"], 2, "not below the prefix b/"),
        ("/a", &[], 1, "COS takes no key that begins with /"),
        ("a", &["--anonymous"], 1, "a link is signed, and anonymous requests are not"),
        ("a", &["--requester-pays"], 1, "(requester_pays) cannot be linked"),
        ("a", &["--sse-c-key-file", file], 1, "(sse_c_key_file) cannot be linked"),
        ("a", &["--signature-version", "v1"], 1, "COS has no signature_version"),
    ] {
        let mut command = link(key, arguments);
        let ran = run(with_keys(command.args(["--region", "ap-guangzhou"])));
        assert_eq!(ran.code, Some(code), "{key} {arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "expected {words:?} in {:?}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    let ran = run(with_keys(&mut link("a", &[])));
    assert!(ran.code == Some(2) && ran.stderr.contains("in which region"), "{}", ran.stderr);
    let ran = run(&mut link("a", &["--region", "r", "--instance-role=false"]));
    assert!(ran.code == Some(2) && ran.stderr.contains("no credentials found"), "{}", ran.stderr);
    let ran = run(&mut partfs(["link", "mock:/a"]));
    assert!(ran.code == Some(2) && ran.stderr.contains("partfs mock"), "{}", ran.stderr);
}
