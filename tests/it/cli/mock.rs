//! `partfs mock`: says where it listens, stops when told.

use std::io::{BufRead, BufReader, Read, Write};
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

#[test]
fn at_its_end_it_tells_how_often_it_was_asked() {
    let mut child = partfs(["mock"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    let address = first.trim_end().strip_prefix("listening on http://").unwrap();
    for method in ["GET", "PUT", "GET"] {
        let mut stream = TcpStream::connect(address).unwrap();
        let close = "Content-Length: 0\r\nConnection: close";
        write!(stream, "{method} /k HTTP/1.1\r\nHost: {address}\r\n{close}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 "), "nobody has signed: {answer}");
    }
    assert_eq!(terminate(child), Some(0));
    let lines: Vec<String> = out.lines().map(|line| line.unwrap()).collect();
    let counts: Vec<_> = lines.iter().filter(|line| line.starts_with("requests: ")).collect();
    assert_eq!(counts, ["requests: GET object 2", "requests: PUT object 1"]);
}
