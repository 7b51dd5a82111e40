//! Where log lines go and how they look. Knows nothing of what is logged.
//!
//! Lines go to one place: a file (`file`), the system's journal (`journal`) or standard error. What level
//! they need can be changed while the process runs.

mod file;
mod journal;
mod libraries;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use self::file::LogFile;
use self::journal::Journal;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Where no file is given: to the journal if standard error is connected to it, or if there is a journal and
    /// standard error is nobody's. Else for people.
    Auto,
    /// For people: time, level, module, message, fields.
    Human,
    /// One JSON object a line.
    Json,
    /// To the system's journal, with fields of its own.
    Journald,
}

/// What to log and where.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// A level, or levels by module: `info,partfs::write=debug`. Checked by
    /// [`check_filter`](Self::check_filter).
    pub filter: String,
    /// Look of the lines.
    pub format: LogFormat,
    /// File to append to; made with mode 0600 because names of files are nobody else's business. Not with
    /// [`LogFormat::Journald`].
    pub file: Option<PathBuf>,
    /// Without a file: whether lines go to standard error, or nowhere.
    pub to_stderr: bool,
    /// systemd's `JOURNAL_STREAM`: which stream is the journal, as `DEVICE:INODE`.
    pub journal_stream: Option<String>,
}

impl LogConfig {
    /// Whether a text is a filter, and what is wrong with it.
    pub fn check_filter(text: &str) -> Result<(), String> {
        // A bare word that is no level would be taken for the name of a module.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        for directive in text.split(',') {
            let level = directive.rsplit('=').next().unwrap_or_default();
            if !levels.contains(&level) {
                return Err(format!("{level:?} is none of {}", levels.join(", ")));
            }
        }
        filter(text).map(drop)
    }

    /// Whether standard error is the journal, as systemd says it.
    fn stderr_is_journal(&self) -> bool {
        let stream = rustix::fs::fstat(io::stderr()).ok();
        let stream = stream.map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
        stream.is_some() && stream == self.journal_stream
    }
}

/// The filter of a text that has been checked.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let text = format!("{}{text}", libraries::default_of(text));
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

/// The log of this process, to be changed while it runs.
#[derive(Debug)]
pub struct Log {
    filter: Option<reload::Handle<EnvFilter, Registry>>,
    file: Option<Arc<LogFile>>,
    /// What is not as the configuration says, as a sentence.
    pub warning: Option<String>,
}

impl Log {
    /// From now on lines need these levels. `text` is one that [`LogConfig::check_filter`] takes. Where
    /// nothing is logged there is nothing to change.
    pub fn set_filter(&self, text: &str) -> Result<(), String> {
        let Some(handle) = &self.filter else { return Ok(()) };
        handle.reload(filter(text)?).map_err(|error| error.to_string())?;
        libraries::follow_level();
        Ok(())
    }

    /// Opens the log file anew by its path, for who has moved the old one away. On an error lines go on into
    /// the old one. Says whether there is a file.
    pub fn reopen(&self) -> io::Result<bool> {
        self.file.as_ref().map_or(Ok(false), |file| file.reopen().map(|()| true))
    }
}

/// Where this process writes down everything at the finest level, beside its log: for tests that look whether
/// secrets are among it.
static TRACES: OnceLock<PathBuf> = OnceLock::new();

/// From [`start`] or [`start_traces`] on everything is also written to a file in this folder, at any level and
/// named after the process. For tests.
pub fn trace_into(folder: PathBuf) {
    let _ = TRACES.set(folder);
}

/// Writes what [`trace_into`] wants of a process that has no log. Once, and not where [`start`] is called.
pub fn start_traces() -> io::Result<()> {
    install(traces()?.into_iter().collect())
}

type AnyLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging for the whole process. To be called once; a second call is an error, and so is a
/// log file that cannot be opened.
pub fn start(config: &LogConfig) -> io::Result<Log> {
    let mut log = Log { filter: None, file: None, warning: None };
    let journal = match (config.format, &config.file) {
        (LogFormat::Journald, _) => Journal::reach(Path::new(journal::SOCKET)).map(Some),
        (LogFormat::Auto, None) if config.to_stderr && config.stderr_is_journal() => {
            Journal::reach(Path::new(journal::SOCKET)).map(Some)
        }
        // Who has nobody to read what it says: where there is no journal either, nothing is missed that was asked for.
        (LogFormat::Auto, None) if !config.to_stderr => {
            Ok(Journal::reach(Path::new(journal::SOCKET)).ok())
        }
        _ => Ok(None),
    };
    let journal = journal.unwrap_or_else(|error| {
        let instead = if config.to_stderr { "standard error" } else { "nowhere" };
        let socket = journal::SOCKET;
        log.warning = Some(format!(
            "the journal cannot be reached at {socket}, so the log goes to {instead}: {error}"
        ));
        None
    });
    let layer = match (journal, &config.file) {
        (Some(journal), _) => Some(journal.boxed()),
        (None, Some(path)) => {
            let file = Arc::new(LogFile::open(path.clone())?);
            log.file = Some(Arc::clone(&file));
            Some(lines(config.format, move || LogFile::writer(&file), false))
        }
        (None, None) if config.to_stderr => {
            Some(lines(config.format, io::stderr, io::stderr().is_terminal()))
        }
        (None, None) => None,
    };
    let mut layers: Vec<AnyLayer> = traces()?.into_iter().collect();
    if let Some(layer) = layer {
        let filter = filter(&config.filter).map_err(io::Error::other)?;
        let (filter, handle) = reload::Layer::new(filter);
        log.filter = Some(handle);
        layers.push(layer.with_filter(filter).boxed());
    }
    install(layers)?;
    Ok(log)
}

fn install(layers: Vec<AnyLayer>) -> io::Result<()> {
    if layers.is_empty() {
        return Ok(());
    }
    let subscriber = Registry::default().with(layers);
    tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
    libraries::listen();
    Ok(())
}

fn lines<W>(format: LogFormat, writer: W, ansi: bool) -> AnyLayer
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(ansi);
    match format {
        LogFormat::Json => layer.json().boxed(),
        LogFormat::Auto | LogFormat::Human | LogFormat::Journald => layer.boxed(),
    }
}

fn traces() -> io::Result<Option<AnyLayer>> {
    let Some(folder) = TRACES.get() else { return Ok(None) };
    let path = folder.join(format!("{}.log", std::process::id()));
    let file = Arc::new(LogFile::open(path)?);
    Ok(Some(lines(LogFormat::Human, move || LogFile::writer(&file), false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_by_module() {
        for text in ["info", "off", "info,partfs::write=debug"] {
            assert_eq!(LogConfig::check_filter(text), Ok(()), "{text}");
        }
        for text in ["", "loud", "info,partfs=loud", "info,"] {
            assert!(LogConfig::check_filter(text).is_err(), "{text}");
        }
    }
}
