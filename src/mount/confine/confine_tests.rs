//! What a confined process cannot do any more, and what it still can. There is no way back, so the test starts
//! itself once more as a process that confines itself, tries, and prints what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CapabilitySet, no_new_privs};
use tempfile::TempDir;

use super::{Folders, confine};

/// Where the confined process finds the folders of the test.
const PLACE: &str = "PARTFS_TEST_PLACE";

/// How an attempt ended: 0, or the number of the error.
type Ends = BTreeMap<String, i32>;

fn end<T>(result: io::Result<T>) -> i32 {
    result.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0)
}

/// Confines itself to `granted` and `writable` below a folder, and tries.
fn attempts(place: &Path, listens: bool) -> Ends {
    // A thread from before has no limits: it stands for whoever renews a token.
    let ((renew, wanted), (renewed, done)) = (mpsc::channel(), mpsc::channel());
    let granted = place.join("granted");
    std::thread::spawn(move || {
        wanted.recv().unwrap();
        fs::write(granted.join("next"), "renewed").unwrap();
        fs::rename(granted.join("next"), granted.join("token")).unwrap();
        renewed.send(()).unwrap();
    });
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut folders = Folders { write: vec![place.join("writable")], ..Folders::default() };
    folders.read_file(&place.join("granted/token"));
    folders.read.push(place.join("missing"));
    folders.listens = listens;
    let failed = confine(&folders);
    assert!(failed.is_empty(), "{failed:?}");
    let mut ends = Ends::new();
    let mut try_to = |what: &str, end: i32| ends.extend([(what.to_owned(), end)]);

    try_to("read what is granted", end(fs::read(place.join("granted/token"))));
    renew.send(()).unwrap();
    done.recv().unwrap();
    let text = fs::read_to_string(place.join("granted/token"));
    try_to("read what took its place", end(text.map(|text| assert_eq!(text, "renewed"))));
    try_to("read elsewhere", end(fs::read(place.join("other/file"))));
    try_to("list elsewhere", end(fs::read_dir(place.join("other"))));
    try_to("write where it reads", end(fs::write(place.join("granted/new"), "x")));
    try_to("write elsewhere", end(fs::write(place.join("other/new"), "x")));
    try_to("truncate elsewhere", end(truncate(&place.join("other/file"))));
    try_to("remove elsewhere", end(fs::remove_file(place.join("other/file"))));
    try_to("link it out", end(fs::hard_link(place.join("other/file"), place.join("writable/l"))));
    let writable = place.join("writable");
    try_to("write", end(fs::write(writable.join("a"), "x")));
    try_to("make a folder", end(fs::create_dir(writable.join("d"))));
    try_to("rename", end(fs::rename(writable.join("a"), writable.join("d/b"))));
    try_to("remove", end(fs::remove_file(writable.join("d/b"))));
    try_to("make an unnamed file", end(tempfile::tempfile_in(&writable)));
    try_to("read names of hosts", end(fs::read("/etc/hosts")));
    try_to("look up a name", end(("localhost", 80).to_socket_addrs()));
    try_to("see its mounts", end(fs::read("/proc/self/mountinfo")));
    try_to("see the files of others", end(see_files(parent_id())));
    try_to("connect", end(TcpStream::connect(elsewhere.local_addr().unwrap())));
    try_to("listen", end(TcpListener::bind("127.0.0.1:0")));
    try_to("start a thread", end(std::thread::Builder::new().spawn(|| ()).map(drop)));
    let parent = Pid::from_raw(i32::try_from(parent_id()).unwrap()).unwrap();
    try_to("signal others", end(kill_process(parent, Signal::CONT).map_err(Into::into)));
    try_to("run a program", end(Command::new("/bin/true").spawn()));
    let mounted = rustix::mount::mount("none", &writable, "tmpfs", MountFlags::empty(), None);
    try_to("mount", end(mounted.map_err(Into::into)));
    let unmounted = rustix::mount::unmount(place, UnmountFlags::DETACH);
    try_to("unmount", end(unmounted.map_err(Into::into)));
    try_to("change the root", end(rustix::process::chroot(&writable).map_err(Into::into)));
    let name = rustix::system::sethostname(b"partfs-test");
    try_to("name the machine", end(name.map_err(Into::into)));

    let of_thread = || {
        let capabilities = rustix::thread::capabilities(None).unwrap();
        let none = CapabilitySet::empty();
        let all = [capabilities.effective, capabilities.permitted, capabilities.inheritable];
        (all == [none; 3] && no_new_privs().unwrap(), end(fs::read(place.join("other/file"))))
    };
    let (here, there) = (of_thread(), std::thread::scope(|s| s.spawn(of_thread).join().unwrap()));
    try_to("have no privilege", i32::from(!(here.0 && there.0)));
    try_to("read elsewhere by a new thread", there.1);
    ends
}

fn truncate(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).truncate(true).open(path).map(drop)
}

fn see_files(pid: u32) -> io::Result<()> {
    fs::read_to_string(format!("/proc/{pid}/fdinfo/0")).map(drop)
}

/// What came of the attempts in a process of its own; `None` in that process itself.
fn confined(test: &str, listens: bool) -> Option<Ends> {
    if let Some(place) = std::env::var_os(PLACE) {
        let ends = attempts(&PathBuf::from(place), listens);
        println!("ENDS {}", serde_json::to_string(&ends).unwrap());
        return None;
    }
    let place = TempDir::new().unwrap();
    for folder in ["granted", "writable", "other"] {
        fs::create_dir(place.path().join(folder)).unwrap();
    }
    fs::write(place.path().join("granted/token"), "text").unwrap();
    fs::write(place.path().join("other/file"), "text").unwrap();
    let name = format!("mount::confine::tests::{test}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &name, "--nocapture", "--test-threads", "1"]);
    let output = command.env(PLACE, place.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.split_once("ENDS "));
    let (_, line) =
        line.unwrap_or_else(|| panic!("{said}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(fs::read_to_string(place.path().join("other/file")).unwrap(), "text");
    Some(serde_json::from_str(line).unwrap())
}

/// Whether this kernel has all of it; says so loudly when it has not.
fn able() -> bool {
    let able = landlock_is_there();
    if !able {
        let required = std::env::var_os("PARTFS_REQUIRE_FUSE").is_some();
        assert!(!required, "PARTFS_REQUIRE_FUSE is set, but this kernel has no Landlock");
        eprintln!("SKIPPED: this kernel has no Landlock, or an old one");
    }
    able
}

/// With all of the rules that are asked for: signals since Linux 6.12.
fn landlock_is_there() -> bool {
    use landlock::{CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    ruleset.scope(Scope::Signal).and_then(Ruleset::create).is_ok()
}

const EPERM: i32 = libc::EPERM;
const EACCES: i32 = libc::EACCES;

#[test]
fn a_confined_process_does_its_work_and_nothing_else() {
    if !able() {
        return;
    }
    let test = "a_confined_process_does_its_work_and_nothing_else";
    let Some(ends) = confined(test, false) else { return };
    let expected = [
        ("read what is granted", 0),
        ("read what took its place", 0),
        ("read elsewhere", EACCES),
        ("list elsewhere", EACCES),
        ("write where it reads", EACCES),
        ("write elsewhere", EACCES),
        ("truncate elsewhere", EACCES),
        ("remove elsewhere", EACCES),
        ("link it out", libc::EXDEV),
        ("write", 0),
        ("make a folder", 0),
        ("rename", 0),
        ("remove", 0),
        ("make an unnamed file", 0),
        ("read names of hosts", 0),
        ("look up a name", 0),
        ("see its mounts", 0),
        ("see the files of others", EACCES),
        ("connect", 0),
        ("listen", EACCES),
        ("start a thread", 0),
        ("signal others", EPERM),
        ("run a program", EPERM),
        ("mount", EPERM),
        ("unmount", EPERM),
        ("change the root", EPERM),
        ("name the machine", EPERM),
        ("have no privilege", 0),
        ("read elsewhere by a new thread", EACCES),
    ];
    assert_eq!(ends, expected.into_iter().map(|(what, end)| (what.to_owned(), end)).collect());
}

#[test]
fn only_who_has_to_may_listen() {
    if !able() {
        return;
    }
    let Some(ends) = confined("only_who_has_to_may_listen", true) else { return };
    assert_eq!(ends["listen"], 0);
}

#[test]
fn a_file_that_is_a_link_is_read_where_it_really_is() {
    let place = TempDir::new().unwrap();
    let real = fs::canonicalize(place.path()).unwrap();
    for folder in ["named", "real"] {
        fs::create_dir(real.join(folder)).unwrap();
    }
    fs::write(real.join("real/token"), "text").unwrap();
    std::os::unix::fs::symlink("../real/token", real.join("named/token")).unwrap();
    let mut folders = Folders::default();
    folders.read_file(&real.join("named/token"));
    folders.read_file(&real.join("named/missing"));
    assert_eq!(folders.read, ["named", "real", "named"].map(|folder| real.join(folder)));
}
