//! How often it is tried, and what becomes of answers that are none of the service.

use super::*;

#[tokio::test]
async fn transient_errors_are_tried_so_often_and_final_ones_once() {
    let cases = [
        (503, "ServiceUnavailable", ErrorKind::Unavailable, 3),
        (503, "SlowDown", ErrorKind::Throttled, 3),
        (520, "", ErrorKind::Unavailable, 3),
        (409, "PathConflict", ErrorKind::Unavailable, 3),
        (403, "AccessDenied", ErrorKind::AccessDenied, 1),
        (404, "NoSuchUpload", ErrorKind::NoSuchUpload, 1),
        (404, "NoSuchBucket", ErrorKind::BucketMissing, 1),
        (400, "EntityTooLarge", ErrorKind::TooLarge, 1),
    ];
    join_all(cases.map(async |(status, code, kind, attempts)| {
        let server = Scripted::start(vec![refuse(status, code); 5]).await;
        let result = server.store().put_part(&upload(), PartNumber::FIRST, payload(b"x")).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.attempts), (kind, attempts), "{status} {code}");
        assert_eq!(server.seen().len(), attempts as usize);
        assert_eq!(error.status, Some(status));
        assert_eq!(error.request_id.as_deref(), Some(&*format!("id-{status}")));
        assert_eq!(error.key.as_deref(), Some("k"));
        assert_eq!(error.operation, Operation::PutPart);
        if !code.is_empty() {
            assert_eq!(error.code.as_deref(), Some(code));
        }
    }))
    .await;
}

#[tokio::test]
async fn each_attempt_is_signed_anew_and_sends_the_same_bytes() {
    let busy = answer(503, &[("Retry-After", "2")], "");
    let server = Scripted::start(vec![vec![Act::Send(busy)], say(200, &[ETAG], "")]).await;
    server.store().put_part(&upload(), PartNumber::FIRST, payload(b"part")).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, seen[1].body);
    let time = |seen: &Seen| {
        let text = seen.header("authorization").unwrap().to_owned();
        let time = text.split("q-sign-time=").nth(1).unwrap().split(';').next().unwrap().to_owned();
        time.parse::<u64>().unwrap()
    };
    assert!(time(&seen[1]) > time(&seen[0]));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Scripted::start(vec![]).await;
    let target = format!("http://{}/k?q=1", other.address);
    for status in [301, 302, 303, 307, 308] {
        let script = vec![say(status, &[("Location", &target)], "")];
        let server = Scripted::start(script).await;
        let error = server.store().head(&key("k")).await.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::WrongEndpoint, 1));
        assert!(error.message.contains(&other.address.to_string()), "{error}");
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Scripted::start(vec![vec![Act::Stall]; 5]).await;
    let error = server.store().head(&key("k")).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::Timeout, 3));

    let timing =
        Timing { total: Duration::from_millis(400), attempt: Duration::from_secs(60), ..TIMING };
    let server = Scripted::start(vec![refuse(503, "SlowDown"), vec![Act::Stall]]).await;
    let error = server.store_with(timing).head(&key("k")).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Timeout | ErrorKind::Throttled), "{error}");

    let stalled =
        vec![Act::Send(answer(200, &[ETAG, ("Content-Length", "10")], "abc")), Act::Stall];
    let server = Scripted::start(vec![stalled, say(200, &[ETAG], "abcdefghij")]).await;
    let content = server.store().get(&key("k"), None, &Conditions::NONE).await.unwrap();
    assert_eq!(content.len(), 10);
}

#[tokio::test]
async fn nobody_there_is_a_network_error() {
    let mut server = Scripted::start(vec![]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.address = listener.local_addr().unwrap();
    drop(listener);
    let store = server.store();
    let error = store.head(&key("k")).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::Network, 3), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_how_much() {
    let body = "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>";
    let date = "Tue, 14 Nov 1995 22:13:20 GMT";
    let server = Scripted::start(vec![say(403, &[("Date", date)], body)]).await;
    let error = server.store().delete(&key("k")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ClockSkew);
    assert!(error.message.contains(&format!("clock says {date}: this machine's clock is ")));
    assert!(error.message.ends_with(" days ahead"), "{error}");
}

#[tokio::test]
async fn a_lost_answer_to_initiate_may_leave_another_upload() {
    const OPENED: &str =
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let cases = [
        (vec![say(200, &[], OPENED)], false),
        (vec![refuse(503, "SlowDown"), say(200, &[], OPENED)], false),
        (vec![vec![], say(200, &[], OPENED)], true),
        (vec![vec![], refuse(503, "SlowDown"), say(200, &[], OPENED)], true),
    ];
    for (number, (script, strays)) in cases.into_iter().enumerate() {
        let server = Scripted::start(script).await;
        let started = server.store().start_upload(&key("k"), &PutOptions::default()).await.unwrap();
        assert_eq!((started.upload.id.as_str(), started.strays), ("u", strays), "case {number}");
    }
}

#[tokio::test]
async fn what_a_program_has_written_is_tried_for_as_long_as_close_may_take() {
    let refusals = || vec![refuse(503, "ServiceUnavailable"); 3];
    let timing = Timing { max_attempts: 2, writes: Some(Duration::from_secs(60)), ..TIMING };
    let mut script = refusals();
    script.push(say(200, &[ETAG], ""));
    let server = Scripted::start(script).await;
    let store = server.store_with(timing);
    let stored = store.put_part(&upload(), PartNumber::FIRST, payload(b"x")).await;
    assert_eq!(stored.unwrap().size, 1);
    assert_eq!(server.seen().len(), 4);
    // Others ask soon enough whether it works again.
    let server = Scripted::start(refusals()).await;
    let error = server.store_with(timing).head(&key("k")).await.unwrap_err();
    assert_eq!(error.attempts, 2);
}
