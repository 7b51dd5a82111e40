//! System calls that a daemon never makes, forbidden by seccomp(2). A list of what is forbidden and not of
//! what is allowed: what a C library, an allocator or an async runtime calls changes with each version, and a
//! mount that dies a year later of an update would be worse. What is forbidden answers EPERM, as for anybody
//! without the privilege.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Forbidden with whatever arguments.
const FORBIDDEN: &[i64] = &[
    // Running programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Mounting, and other roots and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Files by handles, past the folders that are on their way.
    libc::SYS_open_by_handle_at,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Favourite ways to attack a kernel, none of which is needed. io_uring also does system calls that this
    // filter does not see.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine as a whole.
    libc::SYS_kexec_load,
    #[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_env = "gnu")))]
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_fanotify_init,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// The second way into an x86-64 kernel, x32: the same calls with this bit, …
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;
/// … but for some that have numbers of their own: execve, ptrace, kexec_load, process_vm_readv and
/// process_vm_writev, execveat.
#[cfg(target_arch = "x86_64")]
const X32_OWN: [i64; 6] = [520, 521, 528, 539, 540, 545];

/// Flags of clone(2) that make a namespace.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Forbids them to this thread and those it will start. Sets no_new_privs.
pub(super) fn forbid() -> Result<(), String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    for (rules, error) in [(forbidden()?, libc::EPERM), (unknown(), libc::ENOSYS)] {
        let action = SeccompAction::Errno(error.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch)
            .and_then(BpfProgram::try_from);
        let program = filter.map_err(|error| error.to_string())?;
        apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// By number; no conditions mean always.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn forbidden() -> Result<Rules, String> {
    let mut rules: Rules = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    rules.extend(FORBIDDEN.iter().chain(&X32_OWN).map(|call| (call | X32, Vec::new())));
    let namespace = |flag: i32| {
        let flag = u64::from(flag.unsigned_abs());
        let is_set = SeccompCmpOp::MaskedEq(flag);
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, is_set, flag)?;
        SeccompRule::new(vec![condition])
    };
    let clone: Result<Vec<_>, _> = NAMESPACES.into_iter().map(namespace).collect();
    let clone = clone.map_err(|error| error.to_string())?;
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_clone | X32, clone.clone());
    rules.insert(libc::SYS_clone, clone);
    Ok(rules)
}

/// clone3(2) has its flags in memory, where a filter cannot look. C libraries take clone(2) where a kernel does not
/// know it.
fn unknown() -> Rules {
    let mut rules = Rules::from([(libc::SYS_clone3, Vec::new())]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_clone3 | X32, Vec::new());
    rules
}
