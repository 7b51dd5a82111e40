//! SIGHUP: the log file is opened anew, and its level and the credentials are read anew. What cannot be used
//! changes nothing and is an error in the log; the mount goes on.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::{error, info};

use super::config::{LogLevel, Reread};
use super::signals::ReloadSignals;
use crate::dialect::Renewal;
use crate::telemetry::Log;

/// What can change while a mount works.
#[derive(Debug)]
pub(crate) struct Reload {
    /// Its log.
    pub(crate) log: Log,
    /// What the user says now.
    pub(crate) reread: Reread,
    /// The keys of its bucket.
    pub(crate) renewal: Renewal,
}

impl Reload {
    /// Reloads at each signal, without end.
    pub(crate) async fn serve(self, mut signals: ReloadSignals) {
        let this = Arc::new(self);
        loop {
            signals.next().await;
            let reload = Arc::clone(&this);
            // Reads files, which may be on a mount that does not answer.
            let _ = spawn_blocking(move || reload.log_anew()).await;
            this.renewal.now().await;
        }
    }

    fn log_anew(&self) {
        if let Err(error) = self.log.reopen() {
            error!(%error, "the log file cannot be opened anew; the old one stays in use");
        }
        info!("SIGHUP: reading log level and credentials anew");
        let LogLevel { filter, fixed_by } = match self.reread.now() {
            Ok(level) => level,
            Err(error) => {
                return error!(error, "the configuration cannot be used; the log level stays");
            }
        };
        if let Some(by) = fixed_by {
            return info!("log_level is given {by}, and stays {filter}");
        }
        match self.log.set_filter(&filter) {
            Ok(()) => info!("log_level is {filter}"),
            Err(error) => error!(error, "the log level stays"),
        }
    }
}
