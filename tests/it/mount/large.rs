//! Objects of a gibibyte and more, which nobody has to move: what a copy, a small change and an append
//! cost. The objects are made in the bucket, of pieces that share their memory.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use partfs::store::Replaces;
use partfs::store::memory::Properties;
use partfs::store::{Checksum, ChecksumKind, Operation};

use crate::world::mount::{Mounted, Setup};
use crate::world::{key, pattern};

const MIB: usize = 1 << 20;
const GIB: u64 = 1 << 30;

/// What the service takes in a part that is not the last.
const LEAST_PART: u64 = MIB as u64;

/// The options that users have when they give none.
fn mounted() -> Option<Mounted> {
    Mounted::new(Setup { part_bytes: 8 << 20, memory_limit_bytes: 256 << 20, ..Setup::default() })
}

/// The bytes of MiB `index`: no two are alike, and all lie in one allocation.
fn piece(shared: &Bytes, index: usize) -> Bytes {
    shared.slice(index * 512..index * 512 + MIB)
}

/// Makes an object of so many MiB, and gives what [`piece`] takes.
fn make(mounted: &Mounted, name: &str, mebibytes: usize) -> Bytes {
    let shared = Bytes::from(pattern(1, MIB + mebibytes * 512));
    mounted.runtime.block_on(async {
        let mut body = mounted.bucket.incoming(false).await.unwrap();
        for index in 0..mebibytes {
            body.push(piece(&shared, index)).await.unwrap();
        }
        let body = body.finish().await.unwrap();
        let (at, properties) = (key(name), Properties::default());
        mounted.bucket.put(&at, body, properties, Replaces::Anything).await.unwrap();
    });
    shared
}

/// Size and CRC-64/XZ of an object, as the bucket has computed it of the parts.
fn sum(mounted: &Mounted, name: &str) -> (u64, Checksum) {
    let object = mounted.bucket.head(&key(name)).unwrap();
    (object.size(), object.checksum)
}

/// The CRC-64/XZ of the pieces with `change` in place of what is at `at`, and behind the end.
fn sum_with(shared: &Bytes, mebibytes: usize, at: usize, change: &[u8]) -> Checksum {
    let mut sum = partfs::store::RunningChecksum::new(ChecksumKind::Crc64Xz);
    for index in 0..mebibytes {
        let mut piece = piece(shared, index).to_vec();
        if index == at / MIB {
            piece[at % MIB..at % MIB + change.len()].copy_from_slice(change);
        }
        sum.update(&piece);
    }
    if at >= mebibytes * MIB {
        sum.update(change);
    }
    sum.value()
}

/// Bytes of bodies that were sent, and requests that brought bytes, of one script.
fn moved(mounted: &Mounted, script: &str) -> (u64, u64) {
    mounted.settled();
    let before = (mounted.sent_bytes(), mounted.requests_of(Operation::Get));
    mounted.sh(script);
    mounted.settled();
    (mounted.sent_bytes() - before.0, mounted.requests_of(Operation::Get) - before.1)
}

#[test]
fn cp_of_a_gibibyte_moves_nothing() {
    let Some(mounted) = mounted() else { return };
    // The size of the file, and the time, are all that was sent before.
    make(&mounted, "a", 1024);
    assert_eq!(moved(&mounted, "cp a b"), (0, 0));
    assert_eq!(sum(&mounted, "b"), sum(&mounted, "a"));
    assert_eq!(sum(&mounted, "b").0, GIB);
}

/// Each call of `copy_file_range` copies 2 GiB at most.
#[test]
fn cp_of_more_than_four_gibibytes_moves_nothing() {
    let Some(mounted) = mounted() else { return };
    let shared = make(&mounted, "a", 4096 + 3);
    assert_eq!(moved(&mounted, "cp a b"), (0, 0));
    assert_eq!(sum(&mounted, "b"), sum(&mounted, "a"));
    assert_eq!(sum(&mounted, "b").0, 4 * GIB + 3 * MIB as u64);
    let mut end = vec![0; MIB];
    File::open(mounted.path("b")).unwrap().read_exact_at(&mut end, 4 * GIB).unwrap();
    assert!(end == piece(&shared, 4096), "what lies behind 4 GiB");
}

#[test]
fn four_kilobytes_in_a_gibibyte_send_two_smallest_parts_at_most() {
    let Some(mounted) = mounted() else { return };
    let shared = make(&mounted, "a", 1024);
    let new = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(new.path(), pattern(2, 4096)).unwrap();
    let from = new.path().display();
    let script = format!("dd if={from} of=a bs=4096 seek=131075 conv=notrunc status=none");
    let (sent, gets) = moved(&mounted, &script);
    assert!(sent <= 2 * LEAST_PART && gets <= 2, "{sent} bytes sent, {gets} GET");
    let expected = sum_with(&shared, 1024, 131_075 * 4096, &pattern(2, 4096));
    assert_eq!(sum(&mounted, "a"), (GIB, expected));
    let mut seen = vec![0; 4096];
    let mut file = File::open(mounted.path("a")).unwrap();
    file.read_exact_at(&mut seen, 131_075 * 4096).unwrap();
    assert!(seen == pattern(2, 4096));
    file.read_exact(&mut seen).unwrap();
    assert!(seen == shared[..4096]);
}

#[test]
fn four_kilobytes_behind_a_gibibyte_are_all_that_is_sent() {
    let Some(mounted) = mounted() else { return };
    let shared = make(&mounted, "a", 1024);
    let new = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(new.path(), pattern(2, 4096)).unwrap();
    let script = format!("cat {} >> a", new.path().display());
    assert_eq!(moved(&mounted, &script), (4096, 0));
    let expected = sum_with(&shared, 1024, GIB as usize, &pattern(2, 4096));
    assert_eq!(sum(&mounted, "a"), (GIB + 4096, expected));
}
