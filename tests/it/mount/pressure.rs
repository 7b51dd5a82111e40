//! Too little of everything, for many at once: memory and open files. Errors are errors, what is in the bucket is
//! whole, and afterwards everything works again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Barrier;
use std::thread;

use super::bench::Bench;
use crate::world::pattern;

const MIB: usize = 1 << 20;

#[test]
fn two_hundred_writers_at_once_end_within_the_memory() {
    const WRITERS: u64 = 200;
    // Of a part and a little more each.
    const PIECES: u64 = 4;
    const PIECE: usize = 4099 * 256;
    // Of the tables of docs/CONFIGURATION.md, "Memory", in MiB: the limit; the program and its buffers; a
    // request of the kernel for each writer; reads and a part without room; eight threads for files.
    const MOST_RESIDENT_KIB: u64 = (64 + 50 + WRITERS + 9 + 8 * 5) << 10;
    let Some(bench) = Bench::new("", &["--memory-limit", "64MiB"]) else { return };
    let before = bench.settled();
    let piece = |writer: u64, number: u64| pattern(writer << 8 | number, 4099).repeat(256);
    let started = Barrier::new(WRITERS as usize);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (path, started) = (bench.path(&format!("f{writer}")), &started);
            scope.spawn(move || {
                let file = File::create(path).unwrap();
                for number in 0..PIECES {
                    file.write_all_at(&piece(writer, number), number * PIECE as u64).unwrap();
                    if number == 0 {
                        // All have a part behind them, and none has ended.
                        started.wait();
                    }
                }
                file.sync_all().unwrap();
            });
        }
    });
    for writer in 0..WRITERS {
        let stored = bench.stored(&format!("f{writer}")).unwrap();
        let mut pieces = stored.chunks(PIECE);
        assert_eq!(pieces.len() as u64, PIECES, "{writer}");
        assert!(
            (0..PIECES).all(|number| pieces.next() == Some(&piece(writer, number))),
            "{writer}"
        );
    }
    // Nobody holds anything but what is set aside from the start, for what goes through the disk.
    let after = bench.settled();
    assert_eq!(after["memory_free_bytes"], before["memory_free_bytes"], "{after:#}");
    let aside =
        ["memory_limit_bytes", "memory_free_bytes"].map(|name| after[name].as_u64().unwrap());
    assert_eq!(aside[0] - aside[1], aside[0] / 8, "{after:#}");
    let process =
        fs::read_to_string(format!("/proc/{}/status", bench.daemon().as_raw_pid())).unwrap();
    let peak = process.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    eprintln!("{WRITERS} writers: at most {} MiB resident", peak >> 10);
    assert!(peak < MOST_RESIDENT_KIB, "{peak} KiB");
    bench.end();
}

#[test]
fn a_daemon_without_open_files_to_spare_refuses_and_recovers() {
    const LIMIT: &str = "64";
    const CHANGED: usize = 100;
    const STREAMED: usize = 20;
    let shell = format!("ulimit -n {LIMIT} || exit 9");
    let Some(bench) = Bench::new(&shell, &["--close-timeout", "20s"]) else { return };
    let limits =
        fs::read_to_string(format!("/proc/{}/limits", bench.daemon().as_raw_pid())).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(limit.split_whitespace().collect::<Vec<_>>()[3..5], [LIMIT, LIMIT]);

    let (old, streamed) = (pattern(1, 2 * MIB), pattern(2, 3 * MIB));
    let mut new = old.clone();
    new[7..14].copy_from_slice(b"changed");
    for index in 0..CHANGED {
        fs::write(bench.path(&format!("f{index}")), &old).unwrap();
    }
    let all = Barrier::new(CHANGED + STREAMED);
    let work = |index: usize| -> io::Result<()> {
        let (bytes, at, opened) = match index < CHANGED {
            // Each needs a file on disk while it is open.
            true => (&b"changed"[..], 7, bench.open(&format!("f{index}"))),
            false => (&streamed[..], 0, File::create(bench.path(&format!("f{index}")))),
        };
        let written = opened.and_then(|file| file.write_all_at(bytes, at).map(|()| file));
        all.wait();
        written.and_then(|file| file.sync_all())
    };
    let done: Vec<io::Result<()>> = thread::scope(|scope| {
        let work = &work;
        let all = (0..CHANGED + STREAMED).map(|index| scope.spawn(move || work(index)));
        let running: Vec<_> = all.collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let numbers = done.iter().filter_map(|one| one.as_ref().err()?.raw_os_error());
    let numbers: Vec<i32> = numbers.collect();
    // EIO, ENFILE; ETIMEDOUT of who has waited for a connection in vain.
    assert!(numbers.iter().all(|number| [5, 23, 110].contains(number)), "{numbers:?}");
    assert!(numbers.contains(&23), "there were files enough: {numbers:?}");

    bench.settled();
    for (index, done) in done.iter().enumerate() {
        let name = format!("f{index}");
        let (before, after) = match index < CHANGED {
            true => (Some(&old), &new),
            false => (None, &streamed),
        };
        let stored = bench.stored(&name);
        let is_new = stored.as_ref() == Some(after);
        assert!(is_new || (done.is_err() && stored.as_ref() == before), "{name}: {done:?}");
        let file = File::create(bench.path(&name)).unwrap();
        file.write_all_at(after, 0).unwrap();
        file.sync_all().unwrap_or_else(|error| panic!("{name}: {error}"));
        drop(file);
        assert!(bench.stored(&name).as_ref() == Some(after), "{name}");
    }
    bench.end();
}
