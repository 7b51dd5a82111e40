//! Making a mount: the kernel's part of it, without anybody who serves. By the system call where that is
//! allowed, otherwise with the help of fusermount3, which is set-uid for this purpose. What comes of it is
//! the descriptor by which the kernel asks; it may be served by another process than the one that mounted.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::{Errno, retry_on_intr};
use rustix::mount::MountFlags;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::session::SessionOptions;

const DEVICE: &str = "/dev/fuse";

/// Behind the name of the type: `fuse.partfs` is what tells our mounts.
const SUBTYPE: &str = "subtype=partfs";

const HELPER: &str = "fusermount3";
/// Where distributions put it. Services and cron jobs may have a search path without it.
const HELPER_PATH: &str = "/bin/fusermount3";

/// A mount that nobody serves yet: whoever looks into it waits.
#[derive(Debug)]
pub struct Device {
    /// By which the kernel asks. When the last copy is closed, the mount is dead.
    pub connection: OwnedFd,
    /// The device number that the kernel has given to the mount.
    pub number: u64,
}

/// Mounts. `at` is absolute and without links.
///
/// # Errors
/// The system's, where /dev/fuse cannot be opened or fusermount3 is needed and is not there (ENOENT);
/// otherwise one without a number, in the words of who refused.
pub fn mount(at: &Path, options: &SessionOptions) -> io::Result<Device> {
    let connection = match directly(at, options)? {
        Some(connection) => connection,
        None => with_helper(at, options)?,
    };
    match number_of(at) {
        Ok(number) => Ok(Device { connection, number }),
        Err(error) => {
            // Not to be left without anybody who serves it.
            let _ = rustix::mount::unmount(at, rustix::mount::UnmountFlags::DETACH);
            Err(error)
        }
    }
}

/// `None` where only a helper may.
fn directly(at: &Path, options: &SessionOptions) -> io::Result<Option<OwnedFd>> {
    let mode = File::open(at)?.metadata()?.permissions().mode();
    let device = OpenOptions::new().read(true).write(true).open(DEVICE)?;
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    let mut data = format!(
        "fd={},rootmode={mode:o},user_id={},group_id={},default_permissions,{SUBTYPE}",
        device.as_raw_fd(),
        user.as_raw(),
        group.as_raw(),
    );
    if options.allow_other {
        data.push_str(",allow_other");
    }
    // Metadata in a bucket is written by others: no set-id programs, no devices.
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    flags.set(MountFlags::RDONLY, options.read_only);
    flags.set(MountFlags::NOEXEC, options.no_exec);
    let data = CString::new(data).map_err(io::Error::other)?;
    match rustix::mount::mount(&*options.source, at, "fuse", flags, &*data) {
        Ok(()) => Ok(Some(device.into())),
        Err(Errno::PERM) => Ok(None),
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

fn with_helper(at: &Path, options: &SessionOptions) -> io::Result<OwnedFd> {
    // The options of a list are divided by commas, and the source is the user's text.
    let source = options.source.replace('\\', "\\\\").replace(',', "\\,");
    let mut list = format!("fsname={source},{SUBTYPE},nosuid,nodev,noatime,default_permissions");
    let words = [
        (",ro", options.read_only),
        (",noexec", options.no_exec),
        (",allow_other", options.allow_other),
    ];
    for (word, wanted) in words {
        list.push_str(if wanted { word } else { "" });
    }
    match run_helper(HELPER, at, &list) {
        // A folder of the search path that may not be looked into is "permission denied" as well.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            run_helper(HELPER_PATH, at, &list)
        }
        result => result,
    }
}

fn run_helper(helper: &str, at: &Path, list: &str) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(helper);
    command.args(["-o", list, "--"]).arg(at);
    // The environment may hold keys.
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    // Its standard input, because that needs no descriptor that every other child would inherit, too.
    command.env("_FUSE_COMMFD", "0").stdin(Stdio::from(OwnedFd::from(theirs)));
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    // It still holds the other end, which must be the helper's alone for its end to be seen.
    drop(command);
    let connection = receive(&ours);
    drop(ours);
    let output = child.wait_with_output()?;
    match connection? {
        Some(connection) => Ok(connection),
        None => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// What the helper sends; `None` when it ends without.
fn receive(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    retry_on_intr(|| {
        let mut into = [IoSliceMut::new(&mut byte)];
        recvmsg(socket, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    Ok(ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    }))
}

/// The number of what is mounted at a place, without asking who serves it: nobody does yet.
fn number_of(at: &Path) -> io::Result<u64> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let stat = statx(CWD, at, flags, StatxFlags::empty())?;
    Ok(rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor))
}
