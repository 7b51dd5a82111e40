//! SIGHUP to a program in a terminal: the terminal has been closed, and the mount ends in order.

use std::process::{Command, Stdio};

use partfs::mock::MockConfig;

use super::Ground;
use crate::world::mount::can_run;

/// Runs its arguments in a terminal of its own, until it is killed itself.
const IN_A_TERMINAL: &str = "import pty, sys; pty.spawn(sys.argv[1:])";

#[test]
fn a_mount_in_a_terminal_ends_with_it_and_in_order() {
    let Some(ground) = Ground::new(MockConfig::default()) else { return };
    if !can_run("python3") {
        return;
    }
    let mut mount = ground.command(&["mount"]);
    mount.args(["--foreground", "--log-format", "json", "--log-file"]).arg(ground.beside("log"));
    let mut terminal = Command::new("python3");
    terminal.args(["-c", IN_A_TERMINAL]).arg(mount.get_program()).args(mount.get_args());
    for (name, value) in mount.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    let mut terminal = terminal.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    ground.message("is mounted at");
    assert!(ground.place.is_mounted());
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    ground.message("SIGHUP: stopping");
    ground.message("unmounted");
    assert!(!ground.place.is_mounted());
}
