//! What the service or this machine cannot take: programs get the error number they know, and the
//! bucket is as it was.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use tempfile::TempDir;

use crate::cli::place::{Place, able_to};
use crate::cli::run;
use crate::cli::server::Server;

const MIB: usize = 1 << 20;

/// A mount of a server that keeps its objects in a folder. Its mount goes first.
struct Bench {
    place: Place,
    server: Server,
    folder: TempDir,
}

impl Bench {
    fn new(more: &[&OsStr]) -> Option<Self> {
        let place = Place::new()?;
        let folder = TempDir::new().unwrap();
        let server = Server::start(Some(folder.path()));
        let ran = run(server.mount(place.path()).args(more));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        Some(Self { place, server, folder })
    }

    fn at(&self) -> &Path {
        self.place.path()
    }

    /// Keys and sizes of what the bucket holds.
    fn objects(&self) -> Vec<(String, u64)> {
        let object = |entry: io::Result<fs::DirEntry>| {
            let text = fs::read(entry.unwrap().path()).unwrap();
            let object: serde_json::Value = serde_json::from_slice(&text).unwrap();
            (object["key"].as_str().unwrap().to_owned(), object["size"].as_u64().unwrap())
        };
        let mut objects: Vec<_> =
            fs::read_dir(self.folder.path().join("objects")).unwrap().map(object).collect();
        objects.sort();
        objects
    }

    /// The names in the root, seen by a mount that knows nothing yet.
    fn names_elsewhere(&self) -> Vec<String> {
        let place = Place::new().unwrap();
        assert_eq!(run(&mut self.server.mount(place.path())).code, Some(0));
        let entries = fs::read_dir(place.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(place.umount(&[]).code, Some(0));
        names
    }
}

fn assert_errno<T: std::fmt::Debug>(result: io::Result<T>, errno: Errno, what: &str) {
    let code = result.map_err(|error| error.raw_os_error()).expect_err(what);
    assert_eq!(code, Some(errno.raw_os_error()), "{what}");
}

/// Every way to make a name, with one that cannot be made.
fn refuses(old: &Path, new: &Path, errno: Errno) {
    let what = |call: &str| format!("{call} {}", new.display());
    assert_errno(File::create(new), errno, &what("creat"));
    assert_errno(fs::create_dir(new), errno, &what("mkdir"));
    assert_errno(symlink("target", new), errno, &what("symlink"));
    assert_errno(fs::rename(old, new), errno, &what("rename"));
}

#[test]
fn names_that_nothing_can_have() {
    let Some(bench) = Bench::new(&[]) else { return };
    let old = bench.at().join("old");
    fs::write(&old, "content").unwrap();
    let before = bench.objects();
    // The kernel itself knows only that FUSE takes 1024 bytes.
    for len in [256, 1024, 1025] {
        refuses(&old, &bench.at().join("x".repeat(len)), Errno::NAMETOOLONG);
    }
    for name in [&b"\xff\xfe"[..], b"latin-\xe9.txt", b"cut-\xc3"] {
        refuses(&old, &bench.at().join(OsStr::from_bytes(name)), Errno::ILSEQ);
    }
    assert_eq!(bench.objects(), before);
    assert_eq!(bench.names_elsewhere(), ["old"]);

    let longest = bench.at().join("ä".repeat(127) + "x");
    fs::write(&longest, "content").unwrap();
    assert_eq!(fs::read(&longest).unwrap(), b"content");
    assert_eq!(bench.place.umount(&[]).code, Some(0));
}

#[test]
fn keys_longer_than_the_service_takes() {
    let Some(bench) = Bench::new(&[]) else { return };
    let old = bench.at().join("old");
    fs::write(&old, "content").unwrap();
    let deep = bench.at().join(["d".repeat(249), "e".repeat(249), "f".repeat(249)].join("/"));
    fs::create_dir_all(&deep).unwrap();
    // COS takes keys of 850 bytes; 750 are used up by what is above.
    let tree = bench.at().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("t".repeat(90)), "content").unwrap();
    let before = bench.objects();
    refuses(&old, &deep.join("x".repeat(101)), Errno::NAMETOOLONG);
    assert_errno(
        fs::create_dir(deep.join("x".repeat(100))),
        Errno::NAMETOOLONG,
        "a marker's slash",
    );
    assert_errno(fs::rename(&tree, deep.join("tree-moved")), Errno::NAMETOOLONG, "what is below");
    assert_eq!(bench.objects(), before);
    assert_eq!(fs::read(tree.join("t".repeat(90))).unwrap(), b"content");
    assert_eq!(fs::read(&old).unwrap(), b"content");

    fs::create_dir(deep.join("x".repeat(99))).unwrap();
    let longest = deep.join("y".repeat(100));
    fs::write(&longest, "content").unwrap();
    assert_eq!(fs::read(&longest).unwrap(), b"content");
    fs::rename(&old, deep.join("z".repeat(100))).unwrap();
    assert_eq!(bench.place.umount(&[]).code, Some(0));
}

/// A file system of two megabytes.
pub(super) struct SmallDisk(pub(super) TempDir);

impl SmallDisk {
    pub(super) fn new() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let mounted =
            rustix::mount::mount("tmpfs", dir.path(), "tmpfs", flags, c"size=2m,mode=700");
        able_to("mount a tmpfs", mounted.is_ok()).then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[test]
fn a_full_staging_dir_refuses_the_write_and_nothing_else() {
    if !able_to("mount: it needs root", rustix::process::geteuid().is_root()) {
        return;
    }
    let Some(disk) = SmallDisk::new() else { return };
    let disk_path = disk.0.path().as_os_str();
    let options = ["--part-size", "1MiB", "--staging-dir"].map(OsStr::new);
    let Some(bench) = Bench::new(&[&options[..], &[disk_path]].concat()) else { return };
    let daemon = bench.place.daemon();
    let old: Vec<u8> = (0..8 * MIB).map(|index| (index % 251) as u8).collect();
    let big = bench.at().join("big");
    fs::write(&big, &old).unwrap();
    let before = bench.objects();

    let file = File::options().read(true).write(true).open(&big).unwrap();
    // More than fits. What was taken before is published, so these are the bytes that are there.
    let write = |file: &File| file.write_all_at(&old[MIB..5 * MIB], MIB as u64);
    assert_errno(write(&file), Errno::NOSPC, "the first write");
    assert_errno(write(&file), Errno::NOSPC, "another write");
    let mut read = vec![0; 2 * MIB];
    file.read_exact_at(&mut read, 4 * MIB as u64).unwrap();
    assert!(read == old[4 * MIB..6 * MIB], "a refused write changed what is read");
    drop(file);
    assert!(fs::read(&big).unwrap() == old, "the object changed");
    assert_eq!(bench.objects(), before);

    // What needs no staging file works, and so does one that has room.
    fs::write(bench.at().join("other"), &old).unwrap();
    assert!(fs::read(bench.at().join("other")).unwrap() == old);
    let small = bench.at().join("small");
    fs::write(&small, &old[..MIB + MIB / 2]).unwrap();
    let file = File::options().write(true).open(&small).unwrap();
    file.write_all_at(b"new", 7).unwrap();
    drop(file);
    assert_eq!(&fs::read(&small).unwrap()[5..12], [5, 6, b'n', b'e', b'w', 10, 11]);

    assert_eq!(bench.place.daemon(), daemon);
    assert_eq!(bench.place.umount(&[]).code, Some(0));
}

#[test]
fn no_file_is_larger_than_the_service_takes() {
    let Some(bench) = Bench::new(&[]) else { return };
    let path = bench.at().join("file");
    let file = File::create(&path).unwrap();
    file.write_all_at(b"first", 0).unwrap();
    for (offset, what) in [(60 << 40, "past what COS takes"), ((1 << 62) - 1, "past everything")] {
        assert_errno(file.write_at(b"x", offset), Errno::FBIG, what);
        assert_errno(file.set_len(offset), Errno::FBIG, what);
    }
    // Nothing is wrong with the file.
    file.write_all_at(b" and last", 5).unwrap();
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), b"first and last");
    assert_eq!(bench.objects(), [("file".to_owned(), 14)]);
}
