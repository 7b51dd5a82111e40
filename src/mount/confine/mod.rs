//! The daemon gives up what it does not need to serve a mount: capabilities, system calls, and the file
//! system but for a few folders. To be done while the process has one thread, because every thread has these
//! limits for itself and hands them on to those it starts. There is no way back.

mod calls;
mod capabilities;
mod folders;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

pub(crate) use folders::Folders;

/// Confines this process. What could not be given up is returned, one sentence each: an old kernel, or a
/// container that forbids it.
pub(crate) fn confine(folders: &Folders) -> Vec<String> {
    let mut failed = Vec::new();
    let mut note = |what: &str, result: Result<(), String>| {
        if let Err(why) = result {
            failed.push(format!("{what}: {why}"));
        }
    };
    note("no_new_privs", set_no_new_privs(true).map_err(|error| error.to_string()));
    note("capabilities", capabilities::keep_only(CapabilitySet::empty()));
    // Keys are in its memory.
    note("core dumps", without_core());
    note("Landlock", folders.enforce());
    // The last one, because it forbids some of what the others need.
    note("seccomp", calls::forbid());
    failed
}

/// For a keeper, which needs these. It does as well as it can: one without the first of them mounts by a set-uid
/// helper, which must be able to become more than its caller.
pub(crate) fn keep_only(needed: CapabilitySet) {
    let may_mount = capabilities(None)
        .is_ok_and(|current| current.effective.contains(CapabilitySet::SYS_ADMIN));
    if may_mount {
        let _ = set_no_new_privs(true);
        let _ = capabilities::keep_only(needed);
    }
    let _ = without_core();
}

/// Nobody but root can look into the process, and nothing of its memory gets into a file.
fn without_core() -> Result<(), String> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|error| error.to_string())?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "confine_tests.rs"]
mod tests;
