//! A file writer against a vector of bytes: whatever is done to both, they hold the same, and after
//! each commit the bucket does too.

use proptest::prelude::*;

use super::fake_tests::{FakeStore, limits};
use super::writer_tests::clock;
use super::*;
use crate::store::{ChecksumKind, Limits};

/// Length of the object that is copied from.
const OTHER_LEN: u64 = 3000;

#[derive(Debug, Clone)]
enum Op {
    Append {
        len: usize,
    },
    Write {
        at: u64,
        len: usize,
    },
    /// A few bytes here and there, as programs change headers: `back` from the end, or in the first
    /// bytes.
    Patch {
        back: u64,
        times: u8,
    },
    Header {
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
    Punch {
        at: u64,
        len: u64,
    },
    /// Bytes of another object.
    CopyFrom {
        at: u64,
        len: u64,
        to: u64,
    },
    /// Looks for data and holes: what is called a hole must be zeros.
    Seek {
        at: u64,
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
        3 => (0..most, 1u8..6).prop_map(|(back, times)| Op::Patch { back, times }),
        2 => (0u64..50, 1usize..30).prop_map(|(at, len)| Op::Header { at, len }),
        2 => (0..most).prop_map(|size| Op::Truncate { size }),
        1 => Just(Op::Truncate { size: 0 }),
        2 => (0..most, 0..most).prop_map(|(at, len)| Op::Read { at, len }),
        1 => (0..most, 0..most).prop_map(|(at, len)| Op::Punch { at, len }),
        1 => (0..OTHER_LEN, 0..OTHER_LEN, 0..most).prop_map(|(at, len, to)| Op::CopyFrom {
            at,
            len: len.min(OTHER_LEN - at),
            to,
        }),
        1 => (0..most).prop_map(|at| Op::Seek { at }),
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

fn put_in(model: &mut Vec<u8>, at: u64, data: &[u8]) {
    let (at, end) = (at as usize, at as usize + data.len());
    model.resize(model.len().max(end), 0);
    model[at..end].copy_from_slice(data);
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
    let writers = Writers::new(store.clone(), budget.clone(), config, &clock(), handle);
    let free = budget.free_bytes();
    let key = Key::new("file").unwrap();
    let mut model = pattern(0, world.base.unwrap_or(0));
    let base = match world.base {
        None => Base::Empty,
        Some(_) => Base::Object {
            key: key.clone(),
            version: store.set(&key, &model),
            checksum: store.limits().checksum.map(|kind| kind.of(&model)),
            copyable: true,
        },
    };
    let other_key = Key::new("other").unwrap();
    let other = pattern(77, OTHER_LEN as usize);
    let source = RemoteObject {
        key: other_key.clone(),
        version: store.set(&other_key, &other),
        checksum: store.limits().checksum.map(|kind| kind.of(&other)),
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
                    put_in(&mut model, at, &data);
                    dirty = true;
                }
                result
            }
            Op::Header { at, len } => {
                let data = pattern(seed, len);
                let result = put_bytes(&file, at, &data).await;
                if result.is_ok() {
                    put_in(&mut model, at, &data);
                    dirty = true;
                }
                result
            }
            Op::Patch { back, times } => {
                let mut result = Ok(());
                for step in 0..u64::from(times) {
                    let at = before.saturating_sub(back) + step * 37;
                    let data = pattern(seed, 40);
                    result = put_bytes(&file, at, &data).await;
                    if result.is_err() {
                        break;
                    }
                    put_in(&mut model, at, &data);
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
            Op::Punch { at, len } => {
                let result = file.punch_hole(at, len).await;
                let end = model.len().min((at + len) as usize);
                if (at as usize) < end && len > 0 {
                    model[at as usize..end].fill(0);
                    dirty = true;
                }
                result
            }
            Op::CopyFrom { at, len, to } => {
                let result = file.copy_from(source.clone(), at, len, to).await;
                if result.is_ok() && len > 0 {
                    let end = (to + len) as usize;
                    model.resize(model.len().max(end), 0);
                    let bytes = &other[at as usize..(at + len) as usize];
                    model[to as usize..end].copy_from_slice(bytes);
                    dirty = true;
                }
                result
            }
            Op::Seek { at } => {
                let (data, hole) =
                    (file.seek_data(at).await.unwrap(), file.seek_hole(at).await.unwrap());
                let inside = at < model.len() as u64;
                prop_assert_eq!(hole.is_some(), inside);
                prop_assert!(inside || data.is_none());
                let zeros_end = data.unwrap_or(model.len() as u64).max(at) as usize;
                if inside {
                    prop_assert!(model[at as usize..zeros_end].iter().all(|byte| *byte == 0));
                    prop_assert!(data == Some(at) || hole == Some(at));
                }
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

/// Files of many parts of which some stay in memory and some have to go.
fn small_world() -> impl Strategy<Value = World> {
    (
        prop::sample::select(vec![4096u64, 8192]),
        prop::sample::select(vec![1000usize, 4096]),
        8u64..24,
        prop::option::of(Just(ChecksumKind::Crc64Xz)),
    )
        .prop_map(|(part_bytes, block_bytes, units, checksum)| World {
            part_bytes,
            part_min: 1,
            parts_max: 10_000,
            block_bytes,
            budget: units * 4096,
            base: None,
            checksum,
        })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_file_larger_than_its_memory_is_a_vector_of_bytes(
        world in small_world(),
        ops in prop::collection::vec(op(60_000), 1..25),
    ) {
        runtime().block_on(run(world, ops))?;
    }

    #[test]
    fn a_file_is_a_vector_of_bytes(
        world in world(),
        ops in prop::collection::vec(op(9000), 1..25),
    ) {
        runtime().block_on(run(world, ops))?;
    }
}
