//! Every service under real programs: large files by parts, a tree that is synchronized twice, moves,
//! appends, and the same bucket mounted anew.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use partfs::dialect::ObjectProperties;
use partfs::mock::MockDialect;
use partfs::store::Operation;
use tempfile::TempDir;

use crate::world::mount::{Mounted, Setup, assert_same, can_run};
use crate::world::{key, pattern};

const LARGE: usize = 20 << 20;

fn mounted(dialect: MockDialect, dir: &Path) -> Option<Mounted> {
    // None of the services takes smaller parts than the largest of their minima.
    let dir = Some(dir.join("bucket"));
    Mounted::new(Setup { dialect, part_bytes: 5 << 20, dir, ..Setup::default() })
}

/// A tree as `rsync -a` carries over.
fn sample(at: &Path) {
    fs::create_dir_all(at.join("sub/deep")).unwrap();
    for (index, size) in [0, 1, 70_001, (5 << 20) + 7].into_iter().enumerate() {
        let path = at.join(format!("sub/file {index}"));
        fs::write(&path, pattern(index as u64, size)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600 + index as u32)).unwrap();
    }
    fs::write(at.join("sub/deep/é+%&=ü"), b"odd name").unwrap();
    symlink("file 2", at.join("sub/link")).unwrap();
}

fn programs(dialect: MockDialect) {
    let (folder, local) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let Some(mut mounted) = mounted(dialect, folder.path()) else { return };
    if !can_run("rsync") {
        return;
    }
    let here = local.path().display();
    let large = pattern(1, LARGE);
    fs::write(local.path().join("large"), &large).unwrap();
    mounted.sh(&format!("cp {here}/large large && cp large {here}/back"));
    assert_same(&fs::read(local.path().join("back")).unwrap(), &large, dialect);
    assert_same(&mounted.object("large").unwrap(), &large, dialect);
    assert!(mounted.requests_of(Operation::PutPart) >= 4, "{dialect:?}: by parts");

    sample(local.path());
    mounted.sh(&format!("rsync -a {here}/sub ."));
    let sent = || {
        let kinds = [Operation::Put, Operation::PutPart, Operation::Copy, Operation::Rename];
        kinds.map(|operation| mounted.requests_of(operation)).iter().sum::<u64>()
    };
    mounted.settled();
    let before = sent();
    let second = mounted.sh(&format!("rsync -ai {here}/sub ."));
    assert_eq!((second.as_str(), sent()), ("", before), "{dialect:?}: nothing is sent again");

    mounted.sh("mv large moved && mv sub tree && echo one > log && echo two >> log");
    mounted.sh("printf more >> moved && chmod 640 'tree/file 1'");
    let moved = [large.as_slice(), b"more"].concat();
    assert_same(&mounted.object("moved").unwrap(), &moved, dialect);
    assert_eq!(mounted.object("log").unwrap(), b"one\ntwo\n", "{dialect:?}");
    let keys = [
        "log",
        "moved",
        "tree/",
        "tree/deep/",
        "tree/deep/é+%&=ü",
        "tree/file 0",
        "tree/file 1",
        "tree/file 2",
        "tree/file 3",
        "tree/link",
    ];
    assert_eq!(mounted.keys(), keys, "{dialect:?}");

    mounted.remount();
    assert_eq!(fs::metadata(mounted.path("tree/file 1")).unwrap().mode() & 0o777, 0o640);
    mounted.sh(&format!("chmod 601 'tree/file 1' && diff -r {here}/sub tree && rsync -ain {here}/sub/ tree | grep -v '^\\.d' | (! grep .)"));
    assert_same(&fs::read(mounted.path("moved")).unwrap(), &moved, dialect);
    assert_same(&mounted.object("tree/file 3").unwrap(), &pattern(3, (5 << 20) + 7), dialect);
    assert_eq!(mounted.open_uploads(), 0, "{dialect:?}");
    mounted.sh("rm -r tree moved log");
    assert_eq!(mounted.keys(), Vec::<String>::new(), "{dialect:?}");
}

#[test]
fn programs_on_cos() {
    programs(MockDialect::Cos);
}

#[test]
fn programs_on_oss() {
    programs(MockDialect::Oss);
}

#[test]
fn programs_on_qingstor() {
    programs(MockDialect::Qingstor);
}

#[test]
fn programs_on_s3() {
    programs(MockDialect::S3);
}

/// New files, copies that carry other attributes, and copies that stand for renames.
#[test]
fn the_storage_class_stays_with_a_file() {
    let storage_class = Some("STANDARD_IA".to_owned());
    let properties = ObjectProperties { storage_class, ..ObjectProperties::default() };
    let Some(mut mounted) = Mounted::new(Setup { properties, ..Setup::default() }) else { return };
    let class = |mounted: &Mounted, name: &str| {
        let object = mounted.bucket.head(&key(name)).unwrap_or_else(|_| panic!("no {name}"));
        object.properties.storage_class.clone()
    };
    let ia = Some("STANDARD_IA".to_owned());
    for (name, size) in [("small", 10), ("large", (3 << 20) + 1)] {
        fs::write(mounted.path(name), pattern(1, size)).unwrap();
        assert_eq!(class(&mounted, name), ia, "{name} is new");
        let copies = mounted.requests_of(Operation::Copy);
        mounted.sh(&format!("chmod 600 {name} && sync {name}"));
        assert!(mounted.requests_of(Operation::Copy) > copies, "{name} was copied onto itself");
        assert_eq!(class(&mounted, name), ia, "{name} has another mode");
        mounted.sh(&format!("mv {name} {name}.moved"));
        assert_eq!(class(&mounted, &format!("{name}.moved")), ia, "{name} has another name");
        mounted.sh(&format!("printf more >> {name}.moved"));
        assert_eq!(class(&mounted, &format!("{name}.moved")), ia, "{name} is longer");
    }
    mounted.sh("mkdir d && ln -s small.moved link");
    assert_eq!(class(&mounted, "link"), ia);
    mounted.remount();
    mounted.sh("test $(stat -c %a large.moved) = 600 && test $(stat -c %s large.moved) = 3145733");
}
