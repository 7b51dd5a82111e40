//! The server broken on purpose.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::raw_client::{Raw, Reply, connect};
use super::tests::{get, put, send, small_parts, upload_id, upload_parts};
use super::*;
use crate::store::{Key, Operation};

fn exists(server: &MockServer, key: &str) -> bool {
    server.bucket().head(&Key::new(key).unwrap()).is_ok()
}

async fn put_is_broken(server: &MockServer, path: &str) -> bool {
    Raw::new("PUT", path).body("hello").send(server).await.is_err()
}

#[tokio::test]
async fn a_status_strikes_before_or_after() {
    let server = small_parts().await;
    let rule = || FaultRule::new(Action::Status(503, "SlowDown".into())).on(Operation::Put);
    let first = server.faults().add(rule().key("before"));
    server.faults().add(rule().key("after").after_apply());
    for key in ["before", "after"] {
        let reply = put(&server, &format!("/{key}"), "hello").await;
        assert_eq!((reply.status, reply.code()), (503, "SlowDown".to_owned()));
    }
    assert!(!exists(&server, "before"));
    assert!(exists(&server, "after"));
    assert_eq!(server.faults().fired(first), 1);
    assert_eq!(put(&server, "/before", "hello").await.status, 200);
}

#[tokio::test]
async fn connections_break_before_and_after() {
    let server = small_parts().await;
    server.faults().add(FaultRule::new(Action::Reset).key("a"));
    server.faults().add(FaultRule::new(Action::Reset).key("b").after_apply());
    server.faults().add(FaultRule::new(Action::DropResponse).key("c"));
    for (key, applied) in [("a", false), ("b", true), ("c", true)] {
        assert!(put_is_broken(&server, &format!("/{key}")).await);
        assert_eq!(exists(&server, key), applied, "{key}");
    }
}

#[tokio::test]
async fn a_stall_ends_with_the_server() {
    let server = small_parts().await;
    server.faults().add(FaultRule::new(Action::Stall).after_apply());
    let raw = Raw::new("PUT", "/k").body("hello");
    let mut stream = connect(server.address()).await.unwrap();
    stream.write_all(raw.head(&server).as_bytes()).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let bucket = server.bucket();
    bucket.wait_for(|effect| effect.operation == Operation::Put).await;
    server.stop().await;
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(answer.is_empty());
}

#[tokio::test]
async fn bodies_are_truncated_and_corrupted() {
    let server = small_parts().await;
    put(&server, "/k", "hello world").await;
    server.faults().add(FaultRule::new(Action::Truncate).on(Operation::Get));
    assert!(Raw::new("GET", "/k").send(&server).await.is_err());
    server.faults().add(FaultRule::new(Action::Corrupt).on(Operation::Get));
    assert_eq!(get(&server, "/k").await.text(), "iello world");
    server.faults().add(FaultRule::new(Action::WrongCrc).on(Operation::Head));
    let crc = async || -> String {
        let reply: Reply = send(&server, Raw::new("HEAD", "/k")).await;
        reply.header("x-cos-hash-crc64ecma").unwrap().to_owned()
    };
    assert_eq!(crc().await, (5981764153023615706u64 ^ 1).to_string());
    assert_eq!(crc().await, "5981764153023615706");
}

#[tokio::test]
async fn complete_keeps_the_client_waiting_with_blanks() {
    for (late_error, when) in
        [(false, When::Before), (true, When::Before), (true, When::AfterApply)]
    {
        let server = small_parts().await;
        let id = upload_id(&server, "/k").await;
        let document = upload_parts(&server, "/k", &id, &["hello ", "world"]).await;
        let interval = Duration::from_millis(1);
        let blanks = Action::Blanks { count: 3, interval };
        server.faults().add(FaultRule::new(blanks).on(Operation::CompleteUpload));
        if late_error {
            let rule = FaultRule::new(Action::ErrorIn200("InternalError".into()));
            server.faults().add(FaultRule { when, ..rule.on(Operation::CompleteUpload) });
        }
        let complete = Raw::new("POST", &format!("/k?uploadId={id}")).body(document);
        let reply = send(&server, complete).await;
        assert_eq!(reply.status, 200);
        assert!(reply.text().starts_with("   <?xml"), "{}", reply.text());
        assert_eq!(reply.code(), if late_error { "InternalError" } else { "" });
        let applied = !late_error || when == When::AfterApply;
        assert_eq!(exists(&server, "k"), applied);
        assert_eq!(
            reply.element("UploadId").is_some() || reply.element("ETag").is_some(),
            !late_error
        );
    }
}

#[tokio::test]
async fn an_answer_may_break_off_after_the_blanks() {
    let server = small_parts().await;
    let id = upload_id(&server, "/k").await;
    let document = upload_parts(&server, "/k", &id, &["hello ", "world"]).await;
    let blanks = Action::Blanks { count: 2, interval: Duration::ZERO };
    for action in [blanks, Action::Truncate] {
        server.faults().add(FaultRule::new(action).on(Operation::CompleteUpload));
    }
    let complete = Raw::new("POST", &format!("/k?uploadId={id}")).body(document);
    assert!(complete.send(&server).await.is_err());
    assert!(exists(&server, "k"));
}
