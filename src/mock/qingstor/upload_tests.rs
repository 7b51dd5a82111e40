//! QingStor's particulars of uploads in parts.

use serde_json::{Value, json};

use super::tests::{MD5_OF_HELLO_WORLD, document, error, get, outcome, put, raw, send, server};
use crate::mock::MockServer;
use crate::mock::raw_client::Reply;
use crate::store::Key;

async fn upload_id(server: &MockServer, target: &str) -> String {
    let reply = send(server, raw("POST", &format!("{target}?uploads"))).await;
    assert_eq!(reply.status, 200);
    let document = document(&reply);
    assert_eq!(document["bucket"], "mybucket");
    assert_eq!(document["key"], target[1..]);
    document["upload_id"].as_str().unwrap().to_owned()
}

/// Puts parts with the numbers from 0, and asks to make an object of these of them.
async fn complete(server: &MockServer, target: &str, parts: &[&str], listed: Value) -> Reply {
    let id = upload_id(server, target).await;
    for (number, part) in parts.iter().enumerate() {
        let part_target = format!("{target}?part_number={number}&upload_id={id}");
        assert_eq!(put(server, &part_target, part).await.status, 201);
    }
    let body = json!({"object_parts": listed}).to_string();
    send(server, raw("POST", &format!("{target}?upload_id={id}")).body(body)).await
}

#[tokio::test]
async fn an_upload_counts_its_parts_from_nought_and_may_leave_some_out() {
    let server = server().await;
    let listed = json!([{"part_number": 0}, {"part_number": 2, "etag": "x"}]);
    let reply = complete(&server, "/k", &["hello ", "left out", "world"], listed).await;
    assert_eq!(outcome(&reply), error(400, "invalid_argument"));
    let md5 = "7d793037a0760186574b0282f2f435e7";
    for etag in [md5.to_owned(), format!("\"{md5}\"")] {
        let listed = json!([{"part_number": 0}, {"part_number": 2, "etag": etag}]);
        let reply = complete(&server, "/k", &["hello ", "left out", "world"], listed).await;
        assert_eq!((reply.status, reply.text()), (201, String::new()));
        assert_eq!(reply.header("etag"), None);
        assert_eq!(get(&server, "/k").await.text(), "hello world");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_list_of_parts_has_rules() {
    let server = server().await;
    let refused =
        async |parts: &[&str], listed| outcome(&complete(&server, "/k", parts, listed).await);
    let (zero, one) = (json!({"part_number": 0}), json!({"part_number": 1}));
    let argument = error(400, "invalid_argument");
    assert_eq!(refused(&["hello", "x"], json!([one, zero])).await, argument);
    assert_eq!(refused(&["hello", "x"], json!([zero, zero])).await, argument);
    assert_eq!(refused(&["hello"], json!([zero, one])).await, argument);
    assert_eq!(refused(&["hello"], json!([])).await, argument);
    assert_eq!(refused(&["abc", "x"], json!([zero, one])).await, error(400, "entity_too_small"));
    assert_eq!(refused(&["x"], json!({})).await, error(400, "invalid_json"));
    server.stop().await;
}

#[tokio::test]
async fn the_client_chooses_the_etag_of_an_upload() {
    let server = server().await;
    let id = upload_id(&server, "/k").await;
    put(&server, &format!("/k?part_number=0&upload_id={id}"), "x").await;
    let request = || {
        let target = format!("/k?upload_id={id}");
        raw("POST", &target).body(r#"{"object_parts": [{"part_number": 0}]}"#)
    };
    let reply = send(&server, request().header("ETag", "\"chosen-1\"")).await;
    assert_eq!(reply.status, 201);
    let reply = send(&server, raw("HEAD", "/k")).await;
    assert_eq!(reply.header("etag"), Some("\"chosen-1\""));
    // The id is gone.
    assert_eq!(outcome(&send(&server, request()).await), error(404, "upload_not_exists"));

    let mut seen = Vec::new();
    for _ in 0..2 {
        let listed = json!([{"part_number": 0}]);
        let reply = complete(&server, "/l", &["x"], listed).await;
        assert_eq!(reply.status, 201);
        let etag = send(&server, raw("HEAD", "/l")).await.header("etag").unwrap().to_owned();
        assert!(etag.starts_with("\"uncomputed-"), "{etag}");
        seen.push(etag);
    }
    assert_ne!(seen[0], seen[1]);
    server.stop().await;
}

#[tokio::test]
async fn part_numbers_have_limits() {
    let server = server().await;
    let id = upload_id(&server, "/k").await;
    let part = async |number: &str| {
        put(&server, &format!("/k?part_number={number}&upload_id={id}"), "x").await
    };
    for number in ["0", "1", "9999"] {
        assert_eq!(part(number).await.status, 201);
    }
    assert_eq!(outcome(&part("10000").await), error(400, "max_parts_exceeded"));
    for number in ["10001", "-1", "x", ""] {
        assert_eq!(outcome(&part(number).await), error(400, "invalid_argument"), "{number}");
    }
    let reply = put(&server, "/k?part_number=1", "x").await;
    assert_eq!(outcome(&reply), error(400, "invalid_argument"));
    assert!(server.bucket().head(&Key::new("k").unwrap()).is_err());
    let reply = put(&server, "/k?part_number=1&upload_id=unknown", "x").await;
    assert_eq!(outcome(&reply), error(404, "upload_not_exists"));
    server.stop().await;
}

#[tokio::test]
async fn parts_are_listed_without_a_word_on_more() {
    let server = server().await;
    let id = upload_id(&server, "/k").await;
    for number in [0, 1, 5] {
        put(&server, &format!("/k?part_number={number}&upload_id={id}"), "hello world").await;
    }
    let list =
        async |more: &str| document(&get(&server, &format!("/k?upload_id={id}{more}")).await);
    let part = |number| {
        json!({"part_number": number, "size": 11, "created": "2023-11-14T22:13:20.000Z",
            "etag": MD5_OF_HELLO_WORLD})
    };
    let all = json!({"count": 3, "object_parts": [part(0), part(1), part(5)]});
    assert_eq!(list("").await, all);
    assert_eq!(list("&limit=1").await, json!({"count": 1, "object_parts": [part(0)]}));
    let rest = json!({"count": 2, "object_parts": [part(1), part(5)]});
    assert_eq!(list("&limit=2&part_number_marker=0").await, rest);
    let none = json!({"count": 0, "object_parts": []});
    assert_eq!(list("&part_number_marker=5").await, none);
    let unknown = get(&server, "/k?upload_id=unknown").await;
    assert_eq!(outcome(&unknown), error(404, "upload_not_exists"));
    server.stop().await;
}

#[tokio::test]
async fn uploads_are_listed_by_two_hundred() {
    let server = server().await;
    let mut ids = Vec::new();
    for key in ["/a", "/a", "/dir/b"] {
        ids.push(upload_id(&server, key).await);
    }
    ids[..2].sort();
    let upload = |key: &str, id: &String| json!({"key": key, "upload_id": id, "created": "2023-11-14T22:13:20.000Z"});
    let list = async |query: &str| document(&get(&server, &format!("/?uploads{query}")).await);
    let mut expected = json!({
        "name": "mybucket", "prefix": "", "delimiter": "/", "limit": 200, "common_prefixes": ["dir/"],
        "uploads": [upload("a", &ids[0]), upload("a", &ids[1])],
        "next_key_marker": "", "next_upload_id_marker": "",
    });
    assert_eq!(list("&delimiter=/").await, expected);
    expected["limit"] = json!(1);
    expected["common_prefixes"] = json!([]);
    expected["uploads"] = json!([upload("a", &ids[0])]);
    expected["next_key_marker"] = json!("a");
    expected["next_upload_id_marker"] = json!(ids[0]);
    assert_eq!(list("&delimiter=/&limit=1").await, expected);
    let next = format!("&key_marker=a&upload_id_marker={}", ids[0]);
    assert_eq!(
        list(&next).await["uploads"],
        json!([upload("a", &ids[1]), upload("dir/b", &ids[2])])
    );
    server.stop().await;
}

#[tokio::test]
async fn giving_up_succeeds_whatever_is_there() {
    let server = server().await;
    let id = upload_id(&server, "/k").await;
    for id in [&id, &id, "unknown"] {
        let reply = send(&server, raw("DELETE", &format!("/k?upload_id={id}"))).await;
        assert_eq!(reply.status, 204);
    }
    server.stop().await;
}

#[tokio::test]
async fn parts_are_copied_by_range() {
    let server = server().await;
    put(&server, "/src", "hello world").await;
    let id = upload_id(&server, "/k").await;
    let copy = || {
        let target = format!("/k?part_number=0&upload_id={id}");
        raw("PUT", &target).header("x-qs-copy-source", "/mybucket/src")
    };
    let reply = send(&server, copy().header("x-qs-copy-range", "bytes=6-10")).await;
    assert_eq!((reply.status, reply.text()), (201, String::new()));
    assert_eq!(reply.header("etag"), Some("\"7d793037a0760186574b0282f2f435e7\""));
    assert_eq!(reply.header("x-qs-content-copy-range"), Some("bytes 6-10/11"));
    assert_eq!(send(&server, copy()).await.header("x-qs-content-copy-range"), None);
    for range in ["bytes=6-", "6-10", "bytes=3-2"] {
        let reply = send(&server, copy().header("x-qs-copy-range", range)).await;
        assert_eq!(outcome(&reply), error(400, "invalid_argument"), "{range}");
    }
    let reply = send(&server, copy().header("x-qs-copy-range", "bytes=6-11")).await;
    assert_eq!(outcome(&reply), error(416, "invalid_range"));
    server.stop().await;
}
