//! What goes wrong, goes wrong as it was said, and nothing else does.

use super::*;
use crate::clock::ManualClock;
use crate::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore, SMALL_LIMITS};
use std::time::{Duration, SystemTime};

struct World {
    bucket: Arc<MemoryBucket>,
    store: FaultStore,
}

fn world() -> World {
    let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
    let bucket = MemoryBucket::new(BucketOptions::new(EtagMode::Md5, clock));
    let store = FaultStore::new(Arc::new(MemoryStore::new(Arc::clone(&bucket), SMALL_LIMITS)));
    World { bucket, store }
}

fn key() -> Key {
    Key::new("k").unwrap()
}

fn number() -> PartNumber {
    PartNumber::FIRST
}

impl World {
    async fn put(&self, bytes: &'static [u8]) -> StoreResult<ObjectVersion> {
        self.store.put(&key(), Bytes::from_static(bytes).into(), &PutOptions::default()).await
    }

    async fn upload(&self) -> Upload {
        self.store.start_upload(&key(), &PutOptions::default()).await.unwrap().upload
    }

    async fn part(&self, upload: &Upload, bytes: &'static [u8]) -> StoreResult<PartReceipt> {
        self.store.put_part(upload, number(), Bytes::from_static(bytes).into()).await
    }

    fn size(&self) -> Option<u64> {
        self.bucket.head(&key()).ok().map(|object| object.size())
    }

    async fn held(&self, upload: &Upload) -> Vec<u64> {
        let page = self.store.list_parts(upload, None).await.unwrap();
        page.parts.iter().map(|part| part.size).collect()
    }

    fn say(&self, operation: Operation, fault: Fault) {
        self.store.add(Rule::next(operation, fault));
    }
}

fn fails(done: Done) -> Fault {
    Fault::Fails { kind: ErrorKind::Timeout, done }
}

#[tokio::test]
async fn an_error_tells_nothing_of_what_was_done() {
    let world = world();
    world.say(Operation::Put, fails(Done::No));
    assert_eq!(world.put(b"one").await.unwrap_err().kind, ErrorKind::Timeout);
    assert_eq!(world.size(), None);
    world.say(Operation::Put, fails(Done::Yes));
    assert_eq!(world.put(b"one").await.unwrap_err().kind, ErrorKind::Timeout);
    assert_eq!(world.size(), Some(3));
    assert_eq!(world.put(b"four").await.unwrap().size, 4);
}

#[tokio::test(start_paused = true)]
async fn a_complete_can_come_after_its_error() {
    let world = world();
    let upload = world.upload().await;
    let receipt = world.part(&upload, b"0123456789abcdef").await.unwrap();
    world.say(Operation::CompleteUpload, fails(Done::Later(Duration::from_secs(60))));
    let expected = Expected { size: 16, checksum: None, replaces: Default::default() };
    let done = world.store.complete_upload(&upload, &[receipt], &expected).await;
    assert_eq!((done.unwrap_err().kind, world.size()), (ErrorKind::Timeout, None));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(world.size(), None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.size(), Some(16));
    assert!(matches!(world.store.events().last().unwrap().what, What::Late(None)));
}

#[tokio::test]
async fn rules_count_and_know_keys() {
    let world = world();
    let fault = fails(Done::No);
    let key = Some(key());
    world.store.add(Rule { key, skip: 1, count: 2, ..Rule::next(Operation::Put, fault) });
    let other = Key::new("other").unwrap();
    let mut went = Vec::new();
    for _ in 0..4 {
        world.store.put(&other, Payload::default(), &PutOptions::default()).await.unwrap();
        went.push(world.put(b"x").await.is_ok());
    }
    assert_eq!(went, [true, false, false, true]);
}

#[tokio::test]
async fn failures_are_replaced_and_healed() {
    let world = world();
    world.store.fail(Operation::Put, 0, ErrorKind::Network);
    world.store.fail(Operation::Put, 1, ErrorKind::Throttled);
    assert!(world.put(b"x").await.is_ok());
    for _ in 0..2 {
        assert_eq!(world.put(b"x").await.unwrap_err().kind, ErrorKind::Throttled);
    }
    world.store.heal();
    assert!(world.put(b"x").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_part_comes_again_when_nobody_expects_it() {
    let world = world();
    let upload = world.upload().await;
    world.say(Operation::PutPart, Fault::Echo(Duration::from_secs(5)));
    world.part(&upload, b"one").await.unwrap();
    world.part(&upload, b"two two").await.unwrap();
    assert_eq!(world.held(&upload).await, [7]);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.held(&upload).await, [3]);
}

#[tokio::test]
async fn uploads_that_are_nobodys_fault_are_known() {
    let world = world();
    world.say(Operation::StartUpload, Fault::Twice);
    let started = world.store.start_upload(&key(), &PutOptions::default()).await.unwrap();
    assert!(started.strays);
    let upload = started.upload;
    assert_eq!(world.store.left_uploads().len(), 1);
    assert!(!world.store.left_uploads().contains(&upload.id));
    world.say(Operation::StartUpload, fails(Done::Yes));
    world.store.start_upload(&key(), &PutOptions::default()).await.unwrap_err();
    assert_eq!(world.store.left_uploads().len(), 2);
    world.say(Operation::AbortUpload, fails(Done::No));
    world.store.abort_upload(&upload).await.unwrap_err();
    assert!(world.store.left_uploads().contains(&upload.id));
    let listed = world.store.list_uploads(&UploadsRequest::default()).await.unwrap();
    assert_eq!(listed.uploads.len(), 3);
}

#[tokio::test]
async fn answers_can_be_wrong_and_uploads_gone() {
    let world = world();
    world.say(Operation::Put, Fault::Wrong(Claim::Size));
    assert_eq!((world.put(b"one").await.unwrap().size, world.size()), (4, Some(3)));
    world.say(Operation::Put, Fault::Wrong(Claim::ETag));
    let told = world.put(b"one").await.unwrap();
    assert_ne!(told.etag, world.bucket.head(&key()).unwrap().etag);
    let upload = world.upload().await;
    let right = world.part(&upload, b"one").await.unwrap();
    world.say(Operation::PutPart, Fault::Wrong(Claim::Checksum));
    assert_ne!(world.part(&upload, b"one").await.unwrap().checksum, right.checksum);
    world.say(Operation::PutPart, Fault::Aborted);
    assert_eq!(world.part(&upload, b"two").await.unwrap_err().kind, ErrorKind::NoSuchUpload);
}

#[tokio::test]
async fn who_observes_sees_each_change_at_once() {
    let world = world();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (bucket, into) = (Arc::clone(&world.bucket), Arc::clone(&seen));
    world.store.observed(move |change| {
        let size = bucket.head(change.key).map_or(0, |object| object.size());
        into.lock().push((change.operation, size, change.late));
    });
    world.say(Operation::Put, fails(Done::Yes));
    world.put(b"one").await.unwrap_err();
    world.put(b"four").await.unwrap();
    world.store.delete(&key()).await.unwrap();
    let expected =
        [(Operation::Put, 3, false), (Operation::Put, 4, false), (Operation::Delete, 0, false)];
    assert_eq!(*seen.lock(), expected);
}

#[tokio::test]
async fn a_call_that_is_given_up_is_in_the_log() {
    let world = world();
    let gate = world.store.hold_before(Operation::Put);
    tokio::select! {
        biased;
        _ = world.put(b"one") => panic!("it waits for the gate"),
        () = gate.answered() => {}
    }
    assert!(matches!(world.store.events().last().unwrap().what, What::Dropped));
    assert_eq!(world.size(), None);
}

/// What a client that has died had on its way arrives, or not; what it was told to come later does.
#[test]
fn calls_outlive_their_client() {
    let world = world();
    let store = Arc::new(world.store.with_mortal_clients());
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let first = runtime();
    first.block_on(async {
        store.client_begins();
        let slow = Fault::Slow { before: Duration::from_secs(60), after: Duration::ZERO };
        store.add(Rule { count: u32::MAX, ..Rule::next(Operation::Put, slow) });
        for _ in 0..20 {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let body = Payload::from(Bytes::from_static(b"x"));
                store.put(&key(), body, &PutOptions::default()).await
            });
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        store.client_dies(7);
    });
    drop(first);
    assert_eq!(world.bucket.effects().len(), 0);
    runtime().block_on(async {
        store.client_begins();
        assert_eq!(store.elapsed(), Duration::from_secs(10));
        tokio::time::sleep(Duration::from_secs(130)).await;
    });
    let arrived = world.bucket.effects().len();
    assert!((1..20).contains(&arrived), "{arrived} of 20");
    let late = store.events().into_iter().filter(|event| matches!(event.what, What::Late(None)));
    assert_eq!(late.count(), arrived);
}
