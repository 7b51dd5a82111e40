//! Builds everything and runs it: the one place that knows all layers, and the life of the process
//! from the mount point check to the last upload. Knows no request format and reads no environment.

pub mod asker;
mod background;
pub mod check;
mod config;
mod confine;
mod detach;
mod human;
pub mod keeper;
mod last_words;
mod layers;
pub mod link;
mod liveness;
mod metrics_server;
mod mountinfo;
mod mountpoint;
mod privileges;
mod probe;
mod reload;
mod serve;
mod signals;
mod staging;
mod state;
pub mod status;
mod systemd;
pub mod umount;
pub mod uploads;
mod utab;
mod watchdog;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tracing::info;

use self::metrics_server::MetricsServer;
use crate::budget::Budget;
use crate::clock::{Clock, SystemClock};
use crate::fs::FileSystem;
use crate::{fuse, panics, telemetry};

use self::asker::Asker;
use self::keeper::Hands;

pub use config::{
    CheckConfig, LinkConfig, LogLevel, MountConfig, OnWriterKilled, Reread, Sandbox, Source, Start,
    StateDir, StatusConfig, UmountConfig, UploadsAction, UploadsConfig, UploadsPlace,
};
pub use layers::random_keys;
pub use signals::StopSignals;

pub use crate::write::OnLeftover;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was written is in the bucket.
    Done,
    /// Something is not; the user has been told what.
    Lost,
}

/// Why a command failed, as one sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountError(Option<String>);

impl MountError {
    fn new(sentence: impl Into<String>) -> Self {
        Self(Some(sentence.into()))
    }

    /// A failure that the user has been told of.
    fn already_said() -> Self {
        Self(None)
    }

    /// Tells the user, if that has not been done.
    pub fn report(&self) {
        if let Some(sentence) = &self.0 {
            say(sentence);
        }
    }
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("failed"))
    }
}

impl std::error::Error for MountError {}

/// A line for whoever started the command. In the background nobody may be left to hear it, which is
/// no reason to fail.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "partfs: {text}");
}

/// `partfs mount`: in the background returns when the mount works, otherwise when it has ended.
pub fn run(config: &MountConfig) -> Result<Outcome, MountError> {
    match &config.start {
        Start::Background { arguments, by_mount } => {
            // What can be refused at once is refused without a second process.
            let place = mountpoint::prepare(&config.mountpoint, config.nonempty)?;
            let outcome = background::start(arguments)?;
            if *by_mount {
                utab::remember(&config.shown, &place);
            }
            Ok(outcome)
        }
        Start::BackgroundChild => {
            background::leave_terminal()?;
            run_here(config)
        }
        Start::Foreground { .. } => run_here(config),
    }
}

/// Builds every layer from the bottom to the top, mounts, says so and serves.
fn run_here(config: &MountConfig) -> Result<Outcome, MountError> {
    let mountpoint = mountpoint::prepare(&config.mountpoint, config.nonempty)?;
    let staging_dir = staging::prepare(config.staging_dir.as_deref(), &mountpoint)?;
    let log = start_log(config, &mountpoint)?;
    panics::watch();
    raise_file_limit();
    let journal = state::journal(config, &mountpoint)?;
    let metrics = config.metrics_listen.map(MetricsServer::bind).transpose()?;
    let asker = asker(config, &mountpoint);
    let options = layers::session_options(config);
    let hands = privileges::divide(config, &mountpoint, &options, &staging_dir, journal.as_ref())?;
    let runtime = runtime(layers::file_threads(config.memory_limit_bytes))?;
    let (signals, reload_signals) =
        runtime.block_on(async { signals::of_mount() }).map_err(cannot("handle signals"))?;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let budget = Budget::new(layers::budget_bytes(config));
    let patience = Some(config.close_timeout);
    let ground =
        runtime.block_on(layers::ground(&config.source, &config.prefix, patience, &clock))?;
    if !config.append_objects.is_empty() && ground.store.limits().append.is_none() {
        let message = "append_object: this service has no objects that can be appended to";
        return Err(MountError::new(message.to_owned()));
    }
    if let Some(warning) = runtime.block_on(probe::check(&*ground.probe, &ground.target))? {
        tracing::warn!("{warning}");
        say(&format!("warning: {warning}"));
    }
    let has_journal = journal.is_some();
    let fs_config = layers::fs_config(config, staging_dir, journal);
    let fs = FileSystem::new(ground.store, budget, clock, fs_config, runtime.handle().clone());
    if let Hands::Far(keeper) = &*hands {
        fs.watched_by(keeper.witness());
    }
    let device = hands.mount().map_err(|error| cannot_mount(&mountpoint, &error))?;
    let handle = runtime.handle().clone();
    let session = fuse::session::serve(fs.clone(), device, &mountpoint, &options, handle);
    let session = session.map_err(|error| {
        let _ = hands.detach(detach::Detach::Lazily);
        cannot_mount(&mountpoint, &error)
    })?;

    let last_words = last_words::LastWords::open(&fs, runtime.handle());
    if let Err(error) = &last_words {
        tracing::warn!(%error, "partfs umount will not learn whether everything was stored");
    }
    if let Some(metrics) = metrics {
        metrics.serve(&fs, runtime.handle());
    }
    let device = session.device();
    let ended = serve::watch(session).map_err(|error| {
        let _ = hands.detach(detach::Detach::Lazily);
        cannot("start a thread")(error)
    })?;
    info!("{} is mounted at {}", config.shown, mountpoint.display());
    let watchdog = start_watchdog(config, asker, device, runtime.handle());
    let notifier = tell_ready(config, &mountpoint, &hands)?;
    let reload = reload::Reload { log, reread: config.reread.clone(), renewal: ground.renewal };
    runtime.spawn(reload.serve(reload_signals));
    let drain_timeout = config.drain_timeout;
    let last_words = last_words.ok();
    let served = serve::Served {
        fs,
        mountpoint,
        hands,
        device,
        drain_timeout,
        has_journal,
        notifier,
        watchdog,
        last_words,
        ended,
    };
    let outcome = runtime.block_on(serve::serve(served, signals));
    if let Some(mock) = ground.mock {
        runtime.block_on(mock.stop());
    }
    // Not waiting for tasks: what had to be finished is finished or has been called lost.
    runtime.shutdown_background();
    outcome
}

/// As many open files as this process may have: connections, temporary files and records of uploads add up to
/// more than the thousand that old programs can bear.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

fn start_log(config: &MountConfig, mountpoint: &Path) -> Result<telemetry::Log, MountError> {
    if let Some(file) =
        config.log.file.as_deref().filter(|file| staging::is_inside(file, mountpoint))
    {
        return Err(MountError::new(format!(
            "log_file {} is inside the mount point {}",
            file.display(),
            mountpoint.display()
        )));
    }
    if let Source::Mock { dir: Some(dir), .. } = &config.source
        && staging::is_inside(dir, mountpoint)
    {
        return Err(MountError::new(format!(
            "the folder of the mock, {}, is inside the mount point",
            dir.display()
        )));
    }
    let log = telemetry::start(&config.log).map_err(cannot("write the log"))?;
    if let Some(warning) = &log.warning {
        tracing::warn!("{warning}");
        say(&format!("warning: {warning}"));
    }
    Ok(log)
}

/// At least two threads, so that one busy task does not stop everything on a machine with one core.
/// `file_threads` may block; they never wait for each other.
fn runtime(file_threads: usize) -> Result<Runtime, MountError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(cores.max(2))
        .max_blocking_threads(file_threads)
        .enable_all()
        .thread_name("partfs")
        .build()
        .map_err(cannot("start"))
}

fn notifier(config: &MountConfig) -> systemd::Notifier {
    match &config.start {
        Start::Foreground { notify_socket, .. } => systemd::Notifier::new(notify_socket.clone()),
        Start::Background { .. } | Start::BackgroundChild => systemd::Notifier::default(),
    }
}

/// Where a service manager wants pings: the process that asks the mount. Of the user that this one is now, and with
/// the right to find the mount point.
fn asker(config: &MountConfig, mountpoint: &Path) -> Option<(Duration, io::Result<Asker>)> {
    let Start::Foreground { watchdog: Some(period), .. } = &config.start else { return None };
    Some((*period, Asker::start(mountpoint, None)))
}

/// Where a service manager wants pings. A daemon that cannot send any works, and is told of by its log.
fn start_watchdog(
    config: &MountConfig,
    asker: Option<(Duration, io::Result<Asker>)>,
    device: u64,
    runtime: &tokio::runtime::Handle,
) -> Option<watchdog::Watchdog> {
    let (period, asker) = asker?;
    watchdog::Watchdog::start(period, notifier(config), asker, device, runtime.clone())
        .inspect_err(|error| tracing::error!(%error, "no pings for the watchdog of systemd"))
        .ok()
}

/// Tells whoever waits. On failure the mount goes again: nobody would know of it.
fn tell_ready(
    config: &MountConfig,
    mountpoint: &Path,
    hands: &Hands,
) -> Result<systemd::Notifier, MountError> {
    let notifier = notifier(config);
    let status = format!("READY=1\nSTATUS={} at {}", config.shown, mountpoint.display());
    let told = match config.start {
        Start::BackgroundChild => background::tell_ready(),
        _ => notifier.send(&status).map_err(cannot("tell systemd that the mount is ready")),
    };
    if told.is_err() {
        let _ = hands.detach(detach::Detach::Lazily);
    }
    told.map(|()| notifier)
}

fn cannot(what: &'static str) -> impl Fn(io::Error) -> MountError {
    move |error| MountError::new(format!("cannot {what}: {error}"))
}

/// The ways in which mounting fails on a machine that was not prepared for it.
fn cannot_mount(mountpoint: &Path, error: &io::Error) -> MountError {
    let place = mountpoint.display();
    let root = rustix::process::geteuid().is_root();
    let device = std::fs::exists("/dev/fuse").unwrap_or(false);
    let hint = match error.kind() {
        _ if !device => {
            "; there is no /dev/fuse: modprobe fuse, or pass the device to the container"
        }
        // Not an error number but words of fusermount3, which say it all.
        _ if error.raw_os_error().is_none() => "",
        io::ErrorKind::NotFound if root => "; this container may not mount",
        io::ErrorKind::NotFound => {
            "; mounting as an ordinary user needs fusermount3: apt install fuse3"
        }
        io::ErrorKind::PermissionDenied => "; this user or container may not use /dev/fuse",
        _ => "",
    };
    MountError::new(format!("cannot mount at {place}: {}{hint}", error.to_string().trim_end()))
}
