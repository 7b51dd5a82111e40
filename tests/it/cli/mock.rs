//! `partfs mock`: says where it listens, stops when told.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use super::partfs;

/// Starts the mock and reads its first lines.
fn start(command: &mut Command, lines: usize) -> (Child, Vec<String>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines = out.lines().take(lines).map(|line| line.unwrap()).collect();
    (child, lines)
}

fn terminate(mut child: Child) -> Option<i32> {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    child.wait().unwrap().code()
}

#[test]
fn the_address_and_made_up_keys_are_printed() {
    let (child, lines) = start(&mut partfs(["mock", "--bucket", "b-1250000000"]), 4);
    let address: SocketAddr =
        lines[0].strip_prefix("listening on http://").unwrap().parse().unwrap();
    assert!(address.ip().is_loopback() && address.port() != 0);
    TcpStream::connect(address).unwrap();
    assert_eq!(lines[1], "bucket b-1250000000");
    assert!(lines[2].starts_with("access key id mock"));
    assert_eq!(lines[3].strip_prefix("secret access key ").unwrap().len(), 40);
    assert_eq!(terminate(child), Some(0));
}

#[test]
fn keys_that_were_brought_are_not_repeated() {
    let mut command = partfs(["mock"]);
    command.env("PARTFS_ACCESS_KEY_ID", "id").env("PARTFS_SECRET_ACCESS_KEY", "canary");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert_eq!(terminate(child), Some(0));
    let rest: Vec<String> = out.lines().map(|line| line.unwrap()).collect();
    assert_eq!(rest, ["bucket mock-1250000000"]);
}
