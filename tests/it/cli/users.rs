//! Who may mount and unmount, with which help: root needs none, an ordinary user needs fusermount3, a service
//! has the one capability for it.

use std::process::Command;

use super::place::{Place, able_to};
use super::{mount, partfs, run};

#[test]
fn root_needs_no_fusermount() {
    let Some(place) = Place::new() else { return };
    assert_eq!(mount("mock:", place.path(), &[]).code, Some(0));
    let ran = run(partfs(["umount"]).arg(place.path()).env("PATH", ""));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(!place.is_mounted());
}

/// What an ordinary user does, in a mount namespace where /dev/fuse is everybody's, as it is on most
/// machines. `$1` is a directory, `$2` the program. Each step prints its name and how it ended.
const ORDINARY_USER: &str = r#"
set -eu
exec 2>&1
mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"
mknod fuse c 10 229
chmod 666 fuse
mount --bind fuse /dev/fuse
touch partfs
mount --bind "$2" partfs
cp "$(command -v setpriv)" setpriv
mkdir at other empty
chown 65534:65534 at other
user() { ./setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
step() { name=$1; shift; if user "$@"; then echo "$name: done"; else echo "$name: failed"; fi; }

step mount ./partfs mount mock: "$1/at"
other() { ./setpriv --reuid 65533 --regid 65533 --clear-groups -- "$@"; }
if other ./partfs umount "$1/at"; then echo "umount-by-other: done"; else echo "umount-by-other: failed"; fi
step write sh -c 'echo content > at/file && cat at/file'
pid=$(user sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' at/.partfs/status.json)
step confined grep -q 'NoNewPrivs:.1' "/proc/$pid/status"
step filtered grep -q 'Seccomp:.2' "/proc/$pid/status"
step umount ./partfs umount "$1/at"
step umounted sh -c '! grep " $0/at " /proc/self/mountinfo' "$1"
service() {
  ./setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,+sys_admin \
    --ambient-caps=-all,+sys_admin --bounding-set=-all,+sys_admin --no-new-privs -- "$@"
}
service ./partfs mount mock: "$1/at" --sandbox required && echo "service-mount: done"
user sh -c 'echo content > at/file' && echo "service-write: done"
pid=$(user sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' at/.partfs/status.json)
grep -q 'CapEff:.0*$' "/proc/$pid/status" && echo "service-confined: done"
kill "$pid"
while grep -q " $1/at " /proc/self/mountinfo; do sleep 0.1; done
echo "service-unmounted: done"
step allow-other ./partfs mount mock: "$1/at" --allow-other
step mount-again ./partfs mount mock: "$1/at"
for dir in /usr/sbin /sbin /usr/bin /bin; do [ -L "$dir" ] || binds="$dir ${binds:-}"; done
cp "$(command -v mount)" mount
for dir in $binds; do ./mount --bind empty "$dir"; done
step mount-without ./partfs mount mock: "$1/other"
step umount-without ./partfs umount "$1/at"
./partfs umount "$1/at" && echo "umount-by-root: done"
"#;

#[test]
fn an_ordinary_user_mounts_and_unmounts_with_fusermount() {
    let Some(place) = Place::new() else { return };
    let tools = "command -v fusermount3 setpriv && unshare -m true";
    let tools = run(Command::new("sh").args(["-c", tools]));
    let what = "be an ordinary user: it needs unshare, setpriv and fusermount3 (apt install fuse3)";
    if !able_to(what, tools.code == Some(0)) {
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", ORDINARY_USER, "sh"]).arg(place.path());
    let said = run(command.arg(env!("CARGO_BIN_EXE_partfs"))).stdout;
    let lines: Vec<&str> = said.lines().collect();
    for done in [
        "mount",
        "write",
        "confined",
        "filtered",
        "umount",
        "umounted",
        "mount-again",
        "umount-by-root",
        "service-mount",
        "service-write",
        "service-confined",
        "service-unmounted",
    ] {
        assert!(lines.contains(&&*format!("{done}: done")), "{done}:\n{said}");
    }
    let reason = |step: &str| {
        let at = lines.iter().position(|line| *line == format!("{step}: failed"));
        lines[at.unwrap_or_else(|| panic!("{step}:\n{said}")) - 1]
    };
    assert!(
        reason("allow-other").ends_with("'user_allow_other' is set in /etc/fuse.conf"),
        "{said}"
    );
    assert!(reason("umount-by-other").contains("a mount of the user with number 65534"), "{said}");
    assert!(reason("mount-without").contains("apt install fuse3"), "{said}");
    assert!(reason("umount-without").contains("apt install fuse3"), "{said}");
}
