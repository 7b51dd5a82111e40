//! A panic in one request, on a real mount: that request fails, and the daemon goes on.

use std::fs;
use std::path::Path;
use std::process::Command;

use partfs::mock::MockDialect;

use super::place::Bucket;
use crate::world::pattern;

const MIB: usize = 1 << 20;

/// Where the daemon panics, and what a program does meanwhile, in perl, with the mount as its folder: there are
/// a file `f` and a directory `dir` with a file. `ok` ends it with the error number of what went wrong.
const PLACES: [(&str, &str); 14] = [
    // On the dispatch thread.
    ("opendir.begin", "ok(opendir(D, 'dir'))"),
    ("readdir.begin", "opendir(D, 'dir') or ok(0); $! = 0; my @all = readdir(D); exit($! + 0)"),
    ("unlink.before_delete", "ok(unlink('f'))"),
    ("rename.copy_acked", "ok(rename('f', 'dir/moved'))"),
    // On the dispatch thread, with the file in its hands.
    ("part.buffered", "fill('>', 3 << 20)"),
    // In the task of the request.
    ("flush.begin", "fill('>', 5)"),
    // In tasks that the request waits for.
    ("put.before", "fill('>', 5)"),
    ("put.acked", "fill('>', 5)"),
    ("open.before_init", "fill('>', 3 << 20)"),
    ("part.acked", "fill('>', 3 << 20)"),
    ("flush.lastpart_acked", "fill('>', 3 << 20)"),
    ("complete.acked", "fill('>', 3 << 20)"),
    // On a thread for files.
    ("journal.intent_written", "fill('>', 3 << 20)"),
    ("stage.pwrite", "fill('+<', 5)"),
];

const PRELUDE: &str = "
    sub ok { $_[0] or exit($! + 0) }
    sub fill {
        my ($mode, $bytes) = @_;
        open(F, $mode, 'f') or exit($! + 0);
        for (my $at = 0; $at < $bytes; $at += 5) {
            my $now = $bytes - $at < (1 << 17) ? $bytes - $at : 1 << 17;
            ok(syswrite(F, 'n' x $now) == $now);
            $at += $now - 5;
        }
        ok(close(F));
    }
";

fn perl(at: &Path, script: &str) -> Option<i32> {
    let script = format!("{PRELUDE}{script}");
    Command::new("perl").arg("-e").arg(script).current_dir(at).status().unwrap().code()
}

#[test]
fn a_panic_costs_the_request_it_happens_in() {
    for (place, script) in PLACES {
        let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
        let old = pattern(7, 2 * MIB);
        let mut daemon = bucket.mount(None, &[]);
        fs::write(bucket.root().join("f"), &old).unwrap();
        fs::create_dir(bucket.root().join("dir")).unwrap();
        fs::write(bucket.root().join("dir/other"), "other").unwrap();
        assert!(daemon.stop(), "{place}");

        let log = bucket.dir().join("log");
        // Far less than the default: who waits for an answer that never comes fails by another number.
        let more =
            ["--close-timeout", "20s", "--log-level", "info", "--log-file", log.to_str().unwrap()];
        let mut daemon = bucket.mount(Some(&format!("panic={place}:1")), &more);
        let before = bucket.status();
        let code = perl(bucket.root(), script);
        // A record of the upload is not what the file rests on.
        let expected = if place.starts_with("journal") { 0 } else { eio() };
        assert_eq!(code, Some(expected), "{place}");
        let status = bucket.status();
        assert_eq!((&before["panics"], &before["pid"]), (&0.into(), &status["pid"]), "{place}");
        assert_eq!(status["panics"], 1, "{place}");
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains(&format!("a test wants a panic at {place}")), "{place}: {log}");

        // What has its name is whole, the old or the new.
        if let Some(object) = bucket.object("f") {
            let new =
                object.iter().all(|byte| *byte == b'n') && [5, 3 << 20].contains(&object.len());
            assert!(object == old || new, "{place}: {} bytes", object.len());
            assert!(!new || place.ends_with("acked") || code == Some(0), "{place}: published");
        } else {
            assert_eq!(bucket.object("dir/moved").as_ref(), Some(&old), "{place}");
        }
        // Everything goes on, the same work too.
        assert_eq!(fs::read(bucket.root().join("dir/other")).unwrap(), b"other", "{place}");
        assert_eq!(perl(bucket.root(), "fill('>', 3 << 20)"), Some(0), "{place}");
        assert_eq!(perl(bucket.root(), script), Some(0), "{place}: again");
        fs::write(bucket.root().join("f"), &old).unwrap();
        assert!(bucket.object("f").is_some_and(|object| object == old), "{place}");
        assert!(daemon.stop(), "{place}");
    }
}

#[test]
fn a_panic_where_nobody_waits_ends_nothing() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut daemon = bucket.mount(Some("panic=release.begin:1"), &[]);
    assert_eq!(perl(bucket.root(), "fill('>', 5)"), Some(0));
    fs::write(bucket.root().join("g"), "g").unwrap();
    // The kernel tells of a release when the program has gone on already.
    while bucket.status()["panics"] == 0 {
        std::thread::yield_now();
    }
    assert_eq!(bucket.object("f").unwrap(), b"nnnnn");
    fs::write(bucket.root().join("f"), "again").unwrap();
    assert_eq!(bucket.object("f").unwrap(), b"again");
    assert!(daemon.stop());
}

fn eio() -> i32 {
    rustix::io::Errno::IO.raw_os_error()
}
