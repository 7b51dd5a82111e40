//! The program under the names by which mount(8) and umount(8) call it: `mount.fuse.partfs SOURCE TARGET -o …`
//! and `umount.fuse.partfs DIRECTORY …`, links in /sbin. Such a line is put into the words of `partfs mount` and
//! `partfs umount`, so that there is one way from options to a mount.
//!
//! Without the link mount(8) finds `mount.fuse3`, which runs `partfs SOURCE TARGET -o …`: that is understood, too.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::source_url::looks_like_url;
use super::{Refusal, mount_options};

/// Who started the program, and so what an exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who knows partfs.
    User,
    /// mount(8), as its helper.
    Mount,
    /// umount(8), as its helper.
    Umount,
}

impl Caller {
    /// Who it is, by the name of the program or, for `mount.fuse3`, by a first argument that is a URL.
    pub fn of(arguments: &[OsString]) -> Self {
        let name = arguments.first().and_then(|program| Path::new(program).file_name());
        match name.and_then(OsStr::to_str) {
            Some("mount.fuse.partfs" | "mount.partfs") => Self::Mount,
            Some("umount.fuse.partfs" | "umount.partfs") => Self::Umount,
            _ => match arguments.get(1).and_then(|first| first.to_str()) {
                Some(first) if looks_like_url(first) => Self::Mount,
                _ => Self::User,
            },
        }
    }

    /// The code for what was wrongly asked for; of helpers that of mount(8).
    pub fn refused(self) -> u8 {
        match self {
            Self::User => 2,
            Self::Mount | Self::Umount => 1,
        }
    }

    /// The code for what did not work, or lost something; of helpers that of mount(8).
    pub fn failed(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Mount | Self::Umount => 32,
        }
    }
}

/// A line of mount(8) or umount(8) in our words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Translated {
    /// The command line, from the name of the program on.
    pub(super) arguments: Vec<OsString>,
    /// Everything but the act itself (`mount -f`).
    pub(super) only_checked: bool,
}

/// The command line in the words of [`args`](super::args).
pub(super) fn translated(arguments: Vec<OsString>) -> Result<Translated, Refusal> {
    match Caller::of(&arguments) {
        Caller::User => Ok(Translated { arguments, only_checked: false }),
        Caller::Mount => mount(&arguments[1..]),
        Caller::Umount => umount(&arguments[1..]),
    }
}

/// `SOURCE TARGET [-sfnvrw] [-N namespace] [-o options] [-t type]`.
fn mount(given: &[OsString]) -> Result<Translated, Refusal> {
    let usage = "usage: mount.fuse.partfs URL DIRECTORY [-sfnv] [-o OPTIONS]; mount(8) calls it so";
    let given = Given::read(given, "sfnvrw", usage)?;
    let [source, target] = &given.operands[..] else { return Err(Refusal::new(usage)) };
    let mut arguments = command("mount");
    let access = given.flags.chars().rfind(|flag| "rw".contains(*flag));
    let access = access.map(|flag| OsString::from(if flag == 'r' { "ro" } else { "rw" }));
    for options in given.options.iter().chain(&access) {
        let options = match (given.has('s'), options.to_str()) {
            // `mount -s`: words that nobody knows are no reason to fail.
            (true, Some(options)) => {
                let (known, others) = mount_options::only_known(options);
                for word in others {
                    // Nobody may be there to hear it.
                    let _ = writeln!(io::stderr(), "partfs: -o {word}: ignored, because of -s");
                }
                known.into()
            }
            _ => options.clone(),
        };
        arguments.extend(["-o".into(), options]);
    }
    arguments.extend(["--".into(), source.clone(), target.clone()]);
    Ok(Translated { arguments, only_checked: given.has('f') })
}

/// `DIRECTORY [-flnrv] [-N namespace] [-t type]`. A mount that cannot be taken away is not made read-only
/// instead (`-r`): its daemon serves it as before.
fn umount(given: &[OsString]) -> Result<Translated, Refusal> {
    let usage = "usage: umount.fuse.partfs DIRECTORY [-flnrv]; umount(8) calls it so";
    let given = Given::read(given, "flnrv", usage)?;
    let [place] = &given.operands[..] else { return Err(Refusal::new(usage)) };
    let mut arguments = command("umount");
    // Of `umount -l` everybody expects that it returns at once.
    if given.has('l') {
        arguments.extend(["--lazy".into(), "--no-wait".into()]);
    }
    arguments.extend(given.has('f').then(|| "--force".into()));
    arguments.extend(["--".into(), place.clone()]);
    Ok(Translated { arguments, only_checked: false })
}

fn command(word: &str) -> Vec<OsString> {
    vec!["partfs".into(), word.into()]
}

/// What such a line holds.
#[derive(Debug, Default)]
struct Given {
    operands: Vec<OsString>,
    flags: String,
    options: Vec<OsString>,
}

impl Given {
    fn read(arguments: &[OsString], known: &str, usage: &str) -> Result<Self, Refusal> {
        let mut given = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let Some(letters) = argument.as_bytes().strip_prefix(b"-").filter(|it| !it.is_empty())
            else {
                given.operands.push(argument.clone());
                continue;
            };
            if letters == b"-" {
                given.operands.extend(arguments.by_ref().cloned());
                break;
            }
            for (i, letter) in letters.iter().map(|byte| char::from(*byte)).enumerate() {
                if !"oNt".contains(letter) {
                    if !known.contains(letter) {
                        return Err(Refusal::new(format!("-{letter} is not known; {usage}")));
                    }
                    given.flags.push(letter);
                    continue;
                }
                let value = match &letters[i + 1..] {
                    [] => arguments.next().cloned(),
                    rest => Some(OsString::from_vec(rest.to_owned())),
                };
                let value = value
                    .ok_or_else(|| Refusal::new(format!("-{letter} needs a value; {usage}")))?;
                match letter {
                    'o' => given.options.push(value),
                    'N' => {
                        let how = "nsenter --mount=NAMESPACE mount …";
                        return Err(Refusal::new(format!(
                            "-N: partfs does not enter another namespace by itself; use {how}"
                        )));
                    }
                    // The type is ours, or we would not have been called.
                    _ => {}
                }
                break;
            }
        }
        Ok(given)
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn said(line: &str) -> Result<String, String> {
        let translated = translated(words(line)).map_err(|refusal| refusal.to_string())?;
        let words: Vec<_> = translated.arguments.iter().map(|it| it.to_string_lossy()).collect();
        let checked = if translated.only_checked { " (only checked)" } else { "" };
        Ok(format!("{}{checked}", words.join(" ")))
    }

    #[test]
    fn a_line_of_mount_becomes_one_of_ours() {
        let expected = Ok("partfs mount -o rw,_netdev -- mock: /mnt".to_owned());
        assert_eq!(said("/sbin/mount.fuse.partfs mock: /mnt -o rw,_netdev"), expected);
        assert_eq!(said("mount.partfs -n -v mock: -orw,_netdev /mnt -t fuse.partfs"), expected);
        assert_eq!(
            said("/usr/bin/partfs mock: /mnt -o rw,_netdev"),
            expected,
            "as mount.fuse3 does"
        );
        assert_eq!(
            said("mount.partfs mock: /mnt -r"),
            Ok("partfs mount -o ro -- mock: /mnt".into())
        );
        let checked = "partfs mount -- mock: /mnt (only checked)";
        assert_eq!(said("mount.fuse.partfs mock: /mnt -fnv"), Ok(checked.to_owned()));
        assert_eq!(
            said("mount.fuse.partfs -s mock: /mnt -o ro,colour=red,part_size=8M"),
            Ok("partfs mount -o ro,part_size=8M -- mock: /mnt".into())
        );
        assert_eq!(said("mount.fuse.partfs -- -odd /mnt"), Ok("partfs mount -- -odd /mnt".into()));
    }

    #[test]
    fn a_line_of_umount_becomes_one_of_ours() {
        let line = "/sbin/umount.fuse.partfs /mnt -n -l -r -v -t fuse.partfs";
        assert_eq!(said(line), Ok("partfs umount --lazy --no-wait -- /mnt".into()));
        assert_eq!(said("umount.partfs -f /mnt"), Ok("partfs umount --force -- /mnt".into()));
    }

    #[test]
    fn what_is_for_us_stays_as_it_is() {
        for line in ["partfs mount mock: /mnt", "partfs", "partfs umount /mnt -l"] {
            assert_eq!(said(line), Ok(line.to_owned()));
            assert_eq!(Caller::of(&words(line)), Caller::User);
        }
    }

    #[test]
    fn lines_that_mount_would_not_make_are_refused() {
        let refused = |line| said(line).unwrap_err();
        assert!(refused("mount.fuse.partfs mock:").starts_with("usage: "));
        assert!(refused("mount.fuse.partfs mock: /mnt /mnt").starts_with("usage: "));
        assert!(refused("umount.fuse.partfs").starts_with("usage: "));
        assert!(refused("mount.fuse.partfs mock: /mnt -x").starts_with("-x is not known"));
        assert!(refused("mount.fuse.partfs mock: /mnt -o").starts_with("-o needs a value"));
        assert!(refused("mount.fuse.partfs mock: /mnt -N 77").contains("nsenter"));
    }

    #[test]
    fn exit_codes_are_those_that_the_caller_knows() {
        let codes = |line: &str| {
            let caller = Caller::of(&words(line));
            (caller.refused(), caller.failed())
        };
        assert_eq!(codes("partfs mount mock: /mnt"), (2, 1));
        assert_eq!(codes("mount.fuse.partfs mock: /mnt"), (1, 32));
        assert_eq!(codes("umount.fuse.partfs /mnt"), (1, 32));
    }
}
