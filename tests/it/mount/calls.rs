//! Calls and flags beyond reading and writing, each with the answer of a local disk, or of one that has no
//! such thing.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{
    CWD, FallocateFlags, FileType, Mode, RenameFlags, mknodat, renameat_with, statvfs,
};
use rustix::io::Errno;

use partfs::store::{ObjectStore, PutOptions};

use crate::world::mount::{Mounted, Setup, assert_same};
use crate::world::{key, pattern};

fn os_error<T: std::fmt::Debug>(result: std::io::Result<T>) -> Errno {
    Errno::from_io_error(&result.unwrap_err()).expect("of the system")
}

#[test]
fn what_a_bucket_cannot_have_is_refused_as_elsewhere() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let (a, b) = (mounted.path("a"), mounted.path("b"));
    fs::write(&a, b"a").unwrap();
    fs::write(&b, b"b").unwrap();
    let rename = |flags| renameat_with(CWD, &a, CWD, &b, flags);
    assert_eq!(rename(RenameFlags::EXCHANGE), Err(Errno::INVAL));
    assert_eq!(rename(RenameFlags::WHITEOUT), Err(Errno::INVAL));
    assert_eq!(rename(RenameFlags::NOREPLACE), Err(Errno::EXIST));
    assert_eq!(fs::read(&b).unwrap(), b"b");
    let new = mounted.path("new");
    for kind in [FileType::CharacterDevice, FileType::BlockDevice, FileType::Fifo, FileType::Socket]
    {
        assert_eq!(mknodat(CWD, &new, kind, Mode::RUSR, 0), Err(Errno::PERM), "{kind:?}");
    }
    mknodat(CWD, &new, FileType::RegularFile, Mode::RUSR, 0).unwrap();
    assert_eq!(mounted.object("new").unwrap(), b"");
    assert_eq!(os_error(fs::hard_link(&a, mounted.path("hard"))), Errno::PERM);
    let unnamed =
        File::options().write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(mounted.root());
    assert_eq!(os_error(unnamed), Errno::OPNOTSUPP);
    // TCGETS, and the flags that chattr(1) sets.
    for command in ["0x5401", "0x80086601", "0x40086602"] {
        let script = format!(
            "python3 -c 'import fcntl, errno\n\
             try: fcntl.ioctl(open(\"a\"), {command}, bytes(64))\n\
             except OSError as error: print(errno.errorcode[error.errno])'"
        );
        assert_eq!(mounted.sh(&script), "ENOTTY\n", "{command}");
    }
}

#[test]
fn every_write_with_o_sync_is_in_the_bucket() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    for (name, flag) in [("dsync", libc::O_DSYNC), ("sync", libc::O_SYNC)] {
        let path = mounted.path(name);
        let mut file =
            File::options().create(true).append(true).custom_flags(flag).open(path).unwrap();
        file.write_all(b"first ").unwrap();
        assert_eq!(mounted.object(name).unwrap(), b"first ", "{name}");
        file.write_all(b"second").unwrap();
        assert_eq!(mounted.object(name).unwrap(), b"first second", "{name}");
    }
}

#[test]
fn every_changed_range_with_o_sync_is_in_the_bucket() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    fs::write(mounted.path("from"), b"0123456789").unwrap();
    let source = File::open(mounted.path("from")).unwrap();
    for (name, flag) in [("dsync", libc::O_DSYNC), ("sync", libc::O_SYNC)] {
        // Made, and opened again: both tell the flags.
        for len in [3, 7] {
            let mut options = File::options();
            options.create(true).write(true).truncate(false).custom_flags(flag);
            let file = options.open(mounted.path(name)).unwrap();
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len).unwrap();
            assert_eq!(mounted.object(name).unwrap().len() as u64, len, "{name}");
            let (mut from, mut to) = (len, len);
            rustix::fs::copy_file_range(&source, Some(&mut from), &file, Some(&mut to), 2).unwrap();
            let object = mounted.object(name).unwrap();
            assert_eq!(object[len as usize..], b"0123456789"[len as usize..][..2], "{name}");
        }
    }
}

#[test]
fn direct_io_reads_and_writes_the_same_bytes() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let source = tempfile::NamedTempFile::new().unwrap();
    let content = pattern(1, 3 << 20);
    fs::write(source.path(), &content).unwrap();
    let from = source.path().display();
    mounted.sh(&format!("dd if={from} of=f bs=1M oflag=direct status=none"));
    assert_same(&mounted.object("f").unwrap(), &content, "written");
    mounted.sh(&format!("dd if=f bs=64K iflag=direct status=none | cmp - {from}"));
}

#[test]
fn lines_that_two_processes_append_are_all_there() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    mounted.sh("exec 3>log; \
         for who in a b; do \
           (exec >>log; for line in $(seq 300); do echo $who-$line; done) & \
         done; wait; exec 3>&-");
    let text = String::from_utf8(mounted.object("log").unwrap()).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = ["a", "b"]
        .iter()
        .flat_map(|who| (1..=300).map(move |line| format!("{who}-{line}")))
        .collect();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

/// flock(2) and fcntl(2): between the programs of one mount.
#[test]
fn locks_hold_between_processes() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    fs::write(mounted.path("f"), b"content").unwrap();
    for call in ["flock", "lockf"] {
        let script = format!(
            "import fcntl, subprocess, sys\n\
             other = lambda: subprocess.run([sys.executable, '-c', '''\n\
             import fcntl\n\
             try: fcntl.{call}(open(\"f\", \"r+\"), fcntl.LOCK_EX | fcntl.LOCK_NB); print(\"mine\")\n\
             except BlockingIOError: print(\"taken\")\n'''.replace('             ', '')], \
             capture_output=True, text=True, check=True).stdout.strip()\n\
             file = open('f', 'r+')\n\
             fcntl.{call}(file, fcntl.LOCK_EX)\n\
             print(other())\n\
             fcntl.{call}(file, fcntl.LOCK_UN)\n\
             print(other())\n"
        );
        let path = mounted.path("script.py");
        fs::write(&path, script).unwrap();
        assert_eq!(mounted.sh("python3 script.py"), "taken\nmine\n", "{call}");
    }
}

#[test]
fn there_is_room_and_names_are_255_bytes() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let space = statvfs(mounted.root()).unwrap();
    assert_eq!((space.f_namemax, space.f_bsize), (255, 4096));
    assert!(space.f_bavail * space.f_frsize >= 1 << 50);
    assert!(space.f_bavail * space.f_frsize <= i64::MAX as u64);
    assert!(space.f_favail >= 1 << 30 && space.f_files <= i64::MAX as u64);
    mounted.sh("df . && df -i . && stat -f .");
}

#[test]
fn a_file_made_with_o_excl_replaces_nothing() {
    let Some(mut mounted) = Mounted::new(Setup::default()) else { return };
    let path = mounted.path("f");
    let mut file = File::create_new(&path).unwrap();
    assert_eq!(os_error(File::create_new(&path)), Errno::EXIST);
    file.write_all(b"ours").unwrap();
    // Somebody else is faster.
    mounted.runtime.block_on(async {
        let limits = partfs::store::memory::SMALL_LIMITS;
        let store = partfs::store::memory::MemoryStore::new(mounted.bucket.clone(), limits);
        store.put(&key("f"), b"theirs".to_vec().into(), &PutOptions::default()).await.unwrap();
    });
    assert_eq!(os_error(file.sync_all()), Errno::EXIST);
    drop(file);
    assert_eq!(mounted.object("f").unwrap(), b"theirs");
    mounted.remount();
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
}
