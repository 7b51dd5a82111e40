//! `docs/CONFIGURATION.md`, made from the table of options so that it cannot be wrong.

use std::fmt::Write;

use super::options;
use super::source_url::SCHEMES;

const HEAD: &str = "\
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
`nofail`, `noauto`, `x-…`, `defaults`, `nosuid`, …) are accepted and ignored; a comma inside a value
is written `\\,`.

";

const TAIL: &str = "
Besides these, `partfs mount` has `--foreground` (`-f`), which keeps it in the foreground and sends the
log to standard error. With `--foreground` under systemd (`NOTIFY_SOCKET`), readiness and stopping are
reported to systemd.

## Credentials

Keys are never given on the command line. The first of these that is set counts:

1. `PARTFS_ACCESS_KEY_ID`, `PARTFS_SECRET_ACCESS_KEY` and, for temporary keys, `PARTFS_SESSION_TOKEN`
2. `TENCENTCLOUD_SECRET_ID`, `TENCENTCLOUD_SECRET_KEY` and `TENCENTCLOUD_TOKEN`
3. the file named by `credentials_file`: a regular file, owned by you or root, mode 0600 or 0400

```text
access_key_id = AKIDxxxxxxxx
secret_access_key = xxxxxxxx
```

They are read once, at the start. Renewing temporary keys while mounted is planned.

## Exit codes

0: done. 1: it failed, or something that was written could not be uploaded. 2: the command line, the
environment or the file is wrong.
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
