//! A tree of several thousand real files, a file larger than memory, and a mock that keeps its objects
//! in a folder.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use partfs::store::Operation;

use crate::world::mount::{Mounted, Setup, assert_same, can_run};
use crate::world::pattern;

/// A tree that every machine with Rust has: several thousand files.
fn real_tree() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc");
    let root = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    let share = root.join("share/doc");
    if share.is_dir() { share } else { PathBuf::from("/usr/share") }
}

/// At most this many files of the tree, so that the test takes seconds.
const FILES: usize = 4000;

/// Links the files of the tree into a folder, under their own relative names.
fn gather(into: &std::path::Path) -> usize {
    let tree = real_tree();
    let script = format!(
        "cd '{}' && find . -xdev -type f -size -256k -print0 | sort -z | head -z -n {FILES} \
         | tar --null -T - -cf - | tar -C '{}' -xf -",
        tree.display(),
        into.display()
    );
    assert!(Command::new("bash").args(["-c", &script]).status().unwrap().success());
    let count = Command::new("bash")
        .args(["-c", &format!("find '{}' -type f | wc -l", into.display())])
        .output()
        .unwrap();
    String::from_utf8(count.stdout).unwrap().trim().parse().unwrap()
}

fn tree_survives(setup: Setup) {
    if !can_run("rsync") {
        return;
    }
    let Some(mut mounted) = Mounted::new(setup) else { return };
    let source = tempfile::TempDir::new().unwrap();
    let files = gather(source.path());
    assert!(files > 1000, "{files} files");
    let from = source.path().display();
    mounted
        .sh(&format!("cd {from} && find . -type f ! -name sums -print0 | xargs -0 md5sum > sums"));
    mounted.sh(&format!("rsync -a {from}/ tree/"));
    let objects = mounted.keys().iter().filter(|key| !key.ends_with('/')).count();
    assert_eq!(objects, files + 1, "one object per file");
    // rsync writes under another name and renames: a PUT, a COPY and a DELETE for each file.
    let directories = mounted.keys().len() - objects;
    let [heads, lists] = [Operation::Head, Operation::List].map(|of| mounted.requests_of(of));
    assert_eq!(mounted.requests_of(Operation::Copy) as usize, objects);
    assert_eq!(mounted.requests_of(Operation::Delete) as usize, objects);
    // Of each file nothing is asked, and of no directory: it was made here, so that its names and its
    // marker are known. `tree` is looked up three times before it is there, by a HEAD and a LIST each.
    // The kernel may forget directories when memory is short, which costs two more for each.
    assert!(
        (heads + lists) as usize <= 3 * 2 + directories * 2,
        "{heads} HEAD, {lists} LIST, {directories} directories"
    );
    mounted.remount();
    mounted.sh("cd tree && md5sum --quiet -c sums");
    let second = mounted.sh(&format!("rsync -ai {from}/ tree/"));
    assert_eq!(second, "", "the second run finds nothing to do");
    assert_eq!(mounted.open_uploads(), 0);
}

/// Requests are counted: a busy machine must not make answers too old to be believed. For each directory
/// that rsync fills when its listing has grown old, up to 7 names are asked for by a HEAD and a LIST each
/// before it is listed once, after a LIST and a HEAD of the directory itself: 17 requests, each time.
fn unhurried() -> Setup {
    Setup { attr_ttl: Duration::from_secs(600), ..Setup::default() }
}

#[test]
fn a_real_tree_survives_rsync_and_md5sum() {
    tree_survives(unhurried());
}

#[test]
fn a_real_tree_survives_in_a_folder_of_the_mock() {
    let folder = tempfile::TempDir::new().unwrap();
    tree_survives(Setup { dir: Some(folder.path().join("bucket")), ..unhurried() });
}

#[test]
fn a_file_of_4_gib_goes_in_and_out() {
    let setup = Setup { part_bytes: 8 << 20, memory_limit_bytes: 256 << 20, ..Setup::default() };
    let Some(mut mounted) = Mounted::new(setup) else { return };
    // A block that differs everywhere, repeated with a counter, is as good as 4 GiB of noise and
    // needs no 4 GiB here.
    let block = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(block.path(), &pattern(1, 1 << 20)[8..]).unwrap();
    let make = format!(
        "perl -e 'local $/; open F, \"{}\"; $b = <F>; print pack(\"Q<\", $_), $b for 0..4095'",
        block.path().display()
    );
    let sum = mounted.sh(&format!("{make} | md5sum"));
    mounted.sh(&format!("{make} | dd of=big bs=1M iflag=fullblock status=none"));
    let info = mounted.bucket.head(&crate::world::key("big")).unwrap();
    assert_eq!(info.size(), 4 << 30);
    let first = mounted.runtime.block_on(partfs::store::memory::read_all(
        info.blob.slice(1 << 32 >> 1, (1 << 32 >> 1) + 16),
    ));
    let expected: Vec<u8> =
        2048u64.to_le_bytes().into_iter().chain(pattern(1, 16)[8..].iter().copied()).collect();
    assert_same(&first.unwrap().concat(), &expected, "a block in the middle, in the bucket");
    mounted.remount();
    assert_eq!(mounted.sh("md5sum < big"), sum);
}
