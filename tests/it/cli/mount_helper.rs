//! mount(8), umount(8) and fstab: the program under the names of their helpers. What the real mount(8) does is
//! tried in a mount namespace of its own, in which /sbin has the two links.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::place::{Place, able_to};
use super::{Ran, run};

/// Both helpers, as links.
pub(crate) struct Helpers(TempDir);

impl Helpers {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for name in ["mount.fuse.partfs", "umount.fuse.partfs"] {
            symlink(env!("CARGO_BIN_EXE_partfs"), dir.path().join(name)).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.fuse.partfs"))
    }

    /// Called as mount(8) and umount(8) call it from systemd: no HOME, no search path, another folder.
    pub(crate) fn run(&self, name: &str, arguments: &[&str], place: &Path) -> Ran {
        let mut command = Command::new(self.path(name));
        command.env_clear().env("PARTFS_STATE_DIR", env!("CARGO_TARGET_TMPDIR"));
        command.current_dir("/").stdin(Stdio::null());
        let arguments = arguments.iter().map(Path::new);
        run(command.args(arguments.map(|it| if it == Path::new("DIR") { place } else { it })))
    }
}

/// The options of the mount at a place.
fn options_of(place: &Path) -> String {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let at = format!(" {} ", place.display());
    table.lines().rfind(|line| line.contains(&at)).unwrap_or_default().to_owned()
}

#[test]
fn helpers_mount_and_unmount_without_an_environment() {
    let Some(place) = Place::new() else { return };
    let helpers = Helpers::new();
    let line = ["mock:", "DIR", "-n", "-v", "-o", "rw,_netdev,nofail,x-a=b", "-t", "fuse.partfs"];
    let ran = helpers.run("mount", &line, place.path());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    std::fs::write(place.path().join("file"), "bytes").unwrap();
    let ran = helpers.run("mount", &line, place.path());
    assert_eq!(ran.code, Some(32), "{}", ran.stderr);
    assert!(ran.stderr.contains("already mounted by partfs"), "{}", ran.stderr);

    let open = std::fs::File::open(place.path()).unwrap();
    let ran = helpers.run("umount", &["DIR"], place.path());
    assert_eq!(ran.code, Some(32), "{}", ran.stderr);
    assert!(place.is_mounted());
    drop(open);
    let ran = helpers.run("umount", &["DIR", "-v", "-t", "fuse.partfs"], place.path());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(!place.is_mounted());
}

#[test]
fn helpers_refuse_with_the_codes_of_mount() {
    let dir = TempDir::new().unwrap();
    let helpers = Helpers::new();
    let refused = |arguments: &[&str], code, words: &str| {
        let ran = helpers.run("mount", arguments, dir.path());
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    };
    refused(&["mock:"], 1, "usage: mount.fuse.partfs URL DIRECTORY");
    refused(&["ftp://x", "DIR"], 1, "this cannot be mounted");
    refused(&["mock:", "DIR", "-o", "colour=red"], 1, "-o colour: there is no such option");
    refused(&["mock:", "DIR", "-o", "remount,ro"], 1, "partfs cannot change a mount");
    refused(&["mock:", "DIR", "-o", "config=/nonexistent.toml"], 1, "/nonexistent.toml");
    refused(&["mock:", "/nonexistent"], 32, "does not exist");
    let ran = helpers.run("umount", &["DIR"], dir.path());
    assert_eq!(ran.code, Some(32), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing is mounted"), "{}", ran.stderr);
    // Nothing is done, and what was said is looked at all the same.
    assert_eq!(helpers.run("mount", &["-f", "mock:", "DIR"], dir.path()).code, Some(0));
    refused(&["-f", "mock:", "DIR", "-o", "part_size=1"], 1, "part_size");
    assert!(!super::place::is_mounted(dir.path()));
}

#[test]
fn options_can_come_from_a_file_that_fstab_names() {
    let Some(place) = Place::new() else { return };
    let helpers = Helpers::new();
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("data.toml");
    std::fs::write(&config, "read_only = true\n").unwrap();
    let options = format!("config={},_netdev", config.display());
    let ran = helpers.run("mount", &["mock:", "DIR", "-o", &options], place.path());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(options_of(place.path()).contains(" ro,"), "{}", options_of(place.path()));
    assert_eq!(helpers.run("umount", &["DIR"], place.path()).code, Some(0));
}

#[test]
fn programs_are_not_started_from_a_noexec_mount() {
    let Some(place) = Place::new() else { return };
    let helpers = Helpers::new();
    let program = place.path().join("program");
    let starts = |options: &str| {
        let ran = helpers.run("mount", &["mock:", "DIR", "-o", options], place.path());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{options}");
        std::fs::write(&program, "#!/bin/sh\nexit 7\n").unwrap();
        let ran = run(Command::new("chmod").arg("755").arg(&program));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        let ended = Command::new(&program).status();
        assert_eq!(helpers.run("umount", &["DIR"], place.path()).code, Some(0));
        ended.ok().and_then(|status| status.code())
    };
    assert_eq!(starts("rw"), Some(7));
    assert_eq!(starts("noexec"), None);
    assert_eq!(starts("user=root"), None, "user means noexec, as for mount(8)");
    assert_eq!(starts("users,exec"), Some(7));
}

/// `$1` is a directory, `$2` the program. Each step prints its name and how it ended.
const REAL_MOUNT: &str = r#"
set -eu
# Not the mounts of others: this namespace would keep them alive.
sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \([^ ]*\) .* - fuse.partfs .*/\1/p' /proc/self/mountinfo | xargs -r -n 1 umount -i -l
mount -t tmpfs tmpfs "$1"
[ -d /run/mount ] && mount -t tmpfs tmpfs /run/mount
cd "$1"
sbin=$(readlink -f /sbin)
mkdir upper work at 'a blank' b
mount -t overlay overlay -o "lowerdir=$sbin,upperdir=upper,workdir=work" "$sbin"
cp "$2" partfs
ln -s "$1/partfs" "$sbin/mount.fuse.partfs"
ln -s "$1/partfs" "$sbin/umount.fuse.partfs"
step() { name=$1; shift; code=0; "$@" 2>>words || code=$?; echo "$name: $code"; }
options() { grep -c " $1.*fuse.partfs" /proc/self/mountinfo || :; }

cat > fstab <<END
mock: $1/at fuse.partfs _netdev,nofail,x-systemd.requires=network-online.target,allow_other 0 0
mock:$1/b $1/a\040blank fuse.partfs ro,user,noauto,uid=1000 0 0
END
step all mount -T fstab -a
echo content > at/file
step all-again mount -T fstab -a
echo "mounts: $(options "$1/at")"
step content grep -q content at/file
exec 9> at/open
step busy umount at
exec 9>&-
step umount umount at
echo "mounts: $(options "$1/at")"

step blank mount -T fstab "$1/a blank"
echo "read-only and noexec: $(options "$1/a.040blank ro,nosuid,nodev,noexec")"
step umount-blank umount "$1/a blank"

# Without a word for which mount(8) has a table, too.
step plain mount -t fuse.partfs mock: at
exec 9> at/open
step busy-plain umount at
exec 9>&-
echo "helper spoke: $(grep -c 'partfs: cannot unmount' words)"
step umount-plain umount at
echo "left in the table: $(grep -c partfs /run/mount/utab 2>/dev/null || :)"

step fake mount -f -t fuse.partfs mock: at
step unknown mount -t fuse.partfs mock: at -o colour=red
step sloppy mount -s -t fuse.partfs mock: at -o colour=red
step lazy umount -l at
step internal sh -c 'mount -t fuse.partfs mock: at && umount -i -l at'

# As long as the package does not bring the links, mount.fuse3 starts the program.
rm "$sbin/mount.fuse.partfs"
cp partfs "$sbin/partfs"
step by-mount.fuse3 mount -t fuse.partfs mock: at -o ro,noexec
echo "read-only and noexec: $(options "$1/at ro,nosuid,nodev,noexec")"
step wrong-by-mount.fuse3 mount -t fuse.partfs mock: at -o colour=red
step umount-fuse3 umount -i at
"#;

#[test]
fn mount_and_umount_and_fstab_work() {
    let Some(place) = Place::new() else { return };
    let tools = "command -v mount umount mount.fuse3 && unshare -m sh -c \
        'mount -t tmpfs t /tmp && mkdir /tmp/u /tmp/w && mount -t overlay o -o lowerdir=/sbin/,upperdir=/tmp/u,workdir=/tmp/w /mnt'";
    let tools = run(Command::new("sh").args(["-c", tools]));
    let what = "run mount(8) with a helper: it needs unshare, overlayfs and mount.fuse3";
    if !able_to(what, tools.code == Some(0)) {
        return;
    }
    let mut command = Command::new("unshare");
    // With processes of its own: what fails in the middle leaves no daemon behind.
    command
        .args(["-m", "-p", "-f", "--mount-proc", "sh", "-c", REAL_MOUNT, "sh"])
        .arg(place.path());
    command.arg(env!("CARGO_BIN_EXE_partfs"));
    let ran = run(&mut command);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let expected = "\
all: 0
all-again: 0
mounts: 1
content: 0
busy: 32
umount: 0
mounts: 0
blank: 0
read-only and noexec: 1
umount-blank: 0
plain: 0
busy-plain: 32
helper spoke: 2
umount-plain: 0
left in the table: 0
fake: 0
unknown: 1
sloppy: 0
lazy: 0
internal: 0
by-mount.fuse3: 0
read-only and noexec: 1
wrong-by-mount.fuse3: 1
umount-fuse3: 0
";
    let lines = |text: &str| -> BTreeMap<usize, String> {
        text.lines().map(str::to_owned).enumerate().collect()
    };
    assert_eq!(lines(&ran.stdout), lines(expected), "{}", ran.stderr);
}
