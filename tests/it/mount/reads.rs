//! Reading through the kernel: sizes, edges, versions.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use partfs::store::memory::{MemoryStore, SMALL_LIMITS};
use partfs::store::{Metadata, ObjectStore, Operation, PutOptions};

use crate::world::mount::{Mounted, Setup, assert_same};
use crate::world::{key, pattern};

/// Puts an object behind the mount's back.
fn put(mounted: &Mounted, name: &str, content: Vec<u8>) {
    let store = MemoryStore::new(mounted.bucket.clone(), SMALL_LIMITS);
    let options = PutOptions { metadata: Metadata::new(), ..PutOptions::default() };
    mounted.runtime.block_on(store.put(&key(name), content.into(), &options)).unwrap();
}

#[test]
fn sizes_that_are_multiples_of_nothing() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    for len in [0usize, 1, 4095, 4097, 131_071, 1_048_577, 7_654_321] {
        let content = pattern(len as u64, len);
        put(&mounted, &format!("f{len}"), content.clone());
        let read = fs::read(mounted.path(&format!("f{len}"))).unwrap();
        assert_same(&read, &content, len);
    }
    let gets = mounted.requests_of(Operation::Get);
    assert_eq!(fs::read(mounted.path("f0")).unwrap(), b"");
    assert_eq!(mounted.requests_of(Operation::Get), gets, "nothing is asked of an empty file");
}

#[test]
fn random_reads_and_reads_past_the_end() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let content = pattern(1, 20 << 20);
    put(&mounted, "f", content.clone());
    let file = File::open(mounted.path("f")).unwrap();
    let mut buffer = vec![0; 10_000];
    for step in 0..40usize {
        let offset = (step * 7_919_993) % content.len();
        let end = (offset + buffer.len()).min(content.len());
        let read = file.read_at(&mut buffer[..end - offset], offset as u64).unwrap();
        assert_same(&buffer[..read], &content[offset..offset + read], offset);
        assert!(read > 0);
    }
    assert_eq!(file.read_at(&mut buffer, 20 << 20).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
    let tail = file.read_at(&mut buffer, (20 << 20) - 5).unwrap();
    assert_same(&buffer[..tail], &content[(20 << 20) - 5..], "the tail");
}

#[test]
fn what_others_wrote_is_seen_by_the_next_open() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    put(&mounted, "f", pattern(1, 100_000));
    assert_same(&fs::read(mounted.path("f")).unwrap(), &pattern(1, 100_000), "first");
    put(&mounted, "f", pattern(2, 200_000));
    // Opening trusts an answer that is younger than the time between a lookup and its open.
    std::thread::sleep(Duration::from_millis(60));
    assert_same(&fs::read(mounted.path("f")).unwrap(), &pattern(2, 200_000), "second");
}

#[test]
fn what_others_removed_is_made_anew_or_not_there() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let store = MemoryStore::new(mounted.bucket.clone(), SMALL_LIMITS);
    for name in ["read", "written"] {
        put(&mounted, name, b"old".to_vec());
        assert_eq!(fs::read(mounted.path(name)).unwrap(), b"old");
        mounted.runtime.block_on(store.delete(&key(name))).unwrap();
    }
    // As above.
    std::thread::sleep(Duration::from_millis(60));
    let error = fs::read(mounted.path("read")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    mounted.sh("echo new > written");
    assert_eq!(mounted.object("written").unwrap(), b"new\n");
}

#[test]
fn an_object_replaced_while_it_is_read_is_estale_never_a_mix() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let (old, new) = (vec![b'o'; 40 << 20], vec![b'n'; 40 << 20]);
    put(&mounted, "f", old);
    let file = File::open(mounted.path("f")).unwrap();
    let mut buffer = vec![0; 4096];
    file.read_exact_at(&mut buffer, 0).unwrap();
    put(&mounted, "f", new);
    let mut stale = 0;
    for offset in (0..40u64 << 20).step_by(3 << 20) {
        match file.read_at(&mut buffer, offset) {
            Ok(read) => assert!(buffer[..read].iter().all(|byte| *byte == b'o'), "at {offset}"),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ESTALE));
                stale += 1;
            }
        }
    }
    assert!(stale > 0, "40 MiB are not all in memory");
}

#[test]
fn a_large_file_is_read_in_ranges() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let content = pattern(1, 24 << 20);
    put(&mounted, "f", content.clone());
    assert_same(&fs::read(mounted.path("f")).unwrap(), &content, "f");
    assert!(mounted.requests_of(Operation::Get) > 3, "in several requests");
}

#[test]
fn reading_leaves_no_access_time() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let script = "echo x > f && touch -d 2001-01-01 f && cat f > /dev/null && stat -c '%X %Y' f";
    let times = mounted.sh(script);
    let (accessed, modified) = times.trim().split_once(' ').unwrap();
    assert_eq!(accessed, modified);
}
