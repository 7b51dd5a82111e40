//! A bucket with keys that no file can have as its name, under real programs: all of them are found, copied
//! out, moved to other names and removed.

use std::fs;
use std::sync::Arc;

use partfs::mock::MockDialect;
use partfs::store::memory::{MemoryStore, SMALL_LIMITS};
use partfs::store::{Metadata, ObjectStore, PutOptions};
use tempfile::TempDir;

use crate::world::key;
use crate::world::mount::{Mounted, Setup};

/// Keys and their paths. Of the services only S3 takes keys that begin with a slash.
fn odd(dialect: MockDialect) -> Vec<(String, String)> {
    let keys = [
        ("/lead/x", "@partfs:/lead/x"),
        ("./x", "@partfs:%2E/x"),
        ("../x/", "@partfs:%2E%2E/x/@partfs:"),
        (".partfs/x", "@partfs:.partfs/x"),
        ("d//x", "d/@partfs:/x"),
        ("d//", "d/@partfs:/@partfs:"),
        ("d/", "d/@partfs:"),
        ("d/e/..", "d/e/@partfs:%2E%2E"),
        ("d/50%\0", "d/@partfs:50%25%00"),
        ("d/@partfs:x/y", "d/@partfs:@partfs:x/y"),
        ("d/a\u{1}\t\n\u{7f} +%41", "d/a\u{1}\t\n\u{7f} +%41"),
        ("plain", "plain"),
    ];
    let element = "l".repeat(256);
    let cut = format!("@partfs:{}%~a43c19666f3e60c1", "l".repeat(229));
    let long = [
        (format!("d/long/{element}"), format!("d/long/{cut}")),
        (format!("e/{element}/x"), format!("e/{cut}/x")),
    ];
    let keys = keys.map(|(key, path)| (key.to_owned(), path.to_owned()));
    let taken = |(key, path): &(String, String)| {
        // A directory hides an object of its name.
        !(path == "d/@partfs:" || dialect != MockDialect::S3 && key.starts_with('/'))
    };
    keys.into_iter().chain(long).filter(taken).collect()
}

fn bucket_of_odd_keys(dialect: MockDialect) {
    let Some(mut mounted) = Mounted::new(Setup { dialect, ..Setup::default() }) else { return };
    let bucket = Arc::clone(&mounted.bucket);
    let store = MemoryStore::new(bucket, SMALL_LIMITS);
    let odd = odd(dialect);
    let fill = |mounted: &Mounted| {
        for (text, _) in &odd {
            let metadata: Metadata = [("mode", "33184")].into_iter().collect();
            let options = PutOptions { metadata, ..PutOptions::default() };
            let put =
                async { store.put(&key(text), text.clone().into_bytes().into(), &options).await };
            mounted.runtime.block_on(put).unwrap();
        }
    };
    fill(&mounted);
    let mut expected: Vec<_> = odd.iter().map(|(_, path)| format!("./{path}")).collect();
    expected.sort();
    let found = mounted.sh("find . -type f -print0 | sort -z");
    let found: Vec<_> = found.split_terminator('\0').collect();
    assert_eq!(found, expected, "{dialect:?}");

    let out = TempDir::new().unwrap();
    let there = out.path().display();
    mounted.sh(&format!("cp -a . {there} && diff -r . {there}"));
    for (text, path) in &odd {
        assert_eq!(
            fs::read(out.path().join(path)).unwrap(),
            text.as_bytes(),
            "{dialect:?} {path:?}"
        );
    }

    // One by one to sane names, as `mv` does it.
    for (number, (_, path)) in odd.iter().enumerate() {
        fs::rename(mounted.path(path), mounted.path(&format!("sane.{number}"))).unwrap();
    }
    for (number, (text, _)) in odd.iter().enumerate() {
        let object = mounted.object(&format!("sane.{number}"));
        assert_eq!(object.unwrap(), text.as_bytes(), "{dialect:?}");
    }
    mounted.sh("rm -r -- *");
    assert_eq!(mounted.keys(), Vec::<String>::new(), "{dialect:?}");

    // Whole directories, and what they hold; `rm` and `find -delete` meet them as they are.
    fill(&mounted);
    mounted.remount();
    mounted.sh("mv d sane && mv @partfs:.partfs other && mv 'sane/@partfs:50%25%00' half");
    assert_eq!(mounted.object("sane//x").unwrap(), b"d//x", "{dialect:?}");
    assert_eq!(mounted.object("other/x").unwrap(), b".partfs/x");
    assert_eq!(mounted.object("half").unwrap(), b"d/50%\0");
    mounted.sh("cat sane/@partfs:/@partfs: | grep -x d// && ! echo no >> sane/@partfs:/@partfs:");
    mounted.sh("rm -r sane && find . -mindepth 1 -delete");
    assert_eq!(mounted.keys(), Vec::<String>::new(), "{dialect:?}");
}

#[test]
fn every_key_can_be_used_on_cos() {
    bucket_of_odd_keys(MockDialect::Cos);
}

#[test]
fn every_key_can_be_used_on_oss() {
    bucket_of_odd_keys(MockDialect::Oss);
}

#[test]
fn every_key_can_be_used_on_qingstor() {
    bucket_of_odd_keys(MockDialect::Qingstor);
}

#[test]
fn every_key_can_be_used_on_s3() {
    bucket_of_odd_keys(MockDialect::S3);
}
