//! The `-o` form: `part_size=16MiB,ro,_netdev`. The same options as the flags, and the words of
//! fstab(5) that say nothing to us.

use std::collections::BTreeMap;

use super::Refusal;
use super::definition::Described;
use super::options;

/// Words that mount(8), systemd and fstab(5) use for themselves, or that ask for what is the case
/// anyway. `dev` and `suid` are accepted but not granted: a bucket is always `nosuid,nodev`.
const IGNORED: &[&str] = &[
    "defaults",
    "auto",
    "noauto",
    "nofail",
    "_netdev",
    "user",
    "nouser",
    "users",
    "owner",
    "group",
    "dev",
    "nodev",
    "suid",
    "nosuid",
    "exec",
    "noexec",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "lazytime",
    "nolazytime",
    "async",
    "sync",
    "dirsync",
    "mand",
    "nomand",
    "loud",
    "silent",
    "default_permissions",
];

/// Reads all `-o` arguments; of two values for one option the later counts.
pub(crate) fn parse(arguments: &[String]) -> Result<BTreeMap<&'static str, String>, Refusal> {
    let mut options = BTreeMap::new();
    for word in arguments.iter().flat_map(|argument| split(argument)) {
        if let Some((definition, value)) = option(&word)? {
            options.insert(definition.name(), value);
        }
    }
    Ok(options)
}

/// One word: an option of ours with its value, or nothing if it is to be ignored.
fn option(word: &str) -> Result<Option<(&'static dyn Described, String)>, Refusal> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    if name.is_empty() && value.is_none() || name.starts_with("x-") || name == "comment" {
        return Ok(None);
    }
    if let ("ro" | "rw", None) = (name, value) {
        return Ok(Some((&options::READ_ONLY, (name == "ro").to_string())));
    }
    if let Some(definition) = options::find(name) {
        return match value {
            Some(value) => Ok(Some((definition, value.to_owned()))),
            None if definition.is_switch() => Ok(Some((definition, "true".to_owned()))),
            None => Err(Refusal::new(format!("-o {name} needs a value: -o {name}=…"))),
        };
    }
    if IGNORED.contains(&name) {
        return Ok(None);
    }
    if name == "remount" {
        return Err(Refusal::new(
            "-o remount: partfs cannot change a mount; unmount and mount again",
        ));
    }
    let hint = options::nearest(&name.replace('-', "_"));
    let hint = hint.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
    Err(Refusal::new(format!("-o {name}: there is no such option{hint}")))
}

/// Cuts at commas; `\,` is a comma in a value, as in libfuse.
fn split(argument: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = argument.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, words.last_mut()) {
            (',', _) => words.push(String::new()),
            ('\\', Some(word)) if characters.peek() == Some(&',') => {
                characters.next();
                word.push(',');
            }
            (character, Some(word)) => word.push(character),
            (_, None) => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(&'static str, String)>, String> {
        let options = parse(&[text.to_owned()]).map_err(|refusal| refusal.to_string())?;
        Ok(options.into_iter().collect())
    }

    #[test]
    fn options_and_fstab_words_mix() {
        let found =
            parsed("rw,_netdev,part_size=16MiB,noauto,x-systemd.automount,x-a=b,allow_other,");
        let expected = [("allow_other", "true"), ("part_size", "16MiB"), ("read_only", "false")];
        assert_eq!(found, Ok(expected.map(|(k, v)| (k, v.to_owned())).to_vec()));
    }

    #[test]
    fn the_later_word_counts() {
        assert_eq!(parsed("ro,rw,ro"), Ok(vec![("read_only", "true".into())]));
    }

    #[test]
    fn a_comma_can_be_part_of_a_value() {
        let expected = vec![("log_level", "info,partfs=debug".to_owned())];
        assert_eq!(parsed(r"log_level=info\,partfs=debug"), Ok(expected));
    }

    #[test]
    fn unknown_words_are_refused_with_the_nearest_name() {
        let message = parsed("part-size=8M").unwrap_err();
        assert_eq!(message, "-o part-size: there is no such option; did you mean part_size?");
        assert_eq!(parsed("colour").unwrap_err(), "-o colour: there is no such option");
        assert_eq!(parsed("region").unwrap_err(), "-o region needs a value: -o region=…");
    }
}
