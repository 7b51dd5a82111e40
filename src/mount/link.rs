//! `partfs link`: prints an address with which anybody may read one object for some time. Asks nothing of
//! the service.

use std::io::{self, Write};

use super::config::LinkConfig;
use super::{MountError, Outcome, cannot, layers, runtime, say};
use crate::dialect::{self, Connection};

/// Prints the address, alone on standard output.
pub fn run(config: &LinkConfig) -> Result<Outcome, MountError> {
    let connection = Connection::clone(&config.connection);
    let link = runtime(layers::MAX_FILE_THREADS)?
        .block_on(dialect::link(connection, &config.key, config.valid))
        .map_err(|error| MountError::new(error.to_string()))?;
    if let Some(end) = link.ends_early {
        let end = httpdate::fmt_http_date(end);
        say(&format!("warning: the keys are temporary, and the link ends with them: {end}"));
    }
    writeln!(io::stdout(), "{}", link.address).map_err(cannot("print the link"))?;
    Ok(Outcome::Done)
}
