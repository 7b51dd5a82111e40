//! SIGHUP to a daemon: log level, log file and credentials are taken anew, and what cannot be used changes
//! nothing.

use std::fs;

use partfs::mock::MockConfig;
use rustix::process::Signal;

use super::{Daemon, Ground};

/// A daemon whose level comes from a file.
fn mount_by_file(ground: &Ground, level: &str, more: &[&str]) -> Daemon {
    set_level(ground, level);
    ground.mount(|command| {
        command.arg("--config").arg(ground.beside("config.toml"));
        command.args(["--log-format", "json", "--log-file"]).arg(ground.beside("log")).args(more);
    })
}

fn set_level(ground: &Ground, level: &str) {
    fs::write(ground.beside("config.toml"), format!("log_level = \"{level}\"\n")).unwrap();
}

fn has_debug_of(ground: &Ground, name: &str) -> bool {
    let _ = fs::metadata(ground.path(name));
    let lines = ground.lines();
    lines.iter().any(|line| line["level"] == "DEBUG" && line["path"] == name)
}

#[test]
fn the_level_in_the_file_counts_from_the_signal_on() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    let daemon = mount_by_file(&ground, "info", &[]);
    assert!(!has_debug_of(&ground, "one"));
    set_level(&ground, "debug");
    daemon.signal(Signal::HUP);
    ground.message("log_level is debug");
    assert!(has_debug_of(&ground, "two"));

    // A mistake, named by its line, leaves things as they are.
    fs::write(ground.beside("config.toml"), "\nlog_level = \"loud\"\n").unwrap();
    daemon.signal(Signal::HUP);
    let line = ground.message("the log level stays");
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("log_level loud") && line["level"] == "ERROR", "{line:#}");
    fs::write(ground.beside("config.toml"), "log_level = = 1\n").unwrap();
    daemon.signal(Signal::HUP);
    let line =
        ground.line(|line| line["error"].as_str().is_some_and(|error| error.contains("line 1")));
    assert!(line["error"].as_str().unwrap().contains("config.toml"), "{line:#}");
    assert!(has_debug_of(&ground, "three"));

    set_level(&ground, "warn");
    daemon.signal(Signal::HUP);
    // Nothing is said any more, so that the reload is over when a second one has been made, at another level.
    ground.until(|| {
        let name = format!("quiet{}", ground.lines().len());
        (!has_debug_of(&ground, &name)).then_some(())
    });
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_level_that_is_given_by_a_flag_stays_and_the_log_says_so() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    let daemon = mount_by_file(&ground, "error", &["--log-level", "info"]);
    set_level(&ground, "debug");
    daemon.signal(Signal::HUP);
    ground.message("log_level is given by --log-level, and stays info");
    assert!(!has_debug_of(&ground, "one"));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_log_file_that_was_moved_away_is_made_anew() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    let daemon = ground.mount_with_log("info");
    ground.message("is mounted at");
    fs::rename(ground.beside("log"), ground.beside("log.1")).unwrap();
    daemon.signal(Signal::HUP);
    ground.message("SIGHUP");
    assert!(ground.lines().iter().all(|line| line["message"] != "is mounted at"));
    assert!(fs::read_to_string(ground.beside("log.1")).unwrap().contains("is mounted at"));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn new_keys_are_read_at_once_and_bad_ones_change_nothing() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    let daemon = ground.mount_with_log("info");
    fs::write(ground.path("one"), "1").unwrap();

    // What cannot be used is named, and the mount goes on with what it has.
    ground.write_keys("access_key_id = only-half\n");
    daemon.signal(Signal::HUP);
    let line = ground.message("credentials cannot be renewed");
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("keys: has no secret_access_key"), "{line:#}");
    assert_eq!(line["level"], "ERROR");
    fs::write(ground.path("two"), "2").unwrap();

    // Nobody asks the bucket for anything between the signal and the line: it is the signal that did it.
    let found = |ground: &Ground| {
        ground.lines().iter().filter(|line| line["message"] == "credentials").count()
    };
    let before = found(&ground);
    ground.give_keys("new-id", "another-new-secret", None);
    daemon.signal(Signal::HUP);
    ground.until(|| (found(&ground) > before).then_some(()));
    ground.server.set_credentials("new-id", "another-new-secret", None);
    fs::write(ground.path("three"), "3").unwrap();
    assert_eq!(
        ground.runtime.block_on(crate::world::object(&ground.server.bucket(), "three")).unwrap(),
        b"3"
    );

    daemon.signal(Signal::HUP);
    ground.message("the credentials are what they were");
    assert_eq!(daemon.stop(), Some(0));
}
