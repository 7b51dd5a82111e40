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

#[test]
fn it_breaks_what_a_file_says_and_tells_when() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("faults.toml");
    std::fs::write(&file, "[[fault]]\noperation = \"get\"\naction = \"reset\"\ncount = 2\n")
        .unwrap();
    let mut command = partfs(["mock", "--faults"]);
    let mut child =
        command.arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (
        BufReader::new(child.stdout.take().unwrap()),
        BufReader::new(child.stderr.take().unwrap()),
    );
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    let address = first.trim_end().strip_prefix("listening on http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /k HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer));
    assert_eq!(answer, "");
    let mut told = String::new();
    err.read_line(&mut told).unwrap();
    assert_eq!(told, "fault 1 struck, time 1: Reset at GET object \"k\"\n");
    assert_eq!(terminate(child), Some(0));
    let last = out.lines().last().unwrap().unwrap();
    assert_eq!(last, "fault 1: struck 1 times");
}

#[test]
fn a_file_of_faults_with_a_mistake_is_refused() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("faults.toml");
    std::fs::write(&file, "[[fault]]\naction = \"reset\"\nopration = \"get\"\n").unwrap();
    let ran = super::run(partfs(["mock", "--faults"]).arg(&file));
    assert_eq!(ran.code, Some(2));
    let words = "faults.toml: line 3: unknown field `opration`";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    let ran = super::line("mock --faults /nonexistent/faults.toml");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--faults /nonexistent/faults.toml: No such file"));
}
