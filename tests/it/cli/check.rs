//! `partfs check`: what works is said, what does not is named, and the exit code tells.

use std::process::Command;

use super::server::{BUCKET, Server, server_that_says, with_keys};
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
    for name in ["cos", "oss", "qingstor", "s3"] {
        let ran = line(&format!("check mock:?dialect={name} --write"));
        let lines = ["ok list", "ok write", "ok read back", "ok copy", "ok multipart", "ok remove"];
        says(&ran, 0, &lines);
        assert!(!ran.stdout.contains("FAIL"), "{name}: {}", ran.stdout);
    }
    let refused = line("check");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("URL is missing: partfs check URL"), "{}", refused.stderr);
}

/// An answer of a service with a status, further headers and a body.
fn says_http(status: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// What each service says about each mistake, and what the user is told, with the id of the request.
#[test]
fn each_mistake_is_named_with_the_id_of_the_request() {
    let xml = |code: &str, more: &str| {
        format!("<Error><Code>{code}</Code><Message>words</Message>{more}</Error>")
    };
    let json =
        |code: &str| format!(r#"{{"code":"{code}","message":"words","request_id":"id-17"}}"#);
    let id = |name: &str| format!("{name}: id-17\r\n");
    let (cos, oss) = (id("x-cos-request-id"), id("x-oss-request-id"));
    let (s3, qingstor) = (id("x-amz-request-id"), id("x-qs-request-id"));
    // Years behind: the offset is told in words.
    let old = "Date: Tue, 14 Nov 2000 22:13:20 GMT\r\n";
    for (url, answer, words) in [
        ("cos", says_http("404 Not Found", &cos, &xml("NoSuchBucket", "")), "there is no bucket"),
        (
            "cos",
            says_http("403 Forbidden", &cos, &xml("AccessDenied", "")),
            "may not list the bucket",
        ),
        (
            "cos",
            says_http("403 Forbidden", &(cos.clone() + old), &xml("RequestTimeTooSkewed", "")),
            "this machine's clock is",
        ),
        (
            "oss",
            says_http("403 Forbidden", &(oss.clone() + old), &xml("RequestTimeTooSkewed", "")),
            "this machine's clock is",
        ),
        (
            "oss",
            says_http("403 Forbidden", &oss, &xml("InvalidAccessKeyId", "")),
            "does not know this access key id",
        ),
        (
            "oss",
            says_http("403 Forbidden", &oss, &xml("SignatureDoesNotMatch", "")),
            "its secret is wrong",
        ),
        (
            "s3",
            says_http(
                "400 Bad Request",
                &s3,
                &xml("AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>"),
            ),
            "eu-west-3",
        ),
        (
            "s3",
            says_http(
                "301 Moved Permanently",
                &(s3.clone() + "x-amz-bucket-region: eu-west-3\r\n"),
                &xml("PermanentRedirect", ""),
            ),
            "eu-west-3",
        ),
        ("s3", says_http("404 Not Found", &s3, &xml("NoSuchBucket", "")), "there is no bucket"),
        (
            "s3",
            says_http("403 Forbidden", &s3, &xml("AccessDenied", "")),
            "may not list the bucket",
        ),
        (
            "qingstor",
            says_http("404 Not Found", &qingstor, &json("bucket_not_exists")),
            "there is no bucket",
        ),
        (
            "qingstor",
            says_http("403 Forbidden", &qingstor, &json("permission_denied")),
            "may not list the bucket",
        ),
        (
            "qingstor",
            says_http("401 Unauthorized", &qingstor, &json("invalid_access_key_id")),
            "does not know this access key id",
        ),
        (
            "qingstor",
            says_http("401 Unauthorized", &qingstor, &json("signature_not_matched")),
            "its secret is wrong",
        ),
        (
            "qingstor",
            says_http("403 Forbidden", &(qingstor.clone() + old), &json("request_expired")),
            "this machine's clock is",
        ),
    ] {
        let endpoint = server_that_says(answer);
        let url = format!("{url}://{BUCKET}");
        let mut command = partfs(["check", &url, "--endpoint", &endpoint, "--region", "r-1"]);
        let ran = run(with_keys(&mut command));
        says(&ran, 1, &["FAIL list"]);
        assert!(ran.stdout.contains(words), "{url}: expected {words:?} in {}", ran.stdout);
        assert!(ran.stdout.contains("request id id-17"), "{url}: {}", ran.stdout);
    }
}

#[test]
fn a_bucket_in_the_endpoint_is_refused_with_the_right_spelling() {
    for (url, endpoint, right) in [
        (
            "cos://b-1250000000",
            "https://b-1250000000.cos.ap-guangzhou.myqcloud.com",
            "https://cos.ap-guangzhou.myqcloud.com",
        ),
        (
            "oss://photos",
            "https://other.oss-cn-hangzhou.aliyuncs.com",
            "https://oss-cn-hangzhou.aliyuncs.com",
        ),
        (
            "s3://photos",
            "https://other.s3.eu-west-3.amazonaws.com",
            "https://s3.eu-west-3.amazonaws.com",
        ),
        ("qingstor://photos", "https://other.pek3b.qingstor.com", "https://pek3b.qingstor.com"),
    ] {
        let mut command = partfs(["check", url, "--endpoint", endpoint]);
        let ran = run(with_keys(&mut command));
        assert_ne!(ran.code, Some(0));
        let named = ran.stderr.contains("leave") && ran.stderr.contains("bucket");
        assert!(named, "{url}: {}", ran.stderr);
        // The bucket's own name is refused before the service's domain is known.
        assert!(ran.stderr.contains(right) || url.starts_with("cos"), "{url}: {}", ran.stderr);
    }
}
