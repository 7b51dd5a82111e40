//! The unit of the package under a service manager: ready, alive, stopped, dead and started again.

use std::fs::{self, File};
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use partfs::mock::{Action, FaultRule, MockDialect};
use partfs::store::Operation;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::manager::{Manager, WATCHDOG, would_restart};
use super::place::Bucket;
use crate::world::mount::can_run;
use crate::world::pattern;

const MIB: usize = 1 << 20;
/// Generous, for what must come.
const SOON: Duration = Duration::from_secs(40);

fn slow(bucket: &Bucket, action: Action, operation: Operation) {
    bucket.server.faults().add(FaultRule::new(action).on(operation).times(u32::MAX));
}

fn parts(bucket: &Bucket) -> usize {
    bucket.bucket.effects().iter().filter(|it| it.operation == Operation::PutPart).count()
}

/// The one process that the service has started.
fn asker(service: Pid) -> Option<Pid> {
    let pid = service.as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}

#[test]
fn pings_rest_on_answers_of_the_mount_and_not_on_the_bucket() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut manager = Manager::start(&bucket, "").unwrap();
    assert!(bucket.is_mounted(), "ready means mounted");
    assert!(manager.hears(SOON, "WATCHDOG=1"));

    // The service is silent, and somebody waits for it.
    for operation in [Operation::List, Operation::Head, Operation::Get] {
        slow(&bucket, Action::Stall, operation);
    }
    let root = bucket.root().to_owned();
    let waiting = thread::spawn(move || fs::metadata(root.join("something")).map(drop));
    for _ in 0..4 {
        assert!(manager.hears(SOON, "WATCHDOG=1"));
    }
    assert!(!waiting.is_finished(), "nobody waited for the bucket");
    bucket.server.faults().disarm();

    // Nobody asks the mount, so nobody knows whether it answers.
    let asker = asker(manager.pid()).expect("the process that asks");
    kill_process(asker, Signal::STOP).unwrap();
    manager.hears_no_more();
    assert!(!manager.hears(3 * WATCHDOG, "WATCHDOG=1"), "{:?}", manager.heard);
    kill_process(asker, Signal::CONT).unwrap();
    assert!(manager.hears(SOON, "WATCHDOG=1"));
    // A tool that is lost is not taken for the work: pings say then that the daemon runs, and no more.
    kill_process(asker, Signal::KILL).unwrap();
    for _ in 0..3 {
        assert!(manager.hears(SOON, "WATCHDOG=1"));
    }
    let (ended, _) = manager.stop();
    assert_eq!((ended.status.code(), ended.overdue), (Some(0), false));
    assert!(!bucket.is_mounted());
    let _ = waiting.join();
}

#[test]
fn a_mount_that_is_detached_and_in_use_is_alive() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut manager = Manager::start(&bucket, "").unwrap();
    let mut file = File::create(bucket.root().join("f")).unwrap();
    rustix::mount::unmount(bucket.root(), rustix::mount::UnmountFlags::DETACH).unwrap();
    manager.hears_no_more();
    for _ in 0..3 {
        assert!(manager.hears(SOON, "WATCHDOG=1"));
    }
    file.write_all(b"bytes").unwrap();
    drop(file);
    assert_eq!(bucket.object("f").unwrap(), b"bytes");
}

/// An object of which half a new version is written; its writer is kept.
fn half_written(bucket: &Bucket) -> ManuallyDrop<File> {
    fs::write(bucket.root().join("confirmed"), "bytes").unwrap();
    fs::write(bucket.root().join("f"), "old").unwrap();
    let mut file = File::create(bucket.root().join("f")).unwrap();
    file.write_all(&pattern(3, 4 * MIB)[..2 * MIB + 7]).unwrap();
    bucket.until(|| parts(bucket) == 2);
    ManuallyDrop::new(file)
}

fn is_whole_and_goes_on(bucket: &Bucket, manager: Manager) {
    assert!(bucket.is_mounted());
    let read = |name: &str| fs::read(bucket.root().join(name)).unwrap();
    assert_eq!((read("confirmed"), read("f")), (b"bytes".to_vec(), b"old".to_vec()));
    let (sent, data) = (parts(bucket), pattern(3, 4 * MIB));
    fs::write(bucket.root().join("f"), &data).unwrap();
    assert!(bucket.object("f").is_some_and(|object| object == data));
    assert!(parts(bucket) - sent <= 2, "{} parts were sent again", parts(bucket) - sent);
    let (ended, _) = manager.stop();
    assert_eq!((ended.status.code(), ended.overdue), (Some(0), false));
    assert!(bucket.uploads().is_empty() && bucket.journal().keys.is_empty());
}

#[test]
fn a_daemon_that_hangs_is_ended_by_the_watchdog_and_the_next_one_goes_on() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut manager = Manager::start(&bucket, "").unwrap();
    let file = half_written(&bucket);
    assert!(manager.hears(SOON, "WATCHDOG=1"));
    kill_process(manager.pid(), Signal::STOP).unwrap();
    // Not even SIGABRT reaches a process that is stopped. That it ends at all shows that none of its threads waits
    // for the mount itself.
    let ended = manager.bite();
    assert!(ended.overdue && ended.status.signal() == Some(9), "{ended:?}");
    let manager = manager.goes_on_after(ended.status).expect("it is started again");
    drop(ManuallyDrop::into_inner(file));
    is_whole_and_goes_on(&bucket, manager);
}

#[test]
fn there_are_no_pings_while_the_kernel_gets_no_answers_although_the_runtime_works() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    if !can_run("strace") {
        return;
    }
    let mut manager = Manager::start(&bucket, "").unwrap();
    assert!(manager.hears(SOON, "WATCHDOG=1"));
    // Each answer to the kernel takes a minute; everything else goes on.
    let mut strace = Command::new("strace")
        .args(["-f", "-q", "-o", "/dev/null", "-e", "inject=writev:delay_enter=60000000", "-p"])
        .arg(manager.pid().as_raw_nonzero().to_string())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + SOON;
    while manager.hears(3 * WATCHDOG, "WATCHDOG=1") {
        assert!(Instant::now() < deadline, "pings without answers");
    }
    strace.kill().unwrap();
    strace.wait().unwrap();
    assert!(manager.hears(SOON, "WATCHDOG=1"), "it answers again");
    let (ended, _) = manager.stop();
    assert_eq!((ended.status.code(), ended.overdue), (Some(0), false));
}

#[test]
fn a_daemon_that_is_killed_is_cleared_away_and_the_next_one_goes_on() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut manager = Manager::start(&bucket, "").unwrap();
    let file = half_written(&bucket);
    let status = manager.kill();
    assert_eq!(rustix::fs::statfs(bucket.root()).map(drop), Err(Errno::NOTCONN), "a dead mount");
    let manager = manager.goes_on_after(status).expect("it is started again");
    assert_eq!(bucket.words(), "", "the unit had cleared it away");
    drop(ManuallyDrop::into_inner(file));
    is_whole_and_goes_on(&bucket, manager);
}

#[test]
fn a_stop_with_data_on_its_way_takes_its_time_and_loses_nothing() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let manager = Manager::start(&bucket, "max_uploads = 1\n").unwrap();
    slow(&bucket, Action::Rate(2 * MIB as u64), Operation::PutPart);
    let data = pattern(5, 5 * MIB + 5);
    let mut file = File::create(bucket.root().join("f")).unwrap();
    let heard = thread::scope(|scope| {
        let data = &data;
        let write = scope.spawn(move || {
            file.write_all(data).unwrap();
            file.sync_all().unwrap();
        });
        bucket.until(|| parts(&bucket) >= 1);
        let (ended, heard) = manager.stop();
        assert_eq!((ended.status.code(), ended.overdue), (Some(0), false));
        write.join().unwrap();
        heard
    });
    assert!(bucket.object("f").is_some_and(|object| object == data));
    let position = |wanted: &str| heard.iter().position(|it| it.contains(wanted));
    let stopping = position("STOPPING=1").expect("it says that it stops");
    let moves = heard.iter().skip(stopping);
    assert!(moves.clone().any(|it| it.starts_with("EXTEND_TIMEOUT_USEC=")), "{heard:?}");
    assert!(moves.clone().any(|it| it == "WATCHDOG=1"), "a stop that works is alive: {heard:?}");
}

#[test]
fn a_stop_without_a_service_ends_in_time_and_remembers() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let manager = Manager::start(&bucket, "drain_timeout = \"3s\"\n").unwrap();
    let mut file = half_written(&bucket);
    slow(&bucket, Action::Stall, Operation::PutPart);
    file.write_all(&pattern(3, 4 * MIB)[2 * MIB + 7..]).unwrap();
    let (ended, _) = manager.stop();
    assert_eq!((ended.status.code(), ended.overdue), (Some(1), false));
    assert!(!bucket.is_mounted());
    assert_eq!(bucket.object("f").unwrap(), b"old");
    assert!(bucket.journal().keys.contains("f"), "{:?}", bucket.journal());
    drop(ManuallyDrop::into_inner(file));
}

#[test]
fn a_mistake_is_not_tried_again_and_a_failure_is() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mistake = Manager::start(&bucket, "colour = \"red\"\n").map(drop).unwrap_err();
    assert!(!would_restart(mistake), "{mistake}: {}", bucket.words());
    slow(&bucket, Action::Status(403, "AccessDenied".into()), Operation::List);
    let failure = Manager::start(&bucket, "").map(drop).unwrap_err();
    assert!(would_restart(failure), "{failure}: {}", bucket.words());
}
