//! The server broken in the middle of things: at a byte, behind the client's back, later than it seems.

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::raw_client::{Raw, connect};
use super::tests::{get, put, send, small_parts, upload_id, upload_parts};
use super::*;
use crate::store::{Key, Operation};

fn exists(server: &MockServer, key: &str) -> bool {
    server.bucket().head(&Key::new(key).unwrap()).is_ok()
}

fn at_request(action: Action, byte: u64) -> FaultRule {
    FaultRule::new(action).on(Operation::Put).at(Place::Request(byte))
}

#[tokio::test]
async fn a_byte_of_the_request_is_changed_on_its_way() {
    let server = small_parts().await;
    let rule = server.faults().add(at_request(Action::Corrupt, 4).times(2));
    put(&server, "/short", "hell").await;
    assert_eq!(server.faults().fired(rule), 0, "there is no fifth byte");
    put(&server, "/k", "hello").await;
    assert_eq!(get(&server, "/k").await.text(), "helln");
    let with_digest = Raw::new("PUT", "/l").header("Content-MD5", "XUFAKrxLKna5cZ2REBfFkg==");
    let reply = send(&server, with_digest.body("hello")).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "BadDigest"));
    assert!(!exists(&server, "l"));
    assert_eq!(server.faults().fired(rule), 2);
}

#[tokio::test]
async fn a_request_ends_early() {
    let server = small_parts().await;
    server.faults().add(at_request(Action::Truncate, 2));
    assert_eq!(put(&server, "/k", "hello").await.status, 200);
    assert_eq!(get(&server, "/k").await.text(), "he");
    for byte in [0, 2, 4] {
        let rule = server.faults().add(at_request(Action::Reset, byte));
        assert!(Raw::new("PUT", "/l").body("hello").send(&server).await.is_err());
        assert!(!exists(&server, "l"));
        assert_eq!(server.faults().fired(rule), 1);
    }
}

#[tokio::test]
async fn an_answer_stalls_behind_some_of_its_bytes() {
    let server = small_parts().await;
    put(&server, "/k", "hello world").await;
    let stall = FaultRule::new(Action::Stall).on(Operation::Get).at(Place::Answer(5));
    let rule = server.faults().add(stall);
    let mut stream = connect(server.address()).await.unwrap();
    stream.write_all(Raw::new("GET", "/k").head(&server).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhello") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert_eq!(server.faults().fired(rule), 1);
    server.stop().await;
    answer.clear();
    drop(stream.read_to_end(&mut answer).await);
    assert!(answer.is_empty(), "nothing came behind");
}

#[tokio::test]
async fn an_answer_is_spoiled_at_its_byte_if_it_has_it() {
    let server = small_parts().await;
    put(&server, "/k", "hello world").await;
    let at =
        |action: Action, byte| FaultRule::new(action).on(Operation::Get).at(Place::Answer(byte));
    let corrupt = server.faults().add(at(Action::Corrupt, 6));
    assert_eq!(get(&server, "/k").await.text(), "hello vorld");
    let beyond = server.faults().add(at(Action::Reset, 11));
    assert_eq!(get(&server, "/k").await.text(), "hello world");
    let reset = server.faults().add(at(Action::Reset, 10));
    assert!(Raw::new("GET", "/k").send(&server).await.is_err());
    let fired = [corrupt, beyond, reset].map(|id| server.faults().fired(id));
    assert_eq!(fired, [1, 0, 1]);
}

// Timers run ahead while nothing else moves.
#[tokio::test(start_paused = true)]
async fn a_slow_link_takes_its_time() {
    let server = small_parts().await;
    server.faults().add(FaultRule::new(Action::Rate(1)).times(2));
    let start = tokio::time::Instant::now();
    put(&server, "/k", "hello").await;
    assert!(start.elapsed().as_secs() >= 5);
    assert_eq!(get(&server, "/k").await.text(), "hello");
    assert!(start.elapsed().as_secs() >= 10);
}

#[tokio::test]
async fn a_wrong_clock_is_seen_in_dates_and_signatures() {
    let server = small_parts().await;
    let rule = FaultRule::new(Action::ClockOffset(-7200));
    server.faults().add(rule.on(Operation::Put));
    let reply = put(&server, "/k", "hello").await;
    assert_eq!(reply.status, 403);
    assert!(!exists(&server, "k"));
    let date = httpdate::parse_http_date(reply.header("date").unwrap()).unwrap();
    let now: SystemTime = server.service.clock.now();
    let behind = now.duration_since(date).unwrap().as_secs();
    assert!((7200..7300).contains(&behind), "{behind}");
    assert_eq!(put(&server, "/k", "hello").await.status, 200);
}

#[tokio::test]
async fn answers_lack_etags_and_are_others_than_they_were() {
    let server = small_parts().await;
    server.faults().add(FaultRule::new(Action::MissingEtag));
    assert_eq!(put(&server, "/k", "hello").await.header("etag"), None);
    assert!(get(&server, "/k").await.header("etag").is_some());
    let (content_type, body) = ("text/plain".to_owned(), "what?".to_owned());
    let other = FaultRule::new(Action::Answer { status: 200, content_type, body });
    server.faults().add(other.on(Operation::Put).after_apply());
    let reply = put(&server, "/l", "hello").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "what?"));
    assert!(exists(&server, "l"));
}

#[tokio::test]
async fn uploads_are_aborted_behind_the_back_of_the_client() {
    let server = small_parts().await;
    let abort = FaultRule::new(Action::AbortUpload);
    let missed = server.faults().add(abort.clone().on(Operation::Put));
    put(&server, "/k", "hello").await;
    assert_eq!(server.faults().fired(missed), 0, "there was no upload");
    server.faults().add(abort.on(Operation::Put).after_apply());
    let (id, other) = (upload_id(&server, "/k").await, upload_id(&server, "/kk").await);
    put(&server, "/k", "hello").await;
    let part = |id: &str, key: &str| {
        Raw::new("PUT", &format!("{key}?partNumber=1&uploadId={id}")).body("hello")
    };
    let reply = send(&server, part(&id, "/k")).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "NoSuchUpload"));
    assert_eq!(send(&server, part(&other, "/kk")).await.status, 200);
}

#[tokio::test]
async fn a_request_whose_connection_broke_is_applied_later() {
    let server = small_parts().await;
    server.faults().add(FaultRule::new(Action::ApplyLate(Duration::from_millis(30))));
    assert!(Raw::new("PUT", "/k").body("hello").send(&server).await.is_err());
    let effect = server.bucket().wait_for(|effect| effect.operation == Operation::Put).await;
    assert_eq!(effect.key.as_str(), "k");
    assert_eq!(get(&server, "/k").await.text(), "hello");
}

#[tokio::test]
async fn a_complete_makes_another_object_of_the_parts() {
    for (how, made) in [(Misassembly::SwapParts, "worldhello "), (Misassembly::DropPart, "hello ")]
    {
        let server = small_parts().await;
        let rule = FaultRule::new(Action::Misassemble(how)).times(2);
        let rule = server.faults().add(rule.on(Operation::CompleteUpload));
        for (parts, made, fired) in [(&["hello"][..], "hello", 0), (&["hello ", "world"], made, 1)]
        {
            let id = upload_id(&server, "/k").await;
            let document = upload_parts(&server, "/k", &id, parts).await;
            let complete = Raw::new("POST", &format!("/k?uploadId={id}")).body(document);
            assert_eq!(send(&server, complete).await.status, 200);
            assert_eq!(get(&server, "/k").await.text(), made);
            assert_eq!(server.faults().fired(rule), fired);
        }
    }
}
