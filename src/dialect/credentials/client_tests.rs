//! What the client does when the service does not take the credentials, and when there are none: the
//! real client over the mock, or over a server that says what the test wrote down.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;

use super::place::{Look, Place, Remote};
use super::*;
use crate::clock::{Clock, SystemClock};
use crate::dialect::client::Client;
use crate::dialect::cos::Cos;
use crate::dialect::scripted::{Scripted, TIMING, refuse, say};
use crate::dialect::xml_service::XmlService;
use crate::dialect::{DialectName, ObjectProperties};
use crate::mock::{MockConfig, MockServer};
use crate::store::{
    ErrorKind, Expected, Key, ObjectStore, PartNumber, PartReceipt, PutOptions, Replaces, Upload,
};

/// Gives key `n` when it is asked for the n-th time, up to a number.
#[derive(Debug)]
struct Giver {
    asked: AtomicUsize,
    most: usize,
}

#[async_trait]
impl Remote for Arc<Giver> {
    fn name(&self) -> String {
        "the giver".to_owned()
    }

    fn is_optional(&self) -> bool {
        false
    }

    async fn ask(&self) -> Result<Look, CredentialError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        if number >= self.most {
            return Err(CredentialError::unavailable("the giver", "not now"));
        }
        Ok(Look::found(Credentials::new(format!("key{number}"), "hush")))
    }
}

struct World {
    server: MockServer,
    giver: Arc<Giver>,
    store: Client,
}

impl World {
    async fn new(most: usize) -> Self {
        let config = MockConfig {
            access_key_id: "key0".to_owned(),
            secret_access_key: "hush".to_owned(),
            part_min_bytes: Some(1),
            ..MockConfig::default()
        };
        let bucket = config.bucket.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let server = MockServer::start(config, Arc::clone(&clock)).await.unwrap();
        let endpoint = format!("http://{}", server.address());
        let cos = Cos::new(bucket, Some(&endpoint), None).unwrap();
        let dialect = XmlService::new(cos, ObjectProperties::default()).unwrap();
        let giver = Arc::new(Giver { asked: AtomicUsize::new(0), most });
        let cache = CredentialCache::of_places(vec![Place::remote(Arc::clone(&giver))], clock);
        // More patient than the scripted server's: a hundred requests at once take their time.
        let timing = crate::dialect::Timing::default();
        let store = Client::new(Box::new(dialect), cache, timing).unwrap();
        Self { server, giver, store }
    }

    async fn parts(
        &self,
        upload: &Upload,
        numbers: std::ops::RangeInclusive<u64>,
    ) -> Vec<PartReceipt> {
        let part = |number| async move {
            let number = PartNumber::new(number).unwrap();
            self.store.put_part(upload, number, b"part".to_vec().into()).await.unwrap()
        };
        join_all(numbers.map(part)).await
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[tokio::test]
async fn an_end_in_the_middle_of_an_upload_costs_one_renewal_and_nothing_else() {
    let world = World::new(usize::MAX).await;
    let upload = world.store.start_upload(&key("f"), &PutOptions::default()).await.unwrap().upload;
    let mut parts = world.parts(&upload, 1..=50).await;
    assert_eq!(world.giver.asked.load(Ordering::SeqCst), 1);
    world.server.set_credentials("key1", "hush", None);
    parts.extend(world.parts(&upload, 51..=100).await);
    let expected = Expected { size: 400, checksum: None, replaces: Replaces::Anything };
    let version = world.store.complete_upload(&upload, &parts, &expected).await.unwrap();
    assert_eq!(version.size, 400);
    assert_eq!(world.giver.asked.load(Ordering::SeqCst), 2);
    world.server.stop().await;
}

#[tokio::test]
async fn without_new_ones_the_refusal_is_final() {
    let world = World::new(1).await;
    world.store.put(&key("f"), b"x".to_vec().into(), &PutOptions::default()).await.unwrap();
    world.server.set_credentials("other", "hush", None);
    let puts = (0..100).map(|_| async {
        world.store.put(&key("f"), b"y".to_vec().into(), &PutOptions::default()).await
    });
    for result in join_all(puts).await {
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::UnknownAccessKey, 1), "{error}");
    }
    assert_eq!(world.giver.asked.load(Ordering::SeqCst), 2);
    world.server.stop().await;
}

/// New keys that the service does not take either are not tried for ever.
#[tokio::test]
async fn each_refusal_is_followed_by_one_renewal_at_most() {
    let world = World::new(usize::MAX).await;
    world.server.set_credentials("other", "hush", None);
    let error = world.store.head(&key("f")).await.unwrap_err();
    assert_eq!(error.attempts, 1);
    assert_eq!(world.giver.asked.load(Ordering::SeqCst), 2);
    assert_eq!(world.server.request_counts().values().sum::<u64>(), 2);
    world.server.stop().await;
}

fn write(path: &std::path::Path, id: &str) {
    fs::write(path, format!("access_key_id = {id}\nsecret_access_key = hush\n")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn search(file: &std::path::Path) -> CredentialSource {
    CredentialSource::Search(Box::new(Search {
        service: DialectName::Cos,
        variables: Variables::default(),
        credentials_file: Some(file.to_owned()),
        profile: None,
        instance_role: false,
    }))
}

#[tokio::test]
async fn every_way_of_saying_that_they_ended_is_understood() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("keys");
    for refusal in [
        refuse(400, "ExpiredToken"),
        refuse(403, "InvalidAccessKeyId"),
        refuse(403, "SignatureDoesNotMatch"),
        // As an answer to HEAD, which has no body.
        say(400, &[], ""),
        say(403, &[], ""),
    ] {
        write(&path, "one");
        let done = say(204, &[], "");
        let server = Scripted::start(vec![done.clone(), refusal, done]).await;
        let store = server.store_of(search(&path), TIMING);
        store.delete(&key("f")).await.unwrap();
        write(&path, "two");
        store.delete(&key("f")).await.unwrap();
        let signed: Vec<bool> = server
            .seen()
            .iter()
            .map(|seen| seen.header("authorization").unwrap().contains("q-ak=two"))
            .collect();
        assert_eq!(signed, [false, false, true]);
    }
}

#[tokio::test]
async fn other_refusals_are_not_about_the_credentials() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("keys");
    write(&path, "one");
    for refusal in [refuse(403, "AccessDenied"), refuse(403, "RequestTimeTooSkewed")] {
        let server = Scripted::start(vec![refusal]).await;
        let store = server.store_of(search(&path), TIMING);
        assert!(store.delete(&key("f")).await.is_err());
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_told_and_nothing_is_sent() {
    let server = Scripted::start(Vec::new()).await;
    let store = server.store_of(search(std::path::Path::new("/no/such/file")), TIMING);
    let error = store.head(&key("f")).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ErrorKind::BadCredentials, 1));
    assert_eq!(&*error.message, "credentials_file /no/such/file: there is no such file");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn anonymous_requests_carry_no_signature() {
    let server = Scripted::start(vec![say(204, &[], ""), refuse(403, "AccessDenied")]).await;
    let store = server.store_of(CredentialSource::Anonymous, TIMING);
    store.delete(&key("f")).await.unwrap();
    assert!(store.delete(&key("f")).await.is_err());
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.header("x-cos-security-token"), None);
    }
}
