//! What the user says: the command line, `-o` options, the environment and files become checked
//! configurations, or a refusal in the user's words. The only folder that reads the environment.
//! Knows the configuration types of `mount`, `mock`, `dialect` and `telemetry` (and the values of `store` in them), and nothing they do.

mod args;
mod completions;
mod config_file;
mod credentials;
mod definition;
mod environment;
mod kind;
mod link;
mod manual;
mod mount_helper;
mod mount_options;
mod object_properties;
mod options;
mod reference;
mod reread;
mod resolve;
mod settings;
mod source_url;
mod uploads;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser;

use crate::crash;
use crate::mock::{FaultRule, MockConfig};
use crate::mount::{
    CheckConfig, LinkConfig, MountConfig, Start, StatusConfig, UmountConfig, UploadsConfig, asker,
    keeper,
};
use crate::telemetry;

pub use completions::{Shell, write_completions};
pub use manual::write_man_pages;
pub use mount_helper::Caller;
pub use reference::configuration_reference;

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Mount a bucket.
    Mount(Box<MountConfig>),
    /// Unmount one.
    Umount(UmountConfig),
    /// Show what mounts are at.
    Status(StatusConfig),
    /// Check a bucket.
    Check(Box<CheckConfig>),
    /// Show or abort uploads in progress.
    Uploads(Box<UploadsConfig>),
    /// Make a link to an object.
    Link(Box<LinkConfig>),
    /// Serve the mock.
    Mock(MockCommand),
    /// Print completions for a shell.
    Completions(Shell),
    /// Write the manual pages below this directory.
    ManPages(PathBuf),
    /// Ask a mount whenever the daemon wants.
    AskMount {
        /// Where it is.
        mountpoint: PathBuf,
    },
    /// Nothing: somebody only wanted to know whether it could be asked for (`mount -f`).
    Nothing,
    /// Keep the privileges of a mount for its daemon.
    Keeper,
}

/// `partfs mock`.
#[derive(Debug)]
pub struct MockCommand {
    /// The server.
    pub config: MockConfig,
    /// What it breaks.
    pub faults: Vec<FaultRule>,
    /// Whether the keys were made up, so that the user has to be told.
    pub print_keys: bool,
}

/// Something that the user said and that cannot be done, as one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no command to run.
#[derive(Debug)]
pub enum Stop {
    /// Help or version was asked for, or the shape of the command line is wrong.
    Shape(clap::Error),
    /// The shape is right, the content is not.
    Refused(Refusal),
}

impl Stop {
    /// Tells the user and gives the exit code: 0 after help, otherwise what the caller takes for a mistake.
    pub fn report(&self, caller: Caller) -> u8 {
        match self {
            Self::Shape(error) => {
                let _ = error.print();
                if error.exit_code() == 0 { 0 } else { caller.refused() }
            }
            Self::Refused(refusal) => {
                let _ = writeln!(io::stderr(), "partfs: {refusal}");
                caller.refused()
            }
        }
    }
}

/// Reads the command line, the first argument being the program's name, and the environment.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Stop> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    // Not for users, so in no help; and without all that is needed to read what they type, because each mount has
    // one of these.
    match &*arguments {
        [_, word] if word == keeper::WORD => return Ok(Command::Keeper),
        [_, word, place] if word == asker::WORD => {
            return Ok(Command::AskMount { mountpoint: place.into() });
        }
        _ => {}
    }
    let by_mount = Caller::of(&arguments) == Caller::Mount;
    let mount_helper::Translated { arguments, only_checked } =
        mount_helper::translated(arguments).map_err(Stop::Refused)?;
    let typed = args::Typed::try_parse_from(&arguments).map_err(Stop::Shape)?;
    let environment = environment::Environment::of_process();
    if let Some(place) = environment.get("PARTFS_CRASH_AT") {
        crash::arm(place)
            .map_err(|what| Stop::Refused(Refusal::new(format!("PARTFS_CRASH_AT: {what}"))))?;
    }
    let traced = trace(&environment)?;
    let command = match typed.command {
        args::TypedCommand::Mount(mut args) => {
            args.by_mount = by_mount;
            args.arguments = arguments.into_iter().skip(1).collect();
            let config = resolve::mount(args, environment);
            config.map(|config| match only_checked {
                true => Command::Nothing,
                false => Command::Mount(Box::new(config)),
            })
        }
        args::TypedCommand::Umount(args) => resolve::umount(args).map(Command::Umount),
        args::TypedCommand::Status(args) => resolve::status(args).map(Command::Status),
        args::TypedCommand::Check(args) => {
            resolve::check(args, environment).map(|config| Command::Check(Box::new(config)))
        }
        args::TypedCommand::Uploads(command) => {
            uploads::uploads(command, environment).map(|config| Command::Uploads(Box::new(config)))
        }
        args::TypedCommand::Link(args) => {
            link::link(args, environment).map(|config| Command::Link(Box::new(config)))
        }
        args::TypedCommand::Mock(args) => resolve::mock(args, &environment).map(Command::Mock),
        args::TypedCommand::Completions(args) => Ok(Command::Completions(args.shell)),
        args::TypedCommand::ManPages(args) => Ok(Command::ManPages(args.dir)),
    };
    let command = command.map_err(Stop::Refused)?;
    let has_log = matches!(&command, Command::Mount(config) if !matches!(config.start, Start::Background { .. }));
    if traced && !has_log {
        telemetry::start_traces().map_err(|error| untraceable(&error))?;
    }
    Ok(command)
}

/// Where tests look whether secrets are told: everything at the finest level goes there, and beside it what
/// the secrets are. Only in builds with debug assertions.
#[cfg(debug_assertions)]
fn trace(environment: &environment::Environment) -> Result<bool, Stop> {
    let Some(folder) = environment.get("PARTFS_TRACE_DIR").map(std::path::PathBuf::from) else {
        return Ok(false);
    };
    crate::mock::keep_ledger(&folder).map_err(|error| untraceable(&error))?;
    telemetry::trace_into(folder);
    Ok(true)
}

/// Never.
#[cfg(not(debug_assertions))]
fn trace(_: &environment::Environment) -> Result<bool, Stop> {
    Ok(false)
}

fn untraceable(error: &io::Error) -> Stop {
    Stop::Refused(Refusal::new(format!("PARTFS_TRACE_DIR: {error}")))
}
