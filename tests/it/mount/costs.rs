//! The table of costs in docs/SEMANTICS.md, counted under real programs.

use std::collections::HashMap;
use std::time::Duration;

use partfs::mock::MockDialect;
use partfs::store::Operation::{
    self, CompleteUpload, Copy, CopyPart, Delete, DeleteMany, Get, Head, List, Put, PutPart,
    Rename, StartUpload,
};

use crate::world::mount::{Mounted, Setup, can_run};
use crate::world::pattern;

/// The first part of every service here, in bytes.
const PART: u64 = 5 << 20;

/// Requests are counted: a busy machine must not make answers too old to be believed.
fn mounted(dialect: MockDialect) -> Option<Mounted> {
    let attr_ttl = Duration::from_secs(600);
    Mounted::new(Setup { dialect, part_bytes: PART, attr_ttl, ..Setup::default() })
}

/// On a service that copies and on one that moves.
fn on_two(test: impl Fn(&mut Mounted, MockDialect)) {
    for dialect in [MockDialect::Cos, MockDialect::Qingstor] {
        if let Some(mut mounted) = mounted(dialect) {
            test(&mut mounted, dialect);
        }
    }
}

/// The requests of a script, until everything is stored.
fn requests(mounted: &Mounted, script: &str) -> HashMap<Operation, u64> {
    mounted.settled();
    let before = mounted.bucket.requests();
    mounted.sh(script);
    mounted.settled();
    let mut spent = mounted.bucket.requests();
    spent.retain(|operation, count| {
        *count -= before.get(operation).copied().unwrap_or(0);
        *count > 0
    });
    spent
}

/// A script costs exactly these requests, and of `head_at_most` HEADs: an open asks for nothing when the
/// last answer is 50 ms old at most, so some depend on how busy the machine is.
fn cost(mounted: &Mounted, script: &str, head_at_most: u64, expected: &[(Operation, u64)]) {
    let mut spent = requests(mounted, script);
    let heads = spent.remove(&Head).unwrap_or(0);
    assert!(heads <= head_at_most, "{script}: {heads} HEAD");
    assert_eq!(spent, expected.iter().copied().collect(), "{script}");
}

/// Bytes of the objects and parts that were sent so far.
fn sent(mounted: &Mounted) -> u64 {
    let effects = mounted.bucket.effects();
    let sent = effects.iter().filter(|effect| matches!(effect.operation, Put | PutPart));
    sent.map(|effect| effect.size).sum()
}

#[test]
fn making_and_removing_names() {
    on_two(|mounted, _| {
        // A name that was never asked for: by the lookup, and by the call itself.
        cost(mounted, "mkdir d", 2, &[(List, 2), (Put, 1)]);
        cost(mounted, "mkdir d/e", 0, &[(Put, 1)]);
        cost(mounted, "touch d/f", 0, &[(Put, 1)]);
        cost(mounted, "ln -s f d/l", 0, &[(Put, 1)]);
        cost(mounted, "rm d/f d/l", 0, &[(Delete, 2)]);
        cost(mounted, "rmdir d/e", 0, &[(List, 1), (Delete, 1)]);
    });
}

#[test]
fn listing_moving_and_removing_a_tree() {
    on_two(|mounted, dialect| {
        mounted.sh(
            "mkdir -p w/d/e; cd w/d; for i in $(seq 60); do echo $i > $i; echo $i > e/$i; done",
        );
        cost(mounted, "ls -l w/d w/d/e > /dev/null", 0, &[(List, 2)]);
        // 122 objects; a copy of an empty one, such as a marker, is looked at on QingStor.
        let looks = if dialect == MockDialect::Qingstor { 2 } else { 0 };
        cost(mounted, "mv w/d w/m", looks, &[(List, 1), (Copy, 122), (DeleteMany, 1)]);
        // rm looks into each directory before it lists it, and rmdir looks whether it is empty.
        cost(mounted, "rm -r w/m", 0, &[(List, 3 * 2), (Delete, 122)]);
        assert_eq!(mounted.keys(), ["w/"]);
    });
}

#[test]
fn listing_what_was_never_seen() {
    on_two(|mounted, _| {
        mounted.sh("mkdir d; for i in $(seq 60); do echo $i > d/$i; done");
        mounted.remount();
        // Whether `d` is a file or a directory costs two of them, and a LIST.
        cost(mounted, "ls -l d/ > /dev/null", 60 + 2, &[(List, 2)]);
        cost(mounted, "ls -l d/ > /dev/null", 0, &[(List, 1)]);
    });
}

#[test]
fn rsync_of_a_tree_of_small_files() {
    if !can_run("rsync") {
        return;
    }
    let source = tempfile::TempDir::new().unwrap();
    let from = source.path().display();
    for dialect in [MockDialect::Cos, MockDialect::Oss, MockDialect::S3, MockDialect::Qingstor] {
        // A directory's attributes are stored when they have not changed for this long: on a busy machine
        // rsync must not come back to it later than that.
        let (attr_ttl, settle_delay) = (Duration::from_secs(600), Duration::from_secs(3));
        let setup = Setup { dialect, part_bytes: PART, attr_ttl, settle_delay, ..Setup::default() };
        let Some(mut mounted) = Mounted::new(setup) else { return };
        mounted.sh(&format!(
            "mkdir -p {from}/a {from}/b; for i in $(seq 100); do echo $i > {from}/a/$i; echo $i > {from}/b/$i; done"
        ));
        let first = requests(&mounted, &format!("rsync -a {from}/ t/"));
        let count = |spent: &HashMap<_, _>, operation| *spent.get(&operation).unwrap_or(&0u64);
        // Three directories: their markers, made and given their attributes.
        assert!(count(&first, Put) <= 200 + 2 * 3, "{dialect:?}: {first:?}");
        // A file whose attributes wait to be stored is copied even where the service moves.
        assert!(count(&first, Copy) + count(&first, Rename) <= 200, "{dialect:?}: {first:?}");
        assert!(count(&first, Delete) <= 200, "{dialect:?}: {first:?}");
        // `t` is asked for until it is there, a HEAD and a LIST each time.
        let looked = count(&first, Head) + count(&first, List);
        assert!(looked <= 3 * 2, "{dialect:?}: {first:?}");
        let second = requests(&mounted, &format!("rsync -a {from}/ t/"));
        assert_eq!(second, HashMap::new(), "{dialect:?}: all of it was seen before");
        mounted.remount();
        let fresh = requests(&mounted, &format!("rsync -a {from}/ t/"));
        assert_eq!(count(&fresh, Put) + count(&fresh, Copy), 0, "{dialect:?}: {fresh:?}");
        assert!(
            count(&fresh, Head) <= 200 + 10 && count(&fresh, List) <= 40,
            "{dialect:?}: {fresh:?}"
        );
        let again = requests(&mounted, &format!("rsync -a {from}/ t/"));
        let asked: u64 = again.values().sum();
        assert!(asked <= 10, "{dialect:?}: no request for a file that was seen: {again:?}");
    }
}

#[test]
fn small_files_are_written_anew() {
    on_two(|mounted, dialect| {
        mounted.sh("mkdir d; echo one > d/f");
        cost(mounted, "echo two >> d/f", 1, &[(Get, 1), (Put, 1)]);
        // A temporary file, its mode, and a rename onto the old one.
        let moved: &[_] = match dialect {
            MockDialect::Qingstor => &[(Get, 1), (Put, 1), (Rename, 1)],
            _ => &[(Get, 1), (Put, 1), (Copy, 1), (Delete, 1)],
        };
        cost(mounted, "sed -i s/two/three/ d/f", 3, moved);
        assert_eq!(mounted.object("d/f").unwrap(), b"one\nthree\n");
    });
}

#[test]
fn large_files_are_changed_by_copies_on_the_server() {
    on_two(|mounted, _| {
        let source = tempfile::NamedTempFile::new().unwrap();
        let mut content = pattern(1, 24 << 20);
        std::fs::write(source.path(), &content).unwrap();
        mounted.sh(&format!("mkdir d; cp {} d/f", source.path().display()));
        let edit = |script: &str, copies, reads, most| {
            let before = sent(mounted);
            let mut spent = requests(mounted, script);
            // Whole parts are not read; the edges of what is sent are, piece by piece.
            let read = spent.remove(&Get).unwrap_or(0);
            assert!(read <= reads, "{script}: {read} GETs");
            let looked = spent.remove(&Head).unwrap_or(0);
            assert!(looked <= 2, "{script}: {looked} HEADs");
            let expected =
                [(StartUpload, 1), (CopyPart, copies), (PutPart, 1), (CompleteUpload, 1)];
            assert_eq!(spent, expected.into_iter().collect(), "{script}");
            let sent = sent(mounted) - before;
            assert!(sent <= most, "{script}: {sent} bytes were sent");
        };
        edit("printf more >> d/f", 1, 0, 4);
        content.extend_from_slice(b"more");
        edit(
            "dd if=/dev/zero of=d/f bs=4096 seek=3000 count=1 conv=notrunc status=none",
            2,
            2,
            2 * PART,
        );
        content[3000 * 4096..3001 * 4096].fill(0);
        assert!(mounted.object("d/f").unwrap() == content, "the bytes");
        assert_eq!(mounted.open_uploads(), 0);
    });
}

#[test]
fn opening_a_file_again_asks_whether_it_changed() {
    on_two(|mounted, _| {
        mounted.sh("mkdir d; echo one > d/f");
        cost(mounted, "cat d/f", 1, &[(Get, 1)]);
        // The kernel has its pages, and an open of the next instant asks for nothing.
        cost(mounted, "cat d/f; cat d/f", 2, &[]);
    });
}

#[test]
fn a_clone_by_git() {
    if !can_run("git") {
        return;
    }
    let source = tempfile::TempDir::new().unwrap();
    let from = source.path().display();
    on_two(|mounted, dialect| {
        mounted.sh(&format!(
            "rm -rf {from}/r; mkdir {from}/r; cd {from}/r; git init -q -b main . ; for i in $(seq 100); do echo $i > $i; done; \
             git add -A; git -c user.name=a -c user.email=a@b commit -qm one; git gc -q"
        ));
        let spent = requests(mounted, &format!("git clone -q --no-local {from}/r r"));
        let count = |operation| spent.get(&operation).copied().unwrap_or(0);
        // Besides the files of the work tree, some 40 files and directories in `.git`.
        assert!(count(Put) <= 100 + 80, "{dialect:?}: {spent:?}");
        assert!(count(Copy) + count(Rename) <= 40 && count(Delete) <= 40, "{dialect:?}: {spent:?}");
        assert!(count(Head) + count(List) + count(Get) <= 120, "{dialect:?}: {spent:?}");
    });
}
