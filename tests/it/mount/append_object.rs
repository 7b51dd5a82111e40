//! Files that are written as appendable objects: what is added goes out alone.

use std::fs;
use std::io::Write;

use partfs::mock::MockDialect;
use partfs::store::{NamePattern, Operation};

use crate::world::mount::{Mounted, Setup, assert_same};
use crate::world::pattern;

fn mounted(dialect: MockDialect) -> Option<Mounted> {
    let append_objects = vec![NamePattern::new("*.log").unwrap()];
    Mounted::new(Setup { dialect, part_bytes: 5 << 20, append_objects, ..Setup::default() })
}

#[test]
fn lines_are_appended_alone_where_the_service_can() {
    for dialect in [MockDialect::Cos, MockDialect::Oss, MockDialect::Qingstor] {
        let Some(mut mounted) = mounted(dialect) else { return };
        mounted.sh("for i in 1 2 3 4 5; do echo line $i >> x.log; done");
        let lines = "line 1\nline 2\nline 3\nline 4\nline 5\n";
        assert_eq!(mounted.object("x.log").unwrap(), lines.as_bytes(), "{dialect:?}");
        let counts = |mounted: &Mounted| {
            [Operation::Append, Operation::Put, Operation::Get, Operation::StartUpload]
                .map(|operation| mounted.requests_of(operation))
        };
        assert_eq!(counts(&mounted), [5, 0, 0, 0], "{dialect:?}");

        // Another mount goes on where this one ended, and other names are ordinary objects.
        mounted.remount();
        mounted.sh("echo more >> x.log; echo one > y.txt; echo two >> y.txt");
        let more = [lines, "more\n"].concat();
        assert_eq!(mounted.object("x.log").unwrap(), more.as_bytes(), "{dialect:?}");
        assert_eq!(counts(&mounted)[0], 6, "{dialect:?}");
        assert_eq!(mounted.object("y.txt").unwrap(), b"one\ntwo\n", "{dialect:?}");
    }
}

/// COS and OSS do not copy what was appended.
#[test]
fn appended_files_are_rotated_changed_and_copied() {
    for dialect in [MockDialect::Cos, MockDialect::Oss, MockDialect::Qingstor] {
        let Some(mounted) = mounted(dialect) else { return };
        mounted.sh("for i in 1 2 3; do echo line $i >> x.log; done");
        mounted.sh("chmod 600 x.log; cp x.log copy; mv x.log x.log.1; echo new >> x.log");
        mounted.settled();
        let lines = b"line 1\nline 2\nline 3\n";
        for name in ["x.log.1", "copy"] {
            assert_eq!(mounted.object(name).unwrap(), lines, "{dialect:?} {name}");
        }
        assert_eq!(mounted.object("x.log").unwrap(), b"new\n", "{dialect:?}");
        assert_eq!(mounted.sh("stat -c %a x.log.1").trim(), "600");

        // Larger than a part, and than a piece that is carried.
        let mut bytes = pattern(1, 18 << 20);
        fs::write(mounted.path("big.log"), &bytes).unwrap();
        assert!(mounted.requests_of(Operation::Append) > 4, "{dialect:?}");
        mounted.sh(
            "cp big.log copy; printf X | dd of=big.log bs=1 seek=3000000 conv=notrunc status=none",
        );
        assert_same(&mounted.object("copy").unwrap(), &bytes, dialect);
        bytes[3_000_000] = b'X';
        assert_same(&mounted.object("big.log").unwrap(), &bytes, dialect);
        fs::write(mounted.path("two.log"), &bytes).unwrap();
        mounted.sh("mv two.log two.old; printf end >> two.old");
        bytes.extend(b"end");
        assert_same(&mounted.object("two.old").unwrap(), &bytes, dialect);
    }
}

#[test]
fn what_cannot_be_appended_to_is_published_as_ever() {
    for dialect in [MockDialect::Cos, MockDialect::Oss, MockDialect::Qingstor] {
        let Some(mounted) = mounted(dialect) else { return };
        let path = mounted.path("big.log");
        // More than a part, in one open; then a rewrite, a change in the middle, and lines again.
        let mut bytes = pattern(1, 11 << 20);
        fs::write(&path, &bytes).unwrap();
        assert_same(&mounted.object("big.log").unwrap(), &bytes, dialect);
        bytes = pattern(2, 6 << 20);
        fs::write(&path, &bytes).unwrap();
        assert_same(&mounted.object("big.log").unwrap(), &bytes, dialect);
        mounted.sh("printf X | dd of=big.log bs=1 seek=3000000 conv=notrunc status=none");
        bytes[3_000_000] = b'X';
        for line in 0..3 {
            let mut file = fs::File::options().append(true).open(&path).unwrap();
            writeln!(file, "line {line}").unwrap();
            drop(file);
            bytes.extend_from_slice(format!("line {line}\n").as_bytes());
            assert_same(&mounted.object("big.log").unwrap(), &bytes, dialect);
        }
    }
}
