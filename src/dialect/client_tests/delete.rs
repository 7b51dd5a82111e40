//! Deleting and aborting, one by one and many at once.

use super::*;

#[tokio::test]
async fn what_is_gone_is_deleted() {
    let server = Scripted::start(vec![
        say(204, &[], ""),
        refuse(404, "NoSuchKey"),
        refuse(404, "NoSuchBucket"),
        say(204, &[], ""),
        refuse(404, "NoSuchUpload"),
        say(200, &[], "<html>log in</html>"),
        say(204, &[], ""),
    ])
    .await;
    let store = server.store();
    store.delete(&key("k")).await.unwrap();
    store.delete(&key("k")).await.unwrap();
    assert_eq!(store.delete(&key("k")).await.unwrap_err().kind, ErrorKind::BucketMissing);
    store.abort_upload(&upload()).await.unwrap();
    store.abort_upload(&upload()).await.unwrap();
    store.delete(&key("k")).await.unwrap();
    assert_eq!(server.seen().len(), 7);
}

#[tokio::test]
async fn a_proxy_that_does_not_find_the_service_deletes_nothing() {
    let proxy = || say(404, &[], "default backend - 404");
    let server = Scripted::start(vec![proxy(), say(204, &[], ""), proxy(), proxy(), proxy()]).await;
    let store = server.store();
    store.delete(&key("k")).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    assert_eq!(store.delete(&key("k")).await.unwrap_err().kind, ErrorKind::InvalidAnswer);

    let server = Scripted::start(vec![proxy(); 3]).await;
    assert_eq!(
        server.store().get(&key("k"), None, &Conditions::NONE).await.unwrap_err().kind,
        ErrorKind::InvalidAnswer
    );
    // An answer to HEAD cannot say more.
    let server = Scripted::start(vec![say(404, &[], "")]).await;
    assert_eq!(server.store().head(&key("k")).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn delete_many_names_what_stays() {
    let result = "<DeleteResult><Error><Key>a&amp;b</Key><Code>AccessDenied</Code></Error>\
        <Error><Key>gone</Key><Code>NoSuchKey</Code></Error>\
        <Error><Key>busy</Key><Code>PathConflict</Code></Error></DeleteResult>";
    let server =
        Scripted::start(vec![say(200, &[], result), say(204, &[], ""), say(204, &[], "")]).await;
    let keys = ["a&b", "gone", "busy", "fine", "con\ntrol"].map(key);
    let failed = server.store().delete_many(&keys).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0].0, failed[0].1.kind), (&keys[0], ErrorKind::AccessDenied));
    assert_eq!(server.lines(), ["POST /?delete", "DELETE /busy", "DELETE /con%0Atrol"]);
    let seen = &server.seen()[0];
    let body = String::from_utf8(seen.body.clone()).unwrap();
    assert!(body.contains("<Key>a&amp;b</Key>") && !body.contains("con"), "{body}");
    assert_eq!(seen.header("content-md5").map(str::len), Some(24));
}
