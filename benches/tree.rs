//! How long a tree of many files takes: copied into a mount by rsync, looked at, compared, removed;
//! and how many requests that costs. Compared with the same commands in memory. benches/README.md
//! says how to run it and what the figures mean.

mod rig;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use rig::Outcome;
use rig::figures::{Spread, mib};
use rig::memory::{MemoryFolder, fill};
use rig::mock::Mock;
use rig::mounted::Mounted;
use rig::requests::Requests;
use rig::watched::Watched;

/// Where the toolchain keeps a tree of a few thousand files.
const DEFAULT_TREE: &str = "share/doc/rust/html/std";

/// Nothing: what a mount costs by itself.
const IDLE: &str = "mount and unmount";
const COPY: &str = "rsync -a, into nothing";
const AGAIN: &str = "rsync -a, once more";
const COMPARE: &str = "rsync -a --checksum, compare";

fn main() -> ExitCode {
    rig::run("tree", measure, small)
}

fn measure() -> Outcome {
    let rounds = rig::setting("PARTFS_BENCH_ROUNDS", 1.0)? as usize;
    let tree = tree()?;
    println!("tree: {}, {rounds} rounds, {}", tree.display(), rig::build());
    // The first round does not count: it touches memory for the first time, which in a virtual
    // machine takes many times as long as ever after.
    let mut all = all_rounds(&tree, 1 + rounds.max(1))?;
    all.rounds.remove(0);
    report(&all);
    Ok(())
}

fn small() -> Outcome {
    let tree = tempfile::TempDir::new()?;
    for folder in ["a", "a/b", "c"] {
        let folder = tree.path().join(folder);
        fs::create_dir(&folder)?;
        for (number, bytes) in [0, 1, 5000, 300_000].into_iter().enumerate() {
            fill(&folder.join(format!("file {number}")), bytes)?;
        }
        symlink("file 1", folder.join("link"))?;
    }
    report(&all_rounds(tree.path(), 1)?);
    Ok(())
}

/// The tree to copy.
fn tree() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("PARTFS_BENCH_TREE") {
        return Ok(PathBuf::from(path).canonicalize()?);
    }
    let printed = rig::timed(Command::new("rustc").args(["--print", "sysroot"]))?.1;
    let tree = Path::new(printed.trim()).join(DEFAULT_TREE);
    if tree.is_dir() {
        return Ok(tree);
    }
    Err(format!("{} is not installed; name a tree with PARTFS_BENCH_TREE", tree.display()).into())
}

/// What there is in a tree.
struct Size {
    files: u64,
    bytes: u64,
}

impl Size {
    fn of(dir: &Path) -> Outcome<Self> {
        let mut size = Self { files: 0, bytes: 0 };
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                let inside = Self::of(&entry.path())?;
                size.files += inside.files;
                size.bytes += inside.bytes;
            } else {
                size.files += 1;
                size.bytes += entry.metadata()?.len();
            }
        }
        Ok(size)
    }
}

/// One command, in memory and in a mount.
struct Phase {
    name: &'static str,
    plain: Duration,
    mounted: Watched,
    requests: Requests,
}

struct Rounds {
    size: Size,
    rounds: Vec<Vec<Phase>>,
}

fn all_rounds(source: &Path, rounds: usize) -> Outcome<Rounds> {
    let size = Size::of(source)?;
    // The tree, its plain copy and the bucket; each file takes whole pages, and two in the bucket.
    let folder = MemoryFolder::new(3 * size.bytes + size.files * (32 << 10) + (1 << 30))?;
    // From memory: the first read of the source would measure a disk.
    rsync(&[], source, &folder.join("tree"))?;
    let rounds = (0..rounds).map(|_| round(&folder)).collect::<Outcome<_>>()?;
    Ok(Rounds { size, rounds })
}

fn round(folder: &MemoryFolder) -> Outcome<Vec<Phase>> {
    let [tree, copy, bucket] = ["tree", "copy", "bucket"].map(|name| folder.join(name));
    let mut phases = Vec::new();
    let mut phase = |name, work: &dyn Fn(&Path) -> Outcome<Duration>| -> Outcome {
        let plain = work(&copy)?;
        // The mock counts up to its end, so each phase has one of its own over the same folder, and a
        // mount that knows nothing yet.
        let mock = Mock::start(Some(&bucket))?;
        let mount = Mounted::new(&mock)?;
        let mounted = Watched::new(&mount, &mock, || work(&mount.join("copy")))?;
        mount.unmount()?;
        phases.push(Phase { name, plain, mounted, requests: mock.stop()? });
        Ok(())
    };
    phase(IDLE, &|_| Ok(Duration::ZERO))?;
    phase(COPY, &|to| Ok(rsync(&[], &tree, to)?.0))?;
    phase(AGAIN, &|to| {
        let (took, sent) = rsync(&["--out-format=%i %n"], &tree, to)?;
        must_be_empty("the second rsync finds changes", &sent)?;
        Ok(took)
    })?;
    phase("ls -lR", &|at| run(Command::new("ls").arg("-lR").arg(at)))?;
    phase("find", &|at| run(Command::new("find").arg(at)))?;
    phase(COMPARE, &|at| {
        let options = ["--checksum", "--delete", "--dry-run", "--out-format=%i %n"];
        let (took, different) = rsync(&options, &tree, at)?;
        must_be_empty("the copy differs", &different)?;
        Ok(took)
    })?;
    phase("rm -r", &|at| run(Command::new("rm").arg("-r").arg(at)))?;
    Ok(phases)
}

fn run(command: &mut Command) -> Outcome<Duration> {
    Ok(rig::timed(command)?.0)
}

/// `rsync -a` of what is in a folder.
fn rsync(options: &[&str], from: &Path, to: &Path) -> Outcome<(Duration, String)> {
    let mut command = Command::new("rsync");
    rig::timed(command.arg("-a").args(options).arg(from.join("")).arg(to.join("")))
}

fn must_be_empty(what: &str, listed: &str) -> Outcome {
    let first: Vec<&str> = listed.lines().take(5).collect();
    let more = listed.lines().count();
    if first.is_empty() { Ok(()) } else { Err(format!("{what} ({more}): {first:?}").into()) }
}

fn report(Rounds { size, rounds }: &Rounds) {
    println!("{} files, {:.0} MiB; all figures: min / median / max", size.files, mib(size.bytes));
    let Some(last) = rounds.last() else { return };
    let own = last.iter().find(|phase| phase.name == IDLE).map(|phase| phase.requests.total());
    for phase in last {
        if phase.name == IDLE {
            println!("{IDLE}: requests: {}", phase.requests);
            continue;
        }
        let same = || rounds.iter().flatten().filter(|other| other.name == phase.name);
        let spread = |figure: &dyn Fn(&Phase) -> f64| Spread::of(same().map(figure));
        let took = spread(&|phase| phase.mounted.took.as_secs_f64());
        let plain = spread(&|phase| phase.plain.as_secs_f64());
        let ratio = spread(&|phase| {
            phase.mounted.took.as_secs_f64() / phase.plain.as_secs_f64().max(f64::MIN_POSITIVE)
        });
        let speed = spread(&|phase| size.files as f64 / phase.mounted.took.as_secs_f64());
        let daemon = spread(&|phase| phase.mounted.daemon.total());
        let mock = spread(&|phase| phase.mounted.mock.total());
        let peak = spread(&|phase| mib(phase.mounted.peak_bytes));
        println!("{}: {took:.2} s; in memory {plain:.2} s", phase.name);
        println!("    times as long as in memory: {ratio:.1}; files per second: {speed}");
        println!("    processor seconds: daemon {daemon:.2}; mock {mock:.2}");
        println!("    peak memory of the daemon: {peak} MiB");
        if phase.requests.total() == 0 {
            continue;
        }
        let of_work = phase.requests.total().saturating_sub(own.unwrap_or(0));
        let per_file = of_work as f64 / size.files as f64;
        println!("    requests: {of_work}, {per_file:.2} per file ({})", phase.requests);
    }
}
