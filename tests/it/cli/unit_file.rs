//! The systemd unit does not hide the mount from the machine.

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

#[test]
fn no_directive_hides_the_mount() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/partfs@.service");
    let unit = fs::read_to_string(path).unwrap();
    let names: Vec<&str> = unit
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert!(names.contains(&"ExecStart"), "this is no unit: {path}");
    let hiding: Vec<_> = names.iter().filter(|name| HIDING.contains(name)).collect();
    assert!(hiding.is_empty(), "{hiding:?}");
}
