//! A file writer against a vector of bytes: whatever is done to both, they hold the same, and after
//! each commit the bucket does too.

use proptest::prelude::*;

use super::fake_tests::{FakeStore, limits};
use super::*;
use crate::store::{ChecksumKind, Limits};

#[derive(Debug, Clone)]
enum Op {
    Append {
        len: usize,
    },
    Write {
        at: u64,
        len: usize,
    },
    Truncate {
        size: u64,
    },
    Read {
        at: u64,
        len: u64,
    },
    Commit,
    /// A commit whose caller goes away after so many polls.
    AbandonedCommit {
        polls: u8,
    },
    /// Another file takes memory, and gives it back at the next one.
    Squeeze {
        blocks: u8,
    },
}

fn op(most: u64) -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..=most as usize / 2).prop_map(|len| Op::Append { len }),
        3 => (0..most, 1..=most as usize / 4).prop_map(|(at, len)| Op::Write { at, len }),
        2 => (0..most).prop_map(|size| Op::Truncate { size }),
        1 => Just(Op::Truncate { size: 0 }),
        2 => (0..most, 0..most).prop_map(|(at, len)| Op::Read { at, len }),
        2 => Just(Op::Commit),
        1 => (0u8..5).prop_map(|polls| Op::AbandonedCommit { polls }),
        2 => (0u8..40).prop_map(|blocks| Op::Squeeze { blocks }),
    ]
}

#[derive(Debug, Clone)]
struct World {
    part_bytes: u64,
    part_min: u64,
    parts_max: u32,
    block_bytes: usize,
    budget: u64,
    base: Option<usize>,
    /// What the service computes; QingStor nothing.
    checksum: Option<ChecksumKind>,
}

fn world() -> impl Strategy<Value = World> {
    (
        prop::sample::select(vec![64u64, 100, 1000, 4096]),
        1u64..200,
        prop::sample::select(vec![8u32, 40, 10_000]),
        prop::sample::select(vec![16usize, 64, 5000]),
        1u64..40,
        prop::option::of(0usize..9000),
        prop::option::of(Just(ChecksumKind::Crc64Xz)),
    )
        .prop_map(|(part_bytes, part_min, parts_max, block_bytes, units, base, checksum)| {
            World {
                part_bytes,
                part_min,
                parts_max,
                block_bytes,
                budget: units * 4096,
                base,
                checksum,
            }
        })
}

fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 7 + seed * 31 + i / 251) % 255 + 1) as u8).collect()
}

async fn put_bytes(file: &FileWriter, at: u64, data: &[u8]) -> Result<(), WriteError> {
    let taken = file.try_write(at, data)?;
    if taken == data.len() {
        return Ok(());
    }
    file.write(at + taken as u64, &data[taken..]).await
}

async fn run(world: World, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let limits = Limits { checksum: world.checksum, ..limits(world.part_min, world.parts_max) };
    let store = FakeStore::new(limits);
    let budget = Budget::new(world.budget);
    let config = WriteConfig {
        part_bytes: world.part_bytes,
        block_bytes: world.block_bytes,
        max_requests: 3,
        ..WriteConfig::new(std::env::temp_dir())
    };
    let handle = tokio::runtime::Handle::current();
    let writers = Writers::new(store.clone(), budget.clone(), config, handle);
    let free = budget.free_bytes();
    let key = Key::new("file").unwrap();
    let mut model = pattern(0, world.base.unwrap_or(0));
    let base = match world.base {
        None => Base::Empty,
        Some(_) => Base::Object {
            key: key.clone(),
            version: store.set(&key, &model),
            checksum: store.limits().checksum.map(|kind| kind.of(&model)),
        },
    };
    let file = writers.create(key.clone(), base, PutOptions::default());
    let mut dirty = world.base.is_none();
    let mut squeezed = Vec::new();
    for (seed, op) in ops.into_iter().enumerate() {
        let before = file.size();
        let done = match op {
            Op::Append { len } => {
                let data = pattern(seed, len);
                let result = put_bytes(&file, before, &data).await;
                if result.is_ok() {
                    model.extend_from_slice(&data);
                    dirty = true;
                }
                result
            }
            Op::Write { at, len } => {
                let data = pattern(seed, len);
                let result = put_bytes(&file, at, &data).await;
                if result.is_ok() {
                    let end = at as usize + len;
                    model.resize(model.len().max(end), 0);
                    model[at as usize..end].copy_from_slice(&data);
                    dirty = true;
                }
                result
            }
            Op::Truncate { size } => {
                let result = file.truncate(size).await;
                if result.is_ok() {
                    dirty |= size != before;
                    model.resize(size as usize, 0);
                }
                result
            }
            Op::Read { at, len } => {
                let read = file.read(at, len).await.unwrap().concat();
                let end = model.len().min((at + len) as usize);
                prop_assert_eq!(&read, &model[end.min(at as usize)..end]);
                Ok(())
            }
            Op::Commit => {
                let committed = file.commit(PutOptions::default()).await.unwrap();
                prop_assert_eq!(committed.version.size, model.len() as u64);
                prop_assert_eq!(store.object(&key), Some(model.clone()));
                prop_assert!(!file.is_dirty());
                dirty = false;
                Ok(())
            }
            Op::AbandonedCommit { polls } => {
                let commit = file.commit(PutOptions::default());
                let patience = async {
                    for _ in 0..polls {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    biased;
                    _ = commit => {}
                    () = patience => {}
                }
                Ok(())
            }
            Op::Squeeze { blocks } => {
                squeezed.clear();
                squeezed.extend((0..blocks).map_while(|_| budget.try_take(4096)));
                Ok(())
            }
        };
        match done {
            Ok(()) => {}
            Err(WriteError::TooLarge { limit_bytes }) => {
                // Only the parts bound the size here; what was taken before the refusal is zeros of
                // a gap or the head of the data, so only the model's part can be compared.
                prop_assert!(world.parts_max < 10_000, "refused at {limit_bytes}");
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(format!("{error:?}"))),
        }
        prop_assert_eq!(file.size(), model.len() as u64);
        prop_assert!(!file.is_dirty() || dirty || store.object(&key).is_some());
        prop_assert!(file.is_dirty() || store.object(&key).as_ref() == Some(&model));
    }
    file.commit(PutOptions::default()).await.unwrap();
    prop_assert_eq!(store.object(&key), Some(model.clone()));
    drop((file, squeezed));
    writers.idle().await;
    prop_assert_eq!(store.uploads(), 0);
    prop_assert_eq!(writers.stats(), WriteStats::default());
    prop_assert_eq!(budget.free_bytes(), free, "all memory came back");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_file_is_a_vector_of_bytes(
        world in world(),
        ops in prop::collection::vec(op(9000), 1..25),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(world, ops))?;
    }
}
