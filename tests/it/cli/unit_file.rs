//! What the systemd units must not say, and what the rest of the package rests on.

use std::fs;

/// Directives that give a service a mount namespace of its own, whatever else they do; see
/// systemd.exec(5). A mount made there is seen by nobody else.
const HIDING: &[&str] = &[
    "PrivateMounts",
    "PrivateTmp",
    "PrivateDevices",
    "ProtectSystem",
    "ProtectHome",
    "ReadWritePaths",
    "ReadOnlyPaths",
    "InaccessiblePaths",
    "ExecPaths",
    "NoExecPaths",
    "BindPaths",
    "BindReadOnlyPaths",
    "TemporaryFileSystem",
    "MountImages",
    "ExtensionImages",
    "ExtensionDirectories",
    "RootImage",
    "RootDirectory",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ProtectProc",
    "ProcSubset",
    "PrivateNetwork",
    "NetworkNamespacePath",
    "PrivateIPC",
    "IPCNamespacePath",
    "PrivateUsers",
    "LogNamespace",
    "MountFlags",
    "DynamicUser",
];

/// Directives that take set-uid away from whoever the service starts, fusermount3 among them, where the manager is no
/// root: NoNewPrivileges itself, and all that work by a seccomp filter.
const WITHOUT_SETUID: &[&str] = &[
    "NoNewPrivileges",
    "SystemCallFilter",
    "SystemCallArchitectures",
    "SystemCallLog",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "ProtectClock",
    "ProtectHostname",
];

/// Directives of a unit with their values.
fn directives(unit: &str) -> Vec<(String, String)> {
    let path = format!("{}/systemd/{unit}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn forbidden<'a>(found: &'a [(String, String)], names: &[&str]) -> Vec<&'a str> {
    let names = found.iter().map(|(name, _)| name.as_str()).filter(|name| names.contains(name));
    names.collect()
}

#[test]
fn no_directive_hides_the_mount() {
    for unit in ["partfs@.service", "user/partfs@.service"] {
        let found = directives(unit);
        assert!(found.iter().any(|(name, _)| name == "ExecStart"), "{unit} is no unit");
        assert_eq!(forbidden(&found, HIDING), [""; 0], "{unit}");
    }
}

#[test]
fn a_user_can_mount_with_fusermount() {
    assert_eq!(forbidden(&directives("user/partfs@.service"), WITHOUT_SETUID), [""; 0]);
}

#[test]
fn both_units_live_alike() {
    let (system, user) = (directives("partfs@.service"), directives("user/partfs@.service"));
    let of = |unit: &[(String, String)], name: &str| -> Vec<String> {
        unit.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    };
    for name in [
        "Type",
        "NotifyAccess",
        "ExecStart",
        "ExecReload",
        "Restart",
        "RestartPreventExitStatus",
        "RestartSec",
        "TimeoutStartSec",
        "TimeoutStopSec",
        "KillMode",
        "WatchdogSec",
        "StartLimitIntervalSec",
        "StartLimitBurst",
    ] {
        assert_eq!(of(&system, name), of(&user, name), "{name}");
        assert_eq!(of(&system, name).len(), 1, "{name}");
    }
    // Nothing that could take away what somebody else has mounted there.
    assert_eq!(of(&system, "ExecStopPost"), ["-+/usr/bin/partfs umount --if-dead %f"]);
    assert_eq!(of(&user, "ExecStopPost"), ["-/usr/bin/partfs umount --if-dead %f"]);
}
