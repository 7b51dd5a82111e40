//! Files that are copied into each other, changed, renamed and published in any order, against vectors.

use partfs::fs::{Meaning, OpenMode, RenameFlags, SetAttr};
use proptest::prelude::*;

use crate::world::fs::World;
use crate::world::pattern;

const WRITE: OpenMode = OpenMode { write: true, truncate: false };

#[derive(Debug, Clone)]
enum Step {
    Copy { from: usize, at: u64, to: usize, offset: u64, len: u64 },
    Write { file: usize, offset: usize, len: usize },
    Truncate { file: usize, size: usize },
    Fsync { file: usize },
    Reopen { file: usize },
    Rename { file: usize },
}

const FILES: usize = 3;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = 0..FILES;
    let step = prop_oneof![
        6 => (file.clone(), 0u64..600, file.clone(), 0u64..600, 1u64..500)
            .prop_map(|(from, at, to, offset, len)| Step::Copy { from, at, to, offset, len }),
        3 => (file.clone(), 0usize..600, 1usize..200)
            .prop_map(|(file, offset, len)| Step::Write { file, offset, len }),
        1 => (file.clone(), 0usize..600).prop_map(|(file, size)| Step::Truncate { file, size }),
        2 => file.clone().prop_map(|file| Step::Fsync { file }),
        2 => file.clone().prop_map(|file| Step::Reopen { file }),
        1 => file.prop_map(|file| Step::Rename { file }),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Every close and fsync stores what the vector holds.
    #[test]
    fn files_are_what_was_copied_into_them(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let mut names: Vec<String> = (0..FILES).map(|file| format!("f{file}")).collect();
            let mut models: Vec<Vec<u8>> = Vec::new();
            let mut handles = Vec::new();
            for (file, name) in names.iter().enumerate() {
                models.push(pattern(file as u64 + 100, 400));
                world.put(name, &models[file]).await.unwrap();
                handles.push(world.open(name, WRITE).await.unwrap());
            }
            for (index, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Copy { from, at, to, offset, len } => {
                        let len = len.min((models[from].len() as u64).saturating_sub(at));
                        let (source, target) = ((handles[from], at), (handles[to], offset));
                        let copied = world.copy(source, target, len).await;
                        if from == to && at.abs_diff(offset) < len {
                            assert_eq!(copied.unwrap_err().meaning(), Meaning::Invalid);
                            continue;
                        }
                        assert_eq!(copied.unwrap(), len);
                        if len > 0 {
                            let (at, offset) = (at as usize, offset as usize);
                            let bytes = models[from][at..at + len as usize].to_vec();
                            let end = offset + bytes.len();
                            let size = models[to].len().max(end);
                            models[to].resize(size, 0);
                            models[to][offset..end].copy_from_slice(&bytes);
                        }
                    }
                    Step::Write { file, offset, len } => {
                        let bytes = pattern(index as u64 + 1, len);
                        world.write_at(handles[file], offset as u64, &bytes).await.unwrap();
                        let size = models[file].len().max(offset + len);
                        models[file].resize(size, 0);
                        models[file][offset..offset + len].copy_from_slice(&bytes);
                    }
                    Step::Truncate { file, size } => {
                        let ino = world.walk(&names[file]).await.unwrap();
                        let changes = SetAttr { size: Some(size as u64), ..SetAttr::default() };
                        world.fs.setattr(ino, Some(handles[file]), changes).await.unwrap();
                        models[file].resize(size, 0);
                    }
                    Step::Fsync { file } => {
                        world.fs.fsync(handles[file]).await.unwrap();
                        assert!(world.object(&names[file]).await.unwrap() == models[file]);
                    }
                    Step::Reopen { file } => {
                        world.close(handles[file]).await.unwrap();
                        assert!(world.object(&names[file]).await.unwrap() == models[file]);
                        handles[file] = world.open(&names[file], WRITE).await.unwrap();
                    }
                    Step::Rename { file } => {
                        let name = format!("g{index}");
                        let from = world.place(&names[file]).await.unwrap();
                        let to = world.place(&name).await.unwrap();
                        world.fs.rename(from, to, RenameFlags::default()).await.unwrap();
                        names[file] = name;
                    }
                }
            }
            for file in 0..FILES {
                let read = world.read_handle(handles[file], 70).await.unwrap();
                assert!(read == models[file], "read through the handle");
            }
            for handle in handles {
                world.close(handle).await.unwrap();
            }
            for file in 0..FILES {
                assert!(world.object(&names[file]).await.unwrap() == models[file], "at the end");
            }
        });
    }
}
