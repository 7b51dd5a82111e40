//! The `-o` form: `part_size=16MiB,ro,_netdev`. The same options as the flags, `config=FILE` for who has no
//! flags (fstab), and the words of fstab(5) that say nothing to us.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
    "_rnetdev",
    "helper",
    "uhelper",
    "nouser",
    "owner",
    "noowner",
    "group",
    "nogroup",
    "dev",
    "nodev",
    "suid",
    "nosuid",
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
    "dirsync",
    "iversion",
    "noiversion",
    "mand",
    "nomand",
    "symfollow",
    "loud",
    "silent",
    "default_permissions",
];

/// What the words say: values of options by name, and the file of more.
pub(crate) type Parsed = (BTreeMap<&'static str, String>, Option<PathBuf>);

/// Reads all `-o` arguments; of two values for one option the later counts.
pub(crate) fn parse(arguments: &[String]) -> Result<Parsed, Refusal> {
    let (mut options, mut config) = (BTreeMap::new(), None);
    for word in arguments.iter().flat_map(|argument| split(argument)) {
        match (word.strip_prefix("config="), option(&word)) {
            (Some(path), _) => config = Some(path.into()),
            (None, Ok(Some((definition, value)))) => drop(options.insert(definition.name(), value)),
            (None, Ok(None)) => {}
            (None, Err(refusal)) => return Err(refusal),
        }
    }
    Ok((options, config))
}

/// The words of an `-o` argument without those that would be refused.
/// And these.
pub(crate) fn only_known(argument: &str) -> (String, Vec<String>) {
    let words = split(argument).into_iter();
    let (known, others): (Vec<_>, Vec<_>) =
        words.partition(|word| word.starts_with("config=") || option(word).is_ok());
    let known = known.iter().map(|word| word.replace(',', "\\,")).collect::<Vec<_>>();
    (known.join(","), others)
}

/// One word: an option of ours with its value, or nothing if it is to be ignored.
fn option(word: &str) -> Result<Option<(&'static dyn Described, String)>, Refusal> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    if name.is_empty() && value.is_none()
        || name.starts_with("x-")
        || name.starts_with("X-")
        || name == "comment"
    {
        return Ok(None);
    }
    if name == "sync" {
        return Err(Refusal::new(
            "-o sync: not every write can be an upload; close() and fsync() return when the bucket has the file, and O_SYNC \
             makes each write of one file do so",
        ));
    }
    if let ("ro" | "rw", None) = (name, value) {
        return Ok(Some((&options::READ_ONLY, (name == "ro").to_string())));
    }
    // mount(8) makes no difference between who may mount and what may be started there.
    if let "exec" | "user" | "users" = name {
        return Ok(Some((&options::NOEXEC, (name != "exec").to_string())));
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
        let (options, _) = parse(&[text.to_owned()]).map_err(|refusal| refusal.to_string())?;
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
    fn programs_are_started_unless_somebody_says_otherwise() {
        let no_exec = |text: &str| match &parsed(text).unwrap()[..] {
            [] => None,
            [("noexec", value)] => Some(value == "true"),
            other => panic!("{other:?}"),
        };
        assert_eq!(no_exec("defaults,suid,dev,nosuid,nodev"), None);
        assert_eq!(no_exec("exec,noexec"), Some(true));
        assert_eq!(no_exec("user=alice"), Some(true));
        assert_eq!(no_exec("users,exec"), Some(false));
    }

    #[test]
    fn a_file_can_be_named() {
        let words = ["ro,config=/etc/partfs/data.toml,_netdev".to_owned()];
        let (options, config) = parse(&words).unwrap();
        assert_eq!(config, Some("/etc/partfs/data.toml".into()));
        assert_eq!(options.len(), 1);
    }

    #[test]
    fn unknown_words_can_be_taken_out() {
        let words = r"ro,colour,log_level=info\,partfs=debug,config=/a,x=y,_netdev";
        let known = r"ro,log_level=info\,partfs=debug,config=/a,_netdev".to_owned();
        assert_eq!(only_known(words), (known, vec!["colour".to_owned(), "x=y".to_owned()]));
    }

    #[test]
    fn a_comma_can_be_part_of_a_value() {
        let expected = vec![("log_level", "info,partfs=debug".to_owned())];
        assert_eq!(parsed(r"log_level=info\,partfs=debug"), Ok(expected));
    }

    #[test]
    fn sync_is_refused_with_its_reason() {
        assert!(parsed("ro,sync").unwrap_err().contains("close() and fsync()"));
        assert_eq!(parsed("dirsync,async"), Ok(Vec::new()));
    }

    #[test]
    fn unknown_words_are_refused_with_the_nearest_name() {
        let message = parsed("part-size=8M").unwrap_err();
        assert_eq!(message, "-o part-size: there is no such option; did you mean part_size?");
        assert_eq!(parsed("colour").unwrap_err(), "-o colour: there is no such option");
        assert_eq!(parsed("region").unwrap_err(), "-o region needs a value: -o region=…");
    }
}
