//! Processes that are killed while they write, on a real mount: half a file is not published.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use partfs::fs::OnWriterKilled;
use partfs::mock::{Action, FaultRule};
use partfs::store::Operation;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::mount::{Mounted, Setup};
use crate::world::pattern;

const PART: usize = 1 << 20;

/// A program in perl that says "ready" and then does nothing until it is told to go on.
pub(super) struct Program {
    pub(super) child: Child,
    said: BufReader<std::process::ChildStdout>,
    input: ChildStdin,
}

impl Program {
    /// `$n` is a number of bytes, `wait_here()` says that it is ready and waits.
    pub(super) fn start(mounted: &Mounted, script: &str, bytes: usize) -> Self {
        let whole = format!(
            "$| = 1; my $n = {bytes}; \
             sub fill {{ my ($f, $n) = @_; while ($n > 0) {{ \
                 $n -= (syswrite($f, 'x' x ($n > 65536 ? 65536 : $n)) || die $!) }} }} \
             sub wait_here {{ print \"ready\\n\"; sysread(STDIN, my $x, 1) }} \
             {script}"
        );
        // No core file of who is killed by SIGSEGV.
        let mut child = Command::new("bash")
            .args(["-c", "ulimit -c 0; exec perl -e \"$0\"", &whole])
            .current_dir(mounted.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take().unwrap();
        Self { child, said, input }
    }

    pub(super) fn until_ready(&mut self) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
    }

    fn kill(&mut self, signal: Signal) {
        self.until_ready();
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(signal.as_raw()));
    }

    pub(super) fn go(&mut self) {
        self.input.write_all(b"\n").unwrap();
    }

    fn go_on(&mut self) {
        self.until_ready();
        self.go();
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }
}

const WRITE: &str = "open(F, '>', 'f') or die; fill(F, $n); wait_here()";

fn killed_writers(mounted: &Mounted) -> u64 {
    let status = std::fs::read(mounted.path(".partfs/status.json")).unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
    status["killed_writers"].as_u64().unwrap()
}

// OOM: the kernel kills by SIGKILL, so that case is the first signal here.
#[test]
fn a_killed_writer_publishes_nothing_and_the_old_object_stays() {
    let Some(mut mounted) = Mounted::new(Setup::default()) else { return };
    std::fs::write(mounted.path("f"), "old").unwrap();
    let mut killed = 0;
    for signal in [Signal::KILL, Signal::TERM, Signal::SEGV] {
        for bytes in [0, PART - 1, PART, 3 * PART + 1] {
            let what = format!("{bytes} bytes, {signal:?}");
            Program::start(&mounted, WRITE, bytes).kill(signal);
            mounted.settled();
            assert_eq!(mounted.object("f").as_deref(), Some(&b"old"[..]), "{what}");
            assert_eq!(std::fs::read(mounted.path("f")).unwrap(), b"old", "{what}");
            assert_eq!(std::fs::metadata(mounted.path("f")).unwrap().len(), 3, "{what}");
            killed += 1;
            assert_eq!(killed_writers(&mounted), killed, "{what}");
        }
    }
    mounted.unmount();
    assert_eq!(mounted.open_uploads(), 0);
}

#[test]
fn a_new_file_of_a_killed_writer_does_not_appear_and_can_be_written_again() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    for (signal, bytes) in [(Signal::KILL, 0), (Signal::TERM, 10), (Signal::KILL, 3 * PART + 1)] {
        Program::start(&mounted, WRITE, bytes).kill(signal);
        mounted.settled();
        assert_eq!(mounted.keys(), [] as [String; 0], "{bytes} bytes, {signal:?}");
        assert!(std::fs::File::open(mounted.path("f")).is_err(), "{bytes} bytes, {signal:?}");
        // Who comes right after it starts anew.
        std::fs::write(mounted.path("f"), pattern(1, 2 * PART)).unwrap();
        assert!(mounted.object("f").unwrap() == pattern(1, 2 * PART));
        std::fs::remove_file(mounted.path("f")).unwrap();
    }
}

#[test]
fn changes_of_a_large_object_by_a_killed_writer_are_not_published() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let old = pattern(2, 3 * PART);
    std::fs::write(mounted.path("f"), &old).unwrap();
    for script in [
        "open(F, '+<', 'f') or die; seek(F, 2000000, 0); fill(F, $n); wait_here()",
        "open(F, '>>', 'f') or die; fill(F, $n); wait_here()",
        "open(F, '+<', 'f') or die; truncate(F, 100); wait_here()",
    ] {
        Program::start(&mounted, script, 2 * PART).kill(Signal::KILL);
        mounted.settled();
        assert!(mounted.object("f").unwrap() == old, "{script}");
        assert!(std::fs::read(mounted.path("f")).unwrap() == old, "{script}");
    }
    assert_eq!(killed_writers(&mounted), 3);
}

#[test]
fn what_a_killed_writer_had_published_stays() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    let script = "use IO::Handle; open(F, '>', 'f') or die; fill(F, $n); F->sync or die; fill(F, 5); \
                  wait_here()";
    for bytes in [3, 2 * PART + 1] {
        Program::start(&mounted, script, bytes).kill(Signal::KILL);
        mounted.settled();
        assert!(mounted.object("f").unwrap() == vec![b'x'; bytes], "{bytes}: as fsync left it");
        assert!(std::fs::read(mounted.path("f")).unwrap() == vec![b'x'; bytes], "{bytes}");
        std::fs::remove_file(mounted.path("f")).unwrap();
    }
}

#[test]
fn who_ends_without_close_publishes() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    for (script, bytes) in [
        (
            "use POSIX; open(F, '>', 'f') or die; fill(F, $n); wait_here(); POSIX::_exit(0)",
            PART + 1,
        ),
        // With a handler it is an end like others.
        (
            "$SIG{TERM} = sub { exit 0 }; open(F, '>', 'f') or die; fill(F, $n); kill TERM => $$; \
          wait_here()",
            3,
        ),
    ] {
        let mut program = Program::start(&mounted, script, bytes);
        if bytes > 3 {
            program.go_on();
        } else {
            assert!(program.child.wait().unwrap().success());
        }
        mounted.settled();
        assert!(mounted.object("f").unwrap() == vec![b'x'; bytes], "{script}");
    }
    assert_eq!(killed_writers(&mounted), 0);
}

#[test]
fn a_program_with_threads_that_ends_by_itself_was_not_killed() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    // The kernel kills the other threads, and one of them may be the last to have the file.
    let script = "
import threading, time
for i in range(50):
    pid = os.fork()
    if pid == 0:
        file = os.open('f%d' % i, os.O_WRONLY | os.O_CREAT)
        for _ in range(8):
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        os.write(file, b'whole')
        os._exit(0)
    os.waitpid(pid, 0)";
    mounted.python(script);
    mounted.settled();
    assert_eq!(mounted.keys().len(), 50);
    assert_eq!(killed_writers(&mounted), 0);
}

#[test]
fn a_killed_child_does_not_take_the_file_from_its_parent() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    mounted.sh("{ echo a; bash -c 'echo b; kill -9 $$'; echo c; } > f 2> /dev/null");
    assert_eq!(mounted.object("f").unwrap(), b"a\nb\nc\n");
    // Nor does a killed parent take it from its child.
    let script = "open(F, '>', 'g') or die; syswrite(F, 'parent '); \
        if (fork() == 0) { sysread(STDIN, my $x, 1); syswrite(F, 'child'); close(F) or die; exit(0) } \
        wait_here()";
    // The parent waits for input, too, but is killed before there is any.
    let script = script.replace("wait_here()", "print \"ready\\n\"; sleep(1000)");
    let mut program = Program::start(&mounted, &script, 0);
    program.kill(Signal::KILL);
    assert_eq!(mounted.object("g"), None);
    program.go();
    // Ends with the last process that has it.
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut program.said, &mut rest).unwrap();
    mounted.settled();
    assert_eq!(mounted.object("g").unwrap(), b"parent child");
    assert_eq!(killed_writers(&mounted), 0);
}

#[test]
fn a_killed_writer_is_published_where_that_is_wanted() {
    let setup = Setup { on_writer_killed: OnWriterKilled::Publish, ..Setup::default() };
    let Some(mounted) = Mounted::new(setup) else { return };
    for bytes in [10, 3 * PART + 1] {
        Program::start(&mounted, WRITE, bytes).kill(Signal::KILL);
        mounted.settled();
        assert!(mounted.object("f").unwrap() == vec![b'x'; bytes]);
    }
    assert_eq!(killed_writers(&mounted), 0);
}

#[test]
fn a_killed_writer_is_gone_at_once_though_the_service_is_silent() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    std::fs::write(mounted.path("f"), "old").unwrap();
    let stall = FaultRule::new(Action::Stall).on(Operation::PutPart).times(u32::MAX);
    let stalled = mounted.server.faults().add(stall);
    let mut program = Program::start(&mounted, WRITE, 3 * PART + 1);
    program.kill(Signal::KILL);
    assert!(mounted.server.faults().fired(stalled) > 0, "parts were on their way");
    mounted.server.faults().disarm();
    mounted.settled();
    assert_eq!(std::fs::read(mounted.path("f")).unwrap(), b"old");
    assert_eq!(mounted.object("f").unwrap(), b"old");
}

/// In execve the kernel closes descriptors with a lock held for which readers of `/proc/PID/stat` wait.
#[test]
fn a_descriptor_that_exec_closes_keeps_nobody_waiting() {
    let Some(mounted) = Mounted::new(Setup::default()) else { return };
    mounted.python(
        "import subprocess
f = open('file', 'wb', 0)
f.write(b'one ')
for _ in range(20):
    assert subprocess.run(['true'], close_fds=False).returncode == 0
f.write(b'two')
f.close()",
    );
    assert_eq!(mounted.object("file").unwrap(), b"one two");
    assert_eq!(killed_writers(&mounted), 0);
}
