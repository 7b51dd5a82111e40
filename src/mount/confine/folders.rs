//! The folders that a daemon needs; Landlock (landlock(7)) takes away all others. Folders and not files,
//! wherever a file is replaced by another one now and then: a rule belongs to what had the name when it was made.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

/// What every daemon reads. Names of hosts, certificates of authorities, time zones, and the modules of the C
/// library for all this, which are loaded when they are needed; limits of the control group; the state of
/// its own process. Links in /etc lead to /run.
const READ: [&str; 18] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/run",
    "/var/run",
    "/var/lib/ca-certificates",
    "/nix/store",
    "/gnu/store",
    "/opt/etc/ssl",
    "/var/ssl",
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system",
    "/sys/kernel/mm",
    "/dev/urandom",
    "/dev/random",
];

/// Files of these folders may be links to others: what they lead to when the daemon starts is read, too.
const LINKS: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// What it may write to as well.
const WRITE: [&str; 1] = ["/dev/null"];

/// The newest rules that are asked for. A kernel that knows more must not take away more.
const RULES: ABI = ABI::V6;

/// What a daemon keeps.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    /// Read, with all that is below. What does not exist is left out.
    pub(crate) read: Vec<PathBuf>,
    /// Read and written.
    pub(crate) write: Vec<PathBuf>,
    /// Whether it may listen on a port, of the system's choice.
    pub(crate) listens: bool,
}

impl Folders {
    /// Where a file is, and where it really is.
    pub(crate) fn read_file(&mut self, file: &Path) {
        self.read.extend(folders_of(file));
    }

    /// Likewise of one that is written, and made anew.
    pub(crate) fn write_file(&mut self, file: &Path) {
        self.write.extend(folders_of(file));
    }

    /// From now on this thread, and those it will start, open nothing else.
    pub(super) fn enforce(&self) -> Result<(), String> {
        let status = self.try_enforce().map_err(|error| error.to_string())?;
        match status {
            RulesetStatus::NotEnforced => Err("this kernel does not have it".to_owned()),
            // An older kernel has fewer rules, and those hold.
            RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
        }
    }

    fn try_enforce(&self) -> Result<RulesetStatus, landlock::RulesetError> {
        let (read, all) = (AccessFs::ReadFile | AccessFs::ReadDir, AccessFs::from_all(RULES));
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .handle_access(AccessNet::BindTcp)?
            // No signal to anybody else. Abstract sockets stay: the daemon's last words go over one.
            .scope(Scope::Signal)?;
        let mut ruleset = ruleset.create()?;
        let fixed = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let links = LINKS.iter().filter_map(|link| fs::canonicalize(link).ok());
        let links: Vec<_> = links.filter_map(|it| it.parent().map(Path::to_owned)).collect();
        let granted = [
            (fixed(&READ), read),
            (links, read),
            (self.read.clone(), read),
            (fixed(&WRITE), read | AccessFs::WriteFile),
            (self.write.clone(), all & !AccessFs::Execute),
        ];
        for (paths, access) in granted {
            for path in paths {
                // What is not there is not needed, or its absence is an error that somebody else reports.
                let Ok(place) = PathFd::new(&path) else { continue };
                let access = if path.is_dir() { access } else { access & of_file() };
                ruleset = ruleset.add_rule(PathBeneath::new(place, access))?;
            }
        }
        if self.listens {
            ruleset = ruleset.add_rule(NetPort::new(0, AccessNet::BindTcp))?;
        }
        Ok(ruleset.restrict_self()?.ruleset)
    }
}

fn folders_of(file: &Path) -> Vec<PathBuf> {
    let real = fs::canonicalize(file).ok();
    let folders = [Some(file), real.as_deref()].into_iter().flatten().filter_map(Path::parent);
    folders.filter(|folder| *folder != Path::new("")).map(Path::to_owned).collect()
}

/// What can be done with a file.
fn of_file() -> BitFlags<AccessFs> {
    AccessFs::from_file(RULES)
}
