//! The programs people use: cp, rsync, tar, dd and the shell.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, UNIX_EPOCH};

use partfs::store::Operation;

use crate::world::mount::{Mounted, Setup, assert_same, can_run, on_both};
use crate::world::pattern;

/// A small tree with everything that `cp -a` and `rsync -a` carry over.
fn sample(at: &std::path::Path) {
    fs::create_dir_all(at.join("sub/deep")).unwrap();
    let sizes = [0usize, 1, 4096, 70_001, (1 << 20) - 1, 1 << 20, (3 << 20) + 7];
    for (index, size) in sizes.into_iter().enumerate() {
        let path = at.join(format!("sub/file {index}"));
        fs::write(&path, pattern(index as u64, size)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600 + index as u32)).unwrap();
        let time = UNIX_EPOCH + Duration::new(1_500_000_000 + index as u64, 123_456_789);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }
    fs::write(at.join("sub/deep/é+%&=ü"), b"odd name").unwrap();
    symlink("file 2", at.join("sub/link")).unwrap();
    symlink("nowhere at all", at.join("sub/dangling")).unwrap();
}

fn assert_sample_in_bucket(mounted: &Mounted, below: &str) {
    for (index, size) in [(0u64, 0usize), (2, 4096), (5, 1 << 20), (6, (3 << 20) + 7)] {
        let key = format!("{below}sub/file {index}");
        let object = mounted.object(&key).unwrap_or_else(|| panic!("{key} is missing"));
        assert_same(&object, &pattern(index, size), key);
    }
    assert_eq!(mounted.object(&format!("{below}sub/deep/é+%&=ü")).unwrap(), b"odd name");
    assert_eq!(mounted.object(&format!("{below}sub/link")).unwrap(), b"file 2");
}

#[test]
fn cp_a_keeps_content_modes_times_and_links() {
    on_both(|mut mounted| {
        let source = tempfile::TempDir::new().unwrap();
        sample(source.path());
        mounted.sh(&format!("cp -a {}/. copy", source.path().display()));
        assert_sample_in_bucket(&mounted, "copy/");
        mounted.remount();
        for name in ["file 3", "file 6"] {
            let ours = fs::metadata(mounted.path("copy/sub").join(name)).unwrap();
            let theirs = fs::metadata(source.path().join("sub").join(name)).unwrap();
            assert_eq!(ours.modified().unwrap(), theirs.modified().unwrap(), "{name}");
            assert_eq!(ours.mode(), theirs.mode(), "{name}");
        }
        let target = fs::read_link(mounted.path("copy/sub/dangling")).unwrap();
        assert_eq!(target.to_str(), Some("nowhere at all"));
        mounted.sh(&format!("diff -r --no-dereference {}/sub copy/sub", source.path().display()));
        assert_eq!(mounted.open_uploads(), 0);
    });
}

#[test]
fn rsync_a_twice_transfers_nothing_the_second_time() {
    if !can_run("rsync") {
        return;
    }
    on_both(|mut mounted| {
        let source = tempfile::TempDir::new().unwrap();
        sample(source.path());
        let from = source.path().display();
        mounted.sh(&format!("rsync -a {from}/ ."));
        assert_sample_in_bucket(&mounted, "");
        mounted.remount();
        let second = mounted.sh(&format!("rsync -ai {from}/ ."));
        // The mount point itself has no object to keep its times in.
        let changes: Vec<_> = second.lines().filter(|line| !line.ends_with(" ./")).collect();
        assert_eq!(changes, Vec::<&str>::new(), "nothing is transferred and nothing differs");
        let put = mounted.requests_of(Operation::Put) + mounted.requests_of(Operation::PutPart);
        mounted.sh(&format!("rsync -a --delete {from}/ ."));
        let now = mounted.requests_of(Operation::Put) + mounted.requests_of(Operation::PutPart);
        assert_eq!(put, now);
    });
}

#[test]
fn rsync_inplace_changes_a_file_in_place() {
    if !can_run("rsync") {
        return;
    }
    on_both(|mounted| {
        let source = tempfile::TempDir::new().unwrap();
        let file = source.path().join("big");
        let mut content = pattern(1, 5 << 20);
        fs::write(&file, &content).unwrap();
        mounted.sh(&format!("rsync -a --inplace {} .", file.display()));
        content[2_000_000..2_000_100].fill(b'!');
        content.extend_from_slice(b"longer");
        fs::write(&file, &content).unwrap();
        mounted.sh(&format!("rsync -a --inplace --no-whole-file {} .", file.display()));
        assert_same(&mounted.object("big").unwrap(), &content, "big");
    });
}

#[test]
fn tar_in_and_out() {
    on_both(|mounted| {
        let source = tempfile::TempDir::new().unwrap();
        sample(source.path());
        mounted.sh(&format!("tar -C {} -cf archive.tar sub", source.path().display()));
        mounted.sh("mkdir out && tar -C out -xf archive.tar");
        assert_sample_in_bucket(&mounted, "out/");
        mounted.sh("tar -C out -df archive.tar");
    });
}

#[test]
fn dd_with_odd_blocks_writes_what_it_read() {
    on_both(|mounted| {
        let source = tempfile::NamedTempFile::new().unwrap();
        let content = pattern(1, (2 << 20) + 12_345);
        fs::write(source.path(), &content).unwrap();
        for block in [511, 4097, 65_536, 1_000_003] {
            let from = source.path().display();
            mounted.sh(&format!("dd if={from} of=f{block} bs={block} status=none"));
            assert_same(&mounted.object(&format!("f{block}")).unwrap(), &content, block);
            mounted.sh(&format!("dd if=f{block} bs={block} status=none | cmp - {from}"));
        }
        mounted.sh("dd if=/dev/zero of=f511 bs=7 seek=3 count=2 conv=notrunc status=none");
        let mut changed = content.clone();
        changed[21..35].fill(0);
        assert_same(&mounted.object("f511").unwrap(), &changed, "conv=notrunc");
    });
}

#[test]
fn editors_scripts_and_moves() {
    on_both(|mounted| {
        mounted.sh("echo one > f; echo two >> f; echo three >> f; sed -i s/two/2/ f");
        assert_eq!(mounted.object("f").unwrap(), b"one\n2\nthree\n");
        mounted.sh("mkdir -p a/b && mv f a/b/g && mv a c && test ! -e a && cat c/b/g");
        assert_eq!(mounted.keys(), ["c/", "c/b/", "c/b/g"]);
        mounted.sh("truncate -s 100 c/b/g; truncate -s 3 c/b/g");
        assert_eq!(mounted.object("c/b/g").unwrap(), b"one");
        mounted.sh("install -m 751 c/b/g tool && test $(stat -c %a tool) = 751 && ln -s tool link");
        assert_eq!(mounted.sh("cat link"), "one");
        mounted.sh("rm -r c && rm tool link && test -z \"$(ls -A)\"");
        assert_eq!(mounted.keys(), Vec::<String>::new());
        let refused = mounted.shell("ln /etc/hostname hard; echo x > h && ln h hard2");
        assert!(!refused.status.success());
        let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(errors.contains("Operation not permitted"), "{errors}");
        mounted.sh("df . | grep -q mock && stat -f -c %l . | grep -q 255");
    });
}

#[test]
fn a_thousand_names_in_one_directory() {
    on_both(|mut mounted| {
        mounted.sh("mkdir d && cd d && for i in $(seq -w 2300); do : > f$i; done");
        assert_eq!(mounted.sh("ls d | wc -l").trim(), "2300");
        mounted.remount();
        assert_eq!(mounted.sh("ls d | wc -l").trim(), "2300");
        assert_eq!(mounted.sh("ls -lU d | wc -l").trim(), "2301");
        assert_eq!(mounted.sh("find d -type f | sort | uniq | wc -l").trim(), "2300");
        mounted.sh("rm -r d");
        assert_eq!(mounted.keys(), Vec::<String>::new());
    });
}

/// Memory for eight parts.
fn small_memory() -> Setup {
    Setup { memory_limit_bytes: 8 << 20, ..Setup::default() }
}

#[test]
fn a_header_rewritten_at_the_end_costs_one_part() {
    let Some(mounted) = Mounted::new(small_memory()) else { return };
    if !can_run("python3") {
        return;
    }
    // As ffmpeg does for WAV, AVI and Matroska: the header is known at the end.
    let script = "f = open('video', 'wb'); f.write(bytes(64))\n\
        for i in range(20): f.write(bytes([i]) * 1048576)\n\
        f.seek(0); f.write(b'head' * 16); f.close()\n";
    mounted.sh(&format!("python3 -c \"{script}\""));
    let mut content = b"head".repeat(16);
    content.extend((0..20u8).flat_map(|index| vec![index; 1 << 20]));
    assert_same(&mounted.object("video").unwrap(), &content, "video");
    let requests = [
        Operation::StartUpload,
        Operation::PutPart,
        Operation::ListParts,
        Operation::CompleteUpload,
        Operation::Get,
        Operation::Put,
    ];
    assert_eq!(requests.map(|of| mounted.requests_of(of)), [1, 21 + 1, 1, 1, 0, 0]);
}

#[test]
fn archives_larger_than_memory_are_whole() {
    let Some(mut mounted) = Mounted::new(small_memory()) else { return };
    if !can_run("python3") || !can_run("zip") || !can_run("unzip") {
        return;
    }
    let source = tempfile::TempDir::new().unwrap();
    for index in 0..10u64 {
        let path = source.path().join(format!("file {index}"));
        fs::write(path, pattern(index, (2 << 20) + 7)).unwrap();
    }
    // Both write the header of each member again when they know its checksum.
    let from = source.path().display();
    mounted.sh(&format!("at=$PWD && cd {from} && zip -q -0 -r $at/one.zip ."));
    mounted.sh(&format!("at=$PWD && cd {from} && python3 -m zipfile -c $at/two.zip *"));
    for name in ["one.zip", "two.zip"] {
        let archive = source.path().join(name);
        let object = mounted.object(name).unwrap();
        assert!(object.len() > 20 << 20);
        fs::write(&archive, object).unwrap();
        mounted.sh(&format!("unzip -tq {}", archive.display()));
    }
    mounted.remount();
    mounted.sh("unzip -tq one.zip && unzip -tq two.zip");
    assert_eq!(mounted.open_uploads(), 0);
}
