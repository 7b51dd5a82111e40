//! Uploads that were cut off: what is written down when, what a second attempt sends, and what becomes of
//! the rest. A mount that dies is one whose runtime ends while it works.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::fake_tests::{FakeStore, limits};
use super::journal;
use super::leftovers::{Leftovers, tend};
use super::writer_tests::{World, bytes, key};
use super::*;
use crate::clock::{Clock, ManualClock};
use crate::store::fault::FaultStore;
use crate::store::memory::{
    BucketOptions, Entry, EtagMode, MemoryBucket, MemoryStore, Properties, UploadsQuery,
};
use crate::store::{ErrorKind, Metadata, Operation, PartNumber, Payload, StandardHeaders, Upload};

const PART: usize = 4096;

/// A bucket and a journal that outlive mounts.
struct Place {
    bucket: Arc<MemoryBucket>,
    clock: Arc<ManualClock>,
    journal: JournalConfig,
    dir: TempDir,
}

/// A mount that can die.
struct Mount {
    runtime: Runtime,
    writers: Arc<Writers>,
}

impl Place {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        let bucket = MemoryBucket::new(BucketOptions::new(EtagMode::Md5, clock.clone()));
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("journal")).unwrap();
        let journal = JournalConfig {
            stray_pause: Duration::from_millis(1),
            ..JournalConfig::new(dir.path().join("journal"))
        };
        Self { bucket, clock, journal, dir }
    }

    fn mount(&self) -> Mount {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let store = MemoryStore::new(Arc::clone(&self.bucket), limits(1000, 10_000));
        let config = WriteConfig {
            part_bytes: PART as u64,
            block_bytes: 1024,
            journal: Some(self.journal.clone()),
            ..WriteConfig::new(self.dir.path().to_owned())
        };
        let clock: Arc<dyn Clock> = self.clock.clone();
        let handle = runtime.handle().clone();
        let _entered = runtime.enter();
        let writers = Writers::new(Arc::new(store), Budget::new(1 << 20), config, &clock, handle);
        Mount { runtime, writers }
    }

    fn uploads(&self) -> Vec<Upload> {
        let query = UploadsQuery { max: 1000, ..UploadsQuery::default() };
        let listed = self.bucket.list_uploads(query).0.into_iter();
        let uploads = listed.filter_map(|entry| match entry {
            Entry::Item(open) => Some(open.upload),
            Entry::Prefix(_) => None,
        });
        uploads.collect()
    }

    /// Numbers of the parts that arrived, in order.
    fn arrived(&self) -> Vec<u16> {
        let effects = self.bucket.effects().into_iter();
        let mut parts: Vec<_> = effects
            .filter(|effect| effect.operation == Operation::PutPart)
            .map(|effect| effect.part.unwrap().get())
            .collect();
        parts.sort_unstable();
        parts
    }

    /// What arrives while `work` runs.
    fn arrives(&self, work: impl FnOnce()) -> Vec<u16> {
        let before = self.bucket.effects().len();
        work();
        let effects = self.bucket.effects().split_off(before);
        let parts = effects.into_iter().filter(|effect| effect.operation == Operation::PutPart);
        let mut parts: Vec<_> = parts.map(|effect| effect.part.unwrap().get()).collect();
        parts.sort_unstable();
        parts
    }

    fn records(&self) -> usize {
        let names = fs::read_dir(&self.journal.dir).unwrap();
        names.filter(|name| name.as_ref().unwrap().path().extension().is_some()).count()
    }

    /// What a mount does at its start and then from time to time, so many times.
    fn clean(&self, times: u32) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new(Arc::clone(&self.bucket), limits(1000, 10_000));
            let leftovers = Leftovers::open(self.journal.clone(), self.clock.clone());
            for _ in 0..times {
                leftovers.clean(&store).await;
            }
        });
    }

    fn object(&self, runtime: &Runtime) -> Option<Vec<u8>> {
        let object = self.bucket.head(&key()).ok()?;
        let size = object.size();
        Some(runtime.block_on(async {
            let store = MemoryStore::new(Arc::clone(&self.bucket), limits(1000, 10_000));
            let content = store.get(&key(), None, &crate::store::Conditions::NONE).await.unwrap();
            assert_eq!(content.len(), size);
            content.chunks.concat()
        }))
    }
}

impl Mount {
    fn create(&self, options: &PutOptions) -> Arc<FileWriter> {
        self.writers.create(key(), Base::Empty, options.clone())
    }

    /// Writes `data` from the start and waits until all full parts but the last have arrived.
    fn begin(&self, place: &Place, data: &[u8]) -> Arc<FileWriter> {
        self.begin_with(place, data, &PutOptions::default())
    }

    /// The same, of an object with these properties.
    fn begin_with(&self, place: &Place, data: &[u8], options: &PutOptions) -> Arc<FileWriter> {
        let file = self.create(options);
        let parts = (data.len() - 1) / PART;
        self.runtime.block_on(async {
            file.write(0, data).await.unwrap();
            for number in 1..=parts {
                let arrived = |effect: &crate::store::memory::Effect| {
                    effect.part.is_some_and(|part| usize::from(part.get()) == number)
                };
                place.bucket.wait_for(arrived).await;
            }
        });
        file
    }

    /// Writes a whole file.
    fn write(&self, data: &[u8], options: &PutOptions) {
        let file = self.create(options);
        self.runtime.block_on(async {
            file.write(0, data).await.unwrap();
            file.commit(options.clone()).await.unwrap();
            self.writers.idle().await;
        });
    }

    /// Dies: nothing more is sent, nothing is cleaned up.
    fn die(self, file: Arc<FileWriter>) {
        self.runtime.shutdown_timeout(Duration::from_secs(10));
        drop(file);
        drop(self.writers);
    }
}

#[test]
fn what_a_dead_mount_had_sent_is_not_sent_again() {
    let place = Place::new();
    let data = bytes(40 * PART + 7);
    let first = place.mount();
    let file = first.begin(&place, &data[..28 * PART + 100]);
    first.die(file);
    assert_eq!((place.uploads().len(), place.records()), (1, 1));
    assert_eq!(place.arrived().len(), 28);

    let second = place.mount();
    assert_eq!(second.writers.stats().leftovers, 1);
    let arrived = place.arrives(|| second.write(&data, &PutOptions::default()));
    assert_eq!(arrived, (29..=41).collect::<Vec<_>>());
    assert_eq!(place.object(&second.runtime), Some(data));
    assert!(place.uploads().is_empty());
    assert_eq!((place.records(), second.writers.stats().leftovers), (0, 0));
}

#[test]
fn what_a_killed_writer_had_sent_is_not_sent_again() {
    let place = Place::new();
    let data = bytes(20 * PART + 7);
    let mount = place.mount();
    let file = mount.begin(&place, &data[..10 * PART + 1]);
    mount.runtime.block_on(file.abandon());
    let refused = mount.runtime.block_on(file.commit(PutOptions::default()));
    assert!(matches!(refused, Err(WriteError::Abandoned)));
    drop(file);
    let arrived = place.arrives(|| mount.write(&data, &PutOptions::default()));
    assert_eq!(arrived, (11..=21).collect::<Vec<_>>());
    assert_eq!(place.object(&mount.runtime), Some(data));
    assert!(place.uploads().is_empty() && place.records() == 0);
}

#[test]
fn from_the_first_part_that_differs_everything_is_sent() {
    let place = Place::new();
    let mut data = bytes(10 * PART);
    let first = place.mount();
    let file = first.begin(&place, &data);
    first.die(file);
    data[4 * PART] ^= 1;
    let second = place.mount();
    let arrived = place.arrives(|| second.write(&data, &PutOptions::default()));
    // Parts behind the one that differs may have been compared before it.
    assert!(arrived.contains(&5) && !arrived.iter().any(|number| *number < 5), "{arrived:?}");
    assert_eq!(place.object(&second.runtime), Some(data));
    assert!(place.uploads().is_empty() && place.records() == 0);
}

#[test]
fn another_content_starts_over() {
    let place = Place::new();
    let mut data = bytes(10 * PART);
    let first = place.mount();
    let file = first.begin(&place, &data);
    first.die(file);
    let left = place.uploads();
    data[0] ^= 1;
    let second = place.mount();
    let arrived = place.arrives(|| second.write(&data, &PutOptions::default()));
    assert_eq!(arrived, (1..=10).collect::<Vec<_>>());
    assert_eq!(place.object(&second.runtime), Some(data));
    let removed = |effect: &crate::store::memory::Effect| {
        effect.operation == Operation::AbortUpload && effect.upload.as_ref() == Some(&left[0].id)
    };
    second.runtime.block_on(place.bucket.wait_for(removed));
    assert!(place.uploads().is_empty());
}

#[test]
fn a_shorter_file_is_made_of_what_it_has_in_common() {
    let place = Place::new();
    let data = bytes(10 * PART + 1);
    let first = place.mount();
    let file = first.begin(&place, &data);
    first.die(file);
    let short = &data[..5 * PART + 100];
    let second = place.mount();
    let arrived = place.arrives(|| second.write(short, &PutOptions::default()));
    assert_eq!(arrived, [6]);
    assert_eq!(place.object(&second.runtime), Some(short.to_vec()));
}

#[test]
fn what_went_with_initiate_must_be_what_is_wanted_now() {
    let place = Place::new();
    let data = bytes(10 * PART);
    let first = place.mount();
    let file = first.begin(&place, &data);
    first.die(file);
    let metadata: Metadata = [("mode", "33188")].into_iter().collect();
    let second = place.mount();
    let options = PutOptions { metadata, ..PutOptions::default() };
    let arrived = place.arrives(|| second.write(&data, &options));
    assert_eq!(arrived.len(), 10);
    assert_eq!(place.object(&second.runtime), Some(data));
}

/// Who wrote the old object knows only what he gave it; the next mount is told what the service added.
#[test]
fn what_the_service_adds_by_itself_is_no_other_property() {
    let told = StandardHeaders::of_type("binary/octet-stream");
    for (given, wanted, sent) in [
        (StandardHeaders::default(), told.clone(), 1),
        (told.clone(), told.clone(), 1),
        (told.clone(), StandardHeaders::of_type("text/plain"), 11),
        (told, StandardHeaders::default(), 11),
    ] {
        let place = Place::new();
        let data = bytes(10 * PART + 1);
        let first = place.mount();
        let options = PutOptions { headers: given, ..PutOptions::default() };
        let file = first.begin_with(&place, &data, &options);
        first.die(file);
        let second = place.mount();
        let options = PutOptions { headers: wanted, ..PutOptions::default() };
        let arrived = place.arrives(|| second.write(&data, &options));
        assert_eq!(arrived.len(), sent, "{options:?}");
        assert_eq!(place.object(&second.runtime), Some(data));
    }
}

#[test]
fn old_leftovers_are_aborted_and_young_ones_stay() {
    let place = Place::new();
    let first = place.mount();
    let file = first.begin(&place, &bytes(3 * PART));
    first.die(file);
    place.clock.advance(place.journal.leftover_age - Duration::from_secs(1));
    place.clean(1);
    assert_eq!(place.uploads().len(), 1);
    place.clock.advance(Duration::from_secs(1));
    place.clean(1);
    assert!(place.uploads().is_empty() && place.records() == 0);
}

#[test]
fn the_policy_says_what_becomes_of_leftovers() {
    for (policy, stays) in [(OnLeftover::Abort, false), (OnLeftover::Keep, true)] {
        let mut place = Place::new();
        let first = place.mount();
        let file = first.begin(&place, &bytes(3 * PART));
        first.die(file);
        place.journal.on_leftover = policy;
        place.clock.advance(2 * place.journal.leftover_age);
        if stays {
            place.clean(3);
            assert_eq!(place.uploads().len(), 1);
        }
        let second = place.mount();
        assert_eq!(second.writers.stats().leftovers, usize::from(stays), "{policy:?}");
        if stays {
            // Whoever writes something else there leaves it alone, too.
            second.write(&[1; 3 * PART], &PutOptions::default());
            assert_eq!(place.uploads().len(), 1);
        } else {
            let aborted =
                |effect: &crate::store::memory::Effect| effect.operation == Operation::AbortUpload;
            second.runtime.block_on(place.bucket.wait_for(aborted));
        }
    }
}

/// Opens an upload behind the mount's back.
fn open(place: &Place, name: &str) -> Upload {
    place.bucket.start_upload(&Key::new(name).unwrap(), Properties::default(), false).unwrap()
}

#[test]
fn an_upload_whose_id_nobody_was_told_is_aborted() {
    let place = Place::new();
    let begun = place.clock.now();
    let record = |begun: SystemTime| {
        let options = PutOptions::default();
        let entry =
            journal::Entry::create(&place.journal.dir, &key(), &options, "", begun).unwrap();
        drop(entry);
    };
    record(begun);
    let stray = open(&place, key().as_str());
    let other_key = open(&place, &format!("{}x", key().as_str()));
    let filled = open(&place, key().as_str());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::new(Arc::clone(&place.bucket), limits(1000, 10_000));
        store.put_part(&filled, PartNumber::FIRST, Payload::from(vec![1])).await.unwrap();
    });
    let mount = place.mount();
    mount.runtime.block_on(async {
        let aborted =
            |effect: &crate::store::memory::Effect| effect.operation == Operation::AbortUpload;
        let aborted = place.bucket.wait_for(aborted).await;
        assert_eq!(aborted.upload, Some(stray.id));
    });
    assert_eq!(place.uploads(), [filled, other_key]);
    let file = mount.create(&PutOptions::default());
    mount.die(file);
    assert_eq!(place.records(), 0);
}

#[test]
fn an_initiate_that_arrives_after_the_first_look_is_not_forgotten() {
    let place = Place::new();
    let record = |begun: SystemTime| {
        let (dir, options) = (&place.journal.dir, PutOptions::default());
        drop(journal::Entry::create(dir, &key(), &options, "", begun).unwrap());
    };
    record(place.clock.now());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::new(Arc::clone(&place.bucket), limits(1000, 10_000));
        let leftovers = Leftovers::open(place.journal.clone(), place.clock.clone());
        leftovers.clean(&store).await;
        let _stray = open(&place, key().as_str());
        for _ in 0..2 {
            tokio::time::sleep(2 * place.journal.stray_pause).await;
            leftovers.clean(&store).await;
        }
    });
    assert!(place.uploads().is_empty() && place.records() == 0);
    // One that is old has been carried out, or never will be.
    record(place.clock.now() - Duration::from_secs(3600));
    place.clean(1);
    assert_eq!(place.records(), 0);
}

/// An Initiate was answered at the second attempt, and the upload is over before the stray of the first is gone.
#[test]
fn a_stray_is_not_forgotten_with_the_upload_that_was_opened_beside_it() {
    let place = Place::new();
    let _stray = open(&place, key().as_str());
    let upload = open(&place, key().as_str());
    let (dir, options) = (&place.journal.dir, PutOptions::default());
    let begun = place.clock.now();
    let mut entry = journal::Entry::create(dir, &key(), &options, "", begun).unwrap();
    entry.opened(&crate::store::Started { upload, strays: true }).unwrap();
    drop(entry);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::new(Arc::clone(&place.bucket), limits(1000, 10_000));
        let leftovers = Leftovers::open(place.journal.clone(), place.clock.clone());
        for entry in leftovers.take(&key()).await {
            leftovers.end(&store, entry).await;
        }
    });
    assert_eq!((place.uploads().len(), place.records()), (1, 1));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::new(Arc::clone(&place.bucket), limits(1000, 10_000));
        let leftovers = Leftovers::open(place.journal.clone(), place.clock.clone());
        leftovers.forget_gone(&store).await;
        assert_eq!(leftovers.count(), 0);
        leftovers.clean(&store).await;
        assert_eq!((place.uploads().len(), place.records()), (1, 1), "it is looked for twice");
        tokio::time::sleep(2 * place.journal.stray_pause).await;
        leftovers.clean(&store).await;
    });
    assert!(place.uploads().is_empty() && place.records() == 0);
}

/// Who may not abort, or cannot reach the service, does not ask again and again at once.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_removed_is_asked_for_with_pauses() {
    for (operation, kind) in [
        (Operation::AbortUpload, ErrorKind::AccessDenied),
        (Operation::ListUploads, ErrorKind::BucketMissing),
    ] {
        let mut place = Place::new();
        place.journal.stray_pause = Duration::from_secs(3600);
        let (dir, options) = (&place.journal.dir, PutOptions::default());
        let begun = place.clock.now();
        drop(journal::Entry::create(dir, &key(), &options, "", begun).unwrap());
        let _stray = open(&place, key().as_str());
        let store = MemoryStore::new(Arc::clone(&place.bucket), limits(1000, 10_000));
        let store = Arc::new(FaultStore::new(Arc::new(store)));
        let leftovers = Leftovers::open(place.journal.clone(), place.clock.clone());
        let shared: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
        tokio::spawn(tend(Arc::downgrade(&leftovers), Arc::downgrade(&shared)));
        // It is seen for the first time; the second time something goes wrong.
        tokio::time::sleep(Duration::from_secs(1800)).await;
        store.fail(operation, 0, kind);
        tokio::time::sleep(Duration::from_secs(1800)).await;
        // Whoever never waits does not let time pass.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!(store.calls() < 20, "{operation:?}: {} calls at once", store.calls());
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert!((20..120).contains(&store.calls()), "{operation:?}: {} calls", store.calls());
        store.heal();
        tokio::time::sleep(Duration::from_secs(3601)).await;
        assert!(place.uploads().is_empty() && place.records() == 0, "{operation:?}");
        let calls = store.calls();
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(store.calls(), calls, "nothing is left to ask for");
    }
}

#[test]
fn what_may_be_of_others_stays() {
    let mut place = Place::new();
    place.journal.stray_pause = Duration::from_secs(3600);
    let begun = place.clock.now();
    let record = |begun: SystemTime| {
        let (dir, options) = (&place.journal.dir, PutOptions::default());
        drop(journal::Entry::create(dir, &key(), &options, "", begun).unwrap());
    };
    // Opened at another time.
    record(begun + Duration::from_secs(3600));
    let upload = open(&place, key().as_str());
    place.clean(3);
    assert_eq!((place.uploads(), place.records()), (vec![upload.clone()], 0));
    // Not empty for long enough, however often one looks.
    record(begun);
    place.clean(9);
    assert_eq!((place.uploads(), place.records()), (vec![upload], 1));
}

#[tokio::test]
async fn the_id_is_on_disk_before_the_first_part_is_sent() {
    let place = TempDir::new().unwrap();
    let store = FakeStore::new(limits(1000, 10_000));
    let (starts, parts) = (store.gate(Operation::StartUpload), store.gate(Operation::PutPart));
    let world = World::with(1 << 20, store, |config| {
        config.journal = Some(JournalConfig::new(place.path().to_owned()));
    });
    let records = || {
        let names = fs::read_dir(place.path()).unwrap().map(|name| name.unwrap().path());
        names.filter(|path| path.extension().is_some()).count()
    };
    let file = world.create();
    file.write(0, &bytes(2 * PART)).await.unwrap();
    world.reached(1).await;
    assert_eq!((records(), journal::ids(place.path()).unwrap().len()), (1, 0), "Initiate waits");
    starts.add_permits(1);
    world.reached(1).await;
    assert_eq!(journal::ids(place.path()).unwrap().len(), 1, "a part waits");
    parts.add_permits(10);
    file.commit(PutOptions::default()).await.unwrap();
    world.writers.idle().await;
    assert_eq!(records(), 0);
}

#[tokio::test]
async fn an_outage_keeps_the_upload_and_a_refusal_does_not() {
    let cases = [
        (ErrorKind::Unavailable, true),
        (ErrorKind::Timeout, true),
        (ErrorKind::BadCredentials, true),
        (ErrorKind::Corrupt, false),
        (ErrorKind::TooLarge, false),
    ];
    for (fault, stays) in cases {
        let place = TempDir::new().unwrap();
        let world = World::with(1 << 20, FakeStore::new(limits(1000, 10_000)), |config| {
            config.journal = Some(JournalConfig::new(place.path().to_owned()));
        });
        world.store.fail(Operation::PutPart, 1, fault);
        let file = world.create();
        file.write(0, &bytes(3 * PART)).await.ok();
        file.commit(PutOptions::default()).await.unwrap_err();
        world.writers.idle().await;
        assert_eq!(world.store.applied(Operation::AbortUpload) == 0, stays, "{fault:?}");
        assert_eq!(world.writers.stats().leftovers, usize::from(stays), "{fault:?}");
    }
}

#[tokio::test]
async fn an_upload_whose_complete_has_failed_is_not_kept() {
    let place = TempDir::new().unwrap();
    let world = World::with(1 << 20, FakeStore::new(limits(1000, 10_000)), |config| {
        config.journal = Some(JournalConfig::new(place.path().to_owned()));
    });
    world.store.fail(Operation::CompleteUpload, 0, ErrorKind::Timeout);
    let file = world.create();
    file.write(0, &bytes(3 * PART)).await.unwrap();
    file.commit(PutOptions::default()).await.unwrap_err();
    world.writers.idle().await;
    assert_eq!(world.store.applied(Operation::AbortUpload), 1);
    assert_eq!(world.writers.stats().leftovers, 0);
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_stops_nobody() {
    let world = World::with(1 << 20, FakeStore::new(limits(1000, 10_000)), |config| {
        config.journal = Some(JournalConfig::new("/nonexistent/partfs".into()));
    });
    let file = world.create();
    file.write(0, &bytes(3 * PART)).await.unwrap();
    file.commit(PutOptions::default()).await.unwrap();
    assert_eq!(world.store.object(&key()), Some(bytes(3 * PART)));
}
