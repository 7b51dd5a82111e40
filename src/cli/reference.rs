//! `docs/CONFIGURATION.md`, made from the table of options so that it cannot be wrong.

use std::fmt::Write;

use super::options;
use super::source_url::SCHEMES;

/// What stands before the table.
pub(super) const HEAD: &str = "\
# Configuration

<!-- Made from src/cli/options.rs. After a change there: PARTFS_UPDATE_DOCS=1 cargo test documentation_is_current -->

`partfs mount URL MOUNTPOINT [options]`

Each option has one name and four places:

| place | example |
|---|---|
| flag | `--part-size 16MiB` |
| `-o`, also in fstab(5) | `-o part_size=16MiB,ro` |
| environment | `PARTFS_PART_SIZE=16MiB` |
| file given with `--config FILE` (TOML) | `part_size = \"16MiB\"` |

When an option is given in more than one place, the first of this list counts. Sizes are written
`8MiB`, `8M` or `8388608`; times `500ms`, `1.5s`, `10m`, `2h`, or a number of seconds. A switch is
`true` or `false`; as a flag or an `-o` word its name alone means `true`. An option that does not
exist is refused wherever it stands. In `-o`, the words of fstab(5) that are for others (`_netdev`,
`nofail`, `noauto`, `x-…`, `defaults`, `nosuid`, …) are accepted and ignored: a mount is always `nosuid,nodev,noatime`, also with
`suid` or `dev`. `ro`, `rw`, `exec`, `noexec`, `user` and `users` are meant. `config=FILE` there is `--config FILE`. A comma
inside a value is written `\\,`.

";

/// What stands after it.
pub(super) const TAIL: &str = "
Besides these, `partfs mount` has `--foreground` (`-f`), which keeps it in the foreground and sends the
log to standard error. With `--foreground` under systemd (`NOTIFY_SOCKET`), readiness and stopping are
reported to systemd, and its watchdog (`WATCHDOG_USEC`) gets its pings. [SYSTEMD.md](SYSTEMD.md) has units and lines for fstab.
[LOGS.md](LOGS.md) says what is in the log and what SIGHUP reads anew.

`partfs check URL`, `partfs link URL` and `partfs uploads list|abort URL` take the same options from the same places. `partfs link` prints an
address of one object (its `URL` is `cos://BUCKET-APPID/KEY` and so on, with the whole key as it is, not
percent-encoded) with which anybody may read it for the time of `--valid`: an hour, or what is given, at
most 7 days. Of the options, those that say where the bucket is and which keys are used matter to it; with
`sse_c_key_file`, `requester_pays` or `anonymous` it is refused. Temporary keys are in the address with their
token, and it ends with them.

## Memory

`memory_limit` is for the contents of files: what is being filled, on its way, kept or read ahead. Writers wait for
each other, readers fetch less ahead, and what finds no room goes through `staging_dir`. On top of it come

- the program itself and two buffers of 16 MiB for requests of the kernel: some 50 MiB when nothing happens;
- a second process that keeps the right to unmount (not with `sandbox=off`): some 6 MiB of its own;
- one request of the kernel for each thread of a program that waits: 1 MiB at most, and a sixteenth of the limit where
  that is less, but not below 64 KiB;
- 8 MiB at most for reads that find no room, and 1 MiB for a part that is sent from `staging_dir`;
- what the allocator keeps for threads that read and write `staging_dir`, some 5 MiB each: one thread for 8 MiB of the
  limit, at least 4 and at most 32.

1 MiB is the least, and needs `part_size=1MiB`. Such a mount takes some 100 MiB in all with twenty files on their way. Where
the smallest part of the service is more than a quarter of the limit (COS 1 MiB, QingStor 4 MiB, S3 5 MiB), a file that is
more than that quarter is in `staging_dir` as a whole until it is closed.

## Credentials

Keys are never given on the command line. The first of these places that has some counts; one that
has something unusable (half a pair, a line that is none, wrong permissions) is an error, not passed over:

1. `PARTFS_ACCESS_KEY_ID`, `PARTFS_SECRET_ACCESS_KEY` and, for temporary keys, `PARTFS_SESSION_TOKEN`
2. the service's own variables
3. the file named by `credentials_file`: a regular file, owned by you or root, mode 0600 or 0400
4. the files of the service's own tools, below `HOME`; one that others can read is used with a warning
5. an identity or container role that variables name
6. the role of the machine, from its metadata service, unless `instance_role` is `false`

| | COS | OSS | QingStor | S3 |
|---|---|---|---|---|
| 2 | `TENCENTCLOUD_SECRET_ID`, `TENCENTCLOUD_SECRET_KEY`, `TENCENTCLOUD_TOKEN`; `TKE_SECRET_ID`, `TKE_SECRET_KEY` | `OSS_ACCESS_KEY_ID`, `OSS_ACCESS_KEY_SECRET`, `OSS_SESSION_TOKEN`; `ALIBABA_CLOUD_ACCESS_KEY_ID`, `ALIBABA_CLOUD_ACCESS_KEY_SECRET`, `ALIBABA_CLOUD_SECURITY_TOKEN` | `QINGSTOR_ACCESS_KEY_ID`, `QINGSTOR_SECRET_ACCESS_KEY` | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` (not when `profile` is given) |
| 4 | `.cos.conf` (coscmd), `.cos.yaml` (coscli, not encrypted) | `.ossutilconfig`, `.oss/credentials`, `.alibabacloud/credentials.ini`, `.aliyun/credentials.ini`, `.aliyun/config.json` | `.qingstor/config.yaml`, or `QINGSTOR_CONFIG_PATH` | `.aws/credentials`, `.aws/config`: `profile`, `AWS_PROFILE` or `default` |
| 5 | `TENCENTCLOUD_WEB_IDENTITY_TOKEN_FILE` and what belongs to it, or `TKE_…` | `ALIBABA_CLOUD_OIDC_TOKEN_FILE` and what belongs to it | | `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_CONTAINER_CREDENTIALS_…_URI` |
| 6 | CVM | ECS | | EC2 (IMDSv2) |

```text
access_key_id = AKIDxxxxxxxx
secret_access_key = xxxxxxxx
session_token = xxxxxxxx
```

Temporary keys are renewed ten minutes before they end, from the place where they were found, and at once
when the service says that they have expired. While a renewal fails, the old ones are used as long as they
last. A file of keys is read again when it changes, so keys can be exchanged while the bucket is mounted;
write the new file beside the old one and rename it. Variables are read once, at the start. With
`anonymous` nothing is signed.

## Exit codes

0: done. 1: it failed, or something that was written could not be uploaded. 2: the command line, the
environment or the file is wrong. Called by mount(8) and umount(8), as `mount.fuse.partfs` and `umount.fuse.partfs`, the codes are
theirs: 32 instead of 1, and 1 instead of 2.

A daemon ends with 0 when everything is stored, also after SIGTERM or SIGINT. With 1 when a file is not: each is named
on standard error and in the log, as `lost: PATH: why`. A second signal is 1, too. `partfs umount` has the exit code and
the names of the daemon, whoever started it.
";

/// The text of the document.
pub fn configuration_reference() -> String {
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "`URL` is one of {SCHEMES}.\n");
    text.push_str("| option | values | default | what it does |\n|---|---|---|---|\n");
    for definition in options::all() {
        let allowed = definition.allowed();
        let values = match (allowed.as_str(), definition.placeholder()) {
            ("", placeholder) => placeholder.to_lowercase(),
            (allowed, _) => allowed.to_owned(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {values} | {} | {} |",
            definition.name(),
            definition.default_text(),
            definition.help()
        );
    }
    text.push_str(TAIL);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md");
        if std::env::var_os("PARTFS_UPDATE_DOCS").is_some() {
            std::fs::write(path, configuration_reference()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap();
        assert!(
            found == configuration_reference(),
            "docs/CONFIGURATION.md is out of date: PARTFS_UPDATE_DOCS=1 cargo test documentation_is_current"
        );
    }
}
