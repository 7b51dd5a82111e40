//! How fast one large file goes into a mount and out of it, compared with `cp` from memory to memory
//! in the same round. benches/README.md says how to run it and what the figures mean.

mod rig;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rig::Outcome;
use rig::figures::{Spread, mib};
use rig::memory::{MemoryFolder, fill};
use rig::mock::Mock;
use rig::mounted::Mounted;
use rig::requests::Requests;
use rig::watched::Watched;

fn main() -> ExitCode {
    rig::run("throughput", measure, small)
}

fn measure() -> Outcome {
    let bytes = (rig::setting("PARTFS_BENCH_GIB", 4.0)? * f64::from(1 << 30)) as u64;
    let rounds = rig::setting("PARTFS_BENCH_ROUNDS", 3.0)? as usize;
    println!("throughput: one file of {:.0} MiB, {rounds} rounds, {}", mib(bytes), rig::build());
    // One round more, which does not count: memory that a virtual machine has never touched is many
    // times slower at the first touch than ever after.
    let mut all = all_rounds(bytes, 1 + rounds.max(1))?;
    all.remove(0);
    report(bytes, &all);
    Ok(())
}

/// Small, but large enough for a multipart upload and more than one ranged read.
fn small() -> Outcome {
    let bytes = (20 << 20) + 7;
    let rounds = all_rounds(bytes, 1)?;
    assert!(rounds.iter().all(|round| round.write.peak_bytes > 0 && round.read.peak_bytes > 0));
    report(bytes, &rounds);
    Ok(())
}

/// One round.
struct Round {
    plain: Duration,
    write: Watched,
    read: Watched,
    requests: Requests,
}

fn all_rounds(bytes: u64, rounds: usize) -> Outcome<Vec<Round>> {
    // The source, the copy and, in the mock, the object; a part in flight here and there.
    let folder = MemoryFolder::new(3 * bytes + (1 << 30))?;
    fill(&folder.join("source"), bytes)?;
    (0..rounds).map(|_| round(&folder)).collect()
}

fn round(folder: &MemoryFolder) -> Outcome<Round> {
    let [source, copy] = ["source", "copy"].map(|name| folder.join(name));
    let plain = cp(&source, &copy)?;
    fs::remove_file(&copy)?;

    let mock = Mock::start(None)?;
    let mounted = Mounted::new(&mock)?;
    let write = Watched::new(&mounted, &mock, || cp(&source, &mounted.join("file")))?;
    // A new mount reads: neither the kernel nor a daemon has kept anything of the file.
    mounted.unmount()?;
    let mounted = Mounted::new(&mock)?;
    let read = Watched::new(&mounted, &mock, || cp(&mounted.join("file"), &copy))?;
    mounted.unmount()?;

    check_same(&source, &copy)?;
    fs::remove_file(&copy)?;
    Ok(Round { plain, write, read, requests: mock.stop()? })
}

fn cp(from: &Path, to: &Path) -> Outcome<Duration> {
    Ok(rig::timed(Command::new("cp").arg(from).arg(to))?.0)
}

/// Fails unless both files hold the same bytes.
fn check_same(one: &Path, other: &Path) -> Outcome {
    let [mut first, mut second] = [File::open(one)?, File::open(other)?];
    if first.metadata()?.len() != second.metadata()?.len() {
        return Err(format!("{} and {} differ in size", one.display(), other.display()).into());
    }
    let [mut a, mut b] = [vec![0; 1 << 20], vec![0; 1 << 20]];
    loop {
        let len = first.read(&mut a)?;
        if len == 0 {
            return Ok(());
        }
        second.read_exact(&mut b[..len])?;
        if a[..len] != b[..len] {
            return Err(format!("{} and {} differ", one.display(), other.display()).into());
        }
    }
}

fn report(bytes: u64, rounds: &[Round]) {
    println!("all figures: min / median / max");
    let speed = |took: Duration| mib(bytes) / took.as_secs_f64();
    let plain = Spread::of(rounds.iter().map(|round| speed(round.plain)));
    println!("cp memory to memory: {plain} MiB/s");
    report_copies("cp memory to mount", bytes, rounds, |round| &round.write);
    report_copies("cp mount to memory", bytes, rounds, |round| &round.read);
    if let Some(round) = rounds.last() {
        let Round { requests, .. } = round;
        println!("requests of a round, two mounts: {}: {requests}", requests.total());
    }
}

fn report_copies(name: &str, bytes: u64, rounds: &[Round], copy: fn(&Round) -> &Watched) {
    let spread = |figure: &dyn Fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
    let gib = mib(bytes) / 1024.0;
    let speed = spread(&|round| mib(bytes) / copy(round).took.as_secs_f64());
    let ratio = spread(&|round| round.plain.as_secs_f64() / copy(round).took.as_secs_f64());
    let daemon = spread(&|round| copy(round).daemon.total() / gib);
    let user = spread(&|round| copy(round).daemon.user / gib);
    let mock = spread(&|round| copy(round).mock.total() / gib);
    let peak = spread(&|round| mib(copy(round).peak_bytes));
    println!("{name}: {speed} MiB/s");
    println!("    of the plain cp of its round: {ratio:.3}");
    println!("    processor seconds per GiB: daemon {daemon:.2} (user {user:.2}); mock {mock:.2}");
    println!("    peak memory of the daemon: {peak} MiB");
}
