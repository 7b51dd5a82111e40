//! A daemon that is told to stop, or loses its place in the tree, while files are being written and the
//! service is slow or silent.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem::ManuallyDrop;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use partfs::mock::{Action, FaultRule, MockDialect};
use partfs::store::Operation;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;
use tokio::time::Instant;

use super::place::{Bucket, Daemon};
use crate::cli::mount_helper::Helpers;
use crate::cli::partfs;
use crate::world::pattern;

const MIB: usize = 1 << 20;
/// Far less than an upload is tried for, and far more than is needed: for what must not hang.
const SOON: Duration = Duration::from_secs(40);

/// From now on such requests are not answered.
fn silent(bucket: &Bucket, operation: Operation) {
    let rule = FaultRule::new(Action::Stall).on(operation).times(u32::MAX);
    bucket.server.faults().add(rule);
}

fn parts(bucket: &Bucket) -> usize {
    bucket.bucket.effects().iter().filter(|it| it.operation == Operation::PutPart).count()
}

/// A bucket with the object `f`, which a mount has written that is over.
fn with_old_object() -> Option<Bucket> {
    let bucket = Bucket::new(MockDialect::Cos)?;
    let mut daemon = bucket.mount(None, &[]);
    fs::write(bucket.root().join("f"), "old").unwrap();
    assert!(daemon.stop());
    Some(bucket)
}

/// Begins to replace the file `f`, and stops when two of its four parts are in the bucket and the others never
/// will be. (When a test fails, the close of this file would wait for them.)
fn half_written(bucket: &Bucket) -> File {
    let mut file = File::create(bucket.root().join("f")).unwrap();
    let data = pattern(3, 4 * MIB);
    file.write_all(&data[..2 * MIB]).unwrap();
    bucket.until(|| parts(bucket) == 2);
    silent(bucket, Operation::PutPart);
    file.write_all(&data[2 * MIB..]).unwrap();
    file
}

/// What must be so after an end that was too early.
fn nothing_is_half_written(bucket: &Bucket) {
    assert_eq!(bucket.object("f").unwrap(), b"old");
    assert!(bucket.journal().keys.contains("f"), "{:?}", bucket.journal());
}

/// The next mount goes on with what was sent of the half-written file.
fn the_next_mount_goes_on(bucket: &Bucket) {
    bucket.server.faults().disarm();
    let sent = parts(bucket);
    let mut daemon = bucket.mount(None, &[]);
    let data = pattern(3, 4 * MIB);
    fs::write(bucket.root().join("f"), &data).unwrap();
    assert!(bucket.object("f").is_some_and(|object| object == data));
    assert!(parts(bucket) - sent <= 2, "{} parts were sent again", parts(bucket) - sent);
    assert!(daemon.stop());
    assert!(bucket.uploads().is_empty() && bucket.journal().keys.is_empty());
}

fn ends_soon(daemon: &mut Daemon) -> Option<i32> {
    let began = Instant::now();
    let code = daemon.exit_code();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    code
}

#[test]
fn what_a_silent_service_does_not_take_is_named_and_gone_on_with_by_the_next_mount() {
    let Some(bucket) = with_old_object() else { return };
    let mut daemon = bucket.mount(None, &["--drain-timeout", "5s"]);
    let file = ManuallyDrop::new(half_written(&bucket));
    daemon.tell_to_stop();
    assert_eq!(ends_soon(&mut daemon), Some(1));
    let words = bucket.words();
    assert!(words.contains("partfs: lost: f: still open for writing\n"), "{words}");
    assert!(words.contains("not everything was stored"), "{words}");
    assert!(!bucket.is_mounted());
    let notices = daemon.notices();
    assert!(notices[0].starts_with("STOPPING=1\nSTATUS=finishes f ("), "{}", notices[0]);
    // Nothing moved any more, so the service manager may lose its patience. (The answer to the second part may
    // have been on its way when the daemon was told to stop.)
    let extensions = notices.iter().filter(|notice| notice.contains("EXTEND_TIMEOUT"));
    assert!(extensions.count() <= 1, "{notices:?}");
    nothing_is_half_written(&bucket);
    drop(ManuallyDrop::into_inner(file));
    the_next_mount_goes_on(&bucket);
}

#[test]
fn a_close_that_waits_for_a_silent_service_fails_when_the_daemon_ends() {
    let Some(bucket) = with_old_object() else { return };
    let mut daemon = bucket.mount(None, &["--drain-timeout", "1s"]);
    silent(&bucket, Operation::CompleteUpload);
    let copied = thread::scope(|scope| {
        let copy = scope.spawn(|| {
            let source = bucket.dir().join("source");
            fs::write(&source, pattern(3, 4 * MIB)).unwrap();
            Command::new("cp").arg(source).arg(bucket.root().join("f")).output().unwrap()
        });
        bucket.until(|| parts(&bucket) == 4);
        daemon.tell_to_stop();
        assert_eq!(ends_soon(&mut daemon), Some(1));
        copy.join().unwrap()
    });
    assert!(!copied.status.success(), "the program must not believe that it was stored");
    let words = bucket.words();
    assert!(words.contains("partfs: lost: f: "), "{words}");
    assert!(!bucket.is_mounted());
    nothing_is_half_written(&bucket);
}

#[test]
fn changes_are_refused_while_the_daemon_ends_and_a_second_signal_ends_it_at_once() {
    let Some(bucket) = with_old_object() else { return };
    let mut daemon = bucket.mount(None, &["--drain-timeout", "1h"]);
    fs::write(bucket.root().join("other"), "other").unwrap();
    let _file = ManuallyDrop::new(half_written(&bucket));
    daemon.tell_to_stop();

    let root = bucket.root();
    let errno = |result: io::Result<()>| result.map_err(|error| Errno::from_io_error(&error));
    let refused = Err(Some(Errno::ROFS));
    let open = || File::options().write(true).open(root.join("other")).map(drop);
    let began = Instant::now();
    while errno(open()) != refused {
        assert!(began.elapsed() < SOON);
    }
    assert_eq!(errno(File::create(root.join("new")).map(drop)), refused);
    assert_eq!(errno(fs::create_dir(root.join("dir"))), refused);
    assert_eq!(errno(fs::rename(root.join("other"), root.join("another"))), refused);
    assert_eq!(errno(fs::remove_file(root.join("other"))), refused);
    assert_eq!(fs::read(root.join("other")).unwrap(), b"other", "reading goes on");
    assert_eq!(daemon.ended(), None);

    daemon.tell_to_stop();
    assert_eq!(ends_soon(&mut daemon), Some(1));
    let words = bucket.words();
    assert!(words.contains("lost: f: still open for writing\n"), "{words}");
    assert!(words.contains("stopped by a second signal"), "{words}");
    assert!(!bucket.is_mounted());
    nothing_is_half_written(&bucket);
}

#[test]
fn a_file_that_is_being_closed_is_stored_and_the_service_manager_is_asked_for_time() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut daemon = bucket.mount(None, &["--max-uploads", "1"]);
    let rate = FaultRule::new(Action::Rate(MIB as u64)).on(Operation::PutPart).times(u32::MAX);
    bucket.server.faults().add(rate);
    let data = pattern(5, 5 * MIB + 5);
    thread::scope(|scope| {
        // Opened before the signal, and closed after it.
        let mut file = File::create(bucket.root().join("f")).unwrap();
        let data = &data;
        let write = scope.spawn(move || {
            file.write_all(data).unwrap();
            file.sync_all().unwrap();
        });
        bucket.until(|| parts(&bucket) >= 1);
        daemon.tell_to_stop();
        assert_eq!(ends_soon(&mut daemon), Some(0));
        write.join().unwrap();
    });
    assert!(bucket.object("f").is_some_and(|object| object == data));
    assert_eq!(bucket.words(), "");
    assert!(!bucket.is_mounted() && bucket.journal().keys.is_empty());
    let notices = daemon.notices();
    assert!(notices[0].starts_with("STOPPING=1\nSTATUS=finishes f"), "{}", notices[0]);
    assert!(notices.iter().any(|it| it.starts_with("EXTEND_TIMEOUT_USEC=")), "{notices:?}");
}

/// Takes the mount out of the tree in some way, while a file is being written.
fn a_writer_goes_on_when_the_mount_is_detached(detach: impl Fn(&Path)) {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut daemon = bucket.mount(None, &[]);
    let data = pattern(5, 4 * MIB);
    let mut file = File::create(bucket.root().join("f")).unwrap();
    file.write_all(&data[..MIB + 7]).unwrap();
    detach(bucket.root());
    assert!(!bucket.is_mounted());
    file.write_all(&data[MIB + 7..]).unwrap();
    assert_eq!(bucket.object("f"), None);
    assert_eq!(daemon.ended(), None);
    drop(file);
    // It was in the bucket when the close returned.
    assert!(bucket.object("f").is_some_and(|object| object == data));
    assert_eq!(ends_soon(&mut daemon), Some(0));
    assert_eq!(bucket.words(), "");
}

#[test]
fn who_writes_while_the_mount_is_detached_writes_on_and_then_the_daemon_ends() {
    a_writer_goes_on_when_the_mount_is_detached(|place| {
        unmount(place, UnmountFlags::DETACH).unwrap();
    });
    if Command::new("fusermount3").arg("-V").output().is_ok() {
        a_writer_goes_on_when_the_mount_is_detached(|place| {
            let ran = Command::new("fusermount3").arg("-uz").arg(place).status().unwrap();
            assert!(ran.success());
        });
    }
}

#[test]
fn a_mount_with_an_open_file_is_not_unmounted_and_the_writer_goes_on() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut daemon = bucket.mount(None, &[]);
    let mut file = File::create(bucket.root().join("f")).unwrap();
    file.write_all(b"before").unwrap();
    assert_eq!(unmount(bucket.root(), UnmountFlags::empty()), Err(Errno::BUSY));
    if let Ok(ran) = Command::new("fusermount3").arg("-u").arg(bucket.root()).output() {
        assert!(!ran.status.success());
    }
    let ran = bucket.umount(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    file.write_all(b" and after").unwrap();
    drop(file);
    assert_eq!(bucket.object("f").unwrap(), b"before and after");
    assert!(bucket.is_mounted());
    assert_eq!(bucket.umount(&[]).code, Some(0));
    assert_eq!(ends_soon(&mut daemon), Some(0));
}

/// Ends the connection to the kernel in some way, while a file is being written.
fn an_abort_ends_the_daemon(abort: impl Fn(&Path)) {
    let Some(bucket) = with_old_object() else { return };
    let mut daemon = bucket.mount(None, &[]);
    let mut file = ManuallyDrop::new(half_written(&bucket));
    let mut small = File::create(bucket.root().join("small")).unwrap();
    small.write_all(b"half").unwrap();
    abort(bucket.root());
    assert_eq!(ends_soon(&mut daemon), Some(1));
    assert!(file.write_all(b"x").is_err() && file.sync_all().is_err());
    let words = bucket.words();
    for name in ["f", "small"] {
        assert!(words.contains(&format!("lost: {name}: still open for writing\n")), "{words}");
    }
    assert!(!bucket.is_mounted());
    assert_eq!(bucket.object("small"), None);
    nothing_is_half_written(&bucket);
    drop((ManuallyDrop::into_inner(file), small));
    the_next_mount_goes_on(&bucket);
}

#[test]
fn an_aborted_connection_ends_the_daemon_and_leaves_nothing_half_written() {
    an_abort_ends_the_daemon(|place| unmount(place, UnmountFlags::FORCE).unwrap_or(()));
    let connections = Path::new("/sys/fs/fuse/connections");
    if fs::read_dir(connections).is_ok_and(|mut all| all.next().is_some()) {
        an_abort_ends_the_daemon(|place| {
            let device = rustix::fs::minor(fs::metadata(place).unwrap().dev());
            fs::write(connections.join(device.to_string()).join("abort"), "1").unwrap();
        });
    }
}

/// `partfs umount` in the background of a test.
fn umount(bucket: &Bucket, more: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = partfs(["umount"]);
    command.arg(bucket.root()).args(more).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let words = BufReader::new(child.stderr.take().unwrap());
    (child, words)
}

fn line(words: &mut impl BufRead) -> String {
    let mut line = String::new();
    words.read_line(&mut line).unwrap();
    line
}

#[test]
fn umount_says_what_it_waits_for_and_ends_when_it_is_stored() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut daemon = bucket.mount(None, &[]);
    let mut file = File::create(bucket.root().join("f")).unwrap();
    file.write_all(b"bytes").unwrap();
    let (mut child, mut words) = umount(&bucket, &["--lazy"]);
    let said = line(&mut words);
    assert!(said.starts_with("partfs: unmounted; process "), "{said}");
    assert!(said.ends_with(" finishes f\n"), "{said}");
    drop(file);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(bucket.object("f").unwrap(), b"bytes");
    let mut rest = String::new();
    words.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(ends_soon(&mut daemon), Some(0));
}

/// A file whose attributes the service never takes.
fn with_attributes_on_their_way(bucket: &Bucket) {
    let path = bucket.root().join("f");
    fs::write(&path, "old").unwrap();
    silent(bucket, Operation::Copy);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

const LOST: &str = "partfs: lost: f: its attributes were not stored in time\n";

#[test]
fn umount_names_what_a_daemon_in_the_foreground_could_not_store() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut daemon = bucket.mount(None, &["--drain-timeout", "3s"]);
    with_attributes_on_their_way(&bucket);
    let (child, _) = umount(&bucket, &[]);
    let began = Instant::now();
    let stops = || daemon.notices().iter().any(|notice| notice.starts_with("STOPPING=1\n"));
    while !stops() {
        assert!(began.elapsed() < SOON);
        thread::yield_now();
    }
    // It stops already: one signal changes nothing.
    daemon.tell_to_stop();
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert_eq!(ends_soon(&mut daemon), Some(1));
    let words = bucket.words();
    assert!(words.contains(LOST) && !words.contains("second signal"), "{words}");
}

#[test]
fn umount_names_what_a_daemon_in_the_background_could_not_store() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mounted = bucket.command(&["--drain-timeout", "1s"]).status().unwrap();
    assert!(mounted.success());
    with_attributes_on_their_way(&bucket);
    let ran = bucket.umount(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(LOST), "{}", ran.stderr);
    assert!(!bucket.is_mounted());
}

#[test]
fn the_helper_of_umount_tells_the_same_with_the_code_of_umount() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mounted = bucket.command(&["--drain-timeout", "1s"]).status().unwrap();
    assert!(mounted.success());
    with_attributes_on_their_way(&bucket);
    let ran = Helpers::new().run("umount", &["DIR"], bucket.root());
    assert_eq!(ran.code, Some(32), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(LOST), "{}", ran.stderr);
    assert!(!bucket.is_mounted());
}

#[test]
fn a_daemon_that_does_not_answer_is_cut_off_when_umount_is_told_to() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let mut daemon = bucket.mount(None, &[]);
    // Nobody may have a file open here: starting a process closes a copy of it, which asks the daemon.
    daemon.signal(Signal::STOP);
    let root = bucket.root().to_owned();
    // Again and again, because a signal takes a moment to arrive.
    let waiting = thread::spawn(move || while rustix::fs::statfs(&root).is_ok() {});
    let ran = bucket.umount(&[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("does not answer") && bucket.is_mounted(), "{}", ran.stderr);
    assert!(!waiting.is_finished());
    let ran = bucket.umount(&["--force"]);
    // Nobody knows what it had stored.
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("was not waited for") && !bucket.is_mounted(), "{}", ran.stderr);
    // Who waits for it is let go, …
    waiting.join().unwrap();
    daemon.signal(Signal::CONT);
    // … and so is the daemon, which was told of nothing else.
    ends_soon(&mut daemon);
}

#[test]
fn umount_fails_when_the_daemon_dies_before_it_has_said_that_all_is_stored() {
    let Some(bucket) = Bucket::new(MockDialect::Cos) else { return };
    let daemon = bucket.mount(None, &[]);
    with_attributes_on_their_way(&bucket);
    let (mut child, mut words) = umount(&bucket, &[]);
    assert!(line(&mut words).ends_with(" finishes f\n"));
    daemon.kill();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let said = line(&mut words);
    assert!(said.contains("ended suddenly"), "{said}");
}
