//! One operation, and the file is closed: what fsx (`tests/fsx`) does nine times of ten, always.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use partfs::mock::MockDialect;
use rustix::fs::{FallocateFlags, fallocate};

use crate::world::mount::{Mounted, Setup, assert_same};
use crate::world::pattern;

/// The largest file: three parts and a rest.
const MOST: u64 = 7 << 19;
const OPERATIONS: u32 = 150;

/// Numbers that look random, the same for a seed (xorshift of Marsaglia).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

fn exercise(mounted: &Mounted, seed: u64) {
    let path = mounted.path("file");
    fs::write(&path, b"").unwrap();
    let (mut model, mut numbers) = (Vec::new(), Numbers(seed));
    for step in 0..OPERATIONS {
        let size = model.len() as u64;
        let offset = numbers.below(MOST);
        let most = 1 << numbers.below(21);
        let len = 1 + numbers.below((MOST - offset).min(most));
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let what = numbers.below(6);
        match what {
            0..=2 => {
                let offset = if what == 0 { size.min(MOST - len) } else { offset };
                let (start, end) = (offset as usize, (offset + len) as usize);
                let data = pattern(u64::from(step), len as usize);
                file.write_all_at(&data, offset).unwrap();
                model.resize(model.len().max(end), 0);
                model[start..end].copy_from_slice(&data);
            }
            3 => {
                file.set_len(offset).unwrap();
                model.resize(offset as usize, 0);
            }
            4 => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fallocate(&file, flags, offset, len).unwrap();
                let (start, end) = (offset.min(size) as usize, (offset + len).min(size) as usize);
                model[start..end].fill(0);
            }
            _ => {
                let mut found = vec![1; len as usize];
                let read = file.read_at(&mut found, offset).unwrap();
                let end = (offset as usize + read).min(model.len());
                let expected = &model[(offset as usize).min(end)..end];
                assert!(found[..read] == *expected, "seed {seed}, step {step}: read");
            }
        }
        drop(file);
        let what = format!("seed {seed}, step {step}, operation {what}");
        assert_eq!(fs::metadata(&path).unwrap().len(), model.len() as u64, "{what}");
        assert_same(&mounted.object("file").unwrap(), &model, &what);
    }
    assert_same(&fs::read(&path).unwrap(), &model, format!("seed {seed}, at the end"));
}

#[test]
fn a_file_that_is_closed_after_each_operation_is_in_the_bucket_each_time() {
    for (dialect, seed) in [(MockDialect::Oss, 1), (MockDialect::Cos, 2), (MockDialect::Oss, 3)] {
        let Some(mounted) = Mounted::new(Setup { dialect, ..Setup::default() }) else { return };
        exercise(&mounted, seed);
    }
}
