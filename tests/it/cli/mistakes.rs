//! Everything that is commonly wrong when a bucket is mounted, with a server in a process of its own:
//! the command fails soon, with the right code and one sentence, and nothing is mounted.

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::place::{Place, is_mounted};
use super::server::{BUCKET, SECRET, Server, mount_from, server_that_says};
use super::{partfs, run};

/// Far below the minutes for which a mount that works outlives an outage.
const SOON: Duration = Duration::from_secs(30);

/// Ends with the code and one sentence with these words.
fn refused(command: &mut Command, at: &Path, code: i32, words: &str) {
    let started = Instant::now();
    let ran = run(command);
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    assert!(ran.stderr.contains(words), "expected {words:?} in {:?}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "not one sentence: {:?}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET), "{:?}", ran.stderr);
    assert!(started.elapsed() < SOON, "took {:?}", started.elapsed());
    assert!(!is_mounted(at));
}

#[test]
fn without_a_mistake_it_works() {
    let Some(place) = Place::new() else { return };
    let server = Server::start(None);
    let ran = run(&mut server.mount(place.path()));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    fs::write(place.path().join("file"), "x").unwrap();
    assert_eq!(place.umount(&[]).code, Some(0));
}

#[test]
fn a_wrong_request() {
    let at = TempDir::new().unwrap();
    let at = at.path();
    let server = Server::start(None);
    for (url, words) in [
        ("ftp://b-1250000000", "ftp://b-1250000000: this cannot be mounted; partfs mounts cos://"),
        ("cos://bucket", "bucket names of COS end in -APPID"),
    ] {
        refused(partfs(["mount", url, "--region", "ap-guangzhou"]).arg(at), at, 2, words);
    }
    let words = "part_size 7: a part must be from 1MiB to 5GiB";
    refused(server.mount(at).args(["--part-size", "7"]), at, 2, words);

    let config = TempDir::new().unwrap();
    let config = config.path().join("partfs.toml");
    fs::write(&config, "# sizes\nparts_ize = \"8MiB\"\n").unwrap();
    let words = "line 2: there is no option parts_ize; did you mean part_size?";
    refused(server.mount(at).arg("--config").arg(&config), at, 2, words);
}

#[test]
fn wrong_keys() {
    let at = TempDir::new().unwrap();
    let at = at.path();
    let server = Server::start(None);
    let words = "the access key id is known, but its secret is wrong";
    refused(server.mount(at).env("PARTFS_SECRET_ACCESS_KEY", "wrong"), at, 1, words);
    for words in ["the service does not know this access key id", ", request id "] {
        refused(server.mount(at).env("PARTFS_ACCESS_KEY_ID", "wrong"), at, 1, words);
    }
}

#[test]
fn no_keys() {
    let at = TempDir::new().unwrap();
    let at = at.path();
    let server = Server::start(None);
    let without_keys = || {
        let mut command = server.mount(at);
        command.env_remove("PARTFS_ACCESS_KEY_ID").env_remove("PARTFS_SECRET_ACCESS_KEY");
        command
    };
    let words = "no credentials found. They are looked for in PARTFS_";
    refused(without_keys().arg("--instance-role=false"), at, 2, words);

    let dir = TempDir::new().unwrap();
    let file = dir.path().join("keys");
    fs::write(&file, format!("access_key_id = the-id\nsecret_access_key = {SECRET}\n")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let words = format!("has mode 0644, others could read it: chmod 600 {}", file.display());
    refused(without_keys().arg("--credentials-file").arg(&file), at, 2, &words);
}

#[test]
fn an_endpoint_where_nobody_listens() {
    let at = TempDir::new().unwrap();
    // The port of a client is taken, and nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let endpoint = format!("http://{}", client.local_addr().unwrap());
    let words = format!("{endpoint} cannot be reached: check endpoint, region and network");
    let mut command = mount_from(&endpoint, at.path());
    refused(&mut command, at.path(), 1, &words);
    assert!(run(&mut command).stderr.to_lowercase().contains("connection refused"));
}

#[test]
fn endpoints_that_are_no_object_store() {
    let at = TempDir::new().unwrap();
    for (answer, words) in [
        (&b"220 smtp.example.com ESMTP \xff\0 ready\r\n"[..], "check endpoint"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 33\r\n\
                Connection: close\r\n\r\n<html><body>Welcome!</body></html>",
            "answers, but not as an object store does: check the endpoint",
        ),
    ] {
        let endpoint = server_that_says(answer);
        refused(&mut mount_from(&endpoint, at.path()), at.path(), 1, words);
    }
}

/// A proxy or a captive portal answers everything with its own page; some with the status of success.
#[test]
fn a_proxy_in_between() {
    let at = TempDir::new().unwrap();
    let endpoint = server_that_says(
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 38\r\n\
            Connection: close\r\n\r\n<html><body>Proxy failure</body></html>",
    );
    let words = "is not available now";
    refused(&mut mount_from(&endpoint, at.path()), at.path(), 1, words);
}

#[test]
fn a_server_without_tls_behind_https() {
    let at = TempDir::new().unwrap();
    let endpoint = server_that_says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    let endpoint = endpoint.replace("http://", "https://");
    let words = format!("{endpoint} cannot be trusted: check that the endpoint speaks https");
    refused(&mut mount_from(&endpoint, at.path()), at.path(), 1, &words);
}

#[test]
fn options_that_the_service_lacks() {
    let at = TempDir::new().unwrap();
    let at = at.path();
    let server = Server::start(None);
    for (flags, words) in [
        (["--requester-pays", "--read-only"], "COS has no requester_pays: leave the option out"),
        (["--storage-class", "GLACIER"], "storage_class \"GLACIER\" is not possible with COS"),
        (["--acl", "everybody"], "it takes default, private, public-read"),
        (["--traffic-limit", "1Kbit"], "819200 to 838860800 bits per second"),
    ] {
        refused(server.mount(at).args(flags), at, 1, words);
    }
}

#[test]
fn a_bucket_that_does_not_exist() {
    let at = TempDir::new().unwrap();
    // Below an address the mock's bucket has no name that could be wrong.
    let endpoint = server_that_says(
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/xml\r\nContent-Length: 88\r\n\
            Connection: close\r\n\r\n\
            <Error><Code>NoSuchBucket</Code><Message>The bucket does not exist.</Message>   </Error>",
    );
    let words =
        format!("there is no bucket {BUCKET} at {endpoint}: check its name, region and endpoint");
    refused(&mut mount_from(&endpoint, at.path()), at.path(), 1, &words);
}

#[test]
fn a_wrong_place() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(None);
    let (file, full) = (dir.path().join("file"), dir.path().join("full"));
    fs::create_dir(&full).unwrap();
    fs::write(&file, "x").unwrap();
    fs::write(full.join("file"), "x").unwrap();
    for (at, words) in [
        (dir.path().join("missing"), "missing does not exist; make it first: mkdir -p "),
        (file, "file is not a directory"),
        (full, "full is not empty; its files would be hidden"),
    ] {
        refused(&mut server.mount(&at), &at, 1, words);
    }
}

#[test]
fn a_place_that_is_taken() {
    let Some(place) = Place::new() else { return };
    let server = Server::start(None);
    assert_eq!(run(&mut server.mount(place.path())).code, Some(0));
    let ran = run(&mut server.mount(place.path()));
    assert_eq!(ran.code, Some(1));
    let words = format!("is already mounted by partfs (cos://{BUCKET}); unmount it first");
    assert!(ran.stderr.contains(&words), "{}", ran.stderr);
    assert_eq!(place.umount(&[]).code, Some(0));
    assert!(!place.is_mounted(), "the second command mounted too");
}

#[test]
fn a_wrong_staging_dir() {
    let at = TempDir::new().unwrap();
    let at = at.path();
    let server = Server::start(None);
    for (staging, words) in [
        (Path::new("/nonexistent/staging"), "staging_dir /nonexistent/staging: No such file"),
        (at, "is inside the mount point"),
        (&at.join("below"), "is inside the mount point"),
    ] {
        refused(server.mount(at).arg("--staging-dir").arg(staging), at, 1, words);
        let _ = fs::remove_dir(at.join("below"));
    }
}

#[test]
fn a_wrong_state_dir() {
    let (at, open) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let at = at.path();
    fs::set_permissions(open.path(), Permissions::from_mode(0o777)).unwrap();
    let server = Server::start(None);
    for (state, words) in [
        (Path::new("/nonexistent/state"), "state_dir /nonexistent/state: No such file"),
        (Path::new("/dev/null"), "state_dir /dev/null: is not a directory"),
        (open.path(), "others could exchange its files: chmod 700 it"),
        (at, "is inside the mount point"),
        (&at.join("below"), "is inside the mount point"),
    ] {
        refused(server.mount(at).arg("--state-dir").arg(state), at, 1, words);
    }
    assert!(!at.join("below").exists());
}

#[test]
fn without_the_usual_state_dir_it_works_and_says_so() {
    let Some(place) = Place::new() else { return };
    let server = Server::start(None);
    let mut command = server.mount(place.path());
    let log = TempDir::new().unwrap();
    let log = log.path().join("log");
    command.env_remove("PARTFS_STATE_DIR").env("STATE_DIRECTORY", "/dev/null/state");
    let ran = run(command.arg("--log-file").arg(&log));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    fs::write(place.path().join("file"), "x").unwrap();
    assert_eq!(place.umount(&[]).code, Some(0));
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("uploads are not written down"), "{log}");
}
