//! The command line as typed. Checks the shape only; what the values mean is decided in
//! [`resolve`](super::resolve).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{
    Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint,
};

use super::completions::Shell;
use super::definition::Described;
use super::kind::{Kind, Time};
use super::options;
use crate::dialect::{LONGEST_LINK, LinkError};

/// Mounts an object-storage bucket as a directory
#[derive(Debug, Parser)]
#[command(name = "partfs", version, max_term_width = 100, arg_required_else_help = true)]
pub(super) struct Typed {
    #[command(subcommand)]
    pub(super) command: TypedCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum TypedCommand {
    /// Mount a bucket (or the built-in mock) on a directory
    Mount(MountArgs),
    /// Unmount, and wait until everything has been uploaded
    #[command(alias = "unmount")]
    Umount(UmountArgs),
    /// Show what mounts are at: uploads, memory, traffic, and who waits for what
    Status(StatusArgs),
    /// Try what a mount would do, and name the mistake if it would fail
    Check(CheckArgs),
    /// Show multipart uploads that were never completed, or abort them
    #[command(subcommand)]
    Uploads(UploadsCommand),
    /// Print an address with which anybody may read one object for some time
    Link(LinkArgs),
    /// Serve an object store on this machine for tests and trials
    Mock(MockArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages as files
    ManPages(ManPagesArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every option can also be given as -o name=value, as the environment variable \
    PARTFS_NAME and as a line of the file; the first of flag, -o, environment and file counts.\n\
    Keys are never given on the command line: see PARTFS_ACCESS_KEY_ID and --credentials-file."
)]
pub(super) struct MountArgs {
    /// cos://BUCKET-APPID[/PREFIX], oss://…, qingstor://…, s3://…, mock: or mock:/FOLDER
    #[arg(value_name = "URL")]
    pub(super) url: Option<String>,
    /// A directory that exists
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    pub(super) mountpoint: Option<String>,
    /// Stay in the foreground and log to standard error
    #[arg(short, long)]
    pub(super) foreground: bool,
    /// Read options from a TOML file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Options as in fstab: -o name=value,name,…
    #[arg(short = 'o', value_name = "OPTIONS")]
    pub(super) mount_options: Vec<String>,
    /// This process was started by another one that waits for it to be ready.
    #[arg(long, hide = true)]
    pub(super) background_child: bool,
    /// The whole command line from the command word on, for the process that starts in the background.
    #[arg(skip)]
    pub(super) arguments: Vec<OsString>,
    /// Whether mount(8) asked.
    #[arg(skip)]
    pub(super) by_mount: bool,
    #[command(flatten)]
    pub(super) options: TypedOptions,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Takes the options of partfs mount, from the same places. Ends with 0 when all is well, \
    with 1 when something is not."
)]
pub(super) struct CheckArgs {
    /// As for partfs mount
    #[arg(value_name = "URL")]
    pub(super) url: Option<String>,
    /// Also write, copy and remove a small object
    #[arg(long)]
    pub(super) write: bool,
    #[command(flatten)]
    pub(super) at: TypedPlace,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Takes the options of partfs mount, from the same places. Asks nothing of the service: \
    whether the object is there, and whether the keys may read it, shows when the address is used. Whoever \
    has the address may read the object until it ends; it cannot be taken back but with the keys."
)]
pub(super) struct LinkArgs {
    /// The object: cos://BUCKET-APPID/KEY, oss://…, qingstor://… or s3://…; KEY is not percent-encoded
    #[arg(value_name = "URL")]
    pub(super) url: String,
    /// How long the address is good, such as 30m, 12h or 7d; 7 days at most
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = validity)]
    pub(super) valid: Duration,
    #[command(flatten)]
    pub(super) at: TypedPlace,
}

#[derive(Debug, Subcommand)]
pub(super) enum UploadsCommand {
    /// Show the uploads in progress: when they were begun, what they hold, and their names
    List(ListArgs),
    /// Abort uploads in progress; what they hold is gone then
    Abort(AbortArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Of a mount, the uploads are those of .partfs/uploads; of a bucket, those below the URL's prefix. \
    Takes the options of partfs mount, from the same places."
)]
pub(super) struct ListArgs {
    /// A URL as for partfs mount, or the directory where it is mounted
    #[arg(value_name = "URL|MOUNTPOINT")]
    pub(super) target: String,
    /// Only those that were begun so long ago, such as 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) older_than: Option<Duration>,
    /// As JSON: a list of objects with key, upload_id, initiated, parts and bytes
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) at: TypedPlace,
}

#[derive(Debug, Args)]
#[command(
    after_help = "An upload that somebody is still writing fails for him when it is aborted: give --older-than a time \
    longer than the longest upload takes. What a mount is writing itself is not aborted by way of that mount."
)]
pub(super) struct AbortArgs {
    /// A URL as for partfs mount, or the directory where it is mounted
    #[arg(value_name = "URL|MOUNTPOINT")]
    pub(super) target: String,
    /// Uploads of these keys, or KEY@UPLOADID as list shows them
    #[arg(value_name = "KEY")]
    pub(super) keys: Vec<String>,
    /// Those that were begun so long ago, such as 12h or 7d; of any key, or of these
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) older_than: Option<Duration>,
    #[command(flatten)]
    pub(super) at: TypedPlace,
}

/// The options of a mount, for whoever asks the bucket itself.
#[derive(Debug, Args)]
pub(super) struct TypedPlace {
    /// Read options from a TOML file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Options as in fstab: -o name=value,name,…
    #[arg(short = 'o', value_name = "OPTIONS")]
    pub(super) mount_options: Vec<String>,
    #[command(flatten)]
    pub(super) options: TypedOptions,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Waits until the daemon has stored what is on its way, and has ended; after a second it says what \
    for. What could not be stored is named, and the exit code is 1 then; also where the daemon ended without \
    a word, or still works when the time is over. Nobody but root can unmount another user's mount."
)]
pub(super) struct UmountArgs {
    /// The directory on which the bucket is mounted
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    pub(super) mountpoint: PathBuf,
    /// Unmount although files are open; they stay usable for the programs that have them open
    #[arg(short, long)]
    pub(super) lazy: bool,
    /// Cut the connection to a daemon that does not answer; what it has not stored is lost. Needs root
    #[arg(short, long)]
    pub(super) force: bool,
    /// Clear away a dead mount of partfs and nothing else: whatever else is there, or nothing, stays, and that is success
    #[arg(long, conflicts_with_all = ["lazy", "force", "timeout", "no_wait"])]
    pub(super) if_dead: bool,
    /// Do not wait for the daemon; its log tells whether everything was stored
    #[arg(long, conflicts_with = "timeout")]
    pub(super) no_wait: bool,
    /// Wait at most this long for uploads, such as 90s or 10m; without it as long as they take
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A file is shown from its first change until the bucket has it. How large a file will become is known where \
    the program that writes it reads one other file, as cp does. --watch ends with the mount: with 0 when it was \
    unmounted, with 1 when its daemon died."
)]
pub(super) struct StatusArgs {
    /// The directory on which the bucket is mounted; all mounts of partfs without it
    #[arg(value_name = "MOUNTPOINT")]
    pub(super) mountpoint: Option<PathBuf>,
    /// Go on showing it, with a bar for each file that is being stored
    #[arg(short, long)]
    pub(super) watch: bool,
    /// As JSON, as in .partfs/status.json; with --watch a line each second
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The keys are taken from PARTFS_ACCESS_KEY_ID, PARTFS_SECRET_ACCESS_KEY and \
    PARTFS_SESSION_TOKEN; without them they are made up and printed."
)]
pub(super) struct MockArgs {
    /// Whose protocol to speak: cos, oss, qingstor or s3
    #[arg(long, value_name = "NAME", default_value = "cos")]
    pub(super) dialect: String,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,
    /// Name of the one bucket
    #[arg(long, value_name = "NAME", default_value = "mock-1250000000")]
    pub(super) bucket: String,
    /// Keep the objects in this folder instead of in memory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) dir: Option<PathBuf>,
    /// How ETags are made
    #[arg(long, value_enum, default_value = "md5")]
    pub(super) etags: Etags,
    /// Break requests as this TOML file says; each strike is a line on standard error
    #[arg(long, value_name = "FILE")]
    pub(super) faults: Option<PathBuf>,
    /// Allow an address that other machines can reach
    #[arg(long)]
    pub(super) public: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Etags {
    /// The MD5 of the bytes, as most services do for small objects
    Md5,
    /// A text without meaning, as services do for encrypted objects
    Opaque,
}

#[derive(Debug, Args)]
#[command(
    after_help = "They belong into ~/.local/share/bash-completion/completions/partfs, where bash-completion is installed; into \
    _partfs in a directory of zsh's fpath; or into ~/.config/fish/completions/partfs.fish."
)]
pub(super) struct CompletionsArgs {
    /// Whose language to write
    #[arg(value_enum, value_name = "SHELL")]
    pub(super) shell: Shell,
}

#[derive(Debug, Args)]
#[command(
    after_help = "man(1) looks into share/man beside each bin of the PATH: ~/.cargo/share/man where cargo has installed \
    partfs, or /usr/local/share/man."
)]
pub(super) struct ManPagesArgs {
    /// The directory that gets man1, man5 and man7; made where it is missing
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) dir: PathBuf,
}

fn time(text: &str) -> Result<Duration, String> {
    Time { min: Duration::ZERO, max: Duration::from_secs(7 * 86_400) }.parse(text)
}

fn validity(text: &str) -> Result<Duration, String> {
    let valid = Time { min: Duration::ZERO, max: Duration::MAX }.parse(text)?;
    let possible = (Duration::from_secs(1)..=LONGEST_LINK).contains(&valid);
    possible.then_some(valid).ok_or_else(|| LinkError::Validity.to_string())
}

/// The flags that the table defines, by name.
#[derive(Debug, Default)]
pub(super) struct TypedOptions(pub(super) BTreeMap<&'static str, String>);

fn flag(definition: &'static dyn Described) -> Arg {
    let allowed = match (definition.allowed(), definition.is_switch()) {
        (allowed, false) if !allowed.is_empty() => format!(" ({allowed})"),
        _ => String::new(),
    };
    let default = match definition.default_text() {
        "" => String::new(),
        text => format!(" [default: {text}]"),
    };
    let help = definition.help().trim_end_matches('.');
    let arg = Arg::new(definition.name())
        .long(definition.flag())
        .value_name(definition.placeholder())
        .action(ArgAction::Set)
        .value_hint(if definition.is_path() { ValueHint::AnyPath } else { ValueHint::Other })
        .help(format!("{help}{allowed}{default}"));
    if definition.is_switch() {
        // `--read-only MOUNTPOINT` must not swallow the mount point.
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg
    }
}

impl Args for TypedOptions {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(options::FLAGS.iter().map(|definition| flag(*definition)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TypedOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = options::FLAGS.iter().filter_map(|definition| {
            let text = matches.get_one::<String>(definition.name())?;
            Some((definition.name(), text.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Typed::command().debug_assert();
    }

    #[test]
    fn a_switch_does_not_swallow_the_next_argument() {
        let typed = Typed::parse_from(["partfs", "mount", "--read-only", "mock:", "/mnt"]);
        let TypedCommand::Mount(args) = typed.command else { panic!("not a mount") };
        assert_eq!(args.url.as_deref(), Some("mock:"));
        assert_eq!(args.options.0.get("read_only").map(String::as_str), Some("true"));
    }
}
