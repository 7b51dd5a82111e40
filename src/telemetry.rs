//! Where log lines go and how they look. Knows nothing of what is logged.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, module, message, fields.
    Human,
    /// One JSON object a line.
    Json,
}

/// What to log and where.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// A level, or levels by module: `info,partfs::write=debug`. Checked by
    /// [`check_filter`](Self::check_filter).
    pub filter: String,
    /// Look of the lines.
    pub format: LogFormat,
    /// File to append to; made with mode 0600 because names of files are nobody else's business.
    pub file: Option<PathBuf>,
    /// Without a file: whether lines go to standard error, or nowhere.
    pub to_stderr: bool,
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
        EnvFilter::try_new(text).map(drop).map_err(|error| error.to_string())
    }
}

/// Starts logging for the whole process. To be called once; a second call is an error, and so is a
/// log file that cannot be opened.
pub fn start(config: &LogConfig) -> io::Result<()> {
    match &config.file {
        Some(path) => {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            subscribe(config, Mutex::new(file), false)
        }
        None if config.to_stderr => subscribe(config, io::stderr, io::stderr().is_terminal()),
        None => Ok(()),
    }
}

fn subscribe<W>(config: &LogConfig, writer: W, ansi: bool) -> io::Result<()>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter).map_err(io::Error::other)?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi);
    match config.format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
    .map_err(io::Error::other)
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
