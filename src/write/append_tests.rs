//! What is added to an appendable object goes out alone; everything else is published as ever.

use std::sync::Arc;

use crate::store::{
    AppendLimits, ETag, ErrorKind, Key, Limits, ObjectVersion, Operation, PutOptions,
};
use crate::write::fake_tests::{FakeStore, limits};
use crate::write::writer_tests::clock;
use crate::write::{Base, FileWriter, WriteConfig, Writers};

const PART: u64 = 4096;

fn key() -> Key {
    Key::new("x.log").unwrap()
}

struct World {
    store: Arc<FakeStore>,
    writers: Arc<Writers>,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let append =
            Some(AppendLimits { call_bytes: 1 << 20, object_bytes: 1 << 20, copied: true });
        let store = FakeStore::new(Limits { append, ..limits(1000, 10_000) });
        let dir = tempfile::tempdir().unwrap();
        let config = WriteConfig {
            part_bytes: PART,
            block_bytes: 1024,
            ..WriteConfig::new(dir.path().to_owned())
        };
        let budget = crate::budget::Budget::new(1 << 20);
        let runtime = tokio::runtime::Handle::current();
        let writers = Writers::new(store.clone(), budget, config, &clock(), runtime);
        Self { store, writers, _dir: dir }
    }

    fn open(&self, base: Option<ObjectVersion>) -> Arc<FileWriter> {
        let base = match base {
            Some(version) => Base::Object { key: key(), version, checksum: None, copyable: true },
            None => Base::Empty,
        };
        self.writers.create_appendable(key(), base, PutOptions::default())
    }

    fn applied(&self) -> [usize; 4] {
        [Operation::Append, Operation::Put, Operation::Get, Operation::StartUpload]
            .map(|operation| self.store.applied(operation))
    }
}

async fn add(file: &FileWriter, model: &mut Vec<u8>, more: &[u8]) -> ObjectVersion {
    file.write(model.len() as u64, more).await.unwrap();
    model.extend_from_slice(more);
    file.commit(PutOptions::default()).await.unwrap().version
}

#[tokio::test]
async fn each_commit_sends_what_is_new() {
    let world = World::new();
    let mut model = Vec::new();
    let file = world.open(None);
    add(&file, &mut model, b"one\n").await;
    let version = add(&file, &mut model, b"two\n").await;
    let file = world.open(Some(version));
    add(&file, &mut model, &vec![b'x'; 3 * PART as usize + 5]).await;
    assert!(world.store.object(&key()) == Some(model));
    assert_eq!(world.applied(), [2 + 4, 0, 0, 0]);
    assert!(file.is_appending());
}

#[tokio::test]
async fn what_the_service_does_not_append_to_is_published_whole() {
    for len in [10, 500, 3 * PART as usize] {
        let world = World::new();
        let mut model = vec![b'o'; len];
        let version = world.store.set(&key(), &model);
        let file = world.open(Some(version));
        add(&file, &mut model, b"more").await;
        add(&file, &mut model, b"and more").await;
        assert!(world.store.object(&key()) == Some(model), "{len}");
        assert!(!file.is_appending());
        assert_eq!(world.store.uploads(), 0);
    }
}

#[tokio::test]
async fn a_file_that_was_cut_replaces_the_object() {
    let world = World::new();
    let mut model = Vec::new();
    add(&world.open(None), &mut model, b"old lines").await;
    let file = world.open(None);
    model.clear();
    add(&file, &mut model, b"new").await;
    assert_eq!(world.store.object(&key()), Some(b"new".to_vec()));
}

/// What is published to go on with has exactly the first part's size, and zeros are missing behind it.
#[tokio::test]
async fn a_gap_over_the_end_of_the_first_part_is_filled() {
    let world = World::new();
    let file = world.open(None);
    let mut model = vec![b'o'; 200];
    file.write(0, &model).await.unwrap();
    world.store.fail(Operation::Put, 0, ErrorKind::AccessDenied);
    model.resize(PART as usize + 100, 0);
    file.write(model.len() as u64, b"tail").await.unwrap();
    model.extend_from_slice(b"tail");
    file.commit(PutOptions::default()).await.unwrap();
    assert!(world.store.object(&key()) == Some(model));
    assert_eq!(world.store.uploads(), 0);
}

#[tokio::test]
async fn an_object_of_exactly_one_part_grows_by_zeros() {
    for by_truncate in [true, false] {
        let world = World::new();
        let mut model = Vec::new();
        let file = world.open(None);
        add(&file, &mut model, &vec![b'o'; PART as usize]).await;
        let before = world.applied();
        world.store.fail(Operation::Put, 0, ErrorKind::AccessDenied);
        model.resize(PART as usize + 100, 0);
        match by_truncate {
            true => file.truncate(model.len() as u64).await.unwrap(),
            false => {
                file.write(model.len() as u64, b"tail").await.unwrap();
                model.extend_from_slice(b"tail");
            }
        }
        assert_eq!(world.applied()[..2], before[..2], "what has not changed is not published");
        file.commit(PutOptions::default()).await.unwrap();
        assert!(world.store.object(&key()).as_ref() == Some(&model), "{by_truncate}");
        add(&file, &mut model, b"more").await;
        assert!(world.store.object(&key()) == Some(model), "{by_truncate}");
        assert_eq!(world.store.uploads(), 0);
    }
}

#[tokio::test]
async fn an_object_that_others_appended_to_is_stale() {
    let world = World::new();
    let file = world.open(Some(ObjectVersion { etag: ETag::new("gone"), size: 3 }));
    let mut theirs = Vec::new();
    add(&world.open(None), &mut theirs, b"theirs").await;
    file.write(3, b"mine").await.unwrap();
    assert!(file.commit(PutOptions::default()).await.is_err());
    assert_eq!(world.store.object(&key()), Some(theirs));
}
