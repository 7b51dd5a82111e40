//! The table of mount(8) beside the kernel's, /run/mount/utab. umount(8) calls the helper of a FUSE mount only
//! when the mount stands there; without it it takes the mount away itself, and nobody waits for what is on
//! its way.
//!
//! Written by mount(8) and umount(8) themselves (`-i --fake`: the table only), because they lock it.

use std::path::Path;
use std::process::{Command, Stdio};

/// Where it is.
const TABLE: &str = "/run/mount/utab";

/// Calls of umount(8) for one mount: mount(8) may have entered it as well, and an old one may be left.
const MOST_ENTRIES: usize = 4;

/// Enters a mount, so that umount(8) finds its helper. Only root can; without it umount(8) waits for nothing.
pub(crate) fn remember(source: &str, place: &Path) {
    if rustix::process::geteuid().is_root() {
        let line = ["-i", "--fake", "--no-canonicalize", "-t", "fuse.partfs", "-o"];
        let more = ["uhelper=partfs", "--", source];
        silently(Command::new("mount").args(line).args(more).arg(place));
    }
}

/// Takes a mount out that is no more.
pub(crate) fn forget(place: &Path) {
    for _ in 0..MOST_ENTRIES {
        if !rustix::process::geteuid().is_root() || !mentions(place) {
            return;
        }
        silently(Command::new("umount").args(["-i", "--fake", "--"]).arg(place));
    }
}

fn mentions(place: &Path) -> bool {
    let Ok(table) = std::fs::read_to_string(TABLE) else { return false };
    // Blanks and the like are escaped; such a place is looked for with the blank cut off.
    let place = place.to_string_lossy();
    let start = place.split([' ', '\t', '\n', '\\']).next().unwrap_or_default();
    table.lines().any(|line| line.contains(&format!(" TARGET={start}")))
}

/// What comes of it changes nothing for the user: the mount is there, or gone, as it was said.
fn silently(command: &mut Command) {
    let ran = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    tracing::debug!(?ran, "{TABLE}");
}
