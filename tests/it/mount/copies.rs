//! cp, copy_file_range, fallocate and SEEK_HOLE by real programs, and appending from several processes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;

use partfs::store::memory::{MemoryStore, SMALL_LIMITS};
use partfs::store::{ObjectStore, Operation, PutOptions};

use crate::world::mount::{Mounted, Setup, assert_same};
use crate::world::{key, pattern};

#[test]
fn cp_copies_on_the_server() {
    let Some(mut mounted) = Mounted::new(Setup::default()) else { return };
    let content = pattern(1, (24 << 20) + 5);
    fs::write(mounted.path("a"), &content).unwrap();
    mounted.remount();
    let count = |mounted: &Mounted, operation| mounted.requests_of(operation);
    let body = mounted.sent_bytes();
    mounted.sh("cp a new && cp -a a kept && echo old > replaced");
    let body = mounted.sent_bytes() - body;
    assert_eq!(body, 4, "only what echo wrote");
    assert_eq!(count(&mounted, Operation::Copy), 0);
    mounted.sh("cp a replaced");
    assert_eq!(count(&mounted, Operation::Copy), 1, "what may be replaced is one request");
    assert_eq!(count(&mounted, Operation::Get), 0);
    for name in ["new", "kept", "replaced"] {
        assert_same(&mounted.object(name).unwrap(), &content, name);
    }
    mounted.sh("cmp a new && cmp a replaced && test a -ot new && ! test a -ot kept");
}

#[test]
fn copy_file_range_answers_as_a_local_disk() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let content = pattern(1, 3 << 20);
    fs::write(mounted.path("a"), &content).unwrap();
    fs::write(mounted.path("b"), vec![b'b'; 2 << 20]).unwrap();
    // Somebody has pages of the target in the kernel's cache.
    let mut reader = File::open(mounted.path("b")).unwrap();
    reader.read_to_end(&mut Vec::new()).unwrap();
    let said = mounted.python(
        "a, b = os.open('a', os.O_RDONLY), os.open('b', os.O_RDWR)\n\
         end = os.open('b', os.O_WRONLY | os.O_APPEND)\n\
         def copy(*arguments):\n\
         \x20   try: return os.copy_file_range(*arguments)\n\
         \x20   except OSError as error: return errno.errorcode[error.errno]\n\
         print(copy(a, b, 1 << 20, 5, 1000), copy(a, b, 1 << 40, (3 << 20) - 7, 0))\n\
         print(copy(a, b, 10, 3 << 20, 0), copy(b, b, 10, 0, 5), copy(b, b, 10, 0, 10))\n\
         print(copy(a, end, 10), copy(a, a, 10, 0, 100))",
    );
    assert_eq!(said, "1048576 7\n0 EINVAL 10\nEBADF EBADF\n");
    let mut model = vec![b'b'; 2 << 20];
    model[1000..1000 + (1 << 20)].copy_from_slice(&content[5..5 + (1 << 20)]);
    model[..7].copy_from_slice(&content[(3 << 20) - 7..]);
    model.copy_within(0..10, 10);
    assert_same(&mounted.object("b").unwrap(), &model, "b");
    let mut seen = vec![0; model.len()];
    reader.read_exact_at(&mut seen, 0).unwrap();
    assert_same(&seen, &model, "through a descriptor that was open before");
}

#[test]
fn a_copy_that_is_open_keeps_its_bytes_while_the_source_changes() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let content = pattern(1, 5 << 20);
    for change in [
        "open('a', 'wb').write(b'new')",
        "os.truncate('a', 10)",
        "os.rename('a', 'z')",
        "open('y', 'wb').write(b'new'); os.rename('y', 'a')",
        "os.unlink('a')",
    ] {
        fs::write(mounted.path("a"), &content).unwrap();
        mounted.python(&format!(
            "source, target = open('a', 'rb'), open('b', 'wb')\n\
                 left = 5 << 20\n\
                 while left: left -= os.copy_file_range(source.fileno(), target.fileno(), left)\n\
                 source.close()\n\
                 {change}\n\
                 target.close()"
        ));
        assert_same(&mounted.object("b").unwrap(), &content, change);
    }
}

#[test]
fn fallocate_grows_punches_and_zeroes() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let mut content = pattern(1, 3 << 20);
    fs::write(mounted.path("f"), &content).unwrap();
    mounted.sh("fallocate -p -o 1000000 -l 5000 f && fallocate -z -n -o 3145720 -l 100 f");
    content[1_000_000..1_005_000].fill(0);
    content[3_145_720..].fill(0);
    assert_same(&mounted.object("f").unwrap(), &content, "punched");
    mounted.sh("fallocate -n -o 9000000 -l 5 f && test $(stat -c %s f) = 3145728");
    mounted.sh("fallocate -z -o 4000000 -l 10 f && fallocate -l 5000000 f && fallocate -l 10 f");
    content.resize(5_000_000, 0);
    assert_same(&mounted.object("f").unwrap(), &content, "grown");
    for refused in ["-c", "-i"] {
        let output = mounted.shell(&format!("fallocate {refused} -o 0 -l 4096 f"));
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("not supported"), "{text}");
    }
    assert!(!mounted.shell("fallocate -l 8E f").status.success());
    let said = mounted.python(
        "try: os.posix_fallocate(os.open('f', os.O_RDONLY), 0, 10)\n\
         except OSError as error: print(errno.errorcode[error.errno])\n\
         os.posix_fallocate(os.open('new', os.O_RDWR | os.O_CREAT), 5, 10)\n\
         print(os.stat('new').st_size)",
    );
    assert_eq!(said, "EBADF\n15\n");
    assert_eq!(mounted.object("new").unwrap(), [0; 15]);
}

#[test]
fn lseek_finds_data_and_holes() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let said = mounted.python("f = os.open('f', os.O_RDWR | os.O_CREAT)\n\
         os.pwrite(f, b'x' * 5000, 20 << 20)\n\
         def seek(file, *arguments):\n\
         \x20   try: return os.lseek(file, *arguments)\n\
         \x20   except OSError as error: return errno.errorcode[error.errno]\n\
         print(seek(f, 0, os.SEEK_DATA), seek(f, 0, os.SEEK_HOLE), seek(f, 20971521, os.SEEK_HOLE))\n\
         print(seek(f, 20976520, os.SEEK_DATA), seek(f, 99999999, os.SEEK_HOLE), seek(f, 0, os.SEEK_END))\n\
         os.close(f)\n\
         f = os.open('f', os.O_RDONLY)\n\
         print(seek(f, 5, os.SEEK_DATA), seek(f, 5, os.SEEK_HOLE), seek(f, 20976520, os.SEEK_DATA))\n\
         print(seek(f, 20976520, os.SEEK_HOLE), seek(f, 3, os.SEEK_SET))",
    );
    assert_eq!(said, "20971520 0 20976520\nENXIO ENXIO 20976520\n5 20976520 ENXIO\nENXIO 3\n");
}

#[test]
fn lines_of_four_shells_are_all_there_and_whole() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    mounted.sh("for who in 1 2 3 4; do \
           (for line in $(seq 100); do \
              printf '%s-%s-%0*d\\n' $who $line $((line * 13)) 0 >> log; done) & \
         done; wait");
    let text = String::from_utf8(mounted.object("log").unwrap()).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = (1..=4)
        .flat_map(|who| {
            (1..=100).map(move |line| format!("{who}-{line}-{}", "0".repeat(line * 13)))
        })
        .collect();
    lines.sort();
    expected.sort();
    assert!(lines == expected, "{} of {} lines", lines.len(), expected.len());
}

/// The kernel believes the size it was told for `attr_ttl`; what others appended since must stay.
#[test]
fn an_append_goes_behind_what_another_mount_appended() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    fs::write(mounted.path("log"), b"one ").unwrap();
    assert_eq!(fs::metadata(mounted.path("log")).unwrap().len(), 4);
    let store = MemoryStore::new(mounted.bucket.clone(), SMALL_LIMITS);
    let theirs = b"one theirs ".to_vec().into();
    mounted.runtime.block_on(store.put(&key("log"), theirs, &PutOptions::default())).unwrap();
    // Opening trusts an answer that is younger than the time between a lookup and its open.
    std::thread::sleep(std::time::Duration::from_millis(60));
    let mut file = File::options().append(true).open(mounted.path("log")).unwrap();
    file.write_all(b"ours").unwrap();
    drop(file);
    assert_eq!(mounted.object("log").unwrap(), b"one theirs ours");
    assert_eq!(fs::metadata(mounted.path("log")).unwrap().len(), 15);
}

#[test]
fn four_kilobytes_in_a_large_object_move_two_parts_at_most() {
    let Some(mut mounted) = Mounted::new(Setup::default()) else { return };
    let mut content = pattern(1, 20 << 20);
    fs::write(mounted.path("f"), &content).unwrap();
    for at in [0, 9_000_000, (20 << 20) - 4096] {
        mounted.remount();
        let (body, gets) = (mounted.sent_bytes(), mounted.requests_of(Operation::Get));
        let change = pattern(at as u64 + 2, 4096);
        let file = File::options().write(true).open(mounted.path("f")).unwrap();
        file.write_all_at(&change, at as u64).unwrap();
        drop(file);
        content[at..at + 4096].copy_from_slice(&change);
        assert_same(&mounted.object("f").unwrap(), &content, at);
        assert!(mounted.sent_bytes() - body <= 2 << 20, "at {at}");
        assert!(mounted.requests_of(Operation::Get) - gets <= 2, "at {at}");
    }
}
