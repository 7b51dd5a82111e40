//! What arrives in the bucket when programs write, and when.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use partfs::store::Operation;

use crate::world::mount::{Mounted, Setup, assert_same, can_run};
use crate::world::pattern;

#[test]
fn part_one_is_applied_before_the_last_write() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let content = pattern(1, 6 << 20);
    let mut file = File::create(mounted.path("big")).unwrap();
    let (most, rest) = content.split_at(5 << 20);
    file.write_all(most).unwrap();
    let first = mounted.bucket.wait_for(|effect| {
        effect.operation == Operation::PutPart && effect.part.is_some_and(|part| part.get() == 1)
    });
    let first = mounted
        .runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(30), first).await });
    assert!(first.is_ok(), "sent while the file is open");
    assert_eq!(mounted.object("big"), None);
    file.write_all(rest).unwrap();
    drop(file);
    assert_same(&mounted.object("big").unwrap(), &content, "big");
    assert_eq!(mounted.requests_of(Operation::Put), 0);
    assert_eq!(mounted.requests_of(Operation::CompleteUpload), 1);
}

#[test]
fn random_and_overlapping_writes_are_right() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let mut model = vec![0u8; 0];
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(mounted.path("f"))
        .unwrap();
    for (index, (offset, len)) in
        [(3_000_000, 500_000), (0, 10), (5, 2_000_000), (3_400_000, 1_200_000), (100, 1)]
            .into_iter()
            .enumerate()
    {
        let bytes = pattern(index as u64, len);
        file.write_all_at(&bytes, offset as u64).unwrap();
        model.resize(model.len().max(offset + len), 0);
        model[offset..offset + len].copy_from_slice(&bytes);
        let mut back = vec![0; len];
        file.read_exact_at(&mut back, offset as u64).unwrap();
        assert_same(&back, &bytes, "read back before the close");
    }
    file.set_len(4_000_000).unwrap();
    model.truncate(4_000_000);
    drop(file);
    assert_same(&mounted.object("f").unwrap(), &model, "f");
}

#[test]
fn append_and_rewrite_of_a_large_object() {
    let Some(mut mounted) = Mounted::new(Setup::default()) else { return };
    let mut content = pattern(1, 9 << 20);
    fs::write(mounted.path("f"), &content).unwrap();
    mounted.remount();
    let mut file = OpenOptions::new().append(true).open(mounted.path("f")).unwrap();
    file.write_all(b"tail").unwrap();
    drop(file);
    content.extend_from_slice(b"tail");
    assert_same(&mounted.object("f").unwrap(), &content, "appended");
    let mut file = OpenOptions::new().write(true).open(mounted.path("f")).unwrap();
    file.seek(SeekFrom::Start(4_000_000)).unwrap();
    file.write_all(b"middle").unwrap();
    drop(file);
    content[4_000_000..4_000_006].copy_from_slice(b"middle");
    assert_same(&mounted.object("f").unwrap(), &content, "rewritten");
}

#[test]
fn fsync_means_that_the_bucket_has_it() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let mut file = File::create(mounted.path("f")).unwrap();
    file.write_all(b"durable").unwrap();
    file.sync_all().unwrap();
    assert_eq!(mounted.object("f").unwrap(), b"durable");
    file.write_all(b" and more").unwrap();
    drop(file);
    assert_eq!(mounted.object("f").unwrap(), b"durable and more");
}

#[test]
fn a_mapped_file_is_written_through_its_mapping() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    // mmap through a program: this crate forbids unsafe code.
    let script = "import mmap\n\
        f = open('f', 'w+b'); f.truncate(8192)\n\
        m = mmap.mmap(f.fileno(), 8192); m[5000:5005] = b'hello'; m.flush(); m.close(); f.close()\n";
    if !can_run("python3") {
        return;
    }
    mounted.sh(&format!("python3 -c \"{script}\""));
    let object = mounted.object("f").unwrap();
    assert_eq!(object.len(), 8192);
    assert_eq!(&object[5000..5005], b"hello");
}

#[test]
fn many_writers_at_once_within_the_budget() {
    let setup = Setup { memory_limit_bytes: 16 << 20, ..Setup::default() };
    let Some(mounted) = Mounted::new(setup) else { return };
    std::thread::scope(|scope| {
        for index in 0..12u64 {
            let path = mounted.path(&format!("f{index}"));
            scope.spawn(move || fs::write(path, pattern(index, 5_000_000)).unwrap());
        }
    });
    for index in 0..12u64 {
        let object = mounted.object(&format!("f{index}")).unwrap();
        assert_same(&object, &pattern(index, 5_000_000), index);
    }
    assert_eq!(mounted.open_uploads(), 0);
}

#[test]
fn an_unlinked_open_file_lives_until_it_is_closed() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let file =
        OpenOptions::new().read(true).write(true).create_new(true).open(mounted.path("t")).unwrap();
    file.write_all_at(b"before", 0).unwrap();
    fs::remove_file(mounted.path("t")).unwrap();
    file.write_all_at(b" after", 6).unwrap();
    let mut back = [0; 12];
    file.read_exact_at(&mut back, 0).unwrap();
    assert_eq!(&back, b"before after");
    drop(file);
    assert_eq!(mounted.keys(), Vec::<String>::new());
    assert_eq!(mounted.requests_of(Operation::Put), 0);
}

#[test]
fn an_unlinked_file_lives_until_the_last_descriptor_of_any_kind_is_closed() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let content = pattern(1, 3_000_000);
    let writer =
        OpenOptions::new().read(true).write(true).create_new(true).open(mounted.path("t")).unwrap();
    fs::remove_file(mounted.path("t")).unwrap();
    writer.write_all_at(&content, 0).unwrap();
    let name = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
    let reader = File::open(name(&writer)).unwrap();
    drop(writer);
    mounted.settled_but(1);
    let mut back = vec![0; content.len()];
    reader.read_exact_at(&mut back, 0).unwrap();
    assert_same(&back, &content, 0);
    let again = OpenOptions::new().read(true).write(true).open(name(&reader)).unwrap();
    again.set_len(1_000_000).unwrap();
    again.write_all_at(b"new", 1_000_000).unwrap();
    drop(again);
    mounted.settled_but(1);
    assert_eq!(reader.metadata().unwrap().len(), 1_000_003);
    let mut back = [0; 6];
    reader.read_exact_at(&mut back, 999_997).unwrap();
    assert_eq!(back, [&content[999_997..1_000_000], b"new"].concat()[..]);
    drop(reader);
    assert_eq!(mounted.keys(), Vec::<String>::new());
    assert_eq!(mounted.requests_of(Operation::Put), 0);
}

#[test]
fn an_unmount_waits_for_what_is_still_on_its_way() {
    let Some(mut mounted) = Mounted::new(Setup::default()) else { return };
    if !can_run("python3") {
        return;
    }
    // The descriptor is closed before the mapping is written to, so no close publishes these bytes.
    let script = "import mmap\n\
        f = open('f', 'w+b'); f.truncate(3 << 20)\n\
        m = mmap.mmap(f.fileno(), 3 << 20); f.close()\n\
        m[1000000:1000005] = b'hello'; m.close()\n";
    mounted.sh(&format!("python3 -c \"{script}\""));
    assert_eq!(mounted.unmount(), partfs::fs::DrainReport::default());
    let object = mounted.object("f").unwrap();
    assert_eq!(object.len(), 3 << 20);
    assert_eq!(&object[1_000_000..1_000_005], b"hello");
}
