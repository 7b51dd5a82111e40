//! A mount with the least memory: slow, but right, and it does not take more.

use std::fs;
use std::path::Path;
use std::thread;

use tempfile::TempDir;

use super::place::Place;
use super::server::Server;
use super::{mount, run};
use crate::world::mount::assert_same;
use crate::world::pattern;

const LEAST: [&str; 4] = ["--memory-limit", "1MiB", "--part-size", "1MiB"];

/// The program, the buffers of its threads, and what the allocator keeps of what went through them; far
/// more was taken when each file on its way had a thread of its own.
const MOST_RESIDENT_KIB: u64 = 144 << 10;

/// So many bytes into the mount and out again by `cp`.
fn copy(at: &Path, len: usize) {
    let local = TempDir::new().unwrap();
    let (source, back) = (local.path().join("source"), local.path().join("back"));
    let content = pattern(1, len);
    fs::write(&source, &content).unwrap();
    fs::copy(&source, at.join("file")).unwrap();
    fs::copy(at.join("file"), &back).unwrap();
    assert_same(&fs::read(&back).unwrap(), &content, len);
}

/// Twenty files at once, by a writer and then by a reader each.
fn twenty(at: &Path, len: usize) {
    let name = |index: usize| at.join(format!("f{index}"));
    let contents: Vec<_> = (0..20).map(|index| pattern(index as u64, len + index)).collect();
    thread::scope(|scope| {
        for (index, content) in contents.iter().enumerate() {
            scope.spawn(move || fs::write(name(index), content).unwrap());
        }
    });
    thread::scope(|scope| {
        for (index, content) in contents.iter().enumerate() {
            scope.spawn(move || assert_same(&fs::read(name(index)).unwrap(), content, index));
        }
    });
}

#[test]
fn the_least_memory_is_enough_for_large_files_and_for_many() {
    let Some(place) = Place::new() else { return };
    let server = Server::start(None);
    let ran = run(server.mount(place.path()).args(LEAST));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    copy(place.path(), 64 << 20);
    twenty(place.path(), 3_000_000);
    let status = format!("/proc/{}/status", place.daemon().as_raw_pid());
    let status = fs::read_to_string(status).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < MOST_RESIDENT_KIB, "{peak} KiB");
    let ran = place.umount(&[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_least_memory_is_enough_on_every_service() {
    let Some(place) = Place::new() else { return };
    for service in ["oss", "qingstor", "s3"] {
        let ran = mount(&format!("mock:?dialect={service}"), place.path(), &LEAST);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{service}");
        copy(place.path(), 12 << 20);
        twenty(place.path(), 1_300_000);
        let ran = place.umount(&[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{service}");
    }
}
