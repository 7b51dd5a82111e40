//! Processes that are killed while they wait for a service that is silent, on a real mount: they are gone
//! at once, and what they had handed over goes on.

use std::process::{Child, Command};
use std::time::Duration;

use partfs::dialect::Timing;
use partfs::mock::{Action, FaultRule};
use partfs::store::Operation;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::killed_writers::Program;
use crate::world::mount::{Mounted, Setup};
use crate::world::pattern;

const PART: usize = 1 << 20;

/// An attempt that gets no answer is given up after this. Who is killed must not wait so long.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Generous, for machines that are busy, and far less than an attempt.
const AT_ONCE: Duration = Duration::from_secs(8);

fn setup() -> Setup {
    Setup {
        timing: Timing { attempt: ATTEMPT, ..Timing::default() },
        memory_limit_bytes: 8 << 20,
        ..Setup::default()
    }
}

fn stall(mounted: &Mounted, operation: Operation) {
    let rule = FaultRule::new(Action::Stall).on(operation).times(u32::MAX);
    mounted.server.faults().add(rule);
}

/// Waits until the status file shows that this operation waits.
fn until_waiting(mounted: &Mounted, operation: &str) {
    let began = Instant::now();
    loop {
        let status = std::fs::read(mounted.path(".partfs/status.json")).unwrap();
        let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
        let waiting = status["waiting"].as_array().unwrap();
        if waiting.iter().any(|wait| wait["operation"] == operation) {
            return;
        }
        assert!(began.elapsed() < ATTEMPT, "{operation} does not wait: {status:#}");
        std::thread::yield_now();
    }
}

fn kill(child: &mut Child, signal: Signal, what: &str) {
    kill_process(Pid::from_child(child), signal).unwrap();
    let killed = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(killed.elapsed() < AT_ONCE, "{what} is not gone");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn who_is_killed_while_it_waits_is_gone_at_once() {
    let Some(mut mounted) = Mounted::new(setup()) else { return };
    std::fs::create_dir(mounted.path("dir")).unwrap();
    for name in ["dir/read", "dir/other"] {
        std::fs::write(mounted.path(name), pattern(1, PART)).unwrap();
    }
    for (stalled, operation, script) in [
        (
            Operation::Get,
            "read",
            "open(F, '<', 'dir/read') or die; wait_here(); sysread(F, my $x, 9)",
        ),
        (Operation::List, "readdir", "opendir(D, 'dir') or die; wait_here(); my @all = readdir(D)"),
        (Operation::Head, "lookup", "wait_here(); stat('nothing')"),
        (Operation::PutPart, "write", "open(F, '>', 'new') or die; wait_here(); fill(F, 64 << 20)"),
        (Operation::Delete, "unlink", "wait_here(); unlink('dir/read')"),
        (Operation::Put, "mkdir", "wait_here(); mkdir('made')"),
    ] {
        mounted.remount();
        for signal in [Signal::KILL, Signal::TERM] {
            let mut program = Program::start(&mounted, script, 0);
            program.until_ready();
            stall(&mounted, stalled);
            program.go();
            until_waiting(&mounted, operation);
            kill(&mut program.child, signal, operation);
            mounted.server.faults().disarm();
        }
        // Others go on.
        let other = std::fs::read(mounted.path("dir/other")).unwrap();
        assert!(other == pattern(1, PART), "{operation}");
        assert_eq!(mounted.object("new"), None);
    }
}

#[test]
fn a_close_whose_caller_is_killed_goes_on() {
    let timing = Timing { attempt: Duration::from_secs(5), ..Timing::default() };
    let Some(mounted) = Mounted::new(Setup { timing, ..setup() }) else { return };
    for (stalled, bytes) in [(Operation::PutPart, PART + 5), (Operation::Put, 5)] {
        let name = format!("f{bytes}");
        let script = format!("open(F, '>', '{name}') or die; fill(F, $n); wait_here(); close(F)");
        let mut program = Program::start(&mounted, &script, bytes);
        program.until_ready();
        stall(&mounted, stalled);
        program.go();
        until_waiting(&mounted, "close");
        kill(&mut program.child, Signal::KILL, "close");
        assert_eq!(mounted.object(&name), None);
        mounted.server.faults().disarm();
        mounted.settled();
        assert!(mounted.object(&name).unwrap() == vec![b'x'; bytes], "its bytes were complete");
    }
}

#[test]
fn a_close_that_fails_after_its_caller_was_killed_is_told_to_the_next_open() {
    let timing = Timing { attempt: Duration::from_secs(5), ..Timing::default() };
    let Some(mounted) = Mounted::new(Setup { timing, ..setup() }) else { return };
    std::fs::write(mounted.path("f"), "old").unwrap();
    let script = "open(F, '>', 'f') or die; fill(F, 5); wait_here(); close(F)";
    let mut program = Program::start(&mounted, script, 0);
    program.until_ready();
    let faults = mounted.server.faults();
    faults.add(FaultRule::new(Action::Stall).on(Operation::Put));
    let refused = Action::Status(403, "AccessDenied".into());
    faults.add(FaultRule::new(refused).on(Operation::Put).skip(1).times(u32::MAX));
    program.go();
    until_waiting(&mounted, "close");
    kill(&mut program.child, Signal::KILL, "close");
    mounted.settled();
    assert_eq!(mounted.object("f").unwrap(), b"old");
    let error = std::fs::read(mounted.path("f")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    assert_eq!(std::fs::read(mounted.path("f")).unwrap(), b"old", "once");
}

#[test]
fn a_signal_with_a_handler_does_not_break_a_close_off() {
    let timing = Timing { attempt: Duration::from_secs(2), ..Timing::default() };
    let Some(mounted) = Mounted::new(Setup { timing, ..setup() }) else { return };
    mounted.server.faults().add(FaultRule::new(Action::Stall).on(Operation::Put));
    // Rings while the first attempt waits.
    let output = Command::new("perl")
        .arg("-e")
        .arg(
            "use Time::HiRes; my $rang = 0; $SIG{ALRM} = sub { $rang++ }; \
             open(F, '>', 'f') or die; syswrite(F, 'whole'); \
             Time::HiRes::ualarm(300_000, 300_000); \
             close(F) or die \"close: $!\"; $rang or die 'no signal came'",
        )
        .current_dir(mounted.root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(mounted.object("f").unwrap(), b"whole");
}
