//! When credentials are renewed, how often, and what becomes of those that cannot be.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::*;
use crate::clock::ManualClock;
use crate::dialect::DialectName;
use crate::dialect::credentials::place::Remote;
use crate::dialect::credentials::{Search, Variables};

const HOUR: Duration = Duration::from_secs(3600);

/// A giver that counts: the n-th answer is key `n`, good for so long, or a refusal.
#[derive(Debug)]
struct Giver {
    clock: Arc<ManualClock>,
    life: Option<Duration>,
    asked: AtomicUsize,
    /// Answers given before it refuses, and again from this number on.
    refuses: Mutex<std::ops::Range<usize>>,
    /// Always the same key.
    constant: bool,
    /// Answers only as many as there are permits.
    gate: Option<Semaphore>,
}

impl Giver {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
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
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        if self.refuses.lock().contains(&number) {
            return Err(CredentialError::unavailable("the giver", "not now"));
        }
        let id = if self.constant { 0 } else { number };
        let keys = Credentials::new(format!("key{id}"), "hush");
        let expires = self.life.map(|life| self.clock.now() + life);
        Ok(Look::found(Credentials { expires, ..keys }))
    }
}

struct World {
    clock: Arc<ManualClock>,
    giver: Arc<Giver>,
    cache: CredentialCache,
}

impl World {
    fn with(change: impl FnOnce(&mut Giver)) -> Self {
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + 1_000_000 * HOUR));
        let mut giver = Giver {
            clock: Arc::clone(&clock),
            life: Some(HOUR),
            asked: AtomicUsize::new(0),
            refuses: Mutex::new(0..0),
            constant: false,
            gate: None,
        };
        change(&mut giver);
        let giver = Arc::new(giver);
        let places = vec![Place::remote(Arc::clone(&giver))];
        let cache = CredentialCache::of_places(places, Arc::clone(&clock) as Arc<dyn Clock>);
        Self { clock, giver, cache }
    }

    fn new() -> Self {
        Self::with(|_| ())
    }

    async fn credentials(&self) -> Arc<Credentials> {
        self.cache.current().await.unwrap().unwrap()
    }

    async fn id(&self) -> String {
        self.credentials().await.access_key_id.clone()
    }

    /// Both clocks: the one of the wall, and that of pauses.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::advance(time).await;
    }
}

#[tokio::test(start_paused = true)]
async fn they_are_renewed_ten_minutes_ahead() {
    let world = World::new();
    assert_eq!(world.id().await, "key0");
    world.pass(HOUR - AHEAD - Duration::from_secs(1)).await;
    assert_eq!(world.id().await, "key0");
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.id().await, "key1");
    assert_eq!(world.giver.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn short_lives_are_not_renewed_at_every_request() {
    let world = World::with(|giver| giver.life = Some(Duration::from_secs(300)));
    for _ in 0..300 {
        world.id().await;
        world.pass(Duration::from_secs(1)).await;
    }
    assert_eq!(world.giver.asked(), 2, "in the middle of 300 seconds");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_fetched_once() {
    let world = World::with(|giver| giver.life = None);
    for _ in 0..10 {
        assert_eq!(world.id().await, "key0");
        world.pass(1000 * HOUR).await;
    }
    assert_eq!(world.giver.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_that_wait_make_one_request() {
    let world = World::with(|giver| giver.gate = Some(Semaphore::new(0)));
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let cache = world.cache.clone();
            tokio::spawn(async move { cache.current().await.unwrap().unwrap() })
        })
        .collect();
    world.giver.gate.as_ref().unwrap().add_permits(100);
    for task in waiting {
        assert_eq!(task.await.unwrap().access_key_id, "key0");
    }
    assert_eq!(world.giver.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_under_way_holds_up_nobody_else() {
    let world = World::with(|giver| giver.gate = Some(Semaphore::new(1)));
    assert_eq!(world.id().await, "key0");
    world.pass(HOUR - AHEAD).await;
    let cache = world.cache.clone();
    let renewing = tokio::spawn(async move { cache.current().await.unwrap().unwrap() });
    while world.giver.asked() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.id().await, "key0");
    world.giver.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(renewing.await.unwrap().access_key_id, "key1");
}

#[tokio::test(start_paused = true)]
async fn old_ones_are_kept_while_they_are_good_and_the_giver_is_left_alone() {
    let world = World::with(|giver| *giver.refuses.get_mut() = 1..usize::MAX);
    assert_eq!(world.id().await, "key0");
    world.pass(HOUR - AHEAD).await;
    for _ in 0..60 {
        assert_eq!(world.id().await, "key0");
        world.pass(Duration::from_secs(1)).await;
    }
    assert_eq!(world.giver.asked(), 1 + 6, "every ten seconds");
    world.pass(AHEAD).await;
    let error = world.cache.current().await.unwrap_err();
    assert_eq!(error, CredentialError::unavailable("the giver", "not now"));
    let asked = world.giver.asked();
    assert!(world.cache.current().await.is_err());
    assert_eq!(world.giver.asked(), asked, "nor when they have ended");
    world.pass(PAUSE).await;
    *world.giver.refuses.lock() = 0..0;
    assert_eq!(world.id().await, format!("key{asked}"));
}

#[tokio::test(start_paused = true)]
async fn a_giver_of_the_past_is_told_from_one_that_gives() {
    let world = World::with(|giver| giver.life = Some(Duration::ZERO));
    let error = world.cache.current().await.unwrap_err().to_string();
    assert!(error.contains("have ended, by the clock of this machine"), "{error}");
    assert!(world.cache.current().await.is_err());
    assert_eq!(world.giver.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_rejections_are_one_renewal() {
    let world = World::new();
    let used = world.credentials().await;
    let rejecting: Vec<_> = (0..100)
        .map(|_| {
            let (cache, used) = (world.cache.clone(), Arc::clone(&used));
            tokio::spawn(async move { cache.rejected(&used, Rejection::Certain).await })
        })
        .collect();
    for task in rejecting {
        assert!(task.await.unwrap(), "there are new ones");
    }
    assert_eq!(world.giver.asked(), 2);
    assert_eq!(world.id().await, "key1");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_changes_nothing_is_told_so() {
    for refuses in [0..0, 1..usize::MAX] {
        let world = World::with(|giver| {
            giver.constant = true;
            *giver.refuses.get_mut() = refuses;
        });
        let used = world.credentials().await;
        for _ in 0..100 {
            assert!(!world.cache.rejected(&used, Rejection::Certain).await);
        }
        assert_eq!(world.giver.asked(), 2);
        world.pass(PAUSE).await;
        assert!(!world.cache.rejected(&used, Rejection::Certain).await);
        assert_eq!(world.giver.asked(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubtful_rejection_costs_a_renewal_in_five_minutes_at_most() {
    let world = World::new();
    let used = world.credentials().await;
    assert!(world.cache.rejected(&used, Rejection::Doubtful).await);
    for _ in 0..10 {
        let used = world.credentials().await;
        assert!(!world.cache.rejected(&used, Rejection::Doubtful).await);
        world.pass(Duration::from_secs(29)).await;
    }
    assert_eq!(world.giver.asked(), 2);
    world.pass(Duration::from_secs(29)).await;
    let used = world.credentials().await;
    assert!(world.cache.rejected(&used, Rejection::Doubtful).await);
}

#[tokio::test]
async fn fixed_ones_and_none_are_never_renewed() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
    let fixed = Credentials::new("id", "hush");
    let cache = CredentialCache::new(fixed.clone().into(), Arc::clone(&clock));
    assert_eq!(cache.current().await.unwrap().as_deref(), Some(&fixed));
    assert!(!cache.rejected(&fixed, Rejection::Certain).await);
    let cache = CredentialCache::new(CredentialSource::Anonymous, clock);
    assert_eq!(cache.current().await, Ok(None));
}

fn write(path: &std::path::Path, id: &str) {
    // As a careful program does: the new file takes the place of the old one.
    let new = path.with_extension("new");
    fs::write(&new, format!("access_key_id = {id}\nsecret_access_key = hush\n")).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_is_read_again_when_it_changes_and_only_then() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("keys");
    write(&path, "one");
    let search = Search {
        service: DialectName::Cos,
        variables: Variables::default(),
        credentials_file: Some(path.clone()),
        profile: None,
        instance_role: false,
    };
    let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
    let source = CredentialSource::Search(Box::new(search));
    let cache = CredentialCache::new(source, clock);
    let current = async || cache.current().await.unwrap().unwrap();
    let first = current().await;
    assert_eq!(first.access_key_id, "one");

    tokio::time::advance(WATCH).await;
    assert!(Arc::ptr_eq(&first, &current().await), "read again without need");

    write(&path, "two");
    assert_eq!(current().await.access_key_id, "one", "looked at again at once");
    tokio::time::advance(WATCH).await;
    assert_eq!(current().await.access_key_id, "two");

    // A file that is written badly changes nothing, until it is written well.
    fs::write(&path, "half of a li").unwrap();
    tokio::time::advance(WATCH).await;
    assert_eq!(current().await.access_key_id, "two");
    write(&path, "three");
    tokio::time::advance(PAUSE).await;
    assert_eq!(current().await.access_key_id, "three");

    // The service may know of the change before the next look at the file, more than once.
    for id in ["four", "five", "six"] {
        let used = current().await;
        write(&path, id);
        assert!(cache.rejected(&used, Rejection::Certain).await);
        assert_eq!(current().await.access_key_id, id);
        let used = current().await;
        assert!(!cache.rejected(&used, Rejection::Certain).await);
    }
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let world = World::new();
    world.id().await;
    let text = format!("{:?} {:#?}", world.cache, world.cache);
    assert!(text.contains("key0") && !text.contains("hush"), "{text}");
}
