//! A daemon that serves has no privileges; who keeps them for it is there as long as it is, and no longer.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

use super::place::{Place, able_to};
use super::{mount, partfs, run};

/// A line of a status file in /proc.
fn field(status: &str, name: &str) -> String {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {name}: {status}")).trim().to_owned()
}

fn status_of(process: &Path) -> String {
    fs::read_to_string(process.join("status")).unwrap()
}

fn folder_of(pid: Pid) -> std::path::PathBuf {
    format!("/proc/{}", pid.as_raw_pid()).into()
}

/// The status of every thread.
fn threads(pid: Pid) -> Vec<String> {
    let threads = fs::read_dir(folder_of(pid).join("task")).unwrap();
    // One that ends meanwhile is no thread any more.
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).ok();
    threads.filter_map(|thread| status(thread.unwrap())).collect()
}

/// The processes that a process has started and that live.
fn children(pid: Pid) -> Vec<Pid> {
    let of_thread = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<i32>>()
    };
    let threads = fs::read_dir(folder_of(pid).join("task")).unwrap();
    let all = threads.flat_map(|thread| of_thread(thread.unwrap()));
    all.map(|pid| Pid::from_raw(pid).unwrap()).collect()
}

/// The one that keeps the privileges.
fn keeper(place: &Place) -> Pid {
    let children = children(place.daemon());
    assert_eq!(children.len(), 1, "{children:?}");
    children[0]
}

/// Whether a process ends within a generous time.
fn ends(process: impl std::os::fd::AsFd) -> bool {
    let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
    poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)).unwrap() == 1
}

fn assert_confined(pid: Pid) {
    let threads = threads(pid);
    assert!(threads.len() > 3, "it has threads of its own: {}", threads.len());
    for status in threads {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(&status, set), "0000000000000000", "{set}\n{status}");
        }
        assert_eq!((&*field(&status, "NoNewPrivs"), &*field(&status, "Seccomp")), ("1", "2"));
    }
}

#[test]
fn no_thread_of_a_daemon_in_the_background_has_a_privilege() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &["--sandbox", "required"]).code, Some(0));
    fs::write(place.path().join("file"), "text").unwrap();
    assert_confined(place.daemon());
    let status = status_of(&folder_of(keeper(&place)));
    // CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE and CAP_SYS_ADMIN.
    assert_eq!(field(&status, "CapEff"), format!("{:016x}", 1 << 2 | 1 << 19 | 1 << 21));
    assert_eq!(field(&status, "NoNewPrivs"), "1");
    assert_eq!(place.umount(&[]).code, Some(0));
}

#[test]
fn no_thread_of_a_daemon_in_the_foreground_has_a_privilege() {
    let Some(place) = Place::new() else { return };
    let mut command = partfs(["mount", "--foreground", "mock:"]);
    let mut child = command.arg(place.path()).spawn().unwrap();
    while !place.is_mounted() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    fs::write(place.path().join("file"), "text").unwrap();
    assert_eq!(place.daemon(), Pid::from_child(&child), "what was started is what serves");
    assert_confined(place.daemon());
    let keeper = pidfd_open(keeper(&place), PidfdFlags::empty()).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!place.is_mounted() && ends(keeper));
}

#[test]
fn without_a_sandbox_nothing_is_given_up() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &["-o", "sandbox=off"]).code, Some(0));
    fs::write(place.path().join("file"), "text").unwrap();
    let daemon = place.daemon();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    for status in threads(daemon) {
        for line in ["CapEff", "CapBnd", "NoNewPrivs", "Seccomp"] {
            assert_eq!(field(&status, line), field(&own, line), "{line}");
        }
    }
    assert_eq!(children(daemon), []);
    assert_eq!(place.umount(&[]).code, Some(0));
}

#[test]
fn a_daemon_that_is_killed_leaves_a_dead_mount_and_no_keeper() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let keeper = pidfd_open(keeper(&place), PidfdFlags::empty()).unwrap();
    place.kill_daemon();
    assert!(ends(keeper));
    assert!(place.is_mounted(), "not unmounted: programs would write into the empty directory");
    let error = fs::write(place.path().join("file"), "text").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::NOTCONN.raw_os_error()));
    let ran = mount("mock:", place.path(), &[]);
    assert!(ran.code == Some(0) && ran.stderr.contains("cleared the dead mount"), "{}", ran.stderr);
    assert_eq!(place.umount(&[]).code, Some(0));
}

#[test]
fn a_mount_outlives_its_keeper() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let keeper_pid = keeper(&place);
    let keeper = pidfd_open(keeper_pid, PidfdFlags::empty()).unwrap();
    kill_process(keeper_pid, Signal::KILL).unwrap();
    assert!(ends(keeper));
    let file = place.path().join("file");
    fs::write(&file, "text").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
    // The daemon cannot unmount any more; others can.
    let ran = place.umount(&[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn signals_that_stop_a_daemon_do_not_stop_its_keeper_first() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let (daemon, keeper) = (place.daemon(), keeper(&place));
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        kill_process(keeper, signal).unwrap();
    }
    let process = pidfd_open(daemon, PidfdFlags::empty()).unwrap();
    kill_process(daemon, Signal::TERM).unwrap();
    assert!(ends(process));
    assert!(!place.is_mounted(), "unmounted by the keeper");
}

/// A kernel without Landlock, as strace makes one.
#[test]
fn what_cannot_be_given_up_is_a_warning_or_a_refusal() {
    let Some(place) = Place::new() else { return };
    let strace = Command::new("strace").arg("--version").output().is_ok();
    if !able_to("play an old kernel: it needs strace", strace) {
        return;
    }
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log");
    let mount_by = |sandbox: &str| {
        let inject = "inject=landlock_create_ruleset:error=EOPNOTSUPP";
        let mut command = partfs(["mount", "mock:"]);
        command.arg(place.path()).args(["--sandbox", sandbox, "--log-file"]).arg(&log);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o", "/dev/null", "-e", "trace=landlock_create_ruleset"]);
        // It stays as long as the daemon does: what is waited for is the command, and not the end of a pipe.
        strace.args(["-D", "-e", inject]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => strace.env(name, value),
                None => strace.env_remove(name),
            };
        }
        let said = dir.path().join("said");
        let status = strace.stdin(Stdio::null()).stdout(Stdio::null());
        let status = status.stderr(fs::File::create(&said).unwrap()).status().unwrap();
        (status.code(), fs::read_to_string(&said).unwrap())
    };
    let (code, said) = mount_by("required");
    assert_eq!(code, Some(1));
    assert!(said.contains("sandbox=required: Landlock: "), "{said}");
    assert!(!place.is_mounted());
    let (code, said) = mount_by("auto");
    assert_eq!(code, Some(0), "{said}");
    let text = fs::read_to_string(&log).unwrap();
    let warnings = text.matches("keeps some of its privileges").count();
    assert!(warnings == 1 && text.contains("Landlock: "), "{text}");
    assert_confined(place.daemon());
    assert_eq!(place.umount(&[]).code, Some(0));
}

/// The objects of a mock in a folder, as far as their contents are known to be unlike all else there.
fn stored(folder: &Path, content: &str) -> bool {
    let found = Command::new("grep").args(["-rqF", content]).arg(folder).status().unwrap();
    found.success()
}

/// Objects that were published so far.
fn commits(place: &Place) -> u64 {
    let text = fs::read_to_string(place.path().join(".partfs/metrics")).unwrap();
    let line = "partfs_requests_total{operation=\"PUT object\",status=\"200\"} ";
    text.lines().find_map(|text| text.strip_prefix(line)).map_or(0, |count| count.parse().unwrap())
}

/// The daemon is root without any privilege, and may not look at processes of others itself.
#[test]
fn closes_and_deaths_of_other_users_processes_are_seen() {
    let Some(place) = Place::new() else { return };
    let setpriv = run(Command::new("setpriv").arg("--version"));
    if !able_to("be another user: it needs setpriv", setpriv.code == Some(0)) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let url = format!("mock:{}", folder.path().display());
    let ran = mount(&url, place.path(), &["--allow-other", "--dir-mode", "0777"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let own = |script: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "1234", "--regid", "1234", "--clear-groups", "sh", "-c", script]);
        command.current_dir(place.path()).output().unwrap()
    };
    // A process inherits the file, writes and closes it, while the shell still has it: one commit, at the end.
    let before = commits(&place);
    let ran = own("{ echo first; sh -c 'echo second'; sh -c 'echo third'; } > file");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = fs::read_to_string(place.path().join("file")).unwrap();
    assert_eq!(text, "first\nsecond\nthird\n");
    assert_eq!(commits(&place) - before, 1);
    let ran = own("exec > half; echo never-whole; kill -9 $$");
    assert_eq!(ran.status.signal(), Some(9));
    let status = fs::read_to_string(place.path().join(".partfs/status.json")).unwrap();
    assert!(status.contains("\"killed_writers\": 1"), "{status}");
    assert_eq!(place.umount(&[]).code, Some(0));
    assert!(stored(folder.path(), "second") && !stored(folder.path(), "never-whole"));
}
