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

/// An attempt that gets no answer is given up after this, and made again, for two minutes.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Who is killed is gone within this, measured from the signal: at the best of [`TRIES`] on a machine that is busy
/// with other tests.
const AT_ONCE: Duration = Duration::from_secs(1);
const TRIES: usize = 3;

/// What is waited for happens within this, or never.
const AT_ALL: Duration = Duration::from_secs(60);

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
        assert!(began.elapsed() < AT_ALL, "{operation} does not wait: {status:#}");
        std::thread::yield_now();
    }
}

/// Kills a program that is known to wait. Says how long it took to go.
fn kill(child: &mut Child, signal: Signal, what: &str) -> Duration {
    kill_process(Pid::from_child(child), signal).unwrap();
    let killed = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(killed.elapsed() < AT_ALL, "{what} is not gone");
        std::thread::sleep(Duration::from_millis(1));
    }
    killed.elapsed()
}

/// Does something to the end that kills a program, until that was gone at once.
fn at_once(what: &str, mut kills: impl FnMut() -> Duration) {
    let mut took = Vec::new();
    for _ in 0..TRIES {
        took.push(kills());
        if took.last().is_some_and(|last| *last <= AT_ONCE) {
            eprintln!("{what}: {took:.0?}");
            return;
        }
    }
    panic!("{what}: it takes {took:.0?} to be gone");
}

/// Requests that get no answer, what waits for that, and a program that asks for it.
type Case = (Operation, &'static str, &'static str);

/// Kills programs in each of these calls, and looks whether others go on.
fn are_gone_at_once(setup: Setup, cases: &[Case]) {
    let Some(mut mounted) = Mounted::new(setup) else { return };
    std::fs::create_dir(mounted.path("dir")).unwrap();
    for name in ["dir/read", "dir/other", "dir/moved", "dir/cut", "dir/gone"] {
        std::fs::write(mounted.path(name), pattern(1, PART)).unwrap();
    }
    std::os::unix::fs::symlink("target", mounted.path("link")).unwrap();
    for (stalled, operation, script) in cases {
        for signal in [Signal::KILL, Signal::TERM] {
            mounted.remount();
            at_once(&format!("{operation}, {signal:?}"), || {
                let mut program = Program::start(&mounted, script, 0);
                program.until_ready();
                stall(&mounted, *stalled);
                program.go();
                until_waiting(&mounted, operation);
                let took = kill(&mut program.child, signal, operation);
                mounted.server.faults().disarm();
                took
            });
        }
        // Others go on.
        let other = std::fs::read(mounted.path("dir/other")).unwrap();
        assert!(other == pattern(1, PART), "{operation}");
        assert_eq!(mounted.object("new"), None);
    }
}

// The kernel keeps everybody from new names of a directory while one is made, removed or renamed in it: none of that
// happens beside the status file.
#[test]
fn who_is_killed_while_it_waits_is_gone_at_once() {
    use Operation::{Copy, Delete, Get, Head, List, Put, PutPart};
    are_gone_at_once(
        setup(),
        &[
            (Get, "read", "open(F, '<', 'dir/read') or die; wait_here(); sysread(F, my $x, 9)"),
            (List, "readdir", "opendir(D, 'dir') or die; wait_here(); my @all = readdir(D)"),
            (Head, "lookup", "wait_here(); stat(\"nothing$$\")"),
            // The answer to a lookup holds for an open for 50 ms.
            (
                Head,
                "open",
                "stat('dir/read'); select(undef, undef, undef, 0.1); wait_here(); \
                 open(F, '<', 'dir/read')",
            ),
            (PutPart, "write", "open(F, '>', 'new') or die; wait_here(); fill(F, 64 << 20)"),
            (Put, "mkdir", "wait_here(); mkdir(\"dir/made$$\") or die $!"),
            (Put, "symlink", "wait_here(); symlink('target', \"dir/link$$\") or die $!"),
            (Get, "readlink", "wait_here(); readlink('link') or die $!"),
            (Get, "setattr", "wait_here(); truncate('dir/cut', 100 + $$) or die $!"),
            (Copy, "rename", "wait_here(); rename('dir/moved', \"dir/moved$$\") or die $!"),
            (
                Delete,
                "unlink",
                "open(F, '>', \"dir/$$\"); close(F); wait_here(); unlink(\"dir/$$\") or die $!",
            ),
            (
                Delete,
                "rmdir",
                "mkdir(\"dir/gone$$\") or die $!; wait_here(); rmdir(\"dir/gone$$\") or die $!",
            ),
        ],
    );
}

/// Nothing is believed, so that attributes are asked for.
#[test]
fn who_is_killed_while_it_waits_for_attributes_is_gone_at_once() {
    are_gone_at_once(
        Setup { attr_ttl: Duration::ZERO, ..setup() },
        &[
            (Operation::Head, "getattr", "open(F, '<', 'dir/read') or die; wait_here(); stat(F)"),
            (
                Operation::Head,
                "setattr",
                "open(F, '<', 'dir/read') or die; wait_here(); chmod(0600, *F)",
            ),
        ],
    );
}

#[test]
fn a_close_whose_caller_is_killed_goes_on() {
    let Some(mounted) = Mounted::new(setup()) else { return };
    for (operation, call) in [("close", "close(F)"), ("fsync", "F->sync")] {
        for (stalled, bytes) in [(Operation::PutPart, PART + 5), (Operation::Put, 5)] {
            let mut tried = 0;
            at_once(&format!("{operation} of {bytes} bytes"), || {
                tried += 1;
                let name = format!("{operation}-{bytes}-{tried}");
                let script = format!(
                    "use IO::Handle; open(F, '>', '{name}') or die; fill(F, $n); wait_here(); {call}"
                );
                let mut program = Program::start(&mounted, &script, bytes);
                program.until_ready();
                stall(&mounted, stalled);
                program.go();
                until_waiting(&mounted, operation);
                let took = kill(&mut program.child, Signal::KILL, operation);
                assert_eq!(mounted.object(&name), None);
                mounted.server.faults().disarm();
                mounted.settled();
                let stored = mounted.object(&name).unwrap();
                assert!(stored == vec![b'x'; bytes], "{name}: its bytes were complete");
                took
            });
        }
    }
}

#[test]
fn other_files_and_other_mounts_go_on_while_some_get_no_answer() {
    let Some(mounted) = Mounted::new(setup()) else { return };
    let elsewhere = Mounted::new(setup()).unwrap();
    std::fs::write(mounted.path("stuck-read"), pattern(1, PART)).unwrap();
    let scripts = [
        ("read", "open(F, '<', 'stuck-read') or die; wait_here(); sysread(F, my $x, 9)"),
        ("close", "open(F, '>', 'stuck-close') or die; fill(F, 5); wait_here(); close(F)"),
    ];
    let mut programs = scripts.map(|(operation, script)| {
        let mut program = Program::start(&mounted, script, 0);
        program.until_ready();
        (operation, program)
    });
    for operation in [Operation::Get, Operation::Put] {
        let rule = FaultRule::new(Action::Stall).on(operation).key("stuck-*").times(u32::MAX);
        mounted.server.faults().add(rule);
    }
    for (operation, program) in &mut programs {
        program.go();
        until_waiting(&mounted, operation);
    }
    for mount in [&mounted, &elsewhere] {
        let began = Instant::now();
        mount.sh("mkdir d && echo small > d/small && head -c 3000000 /dev/zero > d/large && mv d/small d/s \
                  && cmp d/large <(head -c 3000000 /dev/zero) && [ \"$(ls d)\" = $'large\\ns' ] && rm -r d");
        eprintln!("the others: {:.0?}", began.elapsed());
    }
    for (operation, program) in &mut programs {
        until_waiting(&mounted, operation);
        kill(&mut program.child, Signal::KILL, operation);
    }
}

#[test]
fn a_close_that_fails_after_its_caller_was_killed_is_told_to_the_next_open() {
    let Some(mounted) = Mounted::new(setup()) else { return };
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
    let Some(mounted) = Mounted::new(setup()) else { return };
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
