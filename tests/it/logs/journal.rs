//! The log in the journal: in a mount namespace of its own the daemon finds a socket of the test where the
//! machine's journal would be.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use partfs::mock::{Action, FaultRule, MockConfig};
use partfs::store::Operation;

use super::Ground;
use crate::cli::place::able_to;
use crate::cli::run;

/// Runs its arguments where `$0` is the folder of the journal's socket.
const INSTEAD: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal \
    && mount --bind \"$0\" /run/systemd/journal && exec \"$@\"";

/// Runs a command with a folder for the journal's.
fn with_journal(command: &mut Command, folder: &std::path::Path) {
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "--propagation", "private", "sh", "-c", INSTEAD]).arg(folder);
    inside.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside.env_remove("PARTFS_LOG_FORMAT");
    *command = inside;
}

fn can_unshare() -> bool {
    let ran =
        Command::new("unshare").args(["--mount", "--propagation", "private", "true"]).status();
    able_to("make a mount namespace", ran.is_ok_and(|status| status.success()))
}

/// The next line that has this in it.
fn received(journal: &UnixDatagram, wanted: &str) -> String {
    let mut buffer = [0; 65536];
    loop {
        let len = journal.recv(&mut buffer).expect("a line within the time");
        let line = String::from_utf8_lossy(&buffer[..len]).into_owned();
        if line.contains(wanted) {
            return line;
        }
    }
}

#[test]
fn under_the_journal_lines_are_its_own_with_fields_to_search_for() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    if !can_unshare() {
        return;
    }
    let folder = ground.beside("journal");
    fs::create_dir(&folder).unwrap();
    let journal = UnixDatagram::bind(folder.join("socket")).unwrap();
    journal.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let stderr = fs::File::create(ground.beside("stream")).unwrap();
    let metadata = stderr.metadata().unwrap();
    let daemon = ground.mount(|command| {
        with_journal(command, &folder);
        command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
        command.stderr(stderr);
    });
    let first = received(&journal, "is mounted at");
    assert!(
        first.contains("\nSYSLOG_IDENTIFIER=partfs\n") && first.contains("\nPRIORITY=6\n"),
        "{first}"
    );

    let rule = FaultRule::new(Action::Status(403, "AccessDenied".to_owned())).on(Operation::Put);
    ground.server.faults().add(rule.times(FaultRule::ALWAYS));
    let mut place = OsString::from(format!("/proc/{}/root", daemon.id()));
    place.push(ground.path("f"));
    let mut file = fs::File::create(place).unwrap();
    file.write_all(b"new").unwrap();
    file.sync_all().unwrap_err();
    drop(file);
    let line = received(&journal, "operation failed");
    for field in [
        "PRIORITY=4",
        "PARTFS_OPERATION=fsync",
        "PARTFS_PATH=f",
        "PARTFS_ERRNO=EACCES",
        "PARTFS_CODE=AccessDenied",
        "PARTFS_STATUS=403",
    ] {
        assert!(line.contains(&format!("\n{field}\n")), "{field}: {line}");
    }
    assert!(line.contains("\nPARTFS_REQUEST_ID="), "{line}");
    assert!(line.starts_with("MESSAGE=operation failed operation=\"fsync\" path=\"f\""), "{line}");
    assert_eq!(fs::read_to_string(ground.beside("stream")).unwrap(), "", "nothing is said twice");
    daemon.signal(rustix::process::Signal::TERM);
    received(&journal, "unmounted");
}

#[test]
fn a_stream_that_is_not_the_journals_gets_lines_for_people() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    if !can_unshare() {
        return;
    }
    let folder = ground.beside("journal");
    fs::create_dir(&folder).unwrap();
    let journal = UnixDatagram::bind(folder.join("socket")).unwrap();
    journal.set_nonblocking(true).unwrap();
    let stderr = fs::File::create(ground.beside("stderr")).unwrap();
    // What a daemon inherits that was started from a service, with another standard error.
    let daemon = ground.mount(|command| {
        with_journal(command, &folder);
        command.env("JOURNAL_STREAM", "1:1").stderr(stderr);
    });
    assert_eq!(daemon.stop(), Some(0));
    assert!(ground.words().contains("is mounted at"), "{}", ground.words());
    assert!(journal.recv(&mut [0; 4096]).is_err(), "the journal was told something");
}

#[test]
fn a_journal_that_is_asked_for_and_not_there_is_said_and_replaced_by_standard_error() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    if !can_unshare() {
        return;
    }
    let folder = ground.beside("journal");
    fs::create_dir(&folder).unwrap();
    let stderr = fs::File::create(ground.beside("stderr")).unwrap();
    let daemon = ground.mount(|command| {
        command.args(["--log-format", "journald"]);
        with_journal(command, &folder);
        command.stderr(stderr);
    });
    assert_eq!(daemon.stop(), Some(0));
    let words = ground.words();
    assert!(
        words.contains("warning: the journal cannot be reached at /run/systemd/journal/socket"),
        "{words}"
    );
    assert!(words.contains("is mounted at"), "{words}");
}

#[test]
fn a_mount_in_the_background_logs_to_the_journal_where_there_is_one() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    if !can_unshare() {
        return;
    }
    let folder = ground.beside("journal");
    fs::create_dir(&folder).unwrap();
    let script = "\"$1\" mount mock: \"$2\" --state-dir \"$3\" && \"$1\" umount \"$2\"";
    let mount_and_unmount = || {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_partfs")]);
        command.arg(ground.path("")).arg(ground.beside("state"));
        with_journal(&mut command, &folder);
        run(&mut command)
    };
    let ran = mount_and_unmount();
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "without a journal nothing is wrong");
    let journal = UnixDatagram::bind(folder.join("socket")).unwrap();
    journal.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let ran = mount_and_unmount();
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    received(&journal, "mock: is mounted at");
    received(&journal, "unmounted");
}
