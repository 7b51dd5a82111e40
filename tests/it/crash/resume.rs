//! A large file that was cut off, and is copied again: what goes over the wire the second time.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use partfs::mock::MockDialect;
use partfs::store::Operation;

use super::place::Bucket;
use crate::world::pattern;

const GIB: u64 = 1 << 30;
const MIB: usize = 1 << 20;

/// Copies a gibibyte, kills the daemon when 70 % of it are in the bucket, and copies it again.
fn a_gigabyte_cut_at_70_percent(dialect: MockDialect) {
    let Some(bucket) = Bucket::new(dialect) else { return };
    let source = bucket.dir().join("source");
    let mut file = File::create(&source).unwrap();
    let shared = pattern(7, MIB + 1024 * 512);
    for index in 0..1024 {
        file.write_all(&shared[index * 512..index * 512 + MIB]).unwrap();
    }
    drop(file);
    let target = bucket.root().join("f");
    let copy = || Command::new("cp").arg(&source).arg(&target).output().unwrap();
    let parts = || {
        let effects = bucket.bucket.effects().into_iter();
        let parts = effects.filter(|effect| effect.operation == Operation::PutPart);
        parts.map(|effect| effect.size).sum::<u64>()
    };

    let options = ["--part-size", "8MiB"];
    let daemon = bucket.mount(None, &options);
    std::thread::scope(|scope| {
        let first = scope.spawn(copy);
        bucket.until(|| parts() >= GIB / 10 * 7);
        daemon.kill();
        assert!(!first.join().unwrap().status.success(), "cp must say that it failed");
    });
    bucket.clear();
    let held: u64 = bucket
        .uploads()
        .iter()
        .map(|upload| {
            let (parts, _) = bucket.bucket.list_parts(upload, 0, 10_000).unwrap();
            parts.iter().map(|part| part.blob.len()).sum::<u64>()
        })
        .sum();
    assert!(bucket.object("f").is_none() && (GIB / 10 * 7..GIB).contains(&held), "{held}");

    let before = parts();
    let mut daemon = bucket.mount(None, &options);
    assert!(copy().status.success());
    assert!(daemon.stop());
    let (sent, missing) = (parts() - before, GIB - held);
    println!(
        "{dialect:?}: {sent} bytes sent, {missing} missing: {:.3}",
        sent as f64 / missing as f64
    );
    assert!(sent * 100 <= missing * 105, "{sent} bytes were sent where {missing} were missing");
    let object = bucket.object("f").unwrap();
    assert!(object == std::fs::read(&source).unwrap(), "the object has other bytes");
    assert!(bucket.uploads().is_empty() && bucket.journal().keys.is_empty());
}

#[test]
fn a_gigabyte_cut_at_70_percent_on_cos() {
    a_gigabyte_cut_at_70_percent(MockDialect::Cos);
}

#[test]
fn a_gigabyte_cut_at_70_percent_on_oss() {
    a_gigabyte_cut_at_70_percent(MockDialect::Oss);
}

#[test]
fn a_gigabyte_cut_at_70_percent_on_qingstor() {
    a_gigabyte_cut_at_70_percent(MockDialect::Qingstor);
}

#[test]
fn a_gigabyte_cut_at_70_percent_on_s3() {
    a_gigabyte_cut_at_70_percent(MockDialect::S3);
}

/// Copies a file, kills the program when half of it is in the bucket, and copies it again.
#[test]
fn what_a_killed_program_had_sent_is_not_sent_again() {
    for (dialect, _) in super::place::DIALECTS {
        let Some(bucket) = Bucket::new(dialect) else { return };
        let part = 8 * MIB;
        let data = pattern(9, 12 * part + 7);
        std::fs::write(bucket.dir().join("source"), &data).unwrap();
        let parts = || {
            let effects = bucket.bucket.effects().into_iter();
            effects.filter(|effect| effect.operation == Operation::PutPart).count()
        };
        let mut daemon = bucket.mount(None, &["--part-size", "8MiB"]);
        // It writes half of the file and then does nothing, until it is killed.
        let script = format!("exec > $dst; head -c {} $src; read", 6 * part + 1);
        let mut half = Command::new("bash")
            .args(["-c", &script])
            .env("src", bucket.dir().join("source"))
            .env("dst", bucket.root().join("f"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        bucket.until(|| parts() >= 6);
        half.kill().unwrap();
        half.wait().unwrap();
        // The kernel tells that nobody has it open any more when the program is gone.
        while std::fs::exists(bucket.root().join("f")).unwrap() {
            std::thread::yield_now();
        }
        assert_eq!((parts(), bucket.object("f")), (6, None), "{dialect:?}");
        let copied = Command::new("cp")
            .arg(bucket.dir().join("source"))
            .arg(bucket.root().join("f"))
            .status()
            .unwrap();
        assert!(copied.success());
        assert_eq!(parts(), 13, "{dialect:?}");
        assert!(bucket.object("f").unwrap() == data, "{dialect:?}");
        assert!(daemon.stop());
        assert!(bucket.uploads().is_empty() && bucket.journal().keys.is_empty(), "{dialect:?}");
    }
}
