//! The disk under the daemon fails, fills up or goes away: what is written through it fails with the right number, the
//! object at the key is the old or the new one, and everything else goes on.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_remount};
use rustix::process::{Pid, Signal, kill_process};

use super::bench::Bench;
use super::limits::SmallDisk;
use crate::cli::place::able_to;
use crate::world::mount::can_run;
use crate::world::pattern;

const MIB: usize = 1 << 20;

/// strace at the daemon, which makes its system calls fail.
struct Strace {
    child: Child,
    log: PathBuf,
}

impl Strace {
    /// `rule` is what strace's `inject` takes, `pwrite64:error=EIO:when=2+`; it counts for each thread of the
    /// daemon. `None` where processes may not be traced.
    fn attach(bench: &Bench, rule: &str) -> Option<Self> {
        let log = bench.own().join(format!("strace-{}", rule.replace([':', ','], "-")));
        let calls = rule.split(':').next().unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-e", &format!("trace={calls}"), "-e", &format!("inject={rule}")]);
        command.args(["-p", &bench.daemon().as_raw_pid().to_string(), "-o"]).arg(&log);
        // It talks all the time: a pipe that nobody reads would end it.
        let said = File::create(log.with_extension("said")).unwrap();
        let mut child = command.stdin(Stdio::null()).stderr(said).spawn().unwrap();
        while !is_traced(bench.daemon()) {
            if child.try_wait().unwrap().is_some() {
                let said = fs::read_to_string(log.with_extension("said")).unwrap();
                able_to(&format!("trace a process: {said}"), false);
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Some(Self { child, log })
    }

    /// Lets the daemon go; how often a call was made to fail.
    fn detach(mut self) -> usize {
        self.let_go();
        fs::read_to_string(&self.log).unwrap().matches("(INJECTED)").count()
    }

    fn let_go(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// By SIGINT, never SIGKILL: that would leave the threads it has stopped as they are.
impl Drop for Strace {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Whether all threads are.
fn is_traced(daemon: Pid) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.as_raw_pid())).unwrap();
    tasks.into_iter().all(|task| {
        // One that has ended meanwhile need not be.
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    })
}

fn errno(result: &io::Result<()>) -> Option<i32> {
    result.as_ref().err().map(|error| error.raw_os_error().unwrap())
}

/// What a program did to a file, and what it believes to be in it by what it was told.
struct Program {
    file: File,
    content: Vec<u8>,
}

impl Program {
    fn over(bench: &Bench, content: &[u8]) -> Self {
        Self { file: bench.open("f").unwrap(), content: content.to_vec() }
    }

    fn write(&mut self, at: usize, len: usize) -> io::Result<()> {
        let data = pattern(at as u64 + 77, len);
        self.file.write_all_at(&data, at as u64)?;
        self.content.resize(self.content.len().max(at + len), 0);
        self.content[at..at + len].copy_from_slice(&data);
        Ok(())
    }

    fn cut(&mut self, len: usize) -> io::Result<()> {
        self.file.set_len(len as u64)?;
        self.content.resize(len, 0);
        Ok(())
    }

    fn read(&self, at: usize, len: usize) -> io::Result<()> {
        let mut data = vec![0; len];
        self.file.read_exact_at(&mut data, at as u64)?;
        assert!(data == self.content[at..at + len], "other bytes than were written, at {at}");
        Ok(())
    }
}

/// What is done while the disk fails, up to the first error.
type Work = fn(&mut Program) -> io::Result<()>;

fn many_writes(program: &mut Program) -> io::Result<()> {
    (0..MIB + MIB / 2).step_by(64 << 10).try_for_each(|at| program.write(at, 64 << 10))
}

fn write_and_read(program: &mut Program) -> io::Result<()> {
    program.write(5000, 300_000)?;
    (5000..300_000).step_by(50_000).try_for_each(|at| program.read(at, 4000))
}

fn write_and_cut(program: &mut Program) -> io::Result<()> {
    program.write(MIB, MIB / 2)?;
    program.cut(MIB + 5)?;
    program.write(MIB + 5000, 5)
}

fn write_only(program: &mut Program) -> io::Result<()> {
    program.write(5000, MIB)
}

/// What becomes of the file that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// There was no room, and there is room again when it is closed: what was taken before is published.
    Goes,
    /// There is no room at the close either, which needs some: that fails, for good.
    Full,
    /// Nobody knows what the disk has kept: every later call is EIO.
    Sticks,
    /// The bytes cannot be read: the call that needs them is EIO, and the close for good.
    Unreadable,
}

#[test]
fn a_disk_that_fails_costs_the_change_and_nothing_else() {
    use Then::{Full, Goes, Sticks, Unreadable};
    if !can_run("strace") {
        return;
    }
    let Some(bench) = Bench::new("", &["--close-timeout", "20s"]) else { return };
    let old = pattern(1, 2 * MIB);
    let cases: [(&str, Work, Then); 14] = [
        ("pwrite64:error=ENOSPC:when=1+", many_writes, Goes),
        ("pwrite64:error=ENOSPC:when=2+", many_writes, Goes),
        ("pwrite64:error=ENOSPC:when=4+", many_writes, Goes),
        ("pwrite64:error=EDQUOT:when=2+", many_writes, Goes),
        ("pwrite64:error=ENOSPC:when=2+", many_writes, Full),
        ("pwrite64:error=ENOSPC:when=4+", many_writes, Full),
        ("pwrite64:error=EIO:when=1+", many_writes, Sticks),
        ("pwrite64:error=EIO:when=2+", many_writes, Sticks),
        ("pwrite64:error=EIO:when=4", many_writes, Sticks),
        ("pread64:error=EIO:when=1+", write_and_read, Unreadable),
        ("pread64:error=EIO:when=1+", write_only, Unreadable),
        ("pread64:error=EIO:when=2+", write_only, Unreadable),
        ("ftruncate:error=EIO:when=1+", write_and_cut, Sticks),
        ("ftruncate:error=EIO:when=2+", write_and_cut, Sticks),
    ];
    for (rule, work, then) in cases {
        let what = format!("{rule}, {then:?}");
        fs::write(bench.path("f"), &old).unwrap();
        let mut program = Program::over(&bench, &old);
        let Some(strace) = Strace::attach(&bench, rule) else { return };
        let failed = errno(&work(&mut program));
        let number = match then {
            Goes | Full => Errno::NOSPC,
            Sticks | Unreadable => Errno::IO,
        };
        let number = Some(number.raw_os_error());
        if then == Unreadable {
            assert!(failed.is_none() || failed == number, "{what}: {failed:?}");
        } else {
            assert_eq!(failed, number, "{what}");
        }
        if then == Sticks {
            assert_eq!(errno(&program.write(0, 5)), number, "{what}: a write after it");
        }
        let lasting = if then == Goes { None } else { number };
        if then != Goes {
            assert_eq!(errno(&program.file.sync_all()), lasting, "{what}: fsync");
        }
        assert!(strace.detach() > 0, "{what}: nothing was made to fail");
        // The disk is whole again; the file is not, once something was lost.
        assert_eq!(errno(&program.file.sync_all()), lasting, "{what}: a later fsync");
        let stored = bench.stored("f").unwrap();
        assert!(stored == *if then == Goes { &program.content } else { &old }, "{what}");
        drop(program);
        bench.settled();
        assert!(bench.stored("f").unwrap() == stored, "{what}: changed by the close");

        let mut again = Program::over(&bench, &stored);
        many_writes(&mut again).unwrap();
        again.cut(MIB + 5).unwrap();
        again.file.sync_all().unwrap();
        assert!(bench.stored("f").unwrap() == again.content, "{what}: again");
    }
    bench.end();
}

#[test]
fn a_record_that_cannot_be_synced_stops_nobody() {
    if !can_run("strace") {
        return;
    }
    let Some(bench) = Bench::new::<&str>("", &[]) else { return };
    for rule in ["fsync:error=EIO", "fdatasync:error=EIO", "fdatasync:error=ENOSPC"] {
        let Some(strace) = Strace::attach(&bench, rule) else { return };
        let data = pattern(9, 3 * MIB + rule.len());
        fs::write(bench.path("streamed"), &data).unwrap();
        assert!(bench.stored("streamed").unwrap() == data, "{rule}");
        assert!(strace.detach() > 0, "{rule}: nothing was made to fail");
    }
    bench.end();
}

/// A part that is being filled is on disk when there is little memory, and so is a whole file.
#[test]
fn a_new_file_whose_parts_go_through_a_disk_that_fails_is_not_published() {
    if !can_run("strace") {
        return;
    }
    let options = ["--memory-limit", "1MiB", "--close-timeout", "20s"];
    let Some(bench) = Bench::new("", &options) else { return };
    let data = pattern(3, 5 * MIB);
    for (rule, number) in [
        ("pwrite64:error=ENOSPC:when=1+", Errno::NOSPC),
        ("pwrite64:error=ENOSPC:when=8+", Errno::NOSPC),
        ("pwrite64:error=EIO:when=3", Errno::IO),
        ("pread64:error=EIO:when=1+", Errno::IO),
    ] {
        let Some(strace) = Strace::attach(&bench, rule) else { return };
        let written = File::create(bench.path("new")).and_then(|file| {
            file.write_all_at(&data, 0)?;
            file.sync_all()
        });
        assert_eq!(errno(&written), Some(number.raw_os_error()), "{rule}");
        assert!(strace.detach() > 0, "{rule}: nothing was made to fail");
        bench.settled();
        // Of ENOSPC the close has published what was taken before, as on a local disk.
        let stored = bench.stored("new");
        let taken = stored.as_deref().unwrap_or_default();
        assert!(data.starts_with(taken), "{rule}: {} other bytes", taken.len());
        assert!(stored.is_none() || number == Errno::NOSPC, "{rule}");
        fs::write(bench.path("new"), &data).unwrap();
        assert!(bench.stored("new").unwrap() == data, "{rule}: again");
        fs::remove_file(bench.path("new")).unwrap();
    }
    bench.end();
}

/// Before and while a staging directory is not there: one file that needs it, one whose bytes are in it already, and
/// one that does not need it.
fn without_staging(bench: &Bench, has_staged: bool, go: impl Fn(), back: impl Fn()) {
    let old = pattern(1, 2 * MIB);
    fs::write(bench.path("f"), &old).unwrap();
    fs::write(bench.path("staged"), &old).unwrap();
    let streamed = pattern(2, 4 * MIB);
    let stream = File::create(bench.path("streamed")).unwrap();
    stream.write_all_at(&streamed[..MIB + 5], 0).unwrap();
    let staged = has_staged.then(|| {
        let file = bench.open("staged").unwrap();
        file.write_all_at(b"before", 100).unwrap();
        file
    });
    let file = bench.open("f").unwrap();

    go();
    let eio = Some(Errno::IO.raw_os_error());
    for _ in 0..2 {
        assert_eq!(errno(&file.write_all_at(b"new", 7)), eio);
    }
    assert_eq!(errno(&file.sync_all()), None, "nothing was written");
    drop(file);
    assert!(bench.stored("f").unwrap() == old);
    assert!(fs::read(bench.path("f")).unwrap() == old);
    stream.write_all_at(&streamed[MIB + 5..], (MIB + 5) as u64).unwrap();
    stream.sync_all().unwrap();
    assert!(bench.stored("streamed").unwrap() == streamed);
    if let Some(file) = staged {
        file.write_all_at(b"after", 200).unwrap();
        file.sync_all().unwrap();
        let stored = bench.stored("staged").unwrap();
        assert_eq!((&stored[100..106], &stored[200..205]), (&b"before"[..], &b"after"[..]));
    }

    drop(stream);
    back();
    bench.open("f").unwrap().write_all_at(b"new", 7).unwrap();
    bench.settled();
    assert_eq!(&bench.stored("f").unwrap()[7..10], b"new");
}

#[test]
fn a_staging_dir_that_is_removed_fails_who_needs_it() {
    let dir = tempfile::TempDir::new().unwrap();
    let staging = dir.path().join("staging");
    // A confined daemon has the folder that was there when it began, and no other one of that name.
    let options =
        ["--sandbox".as_ref(), "off".as_ref(), "--staging-dir".as_ref(), staging.as_os_str()];
    let Some(bench) = Bench::new("", &options) else { return };
    without_staging(
        &bench,
        true,
        || fs::remove_dir_all(&staging).unwrap(),
        || fs::create_dir(&staging).unwrap(),
    );
    bench.end();
}

#[test]
fn a_staging_dir_that_becomes_read_only_fails_who_needs_it() {
    if !able_to("mount: it needs root", rustix::process::geteuid().is_root()) {
        return;
    }
    let Some(disk) = SmallDisk::new() else { return };
    let options = ["--staging-dir".as_ref(), disk.0.path().as_os_str()];
    let Some(bench) = Bench::new("", &options) else { return };
    let remount = |flags: MountFlags| {
        let flags = flags | MountFlags::NOSUID | MountFlags::NODEV;
        mount_remount(disk.0.path(), flags, c"").unwrap();
    };
    without_staging(
        &bench,
        // With a file that is open for writing it does not become read-only.
        false,
        || remount(MountFlags::RDONLY),
        || remount(MountFlags::empty()),
    );
    bench.end();
}

/// Uploads are remembered there; files do not depend on it.
#[test]
fn a_state_dir_that_is_full_or_gone_stops_nobody() {
    if !able_to("mount: it needs root", rustix::process::geteuid().is_root()) {
        return;
    }
    let Some(disk) = SmallDisk::new() else { return };
    let state = disk.0.path().join("state");
    let options = ["--state-dir".as_ref(), state.as_os_str()];
    let Some(bench) = Bench::new("", &options) else { return };
    let check = |what: &str| {
        let data = pattern(what.len() as u64, 3 * MIB + 1);
        fs::write(bench.path("f"), &data).unwrap();
        assert!(bench.stored("f").unwrap() == data, "{what}");
    };
    check("room");
    let filling = disk.0.path().join("filling");
    assert_eq!(fs::write(&filling, vec![1; 4 * MIB]).unwrap_err().raw_os_error(), Some(28));
    check("full");
    fs::remove_file(filling).unwrap();
    fs::remove_dir_all(&state).unwrap();
    check("gone");
    bench.end();
}
